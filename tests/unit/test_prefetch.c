/* SPDX-License-Identifier: Apache-2.0 */
/* Small objects that are loaded several at a time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "remove_test.h"
#include "repo/prefetch.h"
#include "store/store_internal.h"

#define OBJECTS		100
#define MISSING		41	/* no such object */
#define LARGE		57	/* more than PREFETCH_SIZE */
#define TOGETHER	4	/* loads that the gate waits for */
#define PATIENCE	60	/* seconds; then the gate opens, and the test fails */

/* A store that answers no get before several have come. */
struct gate {
	struct store base;
	pthread_mutex_t lock;
	pthread_cond_t came;
	unsigned inside, most, gets;
};

struct fixture {
	char dir[64];
	struct gate *gate;
	unsigned errors;	/* lines of the log */
};

static int
gate_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct gate *g = (struct gate *)s;
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	pthread_mutex_lock(&g->lock);
	g->gets++;
	if (++g->inside > g->most)
		g->most = g->inside;
	pthread_cond_broadcast(&g->came);
	while (g->most < TOGETHER && err == 0)
		err = pthread_cond_timedwait(&g->came, &g->lock, &end);
	pthread_mutex_unlock(&g->lock);
	err = store_get(s->below, name, off, buf, len, got);
	pthread_mutex_lock(&g->lock);
	g->inside--;
	pthread_mutex_unlock(&g->lock);
	if (err != 0)
		log_err(err, "no '%s'", name);
	return err;
}

static void
gate_close(struct store *s)
{
	store_close(s->below);
	store_release(s);
	free(s);
}

static const struct store_ops gate_ops = {
	.close = gate_close,
	.get = gate_get,
};

static void
object_name(void *ctx, size_t i, char name[STORE_NAME_MAX + 1])
{
	(void)ctx;
	snprintf(name, STORE_NAME_MAX + 1, "gen/%03zu", i);
}

static void
object_fill(struct buf *b, size_t i)
{
	size_t n = i == LARGE ? PREFETCH_SIZE + 1 : 100 + i;

	buf_reset(b);
	memset(buf_extend(b, n), (int)i, n);
}

static void
on_log(void *ctx, enum log_level level, const char *line)
{
	struct fixture *f = ctx;

	(void)level;
	(void)line;
	f->errors++;
}

static int
setup(void **ctx)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct buf b = BUF_INIT(1 << 20);
	struct store *local;
	char name[STORE_NAME_MAX + 1];
	size_t i;

	snprintf(f->dir, sizeof(f->dir), "prefetch.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(store_open(f->dir, NULL, 1, &local), 0);
	for (i = 0; i < OBJECTS; i++) {
		object_fill(&b, i);
		object_name(NULL, i, name);
		if (i != MISSING)
			assert_int_equal(store_put(local, name, b.data, b.len,
			    NULL, 0), 0);
	}
	buf_release(&b);
	f->gate = calloc(1, sizeof(*f->gate));
	assert_int_equal(store_init(&f->gate->base, &gate_ops, f->dir), 0);
	f->gate->base.below = local;
	pthread_mutex_init(&f->gate->lock, NULL);
	pthread_cond_init(&f->gate->came, NULL);
	log_set_hook(on_log, f);
	*ctx = f;
	return 0;
}

static int
teardown(void **ctx)
{
	struct fixture *f = *ctx;

	log_set_hook(NULL, NULL);
	pthread_mutex_destroy(&f->gate->lock);
	pthread_cond_destroy(&f->gate->came);
	store_close(&f->gate->base);
	remove_all(f->dir);
	free(f);
	return 0;
}

static void
test_in_order(void **ctx)
{
	struct fixture *f = *ctx;
	struct buf got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
	struct prefetch *p;
	size_t i;

	assert_int_equal(prefetch_new(&f->gate->base, object_name, NULL,
	    OBJECTS, &p), 0);
	for (i = 0; i < OBJECTS; i++) {
		assert_int_equal(f->errors, i > MISSING);
		buf_reset(&got);
		if (i == MISSING) {
			assert_int_equal(prefetch_next(p, &got), -ENOENT);
			assert_int_equal(got.len, 0);
			continue;
		}
		assert_int_equal(prefetch_next(p, &got), 0);
		object_fill(&want, i);
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
	}
	prefetch_free(p);
	assert_true(f->gate->most >= TOGETHER);
	buf_release(&got);
	buf_release(&want);
}

/* Who ends in the middle has not loaded the whole list, nor heard of what is
 * missing further on. */
static void
test_given_up(void **ctx)
{
	struct fixture *f = *ctx;
	struct buf got = BUF_INIT(1 << 20);
	struct prefetch *p;
	size_t i;

	assert_int_equal(prefetch_new(&f->gate->base, object_name, NULL,
	    OBJECTS, &p), 0);
	for (i = 0; i < MISSING - 1; i++) {
		buf_reset(&got);
		assert_int_equal(prefetch_next(p, &got), 0);
	}
	prefetch_free(p);
	assert_true(f->gate->gets <= MISSING - 1 + PREFETCH_AHEAD + 1);
	assert_int_equal(f->errors, 0);
	buf_release(&got);
}

static void
test_one(void **ctx)
{
	struct fixture *f = *ctx;
	struct buf got = BUF_INIT(1 << 20);
	struct prefetch *p;

	f->gate->most = TOGETHER;	/* open */
	assert_int_equal(prefetch_new(&f->gate->base, object_name, NULL, 1,
	    &p), 0);
	assert_int_equal(f->gate->gets, 0);
	assert_int_equal(prefetch_next(p, &got), 0);
	assert_int_equal(got.len, 100);
	prefetch_free(p);
	assert_int_equal(prefetch_new(&f->gate->base, object_name, NULL, 0,
	    &p), 0);
	prefetch_free(p);
	prefetch_free(NULL);
	buf_release(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
