/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large pages with two slots each.  Those that are half in use are filled first,
 * so that others become empty and can go.
 *
 * What nobody has is hidden, so that who uses it is found, as with malloc(3).
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/pages.h"
#include "base/slots.h"

#define BOTH	3u

struct chunk {
	uint8_t *mem;
	unsigned free;	/* a bit for each of its two slots */
};

struct slots {
	pthread_mutex_t lock;
	struct chunk *chunk;	/* in no order; this and below under lock */
	size_t n, cap;
	size_t free;		/* slots */
	size_t spare;		/* slots */
};

int
slots_new(size_t spare, struct slots **out)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->spare = spare / SLOT_SIZE;
	*out = s;
	return 0;
}

void
slots_free(struct slots *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->n; i++) {
		assert(s->chunk[i].free == BOTH);
		pages_unmap(s->chunk[i].mem, 2 * SLOT_SIZE);
	}
	pthread_mutex_destroy(&s->lock);
	free(s->chunk);
	free(s);
}

/* One with a free slot, at best with one only; n when there is none. */
static size_t
find_free(const struct slots *s)
{
	size_t i, empty = s->n;

	for (i = 0; s->free > 0 && i < s->n; i++) {
		if (s->chunk[i].free == BOTH)
			empty = i;
		else if (s->chunk[i].free != 0)
			return i;
	}
	return empty;
}

static int
add_chunk(struct slots *s)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : 16;
	struct chunk *more;
	uint8_t *mem;

	if (s->n == s->cap) {
		more = reallocarray(s->chunk, cap, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		s->chunk = more;
		s->cap = cap;
	}
	mem = pages_map(2 * SLOT_SIZE);
	if (mem == NULL)
		return -ENOMEM;
	pages_hide(mem, 2 * SLOT_SIZE);
	s->chunk[s->n++] = (struct chunk){ .mem = mem, .free = BOTH };
	s->free += 2;
	return 0;
}

void *
slots_take(struct slots *s)
{
	uint8_t *slot = NULL;
	unsigned second;
	size_t i;

	pthread_mutex_lock(&s->lock);
	i = find_free(s);
	if (i < s->n || add_chunk(s) == 0) {
		second = (s->chunk[i].free & 1) == 0;
		s->chunk[i].free &= ~(1u << second);
		s->free--;
		slot = s->chunk[i].mem + second * SLOT_SIZE;
		pages_show(slot, SLOT_SIZE);
	}
	pthread_mutex_unlock(&s->lock);
	return slot;
}

/* The chunk that a slot is of, and its bit there. */
static size_t
find_slot(const struct slots *s, const uint8_t *slot, unsigned *bit)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		*bit = slot == s->chunk[i].mem ? 1u :
		    slot == s->chunk[i].mem + SLOT_SIZE ? 2u : 0;
		if (*bit != 0)
			break;
	}
	assert(i < s->n);
	return i;
}

void
slots_give(struct slots *s, void *slot)
{
	uint8_t *gone = NULL;
	unsigned bit;
	size_t i;

	if (slot == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	i = find_slot(s, slot, &bit);
	assert((s->chunk[i].free & bit) == 0);	/* given once */
	pages_hide(slot, SLOT_SIZE);
	s->chunk[i].free |= bit;
	s->free++;
	if (s->chunk[i].free == BOTH && s->free > s->spare) {
		gone = s->chunk[i].mem;
		s->chunk[i] = s->chunk[--s->n];
		s->free -= 2;
	}
	pthread_mutex_unlock(&s->lock);
	if (gone != NULL)
		pages_unmap(gone, 2 * SLOT_SIZE);
}

size_t
slots_held(struct slots *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = 2 * s->n;
	pthread_mutex_unlock(&s->lock);
	return n * SLOT_SIZE;
}
