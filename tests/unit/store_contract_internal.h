/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the contract suite share: a test's own empty place, objects
 * and lists in it, and threads that work at once.
 */
#ifndef FIRN_TESTS_STORE_CONTRACT_INTERNAL_H
#define FIRN_TESTS_STORE_CONTRACT_INTERNAL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store_contract.h"

#define MANY		2050	/* names: three pages of a bucket's list */
#define MORE_THAN_A_PAGE 1030
#define THREADS		16
#define BIG		(20u << 20)

/* One test's view. */
struct fixture {
	const struct store_contract *c;
	struct store *s;
};

/* xorshift; the same bytes for the same seed. */
static inline void
fill(uint8_t *p, size_t len, uint64_t seed)
{
	size_t i;

	seed = seed * 0x9e3779b97f4a7c15u | 1;
	for (i = 0; i < len; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		p[i] = (uint8_t)(seed >> 32);
	}
}

/*
 * Set for a server that does not decide who was first.  Writers take turns
 * there, and one who finds others at it too long gives up with -EBUSY; and Ceph
 * shows a version a moment after it took it, where many put one name at once.
 * Its lists are those of a server that does, which are tested with more.
 */
static inline int
takes_turns(void)
{
	return getenv("FIRN_TEST_STORE_TURNS") != NULL;
}

static inline void
put_text(struct store *s, const char *name, const char *text)
{
	assert_int_equal(store_put(s, name, text, strlen(text), NULL, 0), 0);
}

static inline void
assert_object(struct store *s, const char *name, const void *data, size_t len)
{
	struct buf b = BUF_INIT(64u << 20);

	assert_int_equal(store_load(s, name, &b), 0);
	assert_int_equal(b.len, len);
	if (len > 0)
		assert_memory_equal(b.data, data, len);
	buf_release(&b);
}

/* Names in the order they came. */
struct seen {
	char (*name)[STORE_NAME_MAX + 1];
	size_t n, max;
	uint64_t bytes;
};

static inline int
see(void *ctx, const char *name, const struct store_stat *st)
{
	struct seen *v = ctx;

	if (v->n == v->max)
		return 77;
	strcpy(v->name[v->n++], name);
	v->bytes += st->size;
	return 0;
}

static inline void
assert_sorted(const struct seen *v)
{
	size_t i;

	for (i = 1; i < v->n; i++)
		assert_true(strcmp(v->name[i - 1], v->name[i]) < 0);
}

/* Work that several threads share: each takes the next number. */
struct gang {
	struct store *s;
	pthread_mutex_t lock;
	size_t next, count;		/* protected by lock */
	int (*job)(struct gang *g, size_t i);
	int result[MANY];
	pthread_barrier_t start;
};

static inline void *
gang_work(void *arg)
{
	struct gang *g = arg;
	size_t i;

	pthread_barrier_wait(&g->start);
	for (;;) {
		pthread_mutex_lock(&g->lock);
		i = g->next++;
		pthread_mutex_unlock(&g->lock);
		if (i >= g->count)
			return NULL;
		g->result[i] = g->job(g, i);
	}
}

static inline void
gang_run(struct gang *g, struct store *s, size_t count,
    int (*job)(struct gang *g, size_t i))
{
	pthread_t t[THREADS];
	int i;

	g->s = s;
	g->next = 0;
	g->count = count;
	g->job = job;
	pthread_mutex_init(&g->lock, NULL);
	pthread_barrier_init(&g->start, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, gang_work, g), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&g->start);
	pthread_mutex_destroy(&g->lock);
}

/* The tests of store_contract_list.c and store_contract_race.c. */
void test_list_empty(void **state);
void test_list_odd(void **state);
void test_list_many(void **state);
void test_names(void **state);
void test_if_absent(void **state);
void test_if_absent_equal(void **state);
void test_put_same(void **state);
void test_churn(void **state);
void test_cancel(void **state);

#endif
