/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every block of contents below a path of a generation, for who wants to know
 * where data lies before it is read.  Reads trees and lists alone, which are
 * never cold.
 *
 * A subtree that was walked is not walked again by the same walk, as far as
 * that is remembered, in a bounded memory: what is the same in two generations
 * is seen once.  A block that lies in several files, or in one file under
 * several names, is seen as often.
 */
#ifndef FIRN_REPO_BLOCK_WALK_H
#define FIRN_REPO_BLOCK_WALK_H

#include <stdint.h>

#include "format/tree.h"
#include "repo/tree_read.h"

struct block_walk;

struct block_visit {
	/* What it returns but 0 ends the walk and is returned. */
	int (*block)(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len);
	void *ctx;
	const volatile int *stop;	/* -ECANCELED once not 0; or NULL */
};

int block_walk_new(struct tree *t, const struct block_visit *visit,
    struct block_walk **out);
void block_walk_free(struct block_walk *w);

/*
 * What lies at `path` below a directory, by the id of its root page; "" is all
 * of it.  A directory or file that cannot be read is logged and passed over:
 * *failed counts.  -ENOENT and -ENOTDIR of the path, not logged.
 */
int block_walk_path(struct block_walk *w, const uint8_t root[BLOCK_ID_SIZE],
    const char *path, unsigned *failed);
/* The same of an entry. */
int block_walk_entry(struct block_walk *w, const struct entry *e,
    unsigned *failed);
/* The contents of one file; the reader's error when its list cannot be read.
 * Nothing for what is no regular file. */
int block_walk_file(struct reader *rd, const struct entry *e,
    const struct block_visit *visit);

#endif
