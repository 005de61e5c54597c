/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of files by node id.  As files are not opened, the maps of those
 * read last are kept (core/repo/filemap.h), bounded by what they take.
 * May block on the store.
 */
#ifndef FIRN_FS_FILES_H
#define FIRN_FS_FILES_H

#include "fs/firnfs.h"
#include "repo/filemap.h"

/* For fs->maps; memory in bytes. */
int files_new(size_t memory, struct lru **out);

/* -EISDIR, -EINVAL for what is not a regular file. */
int files_read(struct firnfs *fs, uint64_t node, uint64_t off, void *buf,
    size_t len, size_t *got);
/* The same without copying, as filemap_pieces(); what is held goes with
 * files_pieces_put(), after an error there is nothing. */
struct files_pieces {
	struct lru_node *held;
	uint64_t size;		/* of the file */
	struct filemap_pieces p;
};
int files_pieces(struct firnfs *fs, uint64_t node, uint64_t off, size_t len,
    struct files_pieces *out);
void files_pieces_put(struct firnfs *fs, struct files_pieces *p);
/* As filemap_seek(). */
int files_seek(struct firnfs *fs, uint64_t node, uint64_t off, int hole,
    uint64_t *out);
/* In a text of .firn/, which has no holes. */
int files_seek_text(struct firnfs *fs, uint32_t number, uint64_t off, int hole,
    uint64_t *out);

#endif
