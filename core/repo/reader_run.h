/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching ahead for who knows which blocks come next: whoever reads a file in
 * order says so block by block, and blocks that lie side by side in a pack are
 * fetched by one request.  Who reads here and there says that nothing does.
 */
#ifndef FIRN_REPO_READER_RUN_H
#define FIRN_REPO_READER_RUN_H

#include "index/index.h"
#include "repo/reader.h"

#define READER_RUN_BYTES	(16u << 20)	/* worth looking ahead */

/* Blocks that one request will bring.  All zero at first. */
struct reader_run {
	enum pack_kind kind;
	struct index_place at;	/* of one of them */
	uint32_t first, count;	/* cells of the pack */
};

enum run_answer {
	RUN_TAKEN,	/* part of the run; or not known, and nothing to do */
	RUN_BEGUN,	/* the first of a new run; the one before is on its way */
	RUN_FULL	/* no more now; the run before is given up, with this */
};

/* One more block.  Never blocks. */
enum run_answer reader_run(struct reader *rd, struct reader_run *run,
    enum block_type type, const uint8_t id[BLOCK_ID_SIZE]);
/* No more come: 1, or 0 when the run is given up. */
int reader_run_end(struct reader *rd, struct reader_run *run);

/* As reader_get(), and nothing but what this needs is fetched: the caller says
 * what comes next. */
int reader_get_alone(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out);
/* The same, and what lies beside it is of no use: the frame is fetched without
 * the rest of its cells, unless they have proven to be worth it. */
int reader_get_part(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out);
/* As reader_get(), if that takes no waiting for a disk or the store: 1 and the
 * block, or 0. */
int reader_peek(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out);

/*
 * The same for who will want it soon: it is in memory then, opened and compared,
 * and the pack counts as read in order up to it.  Waits for disk and store.
 * Whatever fails is not told of, but for damage: reader_get() finds out anew.
 */
int reader_ready(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE]);

#endif
