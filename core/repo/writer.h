/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing blocks: dedup -> frames -> compress, encrypt (threads) -> packs ->
 * upload (threads) -> index segments.
 *
 * Blocks are added in walk order by one thread; what is new lands in packs in
 * that order.  Durability: a segment is put only after every pack that it
 * names; segments are put every so often, so that a killed run loses little,
 * and those of other hosts are loaded as often, so that what several store at
 * the same time is stored once, but for what they read within some seconds.
 * Memory is bounded: packs being filled and in flight, frames in the pool.
 */
#ifndef FIRN_REPO_WRITER_H
#define FIRN_REPO_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"
#include "format/genrec.h"

struct repo;
struct writer;

struct writer_conf {
	int level;		/* zstd; 0 stores; default 3 */
	unsigned threads;	/* compressors; 0: processors */
	unsigned uploads;	/* packs in flight; 0: as many as bring more,
				   2 to 16; more than 2 take 128 MiB at most,
				   less where many threads compress */
	int dry_run;		/* count, store nothing; of what would be new
				   the last million blocks are remembered, so
				   one that is met again later counts twice */
	unsigned follow;	/* ms between looks for what other hosts have
				   stored, while blocks are added; 0: 10 s */
};
#define WRITER_CONF_DEFAULT { 3, 0, 0, 0, 0 }

int writer_new(struct repo *repo, const struct writer_conf *conf,
    struct writer **out);
/* Abandons what was not flushed; ends the threads. */
void writer_free(struct writer *w);

/* Known to the repository or already added: 1, 0, -errno.  Any thread. */
int writer_has(struct writer *w, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE]);

/*
 * Add a block unless it is known.  data is copied.  *added (may be NULL) says
 * whether it was new.  Blocks while the pipeline is full.  After a failure
 * (upload refused, disk full) every later call returns the same error.
 * One thread at a time.
 */
int writer_add(struct writer *w, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len,
    int *added);

/*
 * Are data blocks from here on of a file that some will want a little of: then
 * they share a frame only as long as it is small.  At first they are not.  By who
 * adds.
 */
#define WRITER_FINE_FRAME	(16u << 10)	/* plain bytes */
void writer_fine(struct writer *w, int fine);

/* Everything added so far is durable and in a segment when this returns 0. */
int writer_flush(struct writer *w);

/* After a failure, when nobody adds any more: nothing is begun from here on, and
 * what is in progress has ended when this returns. */
void writer_halt(struct writer *w);
/*
 * Then: waits for packs in upload, drops
 * what is not stored yet, and puts segments for what is.  0 when every pack
 * that may have reached the store is in a segment now; else -errno, and the
 * next run should look for them.
 */
int writer_settle(struct writer *w);

void writer_added(struct writer *w, struct gen_added *out);

#endif
