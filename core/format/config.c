/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object "config".  One table of the numbers drives validating, encoding
 * and decoding, so none of them can leave one out.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "format/config_internal.h"
#include "format/format.h"
#include "format/tree.h"

#define MAGIC		"firnconf"
#define MAGIC_SIZE	8
#define HEADER_SIZE	16
#define JSON_MAX	(64u << 10)

static const struct number {
	const char *name;
	size_t offset;		/* of a uint32_t in struct config */
	uint32_t min;
	uint32_t max;
	const char *option;	/* of firn init, or NULL */
} numbers[] = {
	/* The largest block is four times the target. */
	{ "block_target", offsetof(struct config, block_target),
	    4u << 10, FORMAT_BLOCK_MAX / 4, "--block-size" },
	{ "frame_target", offsetof(struct config, frame_target),
	    4u << 10, FORMAT_BLOCK_MAX, NULL },
	/* A pack is closed once past its target: leave room. */
	{ "data_pack", offsetof(struct config, data_pack),
	    FORMAT_PACK_ALIGN, FORMAT_PACK_MAX / 2, "--pack-size" },
	{ "meta_pack", offsetof(struct config, meta_pack),
	    FORMAT_PACK_ALIGN, FORMAT_PACK_MAX / 2, NULL },
	{ "inline_max", offsetof(struct config, inline_max),
	    0, TREE_INLINE_MAX, NULL }
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static uint32_t
number_get(const struct config *c, const struct number *n)
{
	uint32_t v;

	memcpy(&v, (const char *)c + n->offset, sizeof(v));
	return v;
}

static void
number_set(struct config *c, const struct number *n, uint32_t v)
{
	memcpy((char *)c + n->offset, &v, sizeof(v));
}

static int
number_valid(const struct number *n, uint64_t v)
{
	return v >= n->min && v <= n->max;
}

void
config_default(struct config *c)
{
	memset(c, 0, sizeof(*c));
	kdf_random(c->repo_id, sizeof(c->repo_id));
	clock_gettime(CLOCK_REALTIME, &c->created);
	c->block_target = 512u << 10;
	c->frame_target = 1u << 20;
	c->data_pack = 32u << 20;
	c->meta_pack = 8u << 20;
	c->inline_max = 512;
}

int
config_class_valid(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (text[i] <= ' ' || text[i] > '~' ||
		    i + 1 == CONFIG_CLASS_SIZE)
			return 0;
	return i > 0;
}

int
config_validate(const struct config *c)
{
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (!number_valid(&numbers[i], number_get(c, &numbers[i])))
			return log_plain(-EINVAL, "%s: %" PRIu32
			    " is not within %" PRIu32 " to %" PRIu32,
			    numbers[i].option != NULL ? numbers[i].option :
			    numbers[i].name, number_get(c, &numbers[i]),
			    numbers[i].min, numbers[i].max);
	if (c->data_class[0] != '\0' && !config_class_valid(c->data_class))
		return log_plain(-EINVAL, "--tier '%.63s': want letters, digits "
		    "and signs without blanks", c->data_class);
	return 0;
}

const char *
config_conditional_name(enum config_conditional c)
{
	static const char *const name[] = {
		[CONFIG_COND_UNSAID] = NULL, [CONFIG_COND_YES] = "yes",
		[CONFIG_COND_IGNORED] = "ignored",
		[CONFIG_COND_REFUSED] = "refused",
	};

	return name[c];
}

static int
json_write(const struct config *c, struct buf *out)
{
	struct json *j = json_object();
	char created[TIMEFMT_SIZE];
	size_t i;
	int err;

	timefmt_iso(&c->created, created);
	json_set_hex(j, "repository", c->repo_id, sizeof(c->repo_id));
	json_set_str(j, "created", created);
	json_set(j, "features", json_array());
	for (i = 0; i < NUMBERS; i++)
		json_set_uint(j, numbers[i].name, number_get(c, &numbers[i]));
	if (c->conditional_writes != CONFIG_COND_UNSAID)
		json_set_str(j, "conditional_writes",
		    config_conditional_name(c->conditional_writes));
	if (c->data_class[0] != '\0')
		json_set_str(j, "data_class", c->data_class);
	err = json_dump(j, out);
	json_free(j);
	return err;
}

int
config_form_begin(struct buf *out, const char *magic)
{
	buf_add(out, magic, MAGIC_SIZE);
	buf_add_u16(out, FORMAT_VERSION);
	buf_add_u16(out, 0);
	return buf_add_u32(out, 0);
}

int
config_form_end(struct buf *out, size_t start, const struct keys *keys)
{
	uint8_t mac[HASH_SIZE];
	int err = buf_err(out);

	if (err != 0)
		return err;
	le32_put(out->data + start + 12,
	    (uint32_t)(out->len - start - HEADER_SIZE));
	err = hash_hmac(keys->config_mac, KEY_SIZE, out->data + start,
	    out->len - start, mac);
	return err == 0 ? buf_add(out, mac, sizeof(mac)) : err;
}

int
config_encode(const struct config *c, const struct keys *keys,
    struct buf *out)
{
	size_t start = out->len;
	int err;

	err = config_validate(c);
	if (err != 0)
		return err;
	if (memcmp(c->repo_id, keys->repo_id, REPO_ID_SIZE) != 0)
		return log_err(-EINVAL, "config and keys are of different "
		    "repositories");
	err = config_form_begin(out, MAGIC);
	if (err == 0)
		err = json_write(c, out);
	if (err == 0)
		err = config_form_end(out, start, keys);
	if (err != 0)
		out->len = start;
	return err;
}

/* This program knows no features, so the first name is already too many. */
static int
features_parse(struct json *j)
{
	struct json *features;
	const char *name;
	int err;

	err = json_get(j, "features", &features);
	if (err == 0) {
		err = json_at_str(features, 0, &name);
		if (err == 0)
			return log_err(-FIRN_EVERSION, "the repository uses "
			    "the feature '%.64s', which this program does not "
			    "know", name);
		if (err == -ENOENT)
			return 0;
	}
	return err;
}

static int
numbers_parse(struct json *j, struct config *out)
{
	uint64_t v;
	size_t i;
	int err;

	for (i = 0; i < NUMBERS; i++) {
		err = json_get_uint(j, numbers[i].name, &v);
		if (err != 0)
			return err;
		if (!number_valid(&numbers[i], v))
			return -FIRN_ECORRUPT;
		number_set(out, &numbers[i], (uint32_t)v);
	}
	return 0;
}

/* A word that is not known says nothing. */
static int
conditional_parse(struct json *j, struct config *out)
{
	const char *text;
	int c, err = json_get_str(j, "conditional_writes", &text);

	if (err != 0)
		return err == -ENOENT ? 0 : err;
	for (c = CONFIG_COND_YES; c <= CONFIG_COND_REFUSED; c++)
		if (strcmp(text, config_conditional_name(c)) == 0)
			out->conditional_writes = (enum config_conditional)c;
	return 0;
}

int
config_time_get(struct json *j, const char *name, struct timespec *out)
{
	const char *text;
	int err = json_get_str(j, name, &text);

	if (err != 0)
		return err;
	return timefmt_parse(text, out) == 0 ? 0 : -FIRN_ECORRUPT;
}

int
config_class_get(struct json *j, const char *name,
    char out[CONFIG_CLASS_SIZE])
{
	const char *text;
	int err = json_get_str(j, name, &text);

	if (err != 0)
		return err;
	if (!config_class_valid(text))
		return -FIRN_ECORRUPT;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
members_parse(struct json *j, struct config *out)
{
	int err;

	err = json_get_hex(j, "repository", out->repo_id,
	    sizeof(out->repo_id));
	if (err == 0)
		err = config_time_get(j, "created", &out->created);
	if (err == 0)
		err = conditional_parse(j, out);
	if (err != 0)
		return err;
	err = config_class_get(j, "data_class", out->data_class);
	return err == 0 || err == -ENOENT ? numbers_parse(j, out) : err;
}

int
config_parse(const void *text, size_t len, struct config *out)
{
	struct json *j = NULL;
	int err;

	memset(out, 0, sizeof(*out));
	err = json_parse(text, len, &j);
	/* Features first: one of them may have changed the rest. */
	if (err == 0)
		err = features_parse(j);
	if (err == 0)
		err = members_parse(j, out);
	json_free(j);
	if (err == -FIRN_EVERSION)
		return err;
	if (err == -ENOENT)
		err = -FIRN_ECORRUPT;
	return err == 0 ? 0 : log_err(err, "cannot read 'config'");
}

int
config_form_open(const void *data, size_t len, const char *magic,
    const char *what, const char **json, size_t *jsonlen)
{
	const uint8_t *p = data;
	uint16_t version;

	if (len < HEADER_SIZE || memcmp(p, magic, MAGIC_SIZE) != 0)
		return log_err(-FIRN_ECORRUPT, "'%s' is not one of a "
		    "repository", what);
	version = le16_get(p + 8);
	if (version != FORMAT_VERSION)
		return log_err(-FIRN_EVERSION, "the repository has format "
		    "version %u, and this program knows version %u", version,
		    FORMAT_VERSION);
	if (le16_get(p + 10) != 0 || le32_get(p + 12) > JSON_MAX ||
	    len != HEADER_SIZE + (size_t)le32_get(p + 12) + HASH_SIZE)
		return log_err(-FIRN_ECORRUPT, "cannot read '%s'", what);
	*json = (const char *)p + HEADER_SIZE;
	*jsonlen = le32_get(p + 12);
	return 0;
}

int
config_decode(const void *data, size_t len, struct config *out)
{
	const char *json;
	size_t jsonlen;
	int err;

	memset(out, 0, sizeof(*out));
	err = config_form_open(data, len, MAGIC, "config", &json, &jsonlen);
	return err == 0 ? config_parse(json, jsonlen, out) : err;
}

int
config_verify(const void *data, size_t len, const struct keys *keys)
{
	const uint8_t *p = data;
	uint8_t mac[HASH_SIZE];
	int err;

	if (len < HASH_SIZE)
		return -FIRN_ECORRUPT;
	len -= HASH_SIZE;
	err = hash_hmac(keys->config_mac, KEY_SIZE, p, len, mac);
	if (err != 0)
		return err;
	return hash_equal(mac, p + len, HASH_SIZE) ? 0 : -FIRN_ECORRUPT;
}
