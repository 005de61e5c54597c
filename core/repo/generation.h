/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generations of a repository: list, choose, read, write records.
 */
#ifndef FIRN_REPO_GENERATION_H
#define FIRN_REPO_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include "format/genrec.h"
#include "store/store.h"

struct repo;

struct generation {
	char name[STORE_NAME_MAX + 1];	/* of the object */
	uint8_t id[GEN_ID_SIZE];
	struct genrec rec;
};

/* A record that is there and cannot be read; all that its name says. */
struct generation_unread {
	char name[STORE_NAME_MAX + 1];
	struct timespec end;	/* to the second */
	uint8_t id[GEN_ID_SIZE];
	int err;
};

/* Ordered by end, then id. */
struct generation_list {
	struct generation *v;
	size_t n;
	/* Ordered by end; each was logged when it was first met. */
	struct generation_unread *unread;
	size_t nunread;
	unsigned damaged;	/* these, and objects with no record's name */
};

/* -FIRN_ENOKEY for a write-only key. */
int generation_list(struct repo *r, struct generation_list *out);
/*
 * Bring a list up to date with the store, reading only records that are new
 * and dropping those that are gone.  Starts from an empty list too.  1 when
 * something changed.
 */
int generation_refresh(struct repo *r, struct generation_list *list);
void generation_list_release(struct generation_list *l);

/*
 * What a person types: an id or an unambiguous beginning of one (4 digits or
 * more), "latest", "latest~N", a time in name form, or HOST/SERIES[/TIME or
 * /latest[~N]].  -ENOENT, -EEXIST when ambiguous; both logged.
 *
 * -FIRN_ECORRUPT, logged, when it means a record that cannot be read, or may
 * mean one: "latest" never passes an unread record by, since an older
 * generation in place of the newest is worse than none.
 */
int generation_find(const struct generation_list *l, const char *what,
    const struct generation **out);

/*
 * The same for "GENERATION:PATH".  Names of hosts and series may have colons,
 * as paths may, so the longest beginning of text counts that ends before a
 * colon, or at the end, and means a generation.  *path is what stands behind
 * that, or "".  Changes text, which *path points into.
 */
int generation_find_path(const struct generation_list *l, char *text,
    const struct generation **out, const char **path);

/*
 * The newest record that cannot be read and that may be younger than g, being
 * of the same second or a later one; with `series` of its host and series alone.
 * NULL when there is none, and so g can be the "latest".
 */
const struct generation_unread *generation_younger_unread(
    const struct generation_list *l, const struct generation *g, int series);

/* Newest of one host and series that can be read, or NULL. */
const struct generation *generation_newest(const struct generation_list *l,
    const char *host, const char *series);

/* Put a record, only if absent; rec.end is set by the caller. */
int generation_put(struct repo *r, const struct genrec *rec,
    struct generation *out);

#endif
