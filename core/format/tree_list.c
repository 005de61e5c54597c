/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extents of files and the lists that hold many of them.
 */
#include "base/err.h"
#include "format/tree_internal.h"

#define LIST_VERSION	1
/* Fewest bytes that a child can have; an extent may be a hole of one byte. */
#define CHILD_BYTES_MIN	(1 + BLOCK_ID_SIZE)

static int
extent_valid(const struct extent *x)
{
	return x->len > 0 &&
	    x->len <= (x->hole ? TREE_SIZE_MAX : FORMAT_BLOCK_MAX);
}

int
extent_encode(const struct extent *x, struct buf *out)
{
	if (!extent_valid(x))
		return -EINVAL;
	buf_add_varint(out, x->len << 1 | (x->hole != 0));
	if (!x->hole)
		buf_add(out, x->id, BLOCK_ID_SIZE);
	return buf_err(out);
}

int
extent_decode(struct rd *r, struct extent *out)
{
	uint64_t v = rd_varint(r);

	out->len = v >> 1;
	out->hole = (int)(v & 1);
	if (out->hole)
		memset(out->id, 0, BLOCK_ID_SIZE);
	else
		rd_copy(r, out->id, BLOCK_ID_SIZE);
	if (rd_bad(r) || !extent_valid(out)) {
		r->bad = 1;
		return -FIRN_ECORRUPT;
	}
	return 0;
}

void
extents_walk(struct rd *r, uint64_t count, uint64_t *size, uint64_t *holes)
{
	struct extent x;
	uint64_t i;
	int hole = 0;

	*size = 0;
	*holes = 0;
	for (i = 0; i < count; i++) {
		if (extent_decode(r, &x) != 0)
			return;
		if ((hole && x.hole) || x.len > TREE_SIZE_MAX - *size) {
			r->bad = 1;
			return;
		}
		hole = x.hole;
		*size += x.len;
		if (hole)
			*holes += x.len;
	}
}

static int
list_header_valid(unsigned level, uint64_t count)
{
	return level < TREE_LEVEL_MAX && count >= 1 && count <= LIST_MAX;
}

int
list_header_encode(unsigned level, uint64_t count, struct buf *out)
{
	if (!list_header_valid(level, count))
		return -EINVAL;
	buf_add_u8(out, LIST_VERSION);
	buf_add_u8(out, (uint8_t)level);
	buf_add_varint(out, count);
	return buf_err(out);
}

int
list_decode(const void *data, size_t len, struct list *out)
{
	struct rd r = rd_init(data, len);
	uint8_t version;

	version = rd_u8(&r);
	if (!rd_bad(&r) && version != LIST_VERSION)
		return -FIRN_EVERSION;
	out->level = rd_u8(&r);
	out->count = rd_varint(&r);
	if (rd_bad(&r) || !list_header_valid(out->level, out->count) ||
	    out->count > rd_left(&r) / (out->level == 0 ? 1 : CHILD_BYTES_MIN))
		return -FIRN_ECORRUPT;
	out->r = r;
	return 0;
}

int
list_child_encode(const struct list_child *c, struct buf *out)
{
	if (c->len == 0 || c->len > TREE_SIZE_MAX)
		return -EINVAL;
	buf_add_varint(out, c->len);
	buf_add(out, c->id, BLOCK_ID_SIZE);
	return buf_err(out);
}

int
list_child_decode(struct rd *r, struct list_child *out)
{
	out->len = rd_varint_max(r, TREE_SIZE_MAX);
	rd_copy(r, out->id, BLOCK_ID_SIZE);
	if (rd_bad(r) || out->len == 0) {
		r->bad = 1;
		return -FIRN_ECORRUPT;
	}
	return 0;
}

int
list_check(const void *data, size_t len)
{
	uint64_t i, holes, size = 0;
	struct list_child c;
	struct list l;
	int err;

	err = list_decode(data, len, &l);
	if (err != 0)
		return err;
	if (l.level == 0) {
		extents_walk(&l.r, l.count, &size, &holes);
	} else {
		for (i = 0; i < l.count; i++) {
			err = list_child_decode(&l.r, &c);
			if (err != 0)
				return err;
			if (c.len > TREE_SIZE_MAX - size)
				return -FIRN_ECORRUPT;
			size += c.len;
		}
	}
	return rd_bad(&l.r) || rd_left(&l.r) != 0 ? -FIRN_ECORRUPT : 0;
}
