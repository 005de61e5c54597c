/* SPDX-License-Identifier: Apache-2.0 */
/* What vtree.c (looking) and vtree_update.c (building) share. */
#ifndef FIRN_FS_VTREE_INTERNAL_H
#define FIRN_FS_VTREE_INTERNAL_H

#include <pthread.h>

#include "fs/vtree.h"

/* Numbers that vtree_new() gives. */
enum { V_ROOT = 1, V_HOSTS, V_IDS, V_TAGS, V_FIRN, V_STATUS, V_STATS, V_ERRORS,
    V_COLD, V_THAW, V_FIXED };

struct numbers {
	uint32_t *v;		/* ascending, but while an update collects */
	size_t n, cap;
};

struct vnode {
	struct vnode *chain;	/* next of its bucket */
	uint32_t number;
	uint32_t parent;
	enum vnode_kind kind;
	enum vnode_text text;
	int live;		/* in its directory's list */
	struct timespec mtime;
	char *name;
	char *target;		/* VNODE_LINK */
	struct vgen *gen;	/* VNODE_GEN */
	/* VNODE_DIR: */
	struct numbers list;
	struct numbers fresh;	/* list to be, during an update */
	uint32_t subdirs;
	uint32_t newest;	/* during an update: the generation or link to
				   it that `latest` will show */
	const struct generation_unread *hidden;	/* ... unless this may be
				   younger */
};

/*
 * Lock order: alone.  An update holds the lock for writing while it builds;
 * that takes no I/O and about a microsecond an entry.
 */
struct vtree {
	pthread_rwlock_t lock;
	struct vnode **node;		/* by number; protected by lock, as
					   all below */
	uint32_t nnodes, cap;		/* numbers are below nnodes */
	struct vnode **bucket;		/* by parent and name */
	size_t nbuckets;		/* a power of two */
};

/* The bucket of a name; callers hold the lock. */
struct vnode **vtree_bucket(struct vtree *v, uint32_t parent, const char *name,
    size_t len);
/* Make a node, not live, and give it a number; NULL without memory.  gen is
 * taken over on success. */
struct vnode *vtree_make(struct vtree *v, uint32_t parent, const char *name,
    enum vnode_kind kind, const char *target, struct vgen *gen);
int numbers_add(struct numbers *s, uint32_t number);

#endif
