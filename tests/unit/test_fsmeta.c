/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata there and back: what is read from one file and given to another
 * must read the same there.  On the file system of TMPDIR and on a tmpfs;
 * as root, since most of it needs root, else those parts are skipped.
 */
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

/* u::rw- u:1234:r-- g::r-- m::rw- o::--- and the like, as the kernel's ABI
 * has them (include/uapi/linux/posix_acl_xattr.h). */
static const uint8_t acl[] = {
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	2, 0, 4, 0, 0xd2, 0x04, 0, 0,
	4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
	0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
	0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff
};
/* cap_net_raw=ep, revision 2 */
static const uint8_t caps[] = {
	1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
};

static int
rm(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static int
setup_in(const char *dir)
{
	snprintf(root, sizeof(root), "%s/test_fsmeta.XXXXXX", dir);
	if (mkdtemp(root) == NULL)
		return -1;
	rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? -1 : 0;
}

static int
setup_disk(void **state)
{
	const char *dir = getenv("TMPDIR");

	(void)state;
	return setup_in(dir != NULL ? dir : "/tmp");
}

static int
setup_shm(void **state)
{
	(void)state;
	return setup_in("/dev/shm");
}

static int
teardown(void **state)
{
	(void)state;
	close(rootfd);
	return nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
}

static void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void
make(const char *name, mode_t mode)
{
	struct entry e = { .mode = mode, .target = "a target\xff",
	    .targetlen = 9, .rdev_major = 259, .rdev_minor = 70000 };

	assert_int_equal(fsmeta_make(rootfd, name, &e), 0);
	assert_int_equal(fsmeta_make(rootfd, name, &e), -EEXIST);
}

static void
set(const char *name, const char *attr, const void *value, size_t len)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (lsetxattr(path, attr, value, len, 0) != 0)
		fail_msg("cannot set %s: %s", attr, strerror(errno));
}

static ssize_t
get(const char *name, const char *attr, void *value, size_t len)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return lgetxattr(path, attr, value, len);
}

static void
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

static void
load(const char *name, struct fsmeta *m)
{
	load_at(rootfd, name, m);
}

static void
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
static void
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

static void
put_time(const char *name, int64_t sec, long nsec)
{
	struct timespec ts[2] = { { 0, UTIME_OMIT }, { sec, nsec } };

	assert_int_equal(utimensat(rootfd, name, ts, AT_SYMLINK_NOFOLLOW),
	    0);
}

static void
name_pair(size_t i, char from[16], char to[16])
{
	snprintf(from, 16, "from%zu", i);
	snprintf(to, 16, "to%zu", i);
}

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
test_xattrs(void **state)
{
	struct fsmeta m;
	struct rd r;
	struct xattr x;
	int i;
	char name[300], value[64];

	(void)state;
	need_root();
	make("f", S_IFREG);
	for (i = 40; i >= 0; i--) {
		snprintf(name, sizeof(name), "%s.%d.%.*s",
		    i % 2 ? "user" : "trusted", i, i,
		    "\xff\xfe=========================================");
		set("f", name, value, (size_t)snprintf(value, sizeof(value),
		    "value %d", i));
	}
	set("f", "user.empty", "", 0);
	set("f", "security.capability", caps, sizeof(caps));
	set("f", "system.posix_acl_access", acl, sizeof(acl));
	assert_int_equal(fchownat(rootfd, "f", 1000, 1000, 0), 0);
	assert_int_equal(fchmodat(rootfd, "f", 06755, 0), 0);
	/* chown has taken it away. */
	set("f", "security.capability", caps, sizeof(caps));
	load("f", &m);
	assert_int_equal(xattr_check(m.xattr.data, m.xattr.len), 0);
	r = rd_init(m.xattr.data, m.xattr.len);
	for (i = 0; rd_left(&r) > 0; i++)
		assert_int_equal(xattr_decode(&r, &x), 0);
	assert_true(i >= 44);
	fsmeta_release(&m);
	there_and_back("f", "to");
}

static void
test_acls(void **state)
{
	struct fsmeta m;
	uint8_t v[256];

	(void)state;
	need_root();
	make("d", S_IFDIR);
	set("d", "system.posix_acl_access", acl, sizeof(acl));
	set("d", "system.posix_acl_default", acl, sizeof(acl));
	there_and_back("d", "to");
	/* What a directory gives to those made in it is not theirs. */
	make("plain", S_IFREG);
	assert_int_equal(fchmodat(rootfd, "plain", 0664, 0), 0);
	load("plain", &m);
	assert_int_equal(fsmeta_make(rootfd, "d/child", &m.e), 0);
	assert_int_equal(get("d/child", "system.posix_acl_access", v,
	    sizeof(v)), sizeof(acl));
	set("d/child", "user.old", "x", 1);
	set("d/child", "trusted.old", "x", 1);
	assert_int_equal(fsmeta_apply(rootfd, "d/child", "d/child", &m.e,
	    &m.xattr, NULL), 0);
	assert_true(get("d/child", "system.posix_acl_access", v,
	    sizeof(v)) < 0);
	fsmeta_release(&m);
	load("d/child", &m);
	assert_int_equal(m.e.mode & 07777, 0664);
	assert_int_equal(m.xattr.len, 0);
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

/* A value of 64 KiB, and more names than the first buffer holds. */
static void
test_large_xattr(void **state)
{
	char path[8192], name[64], *value = malloc(65536);
	int i;

	(void)state;
	make("f", S_IFREG);
	memset(value, 'v', 65536);
	snprintf(path, sizeof(path), "%s/f", root);
	if (setxattr(path, "user.large", value, 65536, 0) != 0)
		print_message("no xattr of 64 KiB here: %s\n",
		    strerror(errno));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "user.one of many names %d", i);
		if (setxattr(path, name, "", 0, 0) != 0)
			break;
	}
	free(value);
	there_and_back("f", "to");
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

#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, setup_disk, teardown), \
	cmocka_unit_test_setup_teardown(f, setup_shm, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_types),
		TEST(test_stat),
		TEST(test_times),
		TEST(test_bad_times),
		TEST(test_xattrs),
		TEST(test_acls),
		TEST(test_symlink),
		TEST(test_bad_targets),
		TEST(test_large_xattr),
		TEST(test_deep),
		TEST(test_attrs),
		TEST(test_without_root),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
