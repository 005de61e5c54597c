/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of directories.
 *
 * Encoder and decoder share entry_valid(), so that what is refused when it is
 * read could not have been written.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "format/tree_internal.h"

#define FLAGS_ALL	(ENTRY_BTIME | ENTRY_XATTR | ENTRY_XATTR_ID | \
			 ENTRY_ATTRS)
#define FLAGS_CONTENTS	(ENTRY_INLINE | ENTRY_EXTENTS | ENTRY_LIST)

/* Which flags an entry of a type must and may have. */
static const struct type_flags {
	uint32_t type;
	uint32_t must;
	uint32_t may;
} type_flags[] = {
	{ S_IFREG, ENTRY_SIZE, FLAGS_ALL | FLAGS_CONTENTS | ENTRY_LINKS |
	    ENTRY_PARTIAL | ENTRY_HOLES },
	{ S_IFDIR, ENTRY_SUBTREE, FLAGS_ALL | ENTRY_PARTIAL },
	{ S_IFLNK, ENTRY_SYMLINK, FLAGS_ALL | ENTRY_LINKS },
	{ S_IFCHR, ENTRY_RDEV, FLAGS_ALL | ENTRY_LINKS },
	{ S_IFBLK, ENTRY_RDEV, FLAGS_ALL | ENTRY_LINKS },
	{ S_IFIFO, 0, FLAGS_ALL | ENTRY_LINKS },
	{ S_IFSOCK, 0, FLAGS_ALL | ENTRY_LINKS }
};

static int
flags_valid(uint32_t mode, uint32_t flags)
{
	const struct type_flags *t;
	size_t i;

	if (mode > (S_IFMT | 07777))
		return 0;
	for (i = 0; i < sizeof(type_flags) / sizeof(type_flags[0]); i++) {
		t = &type_flags[i];
		if ((mode & S_IFMT) == t->type)
			return (flags & t->must) == t->must &&
			    (flags & ~(t->must | t->may)) == 0;
	}
	return 0;
}

static int
time_valid(const struct timespec *t)
{
	return t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

/* Contents of a regular file; size and holes as its extents say. */
static int
contents_valid(const struct entry *e, uint64_t size, uint64_t holes)
{
	uint32_t contents = e->flags & FLAGS_CONTENTS;

	if (e->size > TREE_SIZE_MAX)
		return 0;
	if ((e->flags & ENTRY_HOLES) && (e->holes == 0 || e->holes > e->size))
		return 0;
	switch (contents) {
	case 0:
		return e->size == 0 && !(e->flags & ENTRY_HOLES);
	case ENTRY_INLINE:
		return e->size <= TREE_INLINE_MAX && !(e->flags & ENTRY_HOLES);
	case ENTRY_EXTENTS:
		return e->size == size && holes == (e->flags & ENTRY_HOLES ?
		    e->holes : 0) && e->nextents >= 1 &&
		    e->nextents <= TREE_EXTENTS_INLINE;
	case ENTRY_LIST:
		return e->size > 0;
	default:
		return 0;	/* two kinds of contents */
	}
}

/* What lies behind the flags, but for contents. */
static int
parts_valid(const struct entry *e)
{
	uint32_t xattr = e->flags & (ENTRY_XATTR | ENTRY_XATTR_ID);

	if ((e->flags & ENTRY_BTIME) && !time_valid(&e->btime))
		return 0;
	if ((e->flags & ENTRY_LINKS) && e->nlink < 2)
		return 0;
	if ((e->flags & ENTRY_SYMLINK) && (e->targetlen < 1 ||
	    e->targetlen > TREE_TARGET_MAX ||
	    memchr(e->target, 0, e->targetlen) != NULL))
		return 0;
	if (xattr == (ENTRY_XATTR | ENTRY_XATTR_ID))
		return 0;
	if ((e->flags & ENTRY_XATTR) && (e->xattrlen < 1 ||
	    e->xattrlen > TREE_XATTR_INLINE ||
	    xattr_check(e->xattr, e->xattrlen) != 0))
		return 0;
	return !(e->flags & ENTRY_SUBTREE) || e->subdirs <= e->dirs;
}

static int
entry_valid(const struct entry *e, uint64_t size, uint64_t holes)
{
	return tree_name_valid(e->name, e->namelen) &&
	    flags_valid(e->mode, e->flags) &&
	    time_valid(&e->mtime) && time_valid(&e->ctime) &&
	    parts_valid(e) &&
	    (!S_ISREG(e->mode) || contents_valid(e, size, holes));
}

static void
time_encode(const struct timespec *t, struct buf *out)
{
	buf_add_varint(out, zigzag(t->tv_sec));
	buf_add_varint(out, (uint64_t)t->tv_nsec);
}

static void
time_decode(struct rd *r, struct timespec *out)
{
	out->tv_sec = (time_t)unzigzag(rd_varint(r));
	out->tv_nsec = (long)rd_varint_max(r, 999999999);
}

static void
optional_encode(const struct entry *e, struct buf *out)
{
	if (e->flags & ENTRY_BTIME)
		time_encode(&e->btime, out);
	if (e->flags & ENTRY_SIZE)
		buf_add_varint(out, e->size);
	if (e->flags & ENTRY_LINKS) {
		buf_add_varint(out, e->nlink);
		buf_add_varint(out, e->fsno);
	}
	if (e->flags & ENTRY_RDEV) {
		buf_add_varint(out, e->rdev_major);
		buf_add_varint(out, e->rdev_minor);
	}
	if (e->flags & ENTRY_SYMLINK)
		buf_add_str(out, e->target, e->targetlen);
	if (e->flags & ENTRY_XATTR)
		buf_add_str(out, e->xattr, e->xattrlen);
	if (e->flags & ENTRY_XATTR_ID)
		buf_add(out, e->xattr_id, BLOCK_ID_SIZE);
	if (e->flags & ENTRY_INLINE)
		buf_add_str(out, e->inl, (size_t)e->size);
	if (e->flags & ENTRY_EXTENTS) {
		buf_add_varint(out, e->nextents);
		buf_add(out, e->extents, e->extentslen);
	}
	if (e->flags & ENTRY_LIST)
		buf_add(out, e->list_id, BLOCK_ID_SIZE);
	if (e->flags & ENTRY_SUBTREE) {
		buf_add(out, e->tree_id, BLOCK_ID_SIZE);
		buf_add_varint(out, e->subdirs);
		buf_add_varint(out, e->files);
		buf_add_varint(out, e->dirs);
		buf_add_varint(out, e->bytes);
	}
	if (e->flags & ENTRY_ATTRS)
		buf_add_varint(out, e->attrs);
	if (e->flags & ENTRY_HOLES)
		buf_add_varint(out, e->holes);
}

int
entry_encode(const struct entry *e, struct buf *out)
{
	uint64_t size = 0, holes = 0;
	struct rd r;

	if (e->flags & ENTRY_EXTENTS) {
		r = rd_init(e->extents, e->extentslen);
		extents_walk(&r, e->nextents, &size, &holes);
		if (rd_bad(&r) || rd_left(&r) != 0)
			return -EINVAL;
	}
	if (!entry_valid(e, size, holes))
		return -EINVAL;
	buf_add_str(out, e->name, e->namelen);
	buf_add_varint(out, e->flags);
	buf_add_varint(out, e->mode);
	buf_add_varint(out, e->uid);
	buf_add_varint(out, e->gid);
	time_encode(&e->mtime, out);
	time_encode(&e->ctime, out);
	buf_add_varint(out, e->ino);
	optional_encode(e, out);
	return buf_err(out);
}

static void
contents_decode(struct rd *r, struct entry *e, uint64_t *size,
    uint64_t *holes)
{
	size_t len;

	if (e->flags & ENTRY_INLINE) {
		e->inl = rd_str(r, TREE_INLINE_MAX, &len);
		if (!rd_bad(r) && len != e->size)
			r->bad = 1;
	}
	if (e->flags & ENTRY_EXTENTS) {
		e->nextents = (uint32_t)rd_varint_max(r, TREE_EXTENTS_INLINE);
		e->extents = r->p;
		extents_walk(r, e->nextents, size, holes);
		e->extentslen = (size_t)(r->p - e->extents);
	}
	if (e->flags & ENTRY_LIST)
		rd_copy(r, e->list_id, BLOCK_ID_SIZE);
}

static void
optional_decode(struct rd *r, struct entry *e, uint64_t *size,
    uint64_t *holes)
{
	if (e->flags & ENTRY_BTIME)
		time_decode(r, &e->btime);
	if (e->flags & ENTRY_SIZE)
		e->size = rd_varint_max(r, TREE_SIZE_MAX);
	if (e->flags & ENTRY_LINKS) {
		e->nlink = (uint32_t)rd_varint_max(r, UINT32_MAX);
		e->fsno = (uint32_t)rd_varint_max(r, UINT32_MAX);
	}
	if (e->flags & ENTRY_RDEV) {
		e->rdev_major = (uint32_t)rd_varint_max(r, UINT32_MAX);
		e->rdev_minor = (uint32_t)rd_varint_max(r, UINT32_MAX);
	}
	if (e->flags & ENTRY_SYMLINK)
		e->target = (const char *)rd_str(r, TREE_TARGET_MAX,
		    &e->targetlen);
	if (e->flags & ENTRY_XATTR)
		e->xattr = rd_str(r, TREE_XATTR_INLINE, &e->xattrlen);
	if (e->flags & ENTRY_XATTR_ID)
		rd_copy(r, e->xattr_id, BLOCK_ID_SIZE);
	contents_decode(r, e, size, holes);
	if (e->flags & ENTRY_SUBTREE) {
		rd_copy(r, e->tree_id, BLOCK_ID_SIZE);
		e->subdirs = rd_varint(r);
		e->files = rd_varint(r);
		e->dirs = rd_varint(r);
		e->bytes = rd_varint(r);
	}
	if (e->flags & ENTRY_ATTRS)
		e->attrs = (uint32_t)rd_varint_max(r, UINT32_MAX);
	if (e->flags & ENTRY_HOLES)
		e->holes = rd_varint_max(r, TREE_SIZE_MAX);
}

int
entry_decode(struct rd *r, struct entry *out)
{
	uint64_t size = 0, holes = 0;

	memset(out, 0, sizeof(*out));
	out->name = (const char *)rd_str(r, TREE_NAME_MAX, &out->namelen);
	out->flags = (uint32_t)rd_varint_max(r, ENTRY_FLAGS_KNOWN);
	out->mode = (uint32_t)rd_varint_max(r, S_IFMT | 07777);
	out->uid = (uint32_t)rd_varint_max(r, UINT32_MAX);
	out->gid = (uint32_t)rd_varint_max(r, UINT32_MAX);
	time_decode(r, &out->mtime);
	time_decode(r, &out->ctime);
	out->ino = rd_varint(r);
	optional_decode(r, out, &size, &holes);
	if (rd_bad(r) || !entry_valid(out, size, holes)) {
		r->bad = 1;
		return -FIRN_ECORRUPT;
	}
	return 0;
}
