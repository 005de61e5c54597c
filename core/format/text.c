/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that people type and that stand in stored forms. */
#include <string.h>

#include "base/bytes.h"
#include "format/text.h"

int
text_plain(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t n, len = strlen(text);

	for (; len > 0; p += n, len -= n) {
		n = bytes_utf8(p, len);
		if (n == 0 || p[0] < 0x20 || p[0] == 0x7f ||
		    (p[0] == 0xc2 && p[1] < 0xa0))
			return 0;
	}
	return 1;
}
