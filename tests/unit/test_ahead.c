/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What looks ahead of the walker: which files come into the page cache, and
 * which must not.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup/ahead.h"
#include "scratch_test.h"

#define SIZE	(64u << 10)
#define MANY	(AHEAD_NAMES + 64)

struct fixture {
	struct scratch at;
	struct ahead_name name[MANY];
	char text[MANY][16];
};

/* Out of the page cache, where that works. */
static void
evict(struct fixture *f, const char *name)
{
	int fd = openat(f->at.fd, name, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static int
is_cached(struct fixture *f, const char *name)
{
	unsigned char page = 0;
	void *map;
	int fd = openat(f->at.fd, name, O_RDONLY);

	assert_true(fd >= 0);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, 1, &page), 0);
	munmap(map, SIZE);
	close(fd);
	return page & 1;
}

/* What was asked for comes when the device has it. */
static int
gets_cached(struct fixture *f, const char *name)
{
	const struct timespec pause = { 0, 10000000 };
	int tries = 3000;

	while (!is_cached(f, name) && --tries > 0)
		nanosleep(&pause, NULL);
	return tries > 0;
}

static void
file_make(struct fixture *f, const char *name)
{
	static char bytes[SIZE];

	scratch_file(&f->at, name, bytes, sizeof(bytes));
	evict(f, name);
}

static void
dir_make(struct fixture *f, const char *name)
{
	assert_int_equal(mkdirat(f->at.fd, name, 0700), 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	scratch_init(&f->at, "ahead");
	file_make(f, "probe");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	scratch_release(&f->at);
	free(f);
	return 0;
}

static void
need_eviction(struct fixture *f)
{
	if (is_cached(f, "probe")) {
		print_message("the page cache of '%s' cannot be emptied\n",
		    f->at.dir);
		skip();
	}
}

/* The walker begins with the names that are listed, each 'd' or 'f' and its
 * name. */
static struct ahead_dir *
enter(struct fixture *f, struct ahead *a, const char *const *list, size_t n,
    int contents)
{
	struct ahead_place p = { .fd = f->at.fd, .path = f->at.dir,
	    .dev = f->at.dev, .name = f->name, .n = n, .contents = contents };
	size_t i;

	for (i = 0; i < n; i++)
		f->name[i] = (struct ahead_name){ list[i] + 1, n - i,
		    list[i][0] == 'd' ? DT_DIR : DT_REG };
	return ahead_enter(a, &p);
}

static struct ahead *
ahead_of(struct fixture *f)
{
	struct ahead_conf c = { .exclude = f->at.exclude, .exclude_caches = 1 };
	struct ahead *a;

	need_eviction(f);
	assert_int_equal(ahead_new(&c, &a), 0);
	return a;
}

static void
test_files(void **state)
{
	static const char *const list[] = { "fa", "fb", "fc.no", "fd" };
	struct fixture *f = *state;
	struct ahead *a = ahead_of(f);
	struct ahead_dir *d;
	size_t i;

	for (i = 0; i < 4; i++)
		file_make(f, list[i] + 1);
	assert_int_equal(exclude_add(f->at.exclude, "*.no"), 0);
	d = enter(f, a, list, 4, 1);
	assert_non_null(d);
	ahead_settle(a);
	assert_false(is_cached(f, "a"));	/* the walker is there */
	assert_true(gets_cached(f, "b"));
	assert_false(is_cached(f, "c.no"));
	assert_true(gets_cached(f, "d"));
	ahead_leave(d);
	ahead_free(a);
}

/* Where nothing will be read, nothing is. */
static void
test_no_contents(void **state)
{
	static const char *const list[] = { "fa", "fb" };
	struct fixture *f = *state;
	struct ahead *a = ahead_of(f);
	struct ahead_dir *d;

	file_make(f, "a");
	file_make(f, "b");
	d = enter(f, a, list, 2, 0);
	assert_non_null(d);
	ahead_settle(a);
	assert_false(is_cached(f, "b"));
	ahead_leave(d);
	ahead_free(a);
}

/* No further than is good for the caches, and on with the walker. */
static void
test_distance(void **state)
{
	struct fixture *f = *state;
	const char *list[MANY];
	struct ahead *a = ahead_of(f);
	struct ahead_dir *d;
	size_t i;

	for (i = 0; i < MANY; i++) {
		snprintf(f->text[i], sizeof(f->text[i]), "f%04zu", i);
		list[i] = f->text[i];
		file_make(f, list[i] + 1);
	}
	d = enter(f, a, list, MANY, 1);
	assert_non_null(d);
	ahead_settle(a);
	assert_true(gets_cached(f, list[AHEAD_NAMES / 2] + 1));
	assert_false(is_cached(f, list[MANY - 1] + 1));
	for (i = 0; i < MANY - AHEAD_NAMES; i++)
		ahead_at(d, i);
	ahead_settle(a);
	assert_true(gets_cached(f, list[MANY - 1] + 1));
	ahead_leave(d);
	ahead_free(a);
}

static void
test_directories(void **state)
{
	static const char *const list[] = { "d0", "dcache", "dno", "dyes" };
	static const char *const file[] = { "0/x", "cache/x", "no/x", "yes/x",
	    "yes/y.no", "cache/CACHEDIR.TAG" };
	struct fixture *f = *state;
	struct ahead *a = ahead_of(f);
	struct ahead_dir *d;
	size_t i;

	for (i = 0; i < 4; i++)
		dir_make(f, list[i] + 1);
	for (i = 0; i < 6; i++)
		file_make(f, file[i]);
	assert_int_equal(exclude_add(f->at.exclude, "no/"), 0);
	assert_int_equal(exclude_add(f->at.exclude, "*.no"), 0);
	d = enter(f, a, list, 4, 1);
	assert_non_null(d);
	ahead_settle(a);
	assert_false(is_cached(f, "0/x"));	/* the walker is there */
	assert_false(is_cached(f, "cache/x"));
	assert_false(is_cached(f, "no/x"));
	assert_true(gets_cached(f, "yes/x"));
	assert_false(is_cached(f, "yes/y.no"));
	ahead_leave(d);
	ahead_free(a);
}

/* What was looked at from above is not asked for again. */
static void
test_once(void **state)
{
	static const char *const list[] = { "d0", "dsub" };
	static const struct ahead_name in[] = {
		{ "x", 1, DT_REG }, { "y", 2, DT_REG }
	};
	struct fixture *f = *state;
	struct ahead *a = ahead_of(f);
	struct ahead_place p = { .path = f->at.dir, .dev = f->at.dev,
	    .name = in, .n = 2, .contents = 1, .index = 1 };
	struct ahead_dir *d, *sub;

	dir_make(f, "0");
	dir_make(f, "sub");
	file_make(f, "sub/x");
	file_make(f, "sub/y");
	d = enter(f, a, list, 2, 1);
	assert_non_null(d);
	ahead_settle(a);
	assert_true(gets_cached(f, "sub/y"));
	evict(f, "sub/y");
	ahead_at(d, 1);
	p.up = d;
	p.fd = openat(f->at.fd, "sub", O_RDONLY | O_DIRECTORY);
	sub = ahead_enter(a, &p);
	close(p.fd);
	assert_non_null(sub);
	ahead_settle(a);
	assert_false(is_cached(f, "sub/y"));
	ahead_leave(sub);
	ahead_leave(d);
	ahead_free(a);
}

/* Another file system, and a directory that is to be left alone. */
static void
test_others(void **state)
{
	static const char *const list[] = { "d0", "dsub" };
	struct fixture *f = *state;
	struct ahead_conf c = { .nskips = 1 };
	struct ahead_dir *d;
	struct ahead *a;
	struct stat st;
	uint64_t dev, ino;
	int round;

	need_eviction(f);
	dir_make(f, "0");
	dir_make(f, "sub");
	file_make(f, "sub/x");
	assert_int_equal(fstatat(f->at.fd, "sub", &st, 0), 0);
	for (round = 0; round < 3; round++) {
		dev = f->at.dev;
		ino = st.st_ino + (round != 0);
		c.skip_dev = &dev;
		c.skip_ino = &ino;
		assert_int_equal(ahead_new(&c, &a), 0);
		f->at.dev += round == 1;
		d = enter(f, a, list, 2, 1);
		f->at.dev -= round == 1;
		assert_non_null(d);
		ahead_settle(a);
		if (round == 2)
			assert_true(gets_cached(f, "sub/x"));
		else
			assert_false(is_cached(f, "sub/x"));
		ahead_leave(d);
		ahead_free(a);
	}
}

/* It rests where nothing has to be waited for, but does not stop looking. */
static void
test_warm(void **state)
{
	static const char *const list[] = { "fa", "fb" };
	struct fixture *f = *state;
	struct ahead_conf c = { .exclude = NULL };
	unsigned entered = 0, rested = 0;
	struct ahead_dir *d;
	struct ahead *a;

	assert_int_equal(ahead_new(&c, &a), 0);
	file_make(f, "a");
	file_make(f, "b");
	/* Lock-step with the threads, whose own waits are not the disk's. */
	while ((rested == 0 || entered == 0) && rested + entered < 100000) {
		d = enter(f, a, list, 2, 0);
		if (d != NULL)
			ahead_settle(a);
		ahead_leave(d);
		if (d == NULL)
			rested++;
		else if (rested > 0)
			entered++;
	}
	assert_true(rested > 0 && entered > 0);
	ahead_free(a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_files),
		CASE(test_no_contents),
		CASE(test_distance),
		CASE(test_directories),
		CASE(test_once),
		CASE(test_others),
		CASE(test_warm),
	};

	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
