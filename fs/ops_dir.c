/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings.  Offsets are those of the next entry: 1 is "..", 2 the first
 * after it, then in generations 2 and the ordinal, in the virtual part the
 * number of the entry before plus 2.
 */
#include <string.h>

#include "base/err.h"
#include "fs/loop.h"
#include "fs/ops_internal.h"
#include "fs/push.h"
#include "fs/refresh.h"

#define DOTS		2
#define INO_UNKNOWN	0xffffffffu	/* for "..": nobody looks at it */

struct listing {
	fuse_req_t req;
	int plus;
	char *buf;
	size_t size, used;
};

/* 1, or 0 when it does not fit. */
static int
listing_add(struct listing *l, const char *name,
    const struct fuse_entry_param *e, off_t next)
{
	size_t left = l->size - l->used, n;

	if (l->plus)
		n = fuse_add_direntry_plus(l->req, l->buf + l->used, left,
		    name, e, next);
	else
		n = fuse_add_direntry(l->req, l->buf + l->used, left, name,
		    &e->attr, next);
	if (n > left)
		return 0;
	l->used += n;
	return 1;
}

/* "." and "..", which are not looked up: node 0.  1 when there is room. */
static int
add_dots(struct listing *l, off_t *off, uint64_t ino)
{
	static const char *const names[DOTS] = { ".", ".." };
	struct fuse_entry_param e;

	while (*off < DOTS) {
		memset(&e, 0, sizeof(e));
		e.attr.st_mode = S_IFDIR;
		e.attr.st_ino = *off == 0 ? ino : INO_UNKNOWN;
		if (!listing_add(l, names[*off], &e, *off + 1))
			return 0;
		++*off;
	}
	return 1;
}

static void
list_virtual(struct firnfs *fs, struct listing *l, uint32_t dir, off_t off)
{
	struct fuse_entry_param e;
	struct vnode_info info;
	char name[TREE_NAME_MAX + 1];

	if (!add_dots(l, &off, dir))
		return;
	while (vtree_next(fs->vtree, dir, (uint32_t)(off - DOTS), name,
	    &info)) {
		off = (off_t)info.number + DOTS;
		ops_fill_virtual(fs, &info, &e);
		if (!listing_add(l, name, &e, off))
			break;
	}
}

/*
 * Entries from off on, as many as fit; *told counts those that the kernel will
 * have to forget, and they are counted already.
 */
static int
list_entries(struct firnfs *fs, struct listing *l, const struct dir_rec *dir,
    off_t off, uint64_t *told)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct fuse_entry_param e;
	const struct entry *entry;
	char name[TREE_NAME_MAX + 1];
	int ret;

	if (!add_dots(l, &off, dir->ino))
		return 0;
	ret = tree_at(fs->tree, dir->tree, (uint64_t)(off - DOTS), &pos);
	while (ret == 1) {
		entry = tree_entry(&pos);
		memcpy(name, entry->name, entry->namelen);
		name[entry->namelen] = '\0';
		ops_fill(dir, &pos, &e);
		if (pos.ordinal >= UINT32_MAX)
			ret = -FIRN_ETOOBIG;
		if (ret < 0 || !listing_add(l, name, &e,
		    (off_t)pos.ordinal + DOTS + 1))
			break;
		*told += (uint64_t)l->plus;
		ret = tree_next(fs->tree, dir->tree, &pos);
	}
	tree_pos_release(fs->tree, &pos);
	dirs_count(fs->dirs, dir->number, *told);
	/* What came before the failure is shown; the next call meets it. */
	return ret < 0 && l->used == 0 ? ret : 0;
}

static void
list_generation(struct firnfs *fs, struct listing *l, fuse_ino_t node,
    off_t off)
{
	struct dir_rec dir;
	struct request r;
	uint64_t told = 0;
	int err, taken = 0;

	request_begin(&r, fs->watch, l->req);
	err = resolve_dir(fs, node, &dir);
	if (err != 0) {
		ops_reply_err(&r, resolve_failed(fs, node, "list", err));
		return;
	}
	err = list_entries(fs, l, &dir, off, &told);
	if (err == 0 && l->plus && l->used == 0)
		push_listed(fs, &dir);
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node, "list", err));
	else if (request_end(&r))
		taken = fuse_reply_buf(l->req, l->buf, l->used) == 0;
	dirs_drop(fs->dirs, dir.number, taken ? 1 : told + 1);
}

static void
list(fuse_req_t req, fuse_ino_t node, size_t size, off_t off, int plus)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct listing l = { .req = req, .plus = plus, .size = size };
	struct vnode_info info;

	l.buf = loop_buffer(size);
	if (l.buf == NULL || off < 0) {
		fuse_reply_err(req, l.buf == NULL ? ENOMEM : EINVAL);
		return;
	}
	if (node_dir(node) != 0) {
		list_generation(fs, &l, node, off);
		return;
	}
	if (!vtree_info(fs->vtree, (uint32_t)node, &info)) {
		fuse_reply_err(req, ESTALE);
	} else if (info.kind == VNODE_GEN) {
		list_generation(fs, &l, node, off);
	} else if (info.kind != VNODE_DIR) {
		fuse_reply_err(req, ENOTDIR);
	} else {
		refresh_wanted(fs->refresh);
		list_virtual(fs, &l, info.number, off);
		fuse_reply_buf(req, l.buf, l.used);
	}
}

void
ops_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, off, 0);
}

void
ops_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, off, 1);
}
