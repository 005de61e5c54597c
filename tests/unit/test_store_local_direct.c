/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large objects of the directory store go past the page cache, and when a file
 * system does not take that, by it: write(2) is ours here (ld --wrap), counts
 * what is written directly, and fails or falls short where a test says so.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"
#include "remove_test.h"

#define MIB ((size_t)1 << 20)

static struct {
	size_t direct, buffered;	/* bytes written */
	unsigned calls;			/* direct ones */
	unsigned fail_at;		/* the nth of those fails; 0: none */
	int err;			/* so, or with 0 writes half */
} seen;

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t
__wrap_write(int fd, const void *buf, size_t len)
{
	int direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
	ssize_t n;

	if (direct && ++seen.calls == seen.fail_at) {
		if (seen.err != 0) {
			errno = seen.err;
			return -1;
		}
		len = len / 2 / 4096 * 4096;
	}
	n = __real_write(fd, buf, len);
	if (n > 0)
		*(direct ? &seen.direct : &seen.buffered) += (size_t)n;
	return n;
}

struct place {
	char dir[64];
	struct store *store;
	int takes_direct;
	uint8_t *data, *back;
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char path[80];
	size_t i;
	int fd;

	memset(&seen, 0, sizeof(seen));
	assert_non_null(p);
	strcpy(p->dir, "/tmp/firn-direct-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(path, sizeof(path), "%s/probe", p->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_DIRECT, 0600);
	p->takes_direct = fd >= 0;
	close(fd);
	p->data = aligned_alloc(4096, 10 * MIB);
	p->back = malloc(10 * MIB);
	assert_true(p->data != NULL && p->back != NULL);
	for (i = 0; i < 10 * MIB; i++)
		p->data[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(store_open(p->dir, NULL, 1, &p->store), 0);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	store_close(p->store);
	remove_all(p->dir);
	free(p->data);
	free(p->back);
	free(p);
	return 0;
}

static void
put(struct place *p, size_t at, size_t len, unsigned flags, int want)
{
	memset(&seen.direct, 0, 2 * sizeof(seen.direct));
	seen.calls = 0;
	assert_int_equal(store_put(p->store, "data/00/x", p->data + at, len,
	    NULL, flags), want);
}

static void
assert_whole(struct place *p, size_t at, size_t len)
{
	size_t got;

	assert_int_equal(store_get(p->store, "data/00/x", 0, p->back, 10 * MIB,
	    &got), 0);
	assert_int_equal(got, len);
	assert_memory_equal(p->back, p->data + at, len);
}

static void
test_large(void **state)
{
	static const struct { size_t at, len, direct; } v[] = {
		{ 0, 2 * MIB, 2 * MIB }, { 0, 9 * MIB, 9 * MIB },
		{ 0, 4 * MIB + 4097, 4 * MIB + 4096 },
		{ 0, MIB - 1, 0 }, { 16, 2 * MIB, 0 },
	};
	struct place *p = *state;
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		put(p, v[i].at, v[i].len, STORE_DATA, 0);
		if (p->takes_direct)
			assert_int_equal(seen.direct, v[i].direct);
		assert_int_equal(seen.direct + seen.buffered, v[i].len);
		assert_whole(p, v[i].at, v[i].len);
	}
	/* What will be read again soon stays in memory. */
	put(p, 0, 2 * MIB, 0, 0);
	assert_int_equal(seen.direct, 0);
	assert_whole(p, 0, 2 * MIB);
}

/* Whatever a file system says to a direct write, first or later, it gets the
 * object once more in the usual way, and is not tried again. */
static void
test_refused(void **state)
{
	static const int err[] = { EINVAL, EOPNOTSUPP, EIO, ENOTSUP };
	struct place *p = *state;
	size_t i;

	if (!p->takes_direct)
		skip();
	for (i = 0; i < 2 * sizeof(err) / sizeof(err[0]); i++) {
		seen.fail_at = 1 + i % 2;
		seen.err = err[i / 2];
		put(p, 0, 9 * MIB + 5, STORE_DATA, 0);
		assert_int_equal(seen.buffered, 9 * MIB + 5);
		assert_whole(p, 0, 9 * MIB + 5);
		put(p, 0, 9 * MIB, STORE_DATA, 0);
		assert_int_equal(seen.calls, 0);
		store_close(p->store);
		assert_int_equal(store_open(p->dir, NULL, 1, &p->store), 0);
	}
}

/* A write that falls short goes on where it ended. */
static void
test_short(void **state)
{
	struct place *p = *state;

	if (!p->takes_direct)
		skip();
	seen.fail_at = 1;
	seen.err = 0;
	put(p, 0, 9 * MIB + 1, STORE_DATA, 0);
	assert_whole(p, 0, 9 * MIB + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
