/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON: what is not there, or of another type, is an error and no more.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/json_internal.h"

static int
member(const struct json *j, const char *name, json_t **v)
{
	*v = NULL;
	if (!j)
		return -EINVAL;
	if (!json_is_object(j->v))
		return -FIRN_ECORRUPT;
	*v = json_object_get(j->v, name);
	return *v ? 0 : -ENOENT;
}

static int
element(const struct json *j, size_t i, json_t **v)
{
	*v = NULL;
	if (!j)
		return -EINVAL;
	if (!json_is_array(j->v))
		return -FIRN_ECORRUPT;
	*v = json_array_get(j->v, i);
	return *v ? 0 : -ENOENT;
}

static int
string_value(json_t *v, const char **value)
{
	*value = json_string_value(v);
	return *value ? 0 : -FIRN_ECORRUPT;
}

int
json_get_str(const struct json *j, const char *name, const char **value)
{
	json_t *v;
	int err = member(j, name, &v);

	*value = NULL;
	return err ? err : string_value(v, value);
}

int
json_get_int(const struct json *j, const char *name, int64_t *value)
{
	json_t *v;
	int err = member(j, name, &v);

	*value = json_integer_value(v);
	return err ? err : json_is_integer(v) ? 0 : -FIRN_ECORRUPT;
}

/* Digits only, as json_set_uint() writes them. */
static int
decimal(const char *s, uint64_t *value)
{
	uint64_t n = 0;

	if (*s == 0 || (*s == '0' && s[1]))
		return -FIRN_ECORRUPT;
	for (; *s; s++) {
		unsigned d = (unsigned)(*s - '0');

		if (d > 9 || n > (UINT64_MAX - d) / 10)
			return -FIRN_ECORRUPT;
		n = n * 10 + d;
	}
	*value = n;
	return 0;
}

int
json_get_uint(const struct json *j, const char *name, uint64_t *value)
{
	json_t *v;
	int err = member(j, name, &v);

	*value = 0;
	if (err)
		return err;
	if (json_is_string(v))
		return decimal(json_string_value(v), value);
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -FIRN_ECORRUPT;
	*value = (uint64_t)json_integer_value(v);
	return 0;
}

int
json_get_bool(const struct json *j, const char *name, int *value)
{
	json_t *v;
	int err = member(j, name, &v);

	*value = json_is_true(v);
	return err ? err : json_is_boolean(v) ? 0 : -FIRN_ECORRUPT;
}

static int
add_base64(json_t *v, struct buf *out)
{
	int err;

	if (!json_is_string(v))
		return -FIRN_ECORRUPT;
	err = base64_decode(json_string_value(v), json_string_length(v), out);
	return err == -EINVAL ? -FIRN_ECORRUPT : err;
}

static int
add_string(json_t *v, struct buf *out)
{
	if (!json_is_string(v))
		return -FIRN_ECORRUPT;
	return buf_add(out, json_string_value(v), json_string_length(v));
}

int
json_get_bytes(const struct json *j, const char *name, struct buf *out)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	const char *beside;
	json_t *v, *raw;
	int err = member(j, name, &v);

	if (err)
		return err;
	if (!json_is_string(v))
		return -FIRN_ECORRUPT;
	beside = json_beside(name, &b);
	raw = beside ? json_object_get(j->v, beside) : NULL;
	if (!beside)
		err = -ENOMEM;
	else
		err = raw ? add_base64(raw, out) : add_string(v, out);
	buf_release(&b);
	return err;
}

int
json_get_hex(const struct json *j, const char *name, void *data, size_t len)
{
	const char *text;
	int err = json_get_str(j, name, &text);

	if (!err && hex_decode(text, data, len))
		err = -FIRN_ECORRUPT;
	return err;
}

static int
by_value(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct json *)a)->v;
	uintptr_t y = (uintptr_t)((const struct json *)b)->v;

	return x < y ? -1 : x > y;
}

/* The node of j's value v.  Nodes are a cache behind a const j. */
static int
child_of(const struct json *j, json_t *v, struct json **child)
{
	struct json key = { .v = v }, *up = (struct json *)(uintptr_t)j;
	struct json **at = tfind(&key, &j->kids, by_value);

	*child = at ? *at : NULL;
	if (*child)
		return 0;
	if (!json_is_object(v) && !json_is_array(v))
		return -FIRN_ECORRUPT;
	*child = json_node_new(json_incref(v), up);
	if (*child && tsearch(*child, &up->kids, by_value))
		return 0;
	if (*child)
		json_node_free(*child);
	*child = NULL;
	return -ENOMEM;
}

int
json_get(const struct json *j, const char *name, struct json **child)
{
	json_t *v;
	int err = member(j, name, &v);

	*child = NULL;
	return err ? err : child_of(j, v, child);
}

size_t
json_count(const struct json *j)
{
	if (!j)
		return 0;
	return json_is_array(j->v) ? json_array_size(j->v) :
	    json_object_size(j->v);
}

int
json_at_str(const struct json *j, size_t i, const char **value)
{
	json_t *v;
	int err = element(j, i, &v);

	*value = NULL;
	return err ? err : string_value(v, value);
}

int
json_at_bytes(const struct json *j, size_t i, struct buf *out)
{
	json_t *v;
	int err = element(j, i, &v);

	if (err)
		return err;
	if (json_is_object(v))
		return add_base64(json_object_get(v, "base64"), out);
	return add_string(v, out);
}

int
json_at(const struct json *j, size_t i, struct json **child)
{
	json_t *v;
	int err = element(j, i, &v);

	*child = NULL;
	return err ? err : child_of(j, v, child);
}

/* Jansson finds member i only by walking there, so where the last call stood
 * is remembered: a loop over i is linear. */
static void *
iter_at(struct json *j, size_t i)
{
	if (!j->iter || j->iter_at > i) {
		j->iter = json_object_iter(j->v);
		j->iter_at = 0;
	}
	while (j->iter && j->iter_at < i) {
		j->iter = json_object_iter_next(j->v, j->iter);
		j->iter_at++;
	}
	return j->iter;
}

int
json_member(const struct json *j, size_t i, const char **name,
    struct json **child)
{
	void *iter;
	int err;

	*name = NULL;
	if (child)
		*child = NULL;
	if (!j)
		return -EINVAL;
	if (!json_is_object(j->v))
		return -FIRN_ECORRUPT;
	iter = iter_at((struct json *)(uintptr_t)j, i);
	if (!iter)
		return -ENOENT;
	*name = json_object_iter_key(iter);
	if (!child)
		return 0;
	err = child_of(j, json_object_iter_value(iter), child);
	return err == -FIRN_ECORRUPT ? 0 : err;
}
