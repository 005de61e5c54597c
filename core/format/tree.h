/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree nodes: pages of directories, and lists of a file's extents.  Pure
 * encoders and decoders of single blocks; core/repo/tree_* builds and walks
 * whole directories with them.
 *
 * A directory is a sequence of entries ordered by name (as bytes), cut into
 * leaf pages, with branch pages above when there is more than one leaf.
 *
 *	page	u8 version (1); u8 level (0 leaf); varint count; then
 *	leaf	entries (below)
 *	branch	children, at least one: str first name below it; 32-byte id;
 *		varint entries below it, > 0
 *
 *	entry	str name (1..255 bytes, no 0 and no '/', not "." or "..");
 *		varint flags (enum entry_flag); varint mode (with S_IFMT);
 *		varint uid; varint gid; mtime and ctime: varint zigzag seconds,
 *		varint nanoseconds; varint ino; then as flags say, in the order
 *		of the enum.
 *
 *	extents	of a file, in order, together its size:
 *		varint (length << 1 | hole); 32-byte block id unless a hole.
 *		length > 0; no two holes adjacent.
 *	list	(a block of its own) u8 version (1); u8 level; varint count, 1
 *		to LIST_MAX; level 0: extents; above: varint length covered,
 *		32-byte id
 *
 * Where pages are cut: after an entry (or child) when the page has at least
 * TREE_PAGE_MIN bytes and the low 32 bits of HMAC(keys->tree_cut, u8 level ||
 * name) are below TREE_PAGE_CUT, or when the next would take it past
 * TREE_PAGE_MAX.  Lists: after an extent when there are at least LIST_MIN and
 * the first 2 bytes of its id as a number are below LIST_CUT (a hole never
 * cuts), or at LIST_MAX.
 */
#ifndef FIRN_FORMAT_TREE_H
#define FIRN_FORMAT_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "format/format.h"

#define TREE_NAME_MAX		255
#define TREE_PAGE_MIN		(16u << 10)
#define TREE_PAGE_MAX		(64u << 10)
/* An entry may be larger than TREE_PAGE_MAX only up to this. */
#define TREE_ENTRY_MAX		(256u << 10)
/* Cut with probability 1/64 an entry once past the minimum: at 100 to 250
 * bytes an entry, pages of 24 to 32 KiB. */
#define TREE_PAGE_CUT		(UINT32_MAX / 64)
#define TREE_LEVEL_MAX		8	/* levels are below it */

#define LIST_MIN		128
#define LIST_MAX		2048
#define LIST_CUT		128	/* of 65536: one in 512 */

/* Extents kept in the entry itself; more go to a list. */
#define TREE_EXTENTS_INLINE	8
/* Encoded xattrs kept in the entry itself; more bytes go to a block. */
#define TREE_XATTR_INLINE	1024
#define TREE_XATTR_MAX		(32u << 20)
#define TREE_XATTR_VALUE_MAX	(64u << 10)
/* What a reader takes; a repository's config says what is written. */
#define TREE_INLINE_MAX		(16u << 10)
#define TREE_TARGET_MAX		4095

enum entry_flag {
	ENTRY_BTIME	= 1u << 0,	/* as mtime */
	ENTRY_SIZE	= 1u << 1,	/* varint size: regular files */
	ENTRY_LINKS	= 1u << 2,	/* varint nlink, varint file system
					   number: regular and special files
					   with more than one name; (file
					   system, ino) is the link group */
	ENTRY_RDEV	= 1u << 3,	/* varint major, varint minor */
	ENTRY_SYMLINK	= 1u << 4,	/* str target, 1..4095 bytes */
	ENTRY_XATTR	= 1u << 5,	/* str encoded xattrs */
	ENTRY_XATTR_ID	= 1u << 6,	/* 32-byte id of a BLOCK_XATTR */
	ENTRY_INLINE	= 1u << 7,	/* str contents; length is size */
	ENTRY_EXTENTS	= 1u << 8,	/* varint count, extents */
	ENTRY_LIST	= 1u << 9,	/* 32-byte id of a BLOCK_LIST */
	ENTRY_SUBTREE	= 1u << 10,	/* 32-byte id of a BLOCK_TREE; varint
					   directories in it; totals below:
					   varint files, dirs, bytes */
	ENTRY_ATTRS	= 1u << 11,	/* varint inode flags
					   (FS_IOC_GETFLAGS) */
	ENTRY_PARTIAL	= 1u << 12,	/* contents changed or failed while
					   read; what is here is not complete */
	ENTRY_HOLES	= 1u << 13	/* varint bytes of the file that lie in
					   holes, > 0, <= size: for st_blocks */
};
#define ENTRY_FLAGS_KNOWN	((1u << 14) - 1)
/*
 * What encoder and decoder hold every entry to, besides the ranges above:
 * - mode has one of the seven types and no bits above 0177777; nanoseconds
 *   are below 10^9; sizes are below 2^63;
 * - SIZE stands on regular files and only there; as do SYMLINK on symlinks,
 *   RDEV on devices, SUBTREE on directories (of an empty page when they are
 *   empty or could not be read);
 * - LINKS: not on directories; nlink at least 2;
 * - INLINE, EXTENTS, LIST, HOLES: regular files.  One of the first three, or
 *   none when the size is 0.  INLINE has no HOLES.  Extents together are
 *   `size`, holes among them together `holes`, 1 to TREE_EXTENTS_INLINE;
 *   LIST has a size above 0;
 * - PARTIAL: regular files and directories;
 * - XATTR and XATTR_ID exclude each other; XATTR holds 1 to
 *   TREE_XATTR_INLINE bytes that pass xattr_check();
 * - subdirs is at most dirs.
 */

/* One piece of a file. */
struct extent {
	uint64_t len;
	int hole;
	uint8_t id[BLOCK_ID_SIZE];	/* unless a hole */
};

/* Pointers of a decoded entry point into the page that it was decoded from. */
struct entry {
	const char *name;		/* not NUL-terminated */
	size_t namelen;
	uint32_t flags;			/* enum entry_flag */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	struct timespec mtime;
	struct timespec ctime;
	struct timespec btime;
	uint64_t ino;
	uint64_t size;
	uint32_t nlink;
	uint32_t fsno;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	const char *target;		/* symlink */
	size_t targetlen;
	const uint8_t *xattr;		/* encoded, xattr_next() */
	size_t xattrlen;
	uint8_t xattr_id[BLOCK_ID_SIZE];
	const uint8_t *inl;		/* inline contents; size bytes */
	const uint8_t *extents;		/* encoded, extent_next() */
	size_t extentslen;
	uint32_t nextents;
	uint8_t list_id[BLOCK_ID_SIZE];
	uint8_t tree_id[BLOCK_ID_SIZE];
	uint64_t subdirs;		/* directories right in it */
	uint64_t files, dirs, bytes;	/* totals below it */
	uint32_t attrs;
	uint64_t holes;			/* bytes in holes */
};

/* Append an entry.  -EINVAL, and nothing appended, when it breaks a rule
 * above. */
int entry_encode(const struct entry *e, struct buf *out);
/* Total; the caller's reader stands behind the entry afterwards, or is bad.
 * So for all *_decode(struct rd *) here. */
int entry_decode(struct rd *r, struct entry *out);

/* A decoded page header; entries or children follow in `r`. */
struct page {
	unsigned level;
	uint64_t count;
	struct rd r;
};
/* Checks that the count can be: no entry is looked at.  A version that is not
 * known is -FIRN_EVERSION, also from list_decode and the checks. */
int page_decode(const void *data, size_t len, struct page *out);
/* Bytes that page_header_encode will take are at most this. */
#define PAGE_HEADER_MAX 12
int page_header_encode(unsigned level, uint64_t count, struct buf *out);

struct page_child {
	const char *name;	/* first name below, in the page */
	size_t namelen;
	uint8_t id[BLOCK_ID_SIZE];
	uint64_t entries;	/* below it, all levels down */
};
int page_child_encode(const struct page_child *c, struct buf *out);
int page_child_decode(struct rd *r, struct page_child *out);

int extent_encode(const struct extent *x, struct buf *out);
int extent_decode(struct rd *r, struct extent *out);

struct list {
	unsigned level;
	uint64_t count;
	struct rd r;
};
int list_header_encode(unsigned level, uint64_t count, struct buf *out);
int list_decode(const void *data, size_t len, struct list *out);
struct list_child {
	uint64_t len;
	uint8_t id[BLOCK_ID_SIZE];
};
int list_child_encode(const struct list_child *c, struct buf *out);
int list_child_decode(struct rd *r, struct list_child *out);

/*
 * Extended attributes: a str name and a str value each, ordered by name, no
 * name twice; names 1..255 bytes without 0, values up to 64 KiB.
 */
struct xattr {
	const char *name;	/* not NUL-terminated */
	size_t namelen;
	const uint8_t *value;
	size_t len;
};
int xattr_encode(const struct xattr *x, struct buf *out);
int xattr_decode(struct rd *r, struct xattr *out);

/* -FIRN_ECORRUPT unless a whole page, list or (not empty) set of xattrs
 * decodes, in order and with nothing behind it.  What a reader checks once, so
 * that walking it later cannot fail. */
int page_check(const void *data, size_t len);
int list_check(const void *data, size_t len);
int xattr_check(const void *data, size_t len);

/* Compare names as the format orders them. */
int tree_name_cmp(const char *a, size_t alen, const char *b, size_t blen);

#endif
