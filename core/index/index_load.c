/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading segments.
 *
 * What fits in one step goes in with the one transaction of the commit.
 * More is written ahead, into a run that is dead until the commit, and packs
 * with numbers that are not valid until then; the next writer sweeps both
 * when the load is not committed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "index/index_internal.h"

struct index_load {
	struct index *ix;
	unsigned half;
	int known;		/* loaded already: nothing to do */
	int any;		/* entries came; `last` is the last of them */
	int err;		/* first failure; the load is lost */
	uint32_t npacks;
	uint32_t packs_written;	/* of packs_new */
	uint32_t packs_first;	/* number of the first new pack */
	uint32_t nnew;
	uint32_t *number;	/* of each pack */
	uint8_t *absent;	/* of each pack: its entries are passed by */
	struct segment_pack *packs_new;
	uint8_t (*replaced)[OBJECT_ID_SIZE];
	size_t nreplaced;
	uint8_t segment[OBJECT_ID_SIZE];
	uint8_t last[BLOCK_ID_SHORT];
	int local;		/* SEG_LOCAL */
	int ahead;		/* something was written ahead */
	struct slab_builder builder;
};

static void
load_free(struct index_load *ld)
{
	slab_builder_release(&ld->builder);
	free(ld->number);
	free(ld->absent);
	free(ld->packs_new);
	free(ld->replaced);
	free(ld);
}

void
index_load_abort(struct index_load *ld)
{
	struct index *ix;

	if (ld == NULL)
		return;
	ix = ld->ix;
	/* Written ahead is swept with the next writer if this fails. */
	if (ld->ahead)
		(void)half_sweep(ix, ld->half);
	load_free(ld);
	writer_end(ix);
}

/* --- packs -------------------------------------------------------------- */

static int
packs_number(struct index_load *ld, MDB_txn *txn, uint32_t valid,
    const struct segment_pack *packs)
{
	struct index *ix = ld->ix;
	uint32_t i;
	int ret;

	for (i = 0; i < ld->npacks; i++) {
		ret = pack_number(ix, txn, ld->half, packs[i].id,
		    &ld->number[i]);
		if (ret < 0)
			return ret;
		if (ret == 1 && ld->number[i] < valid)
			continue;
		if (valid > UINT32_MAX - 1 - ld->nnew)
			return log_err(-ENOSPC, "the index in '%s' has no "
			    "numbers left for packs", ix->dir);
		ld->number[i] = valid + ld->nnew;
		ld->packs_new[ld->nnew++] = packs[i];
	}
	return 0;
}

/* Write up to STEP_ROWS of the new packs. */
static int
packs_write(struct index_load *ld, MDB_txn *txn)
{
	uint32_t n = ld->nnew - ld->packs_written;
	int err;

	if (n > STEP_ROWS)
		n = STEP_ROWS;
	err = pack_put(ld->ix, txn, ld->half, ld->packs_first +
	    ld->packs_written, ld->packs_new + ld->packs_written, n);
	ld->packs_written += n;
	return err;
}

/* --- begin -------------------------------------------------------------- */

static int
packs_absent(struct index_load *ld, MDB_txn *txn,
    const struct segment_pack *packs)
{
	const uint8_t (*ids)[OBJECT_ID_SIZE];
	uint32_t i;
	size_t n;
	int err;

	err = absent_get(ld->ix, txn, ld->half, &ids, &n);
	for (i = 0; i < ld->npacks && err == 0 && n > 0; i++)
		ld->absent[i] = absent_has(ids, n, packs[i].id);
	return err;
}

/* What must be known of the index as it is. */
static int
load_look(struct index_load *ld, const struct segment_pack *packs)
{
	MDB_val k = { OBJECT_ID_SIZE, ld->segment }, v;
	struct index *ix = ld->ix;
	struct half_rec rec;
	struct slot *s;
	int err, rc;

	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = half_get(ix, s->txn, ld->half, &rec);
	if (err == 0) {
		rc = mdb_get(s->txn, ix->half[ld->half].seg, &k, &v);
		ld->known = rc == 0;
		if (rc != 0 && rc != MDB_NOTFOUND)
			err = index_err(ix, rc, "read");
	}
	if (err == 0 && !ld->known) {
		ld->packs_first = rec.packs;
		/* Nobody else takes this number while we are the writer. */
		ld->builder.run = rec.next_run;
		err = packs_number(ld, s->txn, rec.packs, packs);
		if (err == 0)
			err = packs_absent(ld, s->txn, packs);
	}
	slot_put(s);
	return err;
}

int
index_load_begin(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE], const struct segment_pack *packs,
    size_t npacks, struct index_load **out)
{
	struct index_load *ld;
	int err;

	if (npacks > SEGMENT_PACKS_MAX)
		return -EINVAL;
	ld = calloc(1, sizeof(*ld));
	if (ld == NULL)
		return -ENOMEM;
	ld->ix = ix;
	ld->half = half_of(kind);
	ld->npacks = (uint32_t)npacks;
	memcpy(ld->segment, segment, OBJECT_ID_SIZE);
	ld->number = calloc(npacks + 1, sizeof(*ld->number));
	ld->packs_new = calloc(npacks + 1, sizeof(*ld->packs_new));
	ld->absent = calloc(npacks + 1, 1);
	err = slab_builder_init(&ld->builder, 0, ix->psize);
	if (ld->number == NULL || ld->packs_new == NULL || ld->absent == NULL)
		err = -ENOMEM;
	if (err == 0)
		err = writer_begin(ix, 0);
	if (err != 0) {
		load_free(ld);
		return err;
	}
	err = load_look(ld, packs);
	if (err != 0) {
		index_load_abort(ld);
		return err;
	}
	*out = ld;
	return 0;
}

int
index_load_replaces(struct index_load *ld,
    const uint8_t (*segments)[OBJECT_ID_SIZE], size_t n)
{
	void *p;

	if (n == 0)
		return 0;
	if (n > (SIZE_MAX - 1) / OBJECT_ID_SIZE - ld->nreplaced)
		return -EINVAL;
	p = realloc(ld->replaced, (ld->nreplaced + n) * OBJECT_ID_SIZE);
	if (p == NULL)
		return -ENOMEM;
	ld->replaced = p;
	memcpy(ld->replaced + ld->nreplaced, segments, n * OBJECT_ID_SIZE);
	ld->nreplaced += n;
	return 0;
}

void
index_load_local(struct index_load *ld)
{
	ld->local = 1;
}

/* --- entries ------------------------------------------------------------ */

/* Write what the builder has got into the load's run. */
static int
load_write(struct index_load *ld, MDB_txn *txn, struct half_rec *rec)
{
	struct run_rec *run;

	if (rec->next_run == ld->builder.run)
		run = half_add_run(rec, RUN_DEAD);
	else
		run = half_find_run(rec, ld->builder.run);
	if (run == NULL)
		return log_err(-ENOSPC, "the index in '%s' has too many runs",
		    ld->ix->dir);
	return slab_builder_write(&ld->builder, ld->ix, txn, ld->half, rec,
	    run);
}

/* A step ahead of the commit: entries, or else packs. */
static int
load_ahead(struct index_load *ld)
{
	struct index *ix = ld->ix;
	struct half_rec rec;
	MDB_txn *txn;
	int err;

	err = write_begin(ix, &txn);
	if (err != 0)
		return err;
	ld->ahead = 1;
	if (ld->builder.nout == 0) {
		err = packs_write(ld, txn);
	} else {
		err = half_get(ix, txn, ld->half, &rec);
		if (err == 0)
			err = load_write(ld, txn, &rec);
		if (err == 0)
			err = half_put(ix, txn, ld->half, &rec);
	}
	if (err == 0)
		return write_commit(ix, txn);
	mdb_txn_abort(txn);
	return err;
}

static int
load_entry(struct index_load *ld, const struct segment_entry *in)
{
	struct segment_entry e = *in;
	int err;

	if (e.pack >= ld->npacks ||
	    (ld->any && id_cmp(ld->last, e.id) >= 0))
		return -EINVAL;
	memcpy(ld->last, e.id, BLOCK_ID_SHORT);
	ld->any = 1;
	if (ld->absent[e.pack])
		return 0;
	e.pack = ld->number[e.pack];
	err = slab_builder_add(&ld->builder, &e);
	if (err == -EAGAIN) {
		err = load_ahead(ld);
		if (err == 0)
			err = slab_builder_add(&ld->builder, &e);
	}
	return err;
}

int
index_load_add(struct index_load *ld, const struct segment_entry *entries,
    size_t nentries)
{
	size_t i;

	for (i = 0; i < nentries && ld->err == 0 && !ld->known; i++)
		ld->err = load_entry(ld, &entries[i]);
	return ld->err;
}

/* --- commit ------------------------------------------------------------- */

static int
seg_mark(struct index_load *ld, MDB_txn *txn, uint8_t id[OBJECT_ID_SIZE],
    unsigned flag, uint64_t seq)
{
	struct index *ix = ld->ix;
	uint8_t row[SEG_ROW_SIZE] = { 0 };
	MDB_val k = { OBJECT_ID_SIZE, id }, v;
	int rc;

	rc = mdb_get(txn, ix->half[ld->half].seg, &k, &v);
	if (rc == 0 && v.mv_size == sizeof(row))
		memcpy(row, v.mv_data, sizeof(row));
	row[0] |= (uint8_t)flag;
	if (flag & SEG_LOADED)
		le64_put(row + 1, seq);
	v = (MDB_val){ sizeof(row), row };
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = mdb_put(txn, ix->half[ld->half].seg, &k, &v, 0);
	return rc == 0 ? 0 : index_err(ix, rc, "write to");
}

/* All that makes the load valid. */
static int
load_final(struct index_load *ld, MDB_txn *txn)
{
	struct index *ix = ld->ix;
	struct half_rec rec;
	struct run_rec *run;
	size_t i;
	int err;

	err = half_get(ix, txn, ld->half, &rec);
	if (err == 0 && ld->builder.nout > 0)
		err = load_write(ld, txn, &rec);
	if (err == 0)
		err = packs_write(ld, txn);
	if (err != 0)
		return err;
	assert(ld->packs_written == ld->nnew);
	run = half_find_run(&rec, ld->builder.run);
	if (run != NULL)
		run->state = RUN_LIVE;
	rec.packs = ld->packs_first + ld->nnew;
	rec.gen++;
	rec.seq++;
	rec.segments++;
	err = seg_mark(ld, txn, ld->segment, SEG_LOADED |
	    (ld->local ? SEG_LOCAL : 0u), rec.seq);
	for (i = 0; i < ld->nreplaced && err == 0; i++)
		err = seg_mark(ld, txn, ld->replaced[i], SEG_REPLACED, 0);
	return err != 0 ? err : half_put(ix, txn, ld->half, &rec);
}

static int
load_commit(struct index_load *ld)
{
	MDB_txn *txn;
	int err;

	err = slab_builder_finish(&ld->builder);
	if (err == -EAGAIN) {
		err = load_ahead(ld);
		if (err == 0)
			err = slab_builder_finish(&ld->builder);
	}
	if (err == 0 && ld->nnew > STEP_ROWS && ld->builder.nout > 0)
		err = load_ahead(ld);
	while (err == 0 && ld->nnew - ld->packs_written > STEP_ROWS)
		err = load_ahead(ld);
	if (err == 0)
		err = write_begin(ld->ix, &txn);
	if (err != 0)
		return err;
	err = load_final(ld, txn);
	if (err == 0)
		return write_commit(ld->ix, txn);
	mdb_txn_abort(txn);
	return err;
}

int
index_load_commit(struct index_load *ld)
{
	struct index *ix = ld->ix;
	int err = ld->err;

	if (err == 0 && !ld->known)
		err = load_commit(ld);
	if (err != 0 || ld->known) {
		index_load_abort(ld);
		return err;
	}
	/* The segment is in, whatever becomes of the merge. */
	err = index_merge(ix, ld->half);
	if (err != 0)
		log_warn(err, "cannot merge the index in '%s'; look-ups are "
		    "slower until it can be", ix->dir);
	load_free(ld);
	writer_end(ix);
	return 0;
}

int
index_add_segment(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE], const struct segment_entry *entries,
    size_t nentries, const struct segment_pack *packs, size_t npacks)
{
	struct index_load *ld;
	int err;

	err = index_load_begin(ix, kind, segment, packs, npacks, &ld);
	if (err != 0)
		return err;
	err = index_load_add(ld, entries, nentries);
	if (err == 0)
		return index_load_commit(ld);
	index_load_abort(ld);
	return err;
}
