/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key slot as text: the canonical text that its seal and sum cover, and the
 * JSON around it.
 *
 * The canonical text is made anew from the decoded values, and a value whose
 * text in the JSON is not the one that would be made is refused.
 */
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "format/format.h"
#include "format/keyslot_internal.h"
#include "format/text.h"

#define KIND	"key"
#define KDF	"scrypt"

const char *
key_role_name(enum key_role role)
{
	return role == KEY_OWNER ? "owner" : "write-only";
}

int
keyslot_label_valid(const char *text)
{
	return strlen(text) <= KEYSLOT_LABEL_MAX && text_plain(text);
}

int
keyslot_name_valid(const char *text)
{
	uint8_t id[(KEYSLOT_NAME_SIZE - 1) / 2];

	return hex_decode(text, id, sizeof(id)) == 0;
}

int
keyslot_canonical(const struct keyslot *s, struct buf *out)
{
	char repo[2 * REPO_ID_SIZE + 1];
	char salt[2 * KEYSLOT_SALT_SIZE + 1];
	char created[TIMEFMT_SIZE];

	hex_encode(s->info.repo_id, REPO_ID_SIZE, repo);
	hex_encode(s->salt, KEYSLOT_SALT_SIZE, salt);
	timefmt_iso(&s->info.created, created);
	return buf_printf(out, "firn=" KIND "\nversion=%u\nrepository=%s\n"
	    "slot=%s\nrole=%s\nlabel=%s\ncreated=%s\nkdf=" KDF "\n"
	    "n=%" PRIu64 "\nr=%" PRIu32 "\np=%" PRIu32 "\nsalt=%s\n",
	    FORMAT_VERSION, repo, s->info.name, key_role_name(s->info.role),
	    s->info.label, created, s->kdf.n, s->kdf.r, s->kdf.p, salt);
}

/* SHA-256 of the canonical text and what is sealed. */
static int
keyslot_sum(const struct keyslot *s, uint8_t sum[HASH_SIZE])
{
	struct buf text = BUF_INIT(KEYSLOT_MAX);
	int err;

	err = keyslot_canonical(s, &text);
	if (err == 0)
		err = buf_add(&text, s->sealed, s->sealedlen);
	if (err == 0)
		err = hash_sha256(text.data, text.len, sum);
	buf_release(&text);
	return err;
}

int
keyslot_write(const struct keyslot *s, struct buf *out)
{
	uint8_t sum[HASH_SIZE];
	char created[TIMEFMT_SIZE];
	struct json *j;
	int err;

	err = keyslot_sum(s, sum);
	if (err != 0)
		return err;
	timefmt_iso(&s->info.created, created);
	j = json_object();
	json_set_str(j, "firn", KIND);
	json_set_uint(j, "version", FORMAT_VERSION);
	json_set_hex(j, "repository", s->info.repo_id, REPO_ID_SIZE);
	json_set_str(j, "slot", s->info.name);
	json_set_str(j, "role", key_role_name(s->info.role));
	json_set_str(j, "label", s->info.label);
	json_set_str(j, "created", created);
	json_set_str(j, "kdf", KDF);
	json_set_uint(j, "n", s->kdf.n);
	json_set_uint(j, "r", s->kdf.r);
	json_set_uint(j, "p", s->kdf.p);
	json_set_hex(j, "salt", s->salt, KEYSLOT_SALT_SIZE);
	json_set_hex(j, "sealed", s->sealed, s->sealedlen);
	json_set_hex(j, "sum", sum, sizeof(sum));
	err = json_dump_pretty(j, out);
	if (err == 0)
		err = buf_add_u8(out, '\n');
	json_free(j);
	return err;
}

/* A member that has one possible value. */
static int
literal_parse(struct json *j, const char *name, const char *want)
{
	const char *text;
	int err = json_get_str(j, name, &text);

	return err == 0 && strcmp(text, want) != 0 ? -FIRN_ECORRUPT : err;
}

/* Before all else: what a later version changes is not known here. */
static int
version_parse(struct json *j)
{
	uint64_t version;
	int err;

	err = literal_parse(j, "firn", KIND);
	if (err == 0)
		err = json_get_uint(j, "version", &version);
	if (err == 0 && version != FORMAT_VERSION)
		err = log_err(-FIRN_EVERSION, "a key slot has version %" PRIu64
		    ", and this program knows version %u", version,
		    FORMAT_VERSION);
	return err;
}

static int
role_parse(struct json *j, enum key_role *out)
{
	const char *text;
	int err = json_get_str(j, "role", &text);

	if (err != 0)
		return err;
	for (*out = KEY_OWNER; *out <= KEY_WRITE_ONLY; (*out)++)
		if (strcmp(text, key_role_name(*out)) == 0)
			return 0;
	return -FIRN_ECORRUPT;
}

static int
created_parse(struct json *j, struct timespec *out)
{
	char again[TIMEFMT_SIZE];
	const char *text;
	int err = json_get_str(j, "created", &text);

	if (err != 0)
		return err;
	if (timefmt_parse(text, out) != 0)
		return -FIRN_ECORRUPT;
	timefmt_iso(out, again);
	return strcmp(text, again) == 0 ? 0 : -FIRN_ECORRUPT;
}

static int
info_parse(struct json *j, struct keyslot_info *out)
{
	const char *text;
	int err;

	err = json_get_hex(j, "repository", out->repo_id, REPO_ID_SIZE);
	if (err == 0)
		err = json_get_str(j, "slot", &text);
	if (err == 0 && !keyslot_name_valid(text))
		err = -FIRN_ECORRUPT;
	if (err == 0)
		memcpy(out->name, text, KEYSLOT_NAME_SIZE);
	if (err == 0)
		err = role_parse(j, &out->role);
	if (err == 0)
		err = json_get_str(j, "label", &text);
	if (err == 0 && !keyslot_label_valid(text))
		err = -FIRN_ECORRUPT;
	if (err == 0)
		memcpy(out->label, text, strlen(text) + 1);
	if (err == 0)
		err = created_parse(j, &out->created);
	return err;
}

static int
kdf_parse(struct json *j, struct keyslot *out)
{
	uint64_t r, p;
	int err;

	err = literal_parse(j, "kdf", KDF);
	if (err == 0)
		err = json_get_uint(j, "n", &out->kdf.n);
	if (err == 0)
		err = json_get_uint(j, "r", &r);
	if (err == 0)
		err = json_get_uint(j, "p", &p);
	if (err != 0)
		return err;
	if (r > UINT32_MAX || p > UINT32_MAX ||
	    !kdf_scrypt_valid(out->kdf.n, (uint32_t)r, (uint32_t)p))
		return -FIRN_ECORRUPT;
	out->kdf.r = (uint32_t)r;
	out->kdf.p = (uint32_t)p;
	return json_get_hex(j, "salt", out->salt, KEYSLOT_SALT_SIZE);
}

static int
members_parse(struct json *j, struct keyslot *out)
{
	uint8_t sum[HASH_SIZE], want[HASH_SIZE];
	int err;

	err = version_parse(j);
	if (err == 0)
		err = info_parse(j, &out->info);
	if (err == 0)
		err = kdf_parse(j, out);
	if (err != 0)
		return err;
	out->sealedlen = keyslot_secret_len(out->info.role) + AEAD_TAG_SIZE;
	err = json_get_hex(j, "sealed", out->sealed, out->sealedlen);
	if (err == 0)
		err = json_get_hex(j, "sum", want, sizeof(want));
	if (err == 0)
		err = keyslot_sum(out, sum);
	if (err == 0 && !hash_equal(sum, want, sizeof(sum)))
		err = -FIRN_ECORRUPT;
	return err;
}

int
keyslot_parse(const void *data, size_t len, struct keyslot *out)
{
	struct json *j;
	int err;

	memset(out, 0, sizeof(*out));
	if (len > KEYSLOT_MAX)
		return -FIRN_ECORRUPT;
	err = json_parse(data, len, &j);
	if (err != 0)
		return err;
	err = members_parse(j, out);
	json_free(j);
	return err == -ENOENT ? -FIRN_ECORRUPT : err;
}
