/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that readers wanted since the last round, each once.  Bounded: with
 * cold=thaw nobody waits, so who walks over everything would have no end.
 * Not thread-safe.
 */
#ifndef FIRN_FS_COLD_WANTS_H
#define FIRN_FS_COLD_WANTS_H

#include <stddef.h>
#include <stdint.h>

#define COLD_WANTS_MAX	65536u		/* about 1.5 MiB */

struct cold_wants {
	uint64_t *node;			/* n of them, in the order of wanting */
	size_t n;
	uint32_t *slot;			/* number + 1, 0 empty */
	size_t nslots;			/* 0 or a power of two */
};

void cold_wants_init(struct cold_wants *w);
void cold_wants_release(struct cold_wants *w);
/* 1 when it is new, 0 when it was there, -ENOSPC when `max` are there, at most
 * COLD_WANTS_MAX; -ENOMEM. */
int cold_wants_add(struct cold_wants *w, uint64_t node, size_t max);
/* All of `more` that there is room for, which is empty then. */
void cold_wants_merge(struct cold_wants *w, struct cold_wants *more);

#endif
