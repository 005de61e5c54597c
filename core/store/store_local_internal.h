/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a directory: an object is a file of its name below the root.
 *
 * store_local.c	open, close, get, stat, del
 * store_local_put.c	putting, and what putting left behind in tmp/
 * store_local_list.c	listing
 * store_local_probe.c	what `firn doctor` asks
 */
#ifndef FIRN_STORE_STORE_LOCAL_INTERNAL_H
#define FIRN_STORE_STORE_LOCAL_INTERNAL_H

#include <pthread.h>

#include "store/store_internal.h"

#define LOCAL_TMP	"tmp"

struct lru;

struct local {
	struct store base;
	int root;		/* O_PATH of the directory */
	struct lru *fds;	/* open files by hash of their name */
	atomic_uint dropped;	/* counts names taken out of fds */
	atomic_int swept;	/* tmp/ was looked through */
	atomic_int no_direct;	/* direct writes are not taken here */
};

static inline struct local *
local_of(struct store *s)
{
	return (struct local *)s;
}

/* Logs the failure of a call on an object, unless it is an answer. */
int local_err(struct local *l, int err, const char *verb, const char *name);
/* The name was removed or replaced: no read may use its old file. */
void local_forget(struct local *l, const char *name);

int local_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags);
/* Removes from tmp/ what dead writers left there, once. */
void local_sweep(struct local *l);
/* mkdir -p below `dirfd`; each new entry is on disk when this returns. */
int local_mkdirs(int dirfd, const char *path);

struct probe;
int local_probe(struct store *s, struct probe *p);

int local_list(struct store *s, const char *prefix, int state,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx);

#endif
