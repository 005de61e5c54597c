/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker's AES-128 for any CPU: bitsliced, so without tables and in
 * constant time.  A word holds one bit of the state for 128 windows.
 *
 * That the windows overlap makes slicing cheap: bit b of byte i of all windows
 * is bit b of all bytes of the stream, moved by i.  ShiftRows is a choice of
 * names, and the comparison with the threshold is done on the sliced words as
 * well.  The word is two 64-bit halves that the compiler maps onto whatever
 * vector registers there are (SSE2, NEON).
 */
#include <string.h>

#include "backup/chunker_internal.h"

#define SOFT_BATCH	128

typedef uint64_t word __attribute__((vector_size(16)));

struct slices {
	word bit[16][8];	/* [byte of the state][bit, lowest first] */
};

static inline word
word_of(uint64_t v)
{
	return (word){ v, v };
}

/*
 * The S-box without its constant, which is in the round keys.  The circuit and
 * its names are those of Boyar and Peralta, "A depth-16 circuit for the AES
 * S-box", 2011; x0 and s0 are the highest bits.
 */
static inline void
sbox(word v[8])
{
	word x0 = v[7], x1 = v[6], x2 = v[5], x3 = v[4];
	word x4 = v[3], x5 = v[2], x6 = v[1], x7 = v[0];

	/* Into the tower field: linear. */
	word y14 = x3 ^ x5, y13 = x0 ^ x6, y9 = x0 ^ x3, y8 = x0 ^ x5;
	word t0 = x1 ^ x2;
	word y1 = t0 ^ x7, y4 = y1 ^ x3, y12 = y13 ^ y14, y2 = y1 ^ x0;
	word y5 = y1 ^ x6, y3 = y5 ^ y8;
	word t1 = x4 ^ y12;
	word y15 = t1 ^ x5, y20 = t1 ^ x1, y6 = y15 ^ x7, y10 = y15 ^ t0;
	word y11 = y20 ^ y9, y7 = x7 ^ y11, y17 = y10 ^ y11, y19 = y10 ^ y8;
	word y16 = t0 ^ y11, y21 = y13 ^ y16, y18 = x0 ^ y16;

	/* The inverse. */
	word t2 = y12 & y15, t4 = (y3 & y6) ^ t2, t6 = (y4 & x7) ^ t2;
	word t7 = y13 & y16, t9 = (y5 & y1) ^ t7, t11 = (y2 & y7) ^ t7;
	word t12 = y9 & y11, t14 = (y14 & y17) ^ t12, t16 = (y8 & y10) ^ t12;
	word t21 = t4 ^ t14 ^ y20, t22 = t6 ^ t16 ^ y19;
	word t23 = t9 ^ t14 ^ y21, t24 = t11 ^ t16 ^ y18;
	word t25 = t21 ^ t22, t26 = t21 & t23, t27 = t24 ^ t26;
	word t29 = (t25 & t27) ^ t22, t30 = t23 ^ t24, t31 = t22 ^ t26;
	word t33 = (t31 & t30) ^ t24, t34 = t23 ^ t33, t35 = t27 ^ t33;
	word t36 = t24 & t35, t37 = t36 ^ t34, t38 = t27 ^ t36;
	word t40 = t25 ^ (t29 & t38);
	word t41 = t40 ^ t37, t42 = t29 ^ t33, t43 = t29 ^ t40;
	word t44 = t33 ^ t37, t45 = t42 ^ t41;
	word z0 = t44 & y15, z1 = t37 & y6, z2 = t33 & x7, z3 = t43 & y16;
	word z4 = t40 & y1, z5 = t29 & y7, z6 = t42 & y11, z7 = t45 & y17;
	word z8 = t41 & y10, z9 = t44 & y12, z10 = t37 & y3, z11 = t33 & y4;
	word z12 = t43 & y13, z13 = t40 & y5, z14 = t29 & y2, z15 = t42 & y9;
	word z16 = t45 & y14, z17 = t41 & y8;

	/* Back, and the affine map: linear. */
	word t46 = z15 ^ z16, t47 = z10 ^ z11, t48 = z5 ^ z13, t49 = z9 ^ z10;
	word t50 = z2 ^ z12, t51 = z2 ^ z5, t52 = z7 ^ z8, t53 = z0 ^ z3;
	word t54 = z6 ^ z7, t55 = z16 ^ z17, t56 = z12 ^ t48, t57 = t50 ^ t53;
	word t58 = z4 ^ t46, t59 = z3 ^ t54, t60 = t46 ^ t57, t61 = z14 ^ t57;
	word t62 = t52 ^ t58, t63 = t49 ^ t58, t64 = z4 ^ t59, t65 = t61 ^ t62;
	word t66 = z1 ^ t63, t67 = t64 ^ t65, s3 = t53 ^ t66;

	v[7] = t59 ^ t63;
	v[6] = t64 ^ s3;
	v[5] = t55 ^ t67;
	v[4] = s3;
	v[3] = t51 ^ t66;
	v[2] = t47 ^ t65;
	v[1] = t56 ^ t62;
	v[0] = t48 ^ t60;
}

static void
add_key(const uint64_t plane[128], struct slices *s)
{
	for (int i = 0; i < 128; i++)
		s->bit[i / 8][i % 8] ^= word_of(plane[i]);
}

/* Where ShiftRows takes byte i of its output from. */
static inline int
shift_rows(int i)
{
	return (i + 4 * (i % 4)) % 16;
}

/*
 * ShiftRows, MixColumns and AddRoundKey for one column of the result.  Row r
 * is 2 (a[r] + a[r+1]) + a[r+1] + a[r+2] + a[r+3]; twice a byte is its bits one
 * place up, and the highest one added to bits 0, 1, 3 and 4.
 */
static inline void
mix_column(const uint64_t *plane, const struct slices *in, int column,
    struct slices *out)
{
	const word *a[4];
	word top[4], below[4];

#pragma GCC unroll 4
	for (int r = 0; r < 4; r++) {
		a[r] = in->bit[shift_rows(4 * column + r)];
		below[r] = word_of(0);
	}
#pragma GCC unroll 4
	for (int r = 0; r < 4; r++)
		top[r] = a[r][7] ^ a[(r + 1) % 4][7];
#pragma GCC unroll 8
	for (int b = 0; b < 8; b++) {
		word pair[4];

#pragma GCC unroll 4
		for (int r = 0; r < 4; r++)
			pair[r] = a[r][b] ^ a[(r + 1) % 4][b];
#pragma GCC unroll 4
		for (int r = 0; r < 4; r++) {
			int i = 4 * column + r;
			word v = below[r] ^ a[(r + 1) % 4][b] ^
			    pair[(r + 2) % 4] ^ word_of(plane[8 * i + b]);

			if (0x1b >> b & 1)
				v ^= top[r];
			out->bit[i][b] = v;
			below[r] = pair[r];
		}
	}
}

/* All rounds but the last, of s[0]; s[1] has the result. */
static void
encrypt(const struct chunker_key *key, struct slices s[2])
{
	add_key(key->plane[0], s);
	for (int r = 1; r < CHUNKER_ROUNDS; r++) {
		struct slices *in = &s[(r + 1) % 2];

		for (int i = 0; i < 16; i++)
			sbox(in->bit[i]);
		for (int column = 0; column < 4; column++)
			mix_column(key->plane[r], in, column, &s[r % 2]);
	}
}

/* Byte i of the cipher's output. */
static inline void
last_round(const struct chunker_key *key, const struct slices *s, int i,
    word out[8])
{
	memcpy(out, s->bit[shift_rows(i)], sizeof(word[8]));
	sbox(out);
	for (int b = 0; b < 8; b++)
		out[b] ^= word_of(key->plane[CHUNKER_ROUNDS][8 * i + b]);
}

/* Of the bytes of v, lowest first: byte b of the result has their bits b. */
static inline uint64_t
transpose8(uint64_t v)
{
	uint64_t t;

	t = (v ^ v >> 7) & 0x00aa00aa00aa00aa;
	v ^= t ^ t << 7;
	t = (v ^ v >> 14) & 0x0000cccc0000cccc;
	v ^= t ^ t << 14;
	t = (v ^ v >> 28) & 0x00000000f0f0f0f0;
	return v ^ t ^ t << 28;
}

/* The windows at p[0] .. p[127]. */
static void
load(const uint8_t *p, struct slices *s)
{
	/* Bit j of plane b: bit b of p[j].  The last 49 bits stay zero. */
	uint64_t plane[8][3] = { { 0 } };

	for (int j = 0; j < SOFT_BATCH + CHUNKER_WINDOW - 1; j += 8) {
		uint64_t v = 0;

		for (int k = 0; k < 8; k++)
			if (j + k < SOFT_BATCH + CHUNKER_WINDOW - 1)
				v |= (uint64_t)p[j + k] << 8 * k;
		v = transpose8(v);
		for (int b = 0; b < 8; b++)
			plane[b][j / 64] |= (v >> 8 * b & 0xff) << j % 64;
	}
	for (int b = 0; b < 8; b++) {
		word low = { plane[b][0], plane[b][1] };
		word high = { plane[b][1], plane[b][2] };

		for (int i = 0; i < 16; i++)
			s->bit[i][b] = low >> i | high << 1 << (63 - i);
	}
}

/* The windows, a bit each, whose first four bytes are below the threshold. */
static word
below_threshold(const struct chunker_key *key, const struct slices *s)
{
	word less = word_of(0);

	/* From the lowest bit up, a higher one outvotes what was before. */
	for (int i = 0; i < 4; i++) {
		word v[8];

		last_round(key, s, i, v);
		for (int b = 0; b < 8; b++) {
			if (key->threshold >> (8 * i + b) & 1)
				less |= ~v[b];
			else
				less &= ~v[b];
		}
	}
	return less;
}

static size_t
soft_scan(const struct chunker_key *key, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += SOFT_BATCH) {
		struct slices s[2];
		word hit;

		load(p + i, &s[0]);
		encrypt(key, s);
		hit = below_threshold(key, &s[1]);
		if (hit[0])
			return i + (size_t)__builtin_ctzll(hit[0]);
		if (hit[1])
			return i + 64 + (size_t)__builtin_ctzll(hit[1]);
	}
	return n;
}

static void
soft_block(
    const struct chunker_key *key, const uint8_t in[16], uint8_t out[16])
{
	struct slices s[2];

	for (int i = 0; i < 128; i++)
		s[0].bit[i / 8][i % 8] = word_of(in[i / 8] >> i % 8 & 1);
	encrypt(key, s);
	for (int i = 0; i < 16; i++) {
		word v[8];

		last_round(key, &s[1], i, v);
		out[i] = 0;
		for (int b = 0; b < 8; b++)
			out[i] |= (uint8_t)((v[b][0] & 1) << b);
	}
}

static int
soft_usable(void)
{
	return 1;
}

const struct chunker_engine chunker_soft = {
	.name = "portable",
	.usable = soft_usable,
	.batch = SOFT_BATCH,
	.scan = soft_scan,
	.block = soft_block,
};
