/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index segments: which block is where.  Pure encoder and decoder.
 *
 *	prefix	(SEGMENT_PREFIX_SIZE bytes) magic "firnindx"; u16 version;
 *		u8 kind (as packs); u8 flags (0); u32 sealed length of the
 *		head; 16-byte salt.  Segment key = HKDF(keys->segment, salt,
 *		"firn segment").
 *	head	AES-256-GCM(segment key, nonce = 2^64 - 1, aad = prefix) over
 *		u64 entries; u32 pages; u32 replaced, then the 32-byte names of
 *		the segments that this one replaces; u32 packs, then a pack
 *		each: 32-byte name, u32 size, its PACK_HEADER_SIZE bytes of
 *		header (so that opening a frame takes no read but the
 *		frame's own); fan-out: a page each: the first
 *		8 bytes (big-endian order, as bytes) of its first id
 *	pages	AES-256-GCM(segment key, nonce = page number, aad = prefix) over
 *		SEGMENT_PAGE_ENTRIES entries (fewer in the last page)
 *	entry	(SEGMENT_ENTRY_SIZE bytes) first 16 bytes of the block id;
 *		u32 pack (index in the table); u32 frame offset; u32 frame's
 *		sealed length; u32 offset in the plain frame; u32 length
 *
 * Sorted by id.  Pages have one size, so page n lies at a known offset and one
 * page can be had by a ranged read.  A segment is named by the SHA-256 of its
 * bytes.  An id stands once in a segment.
 *
 * Encoder and decoder hold every segment to this: a pack's size is a positive
 * multiple of FORMAT_PACK_ALIGN up to FORMAT_PACK_MAX; a frame lies behind the
 * pack's header and within its size; a block has 1 to FORMAT_BLOCK_MAX bytes
 * within FORMAT_FRAME_MAX; the fan-out ascends strictly, so that the first 8
 * bytes of an id name its page.  (Ids are keyed hashes: two that have these
 * bytes in common, just where a page ends, will not be met.)  A segment
 * without entries, and so without pages, is one too.  Nothing here is logged.
 */
#ifndef FIRN_FORMAT_SEGMENT_H
#define FIRN_FORMAT_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/keys.h"
#include "format/format.h"
#include "format/pack.h"

#define SEGMENT_PREFIX_SIZE	32
#define SEGMENT_ENTRY_SIZE	36
#define SEGMENT_PAGE_ENTRIES	256
/* Ceilings; a writer starts another segment before it reaches them. */
#define SEGMENT_ENTRIES_MAX	(16u << 20)
#define SEGMENT_PACKS_MAX	(1u << 20)
#define SEGMENT_REPLACED_MAX	(1u << 20)

struct segment_entry {
	uint8_t id[BLOCK_ID_SHORT];
	uint32_t pack;		/* index in the segment's pack table */
	uint32_t frame_off;
	uint32_t frame_len;	/* sealed */
	uint32_t off;		/* in the plain frame */
	uint32_t len;
};

struct segment_pack {
	uint8_t id[OBJECT_ID_SIZE];
	uint32_t size;
	uint8_t header[PACK_HEADER_SIZE];	/* as the pack has it */
};

/* What a decoded head holds. */
struct segment_head {
	enum pack_kind kind;
	uint64_t nentries;
	uint32_t npages;
	uint8_t (*replaced)[OBJECT_ID_SIZE];
	uint32_t nreplaced;
	struct segment_pack *packs;
	uint32_t npacks;
	uint8_t (*fanout)[8];		/* npages of them */
	uint8_t prefix[SEGMENT_PREFIX_SIZE];
	uint8_t key[KEY_SIZE];
	uint64_t pages_off;		/* where page 0 lies in the object */
};

/*
 * Encode whole.  `entries` are sorted here, in place; of equal ids the first
 * is kept, and *nentries becomes what is left.  Appends to out.  -EINVAL when
 * an entry names no pack of the table or breaks a rule above, -FIRN_ETOOBIG
 * over a ceiling; out is as before then.
 */
int segment_encode(const struct keys *keys, enum pack_kind kind,
    struct segment_entry *entries, size_t *nentries,
    const struct segment_pack *packs, size_t npacks,
    const uint8_t (*replaced)[OBJECT_ID_SIZE], size_t nreplaced,
    struct buf *out);

/* Bytes from the start that head decoding needs; from the prefix alone.
 * -FIRN_ECORRUPT, -FIRN_EVERSION. */
int segment_head_len(const uint8_t prefix[SEGMENT_PREFIX_SIZE], size_t *len);
/* Total.  data holds at least segment_head_len() bytes; size is the whole
 * object's, and must be what the head implies.  out is to be released after
 * success only. */
int segment_head_decode(const struct keys *keys, const void *data, size_t len,
    uint64_t size, struct segment_head *out);
void segment_head_release(struct segment_head *h);

/* Offset and length in the object of page n, which is below npages. */
void segment_page_range(const struct segment_head *h, uint32_t n,
    uint64_t *off, size_t *len);
/* Open page n; room for SEGMENT_PAGE_ENTRIES.  Checks order within the page
 * and every entry against the pack table and the fan-out. */
int segment_page_decode(const struct segment_head *h, uint32_t n,
    const void *sealed, size_t len, struct segment_entry *entries,
    size_t *nentries);
/* The page that would hold this id; 0 when there is none at all. */
uint32_t segment_page_find(const struct segment_head *h,
    const uint8_t id[BLOCK_ID_SHORT]);

#endif
