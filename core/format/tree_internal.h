/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of format/tree share. */
#ifndef FIRN_FORMAT_TREE_INTERNAL_H
#define FIRN_FORMAT_TREE_INTERNAL_H

#include "format/tree.h"

/* Every length in a file fits off_t. */
#define TREE_SIZE_MAX	((uint64_t)INT64_MAX)

/* 1 when `name` may be that of an entry. */
int tree_name_valid(const char *name, size_t len);

/*
 * Read `count` extents: their total length and how much of it is holes.  r is
 * bad afterwards when one does not decode, when two holes are adjacent, or
 * when the total is no file size.
 */
void extents_walk(struct rd *r, uint64_t count, uint64_t *size,
    uint64_t *holes);

#endif
