/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounded reader.  Invariant: p <= end, and p does not move once bad is
 * set; every read goes through rd_bytes() or checks against end itself.
 */
#include "base/bytes.h"

const uint8_t *
rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > (size_t)(r->end - p)) {
		r->bad = 1;
		return NULL;
	}
	if (len > 0)	/* p may be NULL when the range is empty */
		r->p += len;
	return p;
}

uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? *p : 0;
}

uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p ? le16_get(p) : 0;
}

uint32_t
rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p ? le32_get(p) : 0;
}

uint64_t
rd_u64(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 8);

	return p ? le64_get(p) : 0;
}

uint64_t
rd_varint(struct rd *r)
{
	const uint8_t *p = r->p;
	uint64_t v = 0;

	if (r->bad)
		return 0;
	for (unsigned shift = 0; shift < 64 && p != r->end; shift += 7) {
		uint8_t c = *p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (c & 0x80)
			continue;
		/* A last byte of zero adds nothing, so a shorter form exists;
		 * the tenth byte has room for bit 63 only. */
		if ((c == 0 && shift > 0) || (shift == 63 && c > 1))
			break;
		r->p = p;
		return v;
	}
	r->bad = 1;
	return 0;
}

uint64_t
rd_varint_max(struct rd *r, uint64_t max)
{
	const uint8_t *start = r->p;
	uint64_t v = rd_varint(r);

	if (v <= max)
		return v;
	r->p = start;
	r->bad = 1;
	return 0;
}

const uint8_t *
rd_str(struct rd *r, size_t max, size_t *len)
{
	size_t n = (size_t)rd_varint_max(r, max);
	const uint8_t *p = rd_bytes(r, n);

	*len = r->bad ? 0 : n;
	return p;
}

void
rd_copy(struct rd *r, void *out, size_t len)
{
	const uint8_t *p = rd_bytes(r, len);

	if (len == 0)
		return;
	if (p)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

/* How many bytes a sequence with this first byte has; 0: none starts so.
 * *low and *high bound the second byte, which shuts out overlong forms,
 * surrogates and what is above U+10FFFF (Unicode 15, table 3-7). */
static size_t
utf8_shape(uint8_t c, uint8_t *low, uint8_t *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2)
		return 0;
	if (c < 0xe0)
		return 2;
	if (c < 0xf0)
		return 3;
	return c < 0xf5 ? 4 : 0;
}

size_t
bytes_utf8(const uint8_t *p, size_t len)
{
	uint8_t low, high;
	size_t n;

	if (len == 0)
		return 0;
	n = utf8_shape(p[0], &low, &high);
	if (n < 2)
		return n;
	if (n > len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t
bytes_printable(const uint8_t *p, size_t len)
{
	size_t n = bytes_utf8(p, len);

	if (n == 1 && (p[0] < 0x20 || p[0] == 0x7f))
		return 0;
	/* U+0080 to U+009F: terminals take U+009B for ESC [. */
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0;
	return n;
}
