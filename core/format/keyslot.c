/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots: the root keys of a repository under a password.
 */
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "crypto/box.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "format/keyslot_internal.h"

/* The canonical text and the key that a password makes. */
static int
slot_key(const struct keyslot *s, const char *password, size_t len,
    struct buf *aad, uint8_t key[AEAD_KEY_SIZE])
{
	int err;

	err = keyslot_canonical(s, aad);
	if (err != 0)
		return err;
	return kdf_scrypt(password, len, s->salt, KEYSLOT_SALT_SIZE, s->kdf.n,
	    s->kdf.r, s->kdf.p, key, AEAD_KEY_SIZE);
}

static int
slot_seal(struct keyslot *s, const char *password, size_t len,
    const uint8_t *secret)
{
	struct buf aad = BUF_INIT(KEYSLOT_MAX);
	uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE];
	struct aead *a = NULL;
	int err;

	err = slot_key(s, password, len, &aad, key);
	if (err == 0)
		err = aead_new(&a);
	if (err == 0) {
		/* The salt is fresh, and so the key is this slot's own. */
		aead_nonce(0, nonce);
		err = aead_seal(a, key, nonce, aad.data, aad.len, secret,
		    keyslot_secret_len(s->info.role), s->sealed);
	}
	aead_free(a);
	kdf_wipe(key, sizeof(key));
	buf_release(&aad);
	return err;
}

static int
slot_open(const struct keyslot *s, const char *password, size_t len,
    uint8_t *secret)
{
	struct buf aad = BUF_INIT(KEYSLOT_MAX);
	uint8_t key[AEAD_KEY_SIZE], nonce[AEAD_NONCE_SIZE];
	struct aead *a = NULL;
	int err;

	err = slot_key(s, password, len, &aad, key);
	if (err == 0)
		err = aead_new(&a);
	if (err == 0) {
		aead_nonce(0, nonce);
		err = aead_open(a, key, nonce, aad.data, aad.len, s->sealed,
		    s->sealedlen, secret);
		/* The sum was right, so it is not damage. */
		if (err == -FIRN_ECORRUPT)
			err = -FIRN_EWRONGKEY;
	}
	aead_free(a);
	kdf_wipe(key, sizeof(key));
	buf_release(&aad);
	return err;
}

static int
info_fill(struct keyslot_info *info, const struct keys *keys)
{
	uint8_t name[(KEYSLOT_NAME_SIZE - 1) / 2];

	if (info->role != KEY_OWNER && info->role != KEY_WRITE_ONLY)
		return -EINVAL;
	if (info->role == KEY_OWNER && !keys->has_sk)
		return -FIRN_ENOKEY;
	if (memchr(info->label, 0, sizeof(info->label)) == NULL ||
	    !keyslot_label_valid(info->label))
		return -EINVAL;
	if (info->name[0] == '\0') {
		kdf_random(name, sizeof(name));
		hex_encode(name, sizeof(name), info->name);
	} else if (memchr(info->name, 0, sizeof(info->name)) == NULL ||
	    !keyslot_name_valid(info->name)) {
		return -EINVAL;
	}
	memcpy(info->repo_id, keys->repo_id, REPO_ID_SIZE);
	clock_gettime(CLOCK_REALTIME, &info->created);
	return 0;
}

int
keyslot_encode(const struct keys *keys, const char *password, size_t len,
    const struct keyslot_kdf *kdf, struct keyslot_info *info, struct buf *out)
{
	uint8_t secret[KEYSLOT_SECRET_MAX];
	size_t start = out->len;
	struct keyslot s;
	int err;

	err = info_fill(info, keys);
	if (err != 0)
		return err;
	s.info = *info;
	s.kdf = *kdf;
	s.sealedlen = keyslot_secret_len(info->role) + AEAD_TAG_SIZE;
	kdf_random(s.salt, sizeof(s.salt));
	memcpy(secret, keys->id, KEY_SIZE);
	memcpy(secret + KEY_SIZE, keys->index, KEY_SIZE);
	memcpy(secret + 2 * KEY_SIZE, keys->pk, KEY_SIZE);
	memcpy(secret + 3 * KEY_SIZE, keys->sk, KEY_SIZE);
	err = slot_seal(&s, password, len, secret);
	kdf_wipe(secret, sizeof(secret));
	if (err == 0)
		err = keyslot_write(&s, out);
	if (err != 0)
		out->len = start;
	return err;
}

int
keyslot_info(const void *data, size_t len, struct keyslot_info *info)
{
	struct keyslot s;
	int err;

	err = keyslot_parse(data, len, &s);
	if (err == 0)
		*info = s.info;
	return err;
}

/* The secret becomes keys.  An owner's pk must be the one of its sk. */
static int
keys_fill(const struct keyslot *s, const uint8_t *secret, struct keys *keys)
{
	uint8_t pk[KEY_SIZE];
	int err;

	memset(keys, 0, sizeof(*keys));
	memcpy(keys->repo_id, s->info.repo_id, REPO_ID_SIZE);
	memcpy(keys->id, secret, KEY_SIZE);
	memcpy(keys->index, secret + KEY_SIZE, KEY_SIZE);
	memcpy(keys->pk, secret + 2 * KEY_SIZE, KEY_SIZE);
	if (s->info.role == KEY_OWNER) {
		memcpy(keys->sk, secret + 3 * KEY_SIZE, KEY_SIZE);
		keys->has_sk = 1;
		err = box_public(keys->sk, pk);
		if (err != 0)
			return err;
		if (!hash_equal(pk, keys->pk, KEY_SIZE))
			return -FIRN_ECORRUPT;
	}
	return keys_derive(keys);
}

int
keyslot_open(const void *data, size_t len, const char *password,
    size_t passlen, struct keys *keys, struct keyslot_info *info)
{
	uint8_t secret[KEYSLOT_SECRET_MAX];
	struct keyslot s;
	int err;

	err = keyslot_parse(data, len, &s);
	if (err != 0)
		return err;
	err = slot_open(&s, password, passlen, secret);
	if (err == 0)
		err = keys_fill(&s, secret, keys);
	if (err != 0)
		keys_wipe(keys);
	else if (info != NULL)
		*info = s.info;
	kdf_wipe(secret, sizeof(secret));
	return err;
}
