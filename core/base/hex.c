/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case hexadecimal; one spelling for each value. */
#include "base/err.h"
#include "base/hex.h"

void
hex_encode(const void *data, size_t len, char *out)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = digit[p[i] >> 4];
		*out++ = digit[p[i] & 15];
	}
	*out = 0;
}

static int
value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -EINVAL;
}

int
hex_decode(const char *text, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++) {
		int high = value(text[2 * i]);
		/* Not looked at behind the end of a short text. */
		int low = high < 0 ? high : value(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * len] ? -EINVAL : 0;
}
