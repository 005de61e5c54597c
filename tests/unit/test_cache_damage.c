/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier when bytes, files, the directory or the disk fail.
 */
#include "cache_test.h"

static void
flip(const char *name, uint64_t *rng, uint32_t times)
{
	int fd = open_in(name, O_RDWR | O_CREAT);
	struct stat st;
	uint8_t byte;
	off_t at;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	while (times-- > 0 && st.st_size > 0) {
		at = (off_t)(next(rng) % (uint64_t)st.st_size);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= (uint8_t)(1 << next(rng) % 8);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

static void
damage(uint64_t *rng)
{
	static const char *const names[] = { "slots", "cells" };
	const char *name = names[next(rng) % 2];
	uint64_t how = next(rng) % 8, junk[512];
	size_t i;
	int fd;

	if (how < 4) {
		flip(name, rng, 1u << next(rng) % 7);
		return;
	}
	if (how == 7) {
		fd = open(dir, O_RDONLY | O_DIRECTORY);
		unlinkat(fd, name, 0);	/* may be gone already */
		close(fd);
		return;
	}
	fd = open_in(name, O_RDWR | O_CREAT);
	assert_true(fd >= 0);
	for (i = 0; i < 512; i++)
		junk[i] = next(rng);
	if (how == 4)
		assert_int_equal(ftruncate(fd, (off_t)(next(rng) %
		    (name == names[0] ? 9000 : 64 * MIB))), 0);
	if (how == 5)
		assert_int_equal(pwrite(fd, junk, sizeof(junk),
		    (off_t)(next(rng) % 4096)), sizeof(junk));
	if (how == 6)
		assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
}

static void
test_damage(void **state)
{
	uint64_t rng = seed;
	struct cache *c = reopen(LIMIT, 1);
	uint32_t round, i;

	(void)state;
	log_init("test", LOG_LEVEL_ERR);
	for (round = 0; round < 80; round++) {
		for (i = 0; i < 30; i++)
			put(c, (uint32_t)(next(&rng) % 100), buf);
		if (round % 2 == 0) {
			damage(&rng);	/* while it is in use */
			count_hits(c, 0, 100);
			put(c, 150 + round, buf);
			assert_true(du(dir) <= LIMIT);
		}
		cache_close(c);
		damage(&rng);
		c = reopen(LIMIT, 1);
		count_hits(c, 0, 100);
		cache_table_check(&c->table);
	}
	cache_close(c);
	log_init("test", LOG_LEVEL_INFO);
}

/* A flipped bit costs that cell and no other. */
static void
test_bad_cell(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	struct cache_stats st;
	uint32_t n;
	int fd;

	(void)state;
	for (n = 0; n < 10; n++)
		put(c, n, buf);
	fd = open_in("cells", O_RDWR);
	assert_int_equal(pwrite(fd, "\0", 1, 5 * MIB + 77), 1);
	close(fd);
	assert_int_equal(count_hits(c, 0, 10), 9);
	cache_stats(c, &st);
	assert_int_equal(st.bad, 1);
	cache_close(c);
	c = reopen(LIMIT, 1);
	assert_int_equal(count_hits(c, 0, 10), 9);
	cache_close(c);
	/* Things that are no files of ours are put away. */
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	unlinkat(fd, "cells", 0);
	unlinkat(fd, "slots", 0);
	assert_int_equal(mkdirat(fd, "slots", 0700), 0);
	assert_int_equal(symlinkat("/dev/null", fd, "cells"), 0);
	close(fd);
	c = reopen(LIMIT, 1);
	put(c, 1, buf);
	assert_int_equal(count_hits(c, 0, 10), 1);
	cache_close(c);
}

static void
test_removed_directory(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	struct stat st;
	uint32_t n;

	(void)state;
	for (n = 0; n < 10; n++)
		put(c, n, buf);
	clear(dir);
	assert_int_equal(count_hits(c, 0, 10), 10);
	put(c, 11, buf);
	put(c, 12, buf);
	assert_int_equal(atomic_load(&warnings), 1);
	/* The room is given back, not held by the open file. */
	assert_int_equal(fstat(c->cellsfd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(count_hits(c, 0, 13), 0);
	cache_close(c);
	c = reopen(LIMIT, 1);
	put(c, 1, buf);
	assert_int_equal(get(c, 1, buf, want), 1);
	cache_close(c);
}

/* Descriptors that fail stand for a disk that does. */
static void
test_failing_disk(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n;
	int fd;

	(void)state;
	for (n = 0; n < 5; n++)
		put(c, n, buf);
	fd = open_in("cells", O_WRONLY);
	assert_int_equal(dup2(fd, c->cellsfd), c->cellsfd);
	close(fd);
	assert_int_equal(count_hits(c, 0, 5), 0);
	assert_int_equal(atomic_load(&warnings), 1);
	put(c, 7, buf);
	fd = open_in("cells", O_RDONLY);
	assert_int_equal(dup2(fd, c->cellsfd), c->cellsfd);
	close(fd);
	assert_int_equal(get(c, 7, buf, want), 1);
	put(c, 8, buf);
	put(c, 9, buf);
	assert_int_equal(has(c, 9), 0);
	assert_int_equal(get(c, 7, buf, want), 1);
	assert_int_equal(atomic_load(&warnings), 2);
	cache_close(c);
}

/* A disk of 40 MiB under a limit of 64. */
static void
test_full_disk(void **state)
{
	struct cache *c;
	uint32_t n;
	uint64_t before;

	(void)state;
	mkdir(dir, 0700);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=40m") != 0) {
		print_message("no tmpfs for us: full disk NOT tested\n");
		skip();
	}
	c = reopen(LIMIT, 1);
	for (n = 0; n < 200; n++)
		put(c, n, buf);
	assert_int_equal(atomic_load(&warnings), 1);
	before = du(dir);
	assert_true(before > 20 * MIB && before < 40 * MIB);
	assert_true(count_hits(c, 0, 200) > 15);
	cache_table_check(&c->table);
	/* Room again, and time to look. */
	assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT,
	    "size=100m"), 0);
	for (n = 0; n < 200; n++) {
		c->regrow_at = 0;
		put(c, 300 + n, buf);
		assert_true(du(dir) <= LIMIT);
	}
	assert_true(du(dir) > LIMIT - 3 * MIB);
	assert_true(count_hits(c, 300, 500) > 40);
	cache_close(c);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_damage, setup),
		cmocka_unit_test_setup(test_bad_cell, setup),
		cmocka_unit_test_setup(test_removed_directory, setup),
		cmocka_unit_test_setup(test_failing_disk, setup),
		cmocka_unit_test_setup(test_full_disk, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
