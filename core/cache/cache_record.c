/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `slots`: a header, then a record a slot, little-endian.
 *
 *	header	magic 8, version 4, cell size 4, slots 4, closed cleanly 4,
 *		checksum 8
 *	record	pack 32, cell 4, length and flags 4, checksum of the cell 8,
 *		sequence 8, checksum of the record 8
 *
 * A record is 64 bytes at a multiple of 64, so that no sector boundary runs
 * through it.  Its checksum is seeded with the number of the slot.  A free slot
 * is zeroes, and so is anything that does not check.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/cache_internal.h"

#define LEN_MASK	0x1fffffu	/* 21 bits: up to CACHE_CELL_SIZE */
#define FLAG_META	0x200000u
#define FLAG_MAIN	0x400000u
#define FREQ_SHIFT	23
#define HEADER_LEN	24		/* before its checksum */
#define RECORD_LEN	56
#define RECORDS_READ	16384		/* at a time: 1 MiB */

static const uint8_t magic[8] = "firncach";

uint64_t
cache_record_sum(const uint8_t *in, uint32_t number)
{
	return cache_sum(0x7265636full << 32 | number, in, RECORD_LEN);
}

void
cache_record_encode(const struct slot *s, uint32_t number,
    uint8_t out[CACHE_RECORD_SIZE])
{
	uint32_t word = s->len | (uint32_t)s->freq << FREQ_SHIFT;

	memset(out, 0, CACHE_RECORD_SIZE);
	if (s->state != SLOT_LIVE)
		return;
	if (s->kind == KIND_META)
		word |= FLAG_META;
	if (s->queue == QUEUE_MAIN)
		word |= FLAG_MAIN;
	memcpy(out, s->pack, OBJECT_ID_SIZE);
	le32_put(out + 32, s->cell);
	le32_put(out + 36, word);
	le64_put(out + 40, s->sum);
	le64_put(out + 48, s->seq);
	le64_put(out + RECORD_LEN, cache_record_sum(out, number));
}

int
cache_record_decode(const uint8_t in[CACHE_RECORD_SIZE], uint32_t number,
    struct slot *out)
{
	uint32_t word = le32_get(in + 36);
	uint32_t len = word & LEN_MASK;

	if (len == 0 || len > CACHE_CELL_SIZE ||
	    le64_get(in + RECORD_LEN) != cache_record_sum(in, number))
		return 0;
	memset(out, 0, sizeof(*out));
	memcpy(out->pack, in, OBJECT_ID_SIZE);
	out->cell = le32_get(in + 32);
	out->len = len;
	out->kind = word & FLAG_META ? KIND_META : KIND_DATA;
	out->queue = word & FLAG_MAIN ? QUEUE_MAIN : QUEUE_SMALL;
	out->freq = word >> FREQ_SHIFT & CACHE_FREQ_MAX;
	out->sum = le64_get(in + 40);
	out->seq = le64_get(in + 48);
	out->state = SLOT_LIVE;
	return 1;
}

/*
 * Whoever changes a slot calls this afterwards; each caller writes the state
 * at that moment, so the last write is the latest state, whatever the order
 * in which they come.
 */
void
cache_record_sync(struct cache *c, uint32_t number)
{
	pthread_mutex_t *stripe = &c->record_lock[number % CACHE_STRIPES];
	uint8_t bytes[CACHE_RECORD_SIZE];
	int err;

	pthread_mutex_lock(stripe);
	pthread_mutex_lock(&c->lock);
	cache_record_encode(&c->table.slot[number], number, bytes);
	c->table.slot[number].dirty = 0;
	pthread_mutex_unlock(&c->lock);
	err = file_pwrite_full(c->slotsfd, bytes, sizeof(bytes),
	    CACHE_HEADER_SIZE + (off_t)number * CACHE_RECORD_SIZE);
	pthread_mutex_unlock(stripe);
	/* An old record that stays does not match what comes after it. */
	if (err != 0 && cache_warn_once(c, WARN_WRITE))
		log_warn(err, "cannot write to the cache '%s'", c->dir);
}

int
cache_header_write(struct cache *c, uint32_t slots, int clean)
{
	uint8_t out[HEADER_LEN + 8];

	memcpy(out, magic, sizeof(magic));
	le32_put(out + 8, CACHE_VERSION);
	le32_put(out + 12, CACHE_CELL_SIZE);
	le32_put(out + 16, slots);
	le32_put(out + 20, clean ? 1 : 0);
	le64_put(out + HEADER_LEN, cache_sum(0, out, HEADER_LEN));
	return file_pwrite_full(c->slotsfd, out, sizeof(out), 0);
}

int
cache_header_read(int fd, uint32_t *slots, int *clean)
{
	uint8_t in[HEADER_LEN + 8];
	size_t got;
	int err;

	err = file_pread_full(fd, in, sizeof(in), 0, &got);
	if (err != 0)
		return err;
	if (got == 0)
		return 0;
	if (got < sizeof(in) || memcmp(in, magic, sizeof(magic)) != 0 ||
	    le64_get(in + HEADER_LEN) != cache_sum(0, in, HEADER_LEN) ||
	    le32_get(in + 8) != CACHE_VERSION ||
	    le32_get(in + 12) != CACHE_CELL_SIZE ||
	    le32_get(in + 16) > CACHE_SLOTS_MAX)
		return -FIRN_ECORRUPT;
	*slots = le32_get(in + 16);
	*clean = le32_get(in + 20) == 1;
	return 1;
}

static int
by_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Queues in the order in which they were, and the free list. */
static int
restore_order(struct cache_table *t)
{
	struct { uint64_t seq; uint32_t slot; } *order;
	size_t live = 0, i;

	order = malloc(sizeof(*order) * (t->n + 1));
	if (order == NULL)
		return -ENOMEM;
	for (i = t->n; i-- > 0; ) {
		if (t->slot[i].state != SLOT_LIVE) {
			cache_free_push(t, (uint32_t)i);
			continue;
		}
		order[live].seq = t->slot[i].seq;
		order[live++].slot = (uint32_t)i;
	}
	qsort(order, live, sizeof(*order), by_seq);
	for (i = 0; i < live; i++)
		cache_policy_append(t, order[i].slot);
	/* The bound keeps hostile numbers from wrapping round. */
	if (live > 0 && order[live - 1].seq < UINT64_MAX / 2)
		t->seq = order[live - 1].seq + 1;
	free(order);
	return 0;
}

static void
take_record(struct cache_table *t, uint32_t i, const uint8_t *in,
    uint64_t size, uint32_t block)
{
	struct slot s;

	if (!cache_record_decode(in, i, &s) ||
	    (uint64_t)i * CACHE_CELL_SIZE + s.len > size ||
	    cache_table_find(t, s.pack, s.cell) != CACHE_NIL)
		return;
	s.room = (s.len + block - 1) / block * block;
	t->slot[i] = s;
	t->room += s.room;
	cache_table_link(t, i);
}

int
cache_records_load(int fd, uint32_t n, uint64_t size, uint32_t block,
    struct cache_table *out)
{
	uint8_t *bytes = malloc(RECORDS_READ * CACHE_RECORD_SIZE);
	uint32_t first, i, end;
	size_t got = 0;
	int err;

	err = cache_table_init(out, n);
	if (err == 0 && bytes == NULL)
		err = -ENOMEM;
	for (first = 0; err == 0 && first < n; first += RECORDS_READ) {
		err = file_pread_full(fd, bytes,
		    RECORDS_READ * CACHE_RECORD_SIZE, CACHE_HEADER_SIZE +
		    (off_t)first * CACHE_RECORD_SIZE, &got);
		/* What is missing from a truncated file is free. */
		end = (uint32_t)(got / CACHE_RECORD_SIZE);
		for (i = 0; err == 0 && i < end && first + i < n; i++)
			take_record(out, first + i,
			    bytes + i * CACHE_RECORD_SIZE, size, block);
	}
	if (err == 0)
		err = restore_order(out);
	free(bytes);
	if (err != 0)
		cache_table_release(out);
	return err;
}
