/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holds requests to S3 back or sends them twice: the window, the budget of
 * repetitions, and what is a slow read.  No server, and no clock but the
 * tests' own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <pthread.h>
#include <sched.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_budget.h"
#include "store/s3_hedge.h"
#include "store/s3_window.h"

static void
enter_many(struct s3_window *w, unsigned n, uint64_t *ticket)
{
	atomic_int no = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		assert_int_equal(s3_window_enter(w, &no, &ticket[i]), 0);
}

/* Served n times one after the other. */
static void
serve(struct s3_window *w, unsigned n)
{
	uint64_t ticket;

	while (n-- > 0) {
		enter_many(w, 1, &ticket);
		assert_int_equal(s3_window_leave(w, ticket, S3_WINDOW_GOOD),
		    0);
	}
}

static void
test_window_halves_once_a_round_trip(void **state)
{
	struct s3_window w;
	uint64_t ticket[16], later;
	int i;

	(void)state;
	s3_window_init(&w, 16);
	assert_true(s3_window_is_open(&w));
	enter_many(&w, 16, ticket);
	assert_int_equal(s3_window_leave(&w, ticket[3],
	    S3_WINDOW_THROTTLED), 8);
	/* All of these were sent before the server's wish was known. */
	for (i = 0; i < 16; i++)
		if (i != 3)
			assert_int_equal(s3_window_leave(&w, ticket[i],
			    S3_WINDOW_THROTTLED), 0);
	assert_int_equal(s3_window_limit(&w), 8);
	enter_many(&w, 1, &later);
	assert_int_equal(s3_window_leave(&w, later, S3_WINDOW_THROTTLED), 4);
	assert_false(s3_window_is_open(&w));
	s3_window_release(&w);
}

static void
test_window_bounds_and_growth(void **state)
{
	struct s3_window w;
	uint64_t ticket;
	int i;

	(void)state;
	s3_window_init(&w, 4);
	for (i = 0; i < 5; i++) {
		enter_many(&w, 1, &ticket);
		s3_window_leave(&w, ticket, S3_WINDOW_THROTTLED);
	}
	assert_int_equal(s3_window_limit(&w), 1);
	/* A window's worth of successes for each step up. */
	serve(&w, 1);
	assert_int_equal(s3_window_limit(&w), 2);
	serve(&w, 1);
	assert_int_equal(s3_window_limit(&w), 2);
	serve(&w, 1);
	assert_int_equal(s3_window_limit(&w), 3);
	serve(&w, 3);
	assert_int_equal(s3_window_limit(&w), 4);
	serve(&w, 100);
	assert_int_equal(s3_window_limit(&w), 4);
	/* What says nothing changes nothing. */
	enter_many(&w, 1, &ticket);
	assert_int_equal(s3_window_leave(&w, ticket, S3_WINDOW_NEITHER), 0);
	assert_int_equal(s3_window_limit(&w), 4);
	s3_window_release(&w);
}

struct crowd {
	struct s3_window w;
	atomic_int canceled;
	atomic_int inside, most, served, refused;
};

static void *
visitor(void *arg)
{
	struct crowd *c = arg;
	uint64_t ticket;
	int i, n, most;

	for (i = 0; i < 200; i++) {
		if (s3_window_enter(&c->w, &c->canceled, &ticket) != 0) {
			atomic_fetch_add(&c->refused, 1);
			return NULL;
		}
		n = atomic_fetch_add(&c->inside, 1) + 1;
		most = atomic_load(&c->most);
		while (n > most && !atomic_compare_exchange_weak(&c->most,
		    &most, n))
			continue;
		sched_yield();
		atomic_fetch_sub(&c->inside, 1);
		atomic_fetch_add(&c->served, 1);
		s3_window_leave(&c->w, ticket, i % 50 == 7 ?
		    S3_WINDOW_THROTTLED : S3_WINDOW_GOOD);
	}
	return NULL;
}

static void
test_window_crowd(void **state)
{
	struct crowd c = { .canceled = 0 };
	pthread_t t[12];
	size_t i;

	(void)state;
	s3_window_init(&c.w, 5);
	for (i = 0; i < 12; i++)
		assert_int_equal(pthread_create(&t[i], NULL, visitor, &c), 0);
	for (i = 0; i < 12; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(c.served, 12 * 200);
	assert_true(c.most >= 1 && c.most <= 5);
	s3_window_release(&c.w);
}

static void
test_window_cancel(void **state)
{
	struct crowd c = { .canceled = 0 };
	uint64_t ticket;
	pthread_t t[3];
	size_t i;

	(void)state;
	s3_window_init(&c.w, 1);
	enter_many(&c.w, 1, &ticket);	/* and stays */
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, visitor, &c), 0);
	atomic_store(&c.canceled, 1);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(c.refused, 3);
	/* They left no place behind that waits for nobody. */
	s3_window_leave(&c.w, ticket, S3_WINDOW_GOOD);
	atomic_store(&c.canceled, 0);
	serve(&c.w, 2);
	s3_window_release(&c.w);
}

static void
test_budget(void **state)
{
	struct s3_budget b;
	int64_t wait = 0, last;
	int i;

	(void)state;
	s3_budget_init(&b, 1000);
	for (i = 0; i < 100; i++)
		assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 1000),
		    0);
	/* Empty: one a second, whoever asks, and never longer than 20 s. */
	for (i = 1; i <= 40; i++) {
		last = wait;
		wait = s3_budget_take(&b, S3_BUDGET_RETRY, 1000);
		assert_int_equal(wait, i < 20 ? i * 1000 : 20000);
		assert_true(wait >= last);
	}
	/* It fills by itself. */
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 1000 + 25000),
	    0);
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_TIMEOUT, 26000), 0);
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_TIMEOUT, 26000), 0);
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 26000), 1000);
	/* And by successes: 1, or what the repetition had taken. */
	s3_budget_success(&b, S3_BUDGET_RETRY);
	for (i = 0; i < 5; i++)
		s3_budget_success(&b, 0);
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 26000), 0);
	assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 26000), 1000);
	/* It does not grow beyond its most. */
	for (i = 0; i < 1000; i++)
		s3_budget_success(&b, 10);
	for (i = 0; i < 100; i++)
		assert_int_equal(s3_budget_take(&b, S3_BUDGET_RETRY, 26000),
		    0);
	assert_true(s3_budget_take(&b, S3_BUDGET_RETRY, 26000) > 0);
	s3_budget_release(&b);
}

static void
test_hedge_delay(void **state)
{
	struct s3_hedge h;
	int i;

	(void)state;
	s3_hedge_init(&h);
	assert_int_equal(s3_hedge_delay(&h, 1), 2000);
	assert_int_equal(s3_hedge_delay(&h, 512u << 10), 2000);
	assert_int_equal(s3_hedge_delay(&h, 16u << 20), 18000);
	for (i = 0; i < 15; i++)
		s3_hedge_learn(&h, 60u << 10, 10);
	assert_int_equal(s3_hedge_delay(&h, 1), 2000);
	s3_hedge_learn(&h, 1, 10);
	assert_int_equal(s3_hedge_delay(&h, 1), 1000);
	/* Three of 64 may be slow without a word; a fourth counts. */
	for (i = 0; i < 64; i++)
		s3_hedge_learn(&h, 4u << 20, i < 61 ? 900 + i : 60000);
	assert_int_equal(s3_hedge_delay(&h, 4u << 20), 2 * 960);
	s3_hedge_learn(&h, 4u << 20, 60000);
	assert_int_equal(s3_hedge_delay(&h, 4u << 20), 120000);
	/* Old reads are forgotten; other sizes are other reads. */
	for (i = 0; i < 64; i++)
		s3_hedge_learn(&h, 4u << 20, 3000);
	assert_int_equal(s3_hedge_delay(&h, 3u << 20), 6000);
	assert_int_equal(s3_hedge_delay(&h, 64u << 10), 1000);
	s3_hedge_learn(&h, SIZE_MAX, UINT64_MAX);
	assert_true(s3_hedge_delay(&h, SIZE_MAX) > 0);
	s3_hedge_release(&h);
}

static void
test_hedge_limit(void **state)
{
	struct s3_hedge h;
	int i, n = 0;

	(void)state;
	s3_hedge_init(&h);
	assert_true(s3_hedge_take(&h));
	assert_true(s3_hedge_take(&h));
	assert_false(s3_hedge_take(&h));
	for (i = 0; i < 1000; i++) {
		s3_hedge_learn(&h, 1, 5);
		n += s3_hedge_take(&h);
	}
	assert_int_equal(n, 50);	/* one in 20 */
	for (i = 0; i < 1000; i++)
		s3_hedge_learn(&h, 1, 5);
	for (n = 0; s3_hedge_take(&h); n++)
		continue;
	assert_int_equal(n, 4);
	s3_hedge_release(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_halves_once_a_round_trip),
		cmocka_unit_test(test_window_bounds_and_growth),
		cmocka_unit_test(test_window_crowd),
		cmocka_unit_test(test_window_cancel),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_hedge_delay),
		cmocka_unit_test(test_hedge_limit),
	};

	return cmocka_run_group_tests_name("s3 flow", tests, NULL, NULL) != 0;
}
