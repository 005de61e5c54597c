/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids, entries, attributes. */
#include <string.h>
#include <sys/sysmacros.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "fs/cold.h"
#include "fs/resolve.h"
#include "fs/status.h"

/*
 * cp and cat read 128 KiB and more at once whatever this is, and the kernel
 * reads ahead; kernels before 6.17 use it for the size of their own blocks
 * too, which must not be larger than a page.
 */
#define BLKSIZE		4096
#define BLOCK		512	/* unit of st_blocks */
#define DEPTH_MAX	256	/* of paths in messages */
/* So long a failure that repeats is not news, and a file that is archived. */
#define SEEN_SECONDS	10
#define SEEN_COLD_SECONDS 3600

int
resolve_entry(struct firnfs *fs, uint64_t node, struct tree_pos *pos,
    struct dir_rec *dir)
{
	int ret;

	if (node_dir(node) == 0 || !dirs_get(fs->dirs, node_dir(node), dir))
		return -ESTALE;
	ret = tree_at(fs->tree, dir->tree, node_ordinal(node), pos);
	if (ret == 1)
		return 0;
	return ret == 0 ? -ESTALE : ret;
}

static uint64_t
entry_ino(const struct dir_rec *dir, const struct tree_pos *pos)
{
	const struct entry *e = tree_entry(pos);

	if (e->flags & ENTRY_LINKS)
		return ino_linked(&dir->gen->key, e->fsno, e->ino);
	return ino_placed(&dir->gen->key, dir->ino, pos->ordinal);
}

/* What a new record of this directory holds. */
static int
describe_dir(struct firnfs *fs, uint64_t node, struct dir_rec *rec)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct vnode_info info;
	struct dir_rec parent;
	const struct entry *e;
	int err;

	memset(rec, 0, sizeof(*rec));
	rec->node = node;
	if (node_dir(node) == 0) {
		if (!vtree_info(fs->vtree, (uint32_t)node, &info))
			return -ESTALE;
		if (info.kind != VNODE_GEN)
			return -ENOTDIR;
		rec->ino = node;
		rec->gen = info.gen;
		memcpy(rec->tree, info.gen->root, sizeof(rec->tree));
		return 0;
	}
	err = resolve_entry(fs, node, &pos, &parent);
	if (err != 0)
		return err;
	e = tree_entry(&pos);
	if (S_ISDIR(e->mode)) {
		rec->ino = entry_ino(&parent, &pos);
		rec->gen = parent.gen;
		memcpy(rec->tree, e->tree_id, sizeof(rec->tree));
	} else {
		err = -ENOTDIR;
	}
	tree_pos_release(fs->tree, &pos);
	return err;
}

int
resolve_dir(struct firnfs *fs, uint64_t node, struct dir_rec *rec)
{
	int err;

	if (dirs_hold(fs->dirs, node, rec))
		return 0;
	err = describe_dir(fs, node, rec);
	return err == 0 ? dirs_make(fs->dirs, rec) : err;
}

/* All of it but the inode number. */
static void
stat_entry(const struct entry *e, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = e->mode;
	st->st_uid = e->uid;
	st->st_gid = e->gid;
	st->st_nlink = e->flags & ENTRY_LINKS ? e->nlink : 1;
	st->st_blksize = BLKSIZE;
	st->st_mtim = e->mtime;
	st->st_ctim = e->ctime;
	st->st_atim = e->mtime;
	if (S_ISDIR(e->mode)) {
		st->st_nlink = 2 + e->subdirs;
		st->st_size = BLKSIZE;
		st->st_blocks = BLKSIZE / BLOCK;
	} else if (S_ISREG(e->mode)) {
		st->st_size = (off_t)e->size;
		st->st_blocks = (blkcnt_t)((e->size -
		    (e->flags & ENTRY_HOLES ? e->holes : 0) + BLOCK - 1) /
		    BLOCK);
	} else if (S_ISLNK(e->mode)) {
		st->st_size = (off_t)e->targetlen;
	} else if (e->flags & ENTRY_RDEV) {
		st->st_rdev = makedev(e->rdev_major, e->rdev_minor);
	}
}

void
resolve_stat(const struct dir_rec *dir, const struct tree_pos *pos,
    struct stat *st)
{
	stat_entry(tree_entry(pos), st);
	st->st_ino = entry_ino(dir, pos);
}

/*
 * The root of a generation is in no directory.  Where its record says nothing
 * of it either, it gets what a root directory has.
 */
static void
stat_generation(const struct vnode_info *info, struct stat *st)
{
	if (info->gen->has_attr) {
		stat_entry(&info->gen->attr, st);
		st->st_ino = info->number;
		return;
	}
	st->st_mode = S_IFDIR | 0755;
	st->st_uid = 0;
	st->st_gid = 0;
	st->st_nlink = 1;	/* unknown, as on btrfs */
	st->st_mtim = st->st_ctim = st->st_atim = info->gen->end;
}

void
resolve_stat_virtual(struct firnfs *fs, const struct vnode_info *info,
    struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = info->number;
	st->st_uid = fs->uid;
	st->st_gid = fs->gid;
	st->st_nlink = 1;
	st->st_blksize = BLKSIZE;
	st->st_mtim = info->mtime;
	st->st_ctim = info->mtime;
	st->st_atim = info->mtime;
	switch (info->kind) {
	case VNODE_DIR:
		st->st_mode = S_IFDIR | 0555;
		st->st_nlink = 2 + info->subdirs;
		break;
	case VNODE_LINK:
		st->st_mode = S_IFLNK | 0777;
		st->st_size = (off_t)info->len;
		break;
	case VNODE_TEXT:
		/* Errors have names of files that not all may see. */
		st->st_mode = S_IFREG |
		    (info->text == VTEXT_ERRORS ? 0400 : 0444);
		status_size(fs, info->text, st);
		st->st_ctim = st->st_atim = st->st_mtim;
		break;
	case VNODE_GEN:
		stat_generation(info, st);
		break;
	}
}

int
resolve_stat_node(struct firnfs *fs, uint64_t node, struct stat *st,
    int *is_virtual)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct vnode_info info;
	struct dir_rec dir;
	int err;

	if (is_virtual != NULL)
		*is_virtual = node_dir(node) == 0;
	if (node_dir(node) == 0) {
		if (!vtree_info(fs->vtree, (uint32_t)node, &info))
			return -ESTALE;
		resolve_stat_virtual(fs, &info, st);
		return 0;
	}
	err = resolve_entry(fs, node, &pos, &dir);
	if (err != 0)
		return err;
	resolve_stat(&dir, &pos, st);
	tree_pos_release(fs->tree, &pos);
	return 0;
}

static void
path_name(struct firnfs *fs, uint64_t node, struct buf *out)
{
	struct tree_pos pos = TREE_POS_INIT;
	const struct entry *e;
	struct dir_rec dir;

	if (resolve_entry(fs, node, &pos, &dir) != 0) {
		buf_add(out, "/?", 2);
		return;
	}
	e = tree_entry(&pos);
	buf_add(out, "/", 1);
	buf_add(out, e->name, e->namelen);
	tree_pos_release(fs->tree, &pos);
}

/* The nodes from this one up to the virtual part, which is returned; 0 when the
 * way there is not known. */
static uint64_t
way_up(struct firnfs *fs, uint64_t node, uint64_t up[DEPTH_MAX],
    size_t *depth)
{
	struct dir_rec dir;

	*depth = 0;
	while (node_dir(node) != 0 && *depth < DEPTH_MAX) {
		up[(*depth)++] = node;
		if (!dirs_get(fs->dirs, node_dir(node), &dir))
			return 0;
		node = dir.node;
	}
	return node_dir(node) == 0 ? node : 0;
}

void
resolve_path(struct firnfs *fs, uint64_t node, struct buf *out)
{
	uint64_t up[DEPTH_MAX];
	size_t depth;

	node = way_up(fs, node, up, &depth);
	if (node != 0)
		vtree_path(fs->vtree, (uint32_t)node, out);
	else
		buf_add(out, "/?", 2);
	while (depth > 0)
		path_name(fs, up[--depth], out);
	if (out->len == 0)
		buf_add(out, "/", 1);
	buf_cstr(out);
}

const struct vgen *
resolve_inner(struct firnfs *fs, uint64_t node, struct buf *out)
{
	uint64_t up[DEPTH_MAX];
	struct vnode_info info;
	size_t depth;

	node = way_up(fs, node, up, &depth);
	if (node == 0 || !vtree_info(fs->vtree, (uint32_t)node, &info) ||
	    info.kind != VNODE_GEN)
		return NULL;
	while (depth > 0)
		path_name(fs, up[--depth], out);
	if (out->len == 0)
		buf_add(out, "/", 1);
	buf_cstr(out);
	return info.gen;
}

static int
is_answer(int err)
{
	switch (-err) {
	case 0:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ENXIO:
	case EINVAL:
	case ESTALE:
	case ENAMETOOLONG:
	case ERANGE:
	case EINTR:
	case EOPNOTSUPP:
		return 1;
	}
	return 0;
}

int
resolve_failed(struct firnfs *fs, uint64_t node, const char *what, int err)
{
	struct buf path = BUF_INIT(16384), text = BUF_INIT(20000);
	const char *block;
	unsigned seconds = SEEN_SECONDS;

	if (is_answer(err) || err == -ECANCELED || atomic_load(&fs->ending))
		return errors_errno(err);
	resolve_path(fs, node, &path);
	block = status_failed_block();
	if (err == -FIRN_ECOLD)
		block = "";		/* once a file, not a block */
	buf_printf(&text, "cannot %s '%s'%s%s", what,
	    path.data != NULL ? (char *)path.data : "?",
	    *block != '\0' ? ", " : "", block);
	if (err == -FIRN_ECOLD) {
		cold_advice(fs, node, &text);
		seconds = SEEN_COLD_SECONDS;
	}
	if (buf_cstr(&text) != NULL &&
	    errors_fresh(fs->errors, (char *)text.data, seconds))
		log_err(err, "%s", (char *)text.data);
	buf_release(&path);
	buf_release(&text);
	return errors_errno(err);
}
