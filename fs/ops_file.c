/* SPDX-License-Identifier: Apache-2.0 */
/* Contents and extended attributes. */
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "fs/cold.h"
#include "fs/files.h"
#include "fs/loop.h"
#include "fs/ops_internal.h"
#include "fs/push.h"
#include "fs/status.h"

#define XATTRS_MAX	(TREE_XATTR_MAX + 1)

/* 1 when nothing of it ever changes. */
static int
is_constant(struct firnfs *fs, fuse_ino_t node)
{
	struct vnode_info info;

	return node_dir(node) != 0 || (vtree_info(fs->vtree, (uint32_t)node,
	    &info) && info.kind == VNODE_GEN);
}

/* See ops.h.  Kernels that do not take ENOSYS get files opened. */
void
ops_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct firnfs *fs = fuse_req_userdata(req);

	if (fs->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = is_constant(fs, node) != 0;
	fuse_reply_open(req, fi);
}

void
ops_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct firnfs *fs = fuse_req_userdata(req);

	if (fs->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (is_constant(fs, node)) {
		fi->keep_cache = 1;
		fi->cache_readdir = 1;
	}
	fuse_reply_open(req, fi);
}

static void
read_text(struct firnfs *fs, fuse_req_t req, fuse_ino_t node, size_t size,
    off_t off)
{
	struct buf text = BUF_INIT(size);
	struct vnode_info info;
	int err = -EINVAL;

	if (vtree_info(fs->vtree, (uint32_t)node, &info) &&
	    info.kind == VNODE_TEXT)
		err = status_read(fs, info.text, (uint64_t)off, size, &text);
	if (err != 0)
		fuse_reply_err(req, errors_errno(err));
	else
		fuse_reply_buf(req, (char *)text.data, text.len);
	buf_release(&text);
}

/* What takes more pieces than one reply can have is copied together. */
static int
read_copied(struct firnfs *fs, struct request *r, fuse_ino_t node, size_t size,
    off_t off)
{
	char *buf = loop_buffer(size);
	size_t got;
	int err;

	err = buf == NULL ? -ENOMEM : files_read(fs, node, (uint64_t)off, buf,
	    size, &got);
	if (err == 0 && request_end(r))
		fuse_reply_buf(r->req, buf, got);
	return err;
}

void
ops_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct files_pieces pieces;
	struct request r;
	int err;

	(void)fi;
	if (off < 0) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (node_dir(node) == 0) {
		read_text(fs, req, node, size, off);
		return;
	}
	push_begin(fs->push, node);
	request_begin(&r, fs->watch, req);
	err = files_pieces(fs, node, (uint64_t)off, size, &pieces);
	if (err == 0) {
		if (off == 0)
			push_after(fs, node, pieces.size, pieces.size <= size);
		if (request_end(&r))
			fuse_reply_iov(req, pieces.p.iov, (int)pieces.p.n);
		files_pieces_put(fs, &pieces);
	} else if (err == -E2BIG) {
		err = read_copied(fs, &r, node, size, off);
	}
	if (err == -FIRN_ECOLD &&
	    cold_read(fs, &r, node, size, (uint64_t)off))
		err = 0;
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node, "read", err));
	push_end(fs->push, node);
}

/* Only SEEK_DATA and SEEK_HOLE come here. */
void
ops_lseek(fuse_req_t req, fuse_ino_t node, off_t off, int whence,
    struct fuse_file_info *fi)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct request r;
	uint64_t where;
	int err;

	(void)fi;
	if ((whence != SEEK_DATA && whence != SEEK_HOLE) || off < 0) {
		fuse_reply_err(req, off < 0 ? ENXIO : EINVAL);
		return;
	}
	request_begin(&r, fs->watch, req);
	if (node_dir(node) == 0)
		err = files_seek_text(fs, (uint32_t)node, (uint64_t)off,
		    whence == SEEK_HOLE, &where);
	else
		err = files_seek(fs, node, (uint64_t)off, whence == SEEK_HOLE,
		    &where);
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node, "seek in", err));
	else if (request_end(&r))
		fuse_reply_lseek(req, (off_t)where);
}

/* The encoded attributes of any node. */
static int
xattrs_load(struct firnfs *fs, fuse_ino_t node, struct buf *out)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct vnode_info info;
	struct dir_rec dir;
	int err;

	if (node_dir(node) == 0)
		return vtree_info(fs->vtree, (uint32_t)node, &info) &&
		    info.gen != NULL && info.gen->has_attr ?
		    tree_xattrs(fs->tree, &info.gen->attr, out) : 0;
	err = resolve_entry(fs, node, &pos, &dir);
	if (err != 0)
		return err;
	err = tree_xattrs(fs->tree, tree_entry(&pos), out);
	tree_pos_release(fs->tree, &pos);
	return err;
}

/* As on ext4, where they show to CAP_SYS_ADMIN only. */
static int
is_hidden(const struct xattr *x, fuse_req_t req)
{
	static const char trusted[] = "trusted.";
	size_t len = sizeof(trusted) - 1;

	return fuse_req_ctx(req)->uid != 0 && x->namelen >= len &&
	    memcmp(x->name, trusted, len) == 0;
}

/* size 0 asks how much room is needed. */
static void
reply_sized(struct request *r, size_t size, const void *data, size_t len)
{
	if (!request_end(r))
		return;
	if (size == 0)
		fuse_reply_xattr(r->req, len);
	else if (len > size)
		fuse_reply_err(r->req, ERANGE);
	else
		fuse_reply_buf(r->req, data, len);
}

void
ops_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct buf all = BUF_INIT(XATTRS_MAX);
	size_t len = strlen(name);
	struct request r;
	struct xattr x;
	struct rd rd;
	int err, found = 0;

	request_begin(&r, fs->watch, req);
	err = cold_xattr(fs, node, name, &all);
	if (err == 1) {
		reply_sized(&r, size, all.data, all.len);
		buf_release(&all);
		return;
	}
	if (err == 0)
		err = xattrs_load(fs, node, &all);
	rd = rd_init(all.data, all.len);
	while (err == 0 && !found && rd_left(&rd) > 0) {
		err = xattr_decode(&rd, &x);
		found = err == 0 && x.namelen == len &&
		    memcmp(x.name, name, len) == 0 && !is_hidden(&x, req);
	}
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node,
		    "read extended attributes of", err));
	else if (found)
		reply_sized(&r, size, x.value, x.len);
	else
		ops_reply_err(&r, ENODATA);
	buf_release(&all);
}

/* The one control that there is: of .firn/cold, by who owns the mount. */
void
ops_ioctl(fuse_req_t req, fuse_ino_t node, unsigned cmd, void *arg,
    struct fuse_file_info *fi, unsigned flags, const void *in, size_t insize,
    size_t outsize)
{
	struct firnfs *fs = fuse_req_userdata(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct vnode_info info;
	uint32_t mode;

	(void)arg;
	(void)fi;
	(void)flags;
	(void)outsize;
	if (cmd != (unsigned)COLD_IOCTL || node_dir(node) != 0 ||
	    !vtree_info(fs->vtree, (uint32_t)node, &info) ||
	    info.kind != VNODE_TEXT || info.text != VTEXT_COLD) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (uid != 0 && uid != fs->uid) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if (insize != sizeof(mode)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	memcpy(&mode, in, sizeof(mode));
	if (mode >= COLD_MODES) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	cold_set_mode(fs->cold, (enum cold_mode)mode);
	fuse_reply_ioctl(req, 0, NULL, 0);
}

void
ops_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct firnfs *fs = fuse_req_userdata(req);
	struct buf all = BUF_INIT(XATTRS_MAX), names = BUF_INIT(XATTRS_MAX);
	struct request r;
	struct xattr x;
	struct rd rd;
	int err;

	request_begin(&r, fs->watch, req);
	err = xattrs_load(fs, node, &all);
	rd = rd_init(all.data, all.len);
	while (err == 0 && rd_left(&rd) > 0) {
		err = xattr_decode(&rd, &x);
		if (err == 0 && !is_hidden(&x, req)) {
			buf_add(&names, x.name, x.namelen);
			err = buf_add_u8(&names, 0);
		}
	}
	if (err != 0)
		ops_reply_err(&r, resolve_failed(fs, node,
		    "list extended attributes of", err));
	else
		reply_sized(&r, size, names.data, names.len);
	buf_release(&all);
	buf_release(&names);
}
