/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker's AES-128 with VAES: two blocks an instruction with AVX2 (AMD
 * Zen 3, Intel client CPUs), four with AVX-512.
 *
 * Lane l of the vector loaded from p + k is the window at p + 16 * l + k.  So
 * the vectors from p + 0 .. p + 15 have every window of a batch once, without
 * any shuffling.  The last round is done for the same lane of four vectors by
 * one instruction (see chunker_diagonal): its dword 4 * l + w for vectors
 * 4 * g .. 4 * g + 3 is window 16 * l + 4 * g + w.
 */
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include "backup/chunker_internal.h"

/* The test defines these, to run this code where there is no VAES. */
#ifndef TARGET256
#define TARGET256	__attribute__((target("vaes,avx2")))
#define TARGET512	__attribute__((target("vaes,avx512f,avx512bw")))
#endif

#define BATCH256	32
#define BATCH512	64

/* Spelt out, so that the states are in registers at any optimisation. */
#define EACH8(X)	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define EACH16(X)                                                              \
	EACH8(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/*
 * Bit 16 * g + 4 * l + w of hits, of which one is set, is for window
 * 16 * l + 4 * g + w.
 */
static __attribute__((noinline)) size_t
first_window(uint64_t hits)
{
	uint64_t windows = 0;

	for (int g = 0; g < 4; g++)
		for (int l = 0; l < 4; l++)
			windows |= (hits >> (16 * g + 4 * l) & 15)
			    << (16 * l + 4 * g);
	return (size_t)__builtin_ctzll(windows);
}

static inline TARGET256 __m256i
round_key256(const struct chunker_key *key, int round)
{
	return _mm256_broadcastsi128_si256(
	    _mm_load_si128((const __m128i *)key->round[round]));
}

static inline TARGET256 __m256i
move256(__m256i s, int window)
{
	const __m128i *move = (const __m128i *)chunker_diagonal;

	return _mm256_shuffle_epi8(s, _mm256_broadcastsi128_si256(
	    _mm_loadu_si128(move + window)));
}

/* A group of four vectors: its windows that are cuts. */
static inline TARGET256 uint64_t
group256(const __m256i s[4], __m256i last, __m256i limit)
{
	__m256i v = _mm256_or_si256(
	    _mm256_or_si256(move256(s[0], 0), move256(s[1], 1)),
	    _mm256_or_si256(move256(s[2], 2), move256(s[3], 3)));

	v = _mm256_aesenclast_epi128(v, last);
	v = _mm256_cmpgt_epi32(limit, v);
	return (uint64_t)_mm256_movemask_ps(_mm256_castsi256_ps(v));
}

/* The vectors from p + 0 .. p + 7, before the last round. */
static inline TARGET256 void
encrypt256(const struct chunker_key *key, const uint8_t *p, __m256i s[8])
{
	__m256i rk = round_key256(key, 0);

#define LOAD(k)                                                                \
	s[k] = _mm256_xor_si256(                                               \
	    rk, _mm256_loadu_si256((const __m256i *)(p + k)));
	EACH8(LOAD)
#undef LOAD
#pragma GCC unroll 9
	for (int r = 1; r < CHUNKER_ROUNDS; r++) {
		rk = round_key256(key, r);
#define ROUND(k)	s[k] = _mm256_aesenc_epi128(s[k], rk);
		EACH8(ROUND)
#undef ROUND
	}
}

static TARGET256 size_t
vaes256_scan(const struct chunker_key *key, const uint8_t *p, size_t n)
{
	/* For want of an unsigned comparison, as in chunker_aesni.c. */
	__m256i bias = _mm256_set1_epi32(INT32_MIN);
	__m256i last = _mm256_xor_si256(bias,
	    _mm256_shuffle_epi32(round_key256(key, CHUNKER_ROUNDS), 0));
	__m256i limit =
	    _mm256_xor_si256(bias, _mm256_set1_epi32((int)key->threshold));

	for (size_t i = 0; i < n; i += BATCH256) {
		uint64_t hits;
		__m256i s[8];

		/* Not all sixteen at once: there are sixteen registers. */
		encrypt256(key, p + i, s);
		hits = group256(s, last, limit) |
		    group256(s + 4, last, limit) << 16;
		encrypt256(key, p + i + 8, s);
		hits |= group256(s, last, limit) << 32 |
		    group256(s + 4, last, limit) << 48;
		if (hits)
			return i + first_window(hits);
	}
	return n;
}

static TARGET256 void
vaes256_block(
    const struct chunker_key *key, const uint8_t in[16], uint8_t out[16])
{
	__m256i s = _mm256_broadcastsi128_si256(
	    _mm_loadu_si128((const __m128i *)in));

	s = _mm256_xor_si256(s, round_key256(key, 0));
	for (int r = 1; r < CHUNKER_ROUNDS; r++)
		s = _mm256_aesenc_epi128(s, round_key256(key, r));
	s = _mm256_aesenclast_epi128(s, round_key256(key, CHUNKER_ROUNDS));
	_mm_storeu_si128((__m128i *)out, _mm256_extracti128_si256(s, 1));
}

static inline TARGET512 __m512i
round_key512(const struct chunker_key *key, int round)
{
	return _mm512_broadcast_i32x4(
	    _mm_load_si128((const __m128i *)key->round[round]));
}

/*
 * A group of four vectors: its windows that are cuts.  Rotating under a byte
 * mask both moves the four bytes of a state and merges them.
 */
static inline TARGET512 uint64_t
group512(const __m512i s[4], __m512i last, __m512i limit)
{
	__m512i v = s[0];

	v = _mm512_mask_alignr_epi8(v, 0x4218421842184218, s[1], s[1], 12);
	v = _mm512_mask_alignr_epi8(v, 0x2184218421842184, s[2], s[2], 8);
	v = _mm512_mask_alignr_epi8(v, 0x1842184218421842, s[3], s[3], 4);
	v = _mm512_aesenclast_epi128(v, last);
	return _mm512_cmplt_epu32_mask(v, limit);
}

static TARGET512 size_t
vaes512_scan(const struct chunker_key *key, const uint8_t *p, size_t n)
{
	__m512i first = round_key512(key, 0);
	__m512i last =
	    _mm512_shuffle_epi32(round_key512(key, CHUNKER_ROUNDS), 0);
	__m512i limit = _mm512_set1_epi32((int)key->threshold);

	for (size_t i = 0; i < n; i += BATCH512) {
		const uint8_t *q = p + i;
		uint64_t hits;
		__m512i s[16];

#define LOAD(k) s[k] = _mm512_xor_si512(first, _mm512_loadu_si512(q + k));
		EACH16(LOAD)
#undef LOAD
#pragma GCC unroll 9
		for (int r = 1; r < CHUNKER_ROUNDS; r++) {
			__m512i rk = round_key512(key, r);

#define ROUND(k)	s[k] = _mm512_aesenc_epi128(s[k], rk);
			EACH16(ROUND)
#undef ROUND
		}
		hits = group512(s, last, limit) |
		    group512(s + 4, last, limit) << 16 |
		    group512(s + 8, last, limit) << 32 |
		    group512(s + 12, last, limit) << 48;
		if (hits)
			return i + first_window(hits);
	}
	return n;
}

static TARGET512 void
vaes512_block(
    const struct chunker_key *key, const uint8_t in[16], uint8_t out[16])
{
	__m512i s = _mm512_broadcast_i32x4(
	    _mm_loadu_si128((const __m128i *)in));

	s = _mm512_xor_si512(s, round_key512(key, 0));
	for (int r = 1; r < CHUNKER_ROUNDS; r++)
		s = _mm512_aesenc_epi128(s, round_key512(key, r));
	s = _mm512_aesenclast_epi128(s, round_key512(key, CHUNKER_ROUNDS));
	_mm_storeu_si128((__m128i *)out, _mm512_extracti32x4_epi32(s, 3));
}

/* By hand: clang before 15 does not know the name "vaes". */
static int
has_vaes(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 1);
}

/* These builtins also ask whether the kernel saves the registers. */
static int
vaes256_usable(void)
{
	return __builtin_cpu_supports("avx2") && has_vaes();
}

static int
vaes512_usable(void)
{
	return __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") && has_vaes();
}

const struct chunker_engine chunker_vaes256 = {
	.name = "vaes256",
	.usable = vaes256_usable,
	.batch = BATCH256,
	.scan = vaes256_scan,
	.block = vaes256_block,
};

const struct chunker_engine chunker_vaes512 = {
	.name = "vaes",
	.usable = vaes512_usable,
	.batch = BATCH512,
	.scan = vaes512_scan,
	.block = vaes512_block,
};
#endif
