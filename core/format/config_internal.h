/* SPDX-License-Identifier: Apache-2.0 */
/* What lies inside a config, and around it: for format/config.c, for
 * format/tier.c, which has the same form, and for fuzz targets. */
#ifndef FIRN_FORMAT_CONFIG_INTERNAL_H
#define FIRN_FORMAT_CONFIG_INTERNAL_H

#include "format/config.h"

/* The JSON inside; errors are logged. */
int config_parse(const void *text, size_t len, struct config *out);

/*
 * The form of JSON under a MAC; the magic has 8 bytes.  Between begin, which
 * appends, and end comes the JSON; `start` is the length before it.
 */
int config_form_begin(struct buf *out, const char *magic);
int config_form_end(struct buf *out, size_t start, const struct keys *keys);
/* Where the JSON is; what the bytes name is said for messages.  Logged. */
int config_form_open(const void *data, size_t len, const char *magic,
    const char *what, const char **json, size_t *jsonlen);

/* Members that both have; -ENOENT where it is missing. */
struct json;
int config_time_get(struct json *j, const char *name, struct timespec *out);
int config_class_get(struct json *j, const char *name,
    char out[CONFIG_CLASS_SIZE]);

#endif
