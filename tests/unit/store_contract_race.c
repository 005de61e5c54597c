/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract suite: many at once, and what is cancelled.
 */
#include "store_contract_internal.h"

/* How many put one name at once.  Taking turns among many takes half a minute,
 * and shows no more than among few. */
static size_t
rivals(void)
{
	return takes_turns() ? 4 : THREADS;
}

/* What a writer that did not win may get. */
static int
is_loss(int result)
{
	return result == -EEXIST || (result == -EBUSY && takes_turns());
}

/* Two handles, as of two processes. */
static int
job_race(struct gang *g, size_t i)
{
	char text[32];

	snprintf(text, sizeof(text), "writer %zu", i % rivals());
	return store_put(g->s, i < rivals() ? "gen/a" : "gen/b", text,
	    strlen(text), NULL, STORE_IF_ABSENT);
}

void
test_if_absent(void **state)
{
	static struct gang g;
	struct store *s = ((struct fixture *)*state)->s;
	size_t i, n = rivals(), won[2] = { 0, 0 }, winner[2] = { 0, 0 };
	char text[32];

	gang_run(&g, s, 2 * n, job_race);
	for (i = 0; i < 2 * n; i++) {
		assert_true(g.result[i] == 0 || is_loss(g.result[i]));
		if (g.result[i] == 0) {
			won[i / n]++;
			winner[i / n] = i % n;
		}
	}
	for (i = 0; i < 2; i++) {
		/* As below. */
		if (won[i] == 0 && takes_turns()) {
			winner[i] = 0;
			won[i] = job_race(&g, i * n) == 0;
		}
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

void
test_if_absent_equal(void **state)
{
	static struct gang g;
	size_t i, won = 0;

	gang_run(&g, ((struct fixture *)*state)->s, rivals(), job_race_equal);
	for (i = 0; i < rivals(); i++) {
		assert_true(g.result[i] == 0 || is_loss(g.result[i]));
		won += g.result[i] == 0;
	}
	/* All may have given way to each other; then nothing is in the way. */
	if (won == 0 && takes_turns())
		won = job_race_equal(&g, 0) == 0;
	assert_int_equal(won, 1);
}

static int
job_put_same(struct gang *g, size_t i)
{
	static const char text[] = "the same from all";
	unsigned tries = takes_turns() ? 1000 : 1;
	char buf[32];
	size_t got;
	int err, put;

	(void)i;
	put = store_put(g->s, "data/00/same", text, sizeof(text), NULL, 0);
	do {
		err = put != 0 ? put : store_get(g->s, "data/00/same", 0, buf,
		    sizeof(buf), &got);
	} while (put == 0 && err == -ENOENT && --tries > 0);
	if (err == 0 && (got != sizeof(text) || memcmp(buf, text, got) != 0))
		err = -EBADMSG;
	return err;
}

void
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

void
test_churn(void **state)
{
	static struct gang g;
	size_t i;

	gang_run(&g, ((struct fixture *)*state)->s, 256, job_churn);
	for (i = 0; i < 256; i++)
		assert_int_equal(g.result[i], 0);
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

void
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
