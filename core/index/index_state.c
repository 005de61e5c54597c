/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named values of callers, and counts.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "index/index_internal.h"

#define STATE_NAME_MAX	511

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
