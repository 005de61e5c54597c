/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker's AES-128 with AES-NI.  Eight windows are under way at a time,
 * enough to hide the latency of aesenc; the last round is done for four
 * windows by one instruction (see chunker_diagonal).
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "backup/chunker_internal.h"

#define TARGET		__attribute__((target("aes,sse4.1")))
#define AESNI_BATCH	8

/* Spelt out, so that the states are in registers at any optimisation. */
#define EACH(X)	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

static inline TARGET __m128i
round_key(const struct chunker_key *key, int round)
{
	return _mm_load_si128((const __m128i *)key->round[round]);
}

/* The bytes of four states that the last round makes cuts of. */
static inline TARGET __m128i
merge(__m128i s0, __m128i s1, __m128i s2, __m128i s3)
{
	const __m128i *move = (const __m128i *)chunker_diagonal;

	s0 = _mm_shuffle_epi8(s0, _mm_loadu_si128(move));
	s1 = _mm_shuffle_epi8(s1, _mm_loadu_si128(move + 1));
	s2 = _mm_shuffle_epi8(s2, _mm_loadu_si128(move + 2));
	s3 = _mm_shuffle_epi8(s3, _mm_loadu_si128(move + 3));
	return _mm_or_si128(_mm_or_si128(s0, s1), _mm_or_si128(s2, s3));
}

static TARGET size_t
aesni_scan(const struct chunker_key *key, const uint8_t *p, size_t n)
{
	/*
	 * There is no unsigned comparison: the highest bit is turned round on
	 * both sides, on one of them in the last round key.
	 */
	__m128i bias = _mm_set1_epi32(INT32_MIN);
	__m128i last = _mm_xor_si128(bias,
	    _mm_shuffle_epi32(round_key(key, CHUNKER_ROUNDS), 0));
	__m128i limit =
	    _mm_xor_si128(bias, _mm_set1_epi32((int)key->threshold));
	__m128i first = round_key(key, 0);

	for (size_t i = 0; i < n; i += AESNI_BATCH) {
		const uint8_t *q = p + i;
		__m128i s[8], low, high;
		int hit;

#define LOAD(k)                                                                \
	s[k] = _mm_xor_si128(first, _mm_loadu_si128((const __m128i *)(q + k)));
		EACH(LOAD)
#undef LOAD
#pragma GCC unroll 9
		for (int r = 1; r < CHUNKER_ROUNDS; r++) {
			__m128i rk = round_key(key, r);

#define ROUND(k)	s[k] = _mm_aesenc_si128(s[k], rk);
			EACH(ROUND)
#undef ROUND
		}
		low = _mm_aesenclast_si128(merge(s[0], s[1], s[2], s[3]), last);
		high = _mm_aesenclast_si128(
		    merge(s[4], s[5], s[6], s[7]), last);
		low = _mm_cmpgt_epi32(limit, low);
		high = _mm_cmpgt_epi32(limit, high);
		hit = _mm_movemask_ps(_mm_castsi128_ps(low)) |
		    _mm_movemask_ps(_mm_castsi128_ps(high)) << 4;
		if (hit)
			return i + (size_t)__builtin_ctz((unsigned)hit);
	}
	return n;
}

static TARGET void
aesni_block(
    const struct chunker_key *key, const uint8_t in[16], uint8_t out[16])
{
	__m128i s = _mm_loadu_si128((const __m128i *)in);

	s = _mm_xor_si128(s, round_key(key, 0));
	for (int r = 1; r < CHUNKER_ROUNDS; r++)
		s = _mm_aesenc_si128(s, round_key(key, r));
	s = _mm_aesenclast_si128(s, round_key(key, CHUNKER_ROUNDS));
	_mm_storeu_si128((__m128i *)out, s);
}

static int
aesni_usable(void)
{
	return __builtin_cpu_supports("aes") &&
	    __builtin_cpu_supports("sse4.1");
}

const struct chunker_engine chunker_aesni = {
	.name = "aesni",
	.usable = aesni_usable,
	.batch = AESNI_BATCH,
	.scan = aesni_scan,
	.block = aesni_block,
};
#endif
