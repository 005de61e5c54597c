/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading blocks: index -> frame cache in memory -> cells of the disk cache ->
 * the store.
 *
 * A miss fetches whole 1 MiB cells, and more than what is needed when a pack
 * is being read in order: the window doubles with each proven step up to 16
 * cells and is fetched ahead by threads of the reader; who knows better what
 * comes next, or that nothing does, says so (reader_run.h).  One fetch a cell, whoever waits for it.
 * Every frame is authenticated before a byte of it is handed out, and every
 * block's id is compared with its content, once a frame.  A frame that does not
 * authenticate from the disk cache is dropped there and fetched again; one from
 * the store is -FIRN_ECORRUPT, logged with the pack's name.
 *
 * All calls from any thread.  Memory: conf.memory, 8 MiB beside it for what is on
 * its way and what waits for the disk cache, and for each processor about 4 MiB to
 * open frames in; whatever the number of readers, but for the frames that they
 * hold, and the rest of one that each may need which he has in part.
 */
#ifndef FIRN_REPO_READER_H
#define FIRN_REPO_READER_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

struct buf;
struct repo;
struct reader;

struct reader_conf {
	size_t memory;		/* bytes of decoded frames and raw cells kept;
				   0: 48 MiB */
	unsigned threads;	/* read-ahead threads; 0: 4 */
	/* Called, from any thread, once for each block that cannot be had. */
	void (*failed)(void *ctx, enum block_type type,
	    const uint8_t id[BLOCK_ID_SIZE], int err);
	void *failed_ctx;
	/* Where meta blocks come from instead of the store, for a key that
	 * cannot read there: appends the block; -ENOENT.  May be NULL. */
	int (*local)(void *ctx, enum block_type type,
	    const uint8_t id[BLOCK_ID_SIZE], struct buf *out);
	void *local_ctx;
};

int reader_new(struct repo *repo, const struct reader_conf *conf,
    struct reader **out);
void reader_free(struct reader *rd);
struct repo *reader_repo(struct reader *rd);

/* A block held in memory until blockref_put(). */
struct frame;
struct blockref {
	const uint8_t *data;
	size_t len;
	struct frame *frame;	/* the reader's */
};

/*
 * Get a block.  -FIRN_EMISSING when neither index nor store know it (logged),
 * -FIRN_ECORRUPT, -FIRN_ECOLD when all packs known to have it are archived and
 * the caches do not have it, -ECANCELED, or the store's error.  Blocks; no
 * lock is held meanwhile.
 */
int reader_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out);
void blockref_put(struct reader *rd, struct blockref *ref);

struct reader_stats {
	uint64_t blocks, frames_opened, frame_hits;
	uint64_t cells_cache, cells_store;
	uint64_t parts_store;	/* frames fetched without their cells */
	uint64_t bytes_store;
	uint64_t bytes_peak;	/* of cells in memory or on their way */
	uint64_t corrupt;
	uint64_t salvaged;	/* blocks from packs that were cut short */
};
void reader_stats(struct reader *rd, struct reader_stats *out);

#endif
