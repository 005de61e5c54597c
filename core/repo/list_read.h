/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the list of a file's extents as it is stored, its pages included. */
#ifndef FIRN_REPO_LIST_READ_H
#define FIRN_REPO_LIST_READ_H

#include <stddef.h>

#include "format/tree.h"

struct reader;

struct list_visit {
	/* Each page before what is below it; may be NULL. */
	int (*page)(void *ctx, const uint8_t id[BLOCK_ID_SIZE],
	    const void *data, size_t len);
	/* Each extent, in order; may be NULL. */
	int (*extent)(void *ctx, const struct extent *x);
	void *ctx;
};

/* What a call returns but 0 ends the walk and is returned; a page that cannot
 * be had or decoded is the reader's error or -FIRN_ECORRUPT. */
int list_walk(struct reader *rd, const uint8_t root[BLOCK_ID_SIZE],
    const struct list_visit *visit);

#endif
