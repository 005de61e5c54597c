/* SPDX-License-Identifier: Apache-2.0 */
/* Restore that does not get all: damage, a stop, a full disk. */
#include "restore_test.h"

#include <sys/mount.h>

static void
damage(const uint8_t *id)
{
	store_find(id)->damaged = 1;
}

static void
test_damaged_file(void **state)
{
	struct restore_result res;
	struct dirb d;
	struct entry e;
	uint8_t id[BLOCK_ID_SIZE], ids[3][BLOCK_ID_SIZE];
	int i;

	(void)state;
	d = dir_begin();
	add_blocks(&d, "a", "abc", 300000, ids);
	add_blocks(&d, "b", "xyz", 300000, NULL);
	for (i = 0; i < 3; i++) {
		e = make_entry(i == 0 ? "l0" : i == 1 ? "l1" : "l2",
		    S_IFREG | 0600);
		e.flags |= ENTRY_LINKS;
		e.nlink = 3;
		add_blocks_entry(&d, e, "qbq", 300000, NULL);
	}
	add_text(&d, "z", "last");
	dir_end(&d, id);
	damage(ids[1]);
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 4);
	assert_int_equal(res.files, 2);
	assert_false(exists(at("a")));
	assert_false(exists(at("l0")));
	assert_text(at("z"), "last");
	assert_int_equal(stat_of(at("b")).st_size, 900000);
	assert_int_equal(count_temps(), 0);
	/* An older version stays when the newer cannot be had. */
	put_file(at("a"), "older");
	res = run(id, "", NULL, 0);
	assert_int_equal(res.failed, 4);
	assert_text(at("a"), "older");
}

/* A page of a large directory is gone: the others are restored, and nothing
 * is removed that it may have held. */
static void
test_damaged_page(void **state)
{
	struct restore_conf conf = { .delete = 1 };
	struct restore_result res;
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE];
	char name[20];
	size_t i, lost = 0, n = 6000;

	(void)state;
	d = dir_begin();
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file %05zu", i);
		add_text(&d, name, "x");
	}
	dir_end(&d, id);
	for (i = 0; i < store.n; i++)
		if (memmem(store.v[i].data, store.v[i].len, "file 03000",
		    10) != NULL && store.v[i].data[1] == 0)
			store.v[i].damaged = 1;
	mkdir(target, 0700);
	put_file(at("file 03000"), "what was there");
	res = run(id, "", &conf, 0);
	assert_true(res.failed >= 1);
	for (i = 0; i < n; i++)
		lost += !exists(at("file %05zu", i));
	assert_true(lost > 50 && lost < 3300);
	assert_true(exists(at("file 00000")));
	assert_true(exists(at("file 05999")));
	assert_text(at("file 03000"), "what was there");
	assert_int_equal(res.files + lost + 1, n);
}

static volatile int stop;
static int stop_after;

static void
stopper(void *ctx, const char *path, const struct entry *e, const char *what)
{
	(void)ctx;
	(void)path;
	(void)e;
	(void)what;
	if (__atomic_sub_fetch(&stop_after, 1, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

static void
test_stop(void **state)
{
	struct restore_conf conf = { .stop = &stop, .file = stopper };
	struct restore_result res;
	struct dirb d, top;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];
	char name[20];
	uint64_t files = 0;
	int i, k;

	(void)state;
	top = dir_begin();
	for (i = 0; i < 20; i++) {
		d = dir_begin();
		for (k = 0; k < 20; k++) {
			snprintf(name, sizeof(name), "f%02d", k);
			add_blocks(&d, name, "abc", 50000, NULL);
		}
		dir_end(&d, sub);
		snprintf(name, sizeof(name), "d%02d", i);
		add_dir(&top, name, sub);
	}
	dir_end(&top, id);
	for (i = 1; i < 200; i *= 3) {
		stop = 0;
		stop_after = i + (int)files;
		res = run(id, "", &conf, -ECANCELED);
		assert_int_equal(res.failed, 0);
		assert_int_equal(count_temps(), 0);
		files += res.files;
	}
	stop = 0;
	stop_after = 0;
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_int_equal(res.files + files, 400);
	for (i = 0; i < 20; i++)
		assert_meta(at("d%02d", i), S_IFDIR | 0750);
}

static void
test_no_room(void **state)
{
	struct restore_conf conf = { .threads = 3 };
	struct restore_result res;
	struct dirb d;
	uint8_t id[BLOCK_ID_SIZE];
	char name[20];
	int i;

	(void)state;
	if (geteuid() != 0)
		skip();
	d = dir_begin();
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%02d", i);
		add_blocks(&d, name, "abc", 50000, NULL);
	}
	dir_end(&d, id);
	mkdir(target, 0700);
	if (mount("none", target, "tmpfs", 0, "size=4m") != 0)
		skip();
	res = run(id, "", &conf, -ENOSPC);
	assert_true(res.files > 10 && res.files < 30);
	assert_int_equal(count_temps(), 0);
	/* With room, it goes on. */
	assert_int_equal(mount("none", target, "tmpfs", MS_REMOUNT,
	    "size=40m"), 0);
	i = (int)res.files;
	res = run(id, "", &conf, 0);
	assert_int_equal(res.unchanged, i);
	assert_int_equal(res.files, 100 - i);
	assert_int_equal(umount(target), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_damaged_file),
		TEST(test_damaged_page),
		TEST(test_stop),
		TEST(test_no_room),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
