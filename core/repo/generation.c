/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of generations.  Records never change, so a refresh reads only those
 * whose names are new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/generation.h"
#include "repo/prefetch.h"
#include "repo/repo_internal.h"

struct name {
	char text[STORE_NAME_MAX + 1];
	int known;		/* the list has it */
	int local;		/* its record is in local state */
};

struct name_list {
	struct name *v;
	size_t n, cap;
};

/* Records that neither the list nor local state has. */
struct missing {
	const struct name_list *names;
	size_t *at, n;		/* which of them, in order */
	struct prefetch *ahead;
};

static int
name_note(void *ctx, const char *name, const struct store_stat *st)
{
	struct name_list *l = ctx;
	void *p;

	(void)st;
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? 2 * l->cap : 64;
		p = realloc(l->v, l->cap * sizeof(*l->v));
		if (p == NULL)
			return -ENOMEM;
		l->v = p;
	}
	l->v[l->n].known = 0;
	l->v[l->n].local = 0;
	snprintf(l->v[l->n++].text, STORE_NAME_MAX + 1, "%s", name);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static int
name_find(const void *text, const void *name)
{
	return strcmp(text, ((const struct name *)name)->text);
}

static int
by_end(const void *a, const void *b)
{
	const struct generation *x = a, *y = b;

	if (x->rec.end.tv_sec != y->rec.end.tv_sec)
		return x->rec.end.tv_sec < y->rec.end.tv_sec ? -1 : 1;
	if (x->rec.end.tv_nsec != y->rec.end.tv_nsec)
		return x->rec.end.tv_nsec < y->rec.end.tv_nsec ? -1 : 1;
	return memcmp(x->id, y->id, GEN_ID_SIZE);
}

/* A record's bytes, fresh ones from the store; those seen before are kept in
 * local state, so that a list of a thousand generations is not a thousand
 * requests. */
static int
record_bytes(struct repo *r, const struct name *name, struct prefetch *ahead,
    int fresh, struct buf *bytes)
{
	int err;

	buf_reset(bytes);
	if (!fresh && name->local &&
	    index_state_get(repo_index(r), name->text, bytes) == 0)
		return 0;
	buf_reset(bytes);
	err = fresh || name->local ?
	    store_load(repo_store(r), name->text, bytes) :
	    prefetch_next(ahead, bytes);
	if (err == 0)
		index_state_put(repo_index(r), name->text, bytes->data,
		    bytes->len);
	return err;
}

static int
generation_load(struct repo *r, const struct name *record,
    struct prefetch *ahead, struct generation *g)
{
	struct buf bytes = BUF_INIT(GENREC_MAX);
	const char *name = record->text;
	struct timespec end;
	char tag[GEN_TAG_SIZE];
	int err, tries;

	snprintf(g->name, sizeof(g->name), "%s", name);
	if (genrec_name_parse(name, tag, &end, g->id) != 0)
		return -FIRN_ECORRUPT;
	err = -FIRN_ECORRUPT;
	for (tries = 0; tries < READ_TRIES && err == -FIRN_ECORRUPT;
	    tries++) {
		err = record_bytes(r, record, ahead, tries > 0, &bytes);
		if (err != 0)
			break;
		genrec_init(&g->rec);
		err = genrec_decode(bytes.data, bytes.len, repo_keys(r), name,
		    &g->rec);
	}
	buf_release(&bytes);
	return err;
}

/* Take out what is not among the sorted names, and mark those that stay. */
static int
drop_gone(struct generation_list *list, struct name_list *names)
{
	struct name *name;
	size_t i, kept = 0;

	for (i = 0; i < list->n; i++) {
		name = names->n == 0 ? NULL : bsearch(list->v[i].name,
		    names->v, names->n, sizeof(*names->v), name_find);
		if (name == NULL) {
			genrec_release(&list->v[i].rec);
			continue;
		}
		name->known = 1;
		list->v[kept++] = list->v[i];
	}
	i = list->n != kept;
	list->n = kept;
	return (int)i;
}

/* Note a record that cannot be read; logged unless it was so before. */
static int
unread_note(struct generation_list *list, const struct generation_list *before,
    const char *name, int err)
{
	struct generation_unread *u;
	char tag[GEN_TAG_SIZE];
	unsigned foreign = list->damaged - (unsigned)list->nunread;
	struct timespec end;
	uint8_t id[GEN_ID_SIZE];
	int known, has;
	size_t i;

	known = genrec_name_parse(name, tag, &end, id) == 0;
	for (i = 0, has = 0; i < before->nunread && !has; i++)
		has = strcmp(before->unread[i].name, name) == 0;
	/* Those that are no record's are only counted. */
	if (!known)
		has = foreign < before->damaged - before->nunread;
	if (!has)
		log_err(err, "cannot read generation record '%s'", name);
	list->damaged++;
	if (!known)	/* Whatever else lies there is nobody's newest. */
		return 0;
	u = realloc(list->unread, (list->nunread + 1) * sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	list->unread = u;
	u += list->nunread;
	memset(u, 0, sizeof(*u));
	u->end = end;
	memcpy(u->id, id, sizeof(id));
	snprintf(u->name, sizeof(u->name), "%s", name);
	u->err = err;
	list->nunread++;
	return 0;
}

/* 1 added, 0 passed over as damaged, or -errno. */
static int
list_load(struct repo *r, struct generation_list *list,
    const struct generation_list *before, const struct name *record,
    struct prefetch *ahead, unsigned *row)
{
	const char *name = record->text;
	int err;

	err = generation_load(r, record, ahead, &list->v[list->n]);
	if (err == 0) {
		*row = 0;
		list->n++;
		return 1;
	}
	if (err == -ENOENT)		/* forgotten just now */
		return 0;
	if (repo_passes(err, row)) {
		index_state_del(repo_index(r), name);
		return unread_note(list, before, name, err);
	}
	if (err == -FIRN_ENOKEY)
		log_err(err, "a write-only key cannot read generations; use "
		    "the password of an owner key");
	return err;
}

static int
by_unread_end(const void *a, const void *b)
{
	const struct generation_unread *x = a, *y = b;

	if (x->end.tv_sec != y->end.tv_sec)
		return x->end.tv_sec < y->end.tv_sec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
same_unread(const struct generation_list *a, const struct generation_list *b)
{
	size_t i;

	if (a->nunread != b->nunread || a->damaged != b->damaged)
		return 0;
	for (i = 0; i < a->nunread; i++)
		if (strcmp(a->unread[i].name, b->unread[i].name) != 0)
			return 0;
	return 1;
}

static void
missing_name(void *ctx, size_t i, char name[STORE_NAME_MAX + 1])
{
	const struct missing *m = ctx;

	snprintf(name, STORE_NAME_MAX + 1, "%s", m->names->v[m->at[i]].text);
}

static int
missing_find(struct repo *r, struct name_list *names, struct missing *m)
{
	struct buf bytes = BUF_INIT(GENREC_MAX);
	struct timespec end;
	char tag[GEN_TAG_SIZE];
	uint8_t id[GEN_ID_SIZE];
	struct name *name;
	size_t i;

	m->names = names;
	m->at = calloc(names->n + 1, sizeof(*m->at));
	if (m->at == NULL)
		return -ENOMEM;
	for (i = 0; i < names->n; i++) {
		name = &names->v[i];
		/* Whatever else lies there is not read. */
		if (name->known ||
		    genrec_name_parse(name->text, tag, &end, id) != 0)
			continue;
		buf_reset(&bytes);
		name->local = index_state_get(repo_index(r), name->text,
		    &bytes) == 0;
		if (!name->local)
			m->at[m->n++] = i;
	}
	buf_release(&bytes);
	return m->n == 0 ? 0 : prefetch_new(repo_store(r), missing_name, m,
	    m->n, &m->ahead);
}

/* Read what is new, and what could not be read before: 1 when there was some. */
static int
read_new(struct repo *r, struct generation_list *list,
    const struct generation_list *before, struct name_list *names)
{
	struct missing m = { 0 };
	unsigned row = 0;
	size_t i;
	int ret, changed = 0;

	ret = missing_find(r, names, &m);
	for (i = 0; i < names->n && ret >= 0; i++) {
		if (names->v[i].known)
			continue;
		ret = list_load(r, list, before, &names->v[i], m.ahead, &row);
		changed |= ret == 1;
	}
	prefetch_free(m.ahead);
	free(m.at);
	return ret < 0 ? ret : changed;
}

static int
refresh(struct repo *r, struct generation_list *list,
    const struct generation_list *before, struct name_list *names)
{
	size_t i;
	void *p;
	int ret, changed;

	changed = drop_gone(list, names);
	p = realloc(list->v, (names->n + list->n + 1) * sizeof(*list->v));
	if (p == NULL)
		return -ENOMEM;
	list->v = p;
	ret = read_new(r, list, before, names);
	if (ret < 0)
		return ret;
	changed |= ret;
	/* Who may read none at all is told so. */
	for (i = 0; i < list->nunread && list->n == 0; i++)
		if (list->unread[i].err == -EACCES)
			return -EACCES;
	if (list->n > 0)
		qsort(list->v, list->n, sizeof(*list->v), by_end);
	if (list->nunread > 0)
		qsort(list->unread, list->nunread, sizeof(*list->unread),
		    by_unread_end);
	return changed || !same_unread(list, before);
}

int
generation_refresh(struct repo *r, struct generation_list *list)
{
	struct generation_list before = *list;
	struct name_list names = { 0 };
	int ret;

	ret = store_list(repo_store(r), "gen/", name_note, &names);
	if (ret != 0) {
		free(names.v);
		return ret;
	}
	if (names.n > 0)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	list->unread = NULL;
	list->nunread = 0;
	list->damaged = 0;
	ret = refresh(r, list, &before, &names);
	free(before.unread);
	free(names.v);
	return ret;
}

int
generation_list(struct repo *r, struct generation_list *out)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = generation_refresh(r, out);
	if (ret < 0)
		generation_list_release(out);
	return ret < 0 ? ret : 0;
}

void
generation_list_release(struct generation_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		genrec_release(&l->v[i].rec);
	free(l->v);
	free(l->unread);
	memset(l, 0, sizeof(*l));
}

int
generation_put(struct repo *r, const struct genrec *rec,
    struct generation *out)
{
	struct buf bytes = BUF_INIT(GENREC_MAX);
	struct timespec end;
	char tag[GEN_TAG_SIZE];
	int err;

	err = genrec_encode(rec, repo_keys(r), &bytes, out->name);
	if (err == 0)
		err = genrec_name_parse(out->name, tag, &end, out->id);
	if (err == 0)
		err = store_put(repo_store(r), out->name, bytes.data,
		    bytes.len, NULL, STORE_UNIQUE);
	buf_release(&bytes);
	return err;
}
