/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader: blocks are found by the index (reader_find.c) and cut out
 * of frames; frames are opened from cells (reader_frame.c); cells come from
 * memory, the disk cache or the store (reader_cell.c), and some frames from the
 * store without them (reader_part.c).
 */
#ifndef FIRN_REPO_READER_INTERNAL_H
#define FIRN_REPO_READER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/lru.h"
#include "base/pool.h"
#include "format/pack.h"
#include "index/index.h"
#include "repo/reader.h"
#include "repo/repo.h"

#define WINDOW_MAX	16	/* cells ahead of a reader in order */
#define REQUEST_MAX	4	/* cells in one request */
#define FRAME_KEY_SIZE	(OBJECT_ID_SIZE + 4)
#define STREAMS		32	/* packs whose order of reading is followed */
#define FLIGHT_MAX	16	/* cells that requests under way bring */
#define SLABS_BESIDE	8	/* cells of memory beside those that are kept */
#define KEEP_MAX	4	/* requests' worth of cells that wait for the disk */
#define GONE_MAX	64	/* cells that left memory and are remembered */
#define GOOD_MAX	512	/* blocks a frame remembers as compared */

/* What one request or one look at the disk cache brought: one cell or some
 * neighbours.  Lives as long as one of them, which can be REQUEST_MAX times what
 * the LRU counts, where one cell of each request is all that is left: so slabs
 * are counted by themselves. */
struct slab {
	struct slab *next;	/* among those to use again */
	struct cells *cells;
	uint8_t *data;
	unsigned ncells;	/* that it has room for */
	atomic_uint refs;
	atomic_int bad;		/* not for the disk */
};

/* One cell of a pack in memory, as it lies in the store. */
struct cell {
	struct cells *cells;
	uint64_t hash;		/* of its key */
	struct slab *slab;
	uint8_t *data;		/* in slab */
	size_t len;
	atomic_int waits;	/* in cells->waiting; written under lock */
	atomic_int used;
};

/* A cell that was fetched ahead and that nobody has used yet: held, so that
 * those that were used go first. */
struct waiting {
	struct lru_node *node;	/* NULL: slot not in use */
	uint64_t loads;		/* cells->loads when it came */
	time_t since;		/* CLOCK_MONOTONIC, s */
};

/* How a pack is being read.  Protected by cells.lock. */
struct stream {
	uint8_t pack[OBJECT_ID_SIZE];
	uint32_t next;		/* cell that reading in order comes to next */
	uint32_t ahead;		/* first cell not yet asked for */
	uint32_t window;	/* cells; 0: slot not in use */
	uint32_t cells;		/* of the pack */
	uint64_t used;		/* clock of streams */
};

/* What a cell costs, and may save.  Times in ns, 0 when not known yet. */
struct cell_cost {
	uint64_t wait;		/* for a few bytes of the store */
	uint64_t transfer;	/* of a cell, beside that */
	unsigned transfers;	/* that were measured */
	double again;		/* how many of the cells that were wanted had
				   been wanted before; below 1 */
};

struct cells {
	struct repo *repo;
	struct lru *lru;	/* struct cell by pack and number */
	struct pool *ahead;
	atomic_uint ahead_jobs;	/* submitted and not begun */
	unsigned ahead_max;
	atomic_uint unused;	/* cells fetched ahead, or to be */
	atomic_uint unused_max;	/* how many of those there may be */
	unsigned unused_top;	/* and how many at most */
	atomic_ullong loads;	/* cells that came into memory */
	struct pool *keep;	/* writes to the disk cache */
	atomic_uint keep_jobs;
	pthread_mutex_t lock;
	struct stream stream[STREAMS];
	uint64_t clock;
	struct waiting waiting[WINDOW_MAX];
	uint64_t gone[GONE_MAX];	/* hashes of cells that left last */
	unsigned gone_next;
	unsigned calm;		/* loads since one of those was wanted again */
	atomic_ullong from_cache, from_store, parts_store, bytes_store;
	pthread_mutex_t parts_lock;
	struct part *parts;	/* what was fetched without its cells; protected
				   by parts_lock, as below */
	struct cell_cost cost;
	/* Memory of slabs, and what of it requests under way fill. */
	pthread_mutex_t flight_lock;
	pthread_cond_t landed;	/* or a slab was freed */
	unsigned slabs_max;	/* cells of memory that readers wait for */
	unsigned slabs;		/* cells; protected by flight_lock, as below */
	unsigned slabs_peak;
	unsigned in_flight;
	uint64_t tickets, serving;	/* of those that wait for room */
	uint64_t progress;	/* slabs that landed or were freed */
	struct slots *slots;	/* the reader's, for slabs of one cell */
	unsigned spares;	/* cells of memory that wait to be used again */
	struct slab *spare[REQUEST_MAX];	/* by ncells - 1 */
};

int cells_init(struct cells *c, struct repo *repo, struct slots *slots,
    size_t memory, unsigned threads);
void cells_release(struct cells *c);

/* How a cell is wanted. */
enum cells_how {
	CELLS_ORDER,	/* reading its pack in order may go on */
	CELLS_ALONE,	/* somebody else sees to what comes next */
	CELLS_PART,	/* the same, and what is beside it is of no use */
	CELLS_REST,	/* the same, and who has the beginning of a frame is
			   not to wait for those who have nothing */
	CELLS_FRESH	/* from the store even where memory or disk have it */
};

/*
 * Hold a cell.  What has to be fetched comes in one request with those behind
 * it, `count` in all, that will be wanted at once, and with what is fetched
 * ahead.  -FIRN_EMISSING, -FIRN_ECORRUPT (shorter than the pack says), or the
 * store's error.
 */
int cells_get(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count,
    enum cells_how how, struct lru_node **out);
/* Forget a cell in memory and on disk. */
void cells_drop(struct cells *c, const struct index_place *at,
    uint32_t number);
int cells_has(struct cells *c, const struct index_place *at, uint32_t number);
/* The same, or somebody is about to load it. */
int cells_known(struct cells *c, const struct index_place *at,
    uint32_t number);
/*
 * For what is fetched ahead: load a cell that is reserved, and in one request
 * with it some of the `count` - 1 behind it.  How many were dealt with.
 */
uint32_t cells_load(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count);
/* `len` bytes of a pack from the store; logged and -FIRN_ECORRUPT when there are
 * less, *got (may be NULL), else as cells_get(). */
int cells_read(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint64_t off, void *buf, size_t len,
    size_t *got);
static inline uint32_t
cell_count(const struct index_place *at)
{
	return (uint32_t)(((uint64_t)at->pack_size + FORMAT_GRID - 1) /
	    FORMAT_GRID);
}

/* From reader_ahead.c. */
/* Somebody reads `count` cells from this one: fetch ahead what that makes
 * likely.  On a miss, returns how many from it on are worth one request. */
uint32_t ahead_step(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count, int miss);

/* From reader_slab.c. */
/* Memory for so many cells, at most REQUEST_MAX.  Waits until it has its turn,
 * and, but for CELLS_REST, until there is room; when it is filled, or NULL,
 * slab_landed() lets the next one go. */
struct slab *slab_new(struct cells *c, unsigned ncells, enum cells_how how);
void slab_landed(struct cells *c, unsigned ncells);
/* The bytes of a slab live until slab_put(). */
void slab_hold(struct slab *s);
void slab_put(struct slab *s);
void slabs_release(struct cells *c);

/* From reader_part.c. */
void cost_add(struct cell_cost *p, size_t bytes, uint64_t ns);
void cost_seen(struct cell_cost *p, int again);
/* Have so many requests for parts of a cell, with those that are to be expected,
 * cost more than the cell would? */
int cost_is_due(const struct cell_cost *p, uint32_t times);
int parts_init(struct cells *c);
void parts_release(struct cells *c);
/* Is a frame that is wanted with CELLS_PART to be fetched by itself: 1; or 0,
 * its cells are here, or worth it by now. */
int part_wanted(struct cells *c, const struct index_place *at);
/* The sealed bytes of a frame, from the store, in a slab that is held then.
 * Errors as of cells_get(). */
int part_get(struct cells *c, enum pack_kind kind,
    const struct index_place *at, const uint8_t **sealed, struct slab **held);

/* From reader_budget.c. */
void budget_init(struct cells *c, size_t memory);
/* Take room for up to `want` cells that nobody uses yet: how many, and 0 when
 * those are less than `least`.  Then fetch and wait, or give it back. */
uint32_t budget_take(struct cells *c, uint32_t want, uint32_t least);
void budget_give(struct cells *c, uint32_t n);
/* The hold on a cell that room was taken for is handed on, until somebody uses
 * the cell. */
void budget_wait(struct cells *c, struct lru_node *node);
void budget_used(struct cells *c, struct lru_node *node);
/* Who will not come is not waited for: cells that came before this load, or
 * this second. */
void budget_forget(struct cells *c, uint64_t loads, time_t since);
/* What nobody came for in a while. */
void budget_forget_stale(struct cells *c);
/* A cell left memory; one has to be fetched: when it was here a moment ago,
 * then what is fetched ahead pushes out what readers are at: less of it. */
uint64_t budget_hash(const uint8_t *pack, uint32_t number);
void budget_gone(struct cells *c, const struct cell *cell);
void budget_adapt(struct cells *c, const struct index_place *at,
    uint32_t number);

/* A frame that was opened. */
struct frame {
	struct lru_node *node;
	struct buf plain;
	const uint8_t *data;	/* what blocks lie in, of plain */
	size_t len;
	pthread_mutex_t lock;
	/* Offsets + 1 of blocks that were compared, where they hash to; what
	 * another one displaced is compared again.  Protected by lock. */
	uint32_t good[GOOD_MAX];
};

/* What a thread needs to open and compare; taken from a pool of them. */
struct tools {
	struct tools *next;
	struct buf sealed;	/* a frame that lies in several slabs */
	struct pack_codec *codec;
	struct mac *mac;
};

struct reader {
	struct repo *repo;
	struct reader_conf conf;
	struct cells cells;
	struct slots *slots;		/* of frames and of single cells */
	struct lru *frames;
	struct lru *packs;		/* keys by pack */
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct tools *tools;		/* protected by lock */
	unsigned tools_made, tools_max;	/* protected by lock */
	/* One look at the store for what a block needs; held across it. */
	pthread_mutex_t look_lock;
	time_t synced[3];		/* by kind; protected by look_lock */
	time_t compared[3];		/* by kind; protected by look_lock */
	atomic_ullong blocks, opened, hits, corrupt, salvaged;
};

/* From reader_frame.c. */
int frames_init(struct reader *rd, size_t memory);
void frames_release(struct reader *rd);
struct tools *tools_take(struct reader *rd);
void tools_give(struct reader *rd, struct tools *t);
/* A frame of memory that it takes over, without the first `skip` bytes; 0, or
 * -ENOMEM with nothing taken. */
int frame_new(struct buf *plain, size_t skip, struct lru_node *node,
    struct frame **out);
/* Hold the frame, opened. */
int frame_get(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, struct lru_node **out);
/* The same if that takes no waiting: 1, or 0. */
int frame_peek(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct lru_node **out);

/* From reader_find.c. */
/* Where a block is; looks for new segments when it is not known. */
int block_find(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at);
/*
 * The index believes in packs that are not there, or in the absence of some
 * that may be back: compare with the store.  Whoever comes meanwhile waits, and
 * finds what was learned.
 */
int packs_compare(struct reader *rd, enum pack_kind kind);

#endif
