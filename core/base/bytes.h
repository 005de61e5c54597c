/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers in and out of bytes.  Everything stored is little-endian; varint is
 * unsigned LEB128 in its shortest form.
 *
 * struct rd reads a range of hostile bytes.  It is total: the first read that
 * does not fit, or that is not canonical, sets `bad`, and from then on every
 * read returns zero and consumes nothing.  So a decoder reads straight through
 * and asks rd_bad() where a value decides something, and at the end.
 */
#ifndef FIRN_BASE_BYTES_H
#define FIRN_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t
le16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
le32_get(const uint8_t *p)
{
	return (uint32_t)le16_get(p) | (uint32_t)le16_get(p + 2) << 16;
}

static inline uint64_t
le64_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le32_get(p + 4) << 32;
}

static inline void
le16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
le32_put(uint8_t *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put(p + 2, (uint16_t)(v >> 16));
}

static inline void
le64_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put(p + 4, (uint32_t)(v >> 32));
}

/* Signed numbers as unsigned, small magnitudes small. */
static inline uint64_t
zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t
unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct rd {
	const uint8_t *p;
	const uint8_t *end;
	int bad;
};

static inline struct rd
rd_init(const void *data, size_t len)
{
	struct rd r = { data, data, 0 };

	if (len > 0)	/* data may be NULL when there is none */
		r.end += len;
	return r;
}

static inline size_t
rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

static inline int
rd_bad(const struct rd *r)
{
	return r->bad;
}

/* `len` bytes in place, or NULL (and bad) when there are fewer. */
const uint8_t *rd_bytes(struct rd *r, size_t len);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* Bad when longer than needed, or over 64 bits. */
uint64_t rd_varint(struct rd *r);
/* A varint that must be at most `max`. */
uint64_t rd_varint_max(struct rd *r, uint64_t max);
/* Varint length of at most `max`, then that many bytes, in place. */
const uint8_t *rd_str(struct rd *r, size_t max, size_t *len);
/* Copy `len` bytes out; zeroes when there are fewer. */
void rd_copy(struct rd *r, void *out, size_t len);

/* Length of the well-formed UTF-8 sequence at p, 1 to 4; 0 when the bytes
 * there are none, or `len` cuts it short. */
size_t bytes_utf8(const uint8_t *p, size_t len);
/* The same; 0 also for what must not go to a terminal as it is. */
size_t bytes_printable(const uint8_t *p, size_t len);

#endif
