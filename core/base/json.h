/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents, for key slots, generation records and --json output.  Wraps
 * jansson; its types stop here.
 *
 * A builder call that fails is remembered, and json_dump() then fails; so
 * callers build straight through.  Byte strings that are not UTF-8 (paths)
 * are stored by json_set_bytes() as two members, NAME with each bad byte
 * replaced by U+FFFD for people, and NAME_base64 with the true bytes; as the
 * element of an array, {"text": ..., "base64": ...}.  A NUL counts as bad.
 * Not thread-safe for one document.
 */
#ifndef FIRN_BASE_JSON_H
#define FIRN_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct json;

/* New empty document; NULL without memory (all calls take NULL and fail). */
struct json *json_new_object(void);
struct json *json_new_array(void);
/* Shorter.  Macros, because jansson has functions of these names, which ours
 * would stand in for when linked. */
#define json_object() json_new_object()
#define json_array() json_new_array()
/* A document, never a borrowed child.  NULL is fine. */
void json_free(struct json *j);

/* Set a member, or append to an array where name is NULL.  Texts and names
 * must be UTF-8, and reals finite. */
void json_set_str(struct json *j, const char *name, const char *value);
void json_set_int(struct json *j, const char *name, int64_t value);
/* Up to 2^63 - 1 as a number; above that as a string. */
void json_set_uint(struct json *j, const char *name, uint64_t value);
void json_set_bool(struct json *j, const char *name, int value);
void json_set_real(struct json *j, const char *name, double value);
void json_set_bytes(struct json *j, const char *name, const void *data,
    size_t len);
void json_set_hex(struct json *j, const char *name, const void *data,
    size_t len);
/* Takes over `child`, a document of its own; its failure becomes j's. */
void json_set(struct json *j, const char *name, struct json *child);

/* Total over any bytes: -FIRN_ECORRUPT when not a JSON object or array,
 * when nested more than 64 deep, or with duplicate members. */
int json_parse(const void *text, size_t len, struct json **out);
/* Compact text appended, members in the order they were set; no newline.
 * Nothing is appended on failure. */
int json_dump(const struct json *j, struct buf *out);
/* The same indented, for people. */
int json_dump_pretty(const struct json *j, struct buf *out);

/* Getters: 0, or -ENOENT when there is no such member or element, or
 * -FIRN_ECORRUPT when it, or j, has another type; -EINVAL when j is NULL.
 * Strings and children live as long as the document. */
int json_get_str(const struct json *j, const char *name, const char **value);
int json_get_int(const struct json *j, const char *name, int64_t *value);
/* Also takes a string of decimal digits, see json_set_uint(). */
int json_get_uint(const struct json *j, const char *name, uint64_t *value);
int json_get_bool(const struct json *j, const char *name, int *value);
/* As set by json_set_bytes; appended to out. */
int json_get_bytes(const struct json *j, const char *name, struct buf *out);
int json_get_hex(const struct json *j, const char *name, void *data,
    size_t len);
/* A borrowed child, an object or array; freed with the document.  Asking for
 * it again gives the same pointer. */
int json_get(const struct json *j, const char *name, struct json **child);
size_t json_count(const struct json *j);
/* Element i of an array as string (or -FIRN_ECORRUPT). */
int json_at_str(const struct json *j, size_t i, const char **value);
int json_at_bytes(const struct json *j, size_t i, struct buf *out);
int json_at(const struct json *j, size_t i, struct json **child);
/* Member i of an object, in order; cheap when i counts up.  *child is NULL
 * when its value is no object or array; `child` may be NULL. */
int json_member(const struct json *j, size_t i, const char **name,
    struct json **child);

#endif
