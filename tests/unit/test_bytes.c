/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers of a fixed and of a variable length, buffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_integers(void **state)
{
	static const int64_t v[] = { 0, -1, 1, -2, INT64_MAX, INT64_MIN };
	uint8_t b[8];

	(void)state;
	le64_put(b, 0x0123456789abcdefULL);
	assert_memory_equal(b, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8);
	assert_int_equal(le16_get(b), 0xcdef);
	assert_int_equal(le32_get(b), 0x89abcdef);
	assert_true(le64_get(b) == 0x0123456789abcdefULL);
	for (size_t i = 0; i < COUNT(v); i++)
		assert_true(unzigzag(zigzag(v[i])) == v[i]);
	assert_int_equal(zigzag(-1), 1);
	assert_int_equal(zigzag(1), 2);
}

static void
test_rd(void **state)
{
	struct buf b = BUF_INIT(100);
	uint8_t two[2];
	size_t len;
	struct rd r;

	(void)state;
	buf_add_u8(&b, 7);
	buf_add_u16(&b, 0x1234);
	buf_add_u32(&b, 0x12345678);
	buf_add_u64(&b, UINT64_MAX);
	buf_add_str(&b, "name", 4);
	buf_add(&b, "xy", 2);
	r = rd_init(b.data, b.len);
	assert_int_equal(rd_u8(&r), 7);
	assert_int_equal(rd_u16(&r), 0x1234);
	assert_int_equal(rd_u32(&r), 0x12345678);
	assert_true(rd_u64(&r) == UINT64_MAX);
	assert_memory_equal(rd_str(&r, 4, &len), "name", 4);
	assert_int_equal(len, 4);
	rd_copy(&r, two, 2);
	assert_memory_equal(two, "xy", 2);
	assert_int_equal(rd_left(&r), 0);
	assert_false(rd_bad(&r));
	rd_copy(&r, two, 2);
	assert_memory_equal(two, "\0\0", 2);
	assert_true(rd_bad(&r));
	buf_release(&b);
}

/* After the first bad read there is nothing more. */
static void
test_rd_bad(void **state)
{
	static const uint8_t data[] = { 5, 'a', 'b', 'c' };
	struct rd r = rd_init(data, sizeof(data));
	size_t len = 99;

	(void)state;
	assert_null(rd_str(&r, 10, &len));
	assert_int_equal(len, 0);
	assert_true(rd_bad(&r));
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_bytes(&r, 0));
	r = rd_init(data, sizeof(data));
	assert_null(rd_str(&r, 4, &len));
	assert_true(rd_bad(&r));
	r = rd_init(data, sizeof(data));
	assert_null(rd_bytes(&r, SIZE_MAX));
	r = rd_init(NULL, 0);
	rd_bytes(&r, 0);
	assert_false(rd_bad(&r));
	assert_int_equal(rd_varint(&r), 0);
	assert_true(rd_bad(&r));
}

static void
test_varint(void **state)
{
	struct buf b = BUF_INIT(16);

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		for (uint64_t d = 0; d < 3; d++) {
			uint64_t v = (1ULL << bit) - 1 + d;
			struct rd r;

			buf_reset(&b);
			assert_int_equal(buf_add_varint(&b, v), 0);
			for (size_t n = 0; n < b.len; n++) {
				r = rd_init(b.data, n);
				rd_varint(&r);
				assert_true(rd_bad(&r));
			}
			r = rd_init(b.data, b.len);
			assert_true(rd_varint(&r) == v);
			assert_false(rd_bad(&r));
			assert_int_equal(rd_left(&r), 0);
		}
	}
	buf_release(&b);
}

static void
test_varint_bad(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\x80\x00", 2 }, { "\xff\x80\x00", 3 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10 },
	};
	struct rd r;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		r = rd_init(bad[i].bytes, bad[i].len);
		assert_int_equal(rd_varint(&r), 0);
		assert_true(rd_bad(&r));
	}
	r = rd_init("\x05", 1);
	assert_int_equal(rd_varint_max(&r, 5), 5);
	r = rd_init("\x05", 1);
	assert_int_equal(rd_varint_max(&r, 4), 0);
	assert_true(rd_bad(&r));
}

static void
test_buf(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_add(&b, "12345678", 8), 0);
	assert_int_equal(buf_printf(&b, "%d", 90), 0);
	assert_int_equal(b.len, 10);
	assert_string_equal(buf_cstr(&b), "1234567890");
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	/* Too much: remembered, and the contents stay. */
	assert_int_equal(buf_add_u8(&b, 1), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 10);
	assert_int_equal(buf_err(&b), -FIRN_ETOOBIG);
	assert_int_equal(buf_add(&b, "", 0), -FIRN_ETOOBIG);
	assert_null(buf_cstr(&b));
	buf_reset(&b);
	assert_int_equal(buf_printf(&b, "%s", "12345678901"),
	    -FIRN_ETOOBIG);
	assert_int_equal(b.len, 0);
	buf_reset(&b);
	assert_int_equal(buf_add_str(&b, "1234567890", 10), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 0);
	buf_release(&b);
	buf_release(&b);
	buf_release(NULL);
}

static void
test_buf_limits(void **state)
{
	struct buf none = BUF_INIT(0), all = BUF_INIT(SIZE_MAX);

	(void)state;
	assert_int_equal(buf_add(&none, "", 0), 0);
	assert_non_null(buf_extend(&none, 0));
	assert_string_equal(buf_cstr(&none), "");
	assert_int_equal(buf_add_u8(&none, 0), -FIRN_ETOOBIG);
	assert_int_equal(buf_add_u8(&all, 0), 0);
	assert_int_equal(buf_reserve(&all, SIZE_MAX), -FIRN_ETOOBIG);
	buf_reset(&all);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(buf_add_u32(&all, i), 0);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(le32_get(all.data + 4 * i), i);
	buf_release(&none);
	buf_release(&all);
}

static void
test_buf_pages(void **state)
{
	const size_t large = 3u << 20;
	struct buf b = BUF_INIT(large);
	uint8_t *data;

	(void)state;
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(buf_reserve_pages(&b, 8192), 0);
	assert_true((uintptr_t)b.data % 4096 == 0 && b.cap == 8192);
	assert_int_equal(buf_reserve_pages(&b, large), 0);
	assert_true((uintptr_t)b.data % (2u << 20) == 0 && b.cap == large);
	data = b.data;
	assert_non_null(buf_extend(&b, large - 3));
	/* There is room for all of it, at the same place. */
	assert_ptr_equal(b.data, data);
	assert_memory_equal(b.data, "abc", 3);
	memset(b.data, 1, large);
	buf_reset(&b);
	assert_int_equal(buf_reserve_pages(&b, large + 1), -FIRN_ETOOBIG);
	buf_release(&b);
	assert_true(b.max == large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_rd),
		cmocka_unit_test(test_rd_bad),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_varint_bad),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_limits),
		cmocka_unit_test(test_buf_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
