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
struct scan;
struct writer;

/* A tree of the paths that are wanted: a node is wanted whole, or only for
 * what lies below it. */
struct want {
	char *name;
	int whole;
	struct want *child;	/* by name */
	size_t n;
};

/* A path as it was asked for. */
struct want_path {
	char *abs;		/* NULL: it cannot be had */
	int err;
};

/* Paths made absolute, symlinks in front of the last component resolved; one
 * want_path each, to be freed, as the tree is.  -ENOMEM.  Says nothing. */
int want_build(const char *const *paths, size_t n, struct want *root,
    struct want_path **out);
/* Note in the record what there is.  What is missing is logged and counted;
 * -ENOENT, logged, when that is all. */
int want_note(const char *const *paths, size_t n, const struct want_path *at,
    struct genrec *rec, uint64_t *missing);
void want_paths_free(struct want_path *at, size_t n);
void want_release(struct want *w);

/* What backup_begin() began. */
struct backup_start {
	struct timespec time;	/* before anything was looked at */
	struct want want;
	struct want_path *path;
	size_t npaths;
	struct scan *scan;	/* NULL: none could be had */
};

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
	struct scan *scan;		/* in front; NULL: nobody is */
	struct genrec *rec;		/* errors and owners are noted in it */
	struct backup_progress *p;
};

int walk_run(const struct walk_conf *wc, const struct want *root);

/* One file from a stream, named conf->stdin_name, in the root. */
int walk_stream(const struct walk_conf *wc);

#endif
