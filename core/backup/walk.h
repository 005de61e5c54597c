/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walker: sources beside the parent generation, depth first, names in
 * order of their bytes, into the pipe.
 */
#ifndef FIRN_BACKUP_WALK_H
#define FIRN_BACKUP_WALK_H

#include <stdint.h>

#include "backup/backup.h"
#include "backup/pipe.h"
#include "crypto/keys.h"
#include "repo/tree_read.h"

struct chunker;
struct writer;

/* A tree of the paths that are wanted: a node is wanted whole, or only for
 * what lies below it. */
struct want {
	char *name;
	int whole;
	struct want *child;	/* by name */
	size_t n;
};

/* Paths made absolute, symlinks in front of the last component resolved.
 * Missing ones are logged and counted.  -ENOENT when none is left. */
int want_build(const char *const *paths, size_t n, struct want *root,
    struct genrec *rec, uint64_t *missing);
void want_release(struct want *w);

struct walk_conf {
	const struct backup_conf *conf;
	struct pipe *pipe;
	struct writer *writer;
	const struct chunker *chunker;
	uint32_t inline_max;
	/* The parent generation; tree NULL when there is none. */
	struct tree *tree;
	uint8_t parent_root[BLOCK_ID_SIZE];
	struct timespec parent_start;
	/* Directories whose contents are never taken: the repository and our
	 * own local state. */
	const char *skip[2];
	/* As in pipe_conf: blocks that are taken over; may be NULL. */
	int (*meta)(void *ctx, enum block_type type,
	    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len);
	void *meta_ctx;
	struct genrec *rec;		/* errors and owners are noted in it */
	struct backup_progress *p;
};

int walk_run(const struct walk_conf *wc, const struct want *root);

/* One file from a stream, named conf->stdin_name, in the root. */
int walk_stream(const struct walk_conf *wc);

#endif
