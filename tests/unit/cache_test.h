/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the cache tier share.  Every cell's bytes follow from its
 * key, so a hit can be checked wherever it comes from.  CACHE_TEST_SEED repeats
 * a run.
 */
#ifndef FIRN_TESTS_CACHE_TEST_H
#define FIRN_TESTS_CACHE_TEST_H

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
static char base[128], dir[256];
static atomic_int warnings;

static inline uint64_t
mix64(uint64_t v)
{
	v += 0x9e3779b97f4a7c15ull;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static inline uint64_t
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
static inline struct key
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

static inline void
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

static inline void
put(struct cache *c, uint32_t n, uint8_t *buf)
{
	struct key k = key_of(n);

	fill(&k, buf);
	cache_put(c, k.kind, k.pack, k.cell, buf, k.len);
}

/* 1 or 0; a hit with any other bytes is reported and ends the program. */
static inline int
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

static inline int
has(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	return cache_has(c, k.pack, k.cell);
}

static inline void
drop(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	cache_drop(c, k.pack, k.cell);
}

static uint8_t buf[MIB], want[MIB];

static inline uint32_t
count_hits(struct cache *c, uint32_t first, uint32_t end)
{
	uint32_t n, hits = 0;

	for (n = first; n < end; n++)
		hits += get(c, n, buf, want);
	return hits;
}

/* -------------------------------------------------------- directory */

/* As du(1) counts. */
static inline uint64_t
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

static inline void
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

static inline int
open_in(const char *name, int flags)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static inline struct cache *
reopen(uint64_t limit, int holes)
{
	struct cache *c = NULL;

	assert_int_equal(cache_open_as(dir, limit, holes, &c), 0);
	assert_non_null(c);
	assert_true(du(dir) <= limit);
	return c;
}

static inline int
setup(void **state)
{
	(void)state;
	atomic_store(&warnings, 0);
	clear(dir);
	return 0;
}

static inline void
on_log(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
	atomic_fetch_add(&warnings, 1);
}

/* A directory for all tests of a program. */
static inline int
group_setup(void **state)
{
	const char *env = getenv("CACHE_TEST_SEED"), *tmp = getenv("TMPDIR");

	(void)state;
	seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL) * 1000 +
	    (uint64_t)getpid();
	fprintf(stderr, "CACHE_TEST_SEED=%llu\n", (unsigned long long)seed);
	snprintf(base, sizeof(base), "%s/firn-cache-XXXXXX", tmp ? tmp :
	    "/tmp");
	if (mkdtemp(base) == NULL)
		return -1;
	snprintf(dir, sizeof(dir), "%s/cache", base);
	log_init("test", LOG_LEVEL_INFO);
	log_set_hook(on_log, NULL);
	return 0;
}

static inline int
group_teardown(void **state)
{
	(void)state;
	clear(dir);
	rmdir(base);
	return 0;
}

#endif
