/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a half: its runs and counters.  And what belongs to no live
 * run or load, which is swept in bounded transactions.
 *
 *	record	u64 gen; u64 seq; u64 segments; u32 next run; u32 packs; u32
 *		runs; then a run each: u32 number; u32 version; u32 slabs; u32
 *		state; u64 entries
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "index/index_internal.h"

#define HALF_HEAD	36
#define HALF_RUN	24
#define HALF_MAX	(HALF_HEAD + HALF_RUN * INDEX_RUNS_MAX)

static int
record_get(struct index *ix, MDB_txn *txn, unsigned h, MDB_val *v)
{
	char name[] = { 'h', 'a', 'l', 'f', (char)('0' + h) };
	MDB_val k = { sizeof(name), name };
	int rc;

	rc = mdb_get(txn, ix->info, &k, v);
	if (rc == MDB_NOTFOUND || (rc == 0 && v->mv_size < HALF_HEAD))
		return index_damaged(ix, "it lacks a record");
	return rc == 0 ? 0 : index_err(ix, rc, "read");
}

int
half_gen(struct index *ix, MDB_txn *txn, unsigned h, uint64_t *gen)
{
	MDB_val v;
	int err;

	err = record_get(ix, txn, h, &v);
	if (err == 0)
		*gen = le64_load(v.mv_data);
	return err;
}

/* One number twice: sweeping one run would take the other's slabs away from
 * under its readers. */
static int
number_repeats(const struct half_rec *r, uint32_t i)
{
	uint32_t k;

	for (k = 0; k < i && r->run[k].number != r->run[i].number; k++)
		;
	return k < i;
}

int
half_get(struct index *ix, MDB_txn *txn, unsigned h, struct half_rec *out)
{
	struct run_rec *run;
	struct rd r;
	MDB_val v;
	uint32_t i, bad = 0;
	int err;

	err = record_get(ix, txn, h, &v);
	if (err != 0)
		return err;
	r = rd_init(v.mv_data, v.mv_size);
	out->gen = rd_u64(&r);
	out->seq = rd_u64(&r);
	out->segments = rd_u64(&r);
	out->next_run = rd_u32(&r);
	out->packs = rd_u32(&r);
	out->nruns = rd_u32(&r);
	if (out->nruns > INDEX_RUNS_MAX)
		return index_damaged(ix, "it counts too many runs");
	for (i = 0; i < out->nruns; i++) {
		run = &out->run[i];
		run->number = rd_u32(&r);
		run->version = rd_u32(&r);
		run->slabs = rd_u32(&r);
		run->state = rd_u32(&r);
		run->entries = rd_u64(&r);
		bad |= run->number == 0 || run->number >= out->next_run ||
		    run->state < RUN_LIVE || run->state > RUN_DEAD ||
		    number_repeats(out, i);
	}
	if (bad || rd_bad(&r) || rd_left(&r) != 0)
		return index_damaged(ix, "a record makes no sense");
	return 0;
}

int
half_check(struct index *ix, MDB_txn *txn, unsigned h,
    const struct half_rec *r)
{
	uint64_t slabs = 0;
	MDB_stat stat;
	uint32_t i;
	int rc;

	rc = mdb_stat(txn, ix->half[h].slab, &stat);
	if (rc != 0)
		return index_err(ix, rc, "read");
	for (i = 0; i < r->nruns; i++)
		slabs += r->run[i].state == RUN_DEAD ? 0 : r->run[i].slabs;
	return slabs <= stat.ms_entries ?
	    pack_count_check(ix, txn, h, r->packs) :
	    index_damaged(ix, "it counts too many slabs");
}

int
half_put(struct index *ix, MDB_txn *txn, unsigned h, const struct half_rec *r)
{
	char name[] = { 'h', 'a', 'l', 'f', (char)('0' + h) };
	MDB_val k = { sizeof(name), name }, v;
	uint8_t data[HALF_MAX], *p = data + HALF_HEAD;
	uint32_t i;
	int rc;

	le64_put(data, r->gen);
	le64_put(data + 8, r->seq);
	le64_put(data + 16, r->segments);
	le32_put(data + 24, r->next_run);
	le32_put(data + 28, r->packs);
	le32_put(data + 32, r->nruns);
	for (i = 0; i < r->nruns; i++, p += HALF_RUN) {
		le32_put(p, r->run[i].number);
		le32_put(p + 4, r->run[i].version);
		le32_put(p + 8, r->run[i].slabs);
		le32_put(p + 12, r->run[i].state);
		le64_put(p + 16, r->run[i].entries);
	}
	v.mv_size = (size_t)(p - data);
	v.mv_data = data;
	rc = mdb_put(txn, ix->info, &k, &v, 0);
	return rc == 0 ? 0 : index_err(ix, rc, "write to");
}

struct run_rec *
half_add_run(struct half_rec *r, enum run_state state)
{
	struct run_rec *run;

	if (r->nruns == INDEX_RUNS_MAX || r->next_run == UINT32_MAX)
		return NULL;
	run = &r->run[r->nruns++];
	memset(run, 0, sizeof(*run));
	run->number = r->next_run++;
	run->state = state;
	return run;
}

struct run_rec *
half_find_run(struct half_rec *r, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < r->nruns; i++) {
		if (r->run[i].number == number)
			return &r->run[i];
	}
	return NULL;
}

void
half_del_run(struct half_rec *r, struct run_rec *run)
{
	*run = r->run[--r->nruns];
}

/* --- sweeping ----------------------------------------------------------- */

/* A step at one dead run; *more says whether there was one. */
static int
sweep_run(struct index *ix, unsigned h, MDB_txn *txn, int *more)
{
	struct half_rec rec;
	struct run_rec *run;
	uint32_t i, n;
	int err;

	*more = 0;
	err = half_get(ix, txn, h, &rec);
	if (err != 0)
		return err;
	for (i = 0; i < rec.nruns && rec.run[i].state != RUN_DEAD; i++)
		;
	if (i == rec.nruns)
		return 0;
	*more = 1;
	run = &rec.run[i];
	err = slab_delete(ix, txn, h, run->number, STEP_DELETES, &n);
	if (err != 0 || n == STEP_DELETES)
		return err;
	half_del_run(&rec, run);
	return half_put(ix, txn, h, &rec);
}

static int
sweep_packs(struct index *ix, unsigned h, MDB_txn *txn, int *more)
{
	struct half_rec rec;
	unsigned n = 0;
	int ret;

	*more = 0;
	ret = half_get(ix, txn, h, &rec);
	if (ret == 0)
		ret = 1;
	while (ret == 1 && n++ < STEP_PAGES) {
		ret = pack_sweep(ix, txn, h, rec.packs);
		*more |= ret == 1;
	}
	return ret < 0 ? ret : 0;
}

/* Is there anything; so that a clean index is not written to. */
static int
sweep_due(struct index *ix, unsigned h)
{
	struct half_rec rec;
	struct slot *s;
	uint32_t i;
	int ret;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = half_get(ix, s->txn, h, &rec);
	if (ret == 0)
		ret = pack_stray(ix, s->txn, h, rec.packs);
	for (i = 0; ret == 0 && i < rec.nruns; i++)
		ret = rec.run[i].state == RUN_DEAD;
	slot_put(s);
	return ret;
}

int
half_sweep(struct index *ix, unsigned h)
{
	static int (*const step[])(struct index *, unsigned, MDB_txn *,
	    int *) = { sweep_run, sweep_packs };
	MDB_txn *txn;
	unsigned i;
	int err, more;

	err = sweep_due(ix, h);
	if (err != 1)
		return err;
	err = 0;
	for (i = 0; i < 2 && err == 0; i++) {
		do {
			err = write_begin(ix, &txn);
			if (err != 0)
				return err;
			err = step[i](ix, h, txn, &more);
			if (err == 0 && more)
				err = write_commit(ix, txn);
			else
				mdb_txn_abort(txn);
		} while (err == 0 && more);
	}
	return err;
}
