/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restore when things go wrong: symlinks put in the target, names that no
 * file can have, paths deeper than PATH_MAX, immutable files, no root.
 */
#include "restore_test.h"

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * A file system with shorter names than ours: what restore calls with the name
 * of a file are these, in place of the C library's.
 */
static size_t name_max = TREE_NAME_MAX;

static int
name_fits(const char *name)
{
	if (strlen(name) <= name_max)
		return 1;
	errno = ENAMETOOLONG;
	return 0;
}

int
fstatat(int dirfd, const char *name, struct stat *st, int flags)
{
	return name_fits(name) ? (int)syscall(SYS_newfstatat, dirfd, name, st,
	    flags) : -1;
}

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
	return name_fits(name) ? (int)syscall(SYS_mkdirat, dirfd, name, mode) :
	    -1;
}

int
renameat(int from, const char *old, int to, const char *name)
{
	return name_fits(name) ? (int)syscall(SYS_renameat2, from, old, to,
	    name, 0) : -1;
}

/* top/d/f, top/f */
static void
nested(uint8_t id[BLOCK_ID_SIZE])
{
	struct dirb d;
	uint8_t sub[BLOCK_ID_SIZE];

	d = dir_begin();
	add_text(&d, "f", "inner");
	dir_end(&d, sub);
	d = dir_begin();
	add_dir(&d, "d", sub);
	add_text(&d, "f", "outer");
	dir_end(&d, id);
}

static void
test_symlinks(void **state)
{
	struct restore_conf conf = { .delete = 1 };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];
	char outside[5000], file[5100];

	(void)state;
	nested(id);
	snprintf(outside, sizeof(outside), "%s/outside", root);
	snprintf(file, sizeof(file), "%s/f", outside);
	mkdir(outside, 0700);
	put_file(file, "precious");
	mkdir(target, 0700);
	assert_int_equal(symlink(outside, at("d")), 0);
	assert_int_equal(symlink(file, at("f")), 0);
	assert_int_equal(symlink(outside, at("extra")), 0);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_text(file, "precious");
	assert_int_equal(stat_of(outside).st_mode, S_IFDIR | 0700);
	assert_true(S_ISDIR(stat_of(at("d")).st_mode));
	assert_text(at("d/f"), "inner");
	assert_text(at("f"), "outer");
	assert_false(exists(at("extra")));
}

/* Names that the target cannot have: they are left out, the rest is there. */
static void
test_long_names(void **state)
{
	struct restore_conf conf = { .delete = 1 };
	struct restore_result res;
	char name[TREE_NAME_MAX + 1], just[101];
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];

	(void)state;
	memset(name, 'n', TREE_NAME_MAX);
	name[TREE_NAME_MAX] = '\0';
	memset(just, 'j', 100);
	just[100] = '\0';
	d = dir_begin();
	add_text(&d, "below", "1");
	dir_end(&d, sub);
	d = dir_begin();
	add_text(&d, "a", "2");
	name[0] = 'd';
	add_dir(&d, name, sub);
	name[0] = 'f';
	add_text(&d, name, "3");
	add_dir(&d, just, sub);
	add_text(&d, "z", "4");
	dir_end(&d, id);
	name_max = 100;
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 2);
	assert_int_equal(res.files, 3);
	assert_text(at("a"), "2");
	assert_text(at("z"), "4");
	assert_text(at("%s/below", just), "1");
	/* Also when there is something to delete, and when it runs again. */
	put_file(at("extra"), "x");
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 2);
	assert_int_equal(res.unchanged, 3);
	assert_false(exists(at("extra")));
	/* No temporary is left of what had no name. */
	name_max = TREE_NAME_MAX;
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_int_equal(res.files, 2);
	name[0] = 'd';
	assert_text(at("%s/below", name), "1");
}

/* A name of 256 bytes, which no Linux has but a foreign writer may store, makes
 * its page one that does not decode: it is refused, the rest is restored. */
static void
test_name_of_256(void **state)
{
	struct restore_result res;
	struct entry e = make_entry("short", S_IFIFO | 0600);
	struct buf page = BUF_INIT(4096), entry = BUF_INIT(4096);
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];
	char name[256];

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(entry_encode(&e, &entry), 0);
	assert_int_equal(page_header_encode(0, 1, &page), 0);
	buf_add_str(&page, name, sizeof(name));
	buf_add(&page, entry.data + 6, entry.len - 6);	/* behind its name */
	assert_int_equal(page_check(page.data, page.len), -FIRN_ECORRUPT);
	assert_int_equal(store_put(NULL, BLOCK_TREE, page.data, page.len, sub),
	    0);
	d = dir_begin();
	add_text(&d, "a", "1");
	add_dir(&d, "foreign", sub);
	add_text(&d, "z", "2");
	dir_end(&d, id);
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 1);
	assert_int_equal(res.files, 2);
	assert_text(at("a"), "1");
	assert_text(at("z"), "2");
	assert_true(S_ISDIR(stat_of(at("foreign")).st_mode));
	buf_release(&page);
	buf_release(&entry);
}

/* Temporaries of a run that was killed, and of one that goes on. */
static void
test_leftovers(void **state)
{
	uint8_t id[BLOCK_ID_SIZE];
	int fd;

	(void)state;
	nested(id);
	run(id, "", NULL, 0);
	put_file(at("d/.firn-0123abcd"), "left");
	put_file(at("d/.firn-0123abcde"), "not ours");
	put_file(at(".firn-01234567"), "in use");
	fd = open(at(".firn-01234567"), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	run(id, "", NULL, 0);
	assert_false(exists(at("d/.firn-0123abcd")));
	assert_true(exists(at("d/.firn-0123abcde")));
	assert_true(exists(at(".firn-01234567")));
	close(fd);
	run(id, "", NULL, 0);
	assert_false(exists(at(".firn-01234567")));
}

/* Overwrite bytes of stored blocks, as somebody with the key could. */
static void
patch_blocks(const char *from, const char *to)
{
	size_t i, k, len = strlen(from);

	for (i = 0; i < store.n; i++)
		for (k = 0; k + len <= store.v[i].len; k++)
			if (memcmp(store.v[i].data + k, from, len) == 0)
				memcpy(store.v[i].data + k, to, len);
}

static void
test_names(void **state)
{
	struct restore_result res;
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];

	(void)state;
	d = dir_begin();
	add_text(&d, "QQQQQQQ", "evil");
	dir_end(&d, sub);
	d = dir_begin();
	add_dir(&d, "d", sub);
	add_text(&d, "f", "good");
	dir_end(&d, id);
	patch_blocks("QQQQQQQ", "../evil");
	res = run(id, "", NULL, 0);
	assert_true(res.failed >= 1);
	assert_text(at("f"), "good");
	assert_false(exists(at("evil")));
}

/* One directory in another; a file in every 100th and a link at the end. */
static void
deep_tree(int depth, uint8_t id[BLOCK_ID_SIZE])
{
	struct dirb d;
	struct entry e;
	int i;

	for (i = depth; i >= 0; i--) {
		d = dir_begin();
		if (i < depth)
			add_dir(&d, "a directory", id);
		e = make_entry("link", S_IFREG | 0600);
		e.flags |= ENTRY_LINKS;
		e.nlink = 3;
		e.ino = 5;
		if (i == 0 || i >= depth - 1)
			add_inline_entry(&d, e, "linked");
		if (i % 100 == 0)
			add_text(&d, "z", "deep");
		dir_end(&d, id);
	}
}

static int
descend(int fd, int steps)
{
	int next;

	for (; steps > 0; steps--) {
		next = openat(fd, "a directory", O_RDONLY | O_NOFOLLOW);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	return fd;
}

static void
check_deep(int depth)
{
	struct stat st, first;
	int fd = open(target, O_RDONLY), i;

	for (i = 0; i <= depth; i++) {
		assert_int_equal(fstat(fd, &st), 0);
		if (i > 0)
			assert_int_equal(st.st_mtim.tv_nsec, 123456789);
		assert_int_equal(fstatat(fd, "z", &st, 0) == 0, i % 100 == 0);
		if (i < depth)
			fd = descend(fd, 1);
	}
	assert_int_equal(fstatat(fd, "link", &st, 0), 0);
	first = stat_of(at("link"));
	assert_int_equal(st.st_ino, first.st_ino);
	assert_int_equal(st.st_nlink, 3);
	close(fd);
}

static void
remove_deep(void)
{
	struct restore_conf conf = { .delete = 1 };
	struct restore_result res;
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE];

	d = dir_begin();
	dir_end(&d, id);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_false(exists(at("a directory")));
}

static void
test_deep(void **state)
{
	struct restore_conf dry = { .dry_run = 1 };
	struct restore_result res;
	struct rlimit old, low;
	uint8_t id[BLOCK_ID_SIZE];
	int round;

	(void)state;
	deep_tree(2000, id);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 80;
	for (round = 0; round < 2; round++) {
		if (round == 1)
			setrlimit(RLIMIT_NOFILE, &low);
		res = run(id, "", NULL, 0);
		assert_int_equal(res.failed, 0);
		assert_int_equal(res.files, 24);
		assert_int_equal(res.dirs, 2000);
		check_deep(2000);
		res = run(id, "", &dry, 0);
		assert_int_equal(res.unchanged, 24);
		res = run(id, "", NULL, 0);
		assert_int_equal(res.unchanged, 24);
		remove_deep();
	}
	setrlimit(RLIMIT_NOFILE, &old);
}

/* Immutable files with many names, and over again. */
static void
test_immutable(void **state)
{
	struct restore_conf conf = { .overwrite = RESTORE_ALWAYS };
	struct restore_result res;
	struct dirb d;
	struct entry e;
	uint8_t id[BLOCK_ID_SIZE];
	char name[20];
	int i, fd, v = FS_NODUMP_FL;

	(void)state;
	mkdir(target, 0700);
	fd = open(target, O_RDONLY);
	i = ioctl(fd, FS_IOC_SETFLAGS, &v);
	close(fd);
	if (geteuid() != 0 || i != 0)
		skip();
	d = dir_begin();
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "l%02d", i);
		e = make_entry(name, S_IFREG | 0600);
		e.flags |= ENTRY_LINKS | ENTRY_ATTRS;
		e.attrs = FS_IMMUTABLE_FL;
		e.nlink = 20;
		add_inline_entry(&d, e, "hard");
	}
	dir_end(&d, id);
	for (i = 0; i < 3; i++) {
		res = run(id, "", i == 1 ? &conf : NULL, 0);
		assert_int_equal(res.failed, 0);
		assert_int_equal(i == 2 ? res.unchanged : res.files, 20);
		assert_int_equal(stat_of(at("l00")).st_nlink, 20);
		fd = open(at("l19"), O_RDONLY);
		assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &v), 0);
		assert_true(v & FS_IMMUTABLE_FL);
		v &= ~FS_IMMUTABLE_FL;
		if (i == 2)
			assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &v), 0);
		close(fd);
	}
}

/* In a child that is not root.  Exit status 0 when all is well. */
static int
as_nobody(const uint8_t *id)
{
	static const struct restore_conf conf;
	struct restore_result res;
	struct stat st;
	int i;

	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 1;
	for (i = 0; i < 2; i++) {
		/* The second time, what the first made is read-only. */
		if (i == 1 && (chmod(at("d"), 0700) != 0 ||
		    unlink(at("d/f")) != 0 || chmod(at("d"), 0) != 0))
			return 2;
		if (restore_run(tree, id, "", target, &conf, &res) != 0)
			return 3;
		if (res.failed != 0 || res.skipped_owners == 0)
			return 4;
		if (stat(at("d"), &st) != 0 ||
		    (st.st_mode & 07777) != 0555)
			return 5;
		if (lstat(at("d/f"), &st) != 0)
			return 6;
	}
	return 0;
}

static void
test_without_root(void **state)
{
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	d = dir_begin();
	add_text(&d, "f", "text");
	dir_end(&d, sub);
	d = dir_begin();
	add_dir_entry(&d, make_entry("d", S_IFDIR | 0555), sub);
	dir_end(&d, id);
	chmod(root, 0777);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(as_nobody(id));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_symlinks),
		TEST(test_leftovers),
		TEST(test_names),
		TEST(test_long_names),
		TEST(test_name_of_256),
		TEST(test_deep),
		TEST(test_immutable),
		TEST(test_without_root),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
