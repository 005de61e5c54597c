/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain footer of a pack.
 *
 * pack_footer_valid() is the one place that says what a footer may be; the
 * decoder only bounds counts and reads, and then asks it, as the encoder does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "format/pack_internal.h"

/* Fewest bytes of a frame and of a block in the footer. */
#define FRAME_BYTES_MIN	2
#define BLOCK_BYTES_MIN	(BLOCK_ID_SIZE + 4)

static int
frame_valid(const struct pack_frame *f)
{
	/* Compression is kept only where it saves, so a frame is never larger
	 * sealed than stored. */
	return f->plain >= 1 && f->plain <= FORMAT_FRAME_MAX &&
	    f->sealed > PACK_FRAME_OVERHEAD &&
	    f->sealed <= f->plain + PACK_FRAME_OVERHEAD;
}

static int
block_valid(const struct pack_block *b, enum pack_kind kind)
{
	return b->type >= BLOCK_DATA && b->type <= BLOCK_XATTR &&
	    block_pack_kind(b->type) == kind &&
	    b->len >= 1 && b->len <= FORMAT_BLOCK_MAX;
}

static int
frames_valid(const struct pack_footer *f, uint64_t *end)
{
	uint64_t off = PACK_HEADER_SIZE;
	size_t i;

	for (i = 0; i < f->nframes; i++) {
		if (!frame_valid(&f->frames[i]) || f->frames[i].off != off)
			return 0;
		off += f->frames[i].sealed;
		if (off > FORMAT_PACK_MAX)
			return 0;
	}
	*end = off;
	return 1;
}

int
pack_footer_valid(const struct pack_footer *f, enum pack_kind kind,
    uint64_t *end)
{
	const struct pack_block *b;
	uint64_t filled = 0;	/* of the frame that blocks go to */
	size_t i, frame = 0;

	if (f->nframes == 0 || !frames_valid(f, end))
		return 0;
	for (i = 0; i < f->nblocks; i++) {
		b = &f->blocks[i];
		if (filled == f->frames[frame].plain) {
			if (++frame == f->nframes)
				return 0;
			filled = 0;
		}
		if (!block_valid(b, kind) || b->frame != frame ||
		    b->off != filled)
			return 0;
		filled += b->len;
		if (filled > f->frames[frame].plain)
			return 0;
	}
	return frame == f->nframes - 1 && filled == f->frames[frame].plain;
}

void
pack_footer_write(const struct pack_footer *f, struct buf *out)
{
	const struct pack_block *b;
	size_t i;

	buf_add_varint(out, f->nframes);
	for (i = 0; i < f->nframes; i++) {
		buf_add_varint(out, f->frames[i].sealed);
		buf_add_varint(out, f->frames[i].plain);
	}
	buf_add_varint(out, f->nblocks);
	for (i = 0; i < f->nblocks; i++) {
		b = &f->blocks[i];
		buf_add(out, b->id, BLOCK_ID_SIZE);
		buf_add_u8(out, b->type);
		buf_add_varint(out, b->frame);
		buf_add_varint(out, b->off);
		buf_add_varint(out, b->len);
	}
}

static int
frames_parse(struct rd *r, struct pack_footer *out)
{
	uint64_t off = PACK_HEADER_SIZE;
	size_t i, n;

	n = rd_varint_max(r, rd_left(r) / FRAME_BYTES_MIN);
	if (rd_bad(r) || n == 0)
		return -FIRN_ECORRUPT;
	out->frames = calloc(n, sizeof(*out->frames));
	if (out->frames == NULL)
		return -ENOMEM;
	out->nframes = n;
	for (i = 0; i < n; i++) {
		out->frames[i].off = (uint32_t)off;
		out->frames[i].sealed = (uint32_t)rd_varint_max(r,
		    FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD);
		out->frames[i].plain = (uint32_t)rd_varint_max(r,
		    FORMAT_FRAME_MAX);
		off += out->frames[i].sealed;
		if (rd_bad(r) || off > FORMAT_PACK_MAX)
			return -FIRN_ECORRUPT;
	}
	return 0;
}

static int
blocks_parse(struct rd *r, struct pack_footer *out)
{
	struct pack_block *b;
	size_t i, n;

	n = rd_varint_max(r, rd_left(r) / BLOCK_BYTES_MIN);
	if (rd_bad(r) || n == 0)
		return -FIRN_ECORRUPT;
	out->blocks = calloc(n, sizeof(*out->blocks));
	if (out->blocks == NULL)
		return -ENOMEM;
	out->nblocks = n;
	for (i = 0; i < n; i++) {
		b = &out->blocks[i];
		rd_copy(r, b->id, BLOCK_ID_SIZE);
		b->type = rd_u8(r);
		b->frame = (uint32_t)rd_varint_max(r, UINT32_MAX);
		b->off = (uint32_t)rd_varint_max(r, FORMAT_FRAME_MAX);
		b->len = (uint32_t)rd_varint_max(r, FORMAT_BLOCK_MAX);
	}
	return rd_bad(r) || rd_left(r) != 0 ? -FIRN_ECORRUPT : 0;
}

int
pack_footer_parse(const void *plain, size_t len, enum pack_kind kind,
    uint64_t footer_off, struct pack_footer *out)
{
	struct rd r = rd_init(plain, len);
	uint64_t end, total;
	int err;

	memset(out, 0, sizeof(*out));
	if (footer_off > FORMAT_PACK_MAX)
		return -FIRN_ECORRUPT;
	total = footer_off + PACK_FOOTER_OVERHEAD + len + PACK_TRAILER_SIZE;
	if (total > FORMAT_PACK_MAX || total % FORMAT_PACK_ALIGN != 0)
		return -FIRN_ECORRUPT;
	err = frames_parse(&r, out);
	if (err == 0)
		err = blocks_parse(&r, out);
	if (err == 0 && (!pack_footer_valid(out, kind, &end) ||
	    end > footer_off || footer_off - end >= FORMAT_PACK_ALIGN))
		err = -FIRN_ECORRUPT;
	if (err != 0)
		pack_footer_release(out);
	return err;
}

void
pack_footer_release(struct pack_footer *f)
{
	if (f == NULL)
		return;
	free(f->frames);
	free(f->blocks);
	memset(f, 0, sizeof(*f));
}
