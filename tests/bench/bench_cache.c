/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of the cache tier beside plain reads and writes of one file:
 *
 *	bench_cache DIR [MiB]
 *
 * makes DIR/bench-cache with that limit (1024) and removes it.  All figures are
 * of a warm page cache: they show what the tier costs, not the disk.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cache/cache.h"
#include "cache/cache_internal.h"

#define CELL	CACHE_CELL_SIZE
#define RUNS	5	/* of which the fastest counts */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double
least(double a, double b)
{
	return a < b ? a : b;
}

static void
report(const char *what, double seconds, uint32_t cells, size_t len)
{
	printf("%-34s %8.2f GB/s %9.0f/s %8.1f us\n", what,
	    (double)cells * (double)len / seconds * 1e-9,
	    (double)cells / seconds, seconds / cells * 1e6);
}

static void
pack_of(uint32_t n, uint8_t pack[OBJECT_ID_SIZE])
{
	uint64_t v = n / 1024 + 1;
	int i;

	for (i = 0; i < 4; i++) {
		v = v * 6364136223846793005ull + 1442695040888963407ull;
		le64_put(pack + i * 8, v ^ v >> 29);
	}
}

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

struct job {
	struct cache *c;
	uint32_t cells, rounds;
	size_t len;
	pthread_t id;
};

static void *
get_all(void *arg)
{
	struct job *j = arg;
	uint8_t pack[OBJECT_ID_SIZE], *buf = malloc(CELL);
	uint32_t i;
	size_t len;

	for (i = 0; i < j->cells * j->rounds; i++) {
		pack_of(i % j->cells, pack);
		check(cache_get(j->c, PACK_DATA, pack, i % j->cells, buf,
		    &len) == 1, "get");
	}
	free(buf);
	return NULL;
}

static void
bench_get(struct cache *c, const char *what, uint32_t cells, uint32_t rounds,
    size_t len, int threads)
{
	struct job j[8];
	double best = 1e9, start;
	int i, run;

	for (run = 0; run < RUNS; run++) {
		start = now();
		for (i = 0; i < threads; i++) {
			j[i] = (struct job){ c, cells, rounds, len, 0 };
			pthread_create(&j[i].id, NULL, get_all, &j[i]);
		}
		for (i = 0; i < threads; i++)
			pthread_join(j[i].id, NULL);
		best = least(best, now() - start);
	}
	report(what, best, cells * rounds * (uint32_t)threads, len);
}

static void
bench_put(struct cache *c, const char *what, uint32_t first, uint32_t cells,
    const uint8_t *data, size_t len)
{
	uint8_t pack[OBJECT_ID_SIZE];
	double start = now();
	uint32_t i;

	for (i = first; i < first + cells; i++) {
		pack_of(i, pack);
		cache_put(c, PACK_DATA, pack, i, data, len);
	}
	report(what, now() - start, cells, len);
}

static void
plain_read(int fd, const char *what, uint32_t cells, uint32_t rounds,
    uint8_t *buf, size_t len)
{
	double best = 1e9, start;
	uint32_t i;
	size_t got;
	int run;

	for (run = 0; run < RUNS; run++) {
		start = now();
		for (i = 0; i < cells * rounds; i++)
			check(file_pread_full(fd, buf, len, (off_t)(i % cells) *
			    CELL, &got) == 0, "read");
		best = least(best, now() - start);
	}
	report(what, best, cells * rounds, len);
}

static void
plain_write(int fd, const char *what, uint32_t cells, const uint8_t *buf)
{
	double start = now();
	uint32_t i;

	for (i = 0; i < cells; i++)
		check(file_pwrite_full(fd, buf, CELL, (off_t)i * CELL) == 0,
		    "write");
	report(what, now() - start, cells, CELL);
}

static void
bench_plain(const char *path, uint32_t cells, uint8_t *buf)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	check(fd >= 0, path);
	plain_write(fd, "plain pwrite, new file", cells, buf);
	plain_write(fd, "plain pwrite, in place", cells, buf);
	plain_read(fd, "plain pread 1 MiB", cells, 1, buf, CELL);
	plain_read(fd, "plain pread 4 KiB", cells, 200, buf, 4096);
	close(fd);
	unlink(path);
}

static void
bench_sum(const uint8_t *buf)
{
	volatile uint64_t sink = 0;
	double best = 1e9, start;
	int i, run;

	for (run = 0; run < RUNS; run++) {
		start = now();
		for (i = 0; i < 1000; i++)
			sink += cache_sum((uint64_t)i, buf, CELL);
		best = least(best, now() - start);
	}
	report("checksum alone", best, 1000, CELL);
	(void)sink;
}

/* A cache of 100 GB in records only: what opening reads. */
static void
bench_open(const char *dir)
{
	uint64_t limit = 100000ull * CELL + (1ull << 30);
	uint8_t rec[CACHE_RECORD_SIZE];
	struct cache_stats st;
	struct cache *c;
	struct slot s;
	uint32_t i;
	double start = now();
	int round;

	check(cache_open(dir, limit, &c) == 0, "open");
	printf("open, empty, 100 GB: %.1f ms\n", (now() - start) * 1e3);
	for (i = 0; i < 100000; i++) {
		memset(&s, 0, sizeof(s));
		pack_of(i, s.pack);
		s.cell = i;
		s.len = CELL;
		s.seq = (uint64_t)i * 7919 % 100000;
		s.state = SLOT_LIVE;
		cache_record_encode(&s, i, rec);
		check(file_pwrite_full(c->slotsfd, rec, sizeof(rec),
		    CACHE_HEADER_SIZE + (off_t)i * CACHE_RECORD_SIZE) == 0,
		    "write");
	}
	cache_close(c);
	for (round = 0; round < 4; round++) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int slots = openat(fd, "slots", O_RDONLY | O_CLOEXEC);

		fsync(slots);
		if (round == 0)
			posix_fadvise(slots, 0, 0, POSIX_FADV_DONTNEED);
		close(slots);
		close(fd);
		start = now();
		check(cache_open(dir, limit, &c) == 0, "open");
		printf("open, 100000 cells, %s: %.1f ms", round ? "warm" :
		    "not in the page cache", (now() - start) * 1e3);
		cache_stats(c, &st);
		printf(" (%llu cells)\n", (unsigned long long)st.cells_data);
		start = now();
		cache_close(c);
		printf("close: %.1f ms\n", (now() - start) * 1e3);
	}
}

static void
clear(const char *dir)
{
	static const char *const name[] = { "lock", "slots", "cells" };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), i;

	if (fd < 0)
		return;
	for (i = 0; i < 3; i++)
		unlinkat(fd, name[i], 0);
	close(fd);
	rmdir(dir);
}

int
main(int argc, char **argv)
{
	char dir[1024], plain[1024];
	uint32_t mib = argc > 2 ? (uint32_t)atoi(argv[2]) : 1024, cells, i;
	uint8_t *buf = malloc(CELL);
	struct cache *c;

	if (argc < 2 || mib < 128 || buf == NULL) {
		fprintf(stderr, "usage: bench_cache DIR [MiB, 128 or more]\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s/bench-cache", argv[1]);
	snprintf(plain, sizeof(plain), "%s/bench-plain", argv[1]);
	clear(dir);
	for (i = 0; i < CELL; i++)
		buf[i] = (uint8_t)(i * 2654435761u >> 24);
	cells = mib - mib / 64 - 2;
	bench_sum(buf);
	bench_plain(plain, cells, buf);
	check(cache_open(dir, (uint64_t)mib << 20, &c) == 0, "open");
	bench_put(c, "put 1 MiB, empty cache", 0, cells, buf, CELL);
	bench_get(c, "get 1 MiB", cells, 1, CELL, 1);
	bench_get(c, "get 1 MiB, 2 threads", cells, 1, CELL, 2);
	bench_put(c, "put 1 MiB, full cache", cells, cells * 2, buf, CELL);
	cache_close(c);
	clear(dir);
	check(cache_open(dir, (uint64_t)mib << 20, &c) == 0, "open");
	bench_put(c, "put 4 KiB", 0, 1000, buf, 4096);
	bench_get(c, "get 4 KiB", 1000, 200, 4096, 1);
	bench_get(c, "get 4 KiB, 2 threads", 1000, 200, 4096, 2);
	cache_close(c);
	clear(dir);
	bench_open(dir);
	clear(dir);
	free(buf);
	return 0;
}
