/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots: which one a password opens; list, add, remove.
 *
 * Owners' slots are tried first, so that a password that two keys share opens
 * all it may, and each role's in the order of their names.  The time this takes
 * grows with the slots of a repository, as each has a salt of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "repo/repo_internal.h"

#define SLOT_MAX	(1u << 16)	/* bytes of a slot */
#define SLOTS_MAX	256

struct slots {
	struct store *store;
	char (*name)[STORE_NAME_MAX + 1];
	uint8_t (*sum)[HASH_SIZE];	/* of what was tried */
	size_t n;
	char damaged[SLOTS_MAX];	/* no password opens it */
	unsigned row;		/* for repo_passes() */
	unsigned wrong;		/* opened by another password */
	int err;		/* why the last was damaged */
};

static int
slot_note(void *ctx, const char *name, const struct store_stat *st)
{
	struct slots *s = ctx;

	(void)st;
	if (s->n == SLOTS_MAX)
		return log_plain(-FIRN_ETOOBIG, "more than %d key slots",
		    SLOTS_MAX);
	snprintf(s->name[s->n++], STORE_NAME_MAX + 1, "%s", name);
	return 0;
}

static int
slots_list(struct repo *r, struct slots *s)
{
	memset(s, 0, sizeof(*s));
	s->store = r->store;
	s->name = calloc(SLOTS_MAX, sizeof(*s->name));
	s->sum = calloc(SLOTS_MAX, sizeof(*s->sum));
	if (s->name == NULL || s->sum == NULL)
		return -ENOMEM;
	return store_list(r->store, "keys/", slot_note, s);
}

static void
slots_release(struct slots *s)
{
	free(s->name);
	free(s->sum);
}

/* What a slot says of itself; damage is logged and gives -FIRN_ECORRUPT. */
static int
slot_look(struct repo *r, const char *name, const struct buf *bytes,
    struct keyslot_info *info)
{
	int err;

	err = keyslot_info(bytes->data, bytes->len, info);
	if (err == 0 && strcmp(info->name, name + strlen("keys/")) != 0)
		err = -FIRN_ECORRUPT;
	if (err == 0 && memcmp(info->repo_id, r->config.repo_id,
	    REPO_ID_SIZE) != 0)
		err = log_err(-FIRN_ECORRUPT,
		    "'%s' belongs to another repository", name);
	else if (err == -FIRN_ECORRUPT)
		log_err(err, "cannot use key slot '%s'", name);
	return err;
}

static int
slot_load(struct repo *r, const char *name, struct buf *bytes,
    struct keyslot_info *info)
{
	int err;

	buf_reset(bytes);
	err = store_load(r->store, name, bytes);
	return err == 0 ? slot_look(r, name, bytes, info) : err;
}

/*
 * Try the password on a slot, unless it is of another role or these very bytes
 * were tried before.  1 when it opens, 0 not, or -errno.
 */
static int
slot_try(struct repo *r, struct slots *s, size_t i, enum key_role role,
    const struct buf *password)
{
	struct buf bytes = BUF_INIT(SLOT_MAX);
	uint8_t sum[HASH_SIZE];
	int err;

	err = store_load(r->store, s->name[i], &bytes);
	if (err == 0)
		err = hash_sha256(bytes.data, bytes.len, sum);
	if (err == 0 && memcmp(sum, s->sum[i], HASH_SIZE) == 0) {
		s->row = 0;
		buf_release(&bytes);
		return 0;
	}
	if (err == 0) {
		err = slot_look(r, s->name[i], &bytes, &r->slot);
		if (err == 0 && r->slot.role != role) {
			buf_release(&bytes);
			return 0;
		}
		memcpy(s->sum[i], sum, HASH_SIZE);
	}
	if (err == 0)
		err = keyslot_open(bytes.data, bytes.len,
		    (char *)password->data, password->len, &r->keys,
		    &r->slot);
	buf_release(&bytes);
	if (err == 0)
		return 1;
	if (err == -FIRN_EWRONGKEY) {
		s->row = 0;
		s->wrong++;
		return 0;
	}
	if (!repo_passes(err, &s->row))
		return err;
	s->damaged[i] = 1;
	s->err = err;
	return 0;
}

/* The first slot that it opens: 1, 0 when there is none, or -errno. */
static int
slots_try(struct repo *r, struct slots *s, const struct buf *password)
{
	static const enum key_role order[] = { KEY_OWNER, KEY_WRITE_ONLY };
	size_t i, k;
	int ret = 0;

	for (k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (i = 0; i < s->n && ret == 0; i++)
			ret = slot_try(r, s, i, order[k], password);
	return ret;
}

int
repo_unlock(struct repo *r, const struct repo_conf *conf)
{
	struct buf password = BUF_INIT(4096);
	struct slots s;
	unsigned tries, damaged = 0;
	size_t i;
	int err, done = 0;

	err = slots_list(r, &s);
	if (err == 0 && s.n == 0)
		err = log_plain(-FIRN_EMISSING, "'%s' has no key slots; restore "
		    "keys/ from a copy of the repository", store_url(r->store));
	if (err == 0)
		err = conf->password(conf->password_ctx, 0, &password);
	/* A slot that came damaged may look like the wrong password. */
	for (tries = 1; tries < READ_TRIES && err == 0 && !done; tries++) {
		done = slots_try(r, &s, &password);
		err = done < 0 ? done : 0;
	}
	done = done == 1;
	for (i = 0; i < s.n; i++)
		damaged += (unsigned)s.damaged[i];
	/* Where none could be read, that is what is wrong. */
	if (err == 0 && !done && s.wrong == 0 && !repo_is_damage(s.err))
		err = s.err;
	if (err == 0 && !done)
		err = log_plain(-FIRN_EWRONGKEY, damaged > 0 ? "the password "
		    "opens no readable key of '%s' (%u of %zu slots cannot be "
		    "read)" : "the password opens no key of '%s'",
		    store_url(r->store), damaged, s.n);
	r->has_keys = done;
	slots_release(&s);
	if (password.data != NULL)
		explicit_bzero(password.data, password.cap);
	buf_release(&password);
	return err;
}

int
repo_slot_put(struct repo *r, const struct keys *keys, const char *password,
    size_t len, struct keyslot_info *info)
{
	struct keyslot_kdf kdf = KEYSLOT_KDF_DEFAULT;
	struct buf bytes = BUF_INIT(SLOT_MAX);
	char name[STORE_NAME_MAX + 1];
	int err;

	/* scrypt takes 128 * n * r bytes. */
	if (r->kdf_memory > 0)
		kdf.n = r->kdf_memory / 128 / kdf.r;
	memcpy(info->repo_id, r->config.repo_id, REPO_ID_SIZE);
	err = keyslot_encode(keys, password, len, &kdf, info, &bytes);
	if (err == 0) {
		snprintf(name, sizeof(name), "keys/%s", info->name);
		err = store_put(r->store, name, bytes.data, bytes.len, NULL,
		    STORE_UNIQUE);
	}
	buf_release(&bytes);
	return err;
}

int
repo_key_list(struct repo *r,
    int (*fn)(void *ctx, const struct keyslot_info *info), void *ctx)
{
	struct buf bytes = BUF_INIT(SLOT_MAX);
	struct keyslot_info info;
	struct slots s;
	size_t i;
	int err;

	err = slots_list(r, &s);
	for (i = 0; i < s.n && err == 0; i++) {
		err = slot_load(r, s.name[i], &bytes, &info);
		if (err == 0)
			err = fn(ctx, &info);
		else if (repo_passes(err, &s.row))
			err = 0;
	}
	slots_release(&s);
	buf_release(&bytes);
	return err;
}

int
repo_key_add(struct repo *r, enum key_role role, const char *label,
    const char *password, size_t len, struct keyslot_info *info)
{
	struct keys copy = r->keys;
	int err;

	if (role == KEY_OWNER && !r->keys.has_sk)
		return log_plain(-FIRN_ENOKEY, "a write-only key cannot make an "
		    "owner key; use the password of an owner key");
	if (role == KEY_WRITE_ONLY) {
		kdf_wipe(copy.sk, sizeof(copy.sk));
		copy.has_sk = 0;
	}
	memset(info, 0, sizeof(*info));
	info->role = role;
	snprintf(info->label, sizeof(info->label), "%s", label);
	err = repo_slot_put(r, &copy, password, len, info);
	keys_wipe(&copy);
	return err;
}

struct slot_choice {
	const char *want;
	struct keyslot_info found;
	unsigned matches;
	unsigned owners;
};

static int
slot_choose(void *ctx, const struct keyslot_info *info)
{
	struct slot_choice *c = ctx;

	c->owners += info->role == KEY_OWNER;
	if (strncmp(info->name, c->want, strlen(c->want)) == 0) {
		c->found = *info;
		c->matches++;
	}
	return 0;
}

int
repo_key_remove(struct repo *r, const char *slot)
{
	struct slot_choice c = { .want = slot };
	char name[STORE_NAME_MAX + 1];
	int err;

	if (!r->keys.has_sk)
		return log_plain(-FIRN_ENOKEY, "a write-only key cannot remove "
		    "keys; use the password of an owner key");
	err = repo_key_list(r, slot_choose, &c);
	if (err != 0)
		return err;
	if (c.matches == 0 || *slot == '\0')
		return log_plain(-ENOENT, "no key slot '%s'; `firn key list` "
		    "shows them", slot);
	if (c.matches > 1)
		return log_plain(-EEXIST, "'%s' is the beginning of %u key "
		    "slots; give more digits", slot, c.matches);
	if (c.found.role == KEY_OWNER && c.owners < 2)
		return log_plain(-EBUSY, "'%s' is the last owner key; without "
		    "one nothing could be read any more", c.found.name);
	snprintf(name, sizeof(name), "keys/%s", c.found.name);
	return store_del(r->store, name);
}
