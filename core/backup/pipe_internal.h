/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_BACKUP_PIPE_INTERNAL_H
#define FIRN_BACKUP_PIPE_INTERNAL_H

#include <pthread.h>

#include "backup/pipe.h"
#include "base/pool.h"
#include "base/queue.h"
#include "crypto/hash.h"
#include "repo/writer.h"

#define BATCH_ALIGN	16
/* Of what comes behind this in a file, little is wanted at once. */
#define LARGE_FILE	(16u << 20)

enum item_type {
	ITEM_DIR_BEGIN, ITEM_DIR_END, ITEM_ENTRY, ITEM_DATA, ITEM_HOLE,
	ITEM_FILE_END, ITEM_FILE_ABORT, ITEM_LINK
};

/* One record of a batch, `bytes` behind it. */
struct item {
	size_t size;			/* to the next record */
	enum item_type type;
	int last;			/* ITEM_LINK */
	uint8_t id[BLOCK_ID_SIZE];	/* ITEM_DATA: once hashed */
	uint64_t len;			/* ITEM_HOLE; ITEM_DATA: of bytes */
	uint64_t link;			/* ITEM_FILE_END, ITEM_LINK */
	size_t entrylen;		/* of bytes: entry (or name), xattrs */
	size_t xattrlen;
	_Alignas(BATCH_ALIGN) uint8_t bytes[];
};

/*
 * Items in walk order in one piece of memory.  One hand-over between threads
 * serves hundreds of small files: a wake-up costs more than hashing one.
 */
struct batch {
	struct pipe *pipe;
	uint8_t *mem;
	size_t cap;
	size_t used;
	unsigned pieces;		/* ITEM_DATA in it */
	int hashed;			/* protected by pipe->lock */
	int err;			/* of hashing */
};

struct totals {
	uint64_t files, dirs, bytes;
	uint64_t subdirs;
};

/* A directory being built. */
struct level {
	struct tree_writer *tw;
	struct totals totals;
};

struct pipe {
	struct writer *writer;
	struct pipe_conf conf;
	struct queue *empty;		/* batches to fill */
	struct queue *full;		/* batches in walk order */
	struct batch *batch;		/* all of them */
	unsigned nbatches;
	struct pool *pool;
	pthread_t thread;
	int running;

	/* The walker's own. */
	struct batch *filling;		/* or NULL */
	struct item *piece;		/* begun, not committed */
	struct buf scratch;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	int err;			/* protected by lock, as the next two */
	struct mac **macs;		/* idle ones, room for one a thread */
	unsigned nmacs;

	/* The sequencer's own. */
	struct block_sink sink;
	struct mac *mac;
	struct level *level;
	size_t depth, levels_cap;	/* in use; allocated */
	size_t levels_made;		/* that have a tree_writer */
	struct list_writer *list;
	uint64_t length;		/* of the file so far */
	struct buf few;			/* extents kept in an entry */
	struct buf entry;		/* encoded entry under construction */
	struct links *links;
	struct buf root;		/* its entry, encoded */
};

int pipe_error(struct pipe *p);

/* pipe_sequence.c */
int sequence_init(struct pipe *p);
void sequence_release(struct pipe *p);
int pipe_step(struct pipe *p, const struct item *it);

#endif
