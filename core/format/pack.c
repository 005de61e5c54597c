/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a pack: header in front, trailer behind, and what finishing
 * one takes.  The footer's contents are pack_footer.c's, frames
 * pack_codec.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/box.h"
#include "crypto/kdf.h"
#include "format/pack_internal.h"

#define HEADER_MAGIC	"firnpack"
#define TRAILER_MAGIC	"firntail"
#define MAGIC_SIZE	8
#define SALT_SIZE	16
#define BOX_LABEL	"firn pack key"

int
pack_header_encode(const struct keys *keys, enum pack_kind kind,
    uint8_t header[PACK_HEADER_SIZE], uint8_t key[PACK_KEY_SIZE])
{
	memcpy(header, HEADER_MAGIC, MAGIC_SIZE);
	le16_put(header + 8, FORMAT_VERSION);
	header[10] = (uint8_t)kind;
	header[11] = 0;
	le32_put(header + 12, PACK_HEADER_SIZE);
	kdf_random(header + 16, SALT_SIZE);
	kdf_random(key, PACK_KEY_SIZE);
	return box_seal(keys->pk, BOX_LABEL, header, PACK_HEADER_CLEAR, key,
	    PACK_KEY_SIZE, header + PACK_HEADER_CLEAR);
}

int
pack_header_decode(const struct keys *keys,
    const uint8_t header[PACK_HEADER_SIZE], enum pack_kind kind,
    uint8_t key[PACK_KEY_SIZE])
{
	if (memcmp(header, HEADER_MAGIC, MAGIC_SIZE) != 0)
		return -FIRN_ECORRUPT;
	if (le16_get(header + 8) != FORMAT_VERSION)
		return -FIRN_EVERSION;
	if ((header[10] != PACK_DATA && header[10] != PACK_META) ||
	    (kind != 0 && header[10] != kind) || header[11] != 0 ||
	    le32_get(header + 12) != PACK_HEADER_SIZE)
		return -FIRN_ECORRUPT;
	if (key == NULL)
		return 0;
	if (!keys->has_sk)
		return -FIRN_ENOKEY;
	return box_open(keys->pk, keys->sk, BOX_LABEL, header,
	    PACK_HEADER_CLEAR, header + PACK_HEADER_CLEAR,
	    PACK_KEY_SIZE + BOX_OVERHEAD, key);
}

/* Append the footer, sealed: nonce, ciphertext, tag. */
static int
footer_seal(const struct keys *keys, const uint8_t header[PACK_HEADER_SIZE],
    const struct buf *plain, struct buf *out)
{
	struct aead *a;
	uint8_t *p;
	int err;

	p = buf_extend(out, plain->len + PACK_FOOTER_OVERHEAD);
	if (p == NULL)
		return buf_err(out);
	/* One key for all footers of a repository: random nonces hold for
	 * 2^32 packs. */
	kdf_random(p, AEAD_NONCE_SIZE);
	err = aead_new(&a);
	if (err != 0)
		return err;
	err = aead_seal(a, keys->footer, p, header, PACK_HEADER_SIZE,
	    plain->data, plain->len, p + AEAD_NONCE_SIZE);
	aead_free(a);
	return err;
}

/* Bytes of padding that make the whole pack a multiple of its grain. */
static size_t
pad_len(uint64_t len)
{
	return (size_t)(-len & (FORMAT_PACK_ALIGN - 1));
}

static int
finish(struct buf *pack, const struct keys *keys, const struct buf *plain)
{
	uint8_t header[PACK_HEADER_SIZE];
	uint64_t tail = plain->len + PACK_FOOTER_OVERHEAD + PACK_TRAILER_SIZE;
	size_t pad = pad_len(pack->len + tail);
	uint8_t *p;
	int err;

	if (pack->len + pad + tail > FORMAT_PACK_MAX)
		return -FIRN_ETOOBIG;
	err = buf_reserve(pack, (size_t)(pad + tail));
	if (err != 0)
		return err;
	memcpy(header, pack->data, sizeof(header));
	p = buf_extend(pack, pad);
	if (p == NULL)
		return buf_err(pack);
	memset(p, 0, pad);
	err = footer_seal(keys, header, plain, pack);
	if (err != 0)
		return err;
	buf_add_u32(pack, (uint32_t)(plain->len + PACK_FOOTER_OVERHEAD));
	buf_add_u16(pack, FORMAT_VERSION);
	buf_add_u16(pack, 0);
	buf_add(pack, TRAILER_MAGIC, MAGIC_SIZE);
	return buf_err(pack);
}

int
pack_finish(struct buf *pack, const struct keys *keys,
    const struct pack_footer *footer)
{
	struct buf plain = BUF_INIT(FORMAT_PACK_MAX);
	size_t start = pack->len;
	uint64_t end;
	int err;

	if (pack->len < PACK_HEADER_SIZE || pack_header_decode(keys,
	    pack->data, 0, NULL) != 0 ||
	    !pack_footer_valid(footer, pack->data[10], &end) ||
	    end != pack->len)
		return -EINVAL;
	pack_footer_write(footer, &plain);
	err = buf_err(&plain);
	if (err == 0)
		err = finish(pack, keys, &plain);
	if (err != 0)
		pack->len = start;
	buf_release(&plain);
	return err;
}

int
pack_trailer_decode(const uint8_t trailer[PACK_TRAILER_SIZE],
    uint64_t size, uint64_t *footer_off, uint32_t *footer_len)
{
	uint32_t len = le32_get(trailer);

	if (memcmp(trailer + 8, TRAILER_MAGIC, MAGIC_SIZE) != 0)
		return -FIRN_ECORRUPT;
	if (le16_get(trailer + 4) != FORMAT_VERSION)
		return -FIRN_EVERSION;
	if (le16_get(trailer + 6) != 0 || size == 0 ||
	    size % FORMAT_PACK_ALIGN != 0 || size > FORMAT_PACK_MAX ||
	    len < PACK_FOOTER_MIN ||
	    len > size - PACK_HEADER_SIZE - PACK_TRAILER_SIZE)
		return -FIRN_ECORRUPT;
	*footer_len = len;
	*footer_off = size - PACK_TRAILER_SIZE - len;
	return 0;
}

int
pack_footer_decode(const struct keys *keys,
    const uint8_t header[PACK_HEADER_SIZE], const void *sealed, size_t len,
    uint64_t footer_off, struct pack_footer *out)
{
	const uint8_t *p = sealed;
	struct aead *a = NULL;
	uint8_t *plain = NULL;
	int err;

	memset(out, 0, sizeof(*out));
	err = pack_header_decode(keys, header, 0, NULL);
	if (err != 0)
		return err;
	if (len < PACK_FOOTER_MIN || len > FORMAT_PACK_MAX)
		return -FIRN_ECORRUPT;
	plain = malloc(len);
	if (plain == NULL)
		return -ENOMEM;
	err = aead_new(&a);
	if (err == 0)
		err = aead_open(a, keys->footer, p, header, PACK_HEADER_SIZE,
		    p + AEAD_NONCE_SIZE, len - AEAD_NONCE_SIZE, plain);
	if (err == 0)
		err = pack_footer_parse(plain, len - PACK_FOOTER_OVERHEAD,
		    header[10], footer_off, out);
	aead_free(a);
	free(plain);
	return err;
}
