/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files: load, save, directories.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

/* A new directory as *state, removed with what the tests leave in it. */
static int
setup_dir(void **state)
{
	char *dir = strdup("/tmp/test_file.XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

static int
teardown_dir(void **state)
{
	char cmd[64];
	int err;

	snprintf(cmd, sizeof(cmd), "rm -r %s", (char *)*state);
	err = system(cmd);
	free(*state);
	return err;
}

static const char *
in_dir(void **state, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", (char *)*state, name);
	return path;
}

static void
test_file_save(void **state)
{
	struct buf b = BUF_INIT(100);
	struct stat st;
	int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(file_load(fd, "f", &b), -ENOENT);
	assert_int_equal(file_save(fd, "f", "one", 3, 0600), 0);
	assert_int_equal(file_save(AT_FDCWD, in_dir(state, "f"), "two!", 4,
	    0600), 0);
	assert_int_equal(file_load(fd, "f", &b), 0);
	assert_string_equal(buf_cstr(&b), "two!");
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Failures leave nothing beside it: the teardown's rmdir shows. */
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(file_save(fd, "d", "x", 1, 0600), -EISDIR);
	assert_int_equal(file_save(fd, "no/f", "x", 1, 0600), -ENOENT);
	assert_int_equal(unlinkat(fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
	buf_release(&b);
	close(fd);
}

static void
test_file_load(void **state)
{
	static char big[200000];
	struct buf b = BUF_INIT(sizeof(big));
	const char *path = in_dir(state, "big");

	memset(big, 'x', sizeof(big));
	assert_int_equal(file_save(AT_FDCWD, path, big, sizeof(big), 0644),
	    0);
	/* Fits exactly; then one byte too many. */
	assert_int_equal(file_load(AT_FDCWD, path, &b), 0);
	assert_int_equal(b.len, sizeof(big));
	assert_memory_equal(b.data, big, sizeof(big));
	buf_reset(&b);
	buf_add_u8(&b, 'k');
	assert_int_equal(file_load(AT_FDCWD, path, &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 1);
	buf_reset(&b);
	assert_int_equal(file_load(AT_FDCWD, *state, &b), -EISDIR);
	assert_int_equal(file_load(AT_FDCWD, "/proc/self/status", &b), 0);
	assert_true(b.len > 0);
	buf_release(&b);
}

static void
test_file_io(void **state)
{
	int fd = open(in_dir(state, "io"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char got[10];
	size_t n;

	assert_true(fd >= 0);
	assert_int_equal(file_write_full(fd, "abcdef", 6), 0);
	assert_int_equal(file_pwrite_full(fd, "XY", 2, 2), 0);
	assert_int_equal(file_pread_full(fd, got, 10, 1, &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(got, "bXYef", 5);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read_full(fd, got, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got, "abX", 3);
	close(fd);
	assert_int_equal(file_read_full(-1, got, 3, &n), -EBADF);
	assert_int_equal(file_write_full(-1, got, 3), -EBADF);
}

static void
test_mkdirs(void **state)
{
	struct stat st;

	assert_int_equal(file_mkdirs(in_dir(state, "a//b/c/"), 0700), 0);
	assert_int_equal(file_mkdirs(in_dir(state, "a/b/c"), 0700), 0);
	assert_int_equal(stat(in_dir(state, "a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(file_save(AT_FDCWD, in_dir(state, "a/f"), "", 0,
	    0600), 0);
	assert_int_equal(file_mkdirs(in_dir(state, "a/f"), 0700), -ENOTDIR);
	assert_int_equal(file_mkdirs(in_dir(state, "a/f/g"), 0700),
	    -ENOTDIR);
	assert_int_equal(file_mkdirs("/", 0700), 0);
	assert_int_equal(file_mkdirs("", 0700), -ENOENT);
	assert_int_equal(file_fsync_dir(AT_FDCWD, in_dir(state, "a")), 0);
	assert_int_equal(file_fsync_dir(AT_FDCWD, in_dir(state, "no")),
	    -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_save, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_file_load, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_file_io, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_mkdirs, setup_dir,
		    teardown_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
