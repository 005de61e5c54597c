/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding index segments, and the rules that both directions share.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/kdf.h"
#include "format/pack.h"
#include "format/segment_internal.h"

int
segment_key(const struct keys *keys, const uint8_t prefix[SEGMENT_PREFIX_SIZE],
    uint8_t key[KEY_SIZE])
{
	return kdf_hkdf(keys->segment, KEY_SIZE, prefix + SEGMENT_SALT_OFF,
	    SEGMENT_PREFIX_SIZE - SEGMENT_SALT_OFF, "firn segment", key,
	    KEY_SIZE);
}

int
segment_pack_valid(const struct segment_pack *p)
{
	return p->size >= FORMAT_PACK_ALIGN && p->size <= FORMAT_PACK_MAX &&
	    p->size % FORMAT_PACK_ALIGN == 0;
}

int
segment_entry_valid(const struct segment_entry *e,
    const struct segment_pack *packs, size_t npacks)
{
	return e->pack < npacks && e->frame_off >= PACK_HEADER_SIZE &&
	    e->frame_len > PACK_FRAME_OVERHEAD &&
	    e->frame_len <= FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD &&
	    (uint64_t)e->frame_off + e->frame_len <= packs[e->pack].size &&
	    e->len >= 1 && e->len <= FORMAT_BLOCK_MAX &&
	    (uint64_t)e->off + e->len <= FORMAT_FRAME_MAX;
}

static int
entry_cmp(const struct segment_entry *a, const struct segment_entry *b)
{
	return memcmp(a->id, b->id, BLOCK_ID_SHORT);
}

/* Merge sort: stable, which qsort(3) does not promise, so that of equal ids
 * the first stays first.  tmp has room for n / 2. */
static void
sort(struct segment_entry *e, size_t n, struct segment_entry *tmp)
{
	size_t half = n / 2, i = 0, j = half, k = 0;

	if (n < 2)
		return;
	sort(e, half, tmp);
	sort(e + half, n - half, tmp);
	if (entry_cmp(&e[half - 1], &e[half]) <= 0)
		return;
	memcpy(tmp, e, half * sizeof(*e));
	while (i < half && j < n) {
		if (entry_cmp(&e[j], &tmp[i]) < 0)
			e[k++] = e[j++];
		else
			e[k++] = tmp[i++];
	}
	memcpy(e + k, tmp + i, (half - i) * sizeof(*e));
}

/* Sort and drop later entries of an id; *n becomes how many stay. */
static int
sort_unique(struct segment_entry *e, size_t *n)
{
	struct segment_entry *tmp;
	size_t i, kept = 1;

	if (*n < 2)
		return 0;
	tmp = malloc(*n / 2 * sizeof(*tmp));
	if (tmp == NULL)
		return -ENOMEM;
	sort(e, *n, tmp);
	free(tmp);
	for (i = 1; i < *n; i++)
		if (entry_cmp(&e[kept - 1], &e[i]) != 0)
			e[kept++] = e[i];
	*n = kept;
	return 0;
}

static int
input_valid(const struct segment_entry *entries, size_t nentries,
    const struct segment_pack *packs, size_t npacks, size_t nreplaced)
{
	size_t i;

	if (nentries > SEGMENT_ENTRIES_MAX || npacks > SEGMENT_PACKS_MAX ||
	    nreplaced > SEGMENT_REPLACED_MAX)
		return -FIRN_ETOOBIG;
	for (i = 0; i < npacks; i++)
		if (!segment_pack_valid(&packs[i]))
			return -EINVAL;
	for (i = 0; i < nentries; i++)
		if (!segment_entry_valid(&entries[i], packs, npacks))
			return -EINVAL;
	return 0;
}

/* The plain head; entries are sorted. */
static int
head_write(const struct segment_entry *entries, size_t nentries,
    const struct segment_pack *packs, size_t npacks,
    const uint8_t (*replaced)[OBJECT_ID_SIZE], size_t nreplaced,
    struct buf *out)
{
	const uint8_t *id;
	size_t i;

	buf_add_u64(out, nentries);
	buf_add_u32(out, segment_page_count(nentries));
	buf_add_u32(out, (uint32_t)nreplaced);
	for (i = 0; i < nreplaced; i++)
		buf_add(out, replaced[i], OBJECT_ID_SIZE);
	buf_add_u32(out, (uint32_t)npacks);
	for (i = 0; i < npacks; i++) {
		buf_add(out, packs[i].id, OBJECT_ID_SIZE);
		buf_add_u32(out, packs[i].size);
		buf_add(out, packs[i].header, PACK_HEADER_SIZE);
	}
	for (i = 0; i < nentries; i += SEGMENT_PAGE_ENTRIES) {
		id = entries[i].id;
		if (i > 0 && memcmp(entries[i - 1].id, id,
		    SEGMENT_FANOUT_BYTES) == 0)
			return -EINVAL;
		buf_add(out, id, SEGMENT_FANOUT_BYTES);
	}
	return buf_err(out);
}

static int
seal(struct aead *a, const uint8_t key[KEY_SIZE], uint64_t number,
    const uint8_t prefix[SEGMENT_PREFIX_SIZE], const void *plain, size_t len,
    struct buf *out)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t *p;

	p = buf_extend(out, len + AEAD_TAG_SIZE);
	if (p == NULL)
		return buf_err(out);
	/* The key is this segment's own, and numbers in it differ. */
	aead_nonce(number, nonce);
	return aead_seal(a, key, nonce, prefix, SEGMENT_PREFIX_SIZE, plain,
	    len, p);
}

static int
page_write(struct aead *a, const uint8_t key[KEY_SIZE], uint32_t n,
    const uint8_t prefix[SEGMENT_PREFIX_SIZE],
    const struct segment_entry *entries, size_t count, struct buf *out)
{
	uint8_t plain[SEGMENT_PAGE_ENTRIES * SEGMENT_ENTRY_SIZE];
	uint8_t *p = plain;
	size_t i;

	for (i = 0; i < count; i++) {
		memcpy(p, entries[i].id, BLOCK_ID_SHORT);
		le32_put(p + 16, entries[i].pack);
		le32_put(p + 20, entries[i].frame_off);
		le32_put(p + 24, entries[i].frame_len);
		le32_put(p + 28, entries[i].off);
		le32_put(p + 32, entries[i].len);
		p += SEGMENT_ENTRY_SIZE;
	}
	return seal(a, key, n, prefix, plain, (size_t)(p - plain), out);
}

static int
pages_write(struct aead *a, const uint8_t key[KEY_SIZE],
    const uint8_t prefix[SEGMENT_PREFIX_SIZE],
    const struct segment_entry *entries, size_t nentries, struct buf *out)
{
	size_t i, count;
	uint32_t n = 0;
	int err = 0;

	for (i = 0; i < nentries && err == 0; i += count) {
		count = nentries - i;
		if (count > SEGMENT_PAGE_ENTRIES)
			count = SEGMENT_PAGE_ENTRIES;
		err = page_write(a, key, n++, prefix, entries + i, count, out);
	}
	return err;
}

static void
prefix_write(enum pack_kind kind, size_t sealed,
    uint8_t prefix[SEGMENT_PREFIX_SIZE])
{
	memcpy(prefix, SEGMENT_MAGIC, SEGMENT_MAGIC_SIZE);
	le16_put(prefix + 8, FORMAT_VERSION);
	prefix[10] = (uint8_t)kind;
	prefix[11] = 0;
	le32_put(prefix + 12, (uint32_t)sealed);
	kdf_random(prefix + SEGMENT_SALT_OFF,
	    SEGMENT_PREFIX_SIZE - SEGMENT_SALT_OFF);
}

int
segment_encode(const struct keys *keys, enum pack_kind kind,
    struct segment_entry *entries, size_t *nentries,
    const struct segment_pack *packs, size_t npacks,
    const uint8_t (*replaced)[OBJECT_ID_SIZE], size_t nreplaced,
    struct buf *out)
{
	struct buf head = BUF_INIT(SEGMENT_HEAD_MAX);
	uint8_t prefix[SEGMENT_PREFIX_SIZE], key[KEY_SIZE];
	struct aead *a = NULL;
	size_t start = out->len;
	int err;

	err = input_valid(entries, *nentries, packs, npacks, nreplaced);
	if (err != 0)
		return err;
	err = sort_unique(entries, nentries);
	if (err == 0)
		err = head_write(entries, *nentries, packs, npacks, replaced,
		    nreplaced, &head);
	if (err != 0)
		goto out;
	prefix_write(kind, head.len + AEAD_TAG_SIZE, prefix);
	err = segment_key(keys, prefix, key);
	if (err == 0)
		err = aead_new(&a);
	if (err == 0)
		err = buf_add(out, prefix, sizeof(prefix));
	if (err == 0)
		err = seal(a, key, SEGMENT_HEAD_NONCE, prefix, head.data,
		    head.len, out);
	if (err == 0)
		err = pages_write(a, key, prefix, entries, *nentries, out);
	if (err != 0)
		out->len = start;
out:
	kdf_wipe(key, sizeof(key));
	aead_free(a);
	buf_release(&head);
	return err;
}
