/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of what a cell costs and may save: what measurements make of it,
 * and when a cell is due.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repo/reader_internal.h"

/* What is measured, and what it means. */
static void
test_cost(void **ctx)
{
	struct cell_cost p = { 0 }, q;
	unsigned i;

	(void)ctx;
	/* Nothing is known, then only that it is far: the first ones find out. */
	assert_false(cost_is_due(&p, 8));
	cost_add(&p, 4096, 20000000);
	cost_add(&p, FORMAT_GRID, 900000000);
	assert_true(cost_is_due(&p, 1));
	assert_false(cost_is_due(&p, 0));
	p = (struct cell_cost){ 0 };
	/* 20 ms, and 10 ms for a cell: as long as one part, and again. */
	for (i = 0; i < 50; i++) {
		cost_add(&p, 20000, 20000000);
		cost_add(&p, 2 * FORMAT_GRID, 40000000);
	}
	assert_in_range(p.wait, 19800000, 20000000);
	assert_in_range(p.transfer, 10000000, 10200000);
	assert_false(cost_is_due(&p, 0));
	assert_true(cost_is_due(&p, 2));
	/* A slow line: parts are all but free. */
	for (i = 0; i < 50; i++)
		cost_add(&p, FORMAT_GRID, 220000000);
	assert_false(cost_is_due(&p, 18));
	assert_true(cost_is_due(&p, 22));
	/* What waits less than a part did corrects that. */
	q = p;
	cost_add(&q, FORMAT_GRID, 10000000);
	assert_in_range(q.wait, 1, 10000000);
	/* One that is late changes little. */
	cost_add(&p, FORMAT_GRID, 2000000000);
	assert_false(cost_is_due(&p, 18));
	assert_true(cost_is_due(&p, 60));
}

/* A quick line does not make bytes free. */
static void
test_quick(void **ctx)
{
	struct cell_cost p = { .transfers = 100 };

	(void)ctx;
	p.wait = 1500000;
	p.transfer = 1000000;
	assert_false(cost_is_due(&p, 8));
	assert_true(cost_is_due(&p, 12));
	p.wait = 30000000;
	assert_true(cost_is_due(&p, 1));
}

/* What is expected comes from what was seen. */
static void
test_expected(void **ctx)
{
	struct cells c = { 0 };
	struct cell_cost p;
	unsigned i;

	(void)ctx;
	assert_int_equal(parts_init(&c), 0);
	p = c.cost;
	parts_release(&c);
	/* Far: at first cells are believed to be worth it. */
	p.wait = 20000000;
	p.transfer = 8000000;
	p.transfers = 100;
	assert_true(cost_is_due(&p, 0));
	/* All in one place, then all over. */
	for (i = 0; i < 100; i++)
		cost_seen(&p, 0);
	assert_false(cost_is_due(&p, 0));
	assert_true(cost_is_due(&p, 1));
	for (i = 0; i < 100; i++)
		cost_seen(&p, 1);
	assert_true(cost_is_due(&p, 0));
	for (i = 0; i < 100000; i++)
		cost_seen(&p, 1);
	assert_true(p.again < 1);
	/* However often: it may be the last one. */
	p.transfer = 15000000;
	assert_false(cost_is_due(&p, 0));
	assert_true(cost_is_due(&p, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_quick),
		cmocka_unit_test(test_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
