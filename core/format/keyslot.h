/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "keys/<slot>": root keys under a password.
 *
 * JSON with members firn ("key"), version, repository, slot, role ("owner" or
 * "write-only"), label, created, kdf ("scrypt"), n, r, p, salt (hex), sealed
 * (hex), sum (hex).  sealed is AES-256-GCM(scrypt(password), nonce zero: the
 * salt is fresh at every writing; aad = the canonical text of all members
 * before it) over K_id, K_index, pk and, for an owner, sk.  sum is SHA-256 of
 * the same text and sealed, so that a damaged slot is told from a wrong
 * password.
 *
 * The canonical text is one line "name=value\n" for each member in the order
 * above, from firn to salt: numbers in decimal, created in the iso form of
 * base/timefmt.h, all else as the JSON string holds it.  The order in the JSON
 * does not matter, and members not named here are ignored.  slot is 16 hex
 * digits; salt has 32 bytes; label is UTF-8 without control characters; n, r
 * and p are what kdf_scrypt() takes; version is FORMAT_VERSION.
 */
#ifndef FIRN_FORMAT_KEYSLOT_H
#define FIRN_FORMAT_KEYSLOT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "crypto/keys.h"

enum key_role { KEY_OWNER = 1, KEY_WRITE_ONLY = 2 };

#define KEYSLOT_NAME_SIZE	17	/* 16 hex digits and a NUL */
#define KEYSLOT_LABEL_MAX	255

struct keyslot_info {
	char name[KEYSLOT_NAME_SIZE];
	enum key_role role;
	char label[KEYSLOT_LABEL_MAX + 1];
	struct timespec created;
	uint8_t repo_id[REPO_ID_SIZE];
};

struct keyslot_kdf {
	uint64_t n;
	uint32_t r;
	uint32_t p;
};
/* 32 MiB, 0.2 s.  As hard to guess as the often seen 2^17, 8, 1 (OWASP,
 * "Password Storage Cheat Sheet": 2^15, 8, 3), with a quarter of its memory,
 * whose pages take longer to come than they take to fill. */
#define KEYSLOT_KDF_DEFAULT { 1 << 15, 8, 3 }

/* Appends.  info: role and label are the caller's; name empty to have one made
 * (written back); created is set to now, repo_id to the keys'.  -EINVAL for a
 * label, name or kdf that may not be, -FIRN_ENOKEY to make an owner's slot
 * without sk. */
int keyslot_encode(const struct keys *keys, const char *password, size_t len,
    const struct keyslot_kdf *kdf, struct keyslot_info *info, struct buf *out);
/* Without a password; checks sum.  Total.  -FIRN_ECORRUPT, -FIRN_EVERSION
 * (logged, naming both versions). */
int keyslot_info(const void *data, size_t len, struct keyslot_info *info);
/* -FIRN_EWRONGKEY, -FIRN_ECORRUPT, -FIRN_EVERSION.  keys are derived, or wiped
 * after a failure.  info may be NULL.  Takes the memory and time of scrypt. */
int keyslot_open(const void *data, size_t len, const char *password,
    size_t passlen, struct keys *keys, struct keyslot_info *info);

/* At most KEYSLOT_LABEL_MAX bytes of UTF-8 without control characters. */
int keyslot_label_valid(const char *text);

/* "owner" or "write-only". */
const char *key_role_name(enum key_role role);

#endif
