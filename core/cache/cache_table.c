/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table in memory: slots, a chained hash table over those that hold a
 * cell, and the free list.  80 bytes a slot and 4 to 8 a bucket; 100 GB of
 * cells are 8 MB.  Chains, queues and free list are numbers of slots, so the
 * array may move when it grows.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cache/cache_internal.h"

uint64_t
cache_key_hash(const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell)
{
	/* The id is a hash already; neighbouring cells must be spread. */
	uint64_t h = (le64_get(pack) ^ cell) * 0x9e3779b97f4a7c15ull;

	return h ^ h >> 32;
}

static uint32_t *
bucket_of(const struct cache_table *t, const struct slot *s)
{
	return &t->bucket[cache_key_hash(s->pack, s->cell) & t->mask];
}

int
cache_table_init(struct cache_table *t, uint32_t n)
{
	int kind, queue;

	memset(t, 0, sizeof(*t));
	t->free = CACHE_NIL;
	for (kind = 0; kind < 2; kind++)
		for (queue = 0; queue < 2; queue++)
			t->list[kind][queue].head =
			    t->list[kind][queue].tail = CACHE_NIL;
	return cache_table_grow(t, n);
}

void
cache_table_release(struct cache_table *t)
{
	free(t->slot);
	free(t->bucket);
	t->slot = NULL;
	t->bucket = NULL;
	t->n = 0;
}

/*
 * To n slots; the new ones are FREE but not yet on the free list.  On failure
 * the table is as it was.
 */
int
cache_table_grow(struct cache_table *t, uint32_t n)
{
	uint32_t buckets = CACHE_STEP, i, *bucket;
	struct slot *slot;

	while (buckets < n)
		buckets *= 2;
	slot = realloc(t->slot, sizeof(*slot) * ((size_t)n + 1));
	if (slot == NULL)
		return -ENOMEM;
	t->slot = slot;
	bucket = malloc(sizeof(*bucket) * buckets);
	if (bucket == NULL)
		return -ENOMEM;
	memset(slot + t->n, 0, sizeof(*slot) * (n - t->n));
	memset(bucket, 0xff, sizeof(*bucket) * buckets);
	free(t->bucket);
	t->bucket = bucket;
	t->mask = buckets - 1;
	for (i = 0; i < t->n; i++)
		if (slot[i].state == SLOT_LIVE || slot[i].state == SLOT_WRITING)
			cache_table_link(t, i);
	t->n = n;
	return 0;
}

uint32_t
cache_table_find(const struct cache_table *t,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell)
{
	uint32_t i;

	if (t->n == 0)
		return CACHE_NIL;
	i = t->bucket[cache_key_hash(pack, cell) & t->mask];
	while (i != CACHE_NIL && (t->slot[i].cell != cell ||
	    memcmp(t->slot[i].pack, pack, OBJECT_ID_SIZE) != 0))
		i = t->slot[i].chain;
	return i;
}

void
cache_table_link(struct cache_table *t, uint32_t i)
{
	uint32_t *bucket = bucket_of(t, &t->slot[i]);

	t->slot[i].chain = *bucket;
	*bucket = i;
}

void
cache_table_unlink(struct cache_table *t, uint32_t i)
{
	uint32_t *at = bucket_of(t, &t->slot[i]);

	while (*at != i) {
		assert(*at != CACHE_NIL);
		at = &t->slot[*at].chain;
	}
	*at = t->slot[i].chain;
}

/* Last in, first out: what has room on disk is used again first. */
void
cache_free_push(struct cache_table *t, uint32_t i)
{
	t->slot[i].state = SLOT_FREE;
	t->slot[i].doomed = 0;
	t->slot[i].next = t->free;
	t->free = i;
}

uint32_t
cache_free_pop(struct cache_table *t)
{
	uint32_t i = t->free;

	if (i != CACHE_NIL)
		t->free = t->slot[i].next;
	return i;
}

/* What must hold whenever the lock is free; for tests. */
void
cache_table_check(const struct cache_table *t)
{
	uint32_t live = 0, queued = 0, nfree = 0, listed = 0, i;
	uint64_t room = 0;
	int kind, queue;

	for (i = 0; i < t->n; i++) {
		const struct slot *s = &t->slot[i];

		room += s->room;
		live += s->state == SLOT_LIVE;
		nfree += s->state == SLOT_FREE;
		if (s->state == SLOT_LIVE || s->state == SLOT_WRITING)
			assert(cache_table_find(t, s->pack, s->cell) == i);
		if (s->state == SLOT_LIVE)
			assert(s->len > 0 && s->len <= s->room &&
			    s->room <= CACHE_CELL_SIZE);
	}
	assert(room == t->room);
	for (kind = 0; kind < 2; kind++) {
		for (queue = 0; queue < 2; queue++) {
			const struct slot_list *l = &t->list[kind][queue];
			uint64_t bytes = 0;

			for (i = l->head; i != CACHE_NIL; i = t->slot[i].next) {
				assert(t->slot[i].state == SLOT_LIVE);
				bytes += t->slot[i].room;
				queued++;
			}
			assert(bytes == l->bytes);
		}
	}
	for (i = t->free; i != CACHE_NIL; i = t->slot[i].next)
		listed++;
	assert(queued == live && listed == nfree);
	(void)live; (void)queued; (void)nfree; (void)listed; (void)room;
}
