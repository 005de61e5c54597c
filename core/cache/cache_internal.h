/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the cache share.
 *
 * Two files lie in the directory, beside the lock.  `cells` is sparse: slot i
 * is [i MiB, (i + 1) MiB), and its blocks go back to the file system when the
 * cell leaves.  `slots` is a header of 4096 bytes and a record of 64 bytes a
 * slot.  Nothing is mapped: a full disk or a truncated file is an error code
 * here, not a SIGBUS; the table in memory is the truth for its owner, and
 * `slots` is what the next opener starts from.
 *
 * States of a slot; who moves it owns it, so nobody else touches its bytes:
 *
 *	FREE	 on the free list		-> WRITING by put
 *	WRITING	 in the hash table		-> LIVE, or LEAVING on failure
 *	LIVE	 in the hash table and a queue	-> LEAVING by drop and eviction,
 *						   WRITING by a put that takes
 *						   over the place as it is
 *	LEAVING	 nowhere			-> FREE
 *
 * Only LIVE is a valid record on disk.  The record is invalidated before the
 * data is touched and made valid after the data is written.  Nothing is ever
 * synced: the checksum of a cell covers its pack and number as well as its
 * bytes, so a record that outlived its data, or a reader that was overtaken by
 * a put, sees a mismatch and has a miss.  That is also why readers pin nothing
 * and why another process may read along without a lock.
 *
 * Lock order: record_lock[] before lock.  Under lock there is no I/O but
 * fstat() of open files.
 */
#ifndef FIRN_CACHE_INTERNAL_H
#define FIRN_CACHE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "cache/cache.h"

#define CACHE_VERSION		1
#define CACHE_HEADER_SIZE	4096
#define CACHE_RECORD_SIZE	64
#define CACHE_NIL		UINT32_MAX	/* no slot */
#define CACHE_STEP		64u		/* slots are added in these */
#define CACHE_SLOTS_MAX		(8u << 20)	/* `cells` up to 8 TiB */
#define CACHE_DENSITY		16	/* most slots for a MiB of limit */
#define CACHE_STRIPES		16
#define CACHE_FREQ_MAX		3

enum slot_state { SLOT_FREE, SLOT_WRITING, SLOT_LIVE, SLOT_LEAVING };
/* SMALL is where new cells prove themselves, MAIN where used ones stay. */
enum slot_queue { QUEUE_SMALL, QUEUE_MAIN };
/* Index of queues by kind; PACK_DATA and PACK_META start at 1. */
enum { KIND_DATA, KIND_META };

struct slot {
	uint8_t pack[OBJECT_ID_SIZE];
	uint64_t sum;		/* cache_cell_sum() of the content */
	uint64_t seq;		/* order in its queue, for the next opener */
	uint32_t cell;
	uint32_t len;
	uint32_t room;		/* bytes it may take on disk, also when FREE */
	uint32_t chain;		/* next in the hash bucket */
	uint32_t next, prev;	/* in a queue; next alone on the free list */
	uint8_t state, kind, queue, freq;
	uint8_t dirty;		/* queue, seq or freq differ from the record */
	uint8_t doomed;		/* dropped while WRITING */
};

struct slot_list {
	uint32_t head, tail;	/* in at the head, out at the tail */
	uint32_t count;
	uint64_t bytes;		/* sum of room */
};

struct cache_table {
	struct slot *slot;
	uint32_t n;
	uint32_t *bucket;
	uint32_t mask;		/* buckets - 1 */
	uint32_t free;		/* head of the free list */
	struct slot_list list[2][2];	/* [kind][queue] */
	uint64_t room;		/* sum of room of all slots */
	uint64_t seq;		/* next one */
};

/* Fingerprints of cells that left SMALL lately. */
struct cache_ghost {
	uint64_t *entry;
	uint32_t mask;
};

struct cache {
	char *dir;		/* for messages */
	int dirfd, lockfd;
	int readonly;
	uint64_t limit;
	uint64_t reserve;	/* for what the file system adds: extents */
	uint32_t block;		/* cells take multiples of it on disk; a whole
				 * cell where there are no holes */
	uint32_t slots_max;

	pthread_mutex_t lock;
	int slotsfd, cellsfd;	/* -1 only when readonly; protected by lock */
	struct cache_table table;	/* protected by lock */
	struct cache_ghost ghost;	/* protected by lock */
	uint64_t ceiling;	/* limit, or less since the disk was full;
				 * protected by lock, as what follows */
	uint64_t fixed;		/* bytes of all but `cells` */
	uint64_t strays;	/* bytes `cells` has above table.room */
	int holes;		/* the file system gives blocks back */
	int growing;		/* somebody is in cache_room_grow() */
	int shrinking;		/* somebody is in cache_room_shrink() */
	int stopped;		/* writes nothing any more */
	int gone;		/* the directory was removed */
	int64_t regrow_at;	/* when to look at a full disk again, ns */

	/* The records in `slots` of slots that have this remainder. */
	pthread_mutex_t record_lock[CACHE_STRIPES];

	pthread_mutex_t refresh_lock;	/* a second opener rereads */
	struct timespec seen;		/* mtime of `slots` then, by it */
	int sure;			/* nothing newer bears it, by it */
	int64_t refresh_at;		/* not before, ns, by it */

	atomic_uint warned;		/* enum cache_warning, once each */
	atomic_ullong hits, misses, puts, evictions, bad;
};

enum cache_warning { WARN_READ = 1, WARN_WRITE = 2, WARN_FULL = 4,
    WARN_GONE = 8 };

/* Slots whose record a victim search has outdated. */
struct cache_moved {
	uint32_t n;
	uint32_t slot[32];
};

/* cache_sum.c */
uint64_t cache_sum(uint64_t seed, const void *data, size_t len);
uint64_t cache_cell_sum(const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell,
    const void *data, size_t len);

/* cache_record.c */
void cache_record_encode(const struct slot *s, uint32_t number,
    uint8_t out[CACHE_RECORD_SIZE]);
/* What a record says its sum is, in its last 8 bytes. */
uint64_t cache_record_sum(const uint8_t *in, uint32_t number);
/* 1 and a LIVE slot, or 0; any bytes will do. */
int cache_record_decode(const uint8_t in[CACHE_RECORD_SIZE], uint32_t number,
    struct slot *out);
/* Make the record on disk say what the table says now. */
void cache_record_sync(struct cache *c, uint32_t number);
int cache_header_write(struct cache *c, uint32_t slots, int clean);
/* 1 and the slots it names, 0 for an empty file, -FIRN_ECORRUPT, -errno. */
int cache_header_read(int fd, uint32_t *slots, int *clean);
/* Read `n` records into a table that was not initialised; a cell that ends
 * behind `size` bytes of `cells` is left out, its room is in blocks. */
int cache_records_load(int fd, uint32_t n, uint64_t size, uint32_t block,
    struct cache_table *out);

/* cache_table.c: all under lock, once there are threads. */
int cache_table_init(struct cache_table *t, uint32_t n);
void cache_table_release(struct cache_table *t);
int cache_table_grow(struct cache_table *t, uint32_t n);
uint32_t cache_table_find(const struct cache_table *t,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell);
void cache_table_link(struct cache_table *t, uint32_t i);
void cache_table_unlink(struct cache_table *t, uint32_t i);
void cache_free_push(struct cache_table *t, uint32_t i);
uint32_t cache_free_pop(struct cache_table *t);
uint64_t cache_key_hash(const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell);
void cache_table_check(const struct cache_table *t);

/* cache_policy.c: all under lock. */
int cache_ghost_init(struct cache_ghost *g, uint32_t cells);
void cache_ghost_release(struct cache_ghost *g);
/* A cell that was written takes its place in a queue. */
void cache_policy_insert(struct cache *c, uint32_t i);
void cache_policy_use(struct slot *s);
void cache_policy_remove(struct cache_table *t, uint32_t i);
void cache_policy_append(struct cache_table *t, uint32_t i);
/* Takes the least valuable cell out of queue and hash table, or CACHE_NIL. */
uint32_t cache_policy_evict(struct cache *c, struct cache_moved *moved);

/* cache_room.c */
uint32_t cache_room_of(const struct cache *c, size_t len);
void cache_room_init(struct cache *c);
/* Under lock; both look at the files as they are. */
void cache_room_measure(struct cache *c);
int cache_room_fits(const struct cache *c, uint64_t extra);
/* Bytes on disk, of everything. */
uint64_t cache_room_used(const struct cache *c);
/* Found `gone`: the open file still holds the blocks; give them back. */
void cache_room_abandon(struct cache *c);
/* A LEAVING slot: forget its record, give its blocks back, make it FREE. */
void cache_room_vacate(struct cache *c, uint32_t i);
/* Give back what a WRITING slot has beyond what it needs. */
void cache_room_clip(struct cache *c, uint32_t i, uint32_t need);
/* Evict until what there is fits. */
void cache_room_trim(struct cache *c);
/* More slots; called and returns with lock held, which it lets go between. */
void cache_room_grow(struct cache *c);
uint64_t cache_room_grow_cost(const struct cache *c);
/* The disk is full: give way.  Later, see whether it still is. */
void cache_room_shrink(struct cache *c, int err);
void cache_room_regrow(struct cache *c);
/* Give back the blocks of all FREE slots, after a crash. */
void cache_room_sweep(struct cache *c);
int64_t cache_now(void);
int cache_warn_once(struct cache *c, enum cache_warning what);

/* cache_open.c */
/* As cache_open; holes = 0 does as if the file system had none. */
int cache_open_as(const char *dir, uint64_t limit, int holes,
    struct cache **out);

/* cache_follow.c: the second opener. */
int cache_follow_open(struct cache *c);
/* 1 when there is something new to look at. */
int cache_follow(struct cache *c);

#endif
