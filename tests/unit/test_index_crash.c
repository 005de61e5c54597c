/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block index killed, damaged, of another repository, on a full disk.
 */
#include "index_test.h"
#include "slow.h"

/* --- killed ------------------------------------------------------------- */

enum { KILL_SEGMENTS = 18, KILL_EACH = 50000, KILL_BIG = 400000 };

static int progress_fd;

static void
progress(void)
{
	(void)!write(progress_fd, "", 1);
}

static uint32_t
kill_size(uint32_t i)
{
	return i == 5 ? KILL_BIG : KILL_EACH;
}

static uint64_t
kill_first(uint32_t i)
{
	return (uint64_t)i * KILL_BIG;
}

static int
kill_add(struct index *ix, uint32_t i)
{
	struct index_load *ld;
	struct segment s;
	int err;

	make_segment(UNIFORM, i, kill_first(i), kill_size(i), &s);
	err = load(ix, &s, s.n, &ld, progress);
	if (err == 0)
		err = index_load_commit(ld);
	free_segment(&s);
	progress();
	return err;
}

static void
kill_child(const struct dir *d)
{
	struct index *ix;
	uint32_t i;

	if (index_open(d->path, repo, &ix) != 0)
		_exit(1);
	progress();
	for (i = 0; i < KILL_SEGMENTS; i++) {
		if (kill_add(ix, i) != 0)
			_exit(1);
	}
	index_close(ix);
	_exit(0);
}

/* Let it get so far, by what it tells, and then a little further. */
static void
kill_after(const struct dir *d, uint32_t steps, long nanoseconds)
{
	struct timespec t = { 0, nanoseconds };
	int fd[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd[0]);
		progress_fd = fd[1];
		kill_child(d);
	}
	close(fd[1]);
	while (steps-- > 0 && read(fd[0], &c, 1) == 1)
		;
	nanosleep(&t, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	close(fd[0]);
}

/* What is loaded is all there, and of the rest nothing. */
static uint32_t
kill_check(struct index *ix, uint32_t step)
{
	uint32_t i, in = 0;
	struct segment s;
	int known;

	for (i = 0; i < KILL_SEGMENTS; i++) {
		make_segment(UNIFORM, i, 0, 0, &s);
		known = index_has_segment(ix, PACK_DATA, s.name);
		free_segment(&s);
		assert_true(known >= 0);
		check_range(ix, UNIFORM, kill_first(i), kill_size(i), step,
		    known);
		in += (uint32_t)known;
	}
	assert_int_equal(stats(ix).segments, in);
	return in;
}

static void
test_kill(void **state)
{
	const char *kills = getenv("TEST_KILLS");
	unsigned i, n = kills != NULL ? (unsigned)atoi(kills) : ROUNDS(30);
	uint32_t s, in = 0;
	struct index *ix;

	/* Every child begins where the one before was killed. */
	for (i = 0; i < n; i++) {
		kill_after(*state, rnd(12) + 1, rnd(60000000));
		ix = reopen(NULL, *state);
		in = kill_check(ix, 211);
		if (in == KILL_SEGMENTS) {
			for (s = 0; s < KILL_SEGMENTS; s++)
				assert_int_equal(kill_add(ix, s), 0);
			assert_int_equal(kill_check(ix, 3), KILL_SEGMENTS);
			index_close(ix);
			remove_files(*state);
		} else {
			index_close(ix);
		}
	}
	ix = reopen(NULL, *state);
	progress_fd = open("/dev/null", O_WRONLY);
	for (s = 0; s < KILL_SEGMENTS; s++)
		assert_int_equal(kill_add(ix, s), 0);
	close(progress_fd);
	assert_int_equal(kill_check(ix, 1), KILL_SEGMENTS);
	assert_true(stats(ix).runs <= 9);
	index_close(ix);
}

/* --- damage ------------------------------------------------------------- */

static void
file_do(const struct dir *d, off_t cut, off_t at, size_t len, int byte)
{
	char path[128], junk[256];
	off_t size;
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", d->path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	size = lseek(fd, 0, SEEK_END);
	if (cut != 0)
		assert_int_equal(ftruncate(fd, cut > 0 ? cut : size + cut), 0);
	memset(junk, byte, sizeof(junk));
	for (; len > 0; len -= sizeof(junk), at += (off_t)sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at),
		    sizeof(junk));
	close(fd);
}

static void
test_damage(void **state)
{
	static const struct { off_t cut, at; size_t len; int byte; } how[] = {
		{ 100, 0, 0, 0 }, { 4096, 0, 0, 0 }, { 8192, 0, 0, 0 },
		{ 100000, 0, 0, 0 }, { -1000000, 0, 0, 0 },
		{ 0, 0, 8192, 0xff }, { 0, 0, 8192, 'x' }, { 0, 0, 8192, 0 },
		{ 1, 0, 0, 0 }
	};
	struct index *ix;
	unsigned i;

	for (i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		ix = reopen(NULL, *state);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 50000), 0);
		index_close(ix);
		file_do(*state, how[i].cut, how[i].at, how[i].len,
		    how[i].byte);
		ix = reopen(NULL, *state);
		assert_int_equal(stats(ix).entries, 0);
		assert_int_equal(look(ix, PACK_DATA, UNIFORM, 1), 0);
		index_close(ix);
	}
}

/* Rubbish in the middle: errors or wrong answers, but no crash. */
static void
test_rubbish(void **state)
{
	struct index *ix;
	unsigned i, odd = 0;
	uint64_t n;

	for (i = 0; i < 20; i++) {
		ix = reopen(NULL, *state);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 50000), 0);
		index_close(ix);
		/* The first pages that are put are those of slabs. */
		file_do(*state, 0, 12288 + 256 * (off_t)rnd(4000), 256,
		    (int)rnd(256));
		ix = reopen(NULL, *state);
		for (n = 0; n < 50000; n++)
			odd += look(ix, PACK_DATA, UNIFORM, n) != 1;
		index_close(ix);
		remove_files(*state);
	}
	assert_true(odd > 0);
}

static void
test_other_repo(void **state)
{
	static const uint8_t other[16] = "repository two";
	const struct dir *d = *state;
	struct index *ix = reopen(NULL, d);

	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 1000), 0);
	assert_int_equal(index_state_put(ix, "x", "y", 1), 0);
	index_close(ix);
	assert_int_equal(index_open(d->path, other, &ix), 0);
	assert_int_equal(stats(ix).entries, 0);
	assert_int_equal(look(ix, PACK_DATA, UNIFORM, 1), 0);
	index_close(ix);
	/* A file is in the way. */
	remove_files(d);
	assert_int_equal(close(open(d->path, O_CREAT | O_WRONLY, 0600)), 0);
	assert_true(index_open(d->path, repo, &ix) < 0);
	assert_int_equal(unlink(d->path), 0);
}

/* --- a full disk -------------------------------------------------------- */

static void
test_full(void **state)
{
	struct dir *d = *state;
	struct index *ix;
	uint32_t i, n = 0;
	int err = 0;

	if (mkdir(d->path, 0700) != 0 || mount("tmpfs", d->path, "tmpfs", 0,
	    "size=12m") != 0) {
		print_message("skipped: cannot mount a tmpfs here\n");
		skip();
	}
	ix = reopen(NULL, d);
	while (err == 0) {
		err = add(ix, PACK_DATA, UNIFORM, n, n * UINT64_C(40000),
		    40000);
		n += err == 0;
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(n > 2);
	/* All that was added is there, and nothing else. */
	for (i = 0; i < 2; i++) {
		check_range(ix, UNIFORM, 0, n * 40000, 3, 1);
		check_range(ix, UNIFORM, n * UINT64_C(40000), 40000, 3, 0);
		assert_int_equal(stats(ix).segments, n);
		ix = reopen(ix, d);
	}
	/* With room it goes on. */
	assert_int_equal(mount("tmpfs", d->path, "tmpfs", MS_REMOUNT,
	    "size=64m"), 0);
	for (i = 0; i < 6; i++, n++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, n,
		    n * UINT64_C(40000), 40000), 0);
	check_range(ix, UNIFORM, 0, n * 40000, 1, 1);
	index_close(ix);
	assert_int_equal(umount(d->path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_kill),
		T(test_damage),
		T(test_rubbish),
		T(test_other_repo),
		T(test_full),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
