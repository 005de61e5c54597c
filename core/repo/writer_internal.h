/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the writer.  Two streams, data and meta, each with a frame being
 * filled, frames being compressed in order, and a pack being filled; behind
 * them packs in upload, and behind those the entries of the next segment.
 *
 * Locks: `lock` guards what the uploaders and the adder share; nothing is
 * taken inside it.  It is not held across compression, the store or the index.
 */
#ifndef FIRN_REPO_WRITER_INTERNAL_H
#define FIRN_REPO_WRITER_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "base/buf.h"
#include "base/pool.h"
#include "base/queue.h"
#include "format/pack.h"
#include "format/segment.h"
#include "repo/idlossy.h"
#include "repo/idset.h"
#include "repo/repo.h"
#include "repo/writer.h"
#include "repo/writer_pace.h"

#define FRAMES_MAX	16		/* in compression */
#define FRAME_ROOM	(2u << 20)	/* bytes; for a target of 1 MiB or more */
/* A segment is put when it has so many packs, entries, or seconds. */
#define SEGMENT_PACKS	16
#define SEGMENT_ENTRIES	65536
#define SEGMENT_SECONDS	10
/* Packs in upload, where nobody says how many: to begin with, at most, and bytes
 * that more than the first may take together with the frames. */
#define UPLOADS_FIRST	2
#define UPLOADS_MOST	16
#define UPLOADS_MEMORY	(146u << 20)
#define FRAME_MEMORY	(3u << 20)	/* what one takes, at most, mostly */
#define COUNTED_SLOTS	(1u << 20)	/* ids that a dry run remembers */

struct wframe {
	struct wframe *next;		/* among those to use again */
	struct writer *w;
	size_t room;			/* of plain, at first */
	struct buf plain;
	struct buf payload;		/* compressed */
	struct pack_block *blocks;
	size_t nblocks;
	size_t blocks_cap;
	int done;			/* protected by w->lock */
	int err;
};

struct wpack {
	struct wpack *next;		/* among those to use again */
	enum pack_kind kind;
	size_t room;			/* of bytes, at first */
	struct buf bytes;
	uint8_t header[PACK_HEADER_SIZE];
	uint8_t key[PACK_KEY_SIZE];
	struct pack_footer footer;
	size_t frames_cap;
	size_t blocks_cap;
};

struct wstream {
	enum pack_kind kind;
	uint32_t pack_target;
	struct wframe *frame;		/* being filled, or NULL */
	struct wframe *fifo[FRAMES_MAX];
	unsigned head, count;
	struct wpack *pack;		/* being filled, or NULL */
};

/* Blocks that are durable and wait for their segment; one a kind. */
struct wsegment {
	struct segment_entry *entries;
	size_t nentries, entries_cap;
	struct segment_pack packs[SEGMENT_PACKS];
	size_t npacks;
	time_t since;			/* of its first pack */
};

struct writer {
	struct repo *repo;
	struct writer_conf conf;
	struct pool *compressors;
	struct pack_codec *codec;	/* the adder's, for encryption */
	struct wstream data, meta;
	struct wframe *spare;		/* frames to use again; adder's */
	unsigned max_frames;
	int fine;			/* frames of data; adder's */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	int err;			/* protected by lock, as all below */
	struct idset pending;
	struct idlossy *counted;	/* instead of it, with dry_run */
	int astray;			/* a pack may be stored that no
					   segment will list */
	unsigned in_flight;		/* packs being uploaded or queued */
	int place_wanted;		/* the adder waits to upload */
	struct pace pace;		/* how many there may be */
	int flushing;			/* a segment is being put */
	struct wsegment seg[2];		/* data, meta */
	struct gen_added added;
	struct wpack *spare_packs;	/* to use again */
	struct pack_codec *codecs[64];
	unsigned ncodecs;

	pthread_t follower;
	int has_follower;
	pthread_cond_t ended;		/* waits by CLOCK_MONOTONIC */
	int ending;			/* protected by lock */

	struct queue *uploads;
	pthread_t *uploader;
	unsigned nuploaders;
};

/* First error wins; wakes all. */
int writer_fail(struct writer *w, int err);
int writer_error(struct writer *w);

/* writer_upload.c */
int writer_upload_start(struct writer *w);
void writer_upload_stop(struct writer *w);
/* Takes over the pack. */
int writer_upload(struct writer *w, struct wpack *pack);
int writer_upload_wait(struct writer *w);
/* Put what waits, if it is time or `force`. */
int writer_segment(struct writer *w, enum pack_kind kind, int force);
void wpack_free(struct wpack *p);
/* For another pack, unless it has grown. */
void wpack_recycle(struct writer *w, struct wpack *p);
/* One that was, and has room for `size` bytes; or NULL, and one of another size
 * is freed: so many are allocated as there were at once, of all kinds. */
struct wpack *wpack_reuse(struct writer *w, size_t size);

/* writer_follow.c: a thread that loads what other hosts store meanwhile. */
int writer_follow_start(struct writer *w);
void writer_follow_stop(struct writer *w);

#endif
