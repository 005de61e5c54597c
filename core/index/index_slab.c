/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slabs: packed pieces of a sorted run.
 *
 *	header	(SLAB_HEADER bytes) u32 magic; u32 run; u32 entries; u32 filter
 *		blocks; u8 skip; 5 bit widths; 2 bytes 0; 8 bytes prefix;
 *		u64 checksum of all the rest; 8 bytes 0
 *	filter	(index_filter.c) begins on a cache line, since the value
 *		begins 16 bytes into a page
 *	ids	the 16 - skip bytes of each, sorted; the first `skip` are in
 *		the header
 *	rows	pack, frame offset, frame length, offset, length of each entry,
 *		bit by bit in the widths that this slab needs
 *	pad	8 bytes, so that reads of 8 stay inside; then zeroes up to
 *		whole pages
 *
 * Every slab of a run but the last has SLAB_MAX bytes and SLAB_FILTER blocks,
 * so that a filter is found without touching the header.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "index/index_internal.h"

#define SLAB_MAGIC	0x31424c53u	/* "SLB1" */
#define SLAB_SKIP_MAX	8
#define SLAB_SUM	32		/* offset of the checksum */
#define SLAB_PAD	8
#define SLAB_SMALL	64		/* entries that need no filter */

static uint64_t
sum_words(const uint8_t *p, size_t len)
{
	uint64_t a = 0x9e3779b97f4a7c15u, b = len;

	/* Values are whole pages less 16 bytes: no odd end. */
	for (; len >= 16; p += 16, len -= 16) {
		a = (a ^ le64_load(p)) * 0xd6e8feb86659fd93u;
		b = (b ^ le64_load(p + 8)) * 0xa0761d6478bd642fu;
		a ^= a >> 31;
		b ^= b >> 29;
	}
	return a ^ b;
}

static uint64_t
bits_get(const uint8_t *p, uint64_t bit, unsigned width)
{
	return le64_load(p + (bit >> 3)) >> (bit & 7) &
	    ((UINT64_C(1) << width) - 1);
}

/* Into zeroed bytes. */
static void
bits_put(uint8_t *p, uint64_t bit, uint32_t value)
{
	p += bit >> 3;
	le64_put(p, le64_load(p) | (uint64_t)value << (bit & 7));
}

static size_t
slab_need(uint32_t n, uint32_t filter, unsigned skip, unsigned rowbits)
{
	return SLAB_HEADER + (size_t)filter * FILTER_BLOCK +
	    (size_t)n * (BLOCK_ID_SHORT - skip) +
	    ((size_t)n * rowbits + 7) / 8 + SLAB_PAD;
}

int
slab_open(const uint8_t *p, size_t size, uint32_t run, struct slab *out)
{
	unsigned i;

	if (size < SLAB_HEADER || size > SLAB_MAX ||
	    le32_get(p) != SLAB_MAGIC || (run != 0 && le32_get(p + 4) != run))
		return -FIRN_ECORRUPT;
	out->n = le32_get(p + 8);
	out->filter = le32_get(p + 12);
	out->skip = p[16];
	out->rowbits = 0;
	for (i = 0; i < SLAB_FIELDS; i++) {
		out->width[i] = p[17 + i];
		if (out->width[i] > 32)
			return -FIRN_ECORRUPT;
		out->rowbits += out->width[i];
	}
	if (out->n == 0 || out->n > SLAB_ENTRIES_MAX ||
	    out->filter > SLAB_MAX / FILTER_BLOCK ||
	    out->skip > SLAB_SKIP_MAX ||
	    slab_need(out->n, out->filter, out->skip, out->rowbits) > size)
		return -FIRN_ECORRUPT;
	out->idlen = BLOCK_ID_SHORT - out->skip;
	out->prefix = p + 24;
	out->ids = p + SLAB_HEADER + (size_t)out->filter * FILTER_BLOCK;
	out->rows = out->ids + (size_t)out->n * out->idlen;
	return 0;
}

static uint64_t
slab_sum(const uint8_t *p, size_t size)
{
	return sum_words(p, SLAB_SUM) +
	    sum_words(p + SLAB_HEADER, size - SLAB_HEADER);
}

int
slab_check(const uint8_t *p, size_t size)
{
	return slab_sum(p, size) == le64_get(p + SLAB_SUM);
}

void
slab_id(const struct slab *s, uint32_t i, uint8_t id[BLOCK_ID_SHORT])
{
	memcpy(id, s->prefix, SLAB_SKIP_MAX);
	memcpy(id + s->skip, s->ids + (size_t)i * s->idlen, s->idlen);
}

void
slab_get(const struct slab *s, uint32_t i, struct segment_entry *out)
{
	uint64_t bit = (uint64_t)i * s->rowbits;

	slab_id(s, i, out->id);
	out->pack = (uint32_t)bits_get(s->rows, bit, s->width[0]);
	bit += s->width[0];
	out->frame_off = (uint32_t)bits_get(s->rows, bit, s->width[1]);
	bit += s->width[1];
	out->frame_len = (uint32_t)bits_get(s->rows, bit, s->width[2]);
	bit += s->width[2];
	out->off = (uint32_t)bits_get(s->rows, bit, s->width[3]);
	bit += s->width[3];
	out->len = (uint32_t)bits_get(s->rows, bit, s->width[4]);
}

/* --- search ------------------------------------------------------------- */

static uint64_t
key_at(const struct slab *s, uint32_t i)
{
	return be64_load(s->ids + (size_t)i * s->idlen);
}

/* The first entry whose key is not below x, sought outwards from a guess. */
static uint32_t
key_search(const struct slab *s, uint64_t x, uint32_t guess)
{
	uint32_t lo = guess, hi = guess, step = 4, mid;

	if (key_at(s, guess) < x) {
		do {
			lo = hi + 1;
			hi = s->n - hi > step ? hi + step : s->n;
			step *= 4;
		} while (hi < s->n && key_at(s, hi) < x);
	} else {
		while (lo > 0 && key_at(s, lo - 1) >= x) {
			hi = lo - 1;
			lo = lo > step ? lo - step : 0;
			step *= 4;
		}
		if (lo < hi && key_at(s, lo) >= x)
			hi = lo;
	}
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (key_at(s, mid) < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint32_t
clamp(double v, uint32_t n)
{
	return v <= 0 ? 0 : v >= n ? n - 1 : (uint32_t)v;
}

/*
 * Ids are uniform, so the first guess is off by about sqrt(n) / 2 and the
 * second, from the key found there, by a few.
 */
static uint32_t
key_guess(const struct slab *s, uint64_t x, uint64_t top, uint64_t from,
    uint64_t to)
{
	double scale, at;
	uint64_t k;
	uint32_t g;

	if (to <= from || top <= from)
		return 0;
	scale = (double)s->n / (double)(to - from);
	at = (double)(top - from) * scale;
	g = clamp(at, s->n);
	/* Keys begin `skip` bytes further than from and to. */
	scale /= (double)(UINT64_C(1) << (s->skip < 8 ? 8 * s->skip : 63));
	k = key_at(s, g);
	g = k < x ? clamp(g + (double)(x - k) * scale, s->n) :
	    clamp(g - (double)(k - x) * scale, s->n);
	/* The row is asked for next, and lies elsewhere. */
	__builtin_prefetch(s->rows + (uint64_t)g * s->rowbits / 8);
	return g;
}

uint32_t
slab_search(const struct slab *s, const uint8_t id[BLOCK_ID_SHORT],
    uint64_t from, uint64_t to, int *equal)
{
	uint64_t x = be64_load(id + s->skip);
	uint32_t i;
	int c;

	*equal = 0;
	c = memcmp(id, s->prefix, s->skip);
	if (c != 0)
		return c < 0 ? 0 : s->n;
	i = key_search(s, x, key_guess(s, x, be64_load(id), from, to));
	/* Of ids that share these 8 bytes, hardly ever more than one. */
	for (; i < s->n && key_at(s, i) == x; i++) {
		c = memcmp(s->ids + (size_t)i * s->idlen + 8,
		    id + s->skip + 8, s->idlen - 8);
		if (c >= 0) {
			*equal = c == 0;
			break;
		}
	}
	return i;
}

/* --- building ----------------------------------------------------------- */

int
slab_builder_init(struct slab_builder *b, uint32_t run, uint32_t psize)
{
	memset(b, 0, sizeof(*b));
	b->run = run;
	b->psize = psize;
	b->entry = malloc(SLAB_ENTRIES_MAX * sizeof(*b->entry));
	return b->entry == NULL ? -ENOMEM : 0;
}

void
slab_builder_drop(struct slab_builder *b)
{
	while (b->nout > 0)
		free(b->out[--b->nout].data);
}

void
slab_builder_release(struct slab_builder *b)
{
	slab_builder_drop(b);
	free(b->entry);
	b->entry = NULL;
}

static unsigned
width_of(uint32_t v)
{
	return v == 0 ? 0 : 32 - (unsigned)__builtin_clz(v);
}

static unsigned
row_bits(const uint32_t bits[SLAB_FIELDS])
{
	unsigned i, n = 0;

	for (i = 0; i < SLAB_FIELDS; i++)
		n += width_of(bits[i]);
	return n;
}

/* Leading bytes that the ids from a to b, sorted, share. */
static unsigned
shared(const uint8_t *a, const uint8_t *b)
{
	unsigned n = 0;

	while (n < SLAB_SKIP_MAX && a[n] == b[n])
		n++;
	return n;
}

static void
bits_or(uint32_t bits[SLAB_FIELDS], const struct segment_entry *e)
{
	bits[0] |= e->pack;
	bits[1] |= e->frame_off;
	bits[2] |= e->frame_len;
	bits[3] |= e->off;
	bits[4] |= e->len;
}

static void
slab_encode(const struct slab_builder *b, uint32_t filter, unsigned skip,
    uint8_t *p, size_t size)
{
	uint8_t *ids = p + SLAB_HEADER + (size_t)filter * FILTER_BLOCK;
	uint8_t *rows = ids + (size_t)b->n * (BLOCK_ID_SHORT - skip);
	const struct segment_entry *e = b->entry;
	unsigned width[SLAB_FIELDS];
	uint64_t bit = 0;
	uint32_t i;

	le32_put(p, SLAB_MAGIC);
	le32_put(p + 4, b->run);
	le32_put(p + 8, b->n);
	le32_put(p + 12, filter);
	p[16] = (uint8_t)skip;
	for (i = 0; i < SLAB_FIELDS; i++) {
		width[i] = width_of(b->bits[i]);
		p[17 + i] = (uint8_t)width[i];
	}
	memcpy(p + 24, e->id, SLAB_SKIP_MAX);
	for (i = 0; i < b->n; i++, e++) {
		if (filter > 0)
			filter_add(p + SLAB_HEADER, filter, e->id);
		memcpy(ids, e->id + skip, BLOCK_ID_SHORT - skip);
		ids += BLOCK_ID_SHORT - skip;
		bits_put(rows, bit, e->pack);
		bits_put(rows, bit += width[0], e->frame_off);
		bits_put(rows, bit += width[1], e->frame_len);
		bits_put(rows, bit += width[2], e->off);
		bits_put(rows, bit += width[3], e->len);
		bit += width[4];
	}
	le64_put(p + SLAB_SUM, slab_sum(p, size));
}

/* Pack all entries at hand; `last` of the run, so of any size. */
static int
builder_pack(struct slab_builder *b, int last)
{
	struct slab_out *o = &b->out[b->nout];
	uint32_t filter = SLAB_FILTER;
	unsigned skip = shared(b->entry[0].id, b->entry[b->n - 1].id);
	size_t size = SLAB_MAX;

	if (b->nout == STEP_SLABS)
		return -EAGAIN;
	if (last) {
		filter = filter_blocks(b->n);
		if (!b->any && b->n <= SLAB_SMALL)
			filter = 0;
		if (filter > SLAB_FILTER)
			filter = SLAB_FILTER;
		size = slab_need(b->n, filter, skip, row_bits(b->bits)) +
		    PAGE_LOSS;
		size = (size + b->psize - 1) / b->psize * b->psize - PAGE_LOSS;
	}
	o->data = calloc(1, size);
	if (o->data == NULL)
		return -ENOMEM;
	slab_encode(b, filter, skip, o->data, size);
	o->size = (uint32_t)size;
	o->n = b->n;
	memcpy(o->first, b->entry[0].id, BLOCK_ID_SHORT);
	memcpy(o->last, b->entry[b->n - 1].id, BLOCK_ID_SHORT);
	b->nout++;
	b->any = 1;
	b->n = 0;
	memset(b->bits, 0, sizeof(b->bits));
	return 0;
}

int
slab_builder_add(struct slab_builder *b, const struct segment_entry *e)
{
	uint32_t bits[SLAB_FIELDS];
	int err;

	memcpy(bits, b->bits, sizeof(bits));
	bits_or(bits, e);
	if (b->n == SLAB_ENTRIES_MAX || (b->n > 0 && slab_need(b->n + 1,
	    SLAB_FILTER, shared(b->entry[0].id, e->id), row_bits(bits)) >
	    SLAB_MAX)) {
		err = builder_pack(b, 0);
		if (err != 0)
			return err;
		bits_or(memset(bits, 0, sizeof(bits)), e);
	}
	memcpy(b->bits, bits, sizeof(bits));
	b->entry[b->n++] = *e;
	return 0;
}

int
slab_builder_finish(struct slab_builder *b)
{
	return b->n > 0 ? builder_pack(b, 1) : 0;
}

/* --- in LMDB ------------------------------------------------------------ */

int
slab_builder_write(struct slab_builder *b, struct index *ix, MDB_txn *txn,
    unsigned h, const struct half_rec *rec, struct run_rec *run)
{
	/* The newest run is the last of the database. */
	unsigned flags = run->number + 1 == rec->next_run ? MDB_APPEND : 0;
	uint8_t key[SLAB_KEY_SIZE];
	MDB_val k = { sizeof(key), key }, v;
	uint32_t i;
	int rc;

	be32_store(key, run->number);
	for (i = 0; i < b->nout; i++) {
		memcpy(key + 4, b->out[i].first, BLOCK_ID_SHORT);
		v.mv_size = b->out[i].size;
		v.mv_data = b->out[i].data;
		rc = mdb_put(txn, ix->half[h].slab, &k, &v, flags);
		if (rc != 0)
			return index_err(ix, rc, "write entries to");
		run->slabs++;
		run->entries += b->out[i].n;
	}
	run->version++;
	slab_builder_drop(b);
	return 0;
}

int
slab_delete(struct index *ix, MDB_txn *txn, unsigned h, uint32_t run,
    uint32_t max, uint32_t *n)
{
	uint8_t key[SLAB_KEY_SIZE] = { 0 };
	MDB_val k, v;
	MDB_cursor *cur;
	int rc;

	*n = 0;
	rc = mdb_cursor_open(txn, ix->half[h].slab, &cur);
	if (rc != 0)
		return index_err(ix, rc, "delete entries from");
	be32_store(key, run);
	while (rc == 0 && *n < max) {
		k.mv_size = sizeof(key);
		k.mv_data = key;
		rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
		if (rc == 0 && (k.mv_size != sizeof(key) ||
		    memcmp(k.mv_data, key, 4) != 0))
			break;
		if (rc == 0)
			rc = mdb_cursor_del(cur, 0);
		if (rc == 0)
			++*n;
	}
	mdb_cursor_close(cur);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 :
	    index_err(ix, rc, "delete entries from");
}
