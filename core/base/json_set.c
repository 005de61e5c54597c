/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building JSON: members are set and elements appended; what fails is kept.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/json_internal.h"

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

/* `name` set to text, its true bytes beside it, or no longer beside it. */
static void
put_member(struct json *j, const char *name, const void *data, size_t len)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);
	const char *beside = json_beside(name, &b);

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
