/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants that several stored forms share.  man/firn-format.5 is the
 * normative text; each encoder's header repeats its own layout.
 */
#ifndef FIRN_FORMAT_FORMAT_H
#define FIRN_FORMAT_FORMAT_H

#include <stdint.h>

#define FORMAT_VERSION		1

#define OBJECT_ID_SIZE		32	/* SHA-256 of an object's bytes */
#define BLOCK_ID_SIZE		32	/* HMAC-SHA256(K, type || content) */
#define BLOCK_ID_SHORT		16	/* what index segments keep of it */

/* Types of block; part of the id, so a block of one type never answers for
 * another. */
enum block_type {
	BLOCK_DATA = 1,		/* a piece of a file */
	BLOCK_TREE = 2,		/* a page of a directory */
	BLOCK_LIST = 3,		/* a page of a long file's extents */
	BLOCK_XATTR = 4		/* extended attributes too large to inline */
};

/* Which packs and segments a block goes to. */
enum pack_kind {
	PACK_DATA = 1,		/* file contents; may be cold */
	PACK_META = 2		/* all else; never cold */
};

static inline enum pack_kind
block_pack_kind(enum block_type type)
{
	return type == BLOCK_DATA ? PACK_DATA : PACK_META;
}

/* Ceilings that a reader enforces on every repository. */
#define FORMAT_BLOCK_MAX	(64u << 20)	/* plain bytes of one block */
#define FORMAT_FRAME_MAX	(65u << 20)	/* plain bytes of one frame */
#define FORMAT_PACK_MAX		(1u << 30)	/* bytes of a pack */
#define FORMAT_PACK_ALIGN	(64u << 10)	/* packs are whole multiples */
#define FORMAT_GRID		(1u << 20)	/* readers fetch whole cells */

#endif
