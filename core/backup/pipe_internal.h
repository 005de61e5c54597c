/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_BACKUP_PIPE_INTERNAL_H
#define FIRN_BACKUP_PIPE_INTERNAL_H

#include <pthread.h>

#include "backup/pipe.h"
#include "base/pool.h"
#include "base/queue.h"
#include "crypto/hash.h"
#include "repo/writer.h"

#define MACS_MAX 64

enum item_type {
	ITEM_DIR_BEGIN, ITEM_DIR_END, ITEM_ENTRY, ITEM_DATA, ITEM_HOLE,
	ITEM_FILE_END, ITEM_FILE_ABORT, ITEM_LINK
};

struct item {
	enum item_type type;
	struct pipe *pipe;
	uint8_t *data;			/* ITEM_DATA */
	size_t datalen;
	size_t taken;			/* of the pipe's room */
	uint8_t id[BLOCK_ID_SIZE];
	int hashed;			/* protected by pipe->lock */
	int err;
	uint64_t len;			/* ITEM_HOLE */
	uint64_t link;			/* ITEM_FILE_END, ITEM_LINK */
	int last;
	size_t entrylen;		/* of bytes: entry (or name), xattrs */
	size_t xattrlen;
	uint8_t bytes[];
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
	struct queue *queue;
	struct pool *pool;
	pthread_t thread;
	int running;
	struct buf scratch;		/* the walker's */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	int err;			/* protected by lock, as all below */
	size_t room;
	const struct item *waiting;	/* what the sequencer waits for */
	struct mac *macs[MACS_MAX];
	unsigned nmacs;

	/* The sequencer's own. */
	struct block_sink sink;
	struct mac *mac;
	struct level *level;
	size_t depth, levels_cap;	/* in use; allocated */
	size_t levels_made;		/* that have a tree_writer */
	struct list_writer *list;
	struct buf few;			/* extents kept in an entry */
	struct buf entry;		/* encoded entry under construction */
	struct links *links;
	uint8_t root[BLOCK_ID_SIZE];
	struct totals totals;
};

int pipe_error(struct pipe *p);
void item_free(struct pipe *p, struct item *it);

/* pipe_sequence.c */
int sequence_init(struct pipe *p);
void sequence_release(struct pipe *p);
int pipe_step(struct pipe *p, struct item *it);

#endif
