/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, opening and closing a repository.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/store_probe.h"
#include "repo/repo_internal.h"

#define CONFIG_NAME	"config"
#define CONFIG_MAX	(1u << 20)

struct store *
repo_store(struct repo *r)
{
	return r->store;
}

const struct keys *
repo_keys(const struct repo *r)
{
	return r->has_keys ? &r->keys : NULL;
}

const struct config *
repo_config(const struct repo *r)
{
	return &r->config;
}

struct index *
repo_index(struct repo *r)
{
	return r->index;
}

struct cache *
repo_cache(struct repo *r)
{
	return r->cache;
}

const struct keyslot_info *
repo_slot(const struct repo *r)
{
	return &r->slot;
}

const char *
repo_state_dir(const struct repo *r)
{
	return r->state_dir;
}

int
block_id(struct mac *mac, enum block_type type, const void *data, size_t len,
    uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t t = (uint8_t)type;

	return mac_compute(mac, &t, 1, data, len, id);
}

const char *
pack_kind_name(enum pack_kind kind)
{
	return kind == PACK_DATA ? "data" : "meta";
}

void
repo_pack_name(enum pack_kind kind, const uint8_t id[OBJECT_ID_SIZE],
    char *out)
{
	char hex[2 * OBJECT_ID_SIZE + 1];

	hex_encode(id, OBJECT_ID_SIZE, hex);
	snprintf(out, STORE_NAME_MAX + 1, "%s/%.2s/%s", pack_kind_name(kind),
	    hex, hex);
}

void
repo_segment_name(enum pack_kind kind, const uint8_t id[OBJECT_ID_SIZE],
    char *out)
{
	char hex[2 * OBJECT_ID_SIZE + 1];

	hex_encode(id, OBJECT_ID_SIZE, hex);
	snprintf(out, STORE_NAME_MAX + 1, "index/%s/%s", pack_kind_name(kind),
	    hex);
}

static struct repo *
repo_new(void)
{
	struct repo *r = calloc(1, sizeof(*r));

	if (r != NULL)
		pthread_mutex_init(&r->sync_lock, NULL);
	return r;
}

void
repo_close(struct repo *r)
{
	if (r == NULL)
		return;
	repo_state_close(r);
	repo_salvage_release(r);
	names_release(&r->unlisted[PACK_DATA]);
	names_release(&r->unlisted[PACK_META]);
	free(r->unread[PACK_DATA].id);
	free(r->unread[PACK_META].id);
	store_close(r->store);
	keys_wipe(&r->keys);
	pthread_mutex_destroy(&r->sync_lock);
	free(r);
}

/* Load and decode config; the MAC waits for the keys. */
static int
config_load(struct repo *r, struct buf *bytes)
{
	int err;

	err = store_load(r->store, CONFIG_NAME, bytes);
	if (err == -ENOENT)
		return log_plain(-FIRN_ENOREPO, "'%s' holds no repository; make "
		    "one with `firn -r %s init`", store_url(r->store),
		    store_url(r->store));
	if (err == 0)
		err = config_decode(bytes->data, bytes->len, &r->config);
	if (err == -FIRN_ECORRUPT)
		return log_err(err, "'%s' of '%s' is damaged; restore it from "
		    "a copy of the repository", CONFIG_NAME,
		    store_url(r->store));
	return err;
}

/* Config and keys, each of which says whether the other is whole. */
static int
open_once(struct repo *r, const struct repo_conf *conf, struct buf *bytes)
{
	int err;

	buf_reset(bytes);
	err = config_load(r, bytes);
	if (err == 0)
		err = repo_unlock(r, conf);
	if (err != 0)
		return err;
	err = config_verify(bytes->data, bytes->len, &r->keys);
	if (err != 0)
		log_err(err, "'%s' of '%s' is damaged or was changed; "
		    "restore it from a copy of the repository", CONFIG_NAME,
		    store_url(r->store));
	return err;
}

/* Does the config read otherwise now than these bytes? */
static int
config_differs(struct repo *r, const struct buf *bytes)
{
	struct buf now = BUF_INIT(CONFIG_MAX);
	int differs;

	differs = store_load(r->store, CONFIG_NAME, &now) == 0 &&
	    (now.len != bytes->len ||
	    memcmp(now.data, bytes->data, now.len) != 0);
	buf_release(&now);
	if (differs)
		log_warn(0, "'%s' came damaged from '%s'; reading it again",
		    CONFIG_NAME, store_url(r->store));
	return differs;
}

int
repo_open(const struct repo_conf *conf, struct repo **out)
{
	struct buf bytes = BUF_INIT(CONFIG_MAX);
	struct repo *r = repo_new();
	int err, tries = 1;

	if (r == NULL)
		return -ENOMEM;
	r->kdf_memory = conf->kdf_memory;
	r->tier_given = conf->store.tier != NULL;
	err = store_open(conf->url, &conf->store, 0, &r->store);
	if (err == -ENOENT)
		err = log_plain(-FIRN_ENOREPO, "no repository at '%s'; make one "
		    "with `firn -r %s init`", conf->url, conf->url);
	if (err == 0)
		err = open_once(r, conf, &bytes);
	while ((err == -FIRN_ECORRUPT || err == -FIRN_EWRONGKEY) &&
	    tries++ < READ_TRIES && config_differs(r, &bytes))
		err = open_once(r, conf, &bytes);
	if (err == 0)
		err = repo_state_open(r, conf);
	buf_release(&bytes);
	if (err != 0) {
		repo_close(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Refuse a place that is in use already; trials of the store are no use. */
static int
found_something(void *ctx, const char *name, const struct store_stat *st)
{
	(void)st;
	if (strncmp(name, STORE_PROBE_PREFIX, strlen(STORE_PROBE_PREFIX)) == 0)
		return 0;
	snprintf(ctx, STORE_NAME_MAX + 1, "%s", name);
	return 1;
}

static int
init_refuse(struct repo *r)
{
	char name[STORE_NAME_MAX + 1];
	struct store_stat st;
	int ret;

	ret = store_stat(r->store, CONFIG_NAME, &st);
	if (ret == 0)
		return log_plain(-EEXIST, "'%s' holds a repository already; use "
		    "it, or choose another place", store_url(r->store));
	if (ret != -ENOENT)
		return ret;
	ret = store_list(r->store, "", found_something, name);
	if (ret == 1)
		return log_plain(-ENOTEMPTY, "'%s' holds something else ('%s'); "
		    "choose an empty place", store_url(r->store), name);
	return ret;
}

/* What the store makes of conditional writes, for the record. */
static int
init_conditional(struct repo *r)
{
	static const enum config_conditional kept[] = {
		[STORE_COND_UNKNOWN] = CONFIG_COND_UNSAID,
		[STORE_COND_YES] = CONFIG_COND_YES,
		[STORE_COND_IGNORED] = CONFIG_COND_IGNORED,
		[STORE_COND_REFUSED] = CONFIG_COND_REFUSED,
	};
	enum store_conditional c;
	int err;

	r->config.conditional_writes = CONFIG_COND_UNSAID;
	if (store_local_path(r->store) != NULL)
		return 0;	/* always; and it may be copied elsewhere */
	err = store_conditional(r->store, &c);
	if (err != 0)
		return err;
	r->config.conditional_writes = kept[c];
	if (c != STORE_COND_YES)
		log_warn(0, "'%s' %s conditional writes (If-None-Match)%s; "
		    "firn works without, but nothing keeps a stolen key that "
		    "may put from overwriting: see firn-policy(7)",
		    store_url(r->store), c == STORE_COND_REFUSED ? "refuses" :
		    "ignores", c == STORE_COND_IGNORED ? ", perhaps because "
		    "the bucket keeps versions" : "");
	return 0;
}

/* Whether the config of a put that failed is not there, as far as can be known:
 * an answer that got lost may have been a yes. */
static int
config_is_not_ours(struct repo *r, int err)
{
	struct store_stat st;

	return err == -EEXIST || store_stat(r->store, CONFIG_NAME, &st) ==
	    -ENOENT;
}

/*
 * The key first, the config last: with "only if absent" on the config, of two
 * that init at once one wins, and a config is never there without its key.
 */
static int
init_write(struct repo *r, const struct repo_conf *conf, const char *label)
{
	struct buf password = BUF_INIT(4096), bytes = BUF_INIT(CONFIG_MAX);
	char name[STORE_NAME_MAX + 1];
	int err;

	memset(&r->slot, 0, sizeof(r->slot));
	r->slot.role = KEY_OWNER;
	snprintf(r->slot.label, sizeof(r->slot.label), "%s", label);
	err = conf->password(conf->password_ctx, 1, &password);
	if (err == 0)
		err = repo_slot_put(r, &r->keys, (char *)password.data,
		    password.len, &r->slot);
	if (err == 0)
		err = config_encode(&r->config, &r->keys, &bytes);
	if (err == 0) {
		err = store_put(r->store, CONFIG_NAME, bytes.data, bytes.len,
		    NULL, STORE_IF_ABSENT);
		if (err != 0 && config_is_not_ours(r, err)) {
			snprintf(name, sizeof(name), "keys/%s", r->slot.name);
			store_del(r->store, name);
		}
		if (err == -EEXIST)
			log_err(err, "somebody else made a repository at '%s' "
			    "just now", store_url(r->store));
	}
	if (password.data != NULL)
		explicit_bzero(password.data, password.cap);
	buf_release(&password);
	buf_release(&bytes);
	return err;
}

int
repo_init(const struct repo_conf *conf, const struct config *config,
    const char *label, struct repo **out)
{
	struct repo *r;
	int err;

	err = config_validate(config);
	if (err != 0)
		return err;
	r = repo_new();
	if (r == NULL)
		return -ENOMEM;
	r->config = *config;
	r->kdf_memory = conf->kdf_memory;
	r->tier_given = conf->store.tier != NULL;
	err = store_open(conf->url, &conf->store, 1, &r->store);
	if (err == 0)
		err = init_refuse(r);
	if (err == 0)
		err = init_conditional(r);
	if (err == 0)
		err = keys_generate(&r->keys);
	memcpy(r->config.repo_id, r->keys.repo_id, REPO_ID_SIZE);
	r->has_keys = 1;
	if (err == 0)
		err = init_write(r, conf, label);
	if (err == 0)
		err = repo_state_open(r, conf);
	if (err != 0) {
		repo_close(r);
		return err;
	}
	*out = r;
	return 0;
}
