/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which generation of a list a person means.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "repo/generation.h"

static int
in_series(const struct generation *g, const char *host, size_t hostlen,
    const char *series, size_t serieslen)
{
	return strlen(g->rec.host) == hostlen &&
	    memcmp(g->rec.host, host, hostlen) == 0 &&
	    strlen(g->rec.series) == serieslen &&
	    memcmp(g->rec.series, series, serieslen) == 0;
}

const struct generation *
generation_newest(const struct generation_list *l, const char *host,
    const char *series)
{
	size_t i;

	for (i = l->n; i > 0; i--)
		if (in_series(&l->v[i - 1], host, strlen(host), series,
		    strlen(series)))
			return &l->v[i - 1];
	return NULL;
}

/* Same host and series: the tags in the names say so. */
static int
same_series(const char *name, const char *other)
{
	return strncmp(name, other, strlen("gen/") + GEN_TAG_SIZE - 1) == 0;
}

const struct generation_unread *
generation_younger_unread(const struct generation_list *l,
    const struct generation *g, int series)
{
	const struct generation_unread *u;
	size_t i;

	for (i = l->nunread; i > 0; i--) {
		u = &l->unread[i - 1];
		if (u->end.tv_sec < g->rec.end.tv_sec)
			return NULL;
		if (!series || same_series(u->name, g->name))
			return u;
	}
	return NULL;
}

/* "latest" or "latest~N": 1 and the number; 0 when it is not that. */
static int
parse_latest(const char *what, unsigned long *back)
{
	char *end;

	*back = 0;
	if (strncmp(what, "latest", 6) != 0)
		return 0;
	what += 6;
	if (*what == '\0')
		return 1;
	if (*what != '~' || !isdigit((unsigned char)what[1]))
		return 0;
	*back = strtoul(what + 1, &end, 10);
	return *end == '\0';
}

/* The generation `back` before the newest of a series (all when host NULL). */
static const struct generation *
nth_latest(const struct generation_list *l, const char *host, size_t hostlen,
    const char *series, size_t serieslen, unsigned long back)
{
	size_t i;

	for (i = l->n; i > 0; i--) {
		if (host != NULL && !in_series(&l->v[i - 1], host, hostlen,
		    series, serieslen))
			continue;
		if (back-- == 0)
			return &l->v[i - 1];
	}
	return NULL;
}

/* By time in name form (in one series when host is given): how many match. */
static unsigned
find_time(const struct generation_list *l, const char *host, size_t hostlen,
    const char *series, size_t serieslen, const char *what,
    const struct generation **out)
{
	char text[TIMEFMT_SIZE];
	unsigned n = 0;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (host != NULL && !in_series(&l->v[i], host, hostlen,
		    series, serieslen))
			continue;
		timefmt_name(&l->v[i].rec.end, text);
		if (strcmp(text, what) == 0) {
			*out = &l->v[i];
			n++;
		}
	}
	return n;
}

static unsigned
find_id(const struct generation_list *l, const char *what,
    const struct generation **out)
{
	char hex[2 * GEN_ID_SIZE + 1];
	size_t i, len = strlen(what);
	unsigned n = 0;

	if (len < 4 || len > 2 * GEN_ID_SIZE)
		return 0;
	for (i = 0; i < l->n; i++) {
		hex_encode(l->v[i].id, GEN_ID_SIZE, hex);
		if (strncmp(hex, what, len) == 0) {
			*out = &l->v[i];
			n++;
		}
	}
	return n;
}

/* What a person asks for, taken apart. */
struct wanted {
	const char *host, *series;	/* NULL: any */
	size_t hostlen, serieslen;
	const char *what;		/* id or time */
	char time[TIMEFMT_SIZE];	/* a time as generations have it */
	int latest;
	unsigned long back;
};

/* Times with colons are taken as well. */
static void
wanted_time(struct wanted *w)
{
	struct timespec t;

	if (strchr(w->what, ':') == NULL || w->what[0] == '@' ||
	    timefmt_parse(w->what, &t) != 0)
		return;
	timefmt_name(&t, w->time);
	w->what = w->time;
}

static void
wanted_parse(const char *text, struct wanted *w)
{
	const char *last;

	memset(w, 0, sizeof(*w));
	w->what = text;
	w->series = strchr(text, '/');
	if (w->series == NULL) {
		w->latest = parse_latest(text, &w->back);
		wanted_time(w);
		return;
	}
	w->host = text;
	w->hostlen = (size_t)(w->series++ - text);
	last = strchr(w->series, '/');
	w->serieslen = last != NULL ? (size_t)(last - w->series) :
	    strlen(w->series);
	w->latest = last == NULL || parse_latest(last + 1, &w->back);
	w->what = last != NULL ? last + 1 : "";
	wanted_time(w);
}

static unsigned
find(const struct generation_list *l, const struct wanted *w,
    const struct generation **out)
{
	unsigned n = 0;

	if (w->latest) {
		*out = nth_latest(l, w->host, w->hostlen, w->series,
		    w->serieslen, w->back);
		return *out != NULL;
	}
	if (w->host == NULL)
		n = find_id(l, w->what, out);
	return n > 0 ? n : find_time(l, w->host, w->hostlen, w->series,
	    w->serieslen, w->what, out);
}

/* How many generations this text means; *out is one of them, or NULL. */
static unsigned
find_text(const struct generation_list *l, const char *text,
    const struct generation **out)
{
	struct wanted w;

	*out = NULL;
	wanted_parse(text, &w);
	return find(l, &w, out);
}

/* The unread record that an id or a time means. */
static const struct generation_unread *
unread_named(const struct generation_list *l, const struct wanted *w)
{
	char hex[2 * GEN_ID_SIZE + 1], text[TIMEFMT_SIZE];
	size_t i, len = strlen(w->what);

	for (i = 0; i < l->nunread && !w->latest; i++) {
		hex_encode(l->unread[i].id, GEN_ID_SIZE, hex);
		timefmt_name(&l->unread[i].end, text);
		if (strcmp(text, w->what) == 0 || (w->host == NULL && len >= 4
		    && strncmp(hex, w->what, len) == 0))
			return &l->unread[i];
	}
	return NULL;
}

static int
hidden_err(const struct generation *g, const struct generation_unread *u,
    const char *what)
{
	char hex[2 * GEN_ID_SIZE + 1], text[TIMEFMT_SIZE];

	hex_encode(g->id, GEN_ID_SIZE, hex);
	timefmt_name(&g->rec.end, text);
	return log_plain(-FIRN_ECORRUPT, "'%s' cannot be told: record '%s' is "
	    "no older and cannot be read; the newest before it is %s of %s: "
	    "name that if it will do", what, u->name, hex, text);
}

int
generation_find(const struct generation_list *l, const char *what,
    const struct generation **out)
{
	const struct generation_unread *u;
	struct wanted w;
	unsigned n;

	*out = NULL;
	wanted_parse(what, &w);
	n = find(l, &w, out);
	if (n > 1)
		return log_plain(-EEXIST, "'%s' means %u generations; give more "
		    "digits, or HOST/SERIES/TIME", what, n);
	u = unread_named(l, &w);
	if (n == 1 && u != NULL && (w.host == NULL ||
	    same_series(u->name, (*out)->name)))
		return log_plain(-EEXIST, "'%s' means a generation, and record "
		    "'%s', which cannot be read, as well; give more digits, or "
		    "HOST/SERIES/TIME", what, u->name);
	if (n == 1) {
		u = w.latest ? generation_younger_unread(l, *out,
		    w.host != NULL) : NULL;
		return u == NULL ? 0 : hidden_err(*out, u, what);
	}
	if (u != NULL)
		return log_plain(-FIRN_ECORRUPT, "'%s' is generation record "
		    "'%s', which cannot be read", what, u->name);
	if (l->nunread > 0)
		return log_plain(-ENOENT, "no generation '%s' among those that "
		    "can be read; %zu records cannot be", what, l->nunread);
	return log_plain(-ENOENT, "no generation '%s'; `firn generations` lists "
	    "them", what);
}

int
generation_find_path(const struct generation_list *l, char *text,
    const struct generation **out, const char **path)
{
	char *colon = strrchr(text, ':'), *before;

	*path = text + strlen(text);
	if (colon == NULL || find_text(l, text, out) > 0)
		return generation_find(l, text, out);
	/* From the longest to the shortest: what is shorter can be told from
	 * it by a slash at the beginning of the path. */
	for (;;) {
		*colon = '\0';
		*path = colon + 1;
		before = strrchr(text, ':');
		if (before == NULL || find_text(l, text, out) > 0)
			return generation_find(l, text, out);
		*colon = ':';
		colon = before;
	}
}
