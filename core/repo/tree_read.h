/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking directories of a generation: find by name, by ordinal, in order.
 *
 * A directory is named by the id of its root page.  Decoded leaf pages are
 * kept in a bounded cache of the reader's; a position holds one.
 * All calls from any thread; a position belongs to one.
 */
#ifndef FIRN_REPO_TREE_READ_H
#define FIRN_REPO_TREE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "format/tree.h"
#include "repo/reader.h"

struct leaf;
struct tree;	/* the cache of decoded leaves over one reader */

int tree_new(struct reader *rd, size_t memory, struct tree **out);
void tree_free(struct tree *t);
struct reader *tree_reader(struct tree *t);
/* Bytes that decoded leaves take: no more than memory and what is held. */
size_t tree_used(struct tree *t);

struct tree_pos {
	struct leaf *leaf;	/* NULL: nowhere */
	uint32_t i;		/* entry in the leaf */
	uint64_t ordinal;	/* entry in the directory */
};
#define TREE_POS_INIT { NULL, 0, 0 }

/* Find a name: 1, 0, or -errno as reader_get.  pos is released first. */
int tree_find(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    const char *name, size_t len, struct tree_pos *pos);
/* Entry number `ordinal`: 1, 0 past the end. */
int tree_at(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    uint64_t ordinal, struct tree_pos *pos);
/* To the next entry of the same directory: 1, 0 at the end (pos released). */
int tree_next(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    struct tree_pos *pos);
/* The entry; its pointers live until the position moves. */
const struct entry *tree_entry(const struct tree_pos *pos);
void tree_pos_release(struct tree *t, struct tree_pos *pos);

/*
 * Resolve a '/'-separated path below dir, no symlinks followed; "" or "/" is
 * not an entry: -EISDIR.  -ENOENT, -ENOTDIR.
 */
int tree_resolve(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    const char *path, struct tree_pos *pos);

/* The xattrs of an entry, encoded (format/tree.h), appended to out; nothing
 * when it has none. */
int tree_xattrs(struct tree *t, const struct entry *e, struct buf *out);

#endif
