/* SPDX-License-Identifier: Apache-2.0 */
/* core/base/json: builders, getters, hostile texts, and lack of memory. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
assert_dump(const struct json *j, const char *text)
{
	struct buf b = BUF_INIT(10000);

	assert_int_equal(json_dump(j, &b), 0);
	assert_string_equal(buf_cstr(&b), text);
	buf_release(&b);
}

static struct json *
parse(const char *text)
{
	struct json *j;

	assert_int_equal(json_parse(text, strlen(text), &j), 0);
	return j;
}

/* One of everything. */
static struct json *
build(void)
{
	struct json *j = json_object(), *list = json_array();

	json_set_str(j, "z", "\xc3\xa9\n");
	json_set_int(j, "int", INT64_MIN);
	json_set_uint(j, "small", INT64_MAX);
	json_set_uint(j, "large", UINT64_MAX);
	json_set_bool(j, "yes", 2);
	json_set_real(j, "real", 0.5);
	json_set_bytes(j, "path", "a\xff/\xc3\xa9", 5);
	json_set_bytes(j, "clean", "b", 1);
	json_set_hex(j, "hex", "\x01\xef", 2);
	json_set_str(list, NULL, "first");
	json_set_bytes(list, NULL, "second", 6);
	json_set_bytes(list, NULL, "\xff", 1);
	json_set(list, NULL, json_object());
	json_set(j, "list", list);
	return j;
}

static const char built[] =
    "{\"z\":\"\xc3\xa9\\n\",\"int\":-9223372036854775808,"
    "\"small\":9223372036854775807,\"large\":\"18446744073709551615\","
    "\"yes\":true,\"real\":0.5,\"path\":\"a\xef\xbf\xbd/\xc3\xa9\","
    "\"path_base64\":\"Yf8vw6k=\",\"clean\":\"b\",\"hex\":\"01ef\","
    "\"list\":[\"first\",\"second\",{\"text\":\"\xef\xbf\xbd\","
    "\"base64\":\"/w==\"},{}]}";

static void
test_build(void **state)
{
	struct json *j = build();
	struct buf b = BUF_INIT(100);

	(void)state;
	assert_dump(j, built);
	json_free(j);
	json_free(NULL);
	j = json_object();
	json_set_int(j, "a", 1);
	assert_int_equal(json_dump_pretty(j, &b), 0);
	assert_string_equal(buf_cstr(&b), "{\n  \"a\": 1\n}");
	json_free(j);
	buf_release(&b);
}

static void
test_get(void **state)
{
	struct json *j = parse(built), *list;
	struct buf b = BUF_INIT(100);
	const char *s;
	uint8_t hex[2];
	uint64_t u;
	int64_t i;
	int yes;

	(void)state;
	assert_int_equal(json_get_str(j, "z", &s), 0);
	assert_string_equal(s, "\xc3\xa9\n");
	assert_int_equal(json_get_int(j, "int", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(json_get_uint(j, "small", &u), 0);
	assert_true(u == INT64_MAX);
	assert_int_equal(json_get_uint(j, "large", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(json_get_bool(j, "yes", &yes), 0);
	assert_int_equal(yes, 1);
	assert_int_equal(json_get_hex(j, "hex", hex, 2), 0);
	assert_memory_equal(hex, "\x01\xef", 2);
	assert_int_equal(json_get_bytes(j, "path", &b), 0);
	assert_int_equal(json_get_bytes(j, "clean", &b), 0);
	assert_int_equal(json_get(j, "list", &list), 0);
	assert_int_equal(json_count(list), 4);
	assert_int_equal(json_at_bytes(list, 1, &b), 0);
	assert_int_equal(json_at_bytes(list, 2, &b), 0);
	assert_string_equal(buf_cstr(&b), "a\xff/\xc3\xa9" "bsecond\xff");
	assert_int_equal(json_at_str(list, 0, &s), 0);
	assert_string_equal(s, "first");
	json_free(j);
	buf_release(&b);
}

static void
test_get_wrong(void **state)
{
	struct json *j = parse("{\"s\":\"x\",\"n\":-1,\"s_base64\":\"!\","
	    "\"a\":[1],\"z\":null,\"d\":\"00\",\"e\":\"\","
	    "\"big\":\"18446744073709551616\",\"real\":1.0}"), *child;
	struct buf b = BUF_INIT(100);
	const char *s;
	uint64_t u;
	int64_t i;
	int yes;

	(void)state;
	assert_int_equal(json_get_str(j, "no", &s), -ENOENT);
	assert_null(s);
	assert_int_equal(json_get_str(j, "n", &s), -FIRN_ECORRUPT);
	assert_int_equal(json_get_str(j, "z", &s), -FIRN_ECORRUPT);
	assert_int_equal(json_get_int(j, "s", &i), -FIRN_ECORRUPT);
	assert_int_equal(json_get_int(j, "real", &i), -FIRN_ECORRUPT);
	assert_int_equal(json_get_uint(j, "n", &u), -FIRN_ECORRUPT);
	assert_int_equal(json_get_uint(j, "s", &u), -FIRN_ECORRUPT);
	assert_int_equal(json_get_uint(j, "d", &u), -FIRN_ECORRUPT);
	assert_int_equal(json_get_uint(j, "e", &u), -FIRN_ECORRUPT);
	assert_int_equal(json_get_uint(j, "big", &u), -FIRN_ECORRUPT);
	assert_int_equal(json_get_bool(j, "n", &yes), -FIRN_ECORRUPT);
	assert_int_equal(json_get_bytes(j, "s", &b), -FIRN_ECORRUPT);
	assert_int_equal(json_get_bytes(j, "n", &b), -FIRN_ECORRUPT);
	assert_int_equal(json_get_bytes(j, "no", &b), -ENOENT);
	assert_int_equal(json_get_hex(j, "s", &i, 1), -FIRN_ECORRUPT);
	assert_int_equal(json_get(j, "s", &child), -FIRN_ECORRUPT);
	assert_null(child);
	assert_int_equal(json_get(j, "no", &child), -ENOENT);
	assert_int_equal(json_at(j, 0, &child), -FIRN_ECORRUPT);
	assert_int_equal(json_get(j, "a", &child), 0);
	assert_int_equal(json_at_str(child, 0, &s), -FIRN_ECORRUPT);
	assert_int_equal(json_at_str(child, 1, &s), -ENOENT);
	assert_int_equal(json_at_bytes(child, 0, &b), -FIRN_ECORRUPT);
	assert_int_equal(json_get_str(child, "s", &s), -FIRN_ECORRUPT);
	assert_int_equal(json_member(child, 0, &s, NULL), -FIRN_ECORRUPT);
	assert_int_equal(b.len, 0);
	json_free(j);
	buf_release(&b);
}

static void
test_children(void **state)
{
	struct json *j = parse("{\"a\":{\"b\":[[],{\"c\":1}]},\"n\":2}");
	struct json *a, *b, *c, *again;
	const char *name;
	int64_t v;

	(void)state;
	assert_int_equal(json_get(j, "a", &a), 0);
	assert_int_equal(json_get(a, "b", &b), 0);
	assert_int_equal(json_at(b, 1, &c), 0);
	assert_int_equal(json_get_int(c, "c", &v), 0);
	assert_int_equal(json_get(j, "a", &again), 0);
	assert_ptr_equal(a, again);
	assert_int_equal(json_member(j, 1, &name, &again), 0);
	assert_string_equal(name, "n");
	assert_null(again);
	assert_int_equal(json_member(j, 0, &name, &again), 0);
	assert_string_equal(name, "a");
	assert_ptr_equal(a, again);
	assert_int_equal(json_member(j, 2, &name, NULL), -ENOENT);
	/* A child is part of its document; a replaced one is only stale. */
	json_set_int(c, "d", 3);
	assert_dump(j, "{\"a\":{\"b\":[[],{\"c\":1,\"d\":3}]},\"n\":2}");
	json_set_int(j, "a", 0);
	assert_dump(j, "{\"a\":0,\"n\":2}");
	assert_int_equal(json_get_int(c, "d", &v), 0);
	json_free(j);
}

/* Many members: a walk is linear, and children are not made twice. */
static void
test_members(void **state)
{
	struct json *j = json_object(), *child;
	char want[24];
	const char *name;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		snprintf(want, sizeof(want), "%d", i);
		json_set(j, want, json_array());
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < json_count(j); i++) {
			snprintf(want, sizeof(want), "%zu", i);
			assert_int_equal(json_member(j, i, &name, &child), 0);
			assert_string_equal(name, want);
			assert_int_equal(json_count(child), 0);
		}
	}
	json_free(j);
}

static void
test_bytes_again(void **state)
{
	struct json *j = json_object();
	struct buf b = BUF_INIT(100);

	(void)state;
	json_set_bytes(j, "p", "a\0b", 3);
	assert_dump(j, "{\"p\":\"a\xef\xbf\xbd" "b\",\"p_base64\":\"YQBi\"}");
	json_set_bytes(j, "p", NULL, 0);
	assert_dump(j, "{\"p\":\"\"}");
	assert_int_equal(json_get_bytes(j, "p", &b), 0);
	assert_int_equal(b.len, 0);
	json_free(j);
	buf_release(&b);
}

/* A builder that fails is remembered, in what is above it too. */
static void
test_remembered(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct json *j = json_object(), *list = json_array(), *child;

		if (i == 0)
			json_set_str(j, "a", "\xff");
		else if (i == 1)
			json_set_real(j, "a", NAN);
		else if (i == 2)
			json_set_int(j, NULL, 1);
		else if (i == 3)
			json_set_int(list, "a", 1);
		else if (i == 4)
			json_set_int(j, "\xff", 1);
		else if (i == 5)
			json_set(j, "a", NULL);
		json_set(j, "list", list);
		if (i == 6) {
			assert_int_equal(json_get(j, "list", &child), 0);
			json_set_int(child, "a", 1);
		}
		assert_int_equal(json_dump(j, &b), i == 5 ? -ENOMEM :
		    i == 7 ? 0 : -EINVAL);
		assert_int_equal(b.len > 0, i == 7);
		json_free(j);
	}
	buf_release(&b);
}

static void
test_null(void **state)
{
	struct buf b = BUF_INIT(100);
	struct json *child;
	const char *s;

	(void)state;
	json_set_int(NULL, "a", 1);
	json_set_bytes(NULL, "a", "\xff", 1);
	json_set_bytes(NULL, NULL, "\xff", 1);
	json_set_bytes(NULL, "a", "b", 1);
	json_set(NULL, "a", json_object());
	assert_int_equal(json_dump(NULL, &b), -ENOMEM);
	assert_int_equal(json_get_str(NULL, "a", &s), -EINVAL);
	assert_int_equal(json_at(NULL, 0, &child), -EINVAL);
	assert_int_equal(json_member(NULL, 0, &s, &child), -EINVAL);
	assert_int_equal(json_count(NULL), 0);
	buf_release(&b);
}

static void
test_dump_ceiling(void **state)
{
	struct json *j = build();
	struct buf b = BUF_INIT(20);

	(void)state;
	buf_add(&b, "kept", 4);
	assert_int_equal(json_dump(j, &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 4);
	json_free(j);
	buf_release(&b);
}

static void
test_parse_bad(void **state)
{
	static const char *const bad[] = { "", " ", "1", "\"x\"", "null", "{",
	    "[1,]", "{}x", "{\"a\":1,\"a\":2}", "[\"\xff\"]", "[\"\\u0000\"]",
	    "[9223372036854775808]", "[1e999]", "[NaN]", "{'a':1}", "[01]",
	    "[\"\\ud800\"]", "\xef\xbb\xbf{}" };
	struct json *j;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &j),
		    -FIRN_ECORRUPT);
		assert_null(j);
	}
	assert_int_equal(json_parse("{}\0", 3, &j), -FIRN_ECORRUPT);
	assert_int_equal(json_parse(NULL, 0, &j), -FIRN_ECORRUPT);
	for (size_t n = 0; n < sizeof(built) - 1; n++)
		assert_int_equal(json_parse(built, n, &j), -FIRN_ECORRUPT);
}

static int
parse_nested(size_t depth)
{
	char *text = malloc(2 * depth);
	struct json *j;
	int err;

	assert_non_null(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	err = json_parse(text, 2 * depth, &j);
	json_free(j);
	free(text);
	return err;
}

static void
test_depth(void **state)
{
	(void)state;
	assert_int_equal(parse_nested(64), 0);
	assert_int_equal(parse_nested(65), -FIRN_ECORRUPT);
	assert_int_equal(parse_nested(2000), -FIRN_ECORRUPT);
	assert_int_equal(parse_nested(1000000), -FIRN_ECORRUPT);
}

/* The allocation that fails, counted down; jansson's only. */
static long fail_at;

static void *
failing_malloc(size_t size)
{
	return fail_at-- == 0 ? NULL : malloc(size);
}

/* Lack of memory at any point is an error, never a different document. */
static void
test_no_memory(void **state)
{
	struct buf b = BUF_INIT(10000);
	struct json *j;
	long n = 0;
	int err;

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	do {
		buf_reset(&b);
		fail_at = n++;
		j = build();
		err = json_dump(j, &b);
		json_free(j);
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(b.len, err ? 0 : strlen(built));
	} while (fail_at < 0);
	assert_int_equal(err, 0);
	n = 0;
	do {
		fail_at = n++;
		err = json_parse(built, strlen(built), &j);
		json_free(j);
	} while (fail_at < 0);
	assert_int_equal(err, 0);
	json_set_alloc_funcs(malloc, free);
	buf_release(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_get_wrong),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_bytes_again),
		cmocka_unit_test(test_remembered),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_dump_ceiling),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
