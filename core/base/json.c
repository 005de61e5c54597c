/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents over jansson, whose types stop here.
 */
#include <assert.h>
#include <search.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json_internal.h"

#define DEPTH_MAX	64	/* objects and arrays inside each other */

struct json *
json_node_new(json_t *v, struct json *up)
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

void
json_node_free(void *p)
{
	struct json *j = p;

	tdestroy(j->kids, json_node_free);
	json_decref(j->v);
	free(j);
}

const char *
json_beside(const char *name, struct buf *b)
{
	buf_printf(b, "%s_base64", name);
	return buf_cstr(b);
}

struct json *
json_new_object(void)
{
	return json_node_new(json_object(), NULL);
}

struct json *
json_new_array(void)
{
	return json_node_new(json_array(), NULL);
}

void
json_free(struct json *j)
{
	if (!j)
		return;
	assert(!j->up);
	json_node_free(j);
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
	*out = json_node_new(v, NULL);
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
