/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier: cells of packs on the local disk, as they lie in the store
 * (sealed).  A cell is the piece [n * 1 MiB, (n + 1) * 1 MiB) of a pack,
 * shorter at its end.  Never the only copy of anything; the directory may be
 * deleted at any time, also while in use: the next put notices, gives the room
 * back and caches nothing more until the next open.
 *
 * The limit is hard: room is made before a cell is written, and what lies on
 * disk (data and bookkeeping, in blocks as du counts) never exceeds it; a 256th
 * part is kept free for what the file system adds.  The data file is sparse:
 * its apparent size says nothing.  On file systems that cannot give blocks back
 * (no FALLOC_FL_PUNCH_HOLE) places are used again instead.  A disk that is full
 * below the limit lowers what is kept by a sixteenth at a time, and once a
 * minute is asked whether it has room again.
 *
 * Contents survive crash and reboot, without fsync: each cell has a checksum
 * over its pack, number and bytes that is verified when it is read, so a torn,
 * lost, rotten or misplaced cell is a miss, never an answer; the AEAD tags of
 * frames come on top.  Opening reads the bookkeeping and no cell: 64 bytes for
 * each MiB of the limit (at most 8 MiB to begin with, more when more cells came
 * to lie there), so the same for an empty and for a full cache of up to
 * 128 GiB; 100 000 cells take about 40 ms.  In memory a cell takes 90 bytes.
 *
 * Nothing is mapped into memory: a disk that fails, is full, or whose files
 * somebody truncates gives error codes and misses, not signals.
 *
 * Replacement is S3-FIFO, so a scan leaves alone what is used repeatedly; meta
 * cells go last: data is evicted first while data takes more than a tenth of
 * the limit.  What was learnt about cells survives a close, and most of it a
 * crash.
 *
 * One process at a time owns a directory (flock).  A second opener, or one that
 * may not write, gets a cache that reads what is there and writes nothing; it
 * follows the owner, a miss at a time, with a tenth of its time at most.
 * All calls may come from any thread at once.  No lock that a reader needs is
 * held across disk I/O.
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
 * when it is not there; buf may have been written to all the same.  A disk that
 * fails to read is a miss, logged once.
 */
int cache_get(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, void *buf, size_t *len);
/* Is it there, without reading it or counting as a use. */
int cache_has(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE],
    uint32_t cell);
/*
 * Keep a cell of 1 to CACHE_CELL_SIZE bytes; nothing happens when it is there.
 * It may also not be kept (read only, no room on the disk, a disk that fails):
 * that is logged once and never fails the caller.
 */
void cache_put(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, const void *data,
    size_t len);
/* A reader found that it does not authenticate; also a put in progress is
 * dropped. */
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
