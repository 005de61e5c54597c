/* SPDX-License-Identifier: Apache-2.0 */
/* Tables from text. */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "store/price.h"

#define UNITS_MAX	1000000ull	/* a price is no more than this */
#define DIGITS		9		/* behind the point */
#define BYTES_MAX	(1ull << 40)
#define DAYS_MAX	36500

enum kind { MONEY, NUMBER_DAYS, NUMBER_BYTES, THAW, THAW_REQUESTS };

static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;		/* of a uint64_t in struct price_class */
} keys[] = {
#define CLASS(f) offsetof(struct price_class, f)
	{ "put", MONEY, CLASS(put) },
	{ "get", MONEY, CLASS(get) },
	{ "transition", MONEY, CLASS(transition) },
	{ "monitoring", MONEY, CLASS(monitoring) },
	{ "upload", MONEY, CLASS(upload) },
	{ "storage", MONEY, CLASS(storage) },
	{ "retrieval", MONEY, CLASS(retrieval) },
	{ "thaw-expedited", THAW, CLASS(thaw[PRICE_EXPEDITED]) },
	{ "thaw-expedited-requests", THAW_REQUESTS,
	    CLASS(thaw[PRICE_EXPEDITED]) },
	{ "thaw-standard", THAW, CLASS(thaw[PRICE_STANDARD]) },
	{ "thaw-standard-requests", THAW_REQUESTS,
	    CLASS(thaw[PRICE_STANDARD]) },
	{ "thaw-bulk", THAW, CLASS(thaw[PRICE_BULK]) },
	{ "thaw-bulk-requests", THAW_REQUESTS, CLASS(thaw[PRICE_BULK]) },
	{ "days", NUMBER_DAYS, CLASS(days) },
	{ "minimum", NUMBER_BYTES, CLASS(minimum) },
	{ "overhead", NUMBER_BYTES, CLASS(overhead) },
	{ "overhead-standard", NUMBER_BYTES, CLASS(overhead_standard) }
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

struct decoding {
	struct price_table *t;
	char *why;
	int egress_set;
	unsigned set[PRICE_CLASSES];	/* bits of keys, by class */
};

static int
fail(struct decoding *d, const char *what, const char *of)
{
	snprintf(d->why, PRICE_WHY, "%s '%.60s'", what, of);
	return -EINVAL;
}

/* "0.0004", "10": up to nine digits behind a point, no sign, no exponent. */
int
price_parse(const char *text, uint64_t *out)
{
	uint64_t v = 0, unit = 1;
	int digits = 0, seen = 0;

	for (; *text >= '0' && *text <= '9'; text++, seen = 1) {
		v = 10 * v + (uint64_t)(*text - '0');
		if (v > UNITS_MAX)
			return -EINVAL;
	}
	if (!seen)
		return -EINVAL;
	if (*text == '.' && text[1] != '\0') {
		for (text++; *text >= '0' && *text <= '9' && digits < DIGITS;
		    text++, digits++)
			v = 10 * v + (uint64_t)(*text - '0');
	}
	for (; digits < DIGITS; digits++)
		unit *= 10;
	*out = v * unit;
	return *text == '\0' ? 0 : -EINVAL;
}

static int
number_parse(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		v = 10 * v + (uint64_t)(*text - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return *text == '\0' ? 0 : -EINVAL;
}

/* Printable ASCII, so that it can be shown as it is. */
static int
text_take(struct decoding *d, const char *name, const char *value, char *out,
    size_t size)
{
	const char *p;

	if (out[0] != '\0')
		return fail(d, "a second", name);
	if (value[0] == '\0' || strlen(value) >= size)
		return fail(d, "nothing, or too much, for", name);
	for (p = value; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return fail(d, "not plain text for", name);
	strcpy(out, value);
	return 0;
}

static int
table_value(struct decoding *d, const char *name, const char *value)
{
	struct price_table *t = d->t;

	if (strcmp(name, "name") == 0)
		return text_take(d, name, value, t->name, sizeof(t->name));
	if (strcmp(name, "date") == 0)
		return text_take(d, name, value, t->date, sizeof(t->date));
	if (strcmp(name, "source") == 0)
		return text_take(d, name, value, t->source,
		    sizeof(t->source));
	if (strcmp(name, "currency") == 0)
		return text_take(d, name, value, t->currency,
		    sizeof(t->currency));
	if (strcmp(name, "egress") != 0)
		return fail(d, "in [table] there is no", name);
	if (d->egress_set++)
		return fail(d, "a second", name);
	return price_parse(value, &t->egress) == 0 ? 0 :
	    fail(d, "egress: not a price:", value);
}

/* The class of this name, made when it is new; NULL when it cannot be. */
static struct price_class *
class_of(struct decoding *d, const char *name)
{
	struct price_table *t = d->t;
	size_t i;

	for (i = 0; i < t->nclasses; i++)
		if (strcmp(t->class[i].name, name) == 0)
			return &t->class[i];
	if (t->nclasses == PRICE_CLASSES) {
		fail(d, "too many classes, of which one is", name);
		return NULL;
	}
	if (text_take(d, "the name of a class", name,
	    t->class[t->nclasses].name, PRICE_NAME) != 0)
		return NULL;
	return &t->class[t->nclasses++];
}

static int
key_value(const struct key *k, const char *value, struct price_class *c)
{
	uint64_t *field = (uint64_t *)(void *)((char *)c + k->offset);
	struct price_thaw *thaw = (struct price_thaw *)(void *)field;

	switch (k->kind) {
	case MONEY:
		return price_parse(value, field);
	case NUMBER_DAYS:
		return number_parse(value, DAYS_MAX, field);
	case NUMBER_BYTES:
		return number_parse(value, BYTES_MAX, field);
	case THAW:
		thaw->offered = 1;
		return price_parse(value, &thaw->gb);
	case THAW_REQUESTS:
		return price_parse(value, &thaw->requests);
	}
	return -EINVAL;
}

static int
class_value(struct decoding *d, const char *section, const char *name,
    const char *value)
{
	struct price_class *c = class_of(d, section);
	unsigned *set;
	size_t i;

	if (c == NULL)
		return -EINVAL;
	set = &d->set[c - d->t->class];
	for (i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			break;
	if (i == KEYS)
		return fail(d, "no price is called", name);
	if (*set & 1u << i)
		return fail(d, "a second", name);
	*set |= 1u << i;
	return key_value(&keys[i], value, c) == 0 ? 0 :
	    fail(d, "neither a price nor a number:", value);
}

static int
on_value(void *ctx, const char *section, const char *name, const char *value)
{
	struct decoding *d = ctx;

	if (section[0] == '\0')
		return fail(d, "in front of all sections stands", name);
	if (strcmp(section, "table") == 0)
		return table_value(d, name, value);
	return class_value(d, section, name, value);
}

/* Is all there that sums and messages need? */
static int
whole(struct decoding *d)
{
	const struct price_table *t = d->t;

	if (t->name[0] == '\0' || t->date[0] == '\0' ||
	    t->currency[0] == '\0')
		return fail(d, "[table] lacks one of", "name, date, currency");
	if (price_standard(t) == NULL)
		return fail(d, "there is no class", "STANDARD");
	return 0;
}

int
price_decode(const void *text, size_t len, struct price_table *out,
    char why[PRICE_WHY])
{
	struct decoding d = { .t = out, .why = why };
	char what[PRICE_WHY] = "not `name = value`, or too long";
	unsigned line;
	int err;

	memset(out, 0, sizeof(*out));
	snprintf(why, PRICE_WHY, "it has over %u bytes", PRICE_FILE_MAX);
	if (len > PRICE_FILE_MAX)
		return -EINVAL;
	why[0] = '\0';
	err = ini_read(text, len, on_value, &d, &line);
	if (err == 0)
		return whole(&d);
	if (err == -ENOMEM)
		memcpy(what, "no memory", 10);
	if (why[0] != '\0')
		memcpy(what, why, sizeof(what));
	snprintf(why, PRICE_WHY, "line %u: %.100s", line, what);
	return err;
}

static int
load_file(const char *path, struct price_table *out, char why[PRICE_WHY])
{
	struct buf b = BUF_INIT(PRICE_FILE_MAX + 1);
	int err;

	err = file_load(AT_FDCWD, path, &b);
	snprintf(why, PRICE_WHY, "%s", err_text(err));
	if (err == 0)
		err = price_decode(b.data, b.len, out, why);
	buf_release(&b);
	return err;
}

int
price_load(const char *path, struct price_table *out)
{
	char why[PRICE_WHY];
	int err;

	err = load_file(path != NULL ? path : FIRN_PRICES_FILE, out, why);
	if (err == 0)
		return 0;
	if (path != NULL)
		return log_plain(err, "cannot use the prices in '%s': %s",
		    path, why);
	if (err != -ENOENT)
		log_warn(0, "cannot use the prices in '%s': %s; those of this "
		    "program are used", FIRN_PRICES_FILE, why);
	err = price_decode(price_builtin, strlen(price_builtin), out, why);
	return err == 0 ? 0 : log_plain(err, "the prices of this program are "
	    "wrong: %s", why);
}

int
price_for(const struct store *s, const char *path, struct price_table *out)
{
	int err;

	if (path == NULL)
		path = getenv("FIRN_PRICES");
	if (path != NULL && *path == '\0')
		path = NULL;
	if (store_local_path(s) != NULL || (path == NULL && !store_is_aws(s)))
		return 0;
	err = price_load(path, out);
	return err == 0 ? 1 : err;
}
