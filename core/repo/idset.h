/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of block ids by their first 16 bytes, in memory: what a run has added
 * and no loaded segment lists yet.  Open addressing; ids are uniform, so they
 * are their own hash.  Not thread-safe.
 */
#ifndef FIRN_REPO_IDSET_H
#define FIRN_REPO_IDSET_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

struct idset {
	uint8_t (*slot)[BLOCK_ID_SHORT];	/* all zero: empty */
	size_t nslots;				/* 0 or a power of two */
	size_t count;
	int has_zero;				/* the id of all zeroes */
};

void idset_init(struct idset *s);
void idset_release(struct idset *s);
int idset_has(const struct idset *s, const uint8_t *id);
/* 1 added, 0 was there, -ENOMEM. */
int idset_add(struct idset *s, const uint8_t *id);
void idset_del(struct idset *s, const uint8_t *id);

#endif
