/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the chunker share: its definition, and the implementations.
 * FIRN_TEST_SEED repeats a run.
 *
 * The VAES code runs on processors without VAES as well: it is compiled here
 * once more with the two instructions made up of AES-NI.  That takes AVX2, or
 * AVX-512, only.
 */
#ifndef FIRN_TESTS_CHUNKER_TEST_H
#define FIRN_TESTS_CHUNKER_TEST_H

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

/* Those that this CPU can run, the portable one first. */
static const struct chunker_engine *engines[ENGINES_MAX];
static int engine_count;

static uint64_t rnd_state;

/* splitmix64 (public domain, S. Vigna). */
static inline uint64_t
rnd(void)
{
	uint64_t z = (rnd_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline void
rnd_fill(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = rnd();

		memcpy(out + i, &v, len - i < 8 ? len - i : 8);
	}
}

static inline uint8_t *
bytes_new(size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	return p;
}

static inline uint8_t *
rnd_new(size_t len)
{
	uint8_t *p = bytes_new(len);

	rnd_fill(p, len);
	return p;
}

static inline struct chunker *
chunker(size_t target)
{
	struct chunker *c;
	uint8_t key[CHUNKER_KEY_SIZE];

	rnd_fill(key, sizeof(key));
	assert_int_equal(chunker_new(key, target, &c), 0);
	return c;
}

/* The definition, word for word. */
static inline size_t
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
static inline void
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
static inline void
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

static inline void
add_engine(const struct chunker_engine *engine, int usable, const char *note)
{
	print_message("%s%s: %s\n", engine->name, note,
	    usable ? "tested" : "not on this CPU");
	if (usable)
		engines[engine_count++] = engine;
}

static inline void
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

static inline int
group_setup(void **state)
{
	const char *seed = getenv("FIRN_TEST_SEED");

	(void)state;
	rnd_state = seed ? strtoull(seed, NULL, 0)
			 : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	print_message("FIRN_TEST_SEED=0x%llx\n", (unsigned long long)rnd_state);
	find_engines();
	return 0;
}

#endif
