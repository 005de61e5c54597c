/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small rows: named values of callers, packs, counts.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "index/index_internal.h"

#define STATE_NAME_MAX	511
#define PACK_BATCH	512	/* packs that each_pack reads at once */

/* --- state -------------------------------------------------------------- */

static int
state_key(const char *name, MDB_val *k)
{
	k->mv_size = strlen(name);
	k->mv_data = (void *)(uintptr_t)name;
	return k->mv_size == 0 || k->mv_size > STATE_NAME_MAX ? -EINVAL : 0;
}

int
index_state_get(struct index *ix, const char *name, struct buf *out)
{
	struct slot *s;
	MDB_val k, v;
	int err, rc;

	err = state_key(name, &k);
	if (err == 0)
		err = slot_get(ix, &s);
	if (err != 0)
		return err;
	rc = mdb_get(s->txn, ix->state, &k, &v);
	err = rc != 0 ? index_err(ix, rc, "read") :
	    buf_add(out, v.mv_data, v.mv_size);
	slot_put(s);
	return err;
}

/* Put, or with NULL delete. */
static int
state_set(struct index *ix, const char *name, MDB_val *v)
{
	MDB_txn *txn;
	MDB_val k;
	int err, rc;

	err = state_key(name, &k);
	if (err == 0)
		err = write_begin(ix, &txn);
	if (err != 0)
		return err;
	rc = v != NULL ? mdb_put(txn, ix->state, &k, v, 0) :
	    mdb_del(txn, ix->state, &k, NULL);
	if (rc == 0)
		return write_commit(ix, txn);
	mdb_txn_abort(txn);
	return index_err(ix, rc, "write to");
}

int
index_state_put(struct index *ix, const char *name, const void *data,
    size_t len)
{
	MDB_val v = { len, (void *)(uintptr_t)data };

	return state_set(ix, name, &v);
}

int
index_state_del(struct index *ix, const char *name)
{
	return state_set(ix, name, NULL);
}

/* --- packs -------------------------------------------------------------- */

int
index_has_pack(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE])
{
	MDB_val k = { OBJECT_ID_SIZE, (void *)(uintptr_t)pack }, v;
	unsigned h = half_of(kind);
	struct half_rec rec;
	struct slot *s;
	int ret, rc;

	ret = slot_get(ix, &s);
	if (ret != 0)
		return ret;
	rc = mdb_get(s->txn, ix->half[h].name, &k, &v);
	if (rc == MDB_NOTFOUND) {
		ret = 0;
	} else if (rc != 0) {
		ret = index_err(ix, rc, "read");
	} else {
		/* A load in progress may have noted it already. */
		ret = half_get(ix, s->txn, h, &rec);
		if (ret == 0)
			ret = v.mv_size == 4 &&
			    le32_get(v.mv_data) < rec.packs;
	}
	slot_put(s);
	return ret;
}

/* Up to PACK_BATCH packs from number `from`; *n of them. */
static int
packs_read(struct index *ix, unsigned h, uint32_t from,
    struct segment_pack *packs, unsigned *n)
{
	MDB_val k = { sizeof(from), &from }, v;
	struct half_rec rec;
	MDB_cursor *cur;
	struct slot *s;
	uint32_t end;
	int err, rc;

	*n = 0;
	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = half_get(ix, s->txn, h, &rec);
	if (err == 0) {
		rc = mdb_cursor_open(s->txn, ix->half[h].pack, &cur);
		err = rc == 0 ? 0 : index_err(ix, rc, "read");
	}
	if (err != 0) {
		slot_put(s);
		return err;
	}
	end = rec.packs;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	for (; rc == 0 && *n < PACK_BATCH && from < end; from++) {
		if (v.mv_size != OBJECT_ID_SIZE + 4) {
			err = index_damaged(ix, "a pack has a wrong size");
			break;
		}
		memcpy(packs[*n].id, v.mv_data, OBJECT_ID_SIZE);
		packs[*n].size = le32_get((const uint8_t *)v.mv_data +
		    OBJECT_ID_SIZE);
		++*n;
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		err = index_err(ix, rc, "read");
	mdb_cursor_close(cur);
	slot_put(s);
	return err;
}

int
index_each_pack(struct index *ix, enum pack_kind kind,
    int (*fn)(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size),
    void *ctx)
{
	struct segment_pack packs[PACK_BATCH];
	uint32_t from = 0;
	unsigned i, n;
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

/* --- counts ------------------------------------------------------------- */

int
index_stats(struct index *ix, enum pack_kind kind, struct index_stats *out)
{
	struct half_rec rec;
	struct stat st;
	struct slot *s;
	uint32_t i;
	int err, fd;

	memset(out, 0, sizeof(*out));
	err = slot_get(ix, &s);
	if (err != 0)
		return err;
	err = half_get(ix, s->txn, half_of(kind), &rec);
	slot_put(s);
	if (err != 0)
		return err;
	for (i = 0; i < rec.nruns; i++) {
		if (rec.run[i].state == RUN_DEAD)
			continue;
		out->entries += rec.run[i].entries;
		out->runs++;
	}
	out->packs = rec.packs;
	out->segments = rec.segments;
	if (mdb_env_get_fd(ix->env, &fd) == 0 && fstat(fd, &st) == 0)
		out->bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}
