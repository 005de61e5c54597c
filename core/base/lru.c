/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes lie in a chained hash table; those that are loaded and not held lie in
 * the list of eviction too, oldest first.  A dropped node is out of the table
 * at once and freed with its last hold.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/lru.h"

enum node_state { NODE_LOADING, NODE_READY, NODE_FAILED };

struct lru_node {
	struct lru_node *chain;		/* next in the bucket */
	struct lru_node *prev, *next;	/* eviction list, when idle */
	void *value;
	size_t size;
	unsigned holds;
	enum node_state state;
	int err;			/* of NODE_FAILED */
	int in_table;
	uint8_t key[LRU_KEY_MAX];
};

struct lru {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void (*free_value)(void *);
	size_t keylen;
	size_t limit;
	size_t used;			/* protected by lock, as all below */
	struct lru_node idle;		/* head; next is the oldest */
	struct lru_node **bucket;
	size_t nbuckets;		/* a power of two */
	size_t count;
};

int
lru_new(size_t limit, size_t keylen, void (*free_value)(void *),
    struct lru **out)
{
	struct lru *l = calloc(1, sizeof(*l));

	assert(keylen >= 8 && keylen <= LRU_KEY_MAX);
	if (l == NULL)
		return -ENOMEM;
	l->nbuckets = 256;
	l->bucket = calloc(l->nbuckets, sizeof(*l->bucket));
	if (l->bucket == NULL) {
		free(l);
		return -ENOMEM;
	}
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->free_value = free_value;
	l->keylen = keylen;
	l->limit = limit;
	l->idle.prev = l->idle.next = &l->idle;
	*out = l;
	return 0;
}

void
lru_free(struct lru *l)
{
	struct lru_node *n, *next;

	if (l == NULL)
		return;
	for (n = l->idle.next; n != &l->idle; n = next) {
		next = n->next;
		l->free_value(n->value);
		free(n);
	}
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l->bucket);
	free(l);
}

/* FNV-1a; keys are hashes already in part, this mixes the rest. */
static struct lru_node **
bucket_of(struct lru *l, const uint8_t *key)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < l->keylen; i++)
		h = (h ^ key[i]) * 0x100000001b3u;
	h ^= h >> 32;
	return &l->bucket[h & (l->nbuckets - 1)];
}

static struct lru_node *
node_find(struct lru *l, const void *key)
{
	struct lru_node *n;

	for (n = *bucket_of(l, key); n != NULL; n = n->chain)
		if (memcmp(n->key, key, l->keylen) == 0)
			return n;
	return NULL;
}

static void
table_grow(struct lru *l)
{
	struct lru_node **old = l->bucket, **b, *n;
	size_t i, count = l->nbuckets;

	b = calloc(count * 2, sizeof(*b));
	if (b == NULL)
		return;		/* longer chains, nothing worse */
	l->bucket = b;
	l->nbuckets = count * 2;
	for (i = 0; i < count; i++)
		while ((n = old[i]) != NULL) {
			old[i] = n->chain;
			b = bucket_of(l, n->key);
			n->chain = *b;
			*b = n;
		}
	free(old);
}

static void
table_add(struct lru *l, struct lru_node *n)
{
	struct lru_node **b;

	if (l->count >= l->nbuckets * 2)
		table_grow(l);
	b = bucket_of(l, n->key);
	n->chain = *b;
	*b = n;
	n->in_table = 1;
	l->count++;
}

static void
table_remove(struct lru *l, struct lru_node *n)
{
	struct lru_node **b = bucket_of(l, n->key);

	if (!n->in_table)
		return;
	while (*b != n)
		b = &(*b)->chain;
	*b = n->chain;
	n->in_table = 0;
	l->count--;
}

static void
idle_remove(struct lru_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

static void
idle_append(struct lru *l, struct lru_node *n)
{
	n->prev = l->idle.prev;
	n->next = &l->idle;
	n->prev->next = n;
	l->idle.prev = n;
}

/* Takes what is over the limit out; returns it as a list by `chain`. */
static struct lru_node *
evict(struct lru *l)
{
	struct lru_node *n, *out = NULL;

	while (l->used > l->limit && (n = l->idle.next) != &l->idle) {
		idle_remove(n);
		table_remove(l, n);
		l->used -= n->size;
		n->chain = out;
		out = n;
	}
	return out;
}

static void
nodes_free(struct lru *l, struct lru_node *n)
{
	struct lru_node *next;

	for (; n != NULL; n = next) {
		next = n->chain;
		if (n->value != NULL)
			l->free_value(n->value);
		free(n);
	}
}

static int
node_hold(struct lru_node *n)
{
	if (n->holds++ == 0 && n->prev != NULL)
		idle_remove(n);
	return 1;
}

/* The last hold of a node that is out of the table frees it. */
static struct lru_node *
node_unhold(struct lru *l, struct lru_node *n)
{
	if (--n->holds > 0)
		return NULL;
	if (n->in_table) {
		idle_append(l, n);
		return evict(l);
	}
	if (n->state == NODE_READY)
		l->used -= n->size;
	n->chain = NULL;
	return n;
}

static int
acquire(struct lru *l, const void *key, int wait, int load,
    struct lru_node **out)
{
	struct lru_node *n, *dead = NULL;
	int ret = 0;

	*out = NULL;
	pthread_mutex_lock(&l->lock);
	n = node_find(l, key);
	if (n != NULL && n->state == NODE_READY) {
		ret = node_hold(n);
	} else if (n != NULL && !wait) {
		ret = -EAGAIN;
		n = NULL;
	} else if (n != NULL) {
		n->holds++;
		while (n->state == NODE_LOADING)
			pthread_cond_wait(&l->changed, &l->lock);
		ret = n->state == NODE_READY ? 1 : n->err;
		if (ret < 0) {
			dead = node_unhold(l, n);
			n = NULL;
		}
	} else if (load) {
		n = calloc(1, sizeof(*n));
		if (n == NULL) {
			ret = -ENOMEM;
		} else {
			memcpy(n->key, key, l->keylen);
			n->holds = 1;
			table_add(l, n);
		}
	}
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, dead);
	*out = n;
	return ret;
}

int
lru_acquire(struct lru *l, const void *key, struct lru_node **out)
{
	return acquire(l, key, 1, 1, out);
}

int
lru_try(struct lru *l, const void *key, struct lru_node **out)
{
	return acquire(l, key, 0, 1, out);
}

int
lru_peek(struct lru *l, const void *key, struct lru_node **out)
{
	return acquire(l, key, 0, 0, out) == 1;
}

int
lru_known(struct lru *l, const void *key)
{
	int known;

	pthread_mutex_lock(&l->lock);
	known = node_find(l, key) != NULL;
	pthread_mutex_unlock(&l->lock);
	return known;
}

void
lru_loaded(struct lru *l, struct lru_node *n, void *value, size_t size)
{
	struct lru_node *dead;

	pthread_mutex_lock(&l->lock);
	n->value = value;
	n->size = size;
	n->state = NODE_READY;
	l->used += size;
	dead = evict(l);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, dead);
}

void
lru_failed(struct lru *l, struct lru_node *n, int err)
{
	struct lru_node *dead;

	assert(err < 0);
	pthread_mutex_lock(&l->lock);
	n->state = NODE_FAILED;
	n->err = err;
	table_remove(l, n);
	dead = node_unhold(l, n);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, dead);
}

void
lru_release(struct lru *l, struct lru_node *n)
{
	struct lru_node *dead;

	if (n == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	dead = node_unhold(l, n);
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, dead);
}

int
lru_trim(struct lru *l)
{
	struct lru_node *n;

	pthread_mutex_lock(&l->lock);
	n = l->idle.next;
	if (n == &l->idle) {
		n = NULL;
	} else {
		idle_remove(n);
		table_remove(l, n);
		l->used -= n->size;
		n->chain = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, n);
	return n != NULL;
}

void
lru_drop(struct lru *l, const void *key)
{
	struct lru_node *n, *dead = NULL;

	pthread_mutex_lock(&l->lock);
	n = node_find(l, key);
	if (n != NULL && n->state == NODE_READY) {
		table_remove(l, n);
		if (n->holds == 0) {
			idle_remove(n);
			l->used -= n->size;
			n->chain = NULL;
			dead = n;
		}
	}
	pthread_mutex_unlock(&l->lock);
	nodes_free(l, dead);
}

void *
lru_value(const struct lru_node *n)
{
	return n->value;
}

size_t
lru_used(struct lru *l)
{
	size_t used;

	pthread_mutex_lock(&l->lock);
	used = l->used;
	pthread_mutex_unlock(&l->lock);
	return used;
}
