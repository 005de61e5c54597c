/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_REPO_REPO_INTERNAL_H
#define FIRN_REPO_REPO_INTERNAL_H

#include <pthread.h>

#include "repo/repo.h"

/*
 * So often an object is read that comes damaged.  Something on the way may be to
 * blame, and what is stored whole; only what comes damaged each time counts as
 * damage of what is stored.
 */
#define READ_TRIES	3

struct repo {
	struct store *store;
	struct keys keys;
	int has_keys;
	struct config config;
	struct keyslot_info slot;
	uint64_t kdf_memory;	/* as in repo_conf */
	struct index *index;
	struct cache *cache;
	char *state_dir;	/* NULL: none that can be used */
	char *private_dir;	/* index lives here instead; removed at close */
	pthread_mutex_t sync_lock;	/* one sync at a time; protects: */
	int synced[3], adopted[3];	/* by kind */
	int heals;		/* may put segments for packs read back */
};

/* repo_state.c: index and cache of this host, as well as it can be had. */
int repo_state_open(struct repo *r, const struct repo_conf *conf);
void repo_state_close(struct repo *r);

/* repo_key.c: the slot that the password opens. */
int repo_unlock(struct repo *r, const struct repo_conf *conf);
int repo_slot_put(struct repo *r, const struct keys *keys,
    const char *password, size_t len, struct keyslot_info *info);

#endif
