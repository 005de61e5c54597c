/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a mount share.  Made by fs/mount.c, and constant while
 * requests are answered but for what its parts guard themselves.
 */
#ifndef FIRN_FS_FIRNFS_H
#define FIRN_FS_FIRNFS_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "base/lru.h"
#include "fs/errors.h"
#include "fs/node.h"
#include "fs/options.h"
#include "fs/vtree.h"
#include "repo/reader.h"
#include "repo/repo.h"
#include "repo/tree_read.h"

struct trails;
struct cold;
struct fuse_session;
struct price_table;
struct push;
struct refresh;
struct status;
struct watch;

struct firnfs {
	const struct options *opt;
	struct repo *repo;
	struct reader *reader;
	struct tree *tree;
	struct fuse_session *session;	/* while requests are answered */
	struct push *push;		/* small files ahead of a walk */
	struct trails *trails;		/* and what comes behind them */
	struct lru *maps;		/* struct filemap by node and epoch */
	struct dirs *dirs;
	struct vtree *vtree;
	struct errors *errors;
	struct status *status;
	struct refresh *refresh;
	struct watch *watch;		/* interrupted requests */
	struct cold *cold;		/* what is read of the archive */
	struct price_table *price;	/* or NULL */
	struct timespec since;		/* wall clock of the mount */
	uid_t uid;			/* owner of the virtual part */
	gid_t gid;
	int no_open;			/* set by INIT: the kernel takes ENOSYS
					   for OPEN */
	int no_opendir;
	int ready_fd;			/* eventfd, written by INIT */
	atomic_int ending;		/* failures are not news any more */
	atomic_int data_used;		/* contents were read */
};

#endif
