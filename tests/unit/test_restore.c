/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restore, as it should go: all types, running it again, delete, dry run, the
 * ways to overwrite.  test_restore_links.c has hard links,
 * test_restore_hostile.c and test_restore_damage.c what may go wrong.
 */
#include "restore_test.h"

#include <sys/xattr.h>
#include <time.h>

/* Directories of one thing, the shortest way. */
static void
small_tree(uint8_t id[BLOCK_ID_SIZE])
{
	struct dirb d;
	uint8_t sub[BLOCK_ID_SIZE];

	d = dir_begin();
	add_text(&d, "b", "text of b");
	dir_end(&d, sub);
	d = dir_begin();
	add_text(&d, "a", "text of a");
	add_dir(&d, "d", sub);
	dir_end(&d, id);
}

static void
add_special(struct dirb *d)
{
	struct entry e;
	struct buf x = BUF_INIT(1000);
	struct xattr a = { "user.one", 8, (const uint8_t *)"value", 5 };

	e = make_entry("fifo", S_IFIFO | 0604);
	add_entry(d, &e);
	e = make_entry("link", S_IFLNK | 0777);
	e.flags |= ENTRY_SYMLINK;
	e.target = "../anywhere";
	e.targetlen = 11;
	add_entry(d, &e);
	if (geteuid() == 0) {
		e = make_entry("null", S_IFCHR | 0666);
		e.flags |= ENTRY_RDEV;
		e.rdev_major = 1;
		e.rdev_minor = 3;
		add_entry(d, &e);
	}
	e = make_entry("socket", S_IFSOCK | 0700);
	add_entry(d, &e);
	e = make_entry("xattr", S_IFREG | 0400);
	assert_int_equal(xattr_encode(&a, &x), 0);
	e.flags |= ENTRY_XATTR;
	e.xattr = x.data;
	e.xattrlen = x.len;
	add_inline_entry(d, e, "");
	buf_release(&x);
}

static void
check_special(const char *dir)
{
	char buf[100];
	struct stat st;

	assert_meta(at("%s/fifo", dir), S_IFIFO | 0604);
	assert_meta(at("%s/link", dir), S_IFLNK | 0777);
	assert_int_equal(readlink(at("%s/link", dir), buf, 100), 11);
	assert_memory_equal(buf, "../anywhere", 11);
	if (geteuid() == 0) {
		assert_meta(at("%s/null", dir), S_IFCHR | 0666);
		st = stat_of(at("%s/null", dir));
		assert_int_equal(st.st_rdev, makedev(1, 3));
	}
	assert_meta(at("%s/socket", dir), S_IFSOCK | 0700);
	assert_meta(at("%s/xattr", dir), S_IFREG | 0400);
	assert_int_equal(getxattr(at("%s/xattr", dir), "user.one", buf, 100),
	    5);
}

static const char many[] = "abc  defgh i                  jklmnopqrs ";

static void
everything(uint8_t id[BLOCK_ID_SIZE])
{
	struct dirb d;
	uint8_t inner[BLOCK_ID_SIZE], empty[BLOCK_ID_SIZE];

	d = dir_begin();
	dir_end(&d, empty);
	d = dir_begin();
	add_dir_entry(&d, make_entry("empty", S_IFDIR | 0111), empty);
	add_special(&d);
	dir_end(&d, inner);
	d = dir_begin();
	add_blocks(&d, "blocks", "xyz", 700000, NULL);
	add_dir_entry(&d, make_entry("dir", S_IFDIR | 01577), inner);
	add_blocks(&d, "holes", " a  b ", 1 << 20, NULL);
	add_text(&d, "inline", "some text");
	add_blocks(&d, "many", many, 65536, NULL);
	add_blocks(&d, "only hole", "  ", 1 << 20, NULL);
	dir_end(&d, id);
}

static void
check_everything(void)
{
	struct stat st;
	int fd;

	check_blocks(at("blocks"), "xyz", 700000);
	check_blocks(at("holes"), " a  b ", 1 << 20);
	check_blocks(at("many"), many, 65536);
	assert_text(at("inline"), "some text");
	assert_meta(at("blocks"), S_IFREG | 0600);
	assert_meta(at("inline"), S_IFREG | 0644);
	assert_meta(at("dir"), S_IFDIR | 01577);
	assert_meta(at("dir/empty"), S_IFDIR | 0111);
	st = stat_of(at("holes"));
	assert_true(st.st_blocks <= (2 << 11) + 64);
	st = stat_of(at("only hole"));
	assert_int_equal(st.st_size, 2 << 20);
	assert_int_equal(st.st_blocks, 0);
	fd = open(at("holes"), O_RDONLY);
	assert_int_equal(lseek(fd, 0, SEEK_DATA), 1 << 20);
	assert_int_equal(lseek(fd, 1 << 20, SEEK_HOLE), 2 << 20);
	close(fd);
	check_special("dir");
	assert_int_equal(count_temps(), 0);
}

static void
test_everything(void **state)
{
	struct restore_conf conf = { .verify = 1 };
	struct restore_result res;
	struct stat before, after;
	uint8_t id[BLOCK_ID_SIZE];
	unsigned special = geteuid() == 0 ? 5 : 4;

	(void)state;
	everything(id);
	res = run(id, "", NULL, 0);
	check_everything();
	assert_int_equal(res.failed, 0);
	assert_int_equal(res.files, 5 + special);
	assert_int_equal(res.dirs, 2);
	assert_int_equal(res.bytes, 3 * 700000 + (8 << 20) + 9 +
	    strlen(many) * 65536);
	assert_int_equal(res.skipped_owners, 0);

	/* Again: nothing to do, and nothing done. */
	before = stat_of(at("blocks"));
	res = run(id, "", NULL, 0);
	assert_int_equal(res.files, 0);
	assert_int_equal(res.unchanged, 5 + special);
	after = stat_of(at("blocks"));
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	check_everything();

	/* Metadata is put right without touching contents. */
	chmod(at("blocks"), 0777);
	chmod(at("dir"), 0700);
	setxattr(at("inline"), "user.extra", "", 0, 0);
	res = run(id, "/", NULL, 0);
	assert_int_equal(res.files, 0);
	assert_true(getxattr(at("inline"), "user.extra", NULL, 0) < 0);
	assert_int_equal(stat_of(at("blocks")).st_ino, before.st_ino);
	check_everything();
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_int_equal(res.unchanged, 5 + special);
}

static void
test_verify(void **state)
{
	struct restore_conf conf = { .verify = 1 };
	struct timespec ts[2] = { { 1600000000, 123456789 },
	    { 1600000000, 123456789 } };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];
	int fd;

	(void)state;
	everything(id);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	check_everything();
	/* One byte in data, and one in a hole, with time and size kept. */
	fd = open(at("blocks"), O_WRONLY);
	assert_int_equal(pwrite(fd, "!", 1, 1000000), 1);
	assert_int_equal(futimens(fd, ts), 0);
	close(fd);
	fd = open(at("holes"), O_WRONLY);
	assert_int_equal(pwrite(fd, "!", 1, 3000000), 1);
	assert_int_equal(futimens(fd, ts), 0);
	close(fd);
	res = run(id, "", NULL, 0);
	assert_int_equal(res.files, 0);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 2);
	assert_int_equal(res.failed, 0);
	check_everything();
}

/* "" is not "/". */
static void
test_no_target(void **state)
{
	const struct restore_conf dry = { .dry_run = 1 };
	static const uint8_t id[BLOCK_ID_SIZE];
	struct restore_result res;

	(void)state;
	assert_int_equal(restore_run(tree, id, "", "", &dry, &res), -EINVAL);
}

static void
test_paths(void **state)
{
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	small_tree(id);
	res = run(id, "/d/", NULL, 0);
	assert_int_equal(res.files, 1);
	assert_text(at("b"), "text of b");
	assert_meta(target, S_IFDIR | 0750);
	res = run(id, "a", NULL, 0);
	assert_int_equal(res.files, 1);
	assert_text(at("a"), "text of a");
	res = run(id, "d/b", NULL, 0);
	assert_int_equal(res.unchanged, 1);
	run(id, "d/none", NULL, -ENOENT);
	run(id, "a/b", NULL, -ENOTDIR);
	run(id, "../a", NULL, -ENOENT);
}

static int deleted;

static void
count_deleted(void *ctx, const char *path, const struct entry *e,
    const char *what)
{
	(void)ctx;
	if (strcmp(what, "deleted") == 0) {
		deleted++;
		assert_null(e);
		assert_true(strncmp(path, "d/extra", 7) == 0 ||
		    strcmp(path, "extra") == 0);
	}
}

static void
make_extras(void)
{
	put_file(at("extra"), "x");
	mkdir(at("d/extra"), 0700);
	mkdir(at("d/extra/deeper"), 0700);
	put_file(at("d/extra/deeper/file"), "x");
	put_file(at("d/extra/file"), "x");
	assert_int_equal(symlink(root, at("d/extra/link")), 0);
	put_file(at("d/extra2"), "x");
}

static void
test_delete(void **state)
{
	struct restore_conf conf = { .delete = 1, .dry_run = 1,
	    .file = count_deleted };
	const char *sources[] = { "/d/" };
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	small_tree(id);
	run(id, "", NULL, 0);
	make_extras();
	run(id, "", NULL, 0);
	assert_true(exists(at("extra")));
	deleted = 0;
	run(id, "", &conf, 0);
	assert_int_equal(deleted, 3);
	assert_true(exists(at("d/extra/deeper/file")));
	conf.dry_run = 0;
	/* Above the source, the generation cannot know. */
	conf.sources = sources;
	conf.nsources = 1;
	deleted = 0;
	run(id, "", &conf, 0);
	assert_int_equal(deleted, 2);
	assert_true(exists(at("extra")));
	assert_false(exists(at("d/extra")));
	assert_false(exists(at("d/extra2")));
	conf.nsources = 0;
	run(id, "", &conf, 0);
	assert_false(exists(at("extra")));
	assert_text(at("d/b"), "text of b");
	assert_meta(at("d"), S_IFDIR | 0750);
}

static void
test_delete_partial(void **state)
{
	struct restore_conf conf = { .delete = 1 };
	struct entry e = make_entry("d", S_IFDIR | 0700);
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];

	(void)state;
	d = dir_begin();
	dir_end(&d, sub);
	d = dir_begin();
	e.flags |= ENTRY_PARTIAL;
	add_dir_entry(&d, e, sub);
	dir_end(&d, id);
	run(id, "", NULL, 0);
	put_file(at("d/not seen by the backup"), "x");
	run(id, "", &conf, 0);
	assert_true(exists(at("d/not seen by the backup")));
}

/* The attributes of the root, and whether they go onto the target. */
static void
test_root(void **state)
{
	const char *sources[] = { "/d", "/" };
	struct restore_conf conf = { .delete = 1, .sources = sources,
	    .nsources = 1 };
	struct entry top = make_entry("root", S_IFDIR | 0751);
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	small_tree(id);
	top.flags |= ENTRY_SUBTREE;
	memcpy(top.tree_id, id, sizeof(id));
	conf.root = &top;
	/* A target of our own gets them; one that was there does not. */
	assert_int_equal(run(id, "", &conf, 0).dirs, 2);
	assert_meta(target, S_IFDIR | 0751);
	assert_int_equal(chmod(target, 0700), 0);
	assert_int_equal(run(id, "", &conf, 0).dirs, 1);
	assert_int_equal(stat_of(target).st_mode, S_IFDIR | 0700);
	/* Unless it is what was backed up. */
	conf.nsources = 2;
	run(id, "", &conf, 0);
	assert_meta(target, S_IFDIR | 0751);
	/* One that was not read whole loses nothing. */
	top.flags |= ENTRY_PARTIAL;
	put_file(at("not seen by the backup"), "x");
	put_file(at("d/extra"), "x");
	conf.sources = sources + 1;
	conf.nsources = 1;
	run(id, "", &conf, 0);
	assert_true(exists(at("not seen by the backup")));
	assert_false(exists(at("d/extra")));
	top.flags &= ~(uint32_t)ENTRY_PARTIAL;
	run(id, "", &conf, 0);
	assert_false(exists(at("not seen by the backup")));
}

static void
test_dry_run(void **state)
{
	struct restore_conf conf = { .dry_run = 1 };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	small_tree(id);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 2);
	assert_int_equal(res.bytes, 18);
	assert_int_equal(res.dirs, 1);
	assert_false(exists(target));
	run(id, "", NULL, 0);
	unlink(at("d/b"));
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 1);
	assert_int_equal(res.unchanged, 1);
	assert_false(exists(at("d/b")));
}

static void
test_overwrite(void **state)
{
	struct restore_conf conf = { .overwrite = RESTORE_NEVER };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];
	struct stat st;

	(void)state;
	small_tree(id);
	mkdir(target, 0700);
	mkdir(at("d"), 0701);
	put_file(at("a"), "mine");
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 1);
	assert_int_equal(res.unchanged, 1);
	assert_text(at("a"), "mine");
	assert_text(at("d/b"), "text of b");
	assert_int_equal(stat_of(at("d")).st_mode, S_IFDIR | 0701);
	/* A file in the way of a directory stays, too. */
	unlink(at("d/b"));
	rmdir(at("d"));
	put_file(at("d"), "mine");
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 1);
	assert_text(at("d"), "mine");

	conf.overwrite = RESTORE_IF_CHANGED;
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 2);
	assert_text(at("a"), "text of a");
	st = stat_of(at("a"));
	conf.overwrite = RESTORE_ALWAYS;
	res = run(id, "", &conf, 0);
	assert_int_equal(res.files, 2);
	assert_int_not_equal(st.st_ino, stat_of(at("a")).st_ino);
}

/* A directory in the way of a file goes when it is empty, or with delete. */
static void
test_in_the_way(void **state)
{
	struct restore_conf conf = { .delete = 1 };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	small_tree(id);
	mkdir(target, 0700);
	mkdir(at("a"), 0700);
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 0);
	assert_text(at("a"), "text of a");
	unlink(at("a"));
	mkdir(at("a"), 0700);
	put_file(at("a/x"), "x");
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 1);
	assert_text(at("a/x"), "x");
	assert_int_equal(count_temps(), 0);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_text(at("a"), "text of a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_everything),
		TEST(test_verify),
		TEST(test_no_target),
		TEST(test_paths),
		TEST(test_delete),
		TEST(test_delete_partial),
		TEST(test_root),
		TEST(test_dry_run),
		TEST(test_overwrite),
		TEST(test_in_the_way),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
