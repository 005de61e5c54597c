/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up.  A slot is a read transaction that is renewed for one look-up
 * and reset behind it, so that nobody pins pages.  A view is the list of a
 * half's runs with the addresses of their slabs; it is right for every
 * transaction that sees the same generation of the half.  A slot keeps the
 * view that it used last, so that a look-up takes no lock but its slot.
 *
 * A look-up fetches the filter's cache line of every run at once, and only
 * then tests them.
 */
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "index/index_internal.h"

/* --- directories of runs ------------------------------------------------ */

static void
run_dir_unref(struct run_dir *d)
{
	if (d == NULL || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	free(d->first);
	free(d->slab);
	free(d);
}

static struct run_dir *
run_dir_new(const struct run_rec *r)
{
	struct run_dir *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	atomic_init(&d->refs, 1);
	d->first = calloc(r->slabs, sizeof(*d->first));
	d->slab = calloc(r->slabs, sizeof(*d->slab));
	if (d->first == NULL || d->slab == NULL) {
		run_dir_unref(d);
		return NULL;
	}
	d->number = r->number;
	d->version = r->version;
	d->state = r->state;
	d->entries = r->entries;
	return d;
}

/* Note the slab that the cursor stands on. */
static int
run_dir_note(struct index *ix, struct run_dir *d, const MDB_val *k,
    const MDB_val *v, uint32_t max)
{
	if (d->n == max || (d->n > 0 && d->last_size != SLAB_MAX) ||
	    v->mv_size < SLAB_HEADER || v->mv_size > SLAB_MAX ||
	    ((uintptr_t)v->mv_data & (ix->psize - 1)) != PAGE_LOSS)
		return index_damaged(ix, "a run makes no sense");
	d->first[d->n] = be64_load((const uint8_t *)k->mv_data + 4);
	d->slab[d->n++] = v->mv_data;
	d->last_size = (uint32_t)v->mv_size;
	return 0;
}

static int
run_dir_finish(struct index *ix, struct run_dir *d, uint32_t n)
{
	uint8_t last[BLOCK_ID_SHORT];
	struct slab s;

	if (d->n != n || d->n == 0 ||
	    slab_open(d->slab[n - 1], d->last_size, d->number, &s) != 0)
		return index_damaged(ix, "a run makes no sense");
	slab_id(&s, s.n - 1, last);
	d->last_filter = s.filter;
	d->end = be64_load(last);
	if (d->end > d->first[0])
		d->scale = (double)n / (double)(d->end - d->first[0]);
	return 0;
}

static int
run_dir_load(struct index *ix, MDB_txn *txn, unsigned h,
    const struct run_rec *r, struct run_dir **out)
{
	struct run_dir *d = run_dir_new(r);
	uint8_t key[SLAB_KEY_SIZE] = { 0 };
	MDB_val k = { sizeof(key), key }, v;
	MDB_cursor *cur;
	int err = 0, rc;

	if (d == NULL)
		return -ENOMEM;
	rc = mdb_cursor_open(txn, ix->half[h].slab, &cur);
	if (rc != 0) {
		run_dir_unref(d);
		return index_err(ix, rc, "read");
	}
	be32_store(key, r->number);
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && err == 0 && k.mv_size == SLAB_KEY_SIZE &&
	    memcmp(k.mv_data, key, 4) == 0) {
		err = run_dir_note(ix, d, &k, &v, r->slabs);
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cur);
	if (err == 0 && rc != 0 && rc != MDB_NOTFOUND)
		err = index_err(ix, rc, "read");
	if (err == 0)
		err = run_dir_finish(ix, d, r->slabs);
	if (err == 0)
		*out = d;
	else
		run_dir_unref(d);
	return err;
}

uint32_t
run_dir_find(const struct run_dir *d, uint64_t key)
{
	const uint64_t *a = d->first;
	uint32_t lo, hi, mid, step = 2;
	double at;

	/* Find the count of slabs that begin at or below key. */
	at = key > a[0] ? (double)(key - a[0]) * d->scale : 0;
	lo = hi = at >= d->n ? d->n - 1 : (uint32_t)at;
	if (a[lo] <= key) {
		do {
			lo = hi + 1;
			hi = d->n - hi > step ? hi + step : d->n;
			step *= 4;
		} while (hi < d->n && a[hi] <= key);
	} else {
		while (lo > 0 && a[lo] > key) {
			hi = lo;
			lo = lo > step ? lo - step : 0;
			step *= 4;
		}
	}
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (a[mid] <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 ? lo - 1 : 0;
}

/* --- views -------------------------------------------------------------- */

void
view_unref(struct view *v)
{
	uint32_t i;

	if (v == NULL || atomic_fetch_sub(&v->refs, 1) != 1)
		return;
	for (i = 0; i < v->nruns; i++)
		run_dir_unref(v->run[i]);
	free(v);
}

static struct run_dir *
view_reuse(const struct view *v, const struct run_rec *r)
{
	uint32_t i;

	for (i = 0; v != NULL && i < v->nruns; i++) {
		if (v->run[i]->number == r->number &&
		    v->run[i]->version == r->version &&
		    v->run[i]->state == r->state) {
			atomic_fetch_add(&v->run[i]->refs, 1);
			return v->run[i];
		}
	}
	return NULL;
}

static int
larger_first(const void *a, const void *b)
{
	const struct run_dir *const *x = a, *const *y = b;

	if ((*x)->entries != (*y)->entries)
		return (*x)->entries > (*y)->entries ? -1 : 1;
	return (*x)->number > (*y)->number ? -1 : 1;
}

/* A view of what txn sees, with what it can take over from an older one. */
static int
view_load(struct index *ix, MDB_txn *txn, unsigned h, const struct view *old,
    struct view **out)
{
	struct half_rec rec;
	struct view *v;
	uint32_t i;
	int err;

	err = half_get(ix, txn, h, &rec);
	if (err == 0)
		err = half_check(ix, txn, h, &rec);
	if (err != 0)
		return err;
	v = calloc(1, sizeof(*v) + rec.nruns * sizeof(v->run[0]));
	if (v == NULL)
		return -ENOMEM;
	atomic_init(&v->refs, 1);
	v->gen = rec.gen;
	for (i = 0; i < rec.nruns && err == 0; i++) {
		if (rec.run[i].state == RUN_DEAD || rec.run[i].slabs == 0)
			continue;
		v->run[v->nruns] = view_reuse(old, &rec.run[i]);
		if (v->run[v->nruns] == NULL)
			err = run_dir_load(ix, txn, h, &rec.run[i],
			    &v->run[v->nruns]);
		if (err == 0)
			v->nruns++;
	}
	if (err != 0) {
		view_unref(v);
		return err;
	}
	qsort(v->run, v->nruns, sizeof(v->run[0]), larger_first);
	*out = v;
	return 0;
}

/* The view of generation gen, which txn sees. */
static int
view_get(struct index *ix, MDB_txn *txn, unsigned h, uint64_t gen,
    struct view **out)
{
	struct view *v = NULL, *old = NULL;
	int err = 0;

	pthread_mutex_lock(&ix->view_lock);
	old = ix->view[h];
	if (old != NULL && old->gen == gen) {
		v = old;
		old = NULL;
	} else {
		err = view_load(ix, txn, h, old, &v);
		/* A transaction may be older than somebody else's view. */
		if (err == 0 && (old == NULL || old->gen < gen))
			ix->view[h] = v;
		else
			old = NULL;
	}
	if (err == 0 && v == ix->view[h])
		atomic_fetch_add(&v->refs, 1);
	pthread_mutex_unlock(&ix->view_lock);
	view_unref(old);
	*out = v;
	return err;
}

int
slot_view(struct index *ix, struct slot *s, unsigned h,
    const struct view **out)
{
	uint64_t txnid = mdb_txn_id(s->txn), gen;
	struct view *v;
	int err;

	*out = s->view[h];
	if (s->view[h] != NULL && s->txnid[h] == txnid)
		return 0;
	err = half_gen(ix, s->txn, h, &gen);
	if (err != 0)
		return err;
	if (s->view[h] == NULL || s->view[h]->gen != gen) {
		err = view_get(ix, s->txn, h, gen, &v);
		if (err != 0)
			return err;
		view_unref(s->view[h]);
		s->view[h] = v;
	}
	s->txnid[h] = txnid;
	*out = s->view[h];
	return 0;
}

/* --- slots -------------------------------------------------------------- */

int
slot_get(struct index *ix, struct slot **out)
{
	/* Threads' handles lie far apart, and differ in the middle. */
	uint64_t at = ((uintptr_t)pthread_self() >> 6) * 0x9e3779b97f4a7c15u;
	unsigned i, n;
	struct slot *s;
	int rc;

	for (i = (unsigned)(at >> 32), n = 1;; i++, n++) {
		s = &ix->slot[i % INDEX_SLOTS];
		if (atomic_load_explicit(&s->busy, memory_order_relaxed) == 0 &&
		    atomic_exchange_explicit(&s->busy, 1,
		    memory_order_acquire) == 0)
			break;
		if (n % INDEX_SLOTS == 0)
			sched_yield();
	}
	if (s->txn == NULL)
		rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &s->txn);
	else
		rc = mdb_txn_renew(s->txn);
	if (rc != 0) {
		atomic_store_explicit(&s->busy, 0, memory_order_release);
		return index_err(ix, rc, "read");
	}
	*out = s;
	return 0;
}

void
slot_put(struct slot *s)
{
	mdb_txn_reset(s->txn);
	atomic_store_explicit(&s->busy, 0, memory_order_release);
}

void
slot_close(struct slot *s)
{
	unsigned h;

	assert(!atomic_load(&s->busy));
	for (h = 0; h < INDEX_HALVES; h++)
		view_unref(s->view[h]);
	if (s->txn != NULL)
		mdb_txn_abort(s->txn);
}

/* --- finding ------------------------------------------------------------ */

/* Look into slab i of a run, and the one before when an id may be in both. */
static int
run_find(struct index *ix, const struct run_dir *d, uint32_t i,
    const uint8_t id[BLOCK_ID_SHORT], struct segment_entry *out)
{
	uint64_t key = be64_load(id);
	struct slab s;
	uint32_t at;
	int equal;

	for (;;) {
		if (slab_open(d->slab[i], run_dir_size(d, i), d->number,
		    &s) != 0)
			return index_damaged(ix, "a slab makes no sense");
		at = slab_search(&s, id, d->first[i], run_dir_end(d, i),
		    &equal);
		if (equal) {
			if (out != NULL)
				slab_get(&s, at, out);
			return 1;
		}
		if (i == 0 || d->first[i] != key)
			return 0;
		i--;
	}
}

/* Where an id would lie in each run, and the line of its filter there, or NULL
 * where any id may be. */
struct spot {
	const uint8_t *block;
	uint32_t at;
};

static void
view_spots(const struct view *v, const uint8_t id[BLOCK_ID_SHORT],
    struct spot spot[INDEX_RUNS_MAX])
{
	uint64_t key = be64_load(id);
	const struct run_dir *d;
	uint32_t i, at, blocks;

	for (i = 0; i < v->nruns; i++) {
		d = v->run[i];
		spot[i].at = at = run_dir_find(d, key);
		blocks = at + 1 < d->n ? SLAB_FILTER : d->last_filter;
		/* Without a filter, or where a neighbour may have it too, any
		 * test must pass. */
		if (blocks == 0 || d->first[at] == key) {
			spot[i].block = NULL;
			continue;
		}
		spot[i].block = filter_block(d->slab[at] + SLAB_HEADER,
		    blocks, id);
		__builtin_prefetch(spot[i].block);
		__builtin_prefetch(d->slab[at]);
	}
}

static int
spot_find(struct index *ix, const struct run_dir *d, const struct spot *spot,
    const uint8_t id[BLOCK_ID_SHORT], struct segment_entry *out)
{
	return spot->block == NULL || filter_test(spot->block, id) ?
	    run_find(ix, d, spot->at, id, out) : 0;
}

static int
view_find(struct index *ix, const struct view *v,
    const uint8_t id[BLOCK_ID_SHORT], struct segment_entry *out)
{
	struct spot spot[INDEX_RUNS_MAX];
	uint32_t i;
	int ret = 0;

	view_spots(v, id, spot);
	for (i = 0; i < v->nruns && ret == 0; i++)
		ret = spot_find(ix, v->run[i], &spot[i], id, out);
	return ret;
}

static int
place_of(struct index *ix, struct slot *s, enum pack_kind kind,
    const struct segment_entry *e, struct index_place *out)
{
	struct segment_pack pack;
	int err;

	err = pack_get(ix, s->txn, half_of(kind), e->pack, &pack);
	if (err != 0)
		return err;
	memcpy(out->pack, pack.id, OBJECT_ID_SIZE);
	out->pack_size = pack.size;
	out->frame_off = e->frame_off;
	out->frame_len = e->frame_len;
	out->off = e->off;
	out->len = e->len;
	return 0;
}

int
index_find(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out)
{
	struct segment_entry e;
	const struct view *v;
	struct slot *s;
	int ret, err;

	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	ret = slot_view(ix, s, half_of(kind), &v);
	if (ret == 0)
		ret = view_find(ix, v, id, &e);
	if (ret == 1)
		err = place_of(ix, s, kind, &e, out);
	slot_put(s);
	return err != 0 ? err : ret;
}

int
index_find_all(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out, unsigned max)
{
	struct spot spot[INDEX_RUNS_MAX];
	struct segment_entry e;
	const struct view *v;
	struct slot *s;
	unsigned n = 0;
	uint32_t i;
	int ret;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = slot_view(ix, s, half_of(kind), &v);
	if (ret == 0)
		view_spots(v, id, spot);
	for (i = 0; ret == 0 && i < v->nruns && n < max; i++) {
		ret = spot_find(ix, v->run[i], &spot[i], id, &e);
		if (ret == 1)
			ret = place_of(ix, s, kind, &e, &out[n++]);
	}
	slot_put(s);
	return ret != 0 ? ret : (int)n;
}

int
index_has(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE])
{
	const struct view *v;
	struct slot *s;
	int ret;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = slot_view(ix, s, half_of(kind), &v);
	if (ret == 0)
		ret = view_find(ix, v, id, NULL);
	slot_put(s);
	return ret;
}
