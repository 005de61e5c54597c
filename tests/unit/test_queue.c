/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues and pools of threads.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/queue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_queue_order(void **state)
{
	struct queue *q;
	int v[8];
	void *item;

	(void)state;
	assert_int_equal(queue_new(0, &q), -EINVAL);
	assert_int_equal(queue_new(3, &q), 0);
	assert_int_equal(queue_try_take(q, &item), -EAGAIN);
	for (int i = 0; i < 7; i++) {	/* around the ring */
		queue_put(q, &v[i]);
		queue_put(q, &v[i + 1]);
		assert_int_equal(queue_take(q, &item), 0);
		assert_ptr_equal(item, &v[i]);
		assert_int_equal(queue_try_take(q, &item), 0);
		assert_ptr_equal(item, &v[i + 1]);
	}
	queue_put(q, &v[0]);
	queue_close(q);
	assert_int_equal(queue_put(q, &v[1]), -EPIPE);
	assert_int_equal(queue_take(q, &item), 0);
	assert_ptr_equal(item, &v[0]);
	assert_int_equal(queue_take(q, &item), -EPIPE);
	assert_int_equal(queue_try_take(q, &item), -EPIPE);
	queue_free(q);
	queue_free(NULL);
}

#define ITEMS 20000

static void *
putter(void *arg)
{
	static char item[ITEMS];

	for (size_t i = 0; i < ITEMS; i++)
		if (queue_put(arg, &item[i]))
			return arg;
	return NULL;
}

static void *
taker(void *arg)
{
	uintptr_t n = 0;
	void *item;

	while (queue_take(arg, &item) == 0)
		n++;
	return (void *)n;
}

static void
test_queue_threads(void **state)
{
	pthread_t put[3], take[3];
	uintptr_t sum = 0;
	struct queue *q;
	void *ret;

	(void)state;
	assert_int_equal(queue_new(2, &q), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&put[i], NULL, putter, q);
		pthread_create(&take[i], NULL, taker, q);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(put[i], &ret);
		assert_null(ret);
	}
	queue_close(q);
	for (int i = 0; i < 3; i++) {
		pthread_join(take[i], &ret);
		sum += (uintptr_t)ret;
	}
	assert_int_equal(sum, 3 * ITEMS);
	queue_free(q);
}

/* Whoever waits in put or take comes back when the queue is closed. */
static void
test_queue_close(void **state)
{
	pthread_t put, take;
	struct queue *full, *empty;
	void *ret;

	(void)state;
	assert_int_equal(queue_new(1, &full), 0);
	assert_int_equal(queue_new(1, &empty), 0);
	pthread_create(&put, NULL, putter, full);
	pthread_create(&take, NULL, taker, empty);
	queue_close(full);
	queue_close(empty);
	pthread_join(put, &ret);
	assert_non_null(ret);
	pthread_join(take, &ret);
	assert_null(ret);
	queue_free(full);
	queue_free(empty);
}

static void
count_job(void *ctx)
{
	sigset_t blocked;
	char name[16];

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (sigismember(&blocked, SIGTERM) && !strcmp(name, "a-name-that-is-"))
		atomic_fetch_add((atomic_int *)ctx, 1);
}

static void
test_pool(void **state)
{
	atomic_int n = 0;
	struct pool *p;

	(void)state;
	assert_true(pool_cpus() >= 1);
	assert_int_equal(pool_new("p", 0, 1, &p), -EINVAL);
	assert_int_equal(pool_new("p", 1, 0, &p), -EINVAL);
	assert_int_equal(pool_new("a-name-that-is-long", 4, 3, &p), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(pool_submit(p, count_job, &n), 0);
	pool_free(p);	/* runs all that was submitted */
	assert_int_equal(n, 5000);
	pool_free(NULL);
}

struct in_order {
	unsigned next;
	int wrong;
};

static struct in_order order;
static unsigned numbers[1000];

static void
order_job(void *ctx)
{
	if (*(unsigned *)ctx != order.next++)
		order.wrong = 1;
}

static void
test_pool_order(void **state)
{
	struct pool *p;

	(void)state;
	assert_int_equal(pool_new("one", 1, 10, &p), 0);
	for (unsigned i = 0; i < COUNT(numbers); i++) {
		numbers[i] = i;
		assert_int_equal(pool_submit(p, order_job, &numbers[i]), 0);
	}
	pool_free(p);
	assert_int_equal(order.next, COUNT(numbers));
	assert_false(order.wrong);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_order),
		cmocka_unit_test(test_queue_threads),
		cmocka_unit_test(test_queue_close),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
