/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generation records as JSON.
 *
 * Texts that come from a file system may hold any byte but NUL and go through
 * json_set_bytes().  What a record may be is said by record_valid(), which
 * encoder and decoder share.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/timefmt.h"
#include "format/genrec_internal.h"

/* The numbers of a record's two objects of them. */
static const struct number {
	const char *object;
	const char *name;
	size_t offset;		/* of a uint64_t in struct genrec */
} numbers[] = {
#define NUMBER(object, name) \
	{ #object, #name, offsetof(struct genrec, object.name) }
	NUMBER(totals, files),
	NUMBER(totals, dirs),
	NUMBER(totals, bytes),
	NUMBER(added, data_blocks),
	NUMBER(added, data_bytes),
	NUMBER(added, meta_blocks),
	NUMBER(added, meta_bytes),
	NUMBER(added, stored_bytes)
#undef NUMBER
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* A calendar time, one that its text gives back. */
static int
time_valid(const struct timespec *t)
{
	struct timespec again;
	char text[TIMEFMT_SIZE];

	if (t->tv_nsec < 0 || t->tv_nsec > 999999999)
		return 0;
	timefmt_iso(t, text);
	return text[0] != '@' && timefmt_parse(text, &again) == 0 &&
	    again.tv_sec == t->tv_sec && again.tv_nsec == t->tv_nsec;
}

static int
record_valid(const struct genrec *g)
{
	size_t i;

	if (g->host == NULL || !genrec_name_ok(g->host) ||
	    g->series == NULL || !genrec_name_ok(g->series) ||
	    !time_valid(&g->start) || !time_valid(&g->end))
		return 0;
	for (i = 0; i < g->npaths; i++)
		if (g->paths[i][0] == '\0')
			return 0;
	for (i = 0; i < g->ntags; i++)
		if (!genrec_name_ok(g->tags[i]))
			return 0;
	if (g->root_entry != NULL && !genrec_root_entry_valid(g))
		return 0;
	return g->nerrors <= GEN_ERRORS_MAX && g->error_count >= g->nerrors &&
	    g->clock_grain_ns >= 0;
}

static void
text_write(struct json *j, const char *name, const char *text)
{
	json_set_bytes(j, name, text, strlen(text));
}

static void
strings_write(struct json *j, const char *name, char *const *v, size_t n)
{
	struct json *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		text_write(list, NULL, v[i]);
	json_set(j, name, list);
}

static void
time_write(struct json *j, const char *name, const struct timespec *t)
{
	char text[TIMEFMT_SIZE];

	timefmt_iso(t, text);
	json_set_str(j, name, text);
}

static void
numbers_write(struct json *j, const char *object, const struct genrec *g)
{
	struct json *o = json_object();
	uint64_t v;
	size_t i;

	for (i = 0; i < NUMBERS; i++) {
		if (strcmp(numbers[i].object, object) != 0)
			continue;
		memcpy(&v, (const char *)g + numbers[i].offset, sizeof(v));
		json_set_uint(o, numbers[i].name, v);
	}
	json_set(j, object, o);
}

static void
names_write(struct json *j, const char *name, const struct gen_name *v,
    size_t n)
{
	struct json *o = json_object();
	char number[24];
	size_t i;

	for (i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%" PRIu64, v[i].number);
		text_write(o, number, v[i].name);
	}
	json_set(j, name, o);
}

int
genrec_write(const struct genrec *g, struct buf *out)
{
	struct json *j;
	int err;

	if (!record_valid(g))
		return -EINVAL;
	j = json_object();
	text_write(j, "host", g->host);
	text_write(j, "series", g->series);
	strings_write(j, "paths", g->paths, g->npaths);
	strings_write(j, "tags", g->tags, g->ntags);
	time_write(j, "start", &g->start);
	time_write(j, "end", &g->end);
	json_set_hex(j, "root", g->root, sizeof(g->root));
	if (g->root_entry != NULL)
		json_set_hex(j, "root_entry", g->root_entry,
		    g->root_entrylen);
	numbers_write(j, "totals", g);
	numbers_write(j, "added", g);
	if (g->has_parent)
		json_set_hex(j, "parent", g->parent, sizeof(g->parent));
	names_write(j, "users", g->users, g->nusers);
	names_write(j, "groups", g->groups, g->ngroups);
	text_write(j, "program", g->program != NULL ? g->program : "");
	strings_write(j, "errors", g->errors, g->nerrors);
	json_set_uint(j, "error_count", g->error_count);
	json_set_int(j, "clock_grain_ns", g->clock_grain_ns);
	err = json_dump(j, out);
	json_free(j);
	return err;
}

/* The text that `b` holds becomes a string of its own. */
static int
text_take(struct buf *b, char **out)
{
	const char *text = buf_cstr(b);

	if (text == NULL)
		return buf_err(b);
	if (strlen(text) != b->len)
		return -FIRN_ECORRUPT;
	*out = strdup(text);
	return *out != NULL ? 0 : -ENOMEM;
}

static int
text_parse(struct json *j, const char *name, char **out)
{
	struct buf b = BUF_INIT(GENREC_MAX);
	int err;

	err = json_get_bytes(j, name, &b);
	if (err == 0)
		err = text_take(&b, out);
	buf_release(&b);
	return err;
}

static int
strings_parse(struct json *j, const char *name, size_t max, char ***v,
    size_t *n)
{
	struct buf b = BUF_INIT(GENREC_MAX);
	struct json *list;
	const char *text;
	size_t i, count;
	int err;

	err = json_get(j, name, &list);
	if (err != 0)
		return err;
	count = json_count(list);
	if (count > max)
		return -FIRN_ECORRUPT;
	for (i = 0; i < count && err == 0; i++) {
		buf_reset(&b);
		err = json_at_bytes(list, i, &b);
		if (err != 0)
			break;
		text = buf_cstr(&b);
		if (text == NULL)
			err = buf_err(&b);
		else if (strlen(text) != b.len)
			err = -FIRN_ECORRUPT;
		else
			err = genrec_append(v, n, text);
	}
	buf_release(&b);
	return err;
}

static int
time_parse(struct json *j, const char *name, struct timespec *out)
{
	const char *text;
	int err = json_get_str(j, name, &text);

	if (err == 0 && timefmt_parse(text, out) != 0)
		err = -FIRN_ECORRUPT;
	return err;
}

static int
numbers_parse(struct json *j, struct genrec *out)
{
	struct json *o;
	uint64_t v;
	size_t i;
	int err = 0;

	for (i = 0; i < NUMBERS && err == 0; i++) {
		err = json_get(j, numbers[i].object, &o);
		if (err == 0)
			err = json_get_uint(o, numbers[i].name, &v);
		if (err == 0)
			memcpy((char *)out + numbers[i].offset, &v, sizeof(v));
	}
	return err;
}

/* 1 for "NAME_base64", which json_get_bytes() looks at by itself. */
static int
is_beside(const char *name)
{
	const char *tail = strrchr(name, '_');

	return tail != NULL && strcmp(tail, "_base64") == 0;
}

/* A number as "%PRIu64" writes it. */
static int
decimal_parse(const char *text, uint64_t *out)
{
	char again[24];

	*out = strtoull(text, NULL, 10);
	snprintf(again, sizeof(again), "%" PRIu64, *out);
	return strcmp(text, again) == 0 ? 0 : -FIRN_ECORRUPT;
}

static int
names_parse(struct json *j, const char *name, struct gen_name **v, size_t *n)
{
	const char *number;
	struct json *o;
	size_t i, count;
	int err;

	err = json_get(j, name, &o);
	if (err != 0)
		return err;
	count = json_count(o);
	if (count == 0)
		return 0;
	*v = calloc(count, sizeof(**v));
	if (*v == NULL)
		return -ENOMEM;
	for (i = 0; i < count && err == 0; i++) {
		err = json_member(o, i, &number, NULL);
		if (err != 0 || is_beside(number))
			continue;
		err = decimal_parse(number, &(*v)[*n].number);
		if (err == 0)
			err = text_parse(o, number, &(*v)[*n].name);
		if (err == 0)
			++*n;
	}
	return err;
}

static int
parent_parse(struct json *j, struct genrec *out)
{
	int err = json_get_hex(j, "parent", out->parent, sizeof(out->parent));

	if (err == -ENOENT)
		return 0;
	out->has_parent = err == 0;
	return err;
}

static int
root_entry_parse(struct json *j, struct genrec *out)
{
	const char *text;
	size_t len;
	int err = json_get_str(j, "root_entry", &text);

	if (err == -ENOENT)
		return 0;
	if (err != 0)
		return err;
	len = strlen(text) / 2;
	if (len > TREE_ENTRY_MAX)
		return -FIRN_ECORRUPT;
	out->root_entry = malloc(len + 1);
	if (out->root_entry == NULL)
		return -ENOMEM;
	out->root_entrylen = len;
	return hex_decode(text, out->root_entry, len) == 0 ? 0 :
	    -FIRN_ECORRUPT;
}

static int
members_parse(struct json *j, struct genrec *out)
{
	int err;

	err = text_parse(j, "host", &out->host);
	if (err == 0)
		err = text_parse(j, "series", &out->series);
	if (err == 0)
		err = strings_parse(j, "paths", SIZE_MAX, &out->paths,
		    &out->npaths);
	if (err == 0)
		err = strings_parse(j, "tags", SIZE_MAX, &out->tags,
		    &out->ntags);
	if (err == 0)
		err = time_parse(j, "start", &out->start);
	if (err == 0)
		err = time_parse(j, "end", &out->end);
	if (err == 0)
		err = json_get_hex(j, "root", out->root, sizeof(out->root));
	if (err == 0)
		err = root_entry_parse(j, out);
	if (err == 0)
		err = numbers_parse(j, out);
	if (err == 0)
		err = parent_parse(j, out);
	if (err == 0)
		err = names_parse(j, "users", &out->users, &out->nusers);
	if (err == 0)
		err = names_parse(j, "groups", &out->groups, &out->ngroups);
	if (err == 0)
		err = text_parse(j, "program", &out->program);
	if (err == 0)
		err = strings_parse(j, "errors", GEN_ERRORS_MAX, &out->errors,
		    &out->nerrors);
	if (err == 0)
		err = json_get_uint(j, "error_count", &out->error_count);
	if (err == 0)
		err = json_get_int(j, "clock_grain_ns", &out->clock_grain_ns);
	return err;
}

int
genrec_parse(const void *text, size_t len, struct genrec *out)
{
	struct json *j;
	int err;

	genrec_init(out);
	err = json_parse(text, len, &j);
	if (err != 0)
		return err;
	err = members_parse(j, out);
	json_free(j);
	if (err == -ENOENT || (err == 0 && !record_valid(out)))
		err = -FIRN_ECORRUPT;
	return err;
}
