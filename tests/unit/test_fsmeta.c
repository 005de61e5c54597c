/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File metadata: what stat tells, times, symbolic links, depth, no root.
 */
#include "fsmeta_test.h"

static void
test_types(void **state)
{
	static const mode_t modes[] = { S_IFREG | 0640, S_IFDIR | 01777,
	    S_IFLNK | 0777, S_IFIFO | 0601, S_IFSOCK | 0777, S_IFBLK | 0660,
	    S_IFCHR | 0222 };
	char from[16], to[16];
	size_t i;

	(void)state;
	need_root();
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		name_pair(i, from, to);
		make(from, modes[i]);
		assert_int_equal(fchownat(rootfd, from, 4000000000u, 70000,
		    AT_SYMLINK_NOFOLLOW), 0);
		if (!S_ISLNK(modes[i]))
			assert_int_equal(fchmodat(rootfd, from,
			    modes[i] & 07777, 0), 0);
		put_time(from, 1700000000 + (int64_t)i, 123456789);
		there_and_back(from, to);
	}
}

static void
test_stat(void **state)
{
	struct fsmeta m, d;
	struct stat st;
	int fd;

	(void)state;
	fsmeta_init(&m);
	fsmeta_init(&d);
	assert_int_equal(fsmeta_stat(rootfd, "none", &m), -ENOENT);
	make("f", S_IFREG);
	fd = openat(rootfd, "f", O_RDWR);
	assert_int_equal(ftruncate(fd, 5000000000), 0);
	assert_int_equal(fsmeta_stat(rootfd, "f", &m), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(m.e.size, 5000000000);
	assert_true(m.e.flags & ENTRY_SIZE);
	assert_false(m.e.flags & ENTRY_LINKS);
	assert_int_equal(m.e.ino, st.st_ino);
	assert_int_equal(m.dev, st.st_dev);
	assert_int_equal(m.e.ctime.tv_nsec, st.st_ctim.tv_nsec);
	assert_int_equal(linkat(rootfd, "f", rootfd, "g", 0), 0);
	/* Of a descriptor itself. */
	assert_int_equal(fsmeta_stat(fd, "", &m), 0);
	assert_int_equal(m.e.ino, st.st_ino);
	assert_true(m.e.flags & ENTRY_LINKS);
	assert_int_equal(m.e.nlink, 2);
	assert_int_equal(fsmeta_stat(rootfd, ".", &d), 0);
	assert_true(S_ISDIR(d.e.mode));
	assert_false(d.e.flags & (ENTRY_SIZE | ENTRY_LINKS));
	close(fd);
	fsmeta_release(&m);
	fsmeta_release(&d);
	fsmeta_release(NULL);
}

static void
test_times(void **state)
{
	/* 1901, just before and after 1970, the last of 32 bits, 2106, and
	 * the last that ext4 can hold. */
	static const int64_t secs[] = { -2147483648, -86400, -1, 0, 1,
	    2147483647, 2147483648, 4294967296, 15032385535 };
	char from[16], to[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(secs) / sizeof(secs[0]); i++) {
		name_pair(i, from, to);
		make(from, i % 2 ? S_IFREG : S_IFLNK);
		put_time(from, secs[i], i % 2 ? 999999999 : 1);
		there_and_back(from, to);
	}
}

static void
test_bad_times(void **state)
{
	struct fsmeta m;
	struct stat st;

	(void)state;
	make("f", S_IFREG);
	put_time("f", 77, 0);
	load("f", &m);
	/* These numbers would be "now" and "leave". */
	m.e.mtime.tv_nsec = UTIME_NOW;
	assert_int_equal(fsmeta_apply(rootfd, "f", "f", &m.e, NULL, NULL),
	    -FIRN_ECORRUPT);
	/* A time that no file system holds is not passed over. */
	m.e.mtime.tv_nsec = 0;
	m.e.mtime.tv_sec = INT64_MAX;
	fsmeta_apply(rootfd, "f", "f", &m.e, NULL, NULL);
	assert_int_equal(fstatat(rootfd, "f", &st, 0), 0);
	if (st.st_mtim.tv_sec != INT64_MAX)
		assert_int_equal(fsmeta_apply(rootfd, "f", "f", &m.e, NULL,
		    NULL), -ERANGE);
	fsmeta_release(&m);
}

static void
test_symlink(void **state)
{
	struct fsmeta m;

	(void)state;
	need_root();
	make("victim", S_IFREG);
	assert_int_equal(symlinkat("victim", rootfd, "link"), 0);
	set("link", "trusted.on-the-link", "x", 1);
	assert_true(get("victim", "trusted.on-the-link", NULL, 0) < 0);
	put_time("link", -5, 5);
	assert_int_equal(fchownat(rootfd, "link", 5, 6,
	    AT_SYMLINK_NOFOLLOW), 0);
	there_and_back("link", "to");
	load("victim", &m);
	assert_int_equal(m.e.uid, 0);
	assert_int_equal(m.xattr.len, 0);
	/* A file replaced by a symlink gets nothing, nor does its target. */
	m.e.uid = 77;
	assert_int_equal(fsmeta_apply(rootfd, "link", "link", &m.e, NULL,
	    NULL), -ESTALE);
	fsmeta_release(&m);
	load("victim", &m);
	assert_int_equal(m.e.uid, 0);
	fsmeta_release(&m);
}

static void
test_bad_targets(void **state)
{
	struct entry e = { .mode = S_IFLNK };
	char *big = calloc(1, 5000);

	(void)state;
	assert_int_equal(fsmeta_make(rootfd, "l", &e), -FIRN_ECORRUPT);
	e.target = "a\0b";
	e.targetlen = 3;
	assert_int_equal(fsmeta_make(rootfd, "l", &e), -FIRN_ECORRUPT);
	memset(big, 'x', 4999);
	e.target = big;
	e.targetlen = 4096;
	assert_int_equal(fsmeta_make(rootfd, "l", &e), -FIRN_ECORRUPT);
	e.mode = 0;
	assert_int_equal(fsmeta_make(rootfd, "l", &e), -FIRN_ECORRUPT);
	/* The longest that there is. */
	e.mode = S_IFLNK;
	e.targetlen = 4095;
	assert_int_equal(fsmeta_make(rootfd, "l", &e), 0);
	there_and_back("l", "to");
	free(big);
}

/* Names of any bytes, in directories deeper than PATH_MAX. */
static void
test_deep(void **state)
{
	static const char odd[] = "\xff\n\x01 '\"*";
	char name[256];
	struct fsmeta a, b;
	int fds[20], i, fd, up;

	(void)state;
	memset(name, 'd', 255);
	name[255] = '\0';
	fd = dup(rootfd);
	for (i = 0; i < 20; i++) {
		fds[i] = fd;
		assert_int_equal(mkdirat(fd, name, 0700), 0);
		fd = openat(fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(fd >= 0);
	}
	fsmeta_init(&a);
	a.e.mode = S_IFREG;
	assert_int_equal(fsmeta_make(fd, odd, &a.e), 0);
	fsmeta_release(&a);
	up = openat(fd, odd, O_RDONLY);
	fsetxattr(up, "user.deep", "down", 4, 0);
	close(up);
	load_at(fd, odd, &a);
	assert_int_equal(fsmeta_make(fd, name, &a.e), 0);
	assert_int_equal(fsmeta_apply(fd, name, name, &a.e, &a.xattr, NULL),
	    0);
	load_at(fd, name, &b);
	same(&a, &b);
	fsmeta_release(&a);
	fsmeta_release(&b);
	/* Without fd, by way of the directory. */
	fsmeta_init(&a);
	assert_int_equal(fsmeta_stat(fd, odd, &a), 0);
	assert_int_equal(fsmeta_read(fd, odd, -1, odd, &a), 0);
	fsmeta_release(&a);
	unlinkat(fd, odd, 0);
	unlinkat(fd, name, 0);
	for (i = 19; i >= 0; i--) {
		close(fd);
		fd = fds[i];
		assert_int_equal(unlinkat(fd, name, AT_REMOVEDIR), 0);
	}
	close(fd);
}

static void
test_attrs(void **state)
{
	struct fsmeta m;
	int fd, v = FS_IMMUTABLE_FL | FS_NODUMP_FL, zero = 0;

	(void)state;
	need_root();
	make("f", S_IFREG);
	fd = openat(rootfd, "f", O_RDONLY);
	if (ioctl(fd, FS_IOC_SETFLAGS, &v) != 0) {
		close(fd);
		print_message("no inode flags here\n");
		return;
	}
	there_and_back("f", "to");
	load("to", &m);
	assert_int_equal(m.e.attrs, FS_IMMUTABLE_FL | FS_NODUMP_FL);
	/* What is immutable can be given new metadata nevertheless. */
	m.e.mtime.tv_sec = 4711;
	assert_int_equal(fsmeta_apply(rootfd, "to", "to", &m.e, &m.xattr,
	    NULL), 0);
	fsmeta_release(&m);
	load("to", &m);
	assert_int_equal(m.e.mtime.tv_sec, 4711);
	assert_true(m.e.attrs & FS_IMMUTABLE_FL);
	fsmeta_release(&m);
	assert_int_equal(fsmeta_unlock(rootfd, "to"), 1);
	assert_int_equal(fsmeta_unlock(rootfd, "to"), 0);
	assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &zero), 0);
	close(fd);
}

/* In a child without root: exit status 0 when all is as it should be. */
static int
without_root(void)
{
	struct entry e = { .mode = S_IFREG | 06444, .uid = 0, .gid = 0,
	    .mtime = { 5, 0 } };
	struct buf x = BUF_INIT(4096);
	struct xattr a = { "user.a", 6, (const uint8_t *)"b", 1 };
	struct stat st;
	unsigned skipped = 0;

	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 1;
	if (fsmeta_make(rootfd, "mine", &e) != 0 || xattr_encode(&a, &x) != 0)
		return 2;
	if (fsmeta_apply(rootfd, "mine", "mine", &e, &x, &skipped) != 0)
		return 4;
	/* Another's set-id bits are not lent to us. */
	if (skipped != 1 || fstatat(rootfd, "mine", &st, 0) != 0 ||
	    st.st_uid != 65534 || (st.st_mode & 07777) != 0444 ||
	    st.st_mtim.tv_sec != 5)
		return 6;
	/* An xattr of a file that is read-only by now. */
	buf_reset(&x);
	a.value = (const uint8_t *)"c";
	xattr_encode(&a, &x);
	if (fsmeta_apply(rootfd, "mine", "mine", &e, &x, &skipped) != 0)
		return 7;
	if (fstatat(rootfd, "mine", &st, 0) != 0 ||
	    (st.st_mode & 07777) != 0444)
		return 8;
	/* One that we may not set is an error, and the rest is done. */
	a.name = "trusted.a";
	a.namelen = 9;
	buf_reset(&x);
	xattr_encode(&a, &x);
	e.mtime.tv_sec = 6;
	if (fsmeta_apply(rootfd, "mine", "mine", &e, &x, &skipped) != -EPERM)
		return 9;
	if (fstatat(rootfd, "mine", &st, 0) != 0 || st.st_mtim.tv_sec != 6)
		return 10;
	buf_release(&x);
	return 0;
}

static void
test_without_root(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	assert_int_equal(fchmod(rootfd, 01777), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(without_root());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Two changes within a grain of the file system's clock leave one time. */
static void
test_settled(void **state)
{
	static const struct {
		struct timespec t, at;
		int settled;
	} c[] = {
		{ { 100, 500000000 }, { 100, 500000000 }, 0 },
		{ { 100, 500000000 }, { 100, 510000000 }, 0 },
		{ { 100, 500000000 }, { 100, 530000000 }, 1 },
		{ { 100, 999000000 }, { 101, 10000000 }, 0 },
		{ { 100, 999000000 }, { 101, 30000000 }, 1 },
		{ { 100, 500000000 }, { 99, 0 }, 0 },
		/* A clock of whole seconds, or of every other one. */
		{ { 100, 0 }, { 101, 900000000 }, 0 },
		{ { 100, 0 }, { 102, 1 }, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		assert_int_equal(fsmeta_settled(&c[i].t, &c[i].at),
		    c[i].settled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_types),
		TEST(test_stat),
		cmocka_unit_test(test_settled),
		TEST(test_times),
		TEST(test_bad_times),
		TEST(test_symlink),
		TEST(test_bad_targets),
		TEST(test_deep),
		TEST(test_attrs),
		TEST(test_without_root),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
