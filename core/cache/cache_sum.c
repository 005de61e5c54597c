/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checksum of cells and records: 64 bits against torn, rotten and
 * misplaced bytes.  Not against an adversary, whom the AEAD tags stop.
 *
 * Four lanes take a word each in turn.  A step (add, rotate, multiply by an odd
 * number) is a bijection of the lane for any word, so damage within one word is
 * always seen.  Two damaged words of a lane could cancel in it, where the
 * multiplication moves only the top bit; the second row of sums, of the states
 * that the lane went through, still differs then.
 */
#include "base/bytes.h"
#include "cache/cache_internal.h"

#define M1	0x9e6c63d0876a9a47ull	/* odd, half of the bits set */
#define M2	0xd1342543de82ef95ull
#define LANES	4
#define STRIDE	(LANES * 8)

static inline uint64_t
rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t
word(const uint8_t *p)
{
	uint64_t v;

	/* One load; le64_get() becomes one too, but not in every compiler. */
	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* Every bit of v reaches every bit of the result; a bijection. */
static inline uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 32) * M1;
	v = (v ^ v >> 29) * M2;
	return v ^ v >> 32;
}

uint64_t
cache_sum(uint64_t seed, const void *data, size_t len)
{
	uint64_t a0 = mix(seed + 1), a1 = mix(seed + 2), a2 = mix(seed + 3);
	uint64_t a3 = mix(seed + 4), b0 = 0, b1 = 0, b2 = 0, b3 = 0;
	uint8_t last[STRIDE] = { 0 };
	const uint8_t *p = data;
	size_t left = len;
	int tail;

	for (tail = 0; tail < 2; tail++) {
		for (; left >= STRIDE; left -= STRIDE, p += STRIDE) {
			a0 = rotate(a0 + word(p), 31) * M1;
			a1 = rotate(a1 + word(p + 8), 31) * M1;
			a2 = rotate(a2 + word(p + 16), 31) * M1;
			a3 = rotate(a3 + word(p + 24), 31) * M1;
			b0 += a0;
			b1 += a1;
			b2 += a2;
			b3 += a3;
		}
		if (left == 0)
			break;
		/* The rest, filled up with zeroes; len tells them apart. */
		memcpy(last, p, left);
		p = last;
		left = STRIDE;
	}
	a0 = mix(a0 + mix(a1 + mix(a2 + mix(a3 + len))));
	return mix(a0 + mix(b0 + mix(b1 + mix(b2 + mix(b3)))));
}

uint64_t
cache_cell_sum(const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell,
    const void *data, size_t len)
{
	return cache_sum(cache_sum(cell, pack, OBJECT_ID_SIZE), data, len);
}
