/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract suite.  Each test gets an empty place, and opens as many
 * handles onto it as it needs.
 */
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

#define MANY		2500
#define THREADS		16
#define BIG		(20u << 20)

/* One test's view. */
struct fixture {
	const struct store_contract *c;
	struct store *s;
};

static int
setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->c = *state;
	if (f->c->make(f->c->ctx) != 0)
		return -1;
	*state = f;
	return f->c->open(f->c->ctx, &f->s);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	f->c->unmake(f->c->ctx);
	*state = NULL;
	test_free(f);
	return 0;
}

/* xorshift; the same bytes for the same seed. */
static void
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

static void
put_text(struct store *s, const char *name, const char *text)
{
	assert_int_equal(store_put(s, name, text, strlen(text), NULL, 0), 0);
}

static void
assert_object(struct store *s, const char *name, const void *data, size_t len)
{
	struct buf b = BUF_INIT(64u << 20);

	assert_int_equal(store_load(s, name, &b), 0);
	assert_int_equal(b.len, len);
	if (len > 0)
		assert_memory_equal(b.data, data, len);
	buf_release(&b);
}

static void
test_put_get(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t buf[16], sha[HASH_SIZE];
	size_t got = 99;

	assert_int_equal(store_get(s, "data/ab/none", 0, buf, 4, &got),
	    -ENOENT);
	assert_int_equal(got, 0);
	put_text(s, "data/ab/one", "0123456789");
	assert_int_equal(store_get(s, "data/ab/one", 0, buf, 10, &got), 0);
	assert_int_equal(got, 10);
	assert_memory_equal(buf, "0123456789", 10);
	/* The same again, with its hash. */
	assert_int_equal(hash_sha256("0123456789", 10, sha), 0);
	assert_int_equal(store_put(s, "data/ab/one", "0123456789", 10, sha, 0),
	    0);
	assert_object(s, "data/ab/one", "0123456789", 10);
	/* A directory is no object. */
	assert_int_equal(store_get(s, "data/ab", 0, buf, 4, &got), -ENOENT);
	assert_int_equal(store_get(s, "data/ab/one/x", 0, buf, 4, &got),
	    -ENOENT);
}

static void
test_ranges(void **state)
{
	static const struct { uint64_t off; size_t len, got; } r[] = {
		{ 0, 1, 1 }, { 0, 9, 9 }, { 0, 10, 10 }, { 0, 16, 10 },
		{ 3, 4, 4 }, { 9, 1, 1 }, { 9, 16, 1 }, { 10, 1, 0 },
		{ 11, 16, 0 }, { 1u << 31, 4, 0 }, { 1ull << 62, 16, 0 },
		{ UINT64_MAX, 16, 0 }, { 2, 0, 0 }, { 10, 0, 0 },
	};
	static const char digits[] = "0123456789";
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t buf[17];
	size_t i, got;

	put_text(s, "config", digits);
	for (i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
		memset(buf, '#', sizeof(buf));
		assert_int_equal(store_get(s, "config", r[i].off, buf, r[i].len,
		    &got), 0);
		assert_int_equal(got, r[i].got);
		if (got > 0)
			assert_memory_equal(buf, &digits[r[i].off], got);
		assert_int_equal(buf[r[i].len], '#');
	}
	assert_int_equal(store_get(s, "none", 0, buf, 0, &got), -ENOENT);
	assert_int_equal(store_get(s, "none", 1u << 20, buf, 1, &got),
	    -ENOENT);
}

static void
test_empty_object(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_stat st;
	uint8_t buf[4];
	size_t got = 1;

	assert_int_equal(store_put(s, "keys/empty", NULL, 0, NULL,
	    STORE_IF_ABSENT), 0);
	assert_int_equal(store_put(s, "keys/empty", NULL, 0, NULL,
	    STORE_IF_ABSENT), -EEXIST);
	assert_int_equal(store_get(s, "keys/empty", 0, buf, 4, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(store_get(s, "keys/empty", 3, buf, 4, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(store_stat(s, "keys/empty", &st), 0);
	assert_int_equal(st.size, 0);
	assert_object(s, "keys/empty", "", 0);
}

static void
test_stat(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t sha[HASH_SIZE];
	struct store_stat st;
	time_t now = time(NULL);

	assert_int_equal(store_stat(s, "gen/none", &st), -ENOENT);
	put_text(s, "gen/one", "hello");
	assert_int_equal(store_stat(s, "gen/one", &st), 0);
	assert_int_equal(st.size, 5);
	assert_true(st.mtime.tv_sec > now - 600 && st.mtime.tv_sec < now + 600);
	assert_int_equal(hash_sha256("hello", 5, sha), 0);
	if (st.has_sha256)
		assert_memory_equal(st.sha256, sha, HASH_SIZE);
	assert_int_equal(store_stat(s, "gen", &st), -ENOENT);
}

static void
test_del(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_stat st;
	uint8_t b;
	size_t got;

	assert_int_equal(store_del(s, "data/ab/none"), 0);
	put_text(s, "data/ab/one", "x");
	assert_object(s, "data/ab/one", "x", 1);
	assert_int_equal(store_del(s, "data/ab/one"), 0);
	assert_int_equal(store_get(s, "data/ab/one", 0, &b, 1, &got), -ENOENT);
	assert_int_equal(store_stat(s, "data/ab/one", &st), -ENOENT);
	assert_int_equal(store_del(s, "data/ab/one"), 0);
	assert_int_equal(store_del(s, "data/ab"), 0);
	put_text(s, "data/ab/one", "other");
	assert_object(s, "data/ab/one", "other", 5);
}

/* Names in the order they came. */
struct seen {
	char (*name)[STORE_NAME_MAX + 1];
	size_t n, max;
	uint64_t bytes;
};

static int
see(void *ctx, const char *name, const struct store_stat *st)
{
	struct seen *v = ctx;

	if (v->n == v->max)
		return 77;
	strcpy(v->name[v->n++], name);
	v->bytes += st->size;
	return 0;
}

static void
assert_sorted(const struct seen *v)
{
	size_t i;

	for (i = 1; i < v->n; i++)
		assert_true(strcmp(v->name[i - 1], v->name[i]) < 0);
}

static void
test_list_empty(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct seen v = { NULL, 0, 0, 0 };

	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(store_list(s, "data/", see, &v), 0);
	assert_int_equal(store_list(s, "data/ab", see, &v), 0);
}

static void
test_list_odd(void **state)
{
	static const char *const names[] = {
		"...", "..a/b", "-/-/-", "0", "T", "Z.T_-9", "_", "a-b", "a.",
		"a.b", "a/.x", "a/b/c/d/e/f/g", "a/b0", "a/tmp/x", "a0",
		"a_b", "tmp.x", "tmp0/x", "tmp-",
		"gen/2026-11-20T115739Z",
	};
	struct store *s = ((struct fixture *)*state)->s;
	char name[64][STORE_NAME_MAX + 1], longest[STORE_NAME_MAX + 1];
	size_t n = sizeof(names) / sizeof(names[0]), i;
	struct seen v = { name, 0, 64, 0 };

	memset(longest, 'z', STORE_NAME_MAX);
	longest[100] = '/';
	longest[STORE_NAME_MAX] = '\0';
	put_text(s, longest, "long");
	for (i = 0; i < n; i++)
		put_text(s, names[i], names[i]);
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, n + 1);
	assert_sorted(&v);
	for (i = 0; i < n; i++)
		assert_object(s, names[i], names[i], strlen(names[i]));
	/* Prefixes that end anywhere. */
	v.n = 0;
	assert_int_equal(store_list(s, "a", see, &v), 0);
	assert_int_equal(v.n, 9);
	v.n = 0;
	assert_int_equal(store_list(s, "a/b", see, &v), 0);
	assert_int_equal(v.n, 2);
	v.n = 0;
	assert_int_equal(store_list(s, "a/b/", see, &v), 0);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.name[0], "a/b/c/d/e/f/g");
	v.n = 0;
	assert_int_equal(store_list(s, "a/b0", see, &v), 0);
	assert_int_equal(v.n, 1);
	/* fn's answer ends it. */
	v.n = 0;
	v.max = 3;
	assert_int_equal(store_list(s, "", see, &v), 77);
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

static void *
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

static void
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

static int
job_put_many(struct gang *g, size_t i)
{
	char name[64];

	snprintf(name, sizeof(name), "data/%02zx/%06zx", i * 7 % 13, i);
	return store_put(g->s, name, name, 7, NULL, 0);
}

static int
job_del_many(struct gang *g, size_t i)
{
	char name[64];

	snprintf(name, sizeof(name), "data/%02zx/%06zx", i * 7 % 13, i);
	return store_del(g->s, name);
}

static void
test_list_many(void **state)
{
	static struct gang g;
	struct store *s = ((struct fixture *)*state)->s;
	struct seen v = { NULL, 0, MANY + 2, 0 };
	size_t i;

	v.name = test_malloc(v.max * sizeof(*v.name));
	gang_run(&g, s, MANY, job_put_many);
	for (i = 0; i < MANY; i++)
		assert_int_equal(g.result[i], 0);
	put_text(s, "config", "c");
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, MANY + 1);
	assert_int_equal(v.bytes, MANY * 7 + 1);
	assert_sorted(&v);
	v.n = 0;
	assert_int_equal(store_list(s, "data/", see, &v), 0);
	assert_int_equal(v.n, MANY);
	gang_run(&g, s, MANY, job_del_many);
	for (i = 0; i < MANY; i++)
		assert_int_equal(g.result[i], 0);
	v.n = 0;
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, 1);
	test_free(v.name);
}

/* Two handles, as of two processes. */
static int
job_race(struct gang *g, size_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "writer %zu", i % THREADS);
	return store_put(g->s, i < THREADS ? "gen/a" : "gen/b", text,
	    strlen(text), NULL, STORE_IF_ABSENT);
}

static void
test_if_absent(void **state)
{
	static struct gang g;
	struct store *s = ((struct fixture *)*state)->s;
	size_t i, won[2] = { 0, 0 }, winner[2] = { 0, 0 };
	char text[32];

	gang_run(&g, s, 2 * THREADS, job_race);
	for (i = 0; i < 2 * THREADS; i++) {
		assert_true(g.result[i] == 0 || g.result[i] == -EEXIST);
		if (g.result[i] == 0) {
			won[i / THREADS]++;
			winner[i / THREADS] = i % THREADS;
		}
	}
	for (i = 0; i < 2; i++) {
		assert_int_equal(won[i], 1);
		snprintf(text, sizeof(text), "writer %zu", winner[i]);
		assert_object(s, i == 0 ? "gen/a" : "gen/b", text,
		    strlen(text));
	}
	assert_int_equal(store_put(s, "gen/a", "late", 4, NULL,
	    STORE_IF_ABSENT), -EEXIST);
}

/* Also one race of equal bytes: still only one put it. */
static int
job_race_equal(struct gang *g, size_t i)
{
	(void)i;
	return store_put(g->s, "config", "same", 4, NULL, STORE_IF_ABSENT);
}

static void
test_if_absent_equal(void **state)
{
	static struct gang g;
	size_t i, won = 0;

	gang_run(&g, ((struct fixture *)*state)->s, THREADS, job_race_equal);
	for (i = 0; i < THREADS; i++) {
		assert_true(g.result[i] == 0 || g.result[i] == -EEXIST);
		won += g.result[i] == 0;
	}
	assert_int_equal(won, 1);
}

static int
job_put_same(struct gang *g, size_t i)
{
	static const char text[] = "the same from all";
	char buf[32];
	size_t got;
	int err;

	(void)i;
	err = store_put(g->s, "data/00/same", text, sizeof(text), NULL, 0);
	if (err == 0)
		err = store_get(g->s, "data/00/same", 0, buf, sizeof(buf),
		    &got);
	if (err == 0 && (got != sizeof(text) || memcmp(buf, text, got) != 0))
		err = -EBADMSG;
	return err;
}

static void
test_put_same(void **state)
{
	static struct gang g;
	size_t i;

	gang_run(&g, ((struct fixture *)*state)->s, 4 * THREADS, job_put_same);
	for (i = 0; i < 4 * THREADS; i++)
		assert_int_equal(g.result[i], 0);
}

/* Reads, deletions and puts of few names: whatever is read is whole, and what
 * was deleted or put by the same thread is seen so at once. */
static int
job_churn(struct gang *g, size_t i)
{
	char name[32], buf[64];
	size_t got;
	int err;

	snprintf(name, sizeof(name), "data/cc/%zu", i);
	err = store_put(g->s, name, name, strlen(name), NULL, 0);
	if (err == 0)
		err = store_get(g->s, name, 0, buf, sizeof(buf), &got);
	if (err == 0 && (got != strlen(name) || memcmp(buf, name, got) != 0))
		return -EBADMSG;
	if (err == 0)
		err = store_del(g->s, name);
	if (err == 0)
		err = store_get(g->s, name, 0, buf, sizeof(buf), &got);
	if (err != -ENOENT)
		return err == 0 ? -EEXIST : err;
	/* One that all fight for. */
	err = store_put(g->s, "data/cc/all", "x", 1, NULL, 0);
	if (err == 0)
		err = store_get(g->s, "data/cc/all", 0, buf, 1, &got);
	if (err == -ENOENT)
		err = 0;
	return err != 0 ? err : store_del(g->s, "data/cc/all");
}

static void
test_churn(void **state)
{
	static struct gang g;
	size_t i;

	gang_run(&g, ((struct fixture *)*state)->s, 256, job_churn);
	for (i = 0; i < 256; i++)
		assert_int_equal(g.result[i], 0);
}

static void
test_load(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct buf b = BUF_INIT(100000 + 3);
	uint8_t *data = test_malloc(100001);

	fill(data, 100001, 1);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(store_load(s, "none", &b), -ENOENT);
	assert_int_equal(store_put(s, "fits", data, 100000, NULL, 0), 0);
	assert_int_equal(store_load(s, "fits", &b), 0);
	assert_int_equal(b.len, 100003);
	assert_memory_equal(b.data, "abc", 3);
	assert_memory_equal(b.data + 3, data, 100000);
	assert_int_equal(store_put(s, "over", data, 100001, NULL, 0), 0);
	buf_reset(&b);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(store_load(s, "over", &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 3);
	buf_release(&b);
	test_free(data);
}

static void
test_big(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = test_malloc(BIG), *back = test_malloc(BIG);
	struct store_stat st;
	struct store *other;
	size_t got;

	fill(data, BIG, 2);
	assert_int_equal(store_put(f->s, "data/ff/big", data, BIG, NULL, 0), 0);
	assert_int_equal(f->c->open(f->c->ctx, &other), 0);
	assert_int_equal(store_stat(other, "data/ff/big", &st), 0);
	assert_int_equal(st.size, BIG);
	assert_int_equal(store_get(other, "data/ff/big", 0, back, BIG, &got),
	    0);
	assert_int_equal(got, BIG);
	assert_memory_equal(back, data, BIG);
	assert_int_equal(store_get(other, "data/ff/big", BIG - 100, back, 4096,
	    &got), 0);
	assert_int_equal(got, 100);
	assert_memory_equal(back, data + BIG - 100, 100);
	store_close(other);
	test_free(data);
	test_free(back);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "a/", "/a", "a//b", ".", "..", "./a", "a/.", "a/../b",
		"a b", "A", "a\n", "\xc3\xa9", "a%41", "a+b", "a\\b", "a:b",
		"tmp", "tmp/x", "*",
	};
	struct store *s = ((struct fixture *)*state)->s;
	char longest[STORE_NAME_MAX + 2];
	struct seen v = { NULL, 0, 0, 0 };
	struct store_stat st;
	size_t i, got;
	uint8_t b;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_put(s, bad[i], "", 0, NULL, 0),
		    -EINVAL);
		assert_int_equal(store_get(s, bad[i], 0, &b, 1, &got),
		    -EINVAL);
		assert_int_equal(store_stat(s, bad[i], &st), -EINVAL);
		assert_int_equal(store_del(s, bad[i]), -EINVAL);
	}
	memset(longest, 'z', sizeof(longest));
	longest[STORE_NAME_MAX + 1] = '\0';
	assert_int_equal(store_put(s, longest, "", 0, NULL, 0), -EINVAL);
	assert_int_equal(store_list(s, "../", see, &v), -EINVAL);
	assert_int_equal(store_list(s, "a//", see, &v), -EINVAL);
	assert_int_equal(store_list(s, "", see, &v), 0);
}

static void *
put_until_canceled(void *arg)
{
	struct store *s = arg;
	char name[32];
	int i, err = 0;

	for (i = 0; err == 0; i++) {
		snprintf(name, sizeof(name), "data/00/%d", i);
		err = store_put(s, name, name, strlen(name), NULL, 0);
	}
	return (void *)(intptr_t)err;
}

static void
test_cancel(void **state)
{
	struct fixture *f = *state;
	struct seen v = { NULL, 0, 0, 0 };
	struct store *s;
	pthread_t t[4];
	void *ret;
	uint8_t b;
	size_t got;
	int i;

	assert_int_equal(f->c->open(f->c->ctx, &s), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL,
		    put_until_canceled, s), 0);
	/* Somebody got something done. */
	while (store_get(f->s, "data/00/0", 0, &b, 1, &got) == -ENOENT)
		continue;
	store_cancel(s);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &ret);
		assert_int_equal((intptr_t)ret, -ECANCELED);
	}
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), -ECANCELED);
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -ECANCELED);
	assert_int_equal(store_list(s, "", see, &v), -ECANCELED);
	assert_int_equal(store_del(s, "a"), -ECANCELED);
	store_close(s);
	/* Other handles do not care. */
	put_text(f->s, "a", "a");
}

static void
test_counters(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_counters c;
	struct store_stat st;

	put_text(s, "a", "abc");
	assert_object(s, "a", "abc", 3);
	assert_int_equal(store_stat(s, "none", &st), -ENOENT);
	store_count(s, &c);
	assert_true(c.requests[STORE_PUT] >= 1 && c.requests[STORE_GET] >= 1);
	assert_true(c.requests[STORE_STAT] >= 1);
	assert_int_equal(c.errors[STORE_STAT], 0);
	assert_true(c.bytes_out >= 3 && c.bytes_in >= 3);
	assert_non_null(store_url(s));
}

static int
collect(void *ctx, const char *name, const struct store_stat *st)
{
	(void)st;
	return buf_add(ctx, name, strlen(name) + 1);
}

int
store_contract_empty(struct store *s)
{
	struct buf b = BUF_INIT(16u << 20);
	size_t at;
	int err = store_list(s, "", collect, &b);

	for (at = 0; err == 0 && at < b.len;
	    at += strlen((char *)b.data + at) + 1)
		err = store_del(s, (char *)b.data + at);
	buf_release(&b);
	return err;
}

#define CASE(f) { #f, f, setup, teardown, state }

int
store_contract_run(const char *name, const struct store_contract *c)
{
	void *state = (void *)(uintptr_t)c;
	const struct CMUnitTest tests[] = {
		CASE(test_put_get),
		CASE(test_ranges),
		CASE(test_empty_object),
		CASE(test_stat),
		CASE(test_del),
		CASE(test_list_empty),
		CASE(test_list_odd),
		CASE(test_list_many),
		CASE(test_if_absent),
		CASE(test_if_absent_equal),
		CASE(test_put_same),
		CASE(test_churn),
		CASE(test_load),
		CASE(test_big),
		CASE(test_names),
		CASE(test_cancel),
		CASE(test_counters),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
