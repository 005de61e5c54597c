/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contents of one regular file of a generation: random reads, holes, and
 * the list of its extents.  Made from an entry, which it copies from.  A large
 * file that is read in order is fetched ahead; of one that is read here and there
 * little is fetched beside what is read.
 * All calls from any thread.
 */
#ifndef FIRN_REPO_FILEMAP_H
#define FIRN_REPO_FILEMAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "format/tree.h"
#include "repo/reader.h"

struct filemap;

int filemap_new(struct reader *rd, const struct entry *e,
    struct filemap **out);
void filemap_free(struct filemap *fm);
uint64_t filemap_size(const struct filemap *fm);

/* Read up to len bytes at off into buf; *got < len only at the end of the
 * file.  Holes read as zeroes; a block that cannot be had fails the call. */
int filemap_read(struct filemap *fm, uint64_t off, void *buf, size_t len,
    size_t *got);

/*
 * The same without copying: pieces in order, held until filemap_pieces_put().
 * -E2BIG when it takes more of them than there is room for; nothing is held
 * after an error.
 */
#define FILEMAP_PIECES	64
struct filemap_pieces {
	size_t n;
	struct iovec iov[FILEMAP_PIECES];
	struct blockref ref[FILEMAP_PIECES];
};
int filemap_pieces(struct filemap *fm, uint64_t off, size_t len,
    struct filemap_pieces *out);
/* All of it, if that takes no waiting (reader_peek()), and room for it: 1, or
 * 0 and nothing is held. */
int filemap_peek(struct filemap *fm, struct filemap_pieces *out);
void filemap_pieces_put(struct filemap *fm, struct filemap_pieces *p);

/* The extent that holds byte off and where it begins; 1, or 0 at or past the
 * end.  Inline contents are one extent without id (hole 0, id zero). */
int filemap_extent(struct filemap *fm, uint64_t off, struct extent *x,
    uint64_t *start);

/* As lseek(2) with SEEK_DATA (hole 0) or SEEK_HOLE (hole 1): -ENXIO at or
 * past the end, or where no data follows. */
int filemap_seek(struct filemap *fm, uint64_t off, int hole, uint64_t *out);

#endif
