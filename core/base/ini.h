/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of `name = value` lines, in sections or none.  A line that begins with
 * ';' or '#' is a comment, and so is what follows a blank and ';'.  Wraps inih.
 */
#ifndef FIRN_BASE_INI_H
#define FIRN_BASE_INI_H

#include <stddef.h>

/* Bytes of a line; inih would cut longer ones. */
#define INI_LINE_MAX	190

/*
 * Call fn for each value; section is "" before the first.  A line that begins
 * with a blank continues the value before: fn gets its name again.  Total: any
 * bytes give 0, or -errno and the line, counted from 1, at which it was wrong:
 * -EINVAL, or what fn returned, which is not called again.  -ENOMEM: line 0.
 */
int ini_read(const void *text, size_t len,
    int (*fn)(void *ctx, const char *section, const char *name,
    const char *value), void *ctx, unsigned *line);

#endif
