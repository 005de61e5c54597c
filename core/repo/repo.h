/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository: a store, the keys to it, and this host's local state for it
 * (block index and cache).  The only layer that holds both bytes of the store
 * and keys.
 */
#ifndef FIRN_REPO_REPO_H
#define FIRN_REPO_REPO_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "format/config.h"
#include "format/keyslot.h"
#include "index/index.h"
#include "store/store.h"

struct repo;

struct repo_conf {
	const char *url;
	struct store_conf store;
	/* Directory for local state of all repositories; this one's lies in
	 * DIR/<repository id>.  NULL: FIRN_CACHE_DIR, then
	 * /var/cache/firn for root, else $XDG_CACHE_HOME/firn or
	 * ~/.cache/firn. */
	const char *cache_dir;
	uint64_t cache_limit;	/* bytes; 0: 10 GiB or a tenth of the free
				   room, whichever is less */
	int no_cache;		/* keep no cells on disk */
	/* Appends the password; asked only when it is needed.  again: the
	 * caller wants it typed twice (a new password). */
	int (*password)(void *ctx, int again, struct buf *out);
	void *password_ctx;
	/* Memory that trying a password takes, for slots that are written:
	 * bytes, a power of two in REPO_KDF_MIN .. _MAX; 0: 32 MiB.  Below
	 * REPO_KDF_WEAK only what nobody thought up is hard to guess. */
	uint64_t kdf_memory;
};

#define REPO_KDF_MIN	(1ull << 20)
#define REPO_KDF_WEAK	(16ull << 20)
#define REPO_KDF_MAX	(1ull << 30)

/*
 * Make a repository and its first key, an owner's.  -EEXIST when there is
 * one; -ENOTEMPTY when a local directory holds something else; logged.
 */
int repo_init(const struct repo_conf *conf, const struct config *config,
    const char *label, struct repo **out);

/*
 * Open.  -FIRN_ENOREPO, -FIRN_EWRONGKEY, -FIRN_EVERSION, -FIRN_ECORRUPT ...,
 * all logged with the next step.  Local state that cannot be used (read-only
 * or full disk) is a warning and the repository works without cache; the
 * index then lives in a private directory under TMPDIR while it is open.
 */
int repo_open(const struct repo_conf *conf, struct repo **out);
void repo_close(struct repo *r);

struct store *repo_store(struct repo *r);
const struct keys *repo_keys(const struct repo *r);
const struct config *repo_config(const struct repo *r);
struct index *repo_index(struct repo *r);
struct cache *repo_cache(struct repo *r);	/* NULL without one */
const struct keyslot_info *repo_slot(const struct repo *r);
/* This repository's directory of local state, or NULL. */
const char *repo_state_dir(const struct repo *r);

/*
 * Load the index segments of one half that are in the store and not yet in
 * the local index.  A damaged or missing segment is logged, counted in
 * *damaged (may be NULL) and passed over: the packs that it listed are read
 * back from their footers where possible.  0 also then.
 */
int repo_sync(struct repo *r, enum pack_kind kind, unsigned *damaged);
/* The same, and forgets what was read back and no segment in the store lists. */
int repo_sync_listed(struct repo *r, enum pack_kind kind);
/* Done at least once since open; does it when not. */
int repo_sync_once(struct repo *r, enum pack_kind kind);
/* 1 when it was not done, or another process has emptied the index since. */
int repo_sync_due(struct repo *r, enum pack_kind kind);
/* Does it when it is due.  Who waits for a thread that does so in vain fails
 * with it, as timeouts would add up. */
int repo_sync_current(struct repo *r, enum pack_kind kind);

/*
 * Compare the packs that the index names with a listing of the store.  Blocks
 * of packs that are missing there, or have another size, are not known from
 * then on, on this host: a backup stores them again, and a reader finds them
 * where else they are.  A pack that is back is believed again.  One request
 * for 1000 packs, and in the rare case that something changed, the index is
 * loaded anew; 1 then, else 0, or -errno.  out may be NULL.
 */
struct repo_compared {
	size_t absent;		/* packs that are missing */
	size_t unlisted;	/* packs that are there and in no segment */
	uint8_t sum[OBJECT_ID_SIZE];	/* tells those from others */
};
int repo_packs_compare(struct repo *r, enum pack_kind kind,
    struct repo_compared *out);
/*
 * Where a block was in a pack that the last comparison found with another
 * size: what is left of it may be readable.  1, 0 or -errno.  The first call
 * reads all segments.
 */
int repo_salvage_find(struct repo *r, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out);

/*
 * Load what other hosts have added since, during a run: no more than a listing
 * of segments where there is nothing.  Nothing is forgotten, nothing read back.
 * A segment that cannot be read is tried once; the next sync deals with it.
 */
int repo_follow(struct repo *r, enum pack_kind kind);

/*
 * Read back packs that no segment lists (uploads of a run that was killed, or
 * whose segment is damaged or gone) from their footers, and add them to the
 * local index.  After repo_heals() they are listed in the store again by a new
 * segment too; without it nothing is written there.  Packs that cannot be read
 * are left alone.  *packs counts those added.
 */
void repo_heals(struct repo *r);
int repo_adopt(struct repo *r, enum pack_kind kind, unsigned *packs);
/* The same the first time only since the index was emptied: 1 when packs were
 * added. */
int repo_adopt_once(struct repo *r, enum pack_kind kind);
/* The same for the packs that the last comparison found in no segment: no
 * request but for those. */
int repo_adopt_unlisted(struct repo *r, enum pack_kind kind, unsigned *packs);
/*
 * Processes without repo_heals() share the index, and may have read back packs
 * that no segment in the store lists; or one may have emptied it since epoch
 * `since`, and such packs with it.  Then lists them in the store; by who heals,
 * before it makes a generation of what it found in the index.
 */
int repo_relist(struct repo *r, enum pack_kind kind, uint64_t since);

/* The id of a block: HMAC(K, type || content).  mac is a thread's own over
 * keys->block_id. */
struct mac;
int block_id(struct mac *mac, enum block_type type, const void *data,
    size_t len, uint8_t id[BLOCK_ID_SIZE]);

/*
 * The storage class of new data packs that the repository keeps: what was set
 * last, else what init said, else "".  What was set is read as it is in the
 * store now; settings that are damaged, too big, of another
 * version or archived are logged and passed over.
 */
struct repo_tier {
	char class_name[CONFIG_CLASS_SIZE];
	struct timespec set;	/* when */
};
int repo_tier_get(struct repo *r, struct repo_tier *out);
/* -FIRN_ENOKEY for a key that is no owner's, -EINVAL for no class, or one that
 * the store does not take: a byte is put there for trial.  Logged. */
int repo_tier_set(struct repo *r, const char *class_name);
/* Puts data packs there from now on, unless conf->store.tier named a class; for
 * who writes.  Nobody may be in a put.  What cannot be found out is a warning
 * only: a backup in another class is better than none. */
int repo_tier_use(struct repo *r);

/* Names of objects; out has room for STORE_NAME_MAX + 1. */
void repo_pack_name(enum pack_kind kind, const uint8_t id[OBJECT_ID_SIZE],
    char *out);
void repo_segment_name(enum pack_kind kind, const uint8_t id[OBJECT_ID_SIZE],
    char *out);
/* "data" or "meta". */
const char *pack_kind_name(enum pack_kind kind);

/* Keys: list, add, remove.  Slots that cannot be read are logged and left
 * out. */
int repo_key_list(struct repo *r,
    int (*fn)(void *ctx, const struct keyslot_info *info), void *ctx);
/* With the keys in hand; an owner may add either role, a write-only key only
 * its own.  -FIRN_ENOKEY. */
int repo_key_add(struct repo *r, enum key_role role, const char *label,
    const char *password, size_t len, struct keyslot_info *info);
/* By slot name or an unambiguous beginning of it.  -EBUSY for the last owner
 * slot; -ENOENT. */
int repo_key_remove(struct repo *r, const char *slot);

#endif
