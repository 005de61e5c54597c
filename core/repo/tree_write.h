/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building directories and extent lists bottom up, in bounded memory.
 *
 * A tree_writer collects the entries of one directory in order of name, cuts
 * pages as format/tree.h says, and hands each finished block to `put`.
 * One thread at a time.
 */
#ifndef FIRN_REPO_TREE_WRITE_H
#define FIRN_REPO_TREE_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "format/tree.h"

/* Where finished blocks go: computes the id, stores it. */
struct block_sink {
	int (*put)(void *ctx, enum block_type type, const void *data,
	    size_t len, uint8_t id[BLOCK_ID_SIZE]);
	void *ctx;
};

struct tree_writer;
int tree_writer_new(const struct keys *keys, const struct block_sink *sink,
    struct tree_writer **out);
void tree_writer_free(struct tree_writer *w);
/* Names must ascend: -EINVAL. */
int tree_writer_add(struct tree_writer *w, const struct entry *e);
/* Writes what is left; id is the directory's.  Ready for the next directory
 * afterwards. */
int tree_writer_finish(struct tree_writer *w, uint8_t id[BLOCK_ID_SIZE]);

struct list_writer;
int list_writer_new(const struct block_sink *sink, struct list_writer **out);
void list_writer_free(struct list_writer *w);
/* Adjacent holes are joined. */
int list_writer_add(struct list_writer *w, const struct extent *x);
/*
 * The end of a file: sets e's flags and fields ENTRY_EXTENTS (few, encoded
 * into `few`, which must outlive e) or ENTRY_LIST, ENTRY_SIZE, ENTRY_HOLES.
 * Ready for the next file afterwards.
 */
int list_writer_finish(struct list_writer *w, struct entry *e,
    struct buf *few);

#endif
