/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cell goes: S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all
 * you need for cache eviction", SOSP 2023), once for data and once for meta.
 *
 * A new cell enters SMALL, a tenth of its kind.  At its end it moves to MAIN
 * when it was used twice, else it leaves, and its fingerprint stays a while
 * among the ghosts; a cell that comes back while it is one enters MAIN.  At the
 * end of MAIN a cell that was used goes round again, with one use less.  So a
 * scan passes through SMALL and leaves MAIN alone, and a use costs no more than
 * a counter.
 *
 * Of the two kinds, data gives way while it takes more than a tenth of the
 * limit.
 */
#include <errno.h>
#include <stdlib.h>

#include "cache/cache_internal.h"

#define SHARE		10	/* SMALL of its kind, data of the limit */
#define PROVEN		2	/* uses in SMALL that lead to MAIN */
#define STEPS_MAX	1024	/* under lock; then the next one goes */

int
cache_ghost_init(struct cache_ghost *g, uint32_t cells)
{
	uint32_t n = CACHE_STEP;

	while (n < cells)
		n *= 2;
	g->mask = n - 1;
	g->entry = calloc(n, sizeof(*g->entry));
	return g->entry == NULL ? -ENOMEM : 0;
}

void
cache_ghost_release(struct cache_ghost *g)
{
	free(g->entry);
	g->entry = NULL;
}

/*
 * One place for each fingerprint; a later one there takes it over, so the
 * ghosts are about as many as cells fit, and the latest.
 */
static void
ghost_add(struct cache_ghost *g, uint64_t hash)
{
	g->entry[hash >> 32 & g->mask] = hash | 1;
}

static int
ghost_take(struct cache_ghost *g, uint64_t hash)
{
	uint64_t *e = &g->entry[hash >> 32 & g->mask];

	if (*e != (hash | 1))
		return 0;
	*e = 0;
	return 1;
}

void
cache_policy_append(struct cache_table *t, uint32_t i)
{
	struct slot *s = &t->slot[i];
	struct slot_list *l = &t->list[s->kind][s->queue];

	s->prev = CACHE_NIL;
	s->next = l->head;
	if (l->head != CACHE_NIL)
		t->slot[l->head].prev = i;
	else
		l->tail = i;
	l->head = i;
	l->count++;
	l->bytes += s->room;
}

void
cache_policy_remove(struct cache_table *t, uint32_t i)
{
	struct slot *s = &t->slot[i];
	struct slot_list *l = &t->list[s->kind][s->queue];

	if (s->prev != CACHE_NIL)
		t->slot[s->prev].next = s->next;
	else
		l->head = s->next;
	if (s->next != CACHE_NIL)
		t->slot[s->next].prev = s->prev;
	else
		l->tail = s->prev;
	l->count--;
	l->bytes -= s->room;
}

void
cache_policy_insert(struct cache *c, uint32_t i)
{
	struct slot *s = &c->table.slot[i];

	s->queue = ghost_take(&c->ghost, cache_key_hash(s->pack, s->cell)) ?
	    QUEUE_MAIN : QUEUE_SMALL;
	s->freq = 0;
	s->seq = c->table.seq++;
	cache_policy_append(&c->table, i);
}

void
cache_policy_use(struct slot *s)
{
	if (s->freq < CACHE_FREQ_MAX) {
		s->freq++;
		s->dirty = 1;
	}
}

/* To the head of a queue. */
static void
requeue(struct cache_table *t, uint32_t i, enum slot_queue queue, uint8_t freq)
{
	struct slot *s = &t->slot[i];

	cache_policy_remove(t, i);
	s->queue = queue;
	s->freq = freq;
	s->seq = t->seq++;
	s->dirty = 1;
	cache_policy_append(t, i);
}

static int
kind_to_evict(const struct cache *c)
{
	const struct slot_list *data = c->table.list[KIND_DATA];
	const struct slot_list *meta = c->table.list[KIND_META];
	uint64_t bytes = data[QUEUE_SMALL].bytes + data[QUEUE_MAIN].bytes;

	if (meta[QUEUE_SMALL].count + meta[QUEUE_MAIN].count == 0)
		return KIND_DATA;
	return bytes > c->limit / SHARE ? KIND_DATA : KIND_META;
}

uint32_t
cache_policy_evict(struct cache *c, struct cache_moved *moved)
{
	struct cache_table *t = &c->table;
	struct slot_list *list = t->list[kind_to_evict(c)], *small, *main;
	uint32_t i = CACHE_NIL, step;

	small = &list[QUEUE_SMALL];
	main = &list[QUEUE_MAIN];
	for (step = 0; small->count + main->count > 0; step++) {
		int from_small = main->count == 0 || (small->count > 0 &&
		    small->bytes * SHARE >= small->bytes + main->bytes);

		i = from_small ? small->tail : main->tail;
		if (step < STEPS_MAX && from_small &&
		    t->slot[i].freq >= PROVEN) {
			requeue(t, i, QUEUE_MAIN, 0);
			if (moved->n < sizeof(moved->slot) /
			    sizeof(moved->slot[0]))
				moved->slot[moved->n++] = i;
			continue;
		}
		if (step < STEPS_MAX && !from_small && t->slot[i].freq > 0) {
			requeue(t, i, QUEUE_MAIN, t->slot[i].freq - 1);
			continue;
		}
		if (from_small)
			ghost_add(&c->ghost, cache_key_hash(t->slot[i].pack,
			    t->slot[i].cell));
		break;
	}
	if (i == CACHE_NIL)
		return CACHE_NIL;
	cache_policy_remove(t, i);
	cache_table_unlink(t, i);
	atomic_fetch_add(&c->evictions, 1);
	return i;
}
