/* SPDX-License-Identifier: Apache-2.0 */
/* Directory records, in one hash table by number and one by node id. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fs/node.h"

struct record {
	struct record *by_number;	/* next in the bucket */
	struct record *by_node;
	uint64_t count;
	struct dir_rec rec;
};

struct dirs {
	pthread_mutex_t lock;
	struct record **number;		/* protected by lock, as all below */
	struct record **node;
	size_t nbuckets;		/* of each; a power of two */
	size_t n;
	uint64_t made;
	uint32_t next;
	uint32_t epoch;
};

int
dirs_new(struct dirs **out)
{
	struct dirs *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->nbuckets = 256;
	d->number = calloc(d->nbuckets, sizeof(*d->number));
	d->node = calloc(d->nbuckets, sizeof(*d->node));
	if (d->number == NULL || d->node == NULL) {
		free(d->number);
		free(d->node);
		free(d);
		return -ENOMEM;
	}
	pthread_mutex_init(&d->lock, NULL);
	d->next = 1;
	d->epoch = 1;
	*out = d;
	return 0;
}

void
dirs_free(struct dirs *d)
{
	struct record *r, *next;
	size_t i;

	if (d == NULL)
		return;
	for (i = 0; i < d->nbuckets; i++)
		for (r = d->number[i]; r != NULL; r = next) {
			next = r->by_number;
			free(r);
		}
	pthread_mutex_destroy(&d->lock);
	free(d->number);
	free(d->node);
	free(d);
}

static size_t
bucket(const struct dirs *d, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (d->nbuckets - 1);
}

static struct record *
find_number(struct dirs *d, uint32_t number)
{
	struct record *r = d->number[bucket(d, number)];

	while (r != NULL && r->rec.number != number)
		r = r->by_number;
	return r;
}

static struct record *
find_node(struct dirs *d, uint64_t node)
{
	struct record *r = d->node[bucket(d, node)];

	while (r != NULL && r->rec.node != node)
		r = r->by_node;
	return r;
}

static void
link_in(struct dirs *d, struct record *r)
{
	struct record **b;

	b = &d->number[bucket(d, r->rec.number)];
	r->by_number = *b;
	*b = r;
	b = &d->node[bucket(d, r->rec.node)];
	r->by_node = *b;
	*b = r;
}

static void
link_out(struct dirs *d, struct record *r)
{
	struct record **b;

	b = &d->number[bucket(d, r->rec.number)];
	while (*b != r)
		b = &(*b)->by_number;
	*b = r->by_number;
	b = &d->node[bucket(d, r->rec.node)];
	while (*b != r)
		b = &(*b)->by_node;
	*b = r->by_node;
}

/* Without memory the chains just grow longer. */
static void
grow(struct dirs *d)
{
	struct record **number, **node, **old = d->number, *r, *next;
	size_t i, n = d->nbuckets;

	number = calloc(2 * n, sizeof(*number));
	node = calloc(2 * n, sizeof(*node));
	if (number == NULL || node == NULL) {
		free(number);
		free(node);
		return;
	}
	free(d->node);
	d->number = number;
	d->node = node;
	d->nbuckets = 2 * n;
	for (i = 0; i < n; i++)
		for (r = old[i]; r != NULL; r = next) {
			next = r->by_number;
			link_in(d, r);
		}
	free(old);
}

int
dirs_get(struct dirs *d, uint32_t number, struct dir_rec *out)
{
	struct record *r;

	pthread_mutex_lock(&d->lock);
	r = find_number(d, number);
	if (r != NULL)
		*out = r->rec;
	pthread_mutex_unlock(&d->lock);
	return r != NULL;
}

int
dirs_hold(struct dirs *d, uint64_t node, struct dir_rec *out)
{
	struct record *r;

	pthread_mutex_lock(&d->lock);
	r = find_node(d, node);
	if (r != NULL) {
		r->count++;
		*out = r->rec;
	}
	pthread_mutex_unlock(&d->lock);
	return r != NULL;
}

/* A number that no record has; 0 when all are taken. */
static uint32_t
number_take(struct dirs *d)
{
	uint32_t number;

	if (d->n >= NODE_DIR_MAX)
		return 0;
	do {
		if (d->next > NODE_DIR_MAX) {
			d->next = 1;
			d->epoch++;
		}
		number = d->next++;
	} while (find_number(d, number) != NULL);
	d->made++;
	return number;
}

static int
make_locked(struct dirs *d, struct dir_rec *rec, struct record *r)
{
	struct record *parent = NULL;

	if (node_dir(rec->node) != 0) {
		parent = find_number(d, node_dir(rec->node));
		if (parent == NULL)
			return -ESTALE;
	}
	rec->number = number_take(d);
	if (rec->number == 0)
		return -ENFILE;
	rec->epoch = d->epoch;
	r->rec = *rec;
	r->count = 1;
	if (parent != NULL)
		parent->count++;
	if (d->n++ >= d->nbuckets)
		grow(d);
	link_in(d, r);
	return 0;
}

int
dirs_make(struct dirs *d, struct dir_rec *rec)
{
	struct record *fresh = calloc(1, sizeof(*fresh)), *r;
	int err = 0;

	if (fresh == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&d->lock);
	r = find_node(d, rec->node);
	if (r != NULL) {
		r->count++;
		*rec = r->rec;
	} else {
		err = make_locked(d, rec, fresh);
		if (err == 0)
			fresh = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	free(fresh);
	return err;
}

void
dirs_count(struct dirs *d, uint32_t number, uint64_t n)
{
	struct record *r;

	pthread_mutex_lock(&d->lock);
	r = find_number(d, number);
	assert(r != NULL);
	if (r != NULL)
		r->count += n;
	pthread_mutex_unlock(&d->lock);
}

void
dirs_drop(struct dirs *d, uint32_t number, uint64_t n)
{
	struct record *r, *dead = NULL;

	if (number == 0 || n == 0)
		return;
	pthread_mutex_lock(&d->lock);
	r = find_number(d, number);
	/* n is the kernel's word where it forgets: do not trust it. */
	while (r != NULL && (r->count = r->count > n ? r->count - n : 0) == 0) {
		link_out(d, r);
		d->n--;
		r->by_number = dead;
		dead = r;
		r = find_number(d, node_dir(r->rec.node));
		n = 1;
	}
	pthread_mutex_unlock(&d->lock);
	for (; dead != NULL; dead = r) {
		r = dead->by_number;
		free(dead);
	}
}

void
dirs_stats(struct dirs *d, size_t *records, uint64_t *made)
{
	pthread_mutex_lock(&d->lock);
	*records = d->n;
	*made = d->made;
	pthread_mutex_unlock(&d->lock);
}

void
dirs_set_next(struct dirs *d, uint32_t next)
{
	pthread_mutex_lock(&d->lock);
	d->next = next;
	pthread_mutex_unlock(&d->lock);
}
