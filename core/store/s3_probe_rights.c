/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this key may do, in each part of a repository.
 *
 * Rights are tried where firn needs them, in ways that change nothing: a put
 * whose body is not the one that was signed for is refused for its body where
 * it is allowed, and for lack of a right where it is not; what is read or
 * deleted need not exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/s3_probe_internal.h"

/* The parts of a repository, and who needs to do what there. */
enum verb { LIST, GET, PUT, DEL, VERBS };

static const struct part {
	const char *name;		/* with '/': names that begin so */
	int tried[VERBS];
	int needed[VERBS][3];		/* by role: owner, reader, writer */
} parts[] = {
	{ "config", { 0, 1, 0, 0 }, { { 0, 0, 0 }, { 1, 1, 1 }, { 0, 0, 0 },
	    { 0, 0, 0 } } },
	{ "keys/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 },
	    { 1, 0, 0 } } },
	{ "index/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "gen/", { 1, 1, 1, 1 }, { { 1, 1, 0 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "meta/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "tier/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 },
	    { 1, 0, 0 } } },
	{ "data/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static const struct {
	const char *check, *grant, *without, *risk;
} verbs[VERBS] = {
	[LIST] = { "list", "s3:ListBucket",
	    "firn finds neither keys nor generations",
	    "a thief sees how much is stored, and when" },
	[GET] = { "get", "s3:GetObject",
	    "firn cannot open or read the repository",
	    "a thief can copy what is stored, and read it once he has an "
	    "owner's password" },
	[PUT] = { "put", "s3:PutObject", "nothing can be stored",
	    "a thief can add objects" },
	[DEL] = { "delete", "s3:DeleteObject",
	    "no key can be removed, nor space given back",
	    "a thief can delete backups" },
};

/* Rights.  Each: 1, 0, or -errno for what ends the examination; anything else
 * that goes wrong is told by `odd`. */

static int
may(struct trial *t, const struct part *part, int err)
{
	if (trial_is_fatal(err))
		return err;
	if (err == 0 || err == -ENOENT || err == -ERANGE ||
	    err == -FIRN_ECOLD || err == -EEXIST)
		return 1;
	if (err != -EACCES)
		probe_found(t->p, "odd", STORE_WARNING, NULL, NULL,
		    "%s: %s", part->name, t->no.text);
	return 0;
}

/* `there` names an object of the part, or is "" when none is known. */
static int
may_get(struct trial *t, const struct part *part, const char *there)
{
	char name[STORE_NAME_MAX + 1];
	uint8_t byte;

	if (strchr(part->name, '/') == NULL)
		snprintf(name, sizeof(name), "%s", part->name);
	else if (there[0] != '\0')
		snprintf(name, sizeof(name), "%s", there);
	else
		snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	/* The same right, and it asks nothing of an archive. */
	if (strcmp(part->name, "data/") == 0)
		return may(t, part, s3_head(t->s, name, &t->rp, &t->no));
	return may(t, part, trial_get(t, name, &byte, 1));
}

/* The body is not what was signed for: an honest server stores nothing. */
static int
may_put(struct trial *t, const struct part *part)
{
	char name[STORE_NAME_MAX + 1];
	int err;

	snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	err = trial_put(t, name, "x", 1, "y", NULL);
	if (err == 0) {
		err = trial_clear(t, name);
		return err != 0 ? err : 1;
	}
	return trial_is_fatal(err) ? err : trial_is_body_refused(t) ? 1 :
	    may(t, part, err);
}

static int
may_del(struct trial *t, const struct part *part)
{
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	return may(t, part, trial_del(t, name));
}

enum right { NO, YES, UNSURE };

struct rights {
	int may[PARTS][VERBS];			/* enum right */
	char there[PARTS][STORE_NAME_MAX + 1];	/* a name, or "" */
};

#define PART_CONFIG	0
#define PART_KEYS	1

/*
 * Who may not list all of a bucket is told "access denied" in place of "not
 * found", so that what he may read shows only where we know of something.
 */
static int
is_unsure(const struct rights *r, size_t i)
{
	return r->there[i == PART_CONFIG ? PART_KEYS : i][0] == '\0';
}

static int
right_find(struct trial *t, struct rights *r, size_t i, enum verb v)
{
	const struct part *part = &parts[i];
	int ret;

	switch (v) {
	case LIST:
		return may(t, part, trial_list(t, part->name, r->there[i]));
	case GET:
		ret = may_get(t, part, r->there[i]);
		return ret == NO && is_unsure(r, i) ? UNSURE : ret;
	case PUT:
		return may_put(t, part);
	default:
		return may_del(t, part);
	}
}

/* Listings first: they find what there is to read. */
static int
rights_find(struct trial *t, struct rights *r)
{
	int v, ret;
	size_t i;

	for (v = 0; v < VERBS; v++)
		for (i = 0; i < PARTS; i++) {
			if (!parts[i].tried[v])
				continue;
			ret = right_find(t, r, i, (enum verb)v);
			if (ret < 0)
				return ret;
			r->may[i][v] = ret;
		}
	return 0;
}

static void
name_add(char *list, const char *name)
{
	size_t len = strlen(list);

	snprintf(list + len, 128 - len, "%s%s", len > 0 ? " " : "", name);
}

/* Names of parts, by what was found of one verb. */
struct sorted {
	char yes[128], no[128], unsure[128], lacks[128], more[128];
};

static void
rights_sort(const struct rights *r, int v, enum store_role role,
    struct sorted *out)
{
	size_t i;
	int needed;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < PARTS; i++) {
		if (!parts[i].tried[v])
			continue;
		needed = parts[i].needed[v][role];
		name_add(r->may[i][v] == YES ? out->yes : r->may[i][v] == NO ?
		    out->no : out->unsure, parts[i].name);
		if (needed && r->may[i][v] == NO)
			name_add(out->lacks, parts[i].name);
		if (!needed && r->may[i][v] == YES)
			name_add(out->more, parts[i].name);
	}
}

static void
rights_tell(struct trial *t, const struct rights *r, int v)
{
	static const char no_try[] = "; not to be told without an object to "
	    "try it on: ";
	struct sorted s;

	rights_sort(r, v, t->p->conf->role, &s);
	if (s.lacks[0] != '\0')
		probe_found(t->p, verbs[v].check, STORE_MISSING,
		    verbs[v].grant, verbs[v].without, "not allowed, but needed"
		    ": %s%s%s", s.lacks, s.yes[0] != '\0' ? "; allowed: " : "",
		    s.yes);
	if (s.more[0] != '\0')
		probe_found(t->p, verbs[v].check, STORE_WARNING, NULL,
		    verbs[v].risk, "allowed, and not needed: %s", s.more);
	if (s.lacks[0] == '\0' && s.more[0] == '\0')
		probe_found(t->p, verbs[v].check, s.unsure[0] != '\0' ?
		    STORE_FACT : STORE_OK, NULL, NULL, "allowed: %s%s%s%s%s",
		    s.yes[0] != '\0' ? s.yes : "nothing",
		    s.no[0] != '\0' ? "; not allowed: " : "", s.no,
		    s.unsure[0] != '\0' ? no_try : "", s.unsure);
}

int
s3_probe_rights(struct trial *t)
{
	struct rights *r = calloc(1, sizeof(*r));
	int v, err = r == NULL ? -ENOMEM : rights_find(t, r);

	for (v = 0; v < VERBS && err == 0; v++)
		rights_tell(t, r, v);
	if (err == 0)
		t->p->readable = r->may[PART_CONFIG][GET] == YES;
	free(r);
	return err;
}
