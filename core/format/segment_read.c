/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding index segments: the head first, then any page by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/kdf.h"
#include "format/segment_internal.h"

int
segment_head_len(const uint8_t prefix[SEGMENT_PREFIX_SIZE], size_t *len)
{
	uint32_t sealed = le32_get(prefix + 12);

	if (memcmp(prefix, SEGMENT_MAGIC, SEGMENT_MAGIC_SIZE) != 0)
		return -FIRN_ECORRUPT;
	if (le16_get(prefix + 8) != FORMAT_VERSION)
		return -FIRN_EVERSION;
	if ((prefix[10] != PACK_DATA && prefix[10] != PACK_META) ||
	    prefix[11] != 0 ||
	    sealed < SEGMENT_HEAD_FIXED + AEAD_TAG_SIZE ||
	    sealed > SEGMENT_HEAD_MAX + AEAD_TAG_SIZE)
		return -FIRN_ECORRUPT;
	*len = SEGMENT_PREFIX_SIZE + (size_t)sealed;
	return 0;
}

static int
replaced_parse(struct rd *r, struct segment_head *out)
{
	uint32_t i, n = rd_u32(r);

	if (rd_bad(r) || n > SEGMENT_REPLACED_MAX ||
	    n > rd_left(r) / OBJECT_ID_SIZE)
		return -FIRN_ECORRUPT;
	if (n == 0)
		return 0;
	out->replaced = malloc((size_t)n * OBJECT_ID_SIZE);
	if (out->replaced == NULL)
		return -ENOMEM;
	out->nreplaced = n;
	for (i = 0; i < n; i++)
		rd_copy(r, out->replaced[i], OBJECT_ID_SIZE);
	return 0;
}

static int
packs_parse(struct rd *r, struct segment_head *out)
{
	uint32_t i, n = rd_u32(r);

	if (rd_bad(r) || n > SEGMENT_PACKS_MAX ||
	    n > rd_left(r) / SEGMENT_PACK_BYTES)
		return -FIRN_ECORRUPT;
	if (n == 0)
		return 0;
	out->packs = malloc(n * sizeof(*out->packs));
	if (out->packs == NULL)
		return -ENOMEM;
	out->npacks = n;
	for (i = 0; i < n; i++) {
		rd_copy(r, out->packs[i].id, OBJECT_ID_SIZE);
		out->packs[i].size = rd_u32(r);
		rd_copy(r, out->packs[i].header, PACK_HEADER_SIZE);
		if (!segment_pack_valid(&out->packs[i]))
			return -FIRN_ECORRUPT;
	}
	return 0;
}

/* The last part of a head: exactly one prefix a page, ascending. */
static int
fanout_parse(struct rd *r, struct segment_head *out)
{
	uint32_t i;

	if (rd_left(r) != (size_t)out->npages * SEGMENT_FANOUT_BYTES)
		return -FIRN_ECORRUPT;
	if (out->npages == 0)
		return 0;
	out->fanout = malloc((size_t)out->npages * SEGMENT_FANOUT_BYTES);
	if (out->fanout == NULL)
		return -ENOMEM;
	for (i = 0; i < out->npages; i++) {
		rd_copy(r, out->fanout[i], SEGMENT_FANOUT_BYTES);
		if (i > 0 && memcmp(out->fanout[i - 1], out->fanout[i],
		    SEGMENT_FANOUT_BYTES) >= 0)
			return -FIRN_ECORRUPT;
	}
	return 0;
}

int
segment_head_parse(const void *plain, size_t len, struct segment_head *out)
{
	struct rd r = rd_init(plain, len);
	int err;

	out->nentries = rd_u64(&r);
	out->npages = rd_u32(&r);
	if (rd_bad(&r) || out->nentries > SEGMENT_ENTRIES_MAX ||
	    out->npages != segment_page_count(out->nentries))
		return -FIRN_ECORRUPT;
	err = replaced_parse(&r, out);
	if (err == 0)
		err = packs_parse(&r, out);
	if (err == 0)
		err = fanout_parse(&r, out);
	return err;
}

/* Bytes that all pages take. */
static uint64_t
pages_len(const struct segment_head *h)
{
	return h->nentries * SEGMENT_ENTRY_SIZE +
	    (uint64_t)h->npages * AEAD_TAG_SIZE;
}

/* The sealed head in `data`, opened and parsed. */
static int
head_open(const uint8_t *data, size_t len, struct segment_head *out)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct aead *a = NULL;
	uint8_t *plain;
	int err;

	len -= SEGMENT_PREFIX_SIZE;
	plain = malloc(len);
	if (plain == NULL)
		return -ENOMEM;
	err = aead_new(&a);
	if (err == 0) {
		aead_nonce(SEGMENT_HEAD_NONCE, nonce);
		err = aead_open(a, out->key, nonce, data, SEGMENT_PREFIX_SIZE,
		    data + SEGMENT_PREFIX_SIZE, len, plain);
	}
	if (err == 0)
		err = segment_head_parse(plain, len - AEAD_TAG_SIZE, out);
	aead_free(a);
	free(plain);
	return err;
}

int
segment_head_decode(const struct keys *keys, const void *data, size_t len,
    uint64_t size, struct segment_head *out)
{
	const uint8_t *prefix = data;
	size_t headlen;
	int err;

	memset(out, 0, sizeof(*out));
	if (len < SEGMENT_PREFIX_SIZE)
		return -FIRN_ECORRUPT;
	err = segment_head_len(prefix, &headlen);
	if (err != 0)
		return err;
	if (len < headlen)
		return -FIRN_ECORRUPT;
	out->kind = prefix[10];
	memcpy(out->prefix, prefix, SEGMENT_PREFIX_SIZE);
	out->pages_off = headlen;
	err = segment_key(keys, prefix, out->key);
	if (err == 0)
		err = head_open(data, headlen, out);
	if (err == 0 && (size < headlen || size - headlen != pages_len(out)))
		err = -FIRN_ECORRUPT;
	if (err != 0)
		segment_head_release(out);
	return err;
}

void
segment_head_release(struct segment_head *h)
{
	if (h == NULL)
		return;
	free(h->replaced);
	free(h->packs);
	free(h->fanout);
	kdf_wipe(h, sizeof(*h));
}

/* Entries in page n: all pages but the last are full. */
static size_t
page_entries(const struct segment_head *h, uint32_t n)
{
	if (n + 1 < h->npages)
		return SEGMENT_PAGE_ENTRIES;
	return (size_t)(h->nentries - (uint64_t)n * SEGMENT_PAGE_ENTRIES);
}

void
segment_page_range(const struct segment_head *h, uint32_t n,
    uint64_t *off, size_t *len)
{
	*off = h->pages_off + (uint64_t)n *
	    (SEGMENT_PAGE_ENTRIES * SEGMENT_ENTRY_SIZE + AEAD_TAG_SIZE);
	*len = page_entries(h, n) * SEGMENT_ENTRY_SIZE + AEAD_TAG_SIZE;
}

/* Compare the beginning of an id with page n's. */
static int
fanout_cmp(const struct segment_head *h, uint32_t n, const uint8_t *id)
{
	return memcmp(id, h->fanout[n], SEGMENT_FANOUT_BYTES);
}

static void
entry_read(struct rd *r, struct segment_entry *e)
{
	rd_copy(r, e->id, BLOCK_ID_SHORT);
	e->pack = rd_u32(r);
	e->frame_off = rd_u32(r);
	e->frame_len = rd_u32(r);
	e->off = rd_u32(r);
	e->len = rd_u32(r);
}

int
segment_page_parse(const struct segment_head *h, uint32_t n,
    const void *plain, size_t len, struct segment_entry *entries,
    size_t *nentries)
{
	struct rd r = rd_init(plain, len);
	size_t i, count;

	if (n >= h->npages)
		return -FIRN_ECORRUPT;
	count = page_entries(h, n);
	if (len != count * SEGMENT_ENTRY_SIZE)
		return -FIRN_ECORRUPT;
	for (i = 0; i < count; i++) {
		entry_read(&r, &entries[i]);
		if (!segment_entry_valid(&entries[i], h->packs, h->npacks) ||
		    (i > 0 && memcmp(entries[i - 1].id, entries[i].id,
		    BLOCK_ID_SHORT) >= 0))
			return -FIRN_ECORRUPT;
	}
	if (fanout_cmp(h, n, entries[0].id) != 0 || (n + 1 < h->npages &&
	    fanout_cmp(h, n + 1, entries[count - 1].id) >= 0))
		return -FIRN_ECORRUPT;
	*nentries = count;
	return 0;
}

int
segment_page_decode(const struct segment_head *h, uint32_t n,
    const void *sealed, size_t len, struct segment_entry *entries,
    size_t *nentries)
{
	uint8_t plain[SEGMENT_PAGE_ENTRIES * SEGMENT_ENTRY_SIZE];
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct aead *a;
	int err;

	if (len < AEAD_TAG_SIZE || len - AEAD_TAG_SIZE > sizeof(plain))
		return -FIRN_ECORRUPT;
	err = aead_new(&a);
	if (err != 0)
		return err;
	aead_nonce(n, nonce);
	err = aead_open(a, h->key, nonce, h->prefix, SEGMENT_PREFIX_SIZE,
	    sealed, len, plain);
	if (err == 0)
		err = segment_page_parse(h, n, plain, len - AEAD_TAG_SIZE,
		    entries, nentries);
	aead_free(a);
	return err;
}

uint32_t
segment_page_find(const struct segment_head *h,
    const uint8_t id[BLOCK_ID_SHORT])
{
	uint32_t low = 0, high = h->npages, mid;

	/* Pages below `low` begin at or before id, those from `high` behind
	 * it; page 0 is the answer also for what lies before it. */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (fanout_cmp(h, mid, id) >= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? low - 1 : 0;
}
