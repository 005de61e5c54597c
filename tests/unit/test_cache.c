/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier.  Every cell's bytes follow from its key, so a hit can be
 * checked wherever it comes from.  CACHE_TEST_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cache/cache.h"
#include "cache/cache_internal.h"

#define LIMIT	CACHE_LIMIT_MIN
#define MIB	(1u << 20)

static uint64_t seed;
static char dir[256];
static atomic_int warnings;

static uint64_t
mix64(uint64_t v)
{
	v += 0x9e3779b97f4a7c15ull;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static uint64_t
next(uint64_t *rng)
{
	return mix64((*rng)++);
}

/* ------------------------------------------------------------ cells */

struct key {
	uint8_t pack[OBJECT_ID_SIZE];
	uint32_t cell;
	enum pack_kind kind;
	size_t len;
};

/* Key n: eight cells a pack, every fourth shorter; every fifth pack is meta. */
static struct key
key_of(uint32_t n)
{
	struct key k;
	uint64_t i, w;

	for (i = 0; i < 4; i++) {
		w = mix64(n / 8 * 4 + i);
		memcpy(k.pack + i * 8, &w, 8);
	}
	k.cell = n % 8;
	k.kind = n / 8 % 5 == 0 ? PACK_META : PACK_DATA;
	k.len = n % 4 == 3 ? 1 + mix64(n) % MIB : MIB;
	return k;
}

static void
fill(const struct key *k, uint8_t *out)
{
	uint64_t v, w;
	size_t i;

	memcpy(&v, k->pack, 8);
	v = mix64(v + k->cell);
	for (i = 0; i < k->len; i += 8) {
		v = v * 6364136223846793005ull + 1442695040888963407ull;
		w = v ^ v >> 32;
		memcpy(out + i, &w, k->len - i < 8 ? k->len - i : 8);
	}
}

static void
put(struct cache *c, uint32_t n, uint8_t *buf)
{
	struct key k = key_of(n);

	fill(&k, buf);
	cache_put(c, k.kind, k.pack, k.cell, buf, k.len);
}

/* 1 or 0; a hit with any other bytes is reported and ends the program. */
static int
get(struct cache *c, uint32_t n, uint8_t *buf, uint8_t *want)
{
	struct key k = key_of(n);
	size_t len = 0;

	if (!cache_get(c, k.kind, k.pack, k.cell, buf, &len))
		return 0;
	fill(&k, want);
	if (len != k.len || memcmp(buf, want, len) != 0) {
		fprintf(stderr, "seed %llu: cell %u is wrong\n",
		    (unsigned long long)seed, n);
		abort();
	}
	return 1;
}

static int
has(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	return cache_has(c, k.pack, k.cell);
}

static void
drop(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	cache_drop(c, k.pack, k.cell);
}

static uint8_t buf[MIB], want[MIB];

static uint32_t
count_hits(struct cache *c, uint32_t first, uint32_t end)
{
	uint32_t n, hits = 0;

	for (n = first; n < end; n++)
		hits += get(c, n, buf, want);
	return hits;
}

/* -------------------------------------------------------- directory */

/* As du(1) counts. */
static uint64_t
du(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	struct stat st;
	uint64_t sum = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, "..") != 0 &&
		    fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	closedir(d);
	return sum;
}

static void
clear(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' &&
		    unlinkat(dirfd(d), e->d_name, 0) != 0)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	closedir(d);
	rmdir(path);
}

static int
open_in(const char *name, int flags)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static struct cache *
reopen(uint64_t limit, int holes)
{
	struct cache *c = NULL;

	assert_int_equal(cache_open_as(dir, limit, holes, &c), 0);
	assert_non_null(c);
	assert_true(du(dir) <= limit);
	return c;
}

static int
setup(void **state)
{
	(void)state;
	atomic_store(&warnings, 0);
	clear(dir);
	return 0;
}

static void
on_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
	atomic_fetch_add(&warnings, 1);
}

/* ------------------------------------------------------------ tests */

static void
test_contract(void **state)
{
	struct cache_stats st;
	struct cache *c;

	(void)state;
	assert_int_equal(cache_open(dir, CACHE_LIMIT_MIN - 1, &c), -EINVAL);
	c = reopen(LIMIT, 1);
	assert_int_equal(has(c, 3), 0);
	assert_int_equal(get(c, 3, buf, want), 0);
	put(c, 3, buf);
	put(c, 3, buf);
	put(c, 4, buf);
	assert_int_equal(has(c, 3), 1);
	assert_int_equal(get(c, 3, buf, want), 1);
	assert_int_equal(get(c, 2, buf, want), 0);
	drop(c, 3);
	drop(c, 3);
	assert_int_equal(has(c, 3), 0);
	put(c, 3, buf);
	assert_int_equal(get(c, 3, buf, want), 1);
	cache_put(c, PACK_DATA, key_of(9).pack, 9, buf, 0);
	cache_put(c, PACK_DATA, key_of(9).pack, 9, buf, MIB + 1);
	assert_int_equal(cache_has(c, key_of(9).pack, 9), 0);
	cache_stats(c, &st);
	assert_int_equal(st.puts, 3);
	assert_int_equal(st.hits, 2);
	assert_int_equal(st.misses, 2);
	assert_int_equal(st.bad, 1);
	assert_int_equal(st.cells_meta, 2);
	assert_int_equal(st.used, du(dir));
	assert_int_equal(st.readonly, 0);
	cache_close(c);
	cache_close(NULL);
	c = reopen(LIMIT, 1);
	assert_int_equal(count_hits(c, 0, 9), 2);
	cache_close(c);
}

/* Every single damaged bit, and each pair of the same lane, is seen. */
static void
test_sum(void **state)
{
	uint8_t a[256];
	uint64_t sum;
	size_t i, j;

	(void)state;
	memset(a, 0, sizeof(a));
	sum = cache_sum(7, a, sizeof(a));
	for (i = 0; i < 8 * sizeof(a); i++) {
		a[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(cache_sum(7, a, sizeof(a)) != sum);
		for (j = 0; j < i; j++) {
			a[j / 8] ^= (uint8_t)(1 << j % 8);
			assert_true(cache_sum(7, a, sizeof(a)) != sum);
			a[j / 8] ^= (uint8_t)(1 << j % 8);
		}
		a[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < sizeof(a); i++)	/* zeroes of other lengths */
		assert_true(cache_sum(7, a, i) != sum);
}

#define MODEL 300

static void
run_model(int holes)
{
	uint64_t rng = seed;
	uint8_t there[MODEL] = { 0 };	/* put, and not dropped since */
	struct cache *c = reopen(LIMIT, holes);
	uint32_t n, i;
	int hit;

	for (i = 0; i < 3000; i++) {
		n = (uint32_t)(next(&rng) % MODEL);
		switch (next(&rng) % 40) {
		default:
			hit = has(c, n);
			assert_int_equal(get(c, n, buf, want), hit);
			assert_true(there[n] || !hit);
			if (hit)
				break;
			put(c, n, buf);
			there[n] = 1;
			assert_int_equal(has(c, n), 1);
			assert_true(du(dir) <= LIMIT);
			break;
		case 0:
			drop(c, n);
			there[n] = 0;
			assert_int_equal(has(c, n), 0);
			break;
		case 1:
			cache_table_check(&c->table);
			if (next(&rng) % 8 == 0) {
				cache_close(c);
				c = reopen(LIMIT, holes);
			}
		}
	}
	cache_table_check(&c->table);
	/* Not a cache that keeps to its limit by keeping nothing. */
	assert_true(du(dir) > LIMIT / 2);
	cache_close(c);
}

static void
test_model(void **state)
{
	(void)state;
	run_model(1);
}

static void
test_model_without_holes(void **state)
{
	struct cache *c;

	(void)state;
	run_model(0);
	/* Back and forth, and smaller. */
	c = reopen(LIMIT, 1);
	assert_true(count_hits(c, 0, MODEL) > 40);
	cache_close(c);
	c = reopen(2 * LIMIT, 0);
	count_hits(c, 0, MODEL);
	cache_close(c);
	c = reopen(LIMIT, 0);
	count_hits(c, 0, MODEL);
	cache_table_check(&c->table);
	cache_close(c);
}

/* Short cells: more slots than MiB of limit. */
static void
test_short_cells(void **state)
{
	struct key k = key_of(1);
	struct cache_stats st;
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n;

	(void)state;
	k.len = 65536;
	for (n = 0; n < 1200; n++) {
		k.cell = n;
		fill(&k, buf);
		cache_put(c, PACK_META, k.pack, n, buf, k.len);
		assert_true(du(dir) <= LIMIT);
	}
	cache_table_check(&c->table);
	cache_stats(c, &st);
	assert_true(st.cells_meta > 1000 && st.cells_meta <= 1024);
	cache_close(c);
	c = reopen(LIMIT, 1);
	cache_stats(c, &st);
	assert_true(st.cells_meta > 1000);
	/* Long ones in place of short ones. */
	for (n = 0; n < 200; n++) {
		put(c, n, buf);
		assert_true(du(dir) <= LIMIT);
	}
	cache_table_check(&c->table);
	cache_close(c);
}

static void
test_smaller_limit(void **state)
{
	struct cache *c = reopen(4 * LIMIT, 1);
	uint32_t n, kept;

	(void)state;
	for (n = 0; n < 250; n++)
		put(c, n, buf);
	assert_true(count_hits(c, 0, 250) > 240);
	cache_close(c);
	c = reopen(LIMIT, 1);		/* checks du */
	kept = count_hits(c, 0, 250);
	assert_true(kept > 50 && kept < 90);
	cache_table_check(&c->table);
	cache_close(c);
	c = reopen(4 * LIMIT, 1);
	assert_int_equal(count_hits(c, 0, 250), kept);
	cache_close(c);
}

/* ---------------------------------------------------------- policy */

static void
put_data(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	k.len = MIB;
	fill(&k, buf);
	cache_put(c, PACK_DATA, k.pack, k.cell, buf, k.len);
}

static uint32_t
get_data(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);
	size_t len;

	return (uint32_t)cache_get(c, PACK_DATA, k.pack, k.cell, buf, &len);
}

/* 20 cells that are used, a scan of five times the limit between the uses. */
static void
test_scan(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n, round, hits = 0, asked = 0;

	(void)state;
	for (n = 0; n < 20; n++)
		put_data(c, n);
	for (round = 0; round < 2; round++)
		for (n = 0; n < 20; n++)
			assert_int_equal(get_data(c, n), 1);
	for (n = 0; n < 320; n++) {
		put_data(c, 1000 + n);
		if (n % 4 == 0) {
			hits += get_data(c, n / 4 % 20);
			asked++;
		}
	}
	print_message("hot set during the scan: %u of %u\n", hits, asked);
	assert_true(hits * 10 > asked * 8);
	/* It is known as hot after a reopen, and outlives a scan unused. */
	cache_close(c);
	c = reopen(LIMIT, 1);
	for (n = 0; n < 320; n++)
		put_data(c, 2000 + n);
	for (hits = n = 0; n < 20; n++)
		hits += get_data(c, n);
	print_message("hot set after another one: %u of 20\n", hits);
	assert_true(hits > 16);
	cache_table_check(&c->table);
	cache_close(c);
}

/* First in, first out, also when the order of slots is another one. */
static void
test_order_after_reopen(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n;

	(void)state;
	for (n = 0; n < 50; n++)
		put_data(c, n);
	drop(c, 0);
	put_data(c, 0);		/* the newest, in the first slot */
	cache_close(c);
	c = reopen(LIMIT, 1);
	for (n = 100; n < 130; n++)
		put_data(c, n);
	assert_int_equal(has(c, 1), 0);
	assert_int_equal(has(c, 0), 1);
	cache_close(c);
}

static void
test_meta_goes_last(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	struct cache_stats st;
	struct key k;
	uint32_t n, hits = 0;
	size_t len;

	(void)state;
	for (n = 0; n < 40; n++) {
		k = key_of(5000 + n);
		fill(&k, buf);
		cache_put(c, PACK_META, k.pack, k.cell, buf, MIB);
	}
	for (n = 0; n < 300; n++)
		put_data(c, n);
	for (n = 0; n < 40; n++) {
		k = key_of(5000 + n);
		hits += (uint32_t)cache_get(c, PACK_META, k.pack, k.cell, buf,
		    &len);
	}
	assert_int_equal(hits, 40);
	/* Data keeps a tenth, whatever meta comes. */
	for (n = 0; n < 200; n++) {
		k = key_of(6000 + n);
		cache_put(c, PACK_META, k.pack, k.cell, buf, MIB);
	}
	cache_stats(c, &st);
	assert_true(st.cells_data >= 5 && st.cells_data <= 7);
	cache_close(c);
}

/* --------------------------------------------------------- threads */

#define THREADS 8

struct worker {
	pthread_t id;
	struct cache *c;
	uint64_t rng;
	uint32_t rounds, keys, hits, over;
	atomic_int *stop;	/* or NULL: rounds */
};

static void *
churn(void *arg)
{
	struct worker *w = arg;
	uint8_t *b = malloc(MIB), *x = malloc(MIB);
	uint32_t i, n;

	for (i = 0; i < w->rounds; i++) {
		n = (uint32_t)(next(&w->rng) % w->keys);
		if (next(&w->rng) % 50 == 0)
			drop(w->c, n);
		if (get(w->c, n, b, x)) {
			w->hits++;
			continue;
		}
		put(w->c, n, b);
		w->over += du(dir) > LIMIT;
	}
	free(b);
	free(x);
	return NULL;
}

static void *
read_along(void *arg)
{
	struct worker *w = arg;
	uint8_t *b = malloc(MIB), *x = malloc(MIB);

	while (!atomic_load(w->stop))
		w->hits += (uint32_t)get(w->c,
		    (uint32_t)(next(&w->rng) % w->keys), b, x);
	free(b);
	free(x);
	return NULL;
}

static void
run_threads(int holes, uint32_t keys, uint32_t rounds)
{
	struct worker w[THREADS], r;
	struct cache *c = reopen(LIMIT, holes);
	atomic_int stop = 0;
	uint32_t i, hits = 0;

	r = (struct worker){ .keys = keys, .rng = seed, .stop = &stop };
	assert_int_equal(cache_open(dir, LIMIT, &r.c), 0);
	pthread_create(&r.id, NULL, read_along, &r);
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .c = c, .rng = mix64(seed + i),
		    .rounds = rounds, .keys = keys };
		pthread_create(&w[i].id, NULL, churn, &w[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].id, NULL);
		assert_int_equal(w[i].over, 0);
		hits += w[i].hits;
	}
	atomic_store(&stop, 1);
	pthread_join(r.id, NULL);
	assert_true(hits > 0);
	print_message("%u hits, %u of a second opener\n", hits, r.hits);
	cache_table_check(&c->table);
	assert_int_equal(atomic_load(&c->bad) > 0, 1);
	cache_close(r.c);
	cache_close(c);
}

static void
test_threads(void **state)
{
	(void)state;
	run_threads(1, 120, 300);
}

/* Few keys, so that they meet. */
static void
test_threads_same_cells(void **state)
{
	(void)state;
	run_threads(1, 6, 500);
}

static void
test_threads_without_holes(void **state)
{
	(void)state;
	run_threads(0, 120, 200);
}

/* ---------------------------------------------------- second opener */

static void
test_second_opener(void **state)
{
	struct cache *a = reopen(LIMIT, 1), *b;
	struct cache_stats st;
	uint32_t n;
	int tries;

	(void)state;
	put(a, 1, buf);
	assert_int_equal(cache_open(dir, LIMIT, &b), 0);
	cache_stats(b, &st);
	assert_int_equal(st.readonly, 1);
	assert_int_equal(get(b, 1, buf, want), 1);
	put(b, 2, buf);
	assert_int_equal(has(a, 2), 0);
	assert_int_equal(has(b, 2), 0);
	put(a, 2, buf);
	/* Misses bring it to look again, within its share of the time. */
	for (tries = 0; !has(b, 2) && tries < 100000000; tries++)
		;
	assert_int_equal(get(b, 2, buf, want), 1);
	drop(b, 1);
	assert_int_equal(has(a, 1), 1);
	for (n = 10; n < 200; n++) {	/* out with what it knows */
		put(a, n, buf);
		get(b, 1, buf, want);
		get(b, 2, buf, want);
	}
	for (tries = 0; count_hits(b, 100, 200) < 30 && tries < 10000; tries++)
		;
	assert_true(tries < 10000);
	cache_close(a);
	count_hits(b, 0, 200);
	a = reopen(LIMIT, 1);
	cache_stats(a, &st);
	assert_int_equal(st.readonly, 0);
	cache_close(b);
	cache_close(a);
}

/* ----------------------------------------------------------- crash */

static void
child_churn(uint64_t s)
{
	struct worker w[2];
	struct cache *c = reopen(LIMIT, 1);
	int i;

	for (i = 0; i < 2; i++) {
		w[i] = (struct worker){ .c = c, .rng = mix64(s + (uint64_t)i),
		    .rounds = 1000000, .keys = 200 };
		pthread_create(&w[i].id, NULL, churn, &w[i]);
	}
	pthread_join(w[0].id, NULL);
	_exit(0);
}

static void
test_kill(void **state)
{
	uint64_t rng = seed;
	struct timespec pause;
	struct cache *c;
	uint32_t round, hits = 0, got;
	pid_t pid;
	int status;

	(void)state;
	for (round = 0; round < 25; round++) {
		pid = fork();
		if (pid == 0)
			child_churn(next(&rng) + round);
		assert_true(pid > 0);
		/* The moment is what is random here. */
		pause = (struct timespec){ 0, 5000000 +
		    (long)(next(&rng) % 200000000) };
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		c = reopen(LIMIT, 1);	/* checks du */
		cache_table_check(&c->table);
		got = count_hits(c, 0, 200);
		hits += got;
		/* Nothing that was orphaned stays on the disk. */
		assert_true(c->strays < c->reserve);
		cache_close(c);
	}
	print_message("%u hits after %u kills\n", hits, round);
	assert_true(hits > round);
}

/* ---------------------------------------------------------- damage */

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
		cmocka_unit_test_setup(test_contract, setup),
		cmocka_unit_test_setup(test_sum, setup),
		cmocka_unit_test_setup(test_model, setup),
		cmocka_unit_test_setup(test_model_without_holes, setup),
		cmocka_unit_test_setup(test_short_cells, setup),
		cmocka_unit_test_setup(test_smaller_limit, setup),
		cmocka_unit_test_setup(test_scan, setup),
		cmocka_unit_test_setup(test_order_after_reopen, setup),
		cmocka_unit_test_setup(test_meta_goes_last, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_threads_same_cells, setup),
		cmocka_unit_test_setup(test_threads_without_holes, setup),
		cmocka_unit_test_setup(test_second_opener, setup),
		cmocka_unit_test_setup(test_kill, setup),
		cmocka_unit_test_setup(test_damage, setup),
		cmocka_unit_test_setup(test_bad_cell, setup),
		cmocka_unit_test_setup(test_removed_directory, setup),
		cmocka_unit_test_setup(test_failing_disk, setup),
		cmocka_unit_test_setup(test_full_disk, setup),
	};
	const char *env = getenv("CACHE_TEST_SEED"), *tmp = getenv("TMPDIR");
	char base[128];
	int ret;

	seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL) * 1000 +
	    (uint64_t)getpid();
	fprintf(stderr, "CACHE_TEST_SEED=%llu\n", (unsigned long long)seed);
	snprintf(base, sizeof(base), "%s/firn-cache-XXXXXX", tmp ? tmp :
	    "/tmp");
	if (mkdtemp(base) == NULL)
		return 1;
	snprintf(dir, sizeof(dir), "%s/cache", base);
	log_init("test", LOG_LEVEL_INFO);
	log_set_hook(on_log, NULL);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	clear(dir);
	rmdir(base);
	return ret;
}
