/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: compress and seal, open and expand.  Wraps zstd; its types and
 * error codes stop here.
 *
 * A codec keeps both zstd contexts and a cipher, so a frame costs no set-up.
 * zstd's own checksum is off: nothing is expanded that AES-GCM has not
 * authenticated.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/err.h"
#include "format/pack_internal.h"

struct pack_codec {
	struct aead *aead;
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	struct buf scratch;	/* opened, still compressed frame */
};

int
pack_codec_new(struct pack_codec **out)
{
	struct pack_codec *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	buf_init(&c->scratch, FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD);
	err = aead_new(&c->aead);
	if (err == 0) {
		c->cctx = ZSTD_createCCtx();
		c->dctx = ZSTD_createDCtx();
		if (c->cctx == NULL || c->dctx == NULL)
			err = -ENOMEM;
	}
	if (err != 0) {
		pack_codec_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void
pack_codec_free(struct pack_codec *c)
{
	if (c == NULL)
		return;
	aead_free(c->aead);
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	buf_release(&c->scratch);
	free(c);
}

/*
 * Compress into dst, whose size is also the most that is worth keeping.
 * *got is 0 when it does not fit.
 */
static int
try_zstd(struct pack_codec *c, int level, const void *plain, size_t len,
    uint8_t *dst, size_t room, size_t *got)
{
	size_t n;

	n = ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(n))
		n = ZSTD_compress2(c->cctx, dst, room, plain, len);
	*got = 0;
	if (!ZSTD_isError(n))
		*got = n;
	else if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall)
		return -ENOMEM;
	return 0;
}

int
pack_frame_compress(struct pack_codec *c, int level, const void *plain,
    size_t len, struct buf *out)
{
	size_t saved, got = 0;
	uint8_t *p;
	int err;

	if (len < 1 || len > FORMAT_FRAME_MAX)
		return -EINVAL;
	p = buf_extend(out, 1 + len);
	if (p == NULL)
		return buf_err(out);
	saved = len / 64 > 0 ? len / 64 : 1;
	if (level != 0 && len > saved) {
		err = try_zstd(c, level, plain, len, p + 1, len - saved, &got);
		if (err != 0) {
			out->len -= 1 + len;
			return err;
		}
	}
	if (got > 0) {
		p[0] = PACK_ZSTD;
		out->len -= len - got;
	} else {
		p[0] = PACK_STORED;
		memcpy(p + 1, plain, len);
	}
	return 0;
}

int
pack_frame_encrypt(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *payload,
    size_t len, struct buf *out)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t aad[PACK_HEADER_SIZE];
	uint8_t *p;
	int err;

	if (len < 2 || len > 1 + FORMAT_FRAME_MAX || off < PACK_HEADER_SIZE)
		return -EINVAL;
	/* The header may lie in `out`, at the start of the pack. */
	memcpy(aad, header, sizeof(aad));
	p = buf_extend(out, len + AEAD_TAG_SIZE);
	if (p == NULL)
		return buf_err(out);
	aead_nonce(off, nonce);
	err = aead_seal(c->aead, key, nonce, aad, sizeof(aad), payload, len,
	    p);
	if (err != 0)
		out->len -= len + AEAD_TAG_SIZE;
	return err;
}

int
pack_frame_seal(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, int level,
    const void *plain, size_t len, struct buf *out)
{
	int err;

	buf_reset(&c->scratch);
	err = pack_frame_compress(c, level, plain, len, &c->scratch);
	if (err != 0)
		return err;
	return pack_frame_encrypt(c, key, header, off, c->scratch.data,
	    c->scratch.len, out);
}

/* zstd's part of pack_frame_expand(): one frame and nothing behind it, of
 * known size, at most `max`. */
static int
expand_zstd(struct pack_codec *c, const uint8_t *data, size_t len, size_t max,
    struct buf *out)
{
	unsigned long long size = ZSTD_getFrameContentSize(data, len);
	uint8_t *p;
	size_t n;

	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ||
	    size < 1 || size > max ||
	    ZSTD_findFrameCompressedSize(data, len) != len)
		return -FIRN_ECORRUPT;
	p = buf_extend(out, (size_t)size);
	if (p == NULL)
		return buf_err(out);
	n = ZSTD_decompressDCtx(c->dctx, p, (size_t)size, data, len);
	if (n == size)
		return 0;
	out->len -= (size_t)size;
	return ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ?
	    -ENOMEM : -FIRN_ECORRUPT;
}

int
pack_frame_expand(struct pack_codec *c, const void *data, size_t len,
    struct buf *out)
{
	const uint8_t *p = data;
	size_t max = out->max - out->len;

	if (buf_err(out) != 0)
		return buf_err(out);
	if (max > FORMAT_FRAME_MAX)
		max = FORMAT_FRAME_MAX;
	if (len < 2)
		return -FIRN_ECORRUPT;
	len--;
	switch (p[0]) {
	case PACK_STORED:
		return len > max ? -FIRN_ECORRUPT : buf_add(out, p + 1, len);
	case PACK_ZSTD:
		return expand_zstd(c, p + 1, len, max, out);
	default:
		return -FIRN_ECORRUPT;
	}
}

/* Payload in c->scratch. */
static int
decrypt(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *sealed,
    size_t len)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	uint8_t *p;

	if (len <= PACK_FRAME_OVERHEAD ||
	    len > FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD)
		return -FIRN_ECORRUPT;
	buf_reset(&c->scratch);
	p = buf_extend(&c->scratch, len - AEAD_TAG_SIZE);
	if (p == NULL)
		return buf_err(&c->scratch);
	aead_nonce(off, nonce);
	return aead_open(c->aead, key, nonce, header, PACK_HEADER_SIZE, sealed,
	    len, p);
}

int
pack_frame_open(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *sealed,
    size_t len, struct buf *out)
{
	int err;

	err = decrypt(c, key, header, off, sealed, len);
	return err != 0 ? err : pack_frame_expand(c, c->scratch.data,
	    c->scratch.len, out);
}

int
pack_frame_take(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *sealed,
    size_t len, struct buf *out, size_t *skip)
{
	struct buf payload;
	int err;

	*skip = 0;
	buf_reset(out);
	err = decrypt(c, key, header, off, sealed, len);
	if (err != 0)
		return err;
	payload = c->scratch;
	/* Memory that is much too large for it is better kept here. */
	if (payload.data[0] != PACK_STORED || payload.len < 2 ||
	    payload.len < payload.cap / 2)
		return pack_frame_expand(c, payload.data, payload.len, out);
	if (payload.len - 1 > out->max)
		return -FIRN_ECORRUPT;
	*skip = 1;
	c->scratch = *out;
	*out = payload;
	out->max = c->scratch.max;
	c->scratch.max = payload.max;
	return 0;
}
