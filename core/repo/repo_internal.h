/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_REPO_REPO_INTERNAL_H
#define FIRN_REPO_REPO_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "repo/repo.h"

/*
 * So often an object is read that comes damaged.  Something on the way may be to
 * blame, and what is stored whole; only what comes damaged each time counts as
 * damage of what is stored.
 */
#define READ_TRIES	3

/*
 * So many objects in a row that the store does not give for reasons of its own,
 * and it is the store's fault, not theirs.
 */
#define FAULTS_MAX	3

/* Objects as listed. */
struct names {
	uint8_t (*id)[OBJECT_ID_SIZE];
	uint64_t *size;
	size_t n, cap;
};

int names_add(struct names *s, const uint8_t id[OBJECT_ID_SIZE],
    uint64_t size);
void names_release(struct names *s);

struct pack_ids {
	uint8_t (*id)[OBJECT_ID_SIZE];
	size_t n;
};

int pack_ids_add(struct pack_ids *l, const uint8_t id[OBJECT_ID_SIZE]);
int pack_ids_has(const struct pack_ids *l, const uint8_t id[OBJECT_ID_SIZE]);

/* What packs that were cut short may still have (repo_salvage.c). */
struct salvage {
	struct names cut;
	struct salvage_pack *pack;	/* the same, sorted by id, once looked
					   up */
	size_t npacks;
	struct salvage_place *place;	/* sorted by id, once looked up */
	size_t n, cap;
	int looked;
};

struct repo {
	struct store *store;
	struct keys keys;
	int has_keys;
	struct config config;
	struct keyslot_info slot;
	uint64_t kdf_memory;	/* as in repo_conf */
	int tier_given;		/* it named a class for data */
	struct index *index;
	struct cache *cache;
	char *state_dir;	/* NULL: none that can be used */
	char *private_dir;	/* index lives here instead; removed at close */
	pthread_mutex_t sync_lock;	/* one sync at a time; who holds it
					   writes the next three, by kind */
	atomic_int synced[3];
	atomic_ullong epoch[3];	/* index_epoch() that was loaded */
	/* index_epoch() in which all was read back, and 1; 0: none. */
	uint64_t adopted[3];	/* protected by sync_lock */
	/* Of repo_sync_current(), and with what the last one failed. */
	atomic_uint sync_failures[3];
	int sync_err[3];	/* protected by sync_lock */
	/* What the last comparison met that no segment lists. */
	struct names unlisted[3];	/* protected by sync_lock */
	struct pack_ids unread[3];	/* segments that could not be loaded;
					   by kind; protected by sync_lock */
	struct salvage salvage[3];	/* by kind; protected by sync_lock */
	int listed_only;	/* a sync's; protected by sync_lock */
	int heals;		/* may put segments for packs read back */
};

/* repo_state.c: index and cache of this host, as well as it can be had. */
int repo_state_open(struct repo *r, const struct repo_conf *conf);
void repo_state_close(struct repo *r);

/*
 * repo_fault.c.  What is read object by object, listed just now: is a failure
 * the fault of this one alone, so that it is to be passed over?  *row, 0 at
 * first, counts; call it for successes too.  A store that is gone, or gives
 * nothing, is no object's fault, nor is want of memory.
 */
int repo_passes(int err, unsigned *row);
/* The same without the answers that a store in trouble gives. */
int repo_is_damage(int err);

/* repo_sync.c: repo_sync() for who holds sync_lock. */
int repo_sync_locked(struct repo *r, enum pack_kind kind, unsigned *damaged);

/* repo_salvage.c: takes the ids over.  For who holds sync_lock. */
void repo_salvage_from(struct repo *r, enum pack_kind kind,
    const struct names *cut);
void repo_salvage_release(struct repo *r);

/* repo_key.c: the slot that the password opens. */
int repo_unlock(struct repo *r, const struct repo_conf *conf);
int repo_slot_put(struct repo *r, const struct keys *keys,
    const char *password, size_t len, struct keyslot_info *info);

#endif
