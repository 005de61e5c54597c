/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the scanner's thread, scan_look.c, and the walker's side, scan.c.
 *
 * What is found are items, directories and runs of names, which go to the walker
 * in batches, since waking a thread for each costs more than finding it.
 *
 * Locks: `lock` guards what passes between the two; nothing is taken inside it
 * and no file is touched under it.  `waiting` counts bytes and is changed
 * without, but who makes room for the scanner says so under it.
 */
#ifndef FIRN_BACKUP_SCAN_INTERNAL_H
#define FIRN_BACKUP_SCAN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/scan.h"
#include "base/buf.h"

struct pool;
struct slots;

#define DEPTH_MAX	64	/* directories open; what is deeper is not ours */

/*
 * Where runs wait: one behind the other in slots (base/slots.h), since they are
 * megabytes by the time that the walker comes, and a page that is touched first is
 * dear.  The walker gets copies, so that a run which it keeps keeps no slot.
 */
struct rack {
	atomic_uint refs;	/* its runs, and the scanner that fills it */
	size_t used;		/* the scanner's */
};

struct item {
	struct item *next;
	size_t bytes;
	struct scan_dir *dir;
	struct scan_run *run;	/* NULL: the directory itself */
	struct rack *rack;	/* where the run is */
};

struct items {
	struct item *first, **end;
	size_t bytes;
};

/* A directory that the scanner is in. */
struct frame {
	int fd;
	struct scan_dir *d;
	size_t pathlen;
	size_t from, n;		/* the run it is at */
	size_t at;		/* next name of it to descend to */
	uint64_t below[SCAN_RUN / 64];	/* those that are SCAN_BELOW */
};

struct scan {
	struct scan_conf conf;
	const struct want *want;
	struct pool *pool;
	struct slots *slots;
	atomic_int stop;
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct items full;	/* protected by lock, as the next */
	int ended;
	int asking;		/* the walker has nothing left */
	atomic_size_t waiting;	/* bytes that the walker has not taken */
	/* The scanner's own. */
	struct items batch;
	struct rack *rack;
	struct buf path, text;
	int cold;
	struct frame frame[DEPTH_MAX];
	unsigned depth;
	/* The walker's own. */
	struct items taken;
};

/* All of `from` behind what is in l. */
void scan_items_move(struct items *l, struct items *from);

/* Let go of a rack.  NULL is fine. */
void scan_rack_put(struct scan *s, struct rack *r);

/* The scanner, from the beginning to the end; ctx is its struct scan. */
void scan_work(void *ctx);

#endif
