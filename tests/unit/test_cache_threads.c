/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier by many threads, by two processes, and killed.
 */
#include <sched.h>
#include <sys/mman.h>

#include "cache_test.h"
#include "slow.h"

#define THREADS 8

struct worker {
	pthread_t id;
	struct cache *c;
	uint64_t rng;
	uint32_t rounds, keys, hits, over;
	atomic_int *stop;	/* or NULL: rounds */
};

/* Cells that a child has put, for its parent; or NULL. */
static atomic_uint *put_so_far;

static void *
churn(void *arg)
{
	struct worker *w = arg;
	uint8_t *b = malloc(MIB), *x = malloc(MIB);
	uint32_t i, n;

	for (i = 0; i < w->rounds; i++) {
		n = (uint32_t)(next(&w->rng) % w->keys);
		if (next(&w->rng) % 50 == 0)
			drop(w->c, n);
		if (get(w->c, n, b, x)) {
			w->hits++;
			continue;
		}
		put(w->c, n, b);
		if (put_so_far != NULL)
			atomic_fetch_add(put_so_far, 1);
		w->over += du(dir) > LIMIT;
	}
	free(b);
	free(x);
	return NULL;
}

static void *
read_along(void *arg)
{
	struct worker *w = arg;
	uint8_t *b = malloc(MIB), *x = malloc(MIB);

	while (!atomic_load(w->stop))
		w->hits += (uint32_t)get(w->c,
		    (uint32_t)(next(&w->rng) % w->keys), b, x);
	free(b);
	free(x);
	return NULL;
}

static void
run_threads(int holes, uint32_t keys, uint32_t rounds)
{
	struct worker w[THREADS], r;
	struct cache *c = reopen(LIMIT, holes);
	atomic_int stop = 0;
	uint32_t i, hits = 0;

	r = (struct worker){ .keys = keys, .rng = seed, .stop = &stop };
	assert_int_equal(cache_open(dir, LIMIT, &r.c), 0);
	pthread_create(&r.id, NULL, read_along, &r);
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .c = c, .rng = mix64(seed + i),
		    .rounds = rounds, .keys = keys };
		pthread_create(&w[i].id, NULL, churn, &w[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].id, NULL);
		assert_int_equal(w[i].over, 0);
		hits += w[i].hits;
	}
	atomic_store(&stop, 1);
	pthread_join(r.id, NULL);
	assert_true(hits > 0);
	print_message("%u hits, %u of a second opener\n", hits, r.hits);
	cache_table_check(&c->table);
	assert_int_equal(atomic_load(&c->bad) > 0, 1);
	cache_close(r.c);
	cache_close(c);
}

static void
test_threads(void **state)
{
	(void)state;
	run_threads(1, 120, ROUNDS(300));
}

/* Few keys, so that they meet. */
static void
test_threads_same_cells(void **state)
{
	(void)state;
	run_threads(1, 6, ROUNDS(500));
}

static void
test_threads_without_holes(void **state)
{
	(void)state;
	run_threads(0, 120, ROUNDS(200));
}

/* ---------------------------------------------------- second opener */

static void
test_second_opener(void **state)
{
	struct cache *a = reopen(LIMIT, 1), *b;
	struct cache_stats st;
	uint32_t n;
	int tries;

	(void)state;
	put(a, 1, buf);
	assert_int_equal(cache_open(dir, LIMIT, &b), 0);
	cache_stats(b, &st);
	assert_int_equal(st.readonly, 1);
	assert_int_equal(get(b, 1, buf, want), 1);
	put(b, 2, buf);
	assert_int_equal(has(a, 2), 0);
	assert_int_equal(has(b, 2), 0);
	put(a, 2, buf);
	/* Misses bring it to look again, within its share of the time. */
	for (tries = 0; !has(b, 2) && tries < 100000000; tries++)
		;
	assert_int_equal(get(b, 2, buf, want), 1);
	drop(b, 1);
	assert_int_equal(has(a, 1), 1);
	for (n = 10; n < 200; n++) {	/* out with what it knows */
		put(a, n, buf);
		get(b, 1, buf, want);
		get(b, 2, buf, want);
	}
	for (tries = 0; count_hits(b, 100, 200) < 30 && tries < 10000; tries++)
		;
	assert_true(tries < 10000);
	cache_close(a);
	count_hits(b, 0, 200);
	a = reopen(LIMIT, 1);
	cache_stats(a, &st);
	assert_int_equal(st.readonly, 0);
	cache_close(b);
	cache_close(a);
}

/* ----------------------------------------------------------- crash */

static void
child_churn(uint64_t s)
{
	struct worker w[2];
	struct cache *c = reopen(LIMIT, 1);
	int i;

	for (i = 0; i < 2; i++) {
		w[i] = (struct worker){ .c = c, .rng = mix64(s + (uint64_t)i),
		    .rounds = 1000000, .keys = 200 };
		pthread_create(&w[i].id, NULL, churn, &w[i]);
	}
	pthread_join(w[0].id, NULL);
	_exit(0);
}

static void
test_kill(void **state)
{
	uint64_t rng = seed;
	struct timespec pause;
	struct cache *c;
	uint32_t round, hits = 0, got;
	unsigned least;
	pid_t pid;
	int status;

	(void)state;
	put_so_far = mmap(NULL, sizeof(*put_so_far), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(put_so_far, MAP_FAILED);
	for (round = 0; round < 25; round++) {
		atomic_store(put_so_far, 0);
		pid = fork();
		if (pid == 0)
			child_churn(next(&rng) + round);
		assert_true(pid > 0);
		/* At a random moment, but not before it has got somewhere. */
		least = 4 + (unsigned)(next(&rng) % 40);
		while (atomic_load(put_so_far) < least)
			sched_yield();
		pause = (struct timespec){ 0, (long)(next(&rng) % 5000000) };
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		c = reopen(LIMIT, 1);	/* checks du */
		cache_table_check(&c->table);
		got = count_hits(c, 0, 200);
		hits += got;
		/* Nothing that was orphaned stays on the disk. */
		assert_true(c->strays < c->reserve);
		cache_close(c);
	}
	munmap(put_so_far, sizeof(*put_so_far));
	put_so_far = NULL;
	print_message("%u hits after %u kills\n", hits, round);
	assert_true(hits > round);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_threads_same_cells, setup),
		cmocka_unit_test_setup(test_threads_without_holes, setup),
		cmocka_unit_test_setup(test_second_opener, setup),
		cmocka_unit_test_setup(test_kill, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
