/* SPDX-License-Identifier: Apache-2.0 */
/* How reads of a file are told apart: in order, or here and there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "repo/order.h"

#define KIB	(1ull << 10)
#define MIB	(1ull << 20)
#define SIZE	(1000 * MIB)

/* Fetching ahead ends at once. */
static struct outlook
step(struct orders *os, uint64_t off, uint64_t len)
{
	struct outlook o = orders_step(os, off, len, SIZE);

	if (o.to > 0) {
		assert_true(o.from < o.to && o.to <= SIZE);
		orders_asked(os, &o, o.to);
	}
	return o;
}

static void
test_in_order(void **ctx)
{
	struct orders os = { 0 };
	struct outlook o;
	uint64_t at, ahead = 0;

	(void)ctx;
	for (at = 0; at < 64 * MIB; at += 128 * KIB) {
		o = step(&os, at, 128 * KIB);
		assert_int_equal(o.kind, at < 512 * KIB ? ORDER_OPEN :
		    ORDER_PROVEN);
		if (o.to > 0) {
			/* Nothing is left out, and nothing asked for twice. */
			assert_true(ahead == 0 || o.from == ahead);
			ahead = o.to;
		}
		/* Most of what may be ahead is. */
		assert_true(at < MIB || ahead > at + 128 * KIB);
		assert_true(at < 16 * MIB || ahead > at + 12 * MIB);
		assert_true(ahead <= at + 20 * MIB);
	}
	/* To the end, and no further. */
	o = step(&os, SIZE - MIB, MIB);
	assert_int_equal(o.to, 0);
}

/* The kernel's requests for what it reads ahead overtake each other. */
static void
test_overtaking(void **ctx)
{
	static const int place[] = { 1, 0, 3, 2, 6, 4, 5, 7 };
	struct orders os = { 0 };
	struct outlook o;
	uint64_t at;
	unsigned i;

	(void)ctx;
	for (at = 0; at < 16 * MIB; at += MIB)
		for (i = 0; i < 8; i++) {
			o = step(&os, at + place[i] * 128 * KIB, 128 * KIB);
			assert_true(at == 0 || o.kind == ORDER_PROVEN);
		}
}

static void
test_here_and_there(void **ctx)
{
	struct orders os = { 0 };
	uint64_t at = 0;
	unsigned i;

	(void)ctx;
	/* Who begins at the beginning may go on. */
	assert_int_equal(step(&os, 0, 4 * KIB).kind, ORDER_OPEN);
	for (i = 0; i < 1000; i++) {
		at = (at + 377 * MIB + 4 * KIB) % (SIZE - MIB);
		assert_int_equal(step(&os, at, 4 * KIB).kind, ORDER_NONE);
	}
	/* Large reads pay for whole cells. */
	assert_int_equal(step(&os, 500 * MIB + 1, MIB).kind, ORDER_PROVEN);
}

/* Near is not in order: what is left out counts too. */
static void
test_near(void **ctx)
{
	struct orders os = { 0 };
	uint64_t at = 100 * MIB;
	unsigned i;

	(void)ctx;
	for (i = 0; i < 1000; i++) {
		at += i % 3 == 2 ? -2 * MIB : MIB + 4 * KIB;
		assert_int_equal(step(&os, at, 4 * KIB).kind, ORDER_NONE);
	}
	/* And reading on from there is. */
	for (i = 1; i < 300; i++)
		assert_int_equal(step(&os, at + i * 4 * KIB, 4 * KIB).kind,
		    i < 128 ? ORDER_OPEN : ORDER_PROVEN);
}

/* Each of several readers is seen as what it is. */
static void
test_several(void **ctx)
{
	struct orders os = { 0 };
	struct outlook o;
	uint64_t at;
	unsigned i;

	(void)ctx;
	for (at = 0; at < 8 * MIB; at += 128 * KIB)
		for (i = 0; i < ORDERS; i++) {
			o = step(&os, at + i * 100 * MIB, 128 * KIB);
			if (at >= 512 * KIB)
				assert_int_equal(o.kind, ORDER_PROVEN);
		}
	/* Another one who jumps about is no end of the others' order. */
	for (; at < 16 * MIB; at += 128 * KIB) {
		for (i = 1; i < ORDERS; i++)
			assert_int_equal(step(&os, at + i * 100 * MIB,
			    128 * KIB).kind, ORDER_PROVEN);
		assert_int_equal(step(&os, 850 * MIB + at * 7919 % (100 *
		    MIB), 4 * KIB).kind, ORDER_NONE);
	}
}

/* One at a time asks ahead for a reader, and who comes late changes nothing. */
static void
test_asked(void **ctx)
{
	struct orders os = { 0 };
	struct outlook o, more;
	uint64_t at;
	unsigned i;

	(void)ctx;
	for (at = 0, o.to = 0; o.to == 0; at += 128 * KIB)
		o = orders_step(&os, at, 128 * KIB, SIZE);
	more = orders_step(&os, at, 8 * MIB, SIZE);
	assert_int_equal(more.kind, ORDER_PROVEN);
	assert_int_equal(more.to, 0);
	/* It was given up: from there on again. */
	orders_asked(&os, &o, o.from);
	at += 8 * MIB;
	more = orders_step(&os, at, 4 * KIB, SIZE);
	assert_true(more.to > 0 && more.from <= at + 4 * KIB);
	for (i = 0; i < ORDERS; i++)
		step(&os, 100 * MIB + i * 50 * MIB, 4 * KIB);
	orders_asked(&os, &more, more.to);
	for (i = 0; i < ORDERS; i++)
		assert_true(os.order[i].asked >= 100 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_overtaking),
		cmocka_unit_test(test_here_and_there),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
