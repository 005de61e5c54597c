/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content-defined chunking that reveals nothing of its key.
 *
 * A chunk ends after its byte i if the first four bytes, little-endian, of
 * AES-128(key, bytes i-15 .. i) are below a threshold.  The first byte asked
 * is the one that makes the chunk `min` long, and a chunk that has grown to
 * `max` ends there.  With target T in bytes:
 *
 *	min = 2T/5 (rounded down)	max = 4T
 *	threshold = 2^32 / (T - min) (rounded down)
 *
 * so that the lengths of chunks of random data are min plus an exponential of
 * mean T - min, cut off at max: 0.15 % below T in the mean.  Runs and data of
 * a period of at most 16 bytes give chunks of min or of max.
 *
 * There is no rolling state: whether a byte is a cut depends on 16 bytes and
 * on where the chunk began, and on nothing else.  Cutting on a pseudo-random
 * function of the window rather than on a keyed rolling hash is what keeps
 * the chunk lengths from giving away the key (Truong, Merz, Scarlata, Guenther
 * and Paterson, "Breaking and Fixing Content-Defined Chunking", 2025).
 *
 * Every implementation gives the same cuts; the fastest that the CPU has is
 * taken.  None has branches or addresses that depend on the key or the data,
 * but for where the cuts are.  Nothing here blocks or logs.
 */
#ifndef FIRN_BACKUP_CHUNKER_H
#define FIRN_BACKUP_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#define CHUNKER_KEY_SIZE	16
#define CHUNKER_TARGET_MIN	((size_t)4 << 10)
#define CHUNKER_TARGET_MAX	((size_t)64 << 20)

struct chunker;

/*
 * target is in bytes, CHUNKER_TARGET_MIN to CHUNKER_TARGET_MAX and not
 * necessarily a power of two; else -EINVAL.  -ENOMEM.  The key is copied.
 */
int chunker_new(const uint8_t key[CHUNKER_KEY_SIZE], size_t target,
    struct chunker **out);
/* Wipes the key. */
void chunker_free(struct chunker *self);

/* Bytes.  Data of at most min bytes are one chunk. */
size_t chunker_min(const struct chunker *self);
size_t chunker_max(const struct chunker *self);

/*
 * Length of the first chunk of data[0..len), where a chunk begins at data[0];
 * the next one begins behind it.  `eof` says that the stream ends after these
 * bytes: then what is left without a cut is a chunk too.  0 when more bytes
 * are needed to decide, which happens only without eof and below max; and
 * when len is 0.  Reads nothing outside data[0..len).  Any number of threads
 * may use one chunker.
 */
size_t chunker_cut(const struct chunker *self, const uint8_t *data, size_t len,
    int eof);
/*
 * The same for a caller who was told 0 for the first `scanned` of these bytes:
 * they are not scanned again.
 */
size_t chunker_cut_from(const struct chunker *self, const uint8_t *data,
    size_t len, size_t scanned, int eof);

/*
 * "vaes" (AVX-512), "vaes256" (AVX2), "aesni" or "portable": for logs and
 * tests.
 */
const char *chunker_impl(const struct chunker *self);
/*
 * For tests and benchmarks: forces an implementation; not while another thread
 * uses the chunker.  -ENOTSUP where the CPU lacks it, -EINVAL for a name that
 * does not exist.
 */
int chunker_select(struct chunker *self, const char *impl);

#endif
