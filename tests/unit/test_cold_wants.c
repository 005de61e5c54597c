/* SPDX-License-Identifier: Apache-2.0 */
/* The files that are wanted of the archive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "fs/cold_wants.h"

/* As the nodes of files in some directories. */
static uint64_t
node_of(uint64_t i)
{
	return (1 + i % 3) << 32 | i / 3;
}

static void
test_each_once(void **state)
{
	struct cold_wants w;
	uint64_t i;

	(void)state;
	cold_wants_init(&w);
	for (i = 0; i < 1000; i++)
		assert_int_equal(cold_wants_add(&w, node_of(i), 2000), 1);
	for (i = 0; i < 1000; i++)
		assert_int_equal(cold_wants_add(&w, node_of(i), 2000), 0);
	assert_int_equal(w.n, 1000);
	for (i = 0; i < 1000; i++)
		assert_true(w.node[i] == node_of(i));
	cold_wants_release(&w);
	cold_wants_release(&w);
	assert_int_equal(cold_wants_add(&w, 5, 1), 1);
	cold_wants_release(&w);
}

static void
test_bound(void **state)
{
	struct cold_wants w;
	uint64_t i;

	(void)state;
	cold_wants_init(&w);
	assert_int_equal(cold_wants_add(&w, 1, 0), -ENOSPC);
	for (i = 0; i < COLD_WANTS_MAX; i++)
		assert_int_equal(cold_wants_add(&w, node_of(i), SIZE_MAX), 1);
	assert_int_equal(cold_wants_add(&w, node_of(i), SIZE_MAX), -ENOSPC);
	/* What is there is no new wish. */
	assert_int_equal(cold_wants_add(&w, node_of(0), 0), 0);
	assert_int_equal(w.n, COLD_WANTS_MAX);
	cold_wants_release(&w);
}

static void
test_merge(void **state)
{
	struct cold_wants w, more;
	uint64_t i;

	(void)state;
	cold_wants_init(&w);
	cold_wants_init(&more);
	for (i = 0; i < COLD_WANTS_MAX - 10; i++)
		assert_int_equal(cold_wants_add(&w, node_of(i), SIZE_MAX), 1);
	for (i = COLD_WANTS_MAX - 20; i < COLD_WANTS_MAX + 20; i++)
		assert_int_equal(cold_wants_add(&more, node_of(i), SIZE_MAX),
		    1);
	cold_wants_merge(&w, &more);
	assert_int_equal(more.n, 0);
	assert_int_equal(w.n, COLD_WANTS_MAX);
	assert_true(w.node[w.n - 1] == node_of(COLD_WANTS_MAX - 1));
	cold_wants_release(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
