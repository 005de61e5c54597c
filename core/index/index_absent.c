/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs that segments list and the store has no more.
 *
 * Beside a half's record lie, when there is something to say:
 *
 *	absentN	ids of packs, sorted: loads pass their entries by
 *	epochN	u64: how often the half was emptied
 *
 * Both change in the transaction that empties the half.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "index/index_internal.h"

struct index_roll {
	struct index *ix;
	unsigned half;
	uint64_t epoch;
	uint32_t packs;
	atomic_uchar *seen;	/* a bit a pack number */
};

static int
id_order(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_SIZE);
}

/* --- what is kept ------------------------------------------------------- */

static MDB_val
absent_key(char name[7], unsigned h)
{
	memcpy(name, "absent", 6);
	name[6] = (char)('0' + h);
	return (MDB_val){ 7, name };
}

int
absent_get(struct index *ix, MDB_txn *txn, unsigned h,
    const uint8_t (**ids)[OBJECT_ID_SIZE], size_t *n)
{
	char name[7];
	MDB_val k = absent_key(name, h), v;
	int rc;

	*n = 0;
	rc = mdb_get(txn, ix->info, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return index_err(ix, rc, "read");
	if (v.mv_size % OBJECT_ID_SIZE != 0)
		return index_damaged(ix, "absent packs make no sense");
	*ids = v.mv_data;
	*n = v.mv_size / OBJECT_ID_SIZE;
	return 0;
}

int
absent_has(const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n,
    const uint8_t pack[OBJECT_ID_SIZE])
{
	return n > 0 && bsearch(pack, ids, n, OBJECT_ID_SIZE, id_order) !=
	    NULL;
}

static int
absent_put(struct index *ix, MDB_txn *txn, unsigned h,
    const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n)
{
	char name[7];
	MDB_val k = absent_key(name, h);
	MDB_val v = { n * OBJECT_ID_SIZE, (void *)(uintptr_t)ids };
	int rc;

	rc = n > 0 ? mdb_put(txn, ix->info, &k, &v, 0) :
	    mdb_del(txn, ix->info, &k, NULL);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 :
	    index_err(ix, rc, "write to");
}

static int
epoch_get(struct index *ix, MDB_txn *txn, unsigned h, uint64_t *epoch)
{
	char name[] = { 'e', 'p', 'o', 'c', 'h', (char)('0' + h) };
	MDB_val k = { sizeof(name), name }, v;
	int rc;

	*epoch = 0;
	rc = mdb_get(txn, ix->info, &k, &v);
	if (rc == 0 && v.mv_size == sizeof(*epoch))
		*epoch = le64_get(v.mv_data);
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : index_err(ix, rc, "read");
}

int
epoch_next(struct index *ix, MDB_txn *txn, unsigned h)
{
	char name[] = { 'e', 'p', 'o', 'c', 'h', (char)('0' + h) };
	uint8_t le[8];
	MDB_val k = { sizeof(name), name }, v = { sizeof(le), le };
	uint64_t epoch;
	int rc;

	rc = epoch_get(ix, txn, h, &epoch);
	if (rc != 0)
		return rc;
	le64_put(le, epoch + 1);
	rc = mdb_put(txn, ix->info, &k, &v, 0);
	return rc == 0 ? 0 : index_err(ix, rc, "write to");
}

int
index_epoch(struct index *ix, enum pack_kind kind, uint64_t *epoch)
{
	struct slot *s;
	int err;

	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = epoch_get(ix, s->txn, half_of(kind), epoch);
	slot_put(s);
	return err;
}

/* --- taking the roll ---------------------------------------------------- */

int
index_roll_begin(struct index *ix, enum pack_kind kind,
    struct index_roll **out)
{
	struct index_roll *roll = calloc(1, sizeof(*roll));
	struct half_rec rec;
	struct slot *s;
	int err;

	if (roll == NULL)
		return -ENOMEM;
	roll->ix = ix;
	roll->half = half_of(kind);
	err = slot_get(ix, &s);
	if (err == 0) {
		err = half_get(ix, s->txn, roll->half, &rec);
		if (err == 0)
			err = half_check(ix, s->txn, roll->half, &rec);
		if (err == 0)
			err = epoch_get(ix, s->txn, roll->half, &roll->epoch);
		slot_put(s);
	}
	if (err == 0) {
		roll->packs = rec.packs;
		roll->seen = calloc(rec.packs / 8 + 1, 1);
		if (roll->seen == NULL)
			err = -ENOMEM;
	}
	if (err != 0) {
		index_roll_free(roll);
		return err;
	}
	*out = roll;
	return 0;
}

uint64_t
index_roll_epoch(const struct index_roll *roll)
{
	return roll->epoch;
}

void
index_roll_free(struct index_roll *roll)
{
	if (roll == NULL)
		return;
	free(roll->seen);
	free(roll);
}

int
index_roll_seen(struct index_roll *roll, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t size)
{
	struct index *ix = roll->ix;
	struct segment_pack row;
	uint32_t number;
	struct slot *s;
	int ret, err;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = pack_number(ix, s->txn, roll->half, pack, &number);
	if (ret == 1 && number < roll->packs) {
		err = pack_get(ix, s->txn, roll->half, number, &row);
		ret = err != 0 ? err : row.size == size ? 1 : 2;
		if (ret == 1)
			atomic_fetch_or(&roll->seen[number / 8],
			    (unsigned char)(1u << number % 8));
	}
	slot_put(s);
	return ret;
}

/* The ids of those not seen; or only their number, with ids NULL. */
static int
unseen(struct index_roll *roll, uint8_t (*ids)[OBJECT_ID_SIZE], size_t *n)
{
	struct segment_pack row;
	uint64_t epoch;
	struct slot *s;
	uint32_t i;
	int err;

	*n = 0;
	err = slot_get(roll->ix, &s);
	if (err != 0)
		return err;
	err = epoch_get(roll->ix, s->txn, roll->half, &epoch);
	if (err == 0 && epoch != roll->epoch)
		err = -EAGAIN;
	for (i = 0; i < roll->packs && err == 0; i++) {
		if (atomic_load(&roll->seen[i / 8]) >> i % 8 & 1)
			continue;
		if (ids != NULL) {
			err = pack_get(roll->ix, s->txn, roll->half, i, &row);
			if (err == 0)
				memcpy(ids[*n], row.id, OBJECT_ID_SIZE);
		}
		++*n;
	}
	slot_put(s);
	return err;
}

int
index_roll_absent(struct index_roll *roll, uint8_t (**ids)[OBJECT_ID_SIZE],
    size_t *n)
{
	int err;

	*ids = NULL;
	err = unseen(roll, NULL, n);
	if (err != 0)
		return err;
	*ids = calloc(*n + 1, sizeof(**ids));
	if (*ids == NULL)
		return -ENOMEM;
	err = unseen(roll, *ids, n);
	if (err != 0) {
		free(*ids);
		*ids = NULL;
		return err;
	}
	if (*n > 0)
		qsort(*ids, *n, sizeof(**ids), id_order);
	return 0;
}

/* --- for callers -------------------------------------------------------- */

/* 1 when others are kept than these, 0, -EAGAIN after another epoch. */
static int
absent_differs(struct index *ix, MDB_txn *txn, unsigned h, uint64_t epoch,
    const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n)
{
	const uint8_t (*old)[OBJECT_ID_SIZE];
	uint64_t now;
	size_t nold;
	int err;

	err = epoch_get(ix, txn, h, &now);
	if (err == 0 && now != epoch)
		return -EAGAIN;
	if (err == 0)
		err = absent_get(ix, txn, h, &old, &nold);
	if (err != 0)
		return err;
	return nold != n || (n > 0 && memcmp(old, ids,
	    n * OBJECT_ID_SIZE) != 0);
}

/* By the writer: 1 when they were others, and the half is empty now. */
static int
absent_write(struct index *ix, unsigned h, uint64_t epoch,
    const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n)
{
	struct half_rec rec;
	MDB_txn *txn;
	int err, ret;

	err = write_begin(ix, &txn);
	if (err != 0)
		return err;
	ret = absent_differs(ix, txn, h, epoch, ids, n);
	if (ret != 1) {
		mdb_txn_abort(txn);
		return ret;
	}
	err = half_get(ix, txn, h, &rec);
	if (err == 0)
		err = absent_put(ix, txn, h, ids, n);
	if (err == 0)
		err = half_empty(ix, txn, h, &rec);
	rec.gen++;
	if (err == 0)
		err = half_put(ix, txn, h, &rec);
	if (err != 0) {
		mdb_txn_abort(txn);
		return err;
	}
	err = write_commit(ix, txn);
	if (err == 0)
		err = half_sweep(ix, h);
	return err != 0 ? err : 1;
}

int
index_absent_set(struct index *ix, enum pack_kind kind, uint64_t epoch,
    const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n)
{
	struct slot *s;
	int ret;

	/* Hardly ever is there anything to write. */
	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = absent_differs(ix, s->txn, half_of(kind), epoch, ids, n);
	slot_put(s);
	if (ret != 1)
		return ret;
	ret = writer_begin(ix, 0);
	if (ret != 0)
		return ret;
	ret = absent_write(ix, half_of(kind), epoch, ids, n);
	writer_end(ix);
	return ret;
}

int
index_absent_count(struct index *ix, enum pack_kind kind, size_t *n)
{
	const uint8_t (*ids)[OBJECT_ID_SIZE];
	struct slot *s;
	int err;

	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = absent_get(ix, s->txn, half_of(kind), &ids, n);
	slot_put(s);
	return err;
}
