/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict Base64 (RFC 4648 section 4): three bytes are four digits; a last
 * group of one or two bytes is padded, and its unused bits are zero.
 */
#include "base/base64.h"
#include "base/err.h"

static void
encode_group(const uint8_t *in, size_t n, uint8_t out[4])
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = (uint32_t)in[0] << 16;

	if (n > 1)
		v |= (uint32_t)in[1] << 8;
	if (n > 2)
		v |= in[2];
	for (unsigned i = 0; i < 4; i++)
		out[i] = i > n ? '=' : (uint8_t)digit[v >> (18 - 6 * i) & 63];
}

int
base64_encode(const void *data, size_t len, struct buf *out)
{
	const uint8_t *in = data;
	uint8_t *p;

	if (len > SIZE_MAX / 2)		/* 4 / 3 of it might overflow */
		return -FIRN_ETOOBIG;
	p = buf_extend(out, (len / 3 + (len % 3 > 0)) * 4);
	if (!p)
		return out->err;
	for (size_t i = 0; i < len; i += 3, p += 4)
		encode_group(in + i, len - i < 3 ? len - i : 3, p);
	return 0;
}

static int
value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -EINVAL;
}

/* n bytes out of n + 1 digits. */
static int
decode_group(const uint8_t *in, size_t n, uint8_t *out)
{
	uint32_t v = 0;

	for (unsigned i = 0; i <= n; i++) {
		int d = value(in[i]);

		if (d < 0)
			return d;
		v |= (uint32_t)d << (18 - 6 * i);
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> (16 - 8 * i));
	return (v & ((1u << (24 - 8 * n)) - 1)) ? -EINVAL : 0;
}

int
base64_decode(const char *text, size_t len, struct buf *out)
{
	const uint8_t *in = (const uint8_t *)text;
	size_t start = out->len, pad = 0;
	uint8_t *p;

	if (len % 4)
		return -EINVAL;
	if (len > 0)
		pad = in[len - 1] != '=' ? 0 : in[len - 2] != '=' ? 1 : 2;
	p = buf_extend(out, len / 4 * 3 - pad);
	if (!p)
		return out->err;
	for (size_t i = 0; i < len; i += 4, p += 3) {
		size_t n = i + 4 == len ? 3 - pad : 3;

		if (decode_group(in + i, n, p)) {
			out->len = start;
			return -EINVAL;
		}
	}
	return 0;
}
