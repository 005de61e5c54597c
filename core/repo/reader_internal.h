/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader: frames are made from cells; cells come from memory, the
 * disk cache or the store.
 */
#ifndef FIRN_REPO_READER_INTERNAL_H
#define FIRN_REPO_READER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lru.h"
#include "base/pool.h"
#include "format/pack.h"
#include "index/index.h"
#include "repo/reader.h"
#include "repo/repo.h"

#define WINDOW_MAX	16	/* cells ahead of a reader in order */
#define REQUEST_MAX	4	/* cells in one request */
#define STREAMS		32	/* packs whose order of reading is followed */

/* What one request or one look at the disk cache brought: one cell or some
 * neighbours.  Lives as long as one of them, so memory can be up to REQUEST_MAX
 * times what the LRU counts, where one cell of each request is all that is used
 * again. */
struct slab {
	atomic_uint refs;
	uint8_t data[];
};

/* One cell of a pack in memory, as it lies in the store. */
struct cell {
	struct slab *slab;
	uint8_t *data;		/* in slab */
	size_t len;
};

/* How a pack is being read.  Protected by cells.lock. */
struct stream {
	uint8_t pack[OBJECT_ID_SIZE];
	uint32_t next;		/* cell that reading in order comes to next */
	uint32_t ahead;		/* first cell not yet asked for */
	uint32_t window;	/* cells; 0: slot not in use */
	uint64_t used;		/* clock of streams */
};

struct cells {
	struct repo *repo;
	struct lru *lru;	/* struct cell by pack and number */
	struct pool *ahead;
	atomic_uint ahead_jobs;	/* submitted and not begun */
	unsigned ahead_max;
	pthread_mutex_t lock;
	struct stream stream[STREAMS];
	uint64_t clock;
	atomic_ullong from_cache, from_store, bytes_store;
};

int cells_init(struct cells *c, struct repo *repo, size_t memory,
    unsigned threads);
void cells_release(struct cells *c);

/*
 * Hold a cell.  With `fresh` it is taken from the store even where the disk
 * cache or memory has it.  -FIRN_EMISSING, -FIRN_ECORRUPT (shorter than the
 * pack says), or the store's error.
 */
int cells_get(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, int fresh,
    struct lru_node **out);
/* Forget a cell in memory and on disk. */
void cells_drop(struct cells *c, const struct index_place *at,
    uint32_t number);
/* Fetch a cell soon; never blocks. */
void cells_prefetch(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count);
int cells_has(struct cells *c, const struct index_place *at, uint32_t number);

#endif
