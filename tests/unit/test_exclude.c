/* SPDX-License-Identifier: Apache-2.0 */
/* Exclude patterns: a table of cases, files of patterns, and a time bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/exclude.h"
#include "base/err.h"

#define FILE_	0
#define DIR_	1

static const struct {
	const char *pattern, *path;
	int is_dir, want;
} table[] = {
	/* the last component, anywhere */
	{ "*.o", "/a/b.o", FILE_, 1 },
	{ "*.o", "/b.o", FILE_, 1 },
	{ "*.o", "/a/.o", FILE_, 1 },
	{ "*.o", "/a.o/b", FILE_, 0 },
	{ "*.o", "/a/b.ox", FILE_, 0 },
	{ "cache", "/a/cache", FILE_, 1 },
	{ "cache", "/a/cache", DIR_, 1 },
	{ "cache", "/a/xcache", FILE_, 0 },
	{ "cache", "/a/cache/b", FILE_, 0 },
	{ "cache/", "/a/cache", FILE_, 0 },
	{ "cache/", "/a/cache", DIR_, 1 },
	{ "a?c", "/x/abc", FILE_, 1 },
	{ "a?c", "/x/a/c", FILE_, 0 },
	{ "*", "/x", FILE_, 1 },
	{ "a*b*c", "/aXbYbZc", FILE_, 1 },
	{ "a*b*c", "/aXcYb", FILE_, 0 },
	{ "**.tmp", "/x/y.tmp", FILE_, 1 },
	/* from the root */
	{ "/proc", "/proc", DIR_, 1 },
	{ "/proc", "/a/proc", DIR_, 0 },
	{ "/home/*/.cache", "/home/u/.cache", DIR_, 1 },
	{ "/home/*/.cache", "/home/u/v/.cache", DIR_, 0 },
	{ "/home/**/.cache", "/home/u/v/.cache", DIR_, 1 },
	{ "/home/**/.cache", "/home/.cache", DIR_, 1 },
	{ "/home/**/.cache", "/home/u.cache", DIR_, 0 },
	{ "/home/**/**/.cache", "/home/.cache", DIR_, 1 },
	{ "/home/**", "/home", DIR_, 0 },
	{ "/home/**", "/home/a/b", FILE_, 1 },
	{ "/a**z", "/a/b/z", FILE_, 1 },
	{ "/a*z", "/a/b/z", FILE_, 0 },
	{ "/**/x", "/x", FILE_, 1 },
	{ "/**/x", "/a/b/x", FILE_, 1 },
	{ "/**/x", "/a/b/yx", FILE_, 0 },
	{ "//a///b", "/a/b", FILE_, 1 },
	/* trailing components */
	{ "a/b", "/a/b", FILE_, 1 },
	{ "a/b", "/x/a/b", FILE_, 1 },
	{ "a/b", "/x/xa/b", FILE_, 0 },
	{ "a/b", "/a/b/c", FILE_, 0 },
	{ "a/*.o", "/x/a/y.o", FILE_, 1 },
	{ "a/*.o", "/x/a/b/y.o", FILE_, 0 },
	{ "a/*.o", "/a/a/y.o", FILE_, 1 },
	{ "a/**/c", "/x/a/c", FILE_, 1 },
	{ "a/**/c", "/x/a/1/2/c", FILE_, 1 },
	{ "**/c", "/c", FILE_, 1 },
	{ "**/c", "/x/c", FILE_, 1 },
	{ "**/c", "/x/bc", FILE_, 0 },
	{ ".git/objects/", "/s/.git/objects", DIR_, 1 },
	{ ".git/objects/", "/s/.git/objects", FILE_, 0 },
	/* sets */
	{ "[abc]", "/b", FILE_, 1 },
	{ "[!abc]", "/b", FILE_, 0 },
	{ "[^abc]", "/d", FILE_, 1 },
	{ "[a-c]x", "/bx", FILE_, 1 },
	{ "[]x]", "/]", FILE_, 1 },
	{ "[!]x]", "/]", FILE_, 0 },
	{ "[a-]", "/-", FILE_, 1 },
	{ "/a[!x]b", "/a/b", FILE_, 0 },
	{ "/a[.-0]b", "/a/b", FILE_, 0 },
	{ "[[:digit:]]*", "/7z", FILE_, 1 },
	{ "[[:digit:]]*", "/z7", FILE_, 0 },
	{ "[\\]]", "/]", FILE_, 1 },
	{ "[\x80-\xff]", "/\xc3", FILE_, 1 },
	{ "?", "/\xc3", FILE_, 1 },
	/* escapes */
	{ "\\*", "/*", FILE_, 1 },
	{ "\\*", "/a", FILE_, 0 },
	{ "\\!a", "/!a", FILE_, 1 },
	{ "\\#a", "/#a", FILE_, 1 },
	{ "a b ", "/a b ", FILE_, 1 },
};

static void
test_table(void **state)
{
	struct exclude *x;
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(exclude_new(&x), 0);
		assert_int_equal(exclude_add(x, table[i].pattern), 0);
		got = exclude_match(x, table[i].path, table[i].is_dir);
		if (got != table[i].want)
			fail_msg("'%s' against '%s': %d", table[i].pattern,
			    table[i].path, got);
		exclude_free(x);
	}
}

static void
test_order(void **state)
{
	struct exclude *x;

	(void)state;
	assert_int_equal(exclude_new(&x), 0);
	assert_int_equal(exclude_match(x, "/a", 0), 0);
	assert_int_equal(exclude_add(x, "*.log"), 0);
	assert_int_equal(exclude_add(x, "!keep.log"), 0);
	assert_int_equal(exclude_add(x, "/tmp/keep.log"), 0);
	assert_int_equal(exclude_match(x, "/a/b.log", 0), 1);
	assert_int_equal(exclude_match(x, "/a/keep.log", 0), 0);
	assert_int_equal(exclude_match(x, "/tmp/keep.log", 0), 1);
	exclude_free(x);
	exclude_free(NULL);
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = { "", "/", "!", "!/", "[", "[a",
	    "[]", "[!]", "a\\", "[b-a]", "[a\\", "//" };
	struct exclude *x;
	char *big;
	size_t i;

	(void)state;
	assert_int_equal(exclude_new(&x), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (exclude_add(x, bad[i]) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	big = malloc(8193);
	memset(big, '*', 8192);
	big[8192] = '\0';
	assert_int_equal(exclude_add(x, big), -EINVAL);
	free(big);
	assert_int_equal(exclude_match(x, "/a", 0), 0);
	exclude_free(x);
}

static void
write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void
test_file(void **state)
{
	static const char text[] =
	    "# a comment\n\n  \t\n*.o\r\n!a.o\n/last without newline";
	char path[] = "/tmp/test_exclude.XXXXXX";
	struct exclude *x;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(path, text, sizeof(text) - 1);
	assert_int_equal(exclude_new(&x), 0);
	assert_int_equal(exclude_add_file(x, path), 0);
	assert_int_equal(exclude_match(x, "/x/b.o", 0), 1);
	assert_int_equal(exclude_match(x, "/x/a.o", 0), 0);
	assert_int_equal(exclude_match(x, "/last without newline", 0), 1);
	assert_int_equal(exclude_match(x, "/# a comment", 0), 0);
	write_file(path, "a\0b\n", 4);
	assert_int_equal(exclude_add_file(x, path), -EINVAL);
	write_file(path, "ok\n[\n", 5);
	assert_int_equal(exclude_add_file(x, path), -EINVAL);
	unlink(path);
	assert_int_equal(exclude_add_file(x, path), -ENOENT);
	assert_int_equal(exclude_add_file(x, "/tmp"), -EISDIR);
	exclude_free(x);
}

/* What would take a backtracking matcher longer than the universe. */
static void
test_bounded(void **state)
{
	char pattern[4096], path[4096];
	struct exclude *x;
	size_t i;
	clock_t start = clock();

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[4095] = '\0';
	for (i = 0; i + 2 < sizeof(pattern) - 1; i += 2)
		memcpy(pattern + i, "*a", 2);
	strcpy(pattern + i, "b");
	assert_int_equal(exclude_new(&x), 0);
	assert_int_equal(exclude_add(x, pattern), 0);
	assert_int_equal(exclude_match(x, path, 0), 0);
	/* Components, and stars that cross them. */
	for (i = 1; i < 4095; i += 2)
		path[i] = '/';
	for (i = 0; i + 4 < sizeof(pattern) - 1; i += 4)
		memcpy(pattern + i, i % 8 ? "**a/" : "/**/", 4);
	strcpy(pattern + i, "b");
	assert_int_equal(exclude_add(x, pattern), 0);
	assert_int_equal(exclude_match(x, path, 0), 0);
	for (i = 0; i + 3 < sizeof(pattern) - 1; i += 3)
		memcpy(pattern + i, "**/", 3);
	strcpy(pattern + i, "b");
	assert_int_equal(exclude_add(x, pattern), 0);
	assert_int_equal(exclude_match(x, path, 0), 0);
	exclude_free(x);
	assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
}

/* A matcher as plain as can be, by recursion, against random patterns. */
static int
slow(const char *p, const char *begin, const char *s)
{
	if (*p == '\0')
		return *s == '\0';
	if (strncmp(p, "**/", 3) == 0 && (p == begin || p[-1] == '/')) {
		if (slow(p + 3, begin, s))
			return 1;
		for (; *s != '\0'; s++)
			if (*s == '/' && slow(p + 3, begin, s + 1))
				return 1;
		return 0;
	}
	if (strncmp(p, "**", 2) == 0) {
		for (;; s++) {
			if (slow(p + 2, begin, s))
				return 1;
			if (*s == '\0')
				return 0;
		}
	}
	if (*p == '*') {
		for (;; s++) {
			if (slow(p + 1, begin, s))
				return 1;
			if (*s == '\0' || *s == '/')
				return 0;
		}
	}
	if (*s == '\0' || (*p == '?' ? *s == '/' : *p != *s))
		return 0;
	return slow(p + 1, begin, s + 1);
}

static void
random_text(char *out, const char *alphabet, size_t max)
{
	size_t n = 1 + (size_t)rand() % max, i, k = strlen(alphabet);

	for (i = 0; i < n; i++) {
		out[i] = alphabet[(size_t)rand() % k];
		/* Runs of '/' are one, and three stars no case of ours. */
		if (i > 0 && out[i] == '/' && out[i - 1] == '/')
			out[i] = 'a';
		if (i > 1 && out[i] == '*' && out[i - 1] == '*' &&
		    out[i - 2] == '*')
			out[i] = 'b';
	}
	if (out[n - 1] == '/')
		out[n - 1] = 'a';
	out[n] = '\0';
}

static void
test_random(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	char pattern[32], path[32];
	struct exclude *x;
	const char *s;
	int i, want, got;

	(void)state;
	srand(seed);
	for (i = 0; i < 200000; i++) {
		random_text(pattern, "ab/**?", 9);
		path[0] = '/';
		random_text(path + 1, "ab/", 9);
		if (path[1] == '/')
			path[1] = 'a';
		if (pattern[0] == '/') {
			want = slow(pattern, pattern, path);
		} else if (strchr(pattern, '/') == NULL) {
			want = slow(pattern, pattern,
			    strrchr(path, '/') + 1);
		} else {
			for (want = 0, s = path; s != NULL && !want;
			    s = strchr(s + 1, '/'))
				want = slow(pattern, pattern, s + 1);
		}
		assert_int_equal(exclude_new(&x), 0);
		assert_int_equal(exclude_add(x, pattern), 0);
		got = exclude_match(x, path, 0);
		if (got != want)
			fail_msg("seed %u: '%s' against '%s': %d, not %d",
			    seed, pattern, path, got, want);
		exclude_free(x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
