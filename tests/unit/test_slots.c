/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of 1 MiB each, and buffers that take it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pages.h"
#include "base/slots.h"

#define MANY	40
#define SPARE	(4 * SLOT_SIZE)

static void
test_two_in_a_large_page(void **state)
{
	uint8_t *slot[MANY];
	struct slots *s;
	unsigned i;

	(void)state;
	assert_int_equal(slots_new(SPARE, &s), 0);
	for (i = 0; i < MANY; i++) {
		slot[i] = slots_take(s);
		assert_non_null(slot[i]);
		assert_int_equal((uintptr_t)slot[i] % SLOT_SIZE, 0);
		memset(slot[i], (int)i, SLOT_SIZE);
		assert_int_equal(slots_held(s), (i / 2 + 1) * 2 * SLOT_SIZE);
	}
	for (i = 0; i < MANY; i++) {	/* each its own */
		assert_int_equal(slot[i][0], i);
		assert_int_equal(slot[i][SLOT_SIZE - 1], i);
	}
	for (i = 0; i < MANY; i++)
		slots_give(s, slot[i]);
	assert_int_equal(slots_held(s), SPARE);
	slots_give(s, NULL);
	slots_free(s);
	slots_free(NULL);
}

/* What is half in use is filled before what is empty is touched. */
static void
test_half_in_use_first(void **state)
{
	struct slots *s;
	void *slot[8], *again;
	unsigned i;

	(void)state;
	assert_int_equal(slots_new(SPARE, &s), 0);
	for (i = 0; i < 8; i++)
		slot[i] = slots_take(s);
	slots_give(s, slot[0]);
	slots_give(s, slot[1]);
	slots_give(s, slot[4]);
	again = slots_take(s);
	assert_ptr_equal(again, slot[4]);
	for (i = 2; i < 8; i++)
		slots_give(s, slot[i]);
	slots_free(s);
}

/* More is kept than `spare` only while the other half is in use. */
static void
test_what_is_kept(void **state)
{
	struct slots *s;
	void *slot[8];
	unsigned i;

	(void)state;
	assert_int_equal(slots_new(0, &s), 0);
	for (i = 0; i < 8; i++)
		slot[i] = slots_take(s);
	for (i = 0; i < 8; i += 2)
		slots_give(s, slot[i]);
	assert_int_equal(slots_held(s), 8 * SLOT_SIZE);
	for (i = 1; i < 8; i += 2) {
		slots_give(s, slot[i]);
		assert_int_equal(slots_held(s), (7 - i) * SLOT_SIZE);
	}
	slots_free(s);
}

/* Who uses what was given back is found out, where a sanitizer looks on, and
 * nobody else. */
static void
test_given_is_hidden(void **state)
{
	struct slots *s;
	uint8_t *a, *b;

	(void)state;
	assert_int_equal(slots_new(SPARE, &s), 0);
	a = slots_take(s);
	assert_non_null(a);
	if (pages_hidden(a) < 0) {
		slots_give(s, a);
		slots_free(s);
		skip();
	}
	b = a + SLOT_SIZE;
	assert_false(pages_hidden(a + SLOT_SIZE - 1));
	assert_true(pages_hidden(b));
	assert_ptr_equal(slots_take(s), b);
	slots_give(s, a);
	assert_true(pages_hidden(a));
	assert_true(pages_hidden(a + SLOT_SIZE - 1));
	assert_false(pages_hidden(b));
	assert_ptr_equal(slots_take(s), a);
	assert_false(pages_hidden(a));
	slots_give(s, a);
	slots_give(s, b);
	slots_free(s);
	assert_false(pages_hidden(a));
	assert_false(pages_hidden(b));
}

static void
fill(struct buf *b, size_t len, int byte)
{
	uint8_t *p = buf_extend(b, len);

	assert_non_null(p);
	memset(p, byte, len);
}

static void
test_buffer(void **state)
{
	struct slots *s;
	struct buf b;

	(void)state;
	assert_int_equal(slots_new(0, &s), 0);
	b = (struct buf)BUF_INIT_SLOTS(4 * SLOT_SIZE, s);
	fill(&b, 1000, 1);
	assert_int_equal(slots_held(s), 0);
	fill(&b, SLOT_SIZE / 2, 2);
	assert_int_equal(slots_held(s), 2 * SLOT_SIZE);
	assert_int_equal(b.cap, SLOT_SIZE);
	fill(&b, SLOT_SIZE, 3);
	assert_int_equal(slots_held(s), 0);
	assert_int_equal(b.data[999], 1);
	assert_int_equal(b.data[1000], 2);
	assert_int_equal(b.data[1000 + SLOT_SIZE / 2], 3);
	assert_int_equal(b.data[b.len - 1], 3);
	buf_release(&b);
	fill(&b, SLOT_SIZE, 4);		/* it still knows where from */
	assert_int_equal(slots_held(s), 2 * SLOT_SIZE);
	assert_int_equal(buf_reserve_pages(&b, 3 * SLOT_SIZE), 0);
	assert_int_equal(slots_held(s), 0);
	assert_int_equal(b.data[SLOT_SIZE - 1], 4);
	buf_release(&b);
	slots_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_in_a_large_page),
		cmocka_unit_test(test_half_in_use_first),
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_given_is_hidden),
		cmocka_unit_test(test_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
