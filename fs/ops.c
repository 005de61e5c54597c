/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about nodes, and the table of all. */
#include <string.h>
#include <sys/eventfd.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/ops.h"
#include "fs/ops_internal.h"
#include "fs/refresh.h"
#include "fs/status.h"

/*
 * Requests that read ahead, and all reads through the page cache are such: from
 * so many on the kernel reads ahead no more.  That many more may be waiting for
 * archived data (fs/cold.h), which must not keep others from being asked.
 */
#define READ_AHEAD_MAX	48
#define BACKGROUND_MAX	1024

void
ops_reply_err(struct request *r, int error)
{
	if (request_end(r))
		fuse_reply_err(r->req, error);
}

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned want = FUSE_CAP_READDIRPLUS |
	    FUSE_CAP_ASYNC_READ | FUSE_CAP_AUTO_INVAL_DATA |
	    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
	    FUSE_CAP_POSIX_ACL;
	/* ASYNC_DIO: who reads with O_DIRECT then waits in the kernel without
	 * an ear for signals, SIGKILL too. */
	static const unsigned refuse = FUSE_CAP_READDIRPLUS_AUTO |
	    FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_ASYNC_DIO |
	    FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
	    FUSE_CAP_SPLICE_MOVE;
	struct firnfs *fs = userdata;

	conn->want |= want & conn->capable;
	conn->want &= ~refuse;
	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = READ_AHEAD_MAX;
	fs->no_open = (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
	fs->no_opendir = (conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
	eventfd_write(fs->ready_fd, 1);
}

void
ops_fill_virtual(struct firnfs *fs, const struct vnode_info *info,
    struct fuse_entry_param *out)
{
	memset(out, 0, sizeof(*out));
	out->ino = info->number;
	out->entry_timeout = MOMENT;
	out->attr_timeout = info->kind == VNODE_DIR ? MOMENT :
	    info->kind == VNODE_TEXT ? 0 : FOREVER;
	resolve_stat_virtual(fs, info, &out->attr);
}

void
ops_fill(const struct dir_rec *dir, const struct tree_pos *pos,
    struct fuse_entry_param *out)
{
	memset(out, 0, sizeof(*out));
	out->ino = node_make(dir->number, pos->ordinal);
	out->generation = dir->epoch;
	out->entry_timeout = FOREVER;
	out->attr_timeout = FOREVER;
	resolve_stat(dir, pos, &out->attr);
}

/* 1 when it was answered, 0 when node is a directory of a generation. */
static int
lookup_virtual(struct firnfs *fs, fuse_req_t req, fuse_ino_t node,
    const char *name, size_t len)
{
	struct fuse_entry_param e;
	struct vnode_info info;

	if (!vtree_info(fs->vtree, (uint32_t)node, &info)) {
		fuse_reply_err(req, ESTALE);
		return 1;
	}
	if (info.kind == VNODE_GEN)
		return 0;
	refresh_wanted(fs->refresh);
	if (info.kind != VNODE_DIR) {
		fuse_reply_err(req, ENOTDIR);
	} else if (!vtree_find(fs->vtree, info.number, name, len, &info)) {
		fuse_reply_err(req, ENOENT);
	} else {
		ops_fill_virtual(fs, &info, &e);
		fuse_reply_entry(req, &e);
	}
	return 1;
}

/* An entry counts from before it is told of until the kernel forgets it, or
 * until it turns out that nobody took the answer. */
static void
lookup_reply(struct firnfs *fs, struct request *r, const struct dir_rec *dir,
    const struct tree_pos *pos)
{
	struct fuse_entry_param e;

	ops_fill(dir, pos, &e);
	dirs_count(fs->dirs, dir->number, 1);
	if (!request_end(r) || fuse_reply_entry(r->req, &e) != 0)
		dirs_drop(fs->dirs, dir->number, 1);
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	static const struct fuse_entry_param none = {
	    .entry_timeout = FOREVER };
	struct firnfs *fs = fuse_req_userdata(req);
	struct tree_pos pos = TREE_POS_INIT;
	size_t len = strlen(name);
	struct dir_rec dir;
	struct request r;
	int ret;

	if (len > TREE_NAME_MAX) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	if (node_dir(parent) == 0 &&
	    lookup_virtual(fs, req, parent, name, len))
		return;
	request_begin(&r, fs->watch, req);
	ret = resolve_dir(fs, parent, &dir);
	if (ret != 0) {
		ops_reply_err(&r, resolve_failed(fs, parent, "look into",
		    ret));
		return;
	}
	ret = tree_find(fs->tree, dir.tree, name, len, &pos);
	if (ret == 1 && pos.ordinal >= UINT32_MAX)
		ret = -FIRN_ETOOBIG;
	if (ret == 1)
		lookup_reply(fs, &r, &dir, &pos);
	else if (ret < 0)
		ops_reply_err(&r, resolve_failed(fs, parent, "look into",
		    ret));
	else if (request_end(&r))
		fuse_reply_entry(req, &none);
	tree_pos_release(fs->tree, &pos);
	dirs_drop(fs->dirs, dir.number, 1);
}

static void
op_forget(fuse_req_t req, fuse_ino_t node, uint64_t nlookup)
{
	struct firnfs *fs = fuse_req_userdata(req);

	dirs_drop(fs->dirs, node_dir(node), nlookup);
	fuse_reply_none(req);
}

static void
op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *v)
{
	struct firnfs *fs = fuse_req_userdata(req);
	size_t i;

	for (i = 0; i < n; i++)
		dirs_drop(fs->dirs, node_dir(v[i].ino), v[i].nlookup);
	fuse_reply_none(req);
}

/* Times out as the attributes of an entry do. */
static void
getattr_virtual(struct firnfs *fs, fuse_req_t req, fuse_ino_t node)
{
	struct fuse_entry_param e;
	struct vnode_info info;

	if (!vtree_info(fs->vtree, (uint32_t)node, &info)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (info.kind == VNODE_DIR)
		refresh_wanted(fs->refresh);
	ops_fill_virtual(fs, &info, &e);
	fuse_reply_attr(req, &e.attr, e.attr_timeout);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct request r;
	struct stat st;
	int err;

	(void)fi;
	if (node_dir(node) == 0) {
		getattr_virtual(fs, req, node);
		return;
	}
	request_begin(&r, fs->watch, req);
	err = resolve_stat_node(fs, node, &st, NULL);
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node, "look at", err));
	else if (request_end(&r))
		fuse_reply_attr(req, &st, FOREVER);
}

static void
readlink_virtual(struct firnfs *fs, fuse_req_t req, fuse_ino_t node)
{
	struct buf target = BUF_INIT(8192);

	if (vtree_target(fs->vtree, (uint32_t)node, &target) != 0)
		fuse_reply_err(req, EINVAL);
	else
		fuse_reply_readlink(req, (char *)target.data);
	buf_release(&target);
}

static void
op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct tree_pos pos = TREE_POS_INIT;
	char target[TREE_TARGET_MAX + 1];
	const struct entry *e;
	struct dir_rec dir;
	struct request r;
	int err;

	if (node_dir(node) == 0) {
		readlink_virtual(fs, req, node);
		return;
	}
	request_begin(&r, fs->watch, req);
	err = resolve_entry(fs, node, &pos, &dir);
	if (err == 0) {
		e = tree_entry(&pos);
		if (e->flags & ENTRY_SYMLINK) {
			memcpy(target, e->target, e->targetlen);
			target[e->targetlen] = '\0';
		} else {
			err = -EINVAL;
		}
		tree_pos_release(fs->tree, &pos);
	}
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node, "read the link",
		    err));
	else if (request_end(&r))
		fuse_reply_readlink(req, target);
}

/* Of the newest generation, as known here: nothing of it waits for S3. */
static void
op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct status_refresh now;
	struct statvfs vfs;

	(void)node;
	status_get_refresh(fs, &now);
	memset(&vfs, 0, sizeof(vfs));
	vfs.f_bsize = 4096;
	vfs.f_frsize = 4096;
	vfs.f_blocks = (now.bytes + 4095) / 4096;
	vfs.f_files = now.files;
	vfs.f_namemax = TREE_NAME_MAX;
	fuse_reply_statfs(req, &vfs);
}

const struct fuse_lowlevel_ops *
ops_table(void)
{
	static const struct fuse_lowlevel_ops ops = {
		.init = op_init,
		.lookup = op_lookup,
		.forget = op_forget,
		.forget_multi = op_forget_multi,
		.getattr = op_getattr,
		.readlink = op_readlink,
		.statfs = op_statfs,
		.open = ops_open,
		.opendir = ops_opendir,
		.read = ops_read,
		.readdir = ops_readdir,
		.readdirplus = ops_readdirplus,
		.lseek = ops_lseek,
		.getxattr = ops_getxattr,
		.listxattr = ops_listxattr,
		.ioctl = ops_ioctl,
	};

	return &ops;
}
