/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents over jansson, whose types stop here.
 *
 * A struct json stands for one object or array.  A document is owned by its
 * caller; a child that a getter hands out is owned by the node it came from,
 * which keeps one node for each value (so asking twice costs nothing) and
 * frees it with itself.  A node holds a reference to its value, so a child
 * whose member was replaced is stale, not dangling.
 * A failure of a builder is kept in the node and in all above it.
 */
#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/json.h"

/* In this file these names are jansson's. */
#undef json_object
#undef json_array

#define DEPTH_MAX	64	/* objects and arrays inside each other */

struct json {
	json_t *v;		/* one reference */
	struct json *up;	/* whose child this is; NULL for a document */
	void *kids;		/* tsearch(3) tree of children, by v */
	void *iter;		/* member `iter_at`, or NULL; not across sets */
	size_t iter_at;
	int err;		/* first failure, 0 or -errno */
};

/* Takes over the reference `v`, also when it fails; v may be NULL. */
static struct json *
node_new(json_t *v, struct json *up)
{
	struct json *j = v ? calloc(1, sizeof(*j)) : NULL;

	if (!j) {
		json_decref(v);
		return NULL;
	}
	j->v = v;
	j->up = up;
	return j;
}

static void
node_free(void *p)
{
	struct json *j = p;

	tdestroy(j->kids, node_free);
	json_decref(j->v);
	free(j);
}

struct json *
json_new_object(void)
{
	return node_new(json_object(), NULL);
}

struct json *
json_new_array(void)
{
	return node_new(json_array(), NULL);
}

void
json_free(struct json *j)
{
	if (!j)
		return;
	assert(!j->up);
	node_free(j);
}

static void
fail(struct json *j, int err)
{
	for (; j; j = j->up)
		if (!j->err)
			j->err = err;
}

/* Valid UTF-8, and without the NUL that C strings could not carry. */
static int
is_text(const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		size_t n = bytes_utf8(p, len);

		if (n == 0 || *p == 0)
			return 0;
		p += n;
		len -= n;
	}
	return 1;
}

/* Sets or appends.  Takes over `v`; NULL is one that could not be made. */
static void
put(struct json *j, const char *name, json_t *v)
{
	int fits = j && (name ? json_is_object(j->v) &&
	    is_text(name, strlen(name)) : json_is_array(j->v));

	if (!fits || !v) {
		fail(j, fits ? -ENOMEM : -EINVAL);
		json_decref(v);
		return;
	}
	j->iter = NULL;
	if (name ? json_object_set_new(j->v, name, v) :
	    json_array_append_new(j->v, v))
		fail(j, -ENOMEM);
}

void
json_set_str(struct json *j, const char *name, const char *value)
{
	if (is_text(value, strlen(value)))
		put(j, name, json_string(value));
	else
		fail(j, -EINVAL);
}

void
json_set_int(struct json *j, const char *name, int64_t value)
{
	put(j, name, json_integer(value));
}

void
json_set_uint(struct json *j, const char *name, uint64_t value)
{
	if (value <= INT64_MAX)
		put(j, name, json_integer((int64_t)value));
	else
		put(j, name, json_sprintf("%llu", (unsigned long long)value));
}

void
json_set_bool(struct json *j, const char *name, int value)
{
	put(j, name, json_boolean(value));
}

void
json_set_real(struct json *j, const char *name, double value)
{
	if (isfinite(value))
		put(j, name, json_real(value));
	else
		fail(j, -EINVAL);
}

/* A string of what `b` holds, or NULL; empties b. */
static json_t *
string_of(struct buf *b)
{
	const char *text = buf_cstr(b);
	json_t *v = text ? json_stringn(text, b->len) : NULL;

	buf_release(b);
	return v;
}

/* For people: each bad byte replaced by U+FFFD. */
static json_t *
lossy(const uint8_t *p, size_t len)
{
	static const uint8_t replacement[] = { 0xef, 0xbf, 0xbd };
	struct buf b = BUF_INIT(SIZE_MAX / 2);	/* three times len at most */

	while (len > 0) {
		size_t n = *p ? bytes_utf8(p, len) : 0;

		if (n)
			buf_add(&b, p, n);
		else
			buf_add(&b, replacement, sizeof(replacement));
		p += n ? n : 1;
		len -= n ? n : 1;
	}
	return string_of(&b);
}

static json_t *
base64_of(const void *data, size_t len)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	base64_encode(data, len, &b);
	return string_of(&b);
}

/* "NAME_base64", to be released by the caller; NULL without memory. */
static char *
base64_name(const char *name, struct buf *b)
{
	buf_printf(b, "%s_base64", name);
	return buf_cstr(b);
}

/* `name` set to text, its true bytes beside it, or no longer beside it. */
static void
put_member(struct json *j, const char *name, const void *data, size_t len)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	const char *beside = base64_name(name, &b);

	put(j, name, lossy(data, len));
	if (!beside)
		fail(j, -ENOMEM);
	else if (!is_text(data, len))
		put(j, beside, base64_of(data, len));
	else if (j) {
		j->iter = NULL;
		json_object_del(j->v, beside);
	}
	buf_release(&b);
}

void
json_set_bytes(struct json *j, const char *name, const void *data, size_t len)
{
	struct json *element;

	if (name) {
		put_member(j, name, data, len);
	} else if (is_text(data, len)) {
		put(j, NULL, lossy(data, len));
	} else {
		element = json_new_object();
		put(element, "text", lossy(data, len));
		put(element, "base64", base64_of(data, len));
		json_set(j, NULL, element);
	}
}

void
json_set_hex(struct json *j, const char *name, const void *data, size_t len)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	/* hex_encode() writes a NUL too; string_of() wants it uncounted. */
	if (buf_reserve(&b, 2 * len + 1) == 0) {
		hex_encode(data, len, (char *)b.data);
		b.len = 2 * len;
	}
	put(j, name, string_of(&b));
}

void
json_set(struct json *j, const char *name, struct json *child)
{
	json_t *v = NULL;

	if (child) {
		assert(child != j && !child->up);
		v = json_incref(child->v);
		if (child->err)
			fail(j, child->err);
	}
	json_free(child);
	put(j, name, v);
}

/* More than `left` objects and arrays inside each other. */
static int
too_deep(json_t *v, unsigned left)
{
	const char *name;
	json_t *child;
	size_t i;

	if (!json_is_object(v) && !json_is_array(v))
		return 0;
	if (left == 0)
		return 1;
	json_array_foreach(v, i, child)
		if (too_deep(child, left - 1))
			return 1;
	json_object_foreach(v, name, child)
		if (too_deep(child, left - 1))
			return 1;
	return 0;
}

int
json_parse(const void *text, size_t len, struct json **out)
{
	json_error_t why;
	json_t *v;

	*out = NULL;
	v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		return json_error_code(&why) == json_error_out_of_memory ?
		    -ENOMEM : -FIRN_ECORRUPT;
	if (too_deep(v, DEPTH_MAX)) {
		json_decref(v);
		return -FIRN_ECORRUPT;
	}
	*out = node_new(v, NULL);
	return *out ? 0 : -ENOMEM;
}

static int
append(const char *text, size_t len, void *out)
{
	return buf_add(out, text, len) ? -1 : 0;
}

static int
dump(const struct json *j, struct buf *out, size_t flags)
{
	size_t start = out->len;

	if (!j)
		return -ENOMEM;
	if (j->err)
		return j->err;
	if (json_dump_callback(j->v, append, out, flags) == 0)
		return 0;
	out->len = start;
	return out->err ? out->err : -ENOMEM;
}

int
json_dump(const struct json *j, struct buf *out)
{
	return dump(j, out, JSON_COMPACT);
}

int
json_dump_pretty(const struct json *j, struct buf *out)
{
	return dump(j, out, JSON_INDENT(2));
}

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
	beside = base64_name(name, &b);
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
	*child = node_new(json_incref(v), up);
	if (*child && tsearch(*child, &up->kids, by_value))
		return 0;
	if (*child)
		node_free(*child);
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
