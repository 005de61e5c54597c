/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generation records as objects: the JSON sealed to the readers, that sealed
 * to the holders of a key, and the name that follows from it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/timefmt.h"
#include "crypto/aead.h"
#include "crypto/box.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "format/genrec_internal.h"

#define MAGIC		"firngenr"
#define MAGIC_SIZE	8
#define BOX_AAD		10	/* magic and version */
#define CLEAR		(12 + AEAD_NONCE_SIZE)
#define OVERHEAD	(CLEAR + BOX_OVERHEAD + AEAD_TAG_SIZE)
#define LABEL		"firn generation"

/* The name of the object that `data` is. */
static int
object_name(const struct genrec *g, const struct keys *keys, const void *data,
    size_t len, char name[GEN_OBJECT_NAME_LEN + 1])
{
	char tag[GEN_TAG_SIZE], when[TIMEFMT_SIZE], id[2 * GEN_ID_SIZE + 1];
	uint8_t sum[HASH_SIZE];
	int err;

	err = genrec_tag(keys, g->host, g->series, tag);
	if (err == 0)
		err = hash_sha256(data, len, sum);
	if (err != 0)
		return err;
	timefmt_name(&g->end, when);
	hex_encode(sum, GEN_ID_SIZE, id);
	snprintf(name, GEN_OBJECT_NAME_LEN + 1, "gen/%s/%.18s-%s", tag, when,
	    id);
	return 0;
}

/* Both seals around `text`, into `p` of text->len + OVERHEAD bytes. */
static int
record_seal(const struct keys *keys, const struct buf *text, uint8_t *p)
{
	struct aead *a;
	int err;

	memcpy(p, MAGIC, MAGIC_SIZE);
	le16_put(p + 8, FORMAT_VERSION);
	le16_put(p + 10, 0);
	/* One key for all records of a repository: random nonces hold for
	 * 2^32 of them. */
	kdf_random(p + 12, AEAD_NONCE_SIZE);
	err = box_seal(keys->pk, LABEL, p, BOX_AAD, text->data, text->len,
	    p + CLEAR);
	if (err != 0)
		return err;
	err = aead_new(&a);
	if (err != 0)
		return err;
	err = aead_seal(a, keys->generation, p + 12, p, CLEAR, p + CLEAR,
	    text->len + BOX_OVERHEAD, p + CLEAR);
	aead_free(a);
	return err;
}

int
genrec_encode(const struct genrec *g, const struct keys *keys,
    struct buf *out, char *name)
{
	struct buf text = BUF_INIT(GENREC_MAX - OVERHEAD);
	size_t start = out->len, len;
	uint8_t *p;
	int err;

	err = genrec_write(g, &text);
	if (err != 0)
		goto out;
	len = text.len + OVERHEAD;
	p = buf_extend(out, len);
	err = p != NULL ? record_seal(keys, &text, p) : buf_err(out);
	if (err == 0)
		err = object_name(g, keys, p, len, name);
	if (err != 0)
		out->len = start;
out:
	buf_release(&text);
	return err;
}

/* The JSON into `text`, which has room for len bytes; *got of them. */
static int
record_open(const uint8_t *data, size_t len, const struct keys *keys,
    uint8_t *text, size_t *got)
{
	struct aead *a;
	uint8_t *sealed;
	int err;

	sealed = malloc(len);
	if (sealed == NULL)
		return -ENOMEM;
	err = aead_new(&a);
	if (err == 0) {
		err = aead_open(a, keys->generation, data + 12, data, CLEAR,
		    data + CLEAR, len - CLEAR, sealed);
		aead_free(a);
	}
	*got = len - OVERHEAD;
	if (err == 0 && !keys->has_sk)
		err = -FIRN_ENOKEY;
	if (err == 0)
		err = box_open(keys->pk, keys->sk, LABEL, data, BOX_AAD,
		    sealed, *got + BOX_OVERHEAD, text);
	free(sealed);
	return err;
}

int
genrec_decode(const void *data, size_t len, const struct keys *keys,
    const char *name, struct genrec *out)
{
	const uint8_t *p = data;
	char want[GEN_OBJECT_NAME_LEN + 1];
	uint8_t *text;
	size_t textlen;
	int err;

	genrec_init(out);
	if (len <= OVERHEAD || len > GENREC_MAX ||
	    memcmp(p, MAGIC, MAGIC_SIZE) != 0)
		return -FIRN_ECORRUPT;
	if (le16_get(p + 8) != FORMAT_VERSION)
		return -FIRN_EVERSION;
	if (le16_get(p + 10) != 0)
		return -FIRN_ECORRUPT;
	text = malloc(len);
	if (text == NULL)
		return -ENOMEM;
	err = record_open(p, len, keys, text, &textlen);
	if (err == 0)
		err = genrec_parse(text, textlen, out);
	if (err == 0 && name != NULL) {
		err = object_name(out, keys, data, len, want);
		if (err == 0 && strcmp(name, want) != 0)
			err = -FIRN_ECORRUPT;
	}
	free(text);
	if (err != 0)
		genrec_release(out);
	return err;
}
