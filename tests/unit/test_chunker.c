/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker against its definition, and its implementations against each
 * other.  FIRN_TEST_SEED repeats a run.
 *
 * The VAES code runs on processors without VAES as well: it is compiled here
 * once more with the two instructions made up of AES-NI.  That takes AVX2, or
 * AVX-512, only.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/chunker.h"
#include "backup/chunker_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET256	__attribute__((target("aes,avx2")))
#define TARGET512	__attribute__((target("aes,avx512f,avx512bw")))

#define EMULATE(bits, target, lanes, name, step)                               \
	static inline target __m##bits##i                                      \
	name(__m##bits##i state, __m##bits##i key)                             \
	{                                                                      \
		union {                                                        \
			__m##bits##i v;                                        \
			__m128i lane[lanes];                                   \
		} s = { state }, k = { key };                                  \
                                                                               \
		for (int l = 0; l < lanes; l++)                                \
			s.lane[l] = step(s.lane[l], k.lane[l]);                \
		return s.v;                                                    \
	}
EMULATE(256, TARGET256, 2, emu256_enc, _mm_aesenc_si128)
EMULATE(256, TARGET256, 2, emu256_last, _mm_aesenclast_si128)
EMULATE(512, TARGET512, 4, emu512_enc, _mm_aesenc_si128)
EMULATE(512, TARGET512, 4, emu512_last, _mm_aesenclast_si128)

#undef _mm256_aesenc_epi128
#undef _mm256_aesenclast_epi128
#undef _mm512_aesenc_epi128
#undef _mm512_aesenclast_epi128
#define _mm256_aesenc_epi128		emu256_enc
#define _mm256_aesenclast_epi128	emu256_last
#define _mm512_aesenc_epi128		emu512_enc
#define _mm512_aesenclast_epi128	emu512_last
#define chunker_vaes256			emulated_vaes256
#define chunker_vaes512			emulated_vaes512
#include "backup/chunker_vaes.c"
#undef chunker_vaes256
#undef chunker_vaes512
#endif

#define MIB		((size_t)1 << 20)
#define ENGINES_MAX	8

/* FIPS 197, appendix A.1 and B. */
static const uint8_t fips_key[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2,
	0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };

/* Those that this CPU can run, the portable one first. */
static const struct chunker_engine *engines[ENGINES_MAX];
static int engine_count;

static uint64_t rnd_state;

/* splitmix64 (public domain, S. Vigna). */
static uint64_t
rnd(void)
{
	uint64_t z = (rnd_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
rnd_fill(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = rnd();

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
}

static uint8_t *
bytes_new(size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	return p;
}

static uint8_t *
rnd_new(size_t len)
{
	uint8_t *p = bytes_new(len);

	rnd_fill(p, len);
	return p;
}

static struct chunker *
chunker(size_t target)
{
	struct chunker *c;
	uint8_t key[CHUNKER_KEY_SIZE];

	rnd_fill(key, sizeof(key));
	assert_int_equal(chunker_new(key, target, &c), 0);
	return c;
}

/* The definition, word for word. */
static size_t
reference(const struct chunker *c, size_t target, const uint8_t *data,
    size_t len, int eof)
{
	const struct chunker_engine *aes = engines[engine_count > 1];
	size_t min = target * 2 / 5, max = target * 4;
	uint32_t threshold = (uint32_t)(4294967296u / (target - min));

	for (size_t n = 1; n <= len; n++) {
		uint8_t out[16];
		uint32_t low;

		if (n == max)
			return n;
		if (n < min)
			continue;
		aes->block(&c->key, data + n - 16, out);
		low = out[0] | out[1] << 8 | out[2] << 16 |
		    (uint32_t)out[3] << 24;
		if (low < threshold)
			return n;
	}
	return eof ? len : 0;
}

/* Every engine cuts all of data as the definition does. */
static void
check_cuts(size_t target, const uint8_t *data, size_t len)
{
	struct chunker *c = chunker(target);
	size_t at, cut;

	for (at = 0; at < len; at += cut) {
		cut = reference(c, target, data + at, len - at, 1);
		for (int e = 0; e < engine_count; e++) {
			c->engine = engines[e];
			assert_int_equal(
			    chunker_cut(c, data + at, len - at, 1), cut);
		}
	}
	chunker_free(c);
}

/* Every engine answers for exactly these bytes as the definition does. */
static void
check_one(struct chunker *c, size_t target, const uint8_t *data, size_t len)
{
	for (int eof = 0; eof < 2; eof++) {
		size_t cut = reference(c, target, data, len, eof);

		for (int e = 0; e < engine_count; e++) {
			c->engine = engines[e];
			assert_int_equal(chunker_cut(c, data, len, eof), cut);
		}
	}
}

static void
test_fips_197(void **state)
{
	static const uint8_t last_round_key[16] = { 0xd0, 0x14, 0xf9, 0xa8,
		0xc9, 0xee, 0x25, 0x89, 0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63,
		0x0c, 0xa6 };
	static const uint8_t in[16] = { 0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a,
		0x30, 0x8d, 0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34 };
	static const uint8_t want[16] = { 0x39, 0x25, 0x84, 0x1d, 0x02, 0xdc,
		0x09, 0xfb, 0xdc, 0x11, 0x85, 0x97, 0x19, 0x6a, 0x0b, 0x32 };
	/* Appendix C.1: key 00 01 .. 0f, input 00 11 .. ff. */
	static const uint8_t want_c1[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a,
		0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5,
		0x5a };
	struct chunker *b, *c1;
	uint8_t key[16], plain[16], out[16];

	(void)state;
	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		plain[i] = (uint8_t)(i * 0x11);
	}
	assert_int_equal(chunker_new(fips_key, 4096, &b), 0);
	assert_int_equal(chunker_new(key, 4096, &c1), 0);
	assert_memory_equal(b->key.round[10], last_round_key, 16);
	for (int e = 0; e < engine_count; e++) {
		engines[e]->block(&b->key, in, out);
		assert_memory_equal(out, want, 16);
		engines[e]->block(&c1->key, plain, out);
		assert_memory_equal(out, want_c1, 16);
	}
	chunker_free(b);
	chunker_free(c1);
}

static void
test_blocks_agree(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct chunker *c = chunker(4096);
		uint8_t in[16], want[16], out[16];

		rnd_fill(in, sizeof(in));
		engines[0]->block(&c->key, in, want);
		for (int e = 1; e < engine_count; e++) {
			engines[e]->block(&c->key, in, out);
			assert_memory_equal(out, want, 16);
		}
		chunker_free(c);
	}
}

/* Every window is found, wherever it lies in a batch. */
static void
test_scan_finds_each(void **state)
{
	struct chunker *c = chunker(4096);
	size_t len = 512;
	uint8_t *data = rnd_new(len + CHUNKER_WINDOW - 1);

	(void)state;
	/* A cut every few windows. */
	c->key.threshold = UINT32_MAX / 23;
	for (size_t at = 0; at < len; at += c->engine->batch) {
		for (int e = 0; e < engine_count; e++) {
			size_t n = engines[e]->batch, want = 0;
			uint8_t out[16];
			uint32_t low;

			if (at + n > len)
				continue;
			for (; want < n; want++) {
				engines[0]->block(
				    &c->key, data + at + want, out);
				memcpy(&low, out, 4);
				if (low < c->key.threshold)
					break;
			}
			assert_int_equal(
			    engines[e]->scan(&c->key, data + at, n), want);
		}
	}
	free(data);

	/* Random positions, the same for all. */
	data = rnd_new(MIB);
	for (int i = 0; i < 20000; i++) {
		const uint8_t *p = data + rnd() % (MIB - 1024);
		size_t want;

		c->key.threshold = (uint32_t)rnd() >> rnd() % 12;
		want = engines[0]->scan(&c->key, p, 256);
		for (int e = 1; e < engine_count; e++)
			assert_int_equal(
			    engines[e]->scan(&c->key, p, 256), want);
	}
	free(data);
	chunker_free(c);
}

static void
test_definition(void **state)
{
	static const size_t targets[] = { 4096, 5001, 16384, 65536 };
	uint8_t *data = rnd_new(MIB);

	(void)state;
	for (size_t t = 0; t < sizeof(targets) / sizeof(*targets); t++)
		check_cuts(targets[t], data + t, MIB - 3 * t);
	free(data);
}

static void
test_low_entropy(void **state)
{
	static const size_t periods[] = { 1, 2, 3, 7, 15, 16, 17, 32, 64,
		4096 };
	size_t len = 100000;
	uint8_t *data = bytes_new(len);

	(void)state;
	memset(data, 0, len);
	check_cuts(4096, data, len);
	for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++) {
		rnd_fill(data, periods[i]);
		for (size_t j = periods[i]; j < len; j++)
			data[j] = data[j - periods[i]];
		check_cuts(4096, data, len);
	}
	/* One period of a text as it occurs. */
	for (size_t j = 0; j < len; j++)
		data[j] = (uint8_t)"0123456789abcde\n"[j % 16];
	check_cuts(4096, data, len);
	free(data);
}

static void
test_lengths(void **state)
{
	static const size_t small[] = { 0, 1, 15, 16, 17, 31, 32, 33 };
	size_t target = 4096, min = target * 2 / 5, max = target * 4;
	uint8_t *data = rnd_new(max + 200);

	(void)state;
	for (int round = 0; round < 8; round++) {
		struct chunker *c = chunker(target);

		/* A random chunk hardly ever grows to max. */
		if (round % 2)
			memset(data, round, max + 200);
		for (size_t i = 0; i < sizeof(small) / sizeof(*small); i++)
			check_one(c, target, data, small[i]);
		for (size_t len = min - 5; len < min + 300; len++)
			check_one(c, target, data, len);
		for (size_t len = max - 5; len < max + 140; len += 6)
			check_one(c, target, data, len);
		assert_int_equal(chunker_cut(c, NULL, 0, 0), 0);
		assert_int_equal(chunker_cut(c, NULL, 0, 1), 0);
		rnd_fill(data, max + 200);
		chunker_free(c);
	}
	free(data);
}

static void
test_alignments(void **state)
{
	size_t target = 4096, len = 4 * target;
	uint8_t *data = rnd_new(len), *copy = NULL;

	(void)state;
	assert_int_equal(posix_memalign((void **)&copy, 64, len + 64), 0);
	for (size_t shift = 0; shift < 64; shift++) {
		struct chunker *c = chunker(target);

		memcpy(copy + shift, data, len);
		check_one(c, target, copy + shift, len);
		check_one(c, target, copy + shift, len / 2 + shift);
		chunker_free(c);
	}
	free(copy);
	free(data);
}

/* Feeds data in random pieces; returns the first cut. */
static size_t
cut_in_pieces(const struct chunker *c, const uint8_t *data, size_t len,
    size_t piece_max)
{
	size_t have = 0, scanned = 0, cut;

	do {
		scanned = have;
		have += rnd() % (piece_max + 1);
		if (have > len)
			have = len;
		cut = chunker_cut_from(c, data, have, scanned, have == len);
	} while (!cut);
	return cut;
}

static void
test_pieces(void **state)
{
	static const size_t pieces[] = { 1, 3, 40, 200, 5000, 40000 };
	size_t len = 300000;
	uint8_t *data = rnd_new(len);

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		for (int e = 0; e < engine_count; e++) {
			struct chunker *c = chunker(8192);
			size_t at, cut, stop = pieces[i] < 9 ? 50000 : len;

			c->engine = engines[e];
			for (at = 0; at < stop; at += cut) {
				cut = cut_in_pieces(
				    c, data + at, len - at, pieces[i]);
				assert_int_equal(cut,
				    chunker_cut(c, data + at, len - at, 1));
			}
			chunker_free(c);
		}
	}
	free(data);
}

/* However much was scanned before, the answer is the same. */
static void
test_cut_from(void **state)
{
	struct chunker *c = chunker(4096);
	uint8_t *data = rnd_new(16384);
	size_t cut = chunker_cut(c, data, 16384, 0);

	(void)state;
	for (int e = 0; e < engine_count; e++) {
		/* It takes its time. */
		size_t step = engines[e] == &chunker_soft ? 17 : 1;

		c->engine = engines[e];
		for (size_t scanned = 0; scanned < cut; scanned += step) {
			assert_int_equal(chunker_cut_from(
			    c, data, 16384, scanned, 0), cut);
			assert_int_equal(chunker_cut_from(
			    c, data, cut, scanned, 0), cut);
			assert_int_equal(chunker_cut_from(
			    c, data, cut - 1, scanned, 0), 0);
			assert_int_equal(chunker_cut_from(
			    c, data, cut - 1, scanned, 1), cut - 1);
		}
	}
	free(data);
	chunker_free(c);
}

/* Mean of min plus a geometric number of windows, cut off at max. */
static void
test_mean(void **state)
{
	size_t target = 65536, len = 256 * MIB, at = 0, n = 0, cut;
	struct chunker *c = chunker(target);
	uint8_t *data = rnd_new(len);
	double q = c->key.threshold / 4294967296.0;
	double range = (double)(c->max - c->min), want, mean;

	(void)state;
	while ((cut = chunker_cut(c, data + at, len - at, 0)) != 0) {
		assert_in_range(cut, c->min, c->max);
		at += cut;
		n++;
	}
	free(data);
	want = (double)c->min + (1 - q) * (1 - pow(1 - q, range)) / q;
	mean = (double)at / (double)n;
	print_message("mean of %zu chunks %.0f, expected %.0f\n", n, mean,
	    want);
	/* The deviation of the mean of 4096 is 0.9 %. */
	assert_true(fabs(mean / want - 1) < 0.05);
	assert_true(fabs(want / (double)target - 1) < 0.003);
	chunker_free(c);
}

/* One byte more in the middle, and soon the cuts are the same again. */
static void
test_insertion(void **state)
{
	size_t target = 4096, len = 4 * MIB, a = 0, b = 0;
	struct chunker *c = chunker(target);
	uint8_t *data = rnd_new(len), *more = bytes_new(len + 1);

	(void)state;
	memcpy(more, data, len / 2);
	more[len / 2] = 'x';
	memcpy(more + len / 2 + 1, data + len / 2, len / 2);
	/* Cuts of both up to the insertion, then until they fall together. */
	while (a <= len / 2 || a + 1 != b) {
		if (a < b || (a == b && a <= len / 2)) {
			if (a == b)
				b += chunker_cut(c, more + b, len + 1 - b, 1);
			a += chunker_cut(c, data + a, len - a, 1);
		} else {
			b += chunker_cut(c, more + b, len + 1 - b, 1);
		}
		if (a <= len / 2 && b <= len / 2)
			assert_int_equal(a, b);
	}
	print_message("together again after %zu bytes\n", a - len / 2);
	assert_true(a - len / 2 < 100 * target);
	for (; a < len; a += chunker_cut(c, data + a, len - a, 1), b = a + 1)
		assert_int_equal(chunker_cut(c, data + a, len - a, 1),
		    chunker_cut(c, more + b, len + 1 - b, 1));
	free(data);
	free(more);
	chunker_free(c);
}

static void
test_guard_pages(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 8 * page;
	size_t target = 4096, min = target * 2 / 5;
	uint8_t *map = mmap(NULL, room + 2 * page, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *low = map + page, *high = low + room;
	struct chunker *c = chunker(target);

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(low, room, PROT_READ | PROT_WRITE), 0);
	rnd_fill(low, room);
	for (size_t len = 0; len < 40; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	for (size_t len = min - 20; len < min + 400; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	for (size_t len = room - 200; len <= room; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	munmap(map, room + 2 * page);
	chunker_free(c);
}

/* Cuts that must never change: repositories hold what was cut so. */
static void
test_golden(void **state)
{
	static const size_t want[] = { 1992, 4474, 2296, 4675, 3740, 4162,
		11974, 3169 };
	uint64_t saved = rnd_state;
	struct chunker *c;
	uint8_t *data;

	(void)state;
	rnd_state = 0;
	data = rnd_new(MIB);
	rnd_state = saved;
	assert_int_equal(chunker_new(fips_key, 4096, &c), 0);
	for (int e = 0; e < engine_count; e++) {
		size_t at = 0;

		c->engine = engines[e];
		for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
			size_t cut = chunker_cut(c, data + at, MIB - at, 1);

			assert_int_equal(cut, want[i]);
			at += cut;
		}
	}
	free(data);
	chunker_free(c);
}

static void
test_interface(void **state)
{
	struct chunker *c;

	(void)state;
	assert_int_equal(
	    chunker_new(fips_key, CHUNKER_TARGET_MIN - 1, &c), -EINVAL);
	assert_null(c);
	assert_int_equal(
	    chunker_new(fips_key, CHUNKER_TARGET_MAX + 1, &c), -EINVAL);
	assert_int_equal(chunker_new(fips_key, CHUNKER_TARGET_MAX, &c), 0);
	assert_int_equal(chunker_max(c), CHUNKER_TARGET_MAX * 4);
	assert_int_equal(chunker_min(c), CHUNKER_TARGET_MAX * 2 / 5);
	assert_int_equal(chunker_select(c, "none"), -EINVAL);
	for (int i = 0; chunker_engines[i]; i++) {
		const char *name = chunker_engines[i]->name;

		if (!chunker_engines[i]->usable()) {
			assert_int_equal(chunker_select(c, name), -ENOTSUP);
			continue;
		}
		assert_int_equal(chunker_select(c, name), 0);
		assert_string_equal(chunker_impl(c), name);
	}
	chunker_free(c);
	chunker_free(NULL);
}

static void
add_engine(const struct chunker_engine *engine, int usable, const char *note)
{
	print_message("%s%s: %s\n", engine->name, note,
	    usable ? "tested" : "not on this CPU");
	if (usable)
		engines[engine_count++] = engine;
}

static void
find_engines(void)
{
	add_engine(&chunker_soft, 1, "");
#if defined(__x86_64__)
	int aes = chunker_aesni.usable();

	add_engine(&chunker_aesni, aes, "");
	add_engine(&chunker_vaes256, chunker_vaes256.usable(), "");
	add_engine(&chunker_vaes512, chunker_vaes512.usable(), "");
	add_engine(&emulated_vaes256, aes && __builtin_cpu_supports("avx2"),
	    " emulated");
	add_engine(&emulated_vaes512, aes &&
	    __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw"), " emulated");
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fips_197),
		cmocka_unit_test(test_blocks_agree),
		cmocka_unit_test(test_scan_finds_each),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_low_entropy),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_cut_from),
		cmocka_unit_test(test_mean),
		cmocka_unit_test(test_insertion),
		cmocka_unit_test(test_guard_pages),
		cmocka_unit_test(test_interface),
	};
	const char *seed = getenv("FIRN_TEST_SEED");

	rnd_state = seed ? strtoull(seed, NULL, 0)
			 : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	print_message("FIRN_TEST_SEED=0x%llx\n", (unsigned long long)rnd_state);
	find_engines();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
