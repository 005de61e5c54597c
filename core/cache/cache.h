/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier: cells of packs on the local disk, as they lie in the store
 * (sealed).  A cell is the piece [n * 1 MiB, (n + 1) * 1 MiB) of a pack,
 * shorter at its end.  Never the only copy of anything; the directory may be
 * deleted at any time, also while in use.
 *
 * The limit is hard: room is made before a cell is written, and what lies on
 * disk (data and bookkeeping, in blocks as du counts) never exceeds it.
 * Contents survive crash and reboot; each cell has a checksum that is verified
 * when it is read, so a torn or rotten cell is a miss, never an answer; the
 * AEAD tags of frames come on top.  Opening does not scan: it costs the same
 * for an empty and for a full cache.
 *
 * Replacement is scan-resistant (S3-FIFO or SIEVE); meta cells go last: data
 * is evicted first while data takes more than a tenth of the limit.
 *
 * One process at a time owns a directory (flock).  A second opener gets a
 * cache that reads what is there and writes nothing.
 * All calls may come from any thread at once; no lock is held across disk I/O
 * of another cell.
 */
#ifndef FIRN_CACHE_CACHE_H
#define FIRN_CACHE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

#define CACHE_CELL_SIZE	FORMAT_GRID
#define CACHE_LIMIT_MIN	(64ull << 20)

struct cache;

/*
 * Open or make the cache in `dir` with at most `limit` bytes (at least
 * CACHE_LIMIT_MIN, else -EINVAL); a smaller limit than last time evicts.
 * What cannot be used is removed and begun anew, with a warning.
 * Errors are logged.
 */
int cache_open(const char *dir, uint64_t limit, struct cache **out);
void cache_close(struct cache *c);

/*
 * Read a cell into buf (room for CACHE_CELL_SIZE).  1 and its length, or 0
 * when it is not there.  A disk that fails to read is a miss, logged once.
 */
int cache_get(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, void *buf, size_t *len);
/* Is it there, without reading it or counting as a use. */
int cache_has(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE],
    uint32_t cell);
/*
 * Keep a cell.  0 also when it was not kept (full of more valuable cells, read
 * only, no room on the disk): a cache that fails is logged once and never
 * fails the caller.
 */
void cache_put(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, const void *data,
    size_t len);
/* A reader found that it does not authenticate. */
void cache_drop(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE],
    uint32_t cell);

struct cache_stats {
	uint64_t limit;
	uint64_t used;		/* bytes on disk */
	uint64_t cells_meta, cells_data;
	uint64_t hits, misses;	/* since open */
	uint64_t puts, evictions, bad;
	int readonly;
};
void cache_stats(struct cache *c, struct cache_stats *out);

#endif
