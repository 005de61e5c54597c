/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of file metadata share: a directory on a disk and in memory,
 * files in it, and a round there and back: what is read from one file and given
 * to another must read the same there.  On the file system of TMPDIR and on a
 * tmpfs; as root, since most of it needs root, else those parts are skipped.
 */
#ifndef FIRN_TESTS_FSMETA_TEST_H
#define FIRN_TESTS_FSMETA_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/fsmeta.h"
#include "base/err.h"

static char root[4096];
static int rootfd;

static inline int
rm(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static inline int
setup_in(const char *dir)
{
	snprintf(root, sizeof(root), "%s/test_fsmeta.XXXXXX", dir);
	if (mkdtemp(root) == NULL)
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? -1 : 0;
}

static inline int
setup_disk(void **state)
{
	const char *dir = getenv("TMPDIR");

	(void)state;
	return setup_in(dir != NULL ? dir : "/tmp");
}

static inline int
setup_shm(void **state)
{
	(void)state;
	return setup_in("/dev/shm");
}

static inline int
teardown(void **state)
{
	(void)state;
	close(rootfd);
	return nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static inline void
make(const char *name, mode_t mode)
{
	struct entry e = { .mode = mode, .target = "a target\xff",
	    .targetlen = 9, .rdev_major = 259, .rdev_minor = 70000 };

	assert_int_equal(fsmeta_make(rootfd, name, &e), 0);
	assert_int_equal(fsmeta_make(rootfd, name, &e), -EEXIST);
}

static inline void
set(const char *name, const char *attr, const void *value, size_t len)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (lsetxattr(path, attr, value, len, 0) != 0)
		fail_msg("cannot set %s: %s", attr, strerror(errno));
}

static inline ssize_t
get(const char *name, const char *attr, void *value, size_t len)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return lgetxattr(path, attr, value, len);
}

static inline void
load_at(int dirfd, const char *name, struct fsmeta *m)
{
	int fd = -1;

	fsmeta_init(m);
	assert_int_equal(fsmeta_stat(dirfd, name, m), 0);
	if (S_ISREG(m->e.mode) || S_ISDIR(m->e.mode))
		fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsmeta_read(dirfd, name, fd, name, m), 0);
	if (fd >= 0)
		close(fd);
}

static inline void
load(const char *name, struct fsmeta *m)
{
	load_at(rootfd, name, m);
}

static inline void
same(const struct fsmeta *a, const struct fsmeta *b)
{
#define EQ(field) assert_int_equal(a->field, b->field)
	EQ(e.mode), EQ(e.uid), EQ(e.gid), EQ(e.flags), EQ(e.attrs);
	EQ(e.mtime.tv_sec), EQ(e.mtime.tv_nsec);
	EQ(e.rdev_major), EQ(e.rdev_minor);
	EQ(e.targetlen), EQ(xattr.len);
#undef EQ
	if (a->e.targetlen > 0)
		assert_memory_equal(a->e.target, b->e.target,
		    a->e.targetlen);
	if (a->xattr.len > 0)
		assert_memory_equal(a->xattr.data, b->xattr.data,
		    a->xattr.len);
}

/* from -> entry -> a new file -> entry */
static inline void
there_and_back(const char *from, const char *to)
{
	struct fsmeta a, b, c;
	unsigned skipped = 0;

	load(from, &a);
	assert_int_equal(fsmeta_make(rootfd, to, &a.e), 0);
	assert_int_equal(fsmeta_apply(rootfd, to, to, &a.e, &a.xattr,
	    &skipped), 0);
	assert_int_equal(skipped, 0);
	load(to, &b);
	same(&a, &b);
	/* Once more changes nothing, not even the ctime. */
	assert_int_equal(fsmeta_apply(rootfd, to, to, &a.e, &a.xattr, NULL),
	    0);
	load(to, &c);
	if (!(a.e.flags & ENTRY_ATTRS)) {
		assert_int_equal(b.e.ctime.tv_sec, c.e.ctime.tv_sec);
		assert_int_equal(b.e.ctime.tv_nsec, c.e.ctime.tv_nsec);
	}
	fsmeta_release(&a);
	fsmeta_release(&b);
	fsmeta_release(&c);
}

static inline void
put_time(const char *name, int64_t sec, long nsec)
{
	struct timespec ts[2] = { { 0, UTIME_OMIT }, { sec, nsec } };

	assert_int_equal(utimensat(rootfd, name, ts, AT_SYMLINK_NOFOLLOW),
	    0);
}

static inline void
name_pair(size_t i, char from[16], char to[16])
{
	snprintf(from, 16, "from%zu", i);
	snprintf(to, 16, "to%zu", i);
}

#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, setup_disk, teardown), \
	cmocka_unit_test_setup_teardown(f, setup_shm, teardown)

#endif
