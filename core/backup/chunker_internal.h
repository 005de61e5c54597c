/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an implementation of the chunker's pseudo-random function is.  For the
 * chunker's own files and its test.
 */
#ifndef FIRN_BACKUP_CHUNKER_INTERNAL_H
#define FIRN_BACKUP_CHUNKER_INTERNAL_H

#include "backup/chunker.h"

#define CHUNKER_ROUNDS		10
#define CHUNKER_WINDOW		16	/* bytes; an AES block */
#define CHUNKER_BATCH_MAX	128	/* most that a batch may be */

struct chunker_key {
	/* The key schedule of FIPS 197. */
	uint8_t round[CHUNKER_ROUNDS + 1][16] __attribute__((aligned(16)));
	/*
	 * The same for bitslicing: bit b of byte i of a round key stands at
	 * [8 * i + b] as all zeros or all ones.  From round 1 on the S-box's
	 * constant 63h is added in: it passes MixColumns unchanged.
	 */
	uint64_t plane[CHUNKER_ROUNDS + 1][128];
	uint32_t threshold;
};

struct chunker_engine {
	const char *name;
	/* Has this CPU, and the kernel for its registers, what it takes? */
	int (*usable)(void);
	size_t batch;	/* windows, at most CHUNKER_BATCH_MAX */
	/*
	 * The first i < n for which the window p[i .. i+15] is a cut, or n.
	 * n is a multiple of batch.  Reads p[0 .. n+14].
	 */
	size_t (*scan)(const struct chunker_key *key, const uint8_t *p,
	    size_t n);
	/* AES-128 of one block, by the same instructions: for tests. */
	void (*block)(const struct chunker_key *key, const uint8_t in[16],
	    uint8_t out[16]);
};

struct chunker {
	struct chunker_key key;
	const struct chunker_engine *engine;
	size_t min;
	size_t max;
};

extern const struct chunker_engine chunker_soft;
#if defined(__x86_64__)
extern const struct chunker_engine chunker_aesni;
extern const struct chunker_engine chunker_vaes256;
extern const struct chunker_engine chunker_vaes512;
#endif

/* All there are, the fastest first, ended by NULL. */
extern const struct chunker_engine *const chunker_engines[];

#if defined(__x86_64__)
/*
 * A cut needs only the first column of the cipher's output, and that only four
 * bytes of the state before the last round: those that ShiftRows brings there,
 * 0, 5, 10 and 15.  So the last round is done for four windows at once.  Of
 * window w these four bytes are moved on by w columns, from where ShiftRows
 * brings them into column w: as a pshufb control, zeros elsewhere.
 */
static const uint8_t chunker_diagonal[4][16] __attribute__((unused)) = {
	{ 0, 128, 128, 128, 128, 5, 128, 128, 128, 128, 10, 128, 128, 128,
	    128, 15 },
	{ 128, 128, 128, 15, 0, 128, 128, 128, 128, 5, 128, 128, 128, 128,
	    10, 128 },
	{ 128, 128, 10, 128, 128, 128, 128, 15, 0, 128, 128, 128, 128, 5,
	    128, 128 },
	{ 128, 5, 128, 128, 128, 128, 10, 128, 128, 128, 128, 15, 0, 128,
	    128, 128 },
};
#endif

#endif
