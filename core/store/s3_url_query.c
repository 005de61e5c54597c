/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a URL says behind its '?'.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/s3_url.h"

/* Percent-decodes up to `len` bytes; no byte of it may be a control's. */
static int
decode(const char *s, size_t len, char *out, size_t size)
{
	size_t i, n = 0;
	char hex[3] = "";

	for (i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			if (len - i < 3 || !isxdigit((unsigned char)s[i + 1]) ||
			    !isxdigit((unsigned char)s[i + 2]))
				return -EINVAL;
			memcpy(hex, s + i + 1, 2);
			c = (char)strtol(hex, NULL, 16);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f || n + 1 >= size)
			return -EINVAL;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0 ? 0 : -EINVAL;
}

int
s3_url_style(const char *text)
{
	if (strcmp(text, "path") == 0)
		return 1;
	if (strcmp(text, "virtual") == 0)
		return 0;
	return strcmp(text, "auto") == 0 ? -1 : -2;
}

static const char *
pair_set(struct s3_url_query *q, const char *s, size_t len)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
	} known[] = {
		{ "region=", q->region, sizeof(q->region) },
		{ "endpoint=", q->endpoint, sizeof(q->endpoint) },
		{ "profile=", q->profile, sizeof(q->profile) },
		{ "addressing_style=", q->style, sizeof(q->style) },
	};
	size_t i, n;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		n = strlen(known[i].name);
		if (len < n || memcmp(s, known[i].name, n) != 0)
			continue;
		if (known[i].out[0] != '\0')
			return "it says one thing twice";
		return decode(s + n, len - n, known[i].out, known[i].size) ==
		    0 ? NULL : "a value behind the '?' is empty, too long or "
		    "wrongly encoded";
	}
	return "behind the '?' only region=, endpoint=, profile= and "
	    "addressing_style= are known";
}

int
s3_url_query(const char *url, struct s3_url_query *q, const char **why)
{
	const char *s = strchr(url, '?');
	size_t len;

	memset(q, 0, sizeof(*q));
	*why = NULL;
	while (s != NULL && *++s != '\0' && *why == NULL) {
		len = strcspn(s, "&");
		*why = pair_set(q, s, len);
		s = s[len] == '&' ? s + len : NULL;
	}
	if (*why == NULL && q->style[0] != '\0' && s3_url_style(q->style) < -1)
		*why = "addressing_style is path, virtual or auto";
	return *why == NULL ? 0 : -EINVAL;
}
