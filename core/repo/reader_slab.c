/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of cells: what requests fill, what waits for the disk cache, and what
 * is kept are one budget, for whatever number of readers.
 *
 * It is kept apart from malloc's, where pieces of megabytes that many threads
 * take and free leave more holes than there is in use, and is used again instead
 * of going back to the kernel, which would cost a fault a page.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/pages.h"
#include "base/slots.h"
#include "repo/reader_internal.h"

#define LOOK_MS		100

static void
slab_unmap(struct slab *s)
{
	if (s->ncells == 1)
		slots_give(s->cells->slots, s->data);
	else
		pages_unmap(s->data, (size_t)s->ncells * FORMAT_GRID);
	free(s);
}

/* One that was used, of this size, or NULL.  Under lock. */
static struct slab *
spare_take(struct cells *c, unsigned ncells)
{
	struct slab *s = c->spare[ncells - 1];

	if (s != NULL) {
		c->spare[ncells - 1] = s->next;
		c->spares -= ncells;
		pages_show(s->data, (size_t)ncells * FORMAT_GRID);
	}
	return s;
}

/* Unmap spares beyond the budget.  Under lock: it is a few system calls, and
 * rare. */
static void
spares_trim(struct cells *c)
{
	struct slab *s;
	unsigned i;

	for (i = REQUEST_MAX; i > 0 &&
	    c->slabs + c->spares > c->slabs_max; )
		if ((s = spare_take(c, i)) != NULL)
			slab_unmap(s);
		else
			i--;
}

static struct slab *
slab_map(struct cells *c, unsigned ncells)
{
	struct slab *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->data = ncells == 1 ? slots_take(c->slots) :
	    pages_map((size_t)ncells * FORMAT_GRID);
	if (s->data == NULL) {
		free(s);
		return NULL;
	}
	s->cells = c;
	s->ncells = ncells;
	return s;
}

/* Until something landed or was freed, or for a while: a look at what has become
 * stale costs little.  Under lock. */
static void
progress_wait(struct cells *c)
{
	uint64_t seen = c->progress;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (c->progress == seen)
		if (pthread_cond_timedwait(&c->landed, &c->flight_lock,
		    &until) == ETIMEDOUT)
			return;
}

/* Let go of what nobody uses, or will come for: 1 when there was any.  Under
 * lock, which it leaves meanwhile. */
static int
room_make(struct cells *c)
{
	int freed;

	pthread_mutex_unlock(&c->flight_lock);
	freed = lru_trim(c->lru);
	if (!freed) {
		budget_forget_stale(c);
		freed = lru_trim(c->lru);
	}
	pthread_mutex_lock(&c->flight_lock);
	return freed;
}

/*
 * Cells that are not in use go before anybody waits.  Who holds memory and waits
 * for a cell that another is about to fetch must not be waited for: so when
 * nothing is on its way any more, one goes on all the same.  Under lock.
 */
static void
room_wait(struct cells *c, unsigned ncells, enum cells_how how)
{
	for (;;) {
		while (c->in_flight > 0 && c->in_flight + ncells > FLIGHT_MAX)
			pthread_cond_wait(&c->landed, &c->flight_lock);
		if (c->slabs + ncells <= c->slabs_max)
			return;
		if (room_make(c) || c->slabs + ncells <= c->slabs_max)
			continue;
		if (how >= CELLS_REST || c->in_flight == 0)
			return;
		progress_wait(c);
	}
}

/* In the order in which they came: who wants much would never find it free
 * beside those who want little.  But for those that hold a part already. */
static void
turn_wait(struct cells *c, unsigned ncells, enum cells_how how)
{
	uint64_t mine;

	if (how >= CELLS_REST) {
		room_wait(c, ncells, how);
		return;
	}
	mine = c->tickets++;
	while (c->serving != mine)
		pthread_cond_wait(&c->landed, &c->flight_lock);
	room_wait(c, ncells, how);
	c->serving++;
	pthread_cond_broadcast(&c->landed);
}

struct slab *
slab_new(struct cells *c, unsigned ncells, enum cells_how how)
{
	struct slab *s;

	pthread_mutex_lock(&c->flight_lock);
	turn_wait(c, ncells, how);
	c->in_flight += ncells;
	c->slabs += ncells;
	if (c->slabs > c->slabs_peak)
		c->slabs_peak = c->slabs;
	s = spare_take(c, ncells);
	if (s == NULL)
		spares_trim(c);
	pthread_mutex_unlock(&c->flight_lock);
	if (s == NULL)
		s = slab_map(c, ncells);
	if (s == NULL) {
		pthread_mutex_lock(&c->flight_lock);
		c->slabs -= ncells;
		pthread_mutex_unlock(&c->flight_lock);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	atomic_init(&s->bad, 0);
	return s;
}

void
slab_landed(struct cells *c, unsigned ncells)
{
	pthread_mutex_lock(&c->flight_lock);
	c->in_flight -= ncells;
	c->progress++;
	pthread_cond_broadcast(&c->landed);
	pthread_mutex_unlock(&c->flight_lock);
}

void
slab_hold(struct slab *s)
{
	atomic_fetch_add(&s->refs, 1);
}

void
slab_put(struct slab *s)
{
	struct cells *c;

	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	c = s->cells;
	pages_hide(s->data, (size_t)s->ncells * FORMAT_GRID);
	pthread_mutex_lock(&c->flight_lock);
	c->slabs -= s->ncells;
	c->spares += s->ncells;
	s->next = c->spare[s->ncells - 1];
	c->spare[s->ncells - 1] = s;
	spares_trim(c);
	c->progress++;
	pthread_cond_broadcast(&c->landed);
	pthread_mutex_unlock(&c->flight_lock);
}

void
slabs_release(struct cells *c)
{
	struct slab *s;
	unsigned i;

	for (i = 1; i <= REQUEST_MAX; i++)
		while ((s = spare_take(c, i)) != NULL)
			slab_unmap(s);
}
