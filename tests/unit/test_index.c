/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block index against a model: entry n has an id and a place that follow
 * from n, and a segment is a range of n; so the model is only which segments
 * are in.  TEST_SEED repeats a run, TEST_KILLS sets how often a child is
 * killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "index/index.h"

#define PACK_ENTRIES 50

static const uint8_t repo[16] = "repository one";
static uint64_t seed;

/* --- the model ---------------------------------------------------------- */

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint32_t
rnd(uint32_t below)
{
	return (uint32_t)(mix(++seed * 0x9e3779b97f4a7c15u) >> 32) % below;
}

/* How ids are made; two ways are not as the index expects. */
enum ids { UNIFORM, COUNTED, CROWDED };

static void
make_id(enum ids how, uint64_t n, uint8_t id[BLOCK_ID_SIZE])
{
	uint64_t v[4] = { mix(n + 77), mix(n ^ 0x5555555555555555u), n, 0 };
	unsigned i;

	if (how != UNIFORM) {
		/* Big-endian n at the end of the part that is kept; before
		 * it zeroes, or little that differs. */
		memset(v, 0, sizeof(v));
		for (i = 0; i < 8; i++)
			((uint8_t *)v)[15 - i] = (uint8_t)(n >> 8 * i);
		if (how == CROWDED)
			((uint8_t *)v)[3] = (uint8_t)(n >> 15);
	}
	memcpy(id, v, BLOCK_ID_SIZE);
}

static void
make_name(uint64_t n, uint8_t name[OBJECT_ID_SIZE])
{
	uint64_t v[4] = { mix(n), mix(n + 1), mix(n + 2), n };

	memcpy(name, v, OBJECT_ID_SIZE);
}

static void
make_place(uint64_t n, struct index_place *at)
{
	uint64_t r = mix(n * 3 + 1);

	memset(at, 0, sizeof(*at));
	make_name(n / PACK_ENTRIES, at->pack);
	at->pack_size = (uint32_t)(n / PACK_ENTRIES) + 1;
	at->frame_off = (uint32_t)(r & 0x3fffffff);
	at->frame_len = (uint32_t)(r >> 34);
	at->off = n % 7 == 0 ? UINT32_MAX : (uint32_t)(r >> 40);
	at->len = n % 11 == 0 ? 0 : (uint32_t)(r >> 33 & 0xfffff);
}

struct segment {
	struct segment_entry *e;
	struct segment_pack *packs;
	uint32_t n, npacks;
	uint8_t name[OBJECT_ID_SIZE];
};

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

static void
make_segment(enum ids how, uint64_t name, uint64_t first, uint32_t n,
    struct segment *s)
{
	uint64_t pack0 = first / PACK_ENTRIES, i;
	struct index_place at;
	uint8_t id[BLOCK_ID_SIZE];

	s->n = n;
	s->npacks = (uint32_t)((first + n) / PACK_ENTRIES - pack0) + 1;
	s->e = calloc(n + 1, sizeof(*s->e));
	s->packs = calloc(s->npacks, sizeof(*s->packs));
	assert_non_null(s->e);
	assert_non_null(s->packs);
	make_name(name ^ UINT64_C(0xabcdef00000000), s->name);
	for (i = 0; i < s->npacks; i++) {
		make_name(pack0 + i, s->packs[i].id);
		s->packs[i].size = (uint32_t)(pack0 + i) + 1;
	}
	for (i = 0; i < n; i++) {
		make_id(how, first + i, id);
		memcpy(s->e[i].id, id, BLOCK_ID_SHORT);
		make_place(first + i, &at);
		s->e[i].pack = (uint32_t)((first + i) / PACK_ENTRIES - pack0);
		s->e[i].frame_off = at.frame_off;
		s->e[i].frame_len = at.frame_len;
		s->e[i].off = at.off;
		s->e[i].len = at.len;
	}
	qsort(s->e, n, sizeof(*s->e), by_id);
}

static void
free_segment(struct segment *s)
{
	free(s->e);
	free(s->packs);
}

static int
add(struct index *ix, enum pack_kind kind, enum ids how, uint64_t name,
    uint64_t first, uint32_t n)
{
	struct segment s;
	int err;

	make_segment(how, name, first, n, &s);
	err = index_add_segment(ix, kind, s.name, s.e, s.n, s.packs,
	    s.npacks);
	free_segment(&s);
	return err;
}

/* 1 when entry n is there and right, 0 when it is not there. */
static int
look(struct index *ix, enum pack_kind kind, enum ids how, uint64_t n)
{
	struct index_place at = { .pack_size = 0 }, want;
	uint8_t id[BLOCK_ID_SIZE];
	int ret;

	make_id(how, n, id);
	ret = index_find(ix, kind, id, &at);
	if (ret != 1)
		return ret;
	make_place(n, &want);
	if (memcmp(&at, &want, sizeof(at)) != 0)
		return -EBADMSG;
	return index_has(ix, kind, id);
}

static void
check_range(struct index *ix, enum ids how, uint64_t first, uint32_t n,
    uint32_t step, int want)
{
	uint64_t i;

	for (i = first; i < first + n; i += step)
		assert_int_equal(look(ix, PACK_DATA, how, i), want);
}

/* --- a directory each --------------------------------------------------- */

struct dir {
	char top[64];
	char path[80];
};

static int
setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));
	const char *tmp = getenv("TMPDIR");

	if (d == NULL)
		return -1;
	snprintf(d->top, sizeof(d->top), "%.40s/firn-index-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(d->top) == NULL)
		return -1;
	snprintf(d->path, sizeof(d->path), "%s/ix", d->top);
	*state = d;
	return 0;
}

static void
remove_files(const struct dir *d)
{
	static const char *const name[] = { "data.mdb", "lock.mdb", "lock" };
	char path[128];
	unsigned i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->path, name[i]);
		(void)unlink(path);
	}
	(void)rmdir(d->path);
}

static int
teardown(void **state)
{
	struct dir *d = *state;

	(void)umount2(d->path, MNT_DETACH);	/* of a test that failed */
	remove_files(d);
	(void)rmdir(d->top);
	free(d);
	return 0;
}

static struct index *
reopen(struct index *ix, const struct dir *d)
{
	index_close(ix);
	assert_int_equal(index_open(d->path, repo, &ix), 0);
	return ix;
}

static struct index_stats
stats(struct index *ix)
{
	struct index_stats st;

	assert_int_equal(index_stats(ix, PACK_DATA, &st), 0);
	return st;
}

/* --- tests -------------------------------------------------------------- */

static void
test_empty(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint8_t name[OBJECT_ID_SIZE];

	make_name(1, name);
	assert_int_equal(look(ix, PACK_DATA, UNIFORM, 1), 0);
	assert_int_equal(index_has_pack(ix, PACK_DATA, name), 0);
	assert_int_equal(index_has_segment(ix, PACK_META, name), 0);
	/* A segment without entries counts as loaded. */
	assert_int_equal(index_add_segment(ix, PACK_META, name, NULL, 0, NULL,
	    0), 0);
	ix = reopen(ix, *state);
	assert_int_equal(index_has_segment(ix, PACK_META, name), 1);
	assert_int_equal(index_has_segment(ix, PACK_DATA, name), 0);
	assert_int_equal(stats(ix).entries, 0);
	index_close(ix);
}

/* Segments of all sizes that overlap, so many ids come more than once. */
static void
test_random(void **state)
{
	enum { SEGMENTS = 120, RANGE = 300000 };
	static uint8_t in[RANGE];
	struct index *ix = reopen(NULL, *state);
	uint32_t i, j, first, n, distinct = 0;

	memset(in, 0, sizeof(in));
	for (i = 0; i < SEGMENTS; i++) {
		n = 1 + rnd(rnd(4) == 0 ? 20000 : 300);
		first = rnd(RANGE - n);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, first, n), 0);
		memset(in + first, 1, n);
		/* Again: nothing happens. */
		if (rnd(8) == 0)
			assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, first,
			    n), 0);
		if (rnd(16) == 0)
			ix = reopen(ix, *state);
		for (j = 0; j < 500; j++) {
			n = rnd(RANGE);
			assert_int_equal(look(ix, PACK_DATA, UNIFORM, n),
			    in[n]);
		}
	}
	ix = reopen(ix, *state);
	for (i = 0; i < RANGE; i++) {
		assert_int_equal(look(ix, PACK_DATA, UNIFORM, i), in[i]);
		distinct += in[i];
	}
	assert_true(stats(ix).entries >= distinct);
	assert_int_equal(stats(ix).segments, SEGMENTS);
	assert_true(stats(ix).runs <= 15);
	index_close(ix);
}

/* Merges over several levels and in several steps; nothing is lost or kept
 * twice. */
static void
test_levels(void **state)
{
	enum { SEGMENTS = 21, EACH = 60000 };
	struct index *ix = reopen(NULL, *state);
	uint32_t i;

	for (i = 0; i < SEGMENTS; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i,
		    (uint64_t)i * EACH, EACH), 0);
	assert_int_equal(stats(ix).entries, SEGMENTS * EACH);
	assert_true(stats(ix).runs <= 7);
	/* Some room for what is free in the file is allowed. */
	assert_true(stats(ix).bytes < (uint64_t)SEGMENTS * EACH * 60);
	check_range(ix, UNIFORM, 0, SEGMENTS * EACH, 1, 1);
	check_range(ix, UNIFORM, SEGMENTS * EACH, 100000, 1, 0);
	/* The other half has none of it. */
	assert_int_equal(look(ix, PACK_META, UNIFORM, 5), 0);
	index_close(ix);
}

/* Four times the same entries are once after the merge. */
static void
test_doubles(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint32_t i;

	for (i = 0; i < 4; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, 0, 50000), 0);
	assert_int_equal(stats(ix).entries, 50000);
	assert_int_equal(stats(ix).runs, 1);
	check_range(ix, UNIFORM, 0, 50000, 1, 1);
	index_close(ix);
}

/* Ids as no hash makes them: slow is fine, wrong is not. */
static void
test_odd_ids(void **state)
{
	struct index *ix = reopen(NULL, *state);
	enum ids how;
	uint32_t i;

	for (how = COUNTED; how <= CROWDED; how++) {
		for (i = 0; i < 5; i++)
			assert_int_equal(add(ix, PACK_DATA, how,
			    i + 100 * how, (uint64_t)i * 30000, 29999), 0);
		for (i = 0; i < 5; i++) {
			check_range(ix, how, (uint64_t)i * 30000, 29999, 3, 1);
			check_range(ix, how, (uint64_t)i * 30000 + 29999, 1, 1,
			    0);
		}
		remove_files(*state);
		ix = reopen(ix, *state);
	}
	index_close(ix);
}

static void
test_bad_input(void **state)
{
	struct index *ix = reopen(NULL, *state);
	struct segment s;

	make_segment(UNIFORM, 1, 0, 100, &s);
	s.e[50].pack = s.npacks;
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	s.e[50] = s.e[49];
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	s.e[50] = s.e[10];
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 0);
	assert_int_equal(stats(ix).packs, 0);
	free_segment(&s);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 100), 0);
	index_close(ix);
}

/* A load large enough to be written ahead, in pieces. */
static int
load(struct index *ix, const struct segment *s, uint32_t upto,
    struct index_load **ld, void (*each)(void))
{
	uint32_t i, n;
	int err;

	err = index_load_begin(ix, PACK_DATA, s->name, s->packs, s->npacks,
	    ld);
	for (i = 0; i < upto && err == 0; i += n) {
		n = upto - i < 256 ? upto - i : 256;
		err = index_load_add(*ld, s->e + i, n);
		if (each != NULL && i % 25600 == 0)
			each();
	}
	return err;
}

static void
test_load(void **state)
{
	enum { N = 700000 };
	struct index *ix = reopen(NULL, *state);
	struct index_load *ld;
	struct segment s;
	struct buf b = BUF_INIT(100);

	make_segment(UNIFORM, 1, 0, N, &s);
	/* Given up at the end, and in the middle. */
	assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
	check_range(ix, UNIFORM, 0, N, 997, 0);
	assert_int_equal(stats(ix).runs, 0);
	/* State does not wait for a load. */
	assert_int_equal(index_state_put(ix, "a", "b", 1), 0);
	index_load_abort(ld);
	assert_int_equal(load(ix, &s, N / 2, &ld, NULL), 0);
	index_load_abort(ld);
	assert_int_equal(stats(ix).packs, 0);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 0);
	check_range(ix, UNIFORM, 0, N, 997, 0);
	assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
	assert_int_equal(index_load_commit(ld), 0);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 1);
	assert_int_equal(stats(ix).packs, s.npacks);
	check_range(ix, UNIFORM, 0, N, 7, 1);
	assert_int_equal(index_state_get(ix, "a", &b), 0);
	assert_int_equal(stats(ix).entries, N);
	buf_release(&b);
	free_segment(&s);
	index_close(ix);
}

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
	unsigned i, n = kills != NULL ? (unsigned)atoi(kills) : 30;
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

/* --- many at once ------------------------------------------------------- */

struct reader {
	struct index *ix;
	atomic_uint *loaded;
	atomic_int *stop;
	uint32_t each;
	uint64_t looked;
	int wrong;
};

static void *
read_all_the_time(void *arg)
{
	struct reader *r = arg;
	uint64_t n = (uintptr_t)arg;
	unsigned loaded;
	int ret;

	while (!atomic_load(r->stop)) {
		loaded = atomic_load(r->loaded);
		n = mix(n + 1);
		ret = look(r->ix, PACK_DATA, UNIFORM, loaded > 0 ?
		    n % ((uint64_t)loaded * r->each) : n | UINT64_C(1) << 60);
		r->wrong |= ret != (loaded > 0);
		r->wrong |= look(r->ix, PACK_DATA, UNIFORM,
		    n | UINT64_C(1) << 60) != 0;
		r->looked++;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	enum { THREADS = 4, SEGMENTS = 24, EACH = 30000 };
	struct index *ix = reopen(NULL, *state);
	struct reader r[THREADS];
	pthread_t tid[THREADS];
	atomic_uint loaded = 0;
	atomic_int stop = 0;
	uint32_t i;

	for (i = 0; i < THREADS; i++) {
		r[i] = (struct reader){ ix, &loaded, &stop, EACH, 0, 0 };
		assert_int_equal(pthread_create(&tid[i], NULL,
		    read_all_the_time, &r[i]), 0);
	}
	for (i = 0; i < SEGMENTS; i++) {
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i,
		    (uint64_t)i * EACH, EACH), 0);
		atomic_store(&loaded, i + 1);
		assert_int_equal(index_state_put(ix, "n", &i, sizeof(i)), 0);
	}
	atomic_store(&stop, 1);
	for (i = 0; i < THREADS; i++) {
		pthread_join(tid[i], NULL);
		assert_int_equal(r[i].wrong, 0);
	}
	index_close(ix);
}

static void *
add_some(void *arg)
{
	struct reader *r = arg;
	unsigned i;

	for (i = 0; i < 6; i++) {
		r->wrong |= add(r->ix, PACK_DATA, UNIFORM,
		    r->looked * 100 + i, r->looked * 1000000 + i * 20000u,
		    20000);
	}
	return NULL;
}

/* Writers in threads and in another process at once, then all is there. */
static void
test_writers(void **state)
{
	struct reader r[2];
	pthread_t tid[2];
	struct index *ix;
	int status;
	pid_t pid;
	uint32_t i;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		r[0] = (struct reader){ .looked = 3 };
		if (index_open(((struct dir *)*state)->path, repo,
		    &r[0].ix) != 0)
			_exit(1);
		add_some(&r[0]);
		index_close(r[0].ix);
		_exit(r[0].wrong != 0);
	}
	ix = reopen(NULL, *state);
	for (i = 0; i < 2; i++) {
		r[i] = (struct reader){ .ix = ix, .looked = i + 1 };
		assert_int_equal(pthread_create(&tid[i], NULL, add_some,
		    &r[i]), 0);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(tid[i], NULL);
		assert_int_equal(r[i].wrong, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 1; i <= 3; i++)
		check_range(ix, UNIFORM, i * UINT64_C(1000000), 120000, 1, 1);
	assert_int_equal(stats(ix).segments, 18);
	index_close(ix);
}

static void
test_removed(void **state)
{
	struct index *ix = reopen(NULL, *state);
	struct index *other;
	uint32_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 30000u,
		    30000), 0);
	remove_files(*state);
	for (; i < 9; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 30000u,
		    30000), 0);
	check_range(ix, UNIFORM, 0, 270000, 1, 1);
	other = reopen(NULL, *state);
	check_range(other, UNIFORM, 0, 1000, 1, 0);
	check_range(ix, UNIFORM, 0, 270000, 5, 1);
	index_close(ix);
	index_close(other);
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

/* --- rows --------------------------------------------------------------- */

static void
test_state(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct index *ix = reopen(NULL, *state);
	char name[600];
	static char big[100000];

	memset(name, 'n', sizeof(name));
	name[512] = 0;
	assert_int_equal(index_state_put(ix, name, "x", 1), -EINVAL);
	assert_int_equal(index_state_put(ix, "", "x", 1), -EINVAL);
	name[511] = 0;
	assert_int_equal(index_state_get(ix, name, &b), -ENOENT);
	assert_int_equal(index_state_del(ix, name), -ENOENT);
	assert_int_equal(index_state_put(ix, name, "one", 3), 0);
	assert_int_equal(index_state_put(ix, "empty", NULL, 0), 0);
	assert_int_equal(index_state_put(ix, "big", big, sizeof(big)), 0);
	assert_int_equal(index_state_put(ix, name, "second", 6), 0);
	ix = reopen(ix, *state);
	assert_int_equal(index_state_get(ix, name, &b), 0);
	assert_int_equal(index_state_get(ix, "empty", &b), 0);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "second", 6);
	/* Appends. */
	assert_int_equal(index_state_get(ix, "big", &b), 0);
	assert_int_equal(b.len, 6 + sizeof(big));
	assert_int_equal(index_state_del(ix, name), 0);
	assert_int_equal(index_state_get(ix, name, &b), -ENOENT);
	buf_release(&b);
	index_close(ix);
}

static int
retain(struct index *ix, const char *list, uint64_t mark)
{
	uint8_t name[8][OBJECT_ID_SIZE];
	struct segment s;
	size_t n;

	for (n = 0; list[n] != 0; n++) {
		make_segment(UNIFORM, (uint64_t)list[n], 0, 0, &s);
		memcpy(name[n], s.name, OBJECT_ID_SIZE);
		free_segment(&s);
	}
	return index_retain_since(ix, PACK_DATA, mark,
	    (const uint8_t (*)[OBJECT_ID_SIZE])name, n);
}

static int
knows(struct index *ix, char name)
{
	struct segment s;
	int ret;

	make_segment(UNIFORM, (uint64_t)name, 0, 0, &s);
	ret = index_has_segment(ix, PACK_DATA, s.name);
	free_segment(&s);
	return ret;
}

static void
add_merged(struct index *ix, char name, const char *replaced)
{
	struct segment s, r;
	struct index_load *ld;

	make_segment(UNIFORM, (uint64_t)name, 0, 3000, &s);
	assert_int_equal(load(ix, &s, s.n, &ld, NULL), 0);
	for (; *replaced != 0; replaced++) {
		make_segment(UNIFORM, (uint64_t)*replaced, 0, 0, &r);
		assert_int_equal(index_load_replaces(ld,
		    (const uint8_t (*)[OBJECT_ID_SIZE])&r.name, 1), 0);
		free_segment(&r);
	}
	assert_int_equal(index_load_commit(ld), 0);
	free_segment(&s);
}

static void
test_retain(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint64_t mark;
	unsigned i;

	assert_int_equal(retain(ix, "", UINT64_MAX), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'a' + i,
		    i * 1000u, 1000), 0);
	assert_int_equal(retain(ix, "abc", UINT64_MAX), 0);
	assert_int_equal(retain(ix, "zcabx", UINT64_MAX), 0);
	/* d replaces a, b and q, which was never here. */
	add_merged(ix, 'd', "abq");
	assert_int_equal(knows(ix, 'q'), 1);
	assert_int_equal(stats(ix).segments, 4);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 0);
	assert_int_equal(knows(ix, 'a'), 1);
	assert_int_equal(stats(ix).segments, 2);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 0);
	check_range(ix, UNIFORM, 0, 3000, 1, 1);
	/* Loaded by others after the list was taken. */
	assert_int_equal(index_mark(ix, PACK_DATA, &mark), 0);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'e', 5000, 10), 0);
	assert_int_equal(retain(ix, "cd", mark), 0);
	assert_int_equal(knows(ix, 'e'), 1);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 1);
	assert_int_equal(knows(ix, 'e'), 0);
	assert_int_equal(knows(ix, 'a'), 0);
	assert_int_equal(stats(ix).entries, 0);
	assert_int_equal(stats(ix).packs, 0);
	assert_int_equal(stats(ix).segments, 0);
	check_range(ix, UNIFORM, 0, 3000, 1, 0);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'c', 2000, 1000), 0);
	ix = reopen(ix, *state);
	check_range(ix, UNIFORM, 2000, 1000, 1, 1);
	check_range(ix, UNIFORM, 0, 2000, 1, 0);
	index_close(ix);
}

struct seen {
	uint8_t *pack;
	uint32_t n, stop;
};

static int
see(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size)
{
	struct seen *s = ctx;
	uint8_t name[OBJECT_ID_SIZE];

	assert_in_range(size, 1, 4000);
	make_name(size - 1, name);
	assert_memory_equal(name, pack, OBJECT_ID_SIZE);
	assert_int_equal(s->pack[size - 1]++, 0);
	return ++s->n == s->stop ? 7 : 0;
}

static void
test_packs(void **state)
{
	static uint8_t seen[4000];
	struct seen s = { seen, 0, 0 };
	struct index *ix = reopen(NULL, *state);
	uint8_t name[OBJECT_ID_SIZE];
	uint32_t i;

	/* Neighbouring segments share a pack; 4000 packs in all. */
	for (i = 0; i < 8; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 25000u,
		    24999 + (i < 7)), 0);
	assert_int_equal(stats(ix).packs, 4000);
	assert_int_equal(index_each_pack(ix, PACK_DATA, see, &s), 0);
	assert_int_equal(s.n, 4000);
	memset(seen, 0, sizeof(seen));
	s = (struct seen){ seen, 0, 1000 };
	assert_int_equal(index_each_pack(ix, PACK_DATA, see, &s), 7);
	assert_int_equal(s.n, 1000);
	for (i = 0; i < 4010; i++) {
		make_name(i, name);
		assert_int_equal(index_has_pack(ix, PACK_DATA, name),
		    i < 4000);
		assert_int_equal(index_has_pack(ix, PACK_META, name), 0);
	}
	index_close(ix);
}

/* More packs than one transaction writes. */
static void
test_many_packs(void **state)
{
	enum { N = 10000 };
	struct index *ix = reopen(NULL, *state);
	struct index_load *ld;
	struct segment s;
	uint32_t i, round;

	make_segment(UNIFORM, 1, 0, N, &s);
	free(s.packs);
	s.npacks = N;
	s.packs = calloc(N, sizeof(*s.packs));
	assert_non_null(s.packs);
	for (i = 0; i < N; i++) {
		make_name(i, s.packs[i].id);
		s.packs[i].size = i + 1;
	}
	/* Dropped once, so that numbers are used again. */
	for (round = 0; round < 2; round++) {
		assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
		if (round == 0)
			index_load_abort(ld);
		else
			assert_int_equal(index_load_commit(ld), 0);
		assert_int_equal(stats(ix).packs, round * N);
	}
	for (i = 0; i < N; i++)
		assert_int_equal(index_has_pack(ix, PACK_DATA,
		    s.packs[i].id), 1);
	free_segment(&s);
	index_close(ix);
}

/* Compare with a store that has all packs of the first n entries but one. */
static void
take_roll(struct index *ix, uint64_t n, uint64_t without, uint32_t wrong,
    uint8_t (**absent)[OBJECT_ID_SIZE], size_t *nabsent)
{
	struct index_roll *roll;
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t p;

	assert_int_equal(index_roll_begin(ix, PACK_DATA, &roll), 0);
	for (p = 0; p <= n / PACK_ENTRIES; p++) {
		make_name(p, id);
		if (p == without && wrong == 0)
			continue;
		assert_int_equal(index_roll_seen(roll, id, p == without ?
		    wrong : p + 1), p == without ? 2 : 1);
	}
	/* A pack that no segment lists is nobody's. */
	make_name(UINT64_C(1) << 40, id);
	assert_int_equal(index_roll_seen(roll, id, 5), 0);
	assert_int_equal(index_roll_absent(roll, absent, nabsent), 0);
	index_roll_free(roll);
}

static void
test_absent(void **state)
{
	const struct dir *d = *state;
	const uint32_t n = 20 * PACK_ENTRIES - 1;
	const uint64_t lost = 7, first = lost * PACK_ENTRIES;
	uint8_t (*ids)[OBJECT_ID_SIZE], id[OBJECT_ID_SIZE];
	struct index_roll *roll;
	uint64_t epoch, after;
	struct index *ix;
	size_t k, count;
	unsigned round;

	assert_int_equal(index_open(d->path, repo, &ix), 0);
	for (round = 0; round < 2; round++) {
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
		/* All there: nothing changes. */
		take_roll(ix, n, UINT64_MAX, 0, &ids, &k);
		assert_int_equal(k, 0);
		assert_int_equal(index_absent_set(ix, PACK_DATA,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 0);
		free(ids);
		check_range(ix, UNIFORM, 0, n, 1, 1);
		/* One is gone, or has another size. */
		take_roll(ix, n, lost, round == 0 ? 0 : 12345, &ids, &k);
		assert_int_equal(k, 1);
		make_name(lost, id);
		assert_memory_equal(ids[0], id, OBJECT_ID_SIZE);
		assert_int_equal(index_epoch(ix, PACK_DATA, &epoch), 0);
		assert_int_equal(index_absent_set(ix, PACK_DATA,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 1);
		assert_int_equal(index_epoch(ix, PACK_DATA, &after), 0);
		assert_int_not_equal(epoch, after);
		check_range(ix, UNIFORM, 0, n, 7, 0);
		/* Loaded again, after a restart too, without what is gone. */
		index_close(ix);
		assert_int_equal(index_open(d->path, repo, &ix), 0);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
		assert_int_equal(index_absent_count(ix, PACK_DATA, &count), 0);
		assert_int_equal(count, 1);
		check_range(ix, UNIFORM, 0, (uint32_t)first, 1, 1);
		check_range(ix, UNIFORM, first, PACK_ENTRIES, 1, 0);
		check_range(ix, UNIFORM, first + PACK_ENTRIES,
		    n - (uint32_t)first - PACK_ENTRIES, 1, 1);
		/* The pack itself stays listed. */
		assert_int_equal(index_has_pack(ix, PACK_DATA, id), 1);
		assert_int_equal(index_absent_set(ix, PACK_DATA,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 0);
		free(ids);
		/* A roll of before an emptying says nothing. */
		assert_int_equal(index_roll_begin(ix, PACK_DATA, &roll), 0);
		assert_int_equal(index_absent_set(ix, PACK_DATA, NULL, 0), 1);
		assert_int_equal(index_roll_absent(roll, &ids, &k), -EAGAIN);
		index_roll_free(roll);
	}
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
	check_range(ix, UNIFORM, 0, n, 1, 1);
	index_close(ix);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_empty), T(test_random), T(test_levels), T(test_doubles),
		T(test_odd_ids), T(test_bad_input), T(test_load), T(test_kill),
		T(test_damage), T(test_rubbish), T(test_other_repo),
		T(test_threads), T(test_writers), T(test_removed),
		T(test_full), T(test_state), T(test_absent), T(test_retain),
		T(test_packs), T(test_many_packs)
	};
	const char *s = getenv("TEST_SEED");

	seed = s != NULL ? strtoull(s, NULL, 0) : (uint64_t)time(NULL);
	print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
	log_init("test_index", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
