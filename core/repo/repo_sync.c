/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing the local index up to what the store has.
 *
 * Segments that are new are loaded page by page.  One that is damaged is
 * passed over, and since nothing says which packs it listed, the packs that no
 * loaded segment lists are then read back from their own footers; so one bad
 * segment costs time, not data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "format/segment.h"
#include "repo/prefetch.h"
#include "repo/repo_internal.h"
#include "repo/segment_read.h"

static int
name_note(void *ctx, const char *name, const struct store_stat *st)
{
	const char *base = strrchr(name, '/');
	uint8_t id[OBJECT_ID_SIZE];

	base = base != NULL ? base + 1 : name;
	if (hex_decode(base, id, OBJECT_ID_SIZE) != 0) {
		log_warn(0, "'%s' is not an object of firn; passed over",
		    name);
		return 0;
	}
	return names_add(ctx, id, st->size);
}

static int
load_page(void *ctx, const struct segment_entry *entries, size_t n)
{
	return index_load_add(ctx, entries, n);
}

static int
segment_load_once(const struct segment_object *o, enum pack_kind kind,
    const uint8_t id[OBJECT_ID_SIZE])
{
	struct index *ix = o->repo->index;
	struct segment_head head;
	struct index_load *ld = NULL;
	int err;

	err = segment_head_read(o, &head);
	if (err != 0)
		return err;
	err = head.kind == kind ? 0 : -FIRN_ECORRUPT;
	if (err == 0)
		err = index_load_begin(ix, kind, id, head.packs, head.npacks,
		    &ld);
	if (err == 0)
		err = index_load_replaces(ld,
		    (const uint8_t (*)[OBJECT_ID_SIZE])head.replaced,
		    head.nreplaced);
	if (err == 0)
		err = segment_pages_read(o, &head, load_page, ld);
	if (err == 0)
		err = index_load_commit(ld);
	else
		index_load_abort(ld);
	segment_head_release(&head);
	return err;
}

/* Segments to load: those that are small are loaded ahead. */
struct wanted {
	struct repo *r;
	enum pack_kind kind;
	const struct names *s;
	size_t *at, n;		/* which of s, in order */
	size_t *small, nsmall;	/* the small ones of them */
	struct prefetch *ahead;
};

static int
segment_load(const struct wanted *w, size_t i)
{
	struct buf bytes = BUF_INIT(PREFETCH_SIZE);
	char name[STORE_NAME_MAX + 1];
	struct segment_object o = { w->r, name, w->s->size[i], NULL };
	int err = -FIRN_ECORRUPT, tries;
	int small = o.size <= PREFETCH_SIZE;

	repo_segment_name(w->kind, w->s->id[i], name);
	if (small) {
		err = prefetch_next(w->ahead, &bytes);
		o.bytes = bytes.data;
		if (err == 0)
			err = bytes.len != o.size ? -FIRN_ECORRUPT :
			    segment_load_once(&o, w->kind, w->s->id[i]);
		o.bytes = NULL;
		/* It goes on where its list says that it ends: what there is
		 * up to there may be whole. */
		if (err == -FIRN_ETOOBIG)
			err = -FIRN_ECORRUPT;
	}
	for (tries = small; tries < READ_TRIES && err == -FIRN_ECORRUPT;
	    tries++)
		err = segment_load_once(&o, w->kind, w->s->id[i]);
	if (err == -FIRN_ECORRUPT)
		log_warn(err, "index segment '%s' is damaged", name);
	buf_release(&bytes);
	return err;
}

static void
small_name(void *ctx, size_t i, char name[STORE_NAME_MAX + 1])
{
	const struct wanted *w = ctx;

	repo_segment_name(w->kind, w->s->id[w->small[i]], name);
}

/* Which are not loaded yet; with `once`, and could not be read before. */
static int
wanted_find(struct wanted *w, int once)
{
	const struct pack_ids *tried = &w->r->unread[w->kind];
	size_t i;
	int ret;

	w->at = calloc(w->s->n + 1, sizeof(*w->at));
	w->small = calloc(w->s->n + 1, sizeof(*w->small));
	if (w->at == NULL || w->small == NULL)
		return -ENOMEM;
	for (i = 0; i < w->s->n; i++) {
		ret = index_has_segment(w->r->index, w->kind, w->s->id[i]);
		if (ret < 0)
			return ret;
		if (ret == 1 || (once && pack_ids_has(tried, w->s->id[i])))
			continue;
		w->at[w->n++] = i;
		if (w->s->size[i] <= PREFETCH_SIZE)
			w->small[w->nsmall++] = i;
	}
	return w->n == 0 ? 0 : prefetch_new(w->r->store, small_name, w,
	    w->nsmall, &w->ahead);
}

/*
 * Load those that are not; how many could not be, and of them, how many for
 * want of a permission.  With `once`, not those that could not be read before.
 */
static int
segments_load(struct repo *r, enum pack_kind kind, const struct names *s,
    int once, unsigned *bad, unsigned *denied)
{
	struct wanted w = { .r = r, .kind = kind, .s = s };
	struct pack_ids *tried = &r->unread[kind];
	unsigned row = 0;
	const uint8_t *id;
	size_t i;
	int ret;

	ret = wanted_find(&w, once);
	for (i = 0; i < w.n && ret >= 0; i++) {
		id = s->id[w.at[i]];
		ret = segment_load(&w, w.at[i]);
		if (repo_passes(ret, &row)) {
			++*bad;
			*denied += ret == -EACCES;
			ret = ret == -ENOENT || pack_ids_has(tried, id) ? 0 :
			    pack_ids_add(tried, id);
		}
	}
	prefetch_free(w.ahead);
	free(w.at);
	free(w.small);
	return ret;
}

int
repo_sync_locked(struct repo *r, enum pack_kind kind, unsigned *damaged)
{
	struct names s = { 0 };
	char prefix[32];
	unsigned bad = 0, denied = 0, adopted;
	uint64_t mark, epoch = 0;
	int err;

	snprintf(prefix, sizeof(prefix), "index/%s/", pack_kind_name(kind));
	err = index_mark(r->index, kind, &mark);
	if (err == 0)
		err = store_list(r->store, prefix, name_note, &s);
	if (err == 0) {
		/* Who heals lists in the store what is known here alone. */
		err = index_retain_since(r->index, kind, mark,
		    !r->heals && !r->listed_only,
		    (const uint8_t (*)[OBJECT_ID_SIZE])s.id, s.n);
		if (err == 1)
			err = 0;
	}
	/* If it is emptied from here on, it is to be loaded again. */
	if (err == 0)
		err = index_epoch(r->index, kind, &epoch);
	if (err == 0)
		err = segments_load(r, kind, &s, 0, &bad, &denied);
	if (err == 0 && bad > 0) {
		log_info("reading back the packs that %u %s index segments "
		    "listed", bad, pack_kind_name(kind));
		err = repo_adopt(r, kind, &adopted);
		/* A host that may read segments and no packs does without, and
		 * stores anew. */
		if (err == -EACCES && denied == 0)
			err = 0;
	}
	if (err == 0) {
		atomic_store(&r->epoch[kind], epoch);
		atomic_store(&r->synced[kind], 1);
	}
	if (damaged != NULL)
		*damaged = bad;
	names_release(&s);
	return err;
}

int
repo_sync(struct repo *r, enum pack_kind kind, unsigned *damaged)
{
	int err;

	pthread_mutex_lock(&r->sync_lock);
	err = repo_sync_locked(r, kind, damaged);
	pthread_mutex_unlock(&r->sync_lock);
	return err;
}

int
repo_sync_listed(struct repo *r, enum pack_kind kind)
{
	int err;

	pthread_mutex_lock(&r->sync_lock);
	r->listed_only = 1;
	err = repo_sync_locked(r, kind, NULL);
	r->listed_only = 0;
	pthread_mutex_unlock(&r->sync_lock);
	return err;
}

int
repo_sync_due(struct repo *r, enum pack_kind kind)
{
	uint64_t epoch;

	return !atomic_load(&r->synced[kind]) ||
	    index_epoch(r->index, kind, &epoch) != 0 ||
	    atomic_load(&r->epoch[kind]) != epoch;
}

void
repo_heals(struct repo *r)
{
	r->heals = 1;
}

int
repo_adopt_once(struct repo *r, enum pack_kind kind)
{
	unsigned adopted = 0;
	uint64_t epoch;
	int err;

	pthread_mutex_lock(&r->sync_lock);
	err = index_epoch(r->index, kind, &epoch);
	if (err == 0 && r->adopted[kind] != epoch + 1) {
		err = repo_adopt(r, kind, &adopted);
		if (err == 0)
			r->adopted[kind] = epoch + 1;
	}
	pthread_mutex_unlock(&r->sync_lock);
	return err != 0 ? err : adopted > 0;
}

int
repo_sync_current(struct repo *r, enum pack_kind kind)
{
	unsigned failures = atomic_load(&r->sync_failures[kind]);
	int due, err = 0;

	pthread_mutex_lock(&r->sync_lock);
	/* Whoever was before us may have done it, or failed to. */
	due = repo_sync_due(r, kind);
	if (due && atomic_load(&r->sync_failures[kind]) != failures) {
		err = r->sync_err[kind];
	} else if (due) {
		err = repo_sync_locked(r, kind, NULL);
		if (err != 0) {
			r->sync_err[kind] = err;
			atomic_fetch_add(&r->sync_failures[kind], 1);
		}
	}
	pthread_mutex_unlock(&r->sync_lock);
	return err;
}

int
repo_sync_once(struct repo *r, enum pack_kind kind)
{
	int err = 0;

	/* Asked for each block that is read: the lock may be held across
	 * listings and loads. */
	if (atomic_load_explicit(&r->synced[kind], memory_order_acquire))
		return 0;
	pthread_mutex_lock(&r->sync_lock);
	if (!atomic_load(&r->synced[kind]))
		err = repo_sync_locked(r, kind, NULL);
	pthread_mutex_unlock(&r->sync_lock);
	return err;
}

int
repo_follow(struct repo *r, enum pack_kind kind)
{
	struct names s = { 0 };
	char prefix[32];
	unsigned bad = 0, denied = 0;
	int err;

	snprintf(prefix, sizeof(prefix), "index/%s/", pack_kind_name(kind));
	err = store_list(r->store, prefix, name_note, &s);
	pthread_mutex_lock(&r->sync_lock);
	if (err == 0)
		err = segments_load(r, kind, &s, 1, &bad, &denied);
	pthread_mutex_unlock(&r->sync_lock);
	names_release(&s);
	return err;
}

int
repo_relist(struct repo *r, enum pack_kind kind, uint64_t since)
{
	uint64_t epoch;
	unsigned n, tries;
	int ret;

	for (tries = 0; tries < 3; tries++) {
		ret = index_epoch(r->index, kind, &epoch);
		if (ret == 0 && epoch == since)
			ret = index_has_local(r->index, kind);
		else if (ret == 0)
			ret = 1;
		if (ret != 1)
			return ret;
		ret = repo_sync(r, kind, NULL);
		if (ret == 0)
			ret = index_epoch(r->index, kind, &since);
		if (ret == 0)
			ret = repo_adopt(r, kind, &n);
		if (ret != 0)
			return ret;
	}
	return 0;
}
