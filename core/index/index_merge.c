/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging runs.
 *
 * Runs have levels by their number of entries, each level four times the one
 * below.  Four live runs of a level are merged; and with them those of the
 * next when the result would complete four there.  So an entry is rewritten
 * once a level, and a look-up asks at most three runs a level.
 *
 * A step builds slabs from a read transaction, and then takes LMDB's writer
 * lock only to put them and to delete the slabs of the sources that are used
 * up; state rows of others get in between.  The next step seeks the sources to
 * what the target ends with, which is all that needs to be known to go on,
 * after a crash too.  Of equal ids the newest run's entry is kept.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "index/index_internal.h"

#define MERGE_RATIO	4
#define MERGE_MAX	16		/* sources of one merge */
#define LEVEL_ENTRIES	4096		/* level 0 is below this: a slab */
#define LEVELS		32

/* --- what is due -------------------------------------------------------- */

static unsigned
level_of(uint64_t entries)
{
	unsigned level = 0;

	for (; entries >= LEVEL_ENTRIES && level < LEVELS - 1; level++)
		entries /= MERGE_RATIO;
	return level;
}

/* Make sources of the live runs of a level; returns their entries. */
static uint64_t
level_take(struct half_rec *rec, unsigned level, unsigned *sources)
{
	uint64_t entries = 0;
	uint32_t i;

	for (i = 0; i < rec->nruns && *sources < MERGE_MAX; i++) {
		if (rec->run[i].state == RUN_LIVE &&
		    level_of(rec->run[i].entries) == level) {
			rec->run[i].state = RUN_SOURCE;
			rec->run[i].version++;
			entries += rec->run[i].entries;
			++*sources;
		}
	}
	return entries;
}

/* Choose sources and add a target: 1, or 0 when nothing is due. */
static int
merge_choose(struct half_rec *rec)
{
	unsigned count[LEVELS] = { 0 }, level, top, sources = 0;
	uint64_t entries = 0;
	uint32_t i;

	for (i = 0; i < rec->nruns; i++)
		count[level_of(rec->run[i].entries)] +=
		    rec->run[i].state == RUN_LIVE;
	for (level = 0; level < LEVELS && count[level] < MERGE_RATIO; level++)
		;
	if (level == LEVELS || rec->nruns == INDEX_RUNS_MAX)
		return 0;
	for (top = level; top < LEVELS; top++) {
		if (top > level && (level_of(entries) < top ||
		    count[top] + 1 < MERGE_RATIO))
			break;
		entries += level_take(rec, top, &sources);
	}
	return half_add_run(rec, RUN_PART) != NULL;
}

static struct run_rec *
merge_target(struct half_rec *rec)
{
	uint32_t i;

	for (i = 0; i < rec->nruns; i++) {
		if (rec->run[i].state == RUN_PART)
			return &rec->run[i];
	}
	return NULL;
}

/* Begin a merge, unless one is under way.  1: there is one, 0, -errno. */
static int
merge_begin(struct index *ix, unsigned h)
{
	struct half_rec rec;
	MDB_txn *txn;
	int ret;

	ret = write_begin(ix, &txn);
	if (ret != 0)
		return ret;
	ret = half_get(ix, txn, h, &rec);
	if (ret == 0 && merge_target(&rec) != NULL)
		ret = 1;
	else if (ret == 0 && merge_choose(&rec)) {
		rec.gen++;
		ret = half_put(ix, txn, h, &rec);
		if (ret == 0)
			ret = write_commit(ix, txn);
		else
			mdb_txn_abort(txn);
		return ret == 0 ? 1 : ret;
	}
	mdb_txn_abort(txn);
	return ret;
}

/* --- reading sources ---------------------------------------------------- */

struct source {
	const struct run_dir *dir; /* while the slot is held */
	uint32_t number;
	uint32_t used;		/* slabs to delete from the front */
	uint64_t used_entries;	/* in them */
	uint32_t at;		/* slab */
	uint32_t i;		/* entry in it */
	struct slab slab;
	struct segment_entry e;
};

/* One step. */
struct merge {
	struct index *ix;
	uint32_t nsources;
	int ended;		/* nothing is left in the sources */
	struct source source[MERGE_MAX];
	struct slab_builder builder;
};

/* Open the slab that the source stands at, and have the next read ahead. */
static int
source_open(struct index *ix, struct source *s)
{
	const uint8_t *p = s->dir->slab[s->at];
	uint32_t size = run_dir_size(s->dir, s->at);

	if (s->at + 1 < s->dir->n)
		(void)madvise((void *)(uintptr_t)(s->dir->slab[s->at + 1] -
		    PAGE_LOSS), run_dir_size(s->dir, s->at + 1) + PAGE_LOSS,
		    MADV_WILLNEED);
	if (slab_open(p, size, s->dir->number, &s->slab) != 0 ||
	    !slab_check(p, size))
		return index_damaged(ix, "a slab's checksum is wrong");
	return 0;
}

/* Entry at the source's place: 1 and in s->e, or 0 at the end of the run. */
static int
source_load(struct index *ix, struct source *s)
{
	int err;

	if (s->at == s->dir->n)
		return 0;
	if (s->i == s->slab.n) {
		s->i = 0;
		if (++s->at == s->dir->n)
			return 0;
		err = source_open(ix, s);
		if (err != 0)
			return err;
	}
	slab_get(&s->slab, s->i, &s->e);
	return 1;
}

/* To the first entry above `after` (NULL: the first of all). */
static int
source_seek(struct index *ix, struct source *s, const uint8_t *after)
{
	uint64_t key;
	int err, equal;

	s->at = s->i = 0;
	if (after != NULL) {
		key = be64_load(after);
		s->at = run_dir_find(s->dir, key);
		/* Equal first bytes: the slab may begin above it. */
		while (s->at > 0 && s->dir->first[s->at] == key)
			s->at--;
	}
	err = source_open(ix, s);
	while (err == 0 && after != NULL) {
		s->i = slab_search(&s->slab, after, s->dir->first[s->at],
		    run_dir_end(s->dir, s->at), &equal);
		s->i += (uint32_t)equal;
		if (s->i < s->slab.n || s->at + 1 == s->dir->n)
			break;
		s->at++;
		err = source_open(ix, s);
	}
	return err;
}

/* Count the slabs that hold nothing above `last`. */
static int
source_used(struct index *ix, struct source *s, const uint8_t *last)
{
	struct slab slab;
	int ret;

	ret = source_seek(ix, s, last);
	if (ret == 0)
		ret = source_load(ix, s);
	for (s->used = 0; ret >= 0 && s->used < s->at; s->used++) {
		if (slab_open(s->dir->slab[s->used], run_dir_size(s->dir,
		    s->used), s->number, &slab) != 0)
			ret = index_damaged(ix, "a slab makes no sense");
		else
			s->used_entries += slab.n;
	}
	return ret < 0 ? ret : 0;
}

/* --- merging ------------------------------------------------------------ */

/* Sources by age, the newest first, and where the target ends. */
static int
merge_gather(struct merge *m, const struct view *v, uint8_t *after,
    int *have_after)
{
	const struct run_dir *d, *part = NULL;
	struct slab slab;
	uint32_t i, j;

	*have_after = 0;
	for (i = 0; i < v->nruns; i++) {
		d = v->run[i];
		if (d->state == RUN_PART)
			part = d;
		if (d->state != RUN_SOURCE)
			continue;
		if (m->nsources == MERGE_MAX)
			return index_damaged(m->ix, "a merge makes no sense");
		for (j = m->nsources++; j > 0 &&
		    m->source[j - 1].dir->number < d->number; j--)
			m->source[j] = m->source[j - 1];
		m->source[j].dir = d;
		m->source[j].number = d->number;
	}
	if (part == NULL)
		return 0;
	if (slab_open(part->slab[part->n - 1], part->last_size, part->number,
	    &slab) != 0)
		return index_damaged(m->ix, "a slab makes no sense");
	slab_id(&slab, slab.n - 1, after);
	*have_after = 1;
	return 0;
}

static int
source_step(struct merge *m, uint32_t i, int live[MERGE_MAX])
{
	m->source[i].i++;
	live[i] = source_load(m->ix, &m->source[i]);
	return live[i] < 0 ? live[i] : 0;
}

/* Take the least entry of all, the newest source's, and drop its doubles. */
static int
merge_next(struct merge *m, int live[MERGE_MAX])
{
	uint32_t i, least = MERGE_MAX;
	int err;

	for (i = 0; i < m->nsources; i++) {
		if (live[i] && (least == MERGE_MAX || id_cmp(m->source[i].e.id,
		    m->source[least].e.id) < 0))
			least = i;
	}
	if (least == MERGE_MAX) {
		err = slab_builder_finish(&m->builder);
		m->ended = err == 0;
		return err;
	}
	err = slab_builder_add(&m->builder, &m->source[least].e);
	/* Those before it are above it. */
	for (i = least + 1; i < m->nsources && err == 0; i++) {
		if (live[i] && id_cmp(m->source[i].e.id,
		    m->source[least].e.id) == 0)
			err = source_step(m, i, live);
	}
	return err == 0 ? source_step(m, least, live) : err;
}

/* Fill the builder from what a view has. */
static int
merge_build(struct merge *m, const struct view *v)
{
	uint8_t after[BLOCK_ID_SHORT];
	int live[MERGE_MAX] = { 0 }, have, err;
	uint32_t i;

	err = merge_gather(m, v, after, &have);
	for (i = 0; i < m->nsources && err == 0; i++) {
		err = source_seek(m->ix, &m->source[i], have ? after : NULL);
		if (err == 0)
			live[i] = source_load(m->ix, &m->source[i]);
		if (err == 0 && live[i] < 0)
			err = live[i];
	}
	while (err == 0 && !m->ended)
		err = merge_next(m, live);
	if (err != -EAGAIN)
		return err;
	/* Full.  What came after the last whole slab is read again. */
	for (i = 0, err = 0; i < m->nsources && err == 0; i++)
		err = source_used(m->ix, &m->source[i],
		    m->builder.out[m->builder.nout - 1].last);
	return err;
}

static int
merge_read(struct merge *m, unsigned h)
{
	const struct view *v;
	struct slot *s;
	int err;

	err = slot_get(m->ix, &s);
	if (err != 0)
		return err;
	err = slot_view(m->ix, s, h, &v);
	if (err == 0)
		err = merge_build(m, v);
	slot_put(s);
	return err;
}

/* Delete what the step has used up; at the end, the sources. */
static int
merge_delete(struct merge *m, MDB_txn *txn, unsigned h, struct half_rec *rec)
{
	struct source *s;
	struct run_rec *run;
	uint32_t i, n;
	int err = 0;

	for (i = 0; i < m->nsources && err == 0; i++) {
		s = &m->source[i];
		run = half_find_run(rec, s->number);
		if (run == NULL)
			return index_damaged(m->ix, "a merge makes no sense");
		err = slab_delete(m->ix, txn, h, s->number, m->ended ?
		    UINT32_MAX : s->used, &n);
		if (n > 0)
			run->version++;
		run->slabs -= n;
		run->entries -= s->used_entries;
	}
	for (i = rec->nruns; m->ended && i-- > 0;) {
		if (rec->run[i].state == RUN_SOURCE)
			half_del_run(rec, &rec->run[i]);
	}
	return err;
}

static int
merge_write(struct merge *m, MDB_txn *txn, unsigned h, struct half_rec *rec)
{
	struct run_rec *run = merge_target(rec);
	int err;

	err = slab_builder_write(&m->builder, m->ix, txn, h, rec, run);
	if (m->ended)
		run->state = RUN_LIVE;
	if (err == 0)
		err = merge_delete(m, txn, h, rec);
	rec->gen++;
	return err == 0 ? half_put(m->ix, txn, h, rec) : err;
}

/* The target as the writer finds it; its number goes into its slabs. */
static int
merge_prepare(struct merge *m, unsigned h)
{
	struct run_rec *run;
	struct half_rec rec;
	struct slot *s;
	int err;

	err = slot_get(m->ix, &s);
	if (err != 0)
		return err;
	err = half_get(m->ix, s->txn, h, &rec);
	slot_put(s);
	if (err != 0)
		return err;
	run = merge_target(&rec);
	if (run == NULL)
		return index_damaged(m->ix, "a merge makes no sense");
	return slab_builder_init(&m->builder, run->number, m->ix->psize);
}

static int
merge_step(struct index *ix, unsigned h, int *ended)
{
	struct merge m = { .ix = ix };
	struct half_rec rec;
	MDB_txn *txn;
	int err;

	err = merge_prepare(&m, h);
	if (err == 0)
		err = merge_read(&m, h);
	if (err == 0)
		err = write_begin(ix, &txn);
	if (err != 0)
		goto out;
	err = half_get(ix, txn, h, &rec);
	if (err == 0)
		err = merge_write(&m, txn, h, &rec);
	if (err == 0)
		err = write_commit(ix, txn);
	else
		mdb_txn_abort(txn);
	*ended = m.ended;
out:
	slab_builder_release(&m.builder);
	return err;
}

int
index_merge(struct index *ix, unsigned h)
{
	int ret, ended;

	for (;;) {
		ret = merge_begin(ix, h);
		if (ret != 1)
			return ret;
		do {
			ret = merge_step(ix, h, &ended);
		} while (ret == 0 && !ended);
		if (ret != 0)
			return ret;
	}
}
