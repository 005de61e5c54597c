/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of the chunker on random data, in CPU time of the one thread.
 *
 *	bench_chunker [MiB] [implementation]
 *
 * For each implementation that the CPU has, and for targets of 64 KiB and 512
 * KiB: bytes a second, of the whole stream and of what is scanned (the minimum
 * of a chunk is not), and the mean chunk.  The best of five passes.  Slow
 * implementations get a part of the data.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backup/chunker.h"

#define PASSES		5
#define PASS_SECONDS	2.0	/* a pass that takes longer is cut short */
#define CLOCK_BYTES	(1 << 20)	/* looks at the clock so often */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* xorshift64*: the chunker cannot tell it from better. */
static void
fill(uint8_t *out, size_t len)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v;

		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		v = x * 0x2545f4914f6cdd1du;
		memcpy(out + i, &v, 8);
	}
}

static void
bench(const struct chunker *c, size_t target, const uint8_t *data, size_t len)
{
	double best = 0, best_scan = 0, mean = 0;

	for (int pass = 0; pass < PASSES; pass++) {
		size_t at = 0, n = 0, next = 0;
		double start = now(), seconds = 0, scanned;

		while (at < len && seconds < PASS_SECONDS) {
			at += chunker_cut(c, data + at, len - at, 1);
			n++;
			if (at < next && at < len)
				continue;
			seconds = now() - start;
			next = at + CLOCK_BYTES;
		}
		if ((double)at / seconds <= best)
			continue;
		scanned = (double)at - (double)n * (double)chunker_min(c);
		best = (double)at / seconds;
		best_scan = scanned / seconds;
		mean = (double)at / (double)n;
	}
	printf("%-10s %8zu %8.3f %8.3f %10.0f\n", chunker_impl(c), target,
	    best / 1e9, best_scan / 1e9, mean);
}

int
main(int argc, char **argv)
{
	static const char *const impls[] = { "vaes", "vaes256", "aesni",
		"portable" };
	static const size_t targets[2] = { 64 << 10, 512 << 10 };
	size_t len = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 20;
	const char *only = argc > 2 ? argv[2] : NULL;
	uint8_t key[CHUNKER_KEY_SIZE] = { 1, 2, 3 };
	uint8_t *data = len ? malloc(len) : NULL;

	if (!data) {
		fprintf(stderr, "bench_chunker: no %zu bytes\n", len);
		return 1;
	}
	fill(data, len);
	printf("%-10s %8s %8s %8s %10s\n", "", "target", "GB/s", "scanned",
	    "mean chunk");
	for (size_t i = 0; i < sizeof(impls) / sizeof(*impls); i++) {
		if (only && strcmp(only, impls[i]) != 0)
			continue;
		for (int t = 0; t < 2; t++) {
			struct chunker *c;

			if (chunker_new(key, targets[t], &c))
				return 1;
			if (!chunker_select(c, impls[i]))
				bench(c, targets[t], data, len);
			chunker_free(c);
		}
	}
	free(data);
	return 0;
}
