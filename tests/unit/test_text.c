/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written as text: UTF-8, hexadecimal, base64, times.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/hex.h"
#include "base/timefmt.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Every code point, and what must not pass for one. */
static void
test_utf8(void **state)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80",
	    "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80",
	    "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
	    "\xf5\x80\x80\x80", "\xff", "\xf0\x9f\x98" };

	(void)state;
	assert_int_equal(bytes_utf8((const uint8_t *)"", 0), 0);
	assert_int_equal(bytes_utf8((const uint8_t *)"", 1), 1);
	for (uint32_t c = 0x80; c < 0x110000; c++) {
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		uint8_t p[4];

		for (size_t i = n; i-- > 1;)
			p[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 63));
		p[0] = (uint8_t)(0xf00 >> n | c >> 6 * (n - 1));
		assert_int_equal(bytes_utf8(p, 4), c >= 0xd800 &&
		    c < 0xe000 ? 0 : n);
		assert_int_equal(bytes_utf8(p, n - 1), 0);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(bytes_utf8((const uint8_t *)bad[i],
		    strlen(bad[i])), 0);
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "", "0", "01e", "01ef0", "01eF",
	    "0x01", "01 e", "01efff" };
	uint8_t v[2];
	char text[5];

	(void)state;
	hex_encode("\x01\xef", 2, text);
	assert_string_equal(text, "01ef");
	assert_int_equal(hex_decode(text, v, 2), 0);
	assert_memory_equal(v, "\x01\xef", 2);
	hex_encode("", 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode("", v, 0), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(hex_decode(bad[i], v, 2), -EINVAL);
}

/* RFC 4648, section 10. */
static void
test_base64(void **state)
{
	static const char *const pair[][2] = { { "", "" }, { "f", "Zg==" },
	    { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	    { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	    { "\xfb\xff\xbf", "+/+/" } };
	struct buf b = BUF_INIT(100);

	(void)state;
	for (size_t i = 0; i < COUNT(pair); i++) {
		buf_reset(&b);
		assert_int_equal(base64_encode(pair[i][0],
		    strlen(pair[i][0]), &b), 0);
		assert_string_equal(buf_cstr(&b), pair[i][1]);
		buf_reset(&b);
		assert_int_equal(base64_decode(pair[i][1],
		    strlen(pair[i][1]), &b), 0);
		assert_string_equal(buf_cstr(&b), pair[i][0]);
	}
	buf_release(&b);
}

static void
test_base64_bad(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=",
	    "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "=Zg=",
	    "Zg=a", "Zm9vZg=" };
	struct buf b = BUF_INIT(100);

	(void)state;
	buf_add(&b, "kept", 4);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &b),
		    -EINVAL);
	assert_string_equal(buf_cstr(&b), "kept");
	assert_int_equal(base64_decode("Zg\0=", 4, &b), -EINVAL);
	buf_release(&b);
}

static void
test_time(void **state)
{
	static const struct {
		struct timespec t;
		const char *name, *iso;
	} v[] = {
		{ { 1795175859, 0 }, "2026-11-20T115739Z",
		    "2026-11-20T11:57:39.000000000Z" },
		{ { 0, 1 }, "1970-01-01T000000Z",
		    "1970-01-01T00:00:00.000000001Z" },
		{ { -1, 500000000 }, "1969-12-31T235959Z",
		    "1969-12-31T23:59:59.500000000Z" },
		{ { 4102444800, 0 }, "2100-01-01T000000Z",
		    "2100-01-01T00:00:00.000000000Z" },
		{ { -62167219200, 0 }, "0000-01-01T000000Z",
		    "0000-01-01T00:00:00.000000000Z" },
		{ { 253402300799, 0 }, "9999-12-31T235959Z",
		    "9999-12-31T23:59:59.000000000Z" },
		{ { 253402300800, 0 }, "@253402300800",
		    "@253402300800.000000000" },
		{ { INT64_MIN, 999999999 }, "@-9223372036854775808",
		    "@-9223372036854775808.999999999" },
		{ { INT64_MAX, 0 }, "@9223372036854775807",
		    "@9223372036854775807.000000000" },
	};
	char text[TIMEFMT_SIZE];
	struct timespec t;

	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) {
		timefmt_name(&v[i].t, text);
		assert_string_equal(text, v[i].name);
		assert_int_equal(timefmt_parse(text, &t), 0);
		assert_true(t.tv_sec == v[i].t.tv_sec && t.tv_nsec == 0);
		timefmt_iso(&v[i].t, text);
		assert_string_equal(text, v[i].iso);
		assert_int_equal(timefmt_parse(text, &t), 0);
		assert_true(t.tv_sec == v[i].t.tv_sec);
		assert_int_equal(t.tv_nsec, v[i].t.tv_nsec);
	}
}

static void
test_time_parse(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-11-20",
	    "2026-11-20T115739", "2026-11-20T11:5739Z", "2026-11-20T1157:39Z",
	    "2026-13-20T115739Z", "2026-00-20T115739Z", "2026-11-31T115739Z",
	    "2026-11-00T115739Z", "2026-02-29T115739Z", "2026-11-20T245739Z",
	    "2026-11-20T116039Z", "2026-11-20T115760Z", "2026-11-20T115739Zx",
	    "2026-11-20T115739.Z", "2026-11-20T115739.1234567890Z",
	    " 2026-11-20T115739Z", "2026-11-20t115739z", "+026-11-20T115739Z",
	    "@", "@x", "@ 1", "@+1", "@1x", "@1.", "@9223372036854775808" };
	struct timespec t = { 5, 6 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(timefmt_parse(bad[i], &t), -EINVAL);
	assert_true(t.tv_sec == 5 && t.tv_nsec == 6);
	assert_int_equal(timefmt_parse("2024-02-29T00:00:00.25Z", &t), 0);
	assert_true(t.tv_sec == 1709164800 && t.tv_nsec == 250000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_bad),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
