/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed and size of the block index.
 *
 *	bench_index DIR [millions of entries] [entries a segment] [threads]
 *	    [look-ups a thread]
 *
 * Segments are added one by one, with random ids and packs of 64 entries; then
 * look-ups of ids that are there, and of others, by 1 thread and by more.
 * Prints one table.  DIR is left; when it has as many entries from an earlier
 * run, only the look-ups are done again.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "index/index.h"

#define PACK_ENTRIES	64
#define LOOKUPS		2000000u	/* unless told otherwise */

static double
now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A bijection, so that entry n of any run of this program has one id. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void
make_id(uint64_t n, uint8_t *id, size_t size)
{
	uint64_t v[4] = { mix(n + 1), mix(~n), 0, 0 };

	memcpy(id, v, size);
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

/* Resident bytes that are not of a file: what we allocated. */
static double
rss_anon_mib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "RssAnon: %lu", &kib);
	if (f != NULL)
		fclose(f);
	return (double)kib / 1024;
}

static int
add_segment(struct index *ix, uint64_t first, uint32_t n,
    struct segment_entry *e, struct segment_pack *packs)
{
	uint32_t npacks = (n + PACK_ENTRIES - 1) / PACK_ENTRIES, i;
	uint8_t name[OBJECT_ID_SIZE];
	uint64_t r;

	for (i = 0; i < npacks; i++) {
		make_id(first + i, packs[i].id, OBJECT_ID_SIZE);
		packs[i].id[31] = 1;
		packs[i].size = 32u << 20;
	}
	for (i = 0; i < n; i++) {
		r = mix(first + i + (UINT64_C(1) << 50));
		make_id(first + i, e[i].id, BLOCK_ID_SHORT);
		e[i].pack = i / PACK_ENTRIES;
		e[i].frame_off = (uint32_t)(i % PACK_ENTRIES) << 19;
		e[i].frame_len = 1 + (uint32_t)(r & 0xfffff);
		e[i].off = (uint32_t)(r >> 20 & 0xfffff);
		e[i].len = 1 + (uint32_t)(r >> 40 & 0x1fffff);
	}
	qsort(e, n, sizeof(*e), by_id);
	make_id(first, name, sizeof(name));
	return index_add_segment(ix, PACK_DATA, name, e, n, packs, npacks);
}

struct job {
	struct index *ix;
	uint64_t seed, range, base;
	uint32_t count, found;
	int has;
};

static void *
look_up(void *arg)
{
	struct job *j = arg;
	struct index_place at;
	uint8_t id[BLOCK_ID_SIZE];
	uint32_t i;

	for (i = 0; i < j->count; i++) {
		make_id(j->base + mix(j->seed + i) % j->range, id,
		    BLOCK_ID_SIZE);
		j->found += (j->has ? index_has(j->ix, PACK_DATA, id) :
		    index_find(j->ix, PACK_DATA, id, &at)) == 1;
	}
	return NULL;
}

static void
rate(struct index *ix, const char *what, unsigned threads, uint32_t count,
    uint64_t base, uint64_t range, int has)
{
	static unsigned calls;		/* so that each asks for other ids */
	struct job job[16];
	pthread_t tid[16];
	uint32_t found = 0;
	unsigned i;
	double t, cpu;

	for (i = 0; i < threads; i++)
		job[i] = (struct job){ ix, (uint64_t)++calls << 40, range,
		    base, count, 0, has };
	t = now(CLOCK_MONOTONIC);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < threads; i++)
		pthread_create(&tid[i], NULL, look_up, &job[i]);
	for (i = 0; i < threads; i++) {
		pthread_join(tid[i], NULL);
		found += job[i].found;
	}
	t = now(CLOCK_MONOTONIC) - t;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (found != (base == 0 ? threads * count : 0))
		printf("WRONG: %u found\n", found);
	printf("%-14s %2u thread%-10s %12.4f M/s %8.2f M a CPU second\n",
	    what, threads, threads > 1 ? "s" : "",
	    threads * (double)count / t / 1e6,
	    threads * (double)count / cpu / 1e6);
}

int
main(int argc, char **argv)
{
	static const uint8_t repo[16] = "bench";
	uint64_t total = (argc > 2 ? strtoull(argv[2], NULL, 10) : 10) *
	    1000000, done;
	uint32_t per = argc > 3 ? (uint32_t)atoi(argv[3]) : 100000;
	unsigned threads = argc > 4 ? (unsigned)atoi(argv[4]) : 2, t;
	uint32_t count = argc > 5 ? (uint32_t)atoi(argv[5]) : LOOKUPS;
	struct segment_entry *e = calloc(per, sizeof(*e));
	struct segment_pack *packs = calloc(per, sizeof(*packs));
	struct index_stats st;
	struct index *ix;
	double start, opening, in_index = 0, longest = 0, took, cpu;

	log_init("bench_index", LOG_LEVEL_INFO);
	opening = now(CLOCK_MONOTONIC);
	if (argc < 2 || threads > 16 || e == NULL || packs == NULL ||
	    index_open(argv[1], repo, &ix) != 0 ||
	    index_stats(ix, PACK_DATA, &st) != 0)
		return 2;
	opening = now(CLOCK_MONOTONIC) - opening;
	done = st.entries < total ? 0 : total;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	for (; done < total; done += per) {
		start = now(CLOCK_MONOTONIC);
		if (add_segment(ix, done, per, e, packs) != 0)
			return 1;
		took = now(CLOCK_MONOTONIC) - start;
		in_index += took;
		longest = took > longest ? took : longest;
	}
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	free(e);
	free(packs);
	if (index_stats(ix, PACK_DATA, &st) != 0)
		return 1;
	printf("%-28s %12llu\n", "entries",
	    (unsigned long long)st.entries);
	printf("%-28s %12llu\n", "runs", (unsigned long long)st.runs);
	printf("%-28s %12.2f\n", "bytes an entry on disk",
	    (double)st.bytes / (double)st.entries);
	printf("%-28s %12.4f s\n", "opening", opening);
	if (in_index > 0) {
		printf("%-28s %12.2f s\n", "adding, with sorting the input",
		    in_index);
		printf("%-28s %12.2f M/s %8.2f M a CPU second\n", "",
		    (double)total / in_index / 1e6, (double)total / cpu / 1e6);
		printf("%-28s %12.2f s\n", "longest add", longest);
	}
	for (t = 1; t <= threads; t++) {
		rate(ix, "find, there", t, count, 0, total, 0);
		rate(ix, "has, there", t, count, 0, total, 1);
		rate(ix, "find, absent", t, count, total + 1, total, 0);
	}
	printf("%-28s %12.1f MiB\n", "memory but for the map",
	    rss_anon_mib());
	index_close(ix);
	return 0;
}
