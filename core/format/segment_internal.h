/* SPDX-License-Identifier: Apache-2.0 */
/* What lies under the seals of a segment: for format/segment*.c and fuzz
 * targets. */
#ifndef FIRN_FORMAT_SEGMENT_INTERNAL_H
#define FIRN_FORMAT_SEGMENT_INTERNAL_H

#include "crypto/aead.h"
#include "format/segment.h"

#define SEGMENT_MAGIC		"firnindx"
#define SEGMENT_MAGIC_SIZE	8
#define SEGMENT_SALT_OFF	16	/* in the prefix */
#define SEGMENT_HEAD_FIXED	20	/* its five counts */
#define SEGMENT_PACK_BYTES	(OBJECT_ID_SIZE + 4 + PACK_HEADER_SIZE)
#define SEGMENT_FANOUT_BYTES	8
#define SEGMENT_PAGES_MAX	(SEGMENT_ENTRIES_MAX / SEGMENT_PAGE_ENTRIES)
/* Plain bytes of the largest head. */
#define SEGMENT_HEAD_MAX	((uint64_t)SEGMENT_HEAD_FIXED + \
	(uint64_t)SEGMENT_REPLACED_MAX * OBJECT_ID_SIZE + \
	(uint64_t)SEGMENT_PACKS_MAX * SEGMENT_PACK_BYTES + \
	(uint64_t)SEGMENT_PAGES_MAX * SEGMENT_FANOUT_BYTES)

/* The nonce of the head; pages have their numbers. */
#define SEGMENT_HEAD_NONCE	UINT64_MAX

int segment_key(const struct keys *keys,
    const uint8_t prefix[SEGMENT_PREFIX_SIZE], uint8_t key[KEY_SIZE]);

static inline uint32_t
segment_page_count(uint64_t entries)
{
	return (uint32_t)((entries + SEGMENT_PAGE_ENTRIES - 1) /
	    SEGMENT_PAGE_ENTRIES);
}

int segment_pack_valid(const struct segment_pack *p);
int segment_entry_valid(const struct segment_entry *e,
    const struct segment_pack *packs, size_t npacks);

/* Fills all of out but kind, prefix, key and pages_off.  To be released after
 * a failure too. */
int segment_head_parse(const void *plain, size_t len,
    struct segment_head *out);
int segment_page_parse(const struct segment_head *h, uint32_t n,
    const void *plain, size_t len, struct segment_entry *entries,
    size_t *nentries);

#endif
