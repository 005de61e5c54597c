/* SPDX-License-Identifier: Apache-2.0 */
/* A key slot before its secret is opened: for format/keyslot*.c. */
#ifndef FIRN_FORMAT_KEYSLOT_INTERNAL_H
#define FIRN_FORMAT_KEYSLOT_INTERNAL_H

#include "crypto/aead.h"
#include "format/keyslot.h"

#define KEYSLOT_SALT_SIZE	32
#define KEYSLOT_MAX		(16u << 10)	/* bytes of the JSON */
/* K_id, K_index, pk and, for an owner, sk. */
#define KEYSLOT_SECRET_MAX	(4 * KEY_SIZE)

static inline size_t
keyslot_secret_len(enum key_role role)
{
	return role == KEY_OWNER ? 4 * KEY_SIZE : 3 * KEY_SIZE;
}

struct keyslot {
	struct keyslot_info info;
	struct keyslot_kdf kdf;
	uint8_t salt[KEYSLOT_SALT_SIZE];
	uint8_t sealed[KEYSLOT_SECRET_MAX + AEAD_TAG_SIZE];
	size_t sealedlen;
};

/* 1 when text is 16 lower-case hexadecimal digits. */
int keyslot_name_valid(const char *text);

/* The canonical text, appended. */
int keyslot_canonical(const struct keyslot *s, struct buf *out);
/* The JSON, appended. */
int keyslot_write(const struct keyslot *s, struct buf *out);
/* Parse and check the sum. */
int keyslot_parse(const void *data, size_t len, struct keyslot *out);

#endif
