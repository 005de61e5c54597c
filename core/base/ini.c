/* SPDX-License-Identifier: Apache-2.0 */
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ini.h"

struct reading {
	int (*fn)(void *ctx, const char *section, const char *name,
	    const char *value);
	void *ctx;
	int err;
};

/* inih's sense of a result is the other one, and it goes on after errors. */
static int
on_value(void *ctx, const char *section, const char *name, const char *value)
{
	struct reading *r = ctx;

	if (r->err == 0)
		r->err = r->fn(r->ctx, section, name, value);
	return r->err == 0;
}

/* The first line that inih would misread, or 0. */
static unsigned
bad_line(const char *text, size_t len)
{
	const char *end;
	unsigned line = 1;
	size_t n;

	for (; len > 0; line++) {
		end = memchr(text, '\n', len);
		n = end != NULL ? (size_t)(end - text) : len;
		if (n > INI_LINE_MAX || memchr(text, '\0', n) != NULL)
			return line;
		n += end != NULL;
		text += n;
		len -= n;
	}
	return 0;
}

int
ini_read(const void *text, size_t len,
    int (*fn)(void *ctx, const char *section, const char *name,
    const char *value), void *ctx, unsigned *line)
{
	struct reading r = { .fn = fn, .ctx = ctx };
	char *copy;
	int at;

	*line = bad_line(text, len);
	if (*line != 0)
		return -EINVAL;
	copy = malloc(len + 1);
	if (copy == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	at = ini_parse_string(copy, on_value, &r);
	free(copy);
	if (at < 0)
		return -ENOMEM;
	*line = (unsigned)at;
	if (r.err != 0)
		return r.err;
	return at == 0 ? 0 : -EINVAL;
}
