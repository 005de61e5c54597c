/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much is fetched ahead: cells that nobody has used yet, of all readers
 * together.  They are held, so that cells which were used leave memory first;
 * when such a one is wanted again at once, there was too little room for both,
 * and less is fetched ahead for a while.
 */
#include <time.h>

#include "base/bytes.h"
#include "repo/reader_internal.h"

#define STALE_LOADS	(4 * WINDOW_MAX)	/* who fetched it has gone */
#define STALE_SECONDS	2
#define CALM_LOADS	16	/* for one cell more to be fetched ahead */

static time_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

void
budget_init(struct cells *c, size_t memory)
{
	c->unused_top = (unsigned)(memory / FORMAT_GRID * 2 / 3);
	if (c->unused_top > WINDOW_MAX)
		c->unused_top = WINDOW_MAX;
	atomic_init(&c->unused_max, c->unused_top);
}

uint64_t
budget_hash(const uint8_t *pack, uint32_t number)
{
	return le64_get(pack) + number;
}

void
budget_gone(struct cells *c, const struct cell *cell)
{
	pthread_mutex_lock(&c->lock);
	c->gone[c->gone_next++ % GONE_MAX] = cell->hash;
	pthread_mutex_unlock(&c->lock);
}

void
budget_forget(struct cells *c, uint64_t loads, time_t since)
{
	struct lru_node *gone[WINDOW_MAX];
	struct cell *cell;
	unsigned i, n = 0;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < WINDOW_MAX; i++) {
		if (c->waiting[i].node == NULL ||
		    (c->waiting[i].loads >= loads &&
		    c->waiting[i].since >= since))
			continue;
		gone[n++] = c->waiting[i].node;
		cell = lru_value(c->waiting[i].node);
		atomic_store(&cell->waits, 0);
		c->waiting[i].node = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	for (i = 0; i < n; i++)
		lru_release(c->lru, gone[i]);
	budget_give(c, n);
}

void
budget_wait(struct cells *c, struct lru_node *node)
{
	struct cell *cell = lru_value(node);
	unsigned i;
	int waits;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < WINDOW_MAX && c->waiting[i].node != NULL; i++)
		;
	/* Whoever waited for it to come has used it by now. */
	waits = i < WINDOW_MAX && !atomic_load(&cell->used);
	if (waits) {
		c->waiting[i].node = node;
		c->waiting[i].loads = atomic_load(&c->loads);
		c->waiting[i].since = now();
		atomic_store(&cell->waits, 1);
	}
	pthread_mutex_unlock(&c->lock);
	if (!waits) {
		lru_release(c->lru, node);
		budget_give(c, 1);
	}
}

void
budget_used(struct cells *c, struct lru_node *node)
{
	struct cell *cell = lru_value(node);
	unsigned i, n = 0;

	if (atomic_load(&cell->used) && !atomic_load(&cell->waits))
		return;
	pthread_mutex_lock(&c->lock);
	atomic_store(&cell->used, 1);
	atomic_store(&cell->waits, 0);
	for (i = 0; i < WINDOW_MAX; i++)
		if (c->waiting[i].node == node) {
			c->waiting[i].node = NULL;
			n = 1;
		}
	pthread_mutex_unlock(&c->lock);
	if (n > 0)
		lru_release(c->lru, node);
	budget_give(c, n);
}

void
budget_adapt(struct cells *c, const struct index_place *at, uint32_t number)
{
	uint64_t hash = budget_hash(at->pack, number);
	unsigned i, max;

	pthread_mutex_lock(&c->lock);
	max = atomic_load(&c->unused_max);
	for (i = 0; i < GONE_MAX && c->gone[i] != hash; i++)
		;
	if (i < GONE_MAX) {
		c->gone[i] = 0;
		c->calm = 0;
		if (max > REQUEST_MAX)
			max--;
	} else if (++c->calm % CALM_LOADS == 0 && max < c->unused_top) {
		max++;
	}
	atomic_store(&c->unused_max, max);
	pthread_mutex_unlock(&c->lock);
}

void
budget_forget_stale(struct cells *c)
{
	uint64_t loads = atomic_load(&c->loads);

	budget_forget(c, loads > STALE_LOADS ? loads - STALE_LOADS : 0,
	    now() - STALE_SECONDS);
}

uint32_t
budget_take(struct cells *c, uint32_t want, uint32_t least)
{
	unsigned have = atomic_load(&c->unused), n;
	unsigned max = atomic_load(&c->unused_max);

	if (have + want > max) {
		budget_forget_stale(c);
		have = atomic_load(&c->unused);
	}
	do {
		n = have < max ? max - have : 0;
		if (n > want)
			n = want;
		if (n < least || n == 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&c->unused, &have, have + n));
	return n;
}

void
budget_give(struct cells *c, uint32_t n)
{
	atomic_fetch_sub(&c->unused, n);
}
