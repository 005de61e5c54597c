/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packs of a half: number -> id and size, id -> number.
 *
 * Numbers are given out in order, and rows lie PAGE_ROWS to a value of an LMDB
 * page, so that a look-up hardly ever waits for more than the row itself.
 * Numbers from the record's `packs` on are not valid: a load wrote them ahead
 * of its commit.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "index/index_internal.h"

#define ROW_SIZE	(OBJECT_ID_SIZE + 4 + PACK_HEADER_SIZE)
#define PAGE_ROWS	27	/* fill a page of LMDB's */
#define PACK_BATCH	512	/* packs that each_pack reads at once */

/* A page's rows: *n of them; 0 and n = 0 when there is no such page. */
static int
page_get(struct index *ix, MDB_txn *txn, unsigned h, uint32_t page,
    const uint8_t **rows, uint32_t *n)
{
	MDB_val k = { sizeof(page), &page }, v;
	int rc;

	*n = 0;
	rc = mdb_get(txn, ix->half[h].pack, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return index_err(ix, rc, "read");
	if (v.mv_size % ROW_SIZE != 0 || v.mv_size > ROW_SIZE * PAGE_ROWS)
		return index_damaged(ix, "packs make no sense");
	*rows = v.mv_data;
	*n = (uint32_t)(v.mv_size / ROW_SIZE);
	return 0;
}

/* `rows` may not point into the database. */
static int
page_put(struct index *ix, MDB_txn *txn, unsigned h, uint32_t page,
    uint8_t *rows, uint32_t n)
{
	MDB_val k = { sizeof(page), &page }, v = { (size_t)n * ROW_SIZE, rows };
	int rc;

	rc = n > 0 ? mdb_put(txn, ix->half[h].pack, &k, &v, 0) :
	    mdb_del(txn, ix->half[h].pack, &k, NULL);
	return rc == 0 ? 0 : index_err(ix, rc, "write packs to");
}

static void
row_decode(const uint8_t *row, struct segment_pack *out)
{
	memcpy(out->id, row, OBJECT_ID_SIZE);
	out->size = le32_get(row + OBJECT_ID_SIZE);
	memcpy(out->header, row + OBJECT_ID_SIZE + 4, PACK_HEADER_SIZE);
}

int
pack_get(struct index *ix, MDB_txn *txn, unsigned h, uint32_t number,
    struct segment_pack *out)
{
	const uint8_t *rows;
	uint32_t n;
	int err;

	err = page_get(ix, txn, h, number / PAGE_ROWS, &rows, &n);
	if (err != 0)
		return err;
	if (number % PAGE_ROWS >= n)
		return index_damaged(ix, "an entry names no pack");
	row_decode(rows + (size_t)(number % PAGE_ROWS) * ROW_SIZE, out);
	return 0;
}

int
pack_count_check(struct index *ix, MDB_txn *txn, unsigned h, uint32_t packs)
{
	MDB_stat stat;
	int rc;

	rc = mdb_stat(txn, ix->half[h].pack, &stat);
	if (rc != 0)
		return index_err(ix, rc, "read");
	return packs <= (uint64_t)stat.ms_entries * PAGE_ROWS ? 0 :
	    index_damaged(ix, "it counts too many packs");
}

int
pack_number(struct index *ix, MDB_txn *txn, unsigned h,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t *number)
{
	MDB_val k = { OBJECT_ID_SIZE, (void *)(uintptr_t)pack }, v;
	int rc;

	rc = mdb_get(txn, ix->half[h].name, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return index_err(ix, rc, "read");
	if (v.mv_size != 4)
		return index_damaged(ix, "packs make no sense");
	*number = le32_get(v.mv_data);
	return 1;
}

int
pack_put(struct index *ix, MDB_txn *txn, unsigned h, uint32_t first,
    const struct segment_pack *packs, uint32_t n)
{
	uint8_t rows[ROW_SIZE * PAGE_ROWS], le[4], *row;
	MDB_val k, v;
	const uint8_t *old;
	uint32_t have, i = 0;
	int err, rc;

	while (i < n) {
		err = page_get(ix, txn, h, (first + i) / PAGE_ROWS, &old,
		    &have);
		if (err != 0)
			return err;
		if (have != (first + i) % PAGE_ROWS)
			return index_damaged(ix, "packs make no sense");
		if (have > 0)
			memcpy(rows, old, (size_t)have * ROW_SIZE);
		for (rc = 0; rc == 0 && have < PAGE_ROWS && i < n; i++) {
			row = rows + (size_t)have++ * ROW_SIZE;
			memcpy(row, packs[i].id, OBJECT_ID_SIZE);
			le32_put(row + OBJECT_ID_SIZE, packs[i].size);
			memcpy(row + OBJECT_ID_SIZE + 4,
			    packs[i].header, PACK_HEADER_SIZE);
			le32_put(le, first + i);
			k = (MDB_val){ OBJECT_ID_SIZE, row };
			v = (MDB_val){ sizeof(le), le };
			rc = mdb_put(txn, ix->half[h].name, &k, &v, 0);
		}
		if (rc != 0)
			return index_err(ix, rc, "write packs to");
		err = page_put(ix, txn, h, (first + i - 1) / PAGE_ROWS, rows,
		    have);
		if (err != 0)
			return err;
	}
	return 0;
}

/* --- sweeping ----------------------------------------------------------- */

/* The last page and its rows; 1, or 0 when there is nothing invalid. */
static int
stray_page(struct index *ix, MDB_txn *txn, unsigned h, uint32_t valid,
    uint32_t *page, uint8_t *rows, uint32_t *n)
{
	const uint8_t *p;
	MDB_cursor *cur;
	MDB_val k, v;
	int rc, err;

	rc = mdb_cursor_open(txn, ix->half[h].pack, &cur);
	if (rc != 0)
		return index_err(ix, rc, "read");
	rc = mdb_cursor_get(cur, &k, &v, MDB_LAST);
	if (rc == 0 && k.mv_size == sizeof(*page))
		memcpy(page, k.mv_data, sizeof(*page));
	mdb_cursor_close(cur);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return index_err(ix, rc, "read");
	err = page_get(ix, txn, h, *page, &p, n);
	if (err != 0)
		return err;
	if (*n > 0)
		memcpy(rows, p, (size_t)*n * ROW_SIZE);
	return (uint64_t)*page * PAGE_ROWS + *n > valid;
}

int
pack_stray(struct index *ix, MDB_txn *txn, unsigned h, uint32_t valid)
{
	uint8_t rows[ROW_SIZE * PAGE_ROWS];
	uint32_t page = 0, n;

	return stray_page(ix, txn, h, valid, &page, rows, &n);
}

int
pack_sweep(struct index *ix, MDB_txn *txn, unsigned h, uint32_t valid)
{
	uint8_t rows[ROW_SIZE * PAGE_ROWS];
	uint32_t page = 0, n;
	MDB_val k;
	int ret, rc;

	ret = stray_page(ix, txn, h, valid, &page, rows, &n);
	if (ret != 1)
		return ret;
	while (n > 0 && (uint64_t)page * PAGE_ROWS + n > valid) {
		n--;
		k = (MDB_val){ OBJECT_ID_SIZE, rows + (size_t)n * ROW_SIZE };
		rc = mdb_del(txn, ix->half[h].name, &k, NULL);
		if (rc != 0 && rc != MDB_NOTFOUND)
			return index_err(ix, rc, "clean up");
	}
	ret = page_put(ix, txn, h, page, rows, n);
	return ret == 0 ? 1 : ret;
}

/* --- for callers -------------------------------------------------------- */

/* Does a loaded segment list the pack: 1 and its row, unless NULL, or 0. */
static int
pack_listed(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], struct segment_pack *row)
{
	unsigned h = half_of(kind);
	struct half_rec rec;
	uint32_t number;
	struct slot *s;
	int ret, err;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	ret = pack_number(ix, s->txn, h, pack, &number);
	if (ret == 1) {
		err = half_get(ix, s->txn, h, &rec);
		ret = err != 0 ? err : number < rec.packs;
	}
	if (ret == 1 && row != NULL) {
		err = pack_get(ix, s->txn, h, number, row);
		ret = err != 0 ? err : 1;
	}
	slot_put(s);
	return ret;
}

int
index_pack_header(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint8_t header[PACK_HEADER_SIZE])
{
	struct segment_pack row;
	int ret;

	ret = pack_listed(ix, kind, pack, &row);
	if (ret == 1)
		memcpy(header, row.header, PACK_HEADER_SIZE);
	return ret;
}

int
index_has_pack(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE])
{
	return pack_listed(ix, kind, pack, NULL);
}

/* Up to PACK_BATCH packs from number `from`; *n of them. */
static int
packs_read(struct index *ix, unsigned h, uint32_t from,
    struct segment_pack *packs, uint32_t *n)
{
	struct half_rec rec;
	struct slot *s;
	int err;

	*n = 0;
	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = half_get(ix, s->txn, h, &rec);
	while (err == 0 && *n < PACK_BATCH && from < rec.packs) {
		err = pack_get(ix, s->txn, h, from++, &packs[*n]);
		*n += err == 0;
	}
	slot_put(s);
	return err;
}

int
index_each_pack(struct index *ix, enum pack_kind kind,
    int (*fn)(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size),
    void *ctx)
{
	struct segment_pack packs[PACK_BATCH];
	uint32_t from = 0, i, n;
	int err;

	/* fn may take its time, so no transaction is open meanwhile. */
	do {
		err = packs_read(ix, half_of(kind), from, packs, &n);
		for (i = 0; i < n && err == 0; i++)
			err = fn(ctx, packs[i].id, packs[i].size);
		from += n;
	} while (err == 0 && n > 0);
	return err;
}
