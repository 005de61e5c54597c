/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a backup behind the walker: items in walk order come in, blocks
 * and directories come out.
 *
 * The walker describes a tree depth first: pipe_dir_begin, entries, files and
 * directories in order of their names, pipe_dir_end.  Every call takes copies,
 * blocks while the pipeline is full, and returns the pipeline's first error
 * from then on.  One thread.
 */
#ifndef FIRN_BACKUP_PIPE_H
#define FIRN_BACKUP_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/keys.h"
#include "format/tree.h"
#include "repo/tree_write.h"

struct writer;
struct pipe;

struct pipe_conf {
	const struct keys *keys;
	unsigned threads;		/* that hash */
	size_t memory;			/* bytes of items in flight, about */
	size_t piece_max;		/* bytes of the largest piece */
	/* Beside the writer, every block that is not data (for hosts that
	 * cannot read them back); may be NULL. */
	int (*meta)(void *ctx, enum block_type type,
	    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len);
	void *meta_ctx;
};

int pipe_new(struct writer *w, const struct pipe_conf *conf,
    struct pipe **out);
/* Ends the threads; what is in flight is dropped. */
void pipe_free(struct pipe *p);

int pipe_dir_begin(struct pipe *p);
/* e: all of the directory but subtree and totals.  The directory that has no
 * parent is the root. */
int pipe_dir_end(struct pipe *p, const struct entry *e,
    const struct buf *xattr);
/* An entry with all that it has (taken over, or without contents).  xattr is
 * NULL when e has its own. */
int pipe_entry(struct pipe *p, const struct entry *e,
    const struct buf *xattr);
/* A regular file: pieces in order, then its end.  abort drops the file. */
int pipe_data(struct pipe *p, const void *data, size_t len);
/* The same without a copy: begin gives room for up to max bytes, commit takes
 * the first len of them, at least one, as a piece.  Any other call drops a
 * piece that was begun and not committed. */
int pipe_piece_begin(struct pipe *p, size_t max, void **room);
int pipe_piece_commit(struct pipe *p, size_t len);
int pipe_hole(struct pipe *p, uint64_t len);
/* e may have its contents already (ENTRY_INLINE, no pieces before).
 * link: 0, or a number by which pipe_link() later repeats the contents. */
int pipe_file_end(struct pipe *p, const struct entry *e,
    const struct buf *xattr, uint64_t link);
int pipe_file_abort(struct pipe *p);
/* The same inode under another name: e with the contents and xattrs of the
 * file that had `link`; last drops what was remembered. */
int pipe_link(struct pipe *p, const char *name, size_t len, uint64_t link,
    int last);

/* 1 when the pipeline has failed, and so every call will. */
int pipe_failed(struct pipe *p);

/* After the root's dir_end: waits for all; its entry, which has its id and
 * totals and is valid until pipe_free(). */
int pipe_finish(struct pipe *p, struct entry *root);

#endif
