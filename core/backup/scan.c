/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walker's side of the scanner, and its beginning and end.
 */
#include <stdlib.h>
#include <string.h>

#include "backup/scan_internal.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/slots.h"

#define SLOTS_SPARE	((size_t)2 << 20)

static void
items_init(struct items *l)
{
	l->first = NULL;
	l->end = &l->first;
	l->bytes = 0;
}

void
scan_items_move(struct items *l, struct items *from)
{
	if (from->first == NULL)
		return;
	*l->end = from->first;
	l->end = from->end;
	l->bytes += from->bytes;
	items_init(from);
}

static struct item *
items_take(struct items *l)
{
	struct item *it = l->first;

	if (it == NULL)
		return NULL;
	l->first = it->next;
	if (l->first == NULL)
		l->end = &l->first;
	return it;
}

void
scan_release(struct scan_dir *d)
{
	struct scan_dir *up;

	/* Each holds the one above, by which it is told. */
	for (; d != NULL && atomic_fetch_sub(&d->refs, 1) == 1; d = up) {
		up = d->up;
		dirnames_release(&d->names);
		free(d);
	}
}

void
scan_rack_put(struct scan *s, struct rack *r)
{
	if (r != NULL && atomic_fetch_sub(&r->refs, 1) == 1)
		slots_give(s->slots, r);
}

static void
item_drop(struct scan *s, struct item *it)
{
	scan_rack_put(s, it->rack);
	scan_release(it->dir);
	free(it);
}

static void
items_drop(struct scan *s, struct items *l)
{
	struct item *it;

	while ((it = items_take(l)) != NULL)
		item_drop(s, it);
}

int
scan_new(const struct scan_conf *conf, const struct want *want,
    struct scan **out)
{
	struct scan *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return -ENOMEM;
	s->conf = *conf;
	s->want = want;
	if (s->conf.memory == 0)
		s->conf.memory = SCAN_MEMORY;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	pthread_cond_init(&s->room, NULL);
	items_init(&s->full);
	items_init(&s->batch);
	items_init(&s->taken);
	buf_init(&s->path, SIZE_MAX / 4);
	buf_init(&s->text, SIZE_MAX / 4);
	err = slots_new(SLOTS_SPARE, &s->slots);
	if (err == 0)
		err = pool_new("firn-scan", 1, 1, &s->pool);
	if (err == 0)
		err = pool_submit(s->pool, scan_work, s);
	if (err != 0) {
		scan_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stop, 1);
	pthread_cond_signal(&s->room);
	pthread_mutex_unlock(&s->lock);
	pool_free(s->pool);
	items_drop(s, &s->batch);
	items_drop(s, &s->full);
	items_drop(s, &s->taken);
	scan_rack_put(s, s->rack);
	slots_free(s->slots);
	buf_release(&s->path);
	buf_release(&s->text);
	pthread_cond_destroy(&s->more);
	pthread_cond_destroy(&s->room);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
scan_settle(struct scan *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->ended)
		pthread_cond_wait(&s->more, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* All that was handed over; waits for it. */
static void
take_all(struct scan *s)
{
	pthread_mutex_lock(&s->lock);
	s->asking = s->full.first == NULL;
	if (s->asking)
		pthread_cond_signal(&s->room);
	while (s->full.first == NULL && !s->ended)
		pthread_cond_wait(&s->more, &s->lock);
	scan_items_move(&s->taken, &s->full);
	pthread_mutex_unlock(&s->lock);
}

/* The next item, or NULL when there will be none. */
static struct item *
item_take(struct scan *s)
{
	size_t low = s->conf.memory / 2, before;
	struct item *it;

	if (s->taken.first == NULL)
		take_all(s);
	it = items_take(&s->taken);
	if (it == NULL)
		return NULL;
	before = atomic_fetch_sub(&s->waiting, it->bytes);
	if (before > low && before - it->bytes <= low) {
		pthread_mutex_lock(&s->lock);
		pthread_cond_signal(&s->room);
		pthread_mutex_unlock(&s->lock);
	}
	return it;
}

static struct scan_dir *
dir_take(struct scan *s, const struct want *root, const struct scan_dir *up,
    size_t index)
{
	struct scan_dir *d = NULL;
	struct item *it;

	while ((it = item_take(s)) != NULL) {
		d = it->dir;
		if (it->run == NULL && d->root == root && d->up == up &&
		    d->index == index)
			break;
		item_drop(s, it);
	}
	if (it == NULL)
		return NULL;
	free(it);
	if (!d->failed)
		return d;
	scan_release(d);
	return NULL;
}

struct scan_dir *
scan_root(struct scan *s, const struct want *w)
{
	return s != NULL ? dir_take(s, w, NULL, 0) : NULL;
}

struct scan_dir *
scan_below(struct scan *s, struct scan_dir *up, size_t index)
{
	return s != NULL ? dir_take(s, NULL, up, index) : NULL;
}

static struct scan_run *
run_copy(const struct scan_run *run)
{
	size_t size = sizeof(*run) + run->n * sizeof(run->name[0]);
	struct scan_run *copy = malloc(size);

	if (copy != NULL)
		memcpy(copy, run, size);
	return copy;
}

struct scan_run *
scan_run(struct scan *s, struct scan_dir *d, size_t from)
{
	struct scan_run *run = NULL;
	struct item *it;
	int found = 0;

	while (!found && s != NULL && (it = item_take(s)) != NULL) {
		found = it->run != NULL && it->run->dir == d &&
		    it->run->from == from;
		if (found)
			run = run_copy(it->run);
		item_drop(s, it);
	}
	return run;
}
