/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual part of a mount: the directories that lead to generations.
 *
 *	latest			-> hosts/HOST/SERIES/NAME, the newest of all
 *	hosts/HOST/SERIES/NAME	a generation's root
 *	hosts/HOST/SERIES/latest -> NAME of its newest
 *	ids/ID			-> ../hosts/HOST/SERIES/NAME
 *	tags/TAG/NAME		-> ../../hosts/HOST/SERIES/NAME
 *	tags/TAG/latest		-> NAME of its newest
 *	.firn/status, stats, errors, cold, thaw
 *
 * NAME is the generation's end, 2026-11-20T115739Z, and where an older one of
 * the same directory has that already, the same with "-" and its id.  Each
 * generation is a directory in one place only, and symlinks lead there from the
 * others: the kernel takes a directory that it meets in two places for one that
 * was moved, and find would walk it three times.
 *
 * Where a record that cannot be read may be the newest, `latest` leads nowhere,
 * by the name TIME-unreadable; with tags every unread record may.
 *
 * Each thing has a number, its node id, which is given once and never to
 * another: also when it went away and came back.  A symlink with another
 * target is another thing, since the kernel keeps targets.  What is gone is in
 * no directory but still answers, so a generation that was forgotten in the
 * store goes on for who is in it.  Memory grows with what was ever shown, a few
 * hundred bytes a generation.
 *
 * Thread-safe.  Nothing here does I/O.
 */
#ifndef FIRN_FS_VTREE_H
#define FIRN_FS_VTREE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "fs/ino.h"
#include "repo/generation.h"

#define VTREE_ROOT	1u

struct vtree;

/* A generation; lives as long as the vtree. */
struct vgen {
	uint8_t id[GEN_ID_SIZE];
	uint8_t root[BLOCK_ID_SIZE];
	struct timespec end;
	struct ino_key key;
	int has_attr;
	struct entry attr;		/* of the root, if it has_attr */
	uint8_t bytes[];		/* that attr points into */
};

enum vnode_kind { VNODE_DIR, VNODE_LINK, VNODE_TEXT, VNODE_GEN };
enum vnode_text { VTEXT_STATUS, VTEXT_STATS, VTEXT_ERRORS, VTEXT_COLD,
    VTEXT_THAW, VTEXT_COUNT };

struct vnode_info {
	uint32_t number;
	uint32_t parent;
	enum vnode_kind kind;
	struct timespec mtime;		/* of directories: when their list
					   changed; of VNODE_GEN: its end */
	uint32_t subdirs;		/* VNODE_DIR */
	size_t len;			/* VNODE_LINK: of its target */
	enum vnode_text text;		/* VNODE_TEXT */
	const struct vgen *gen;		/* VNODE_GEN */
};

/* Begins with hosts/, ids/, tags/, .firn/. */
int vtree_new(struct vtree **out);
void vtree_free(struct vtree *v);

/* Show these generations, and only these.  -ENOMEM: all stays as it was. */
int vtree_update(struct vtree *v, const struct generation_list *list);

/* What a number stands for: 1, 0. */
int vtree_info(struct vtree *v, uint32_t number, struct vnode_info *out);
/* Find a name in a directory: 1, 0. */
int vtree_find(struct vtree *v, uint32_t dir, const char *name, size_t len,
    struct vnode_info *out);
/* The first entry of a directory with a number above `after`: 1 and its name
 * (room for 256 bytes), 0.  An entry stays at its place while others come and
 * go. */
int vtree_next(struct vtree *v, uint32_t dir, uint32_t after, char *name,
    struct vnode_info *out);
/* A link's target, appended with its NUL; -EINVAL when it is none. */
int vtree_target(struct vtree *v, uint32_t number, struct buf *out);
/* "/hosts/web1/etc/2026-11-20T115739Z", appended without NUL. */
int vtree_path(struct vtree *v, uint32_t number, struct buf *out);

#endif
