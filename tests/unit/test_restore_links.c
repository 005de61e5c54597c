/* SPDX-License-Identifier: Apache-2.0 */
/* Restore of files that have several names. */
#include "restore_test.h"
#include "slow.h"

#include <time.h>

static void
add_link(struct dirb *d, const char *name, uint64_t ino, uint32_t nlink,
    const char *values)
{
	struct entry e = make_entry(name, S_IFREG | 0600);

	e.flags |= ENTRY_LINKS;
	e.ino = ino;
	e.nlink = nlink;
	e.fsno = 3;
	add_blocks_entry(d, e, values, 300000, NULL);
}

/* 110 names of ten files, and two of a symlink. */
static void
linked_tree(uint8_t id[BLOCK_ID_SIZE])
{
	struct dirb d;
	struct entry e;
	uint8_t sub[BLOCK_ID_SIZE];
	char name[20];
	int i;

	d = dir_begin();
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "l%03d", i);
		add_link(&d, name, (uint64_t)(i % 10), 11, "abc");
	}
	dir_end(&d, sub);
	d = dir_begin();
	add_dir(&d, "s", sub);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "t%03d", i);
		add_link(&d, name, (uint64_t)i, 11, "abc");
	}
	for (i = 0; i < 2; i++) {
		e = make_entry(i ? "u1" : "u0", S_IFLNK | 0777);
		e.flags |= ENTRY_SYMLINK | ENTRY_LINKS;
		e.target = "x";
		e.targetlen = 1;
		e.nlink = 2;
		e.ino = 77;
		add_entry(&d, &e);
	}
	dir_end(&d, id);
}

static struct restore_result
run_linked(const uint8_t *id)
{
	struct restore_result res = run(id, "", NULL, 0);
	struct stat st;
	int i;

	assert_int_equal(res.failed, 0);
	for (i = 0; i < 10; i++) {
		st = stat_of(at("t%03d", i));
		assert_int_equal(st.st_nlink, 11);
		assert_int_equal(st.st_ino, stat_of(at("s/l%03d", i)).st_ino);
	}
	assert_int_equal(stat_of(at("u1")).st_nlink, 2);
	check_blocks(at("s/l055"), "abc", 300000);
	assert_meta(at("s/l055"), S_IFREG | 0600);
	assert_int_equal(count_temps(), 0);
	return res;
}

static void
test_links(void **state)
{
	struct restore_conf dry = { .dry_run = 1 };
	struct restore_result res;
	uint8_t id[BLOCK_ID_SIZE];

	(void)state;
	linked_tree(id);
	res = run(id, "", &dry, 0);
	assert_int_equal(res.bytes, 10 * 900000);
	res = run_linked(id);
	assert_int_equal(res.files, 112);
	assert_int_equal(res.bytes, 10 * 900000);
	/* The first is missing, and one is another file. */
	unlink(at("s/l000"));
	unlink(at("s/l011"));
	put_file(at("s/l011"), "other");
	run_linked(id);
	/* One is a directory now, and one a name of another group. */
	unlink(at("t005"));
	mkdir(at("t005"), 0700);
	unlink(at("s/l003"));
	assert_int_equal(link(at("s/l004"), at("s/l003")), 0);
	res = run_linked(id);
	assert_true(res.files >= 2);
	res = run_linked(id);
	assert_int_equal(res.files, 0);
	assert_int_equal(res.unchanged, 112);
}

/* Links in many directories, by many threads at once. */
static void
test_links_random(void **state)
{
	struct restore_conf conf = { .threads = 8 };
	unsigned seed = (unsigned)time(NULL);
	struct restore_result res;
	struct dirb d, top;
	uint8_t id[BLOCK_ID_SIZE], sub[BLOCK_ID_SIZE];
	ino_t inos[100] = { 0 };
	enum { DIRS = ROUNDS(40) };
	uint8_t group[DIRS][50];
	char name[20];
	int i, k;
	struct stat st;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	top = dir_begin();
	for (i = 0; i < DIRS; i++) {
		d = dir_begin();
		for (k = 0; k < 50; k++) {
			group[i][k] = (uint8_t)(rand() % 100);
			snprintf(name, sizeof(name), "f%02d", k);
			add_link(&d, name, group[i][k], 20000, "a b");
		}
		dir_end(&d, sub);
		snprintf(name, sizeof(name), "d%02d", i);
		add_dir(&top, name, sub);
	}
	dir_end(&top, id);
	res = run(id, "", &conf, 0);
	assert_int_equal(res.failed, 0);
	assert_int_equal(res.files, DIRS * 50);
	for (i = 0; i < DIRS; i++) {
		assert_meta(at("d%02d", i), S_IFDIR | 0750);
		for (k = 0; k < 50; k++) {
			st = stat_of(at("d%02d/f%02d", i, k));
			if (inos[group[i][k]] == 0)
				inos[group[i][k]] = st.st_ino;
			assert_int_equal(st.st_ino, inos[group[i][k]]);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_links),
		TEST(test_links_random),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
