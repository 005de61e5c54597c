/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which segments are loaded, and what to do when one is gone.
 *
 * A row says whether a segment was loaded, and whether a loaded one replaces
 * it.  Rows of replaced segments stay, so that a client with an old list does
 * not load them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "index/index_internal.h"

int
index_has_segment(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE])
{
	MDB_val k = { OBJECT_ID_SIZE, (void *)(uintptr_t)segment }, v;
	struct slot *s;
	int ret, rc;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	rc = mdb_get(s->txn, ix->half[half_of(kind)].seg, &k, &v);
	slot_put(s);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? 1 : index_err(ix, rc, "read");
}

int
index_mark(struct index *ix, enum pack_kind kind, uint64_t *mark)
{
	struct half_rec rec;
	struct slot *s;
	int err;

	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = half_get(ix, s->txn, half_of(kind), &rec);
	slot_put(s);
	if (err == 0)
		*mark = rec.seq;
	return err;
}

/* What a list of names says about the rows. */
struct retain {
	const uint8_t (*name)[OBJECT_ID_SIZE];	/* sorted */
	size_t n;
	uint64_t mark;
	int keep_local;
	int lost;		/* a loaded segment is gone, unexplained */
	uint64_t gone;		/* loaded, replaced, and gone */
};

static int
name_cmp(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_SIZE);
}

/* Walk the rows; with `clear` those gone are loaded no more. */
static int
retain_walk(struct index *ix, MDB_txn *txn, unsigned h, struct retain *r,
    int clear)
{
	uint8_t row[SEG_ROW_SIZE], name[OBJECT_ID_SIZE];
	MDB_cursor *cur;
	MDB_val k, v;
	int rc;

	r->lost = 0;
	r->gone = 0;
	rc = mdb_cursor_open(txn, ix->half[h].seg, &cur);
	if (rc != 0)
		return index_err(ix, rc, "read");
	while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
		if (k.mv_size != sizeof(name) || v.mv_size != sizeof(row)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(name, k.mv_data, sizeof(name));
		memcpy(row, v.mv_data, sizeof(row));
		if (!(row[0] & SEG_LOADED) || le64_get(row + 1) > r->mark ||
		    (r->keep_local && row[0] & SEG_LOCAL) ||
		    (r->n > 0 && bsearch(name, r->name, r->n,
		    OBJECT_ID_SIZE, name_cmp) != NULL))
			continue;
		if (!(row[0] & SEG_REPLACED)) {
			r->lost = 1;
			continue;
		}
		r->gone++;
		if (!clear)
			continue;
		row[0] = SEG_REPLACED;
		k = (MDB_val){ sizeof(name), name };
		v = (MDB_val){ sizeof(row), row };
		rc = mdb_cursor_put(cur, &k, &v, MDB_CURRENT);
		if (rc != 0)
			break;
	}
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : index_err(ix, rc, "read");
}

int
half_empty(struct index *ix, MDB_txn *txn, unsigned h, struct half_rec *rec)
{
	const struct half_db *db = &ix->half[h];
	uint32_t i;
	int rc;

	for (i = 0; i < rec->nruns; i++)
		rec->run[i].state = RUN_DEAD;
	rec->packs = 0;
	rec->segments = 0;
	rc = mdb_drop(txn, db->pack, 0);
	if (rc == 0)
		rc = mdb_drop(txn, db->name, 0);
	if (rc == 0)
		rc = mdb_drop(txn, db->seg, 0);
	return rc == 0 ? epoch_next(ix, txn, h) : index_err(ix, rc, "empty");
}

/* By the writer.  1 when the half was emptied. */
static int
retain_write(struct index *ix, unsigned h, struct retain *r)
{
	struct half_rec rec;
	MDB_txn *txn;
	int err;

	err = write_begin(ix, &txn);
	if (err != 0)
		return err;
	err = half_get(ix, txn, h, &rec);
	if (err == 0)
		err = retain_walk(ix, txn, h, r, 1);
	if (err == 0 && r->lost)
		err = half_empty(ix, txn, h, &rec);
	else
		rec.segments -= err == 0 ? r->gone : 0;
	rec.gen++;
	if (err == 0)
		err = half_put(ix, txn, h, &rec);
	if (err != 0) {
		mdb_txn_abort(txn);
		return err;
	}
	err = write_commit(ix, txn);
	if (err == 0 && r->lost)
		err = half_sweep(ix, h);
	return err != 0 ? err : r->lost;
}

int
index_retain_since(struct index *ix, enum pack_kind kind, uint64_t mark,
    int keep_local, const uint8_t (*segments)[OBJECT_ID_SIZE], size_t n)
{
	struct retain r = { .n = n, .mark = mark, .keep_local = keep_local };
	uint8_t (*sorted)[OBJECT_ID_SIZE];
	unsigned h = half_of(kind);
	struct slot *s;
	int ret;

	sorted = calloc(n + 1, sizeof(*sorted));
	if (sorted == NULL)
		return -ENOMEM;
	if (n > 0) {
		memcpy(sorted, segments, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), name_cmp);
	}
	r.name = (const uint8_t (*)[OBJECT_ID_SIZE])sorted;
	ret = slot_get(ix, &s);
	if (ret == 0) {
		ret = retain_walk(ix, s->txn, h, &r, 0);
		slot_put(s);
	}
	/* Hardly ever is there anything to write. */
	if (ret == 0 && (r.lost || r.gone > 0)) {
		ret = writer_begin(ix, 0);
		if (ret == 0) {
			ret = retain_write(ix, h, &r);
			writer_end(ix);
		}
	}
	free(sorted);
	return ret;
}

int
index_has_local(struct index *ix, enum pack_kind kind)
{
	MDB_cursor *cur;
	MDB_val k, v;
	struct slot *s;
	int ret, rc, found = 0;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	rc = mdb_cursor_open(s->txn, ix->half[half_of(kind)].seg, &cur);
	if (rc == 0) {
		while (!found && (rc = mdb_cursor_get(cur, &k, &v,
		    MDB_NEXT)) == 0)
			found = v.mv_size == SEG_ROW_SIZE &&
			    *(const uint8_t *)v.mv_data & SEG_LOCAL;
		mdb_cursor_close(cur);
	}
	slot_put(s);
	if (found || rc == MDB_NOTFOUND)
		return found;
	return index_err(ix, rc, "read");
}
