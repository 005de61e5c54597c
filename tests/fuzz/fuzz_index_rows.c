/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the block index, as a damaged database may hold them.
 *
 * The input is a list of changes to a small index: a byte that chooses a
 * database, one that chooses a row, one that says what to do, two of place and
 * one that is a length or what to flip, and, for a new value, so many bytes.
 * Then all of the interface is called, which may fail, and must neither hang
 * nor leave its bounds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "index/index_internal.h"

#define ENTRIES		6000	/* two slabs */
#define FEW		100
#define PACKS		60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t repo_id[16] = "a fuzzed one";
static char dir[64];
static struct segment_entry entry[ENTRIES];
static struct segment_pack pack[PACKS];
static struct buf template = BUF_INIT(16u << 20);

/* The same id for a number everywhere, in order of numbers. */
static void
make_id(uint32_t number, uint8_t id[BLOCK_ID_SIZE])
{
	memset(id, 0x5a, BLOCK_ID_SIZE);
	be32_store(id, number * 350000u);
	be32_store(id + 4, number * 2654435761u);
}

static void
must(int ok)
{
	if (!ok) {
		perror("cannot prepare");
		abort();
	}
}

static int
add_segment(struct index *ix, enum pack_kind kind, uint8_t name, uint32_t n)
{
	uint8_t segment[OBJECT_ID_SIZE] = { name };
	uint8_t id[BLOCK_ID_SIZE];
	uint32_t i;

	for (i = 0; i < n; i++) {
		make_id(2 * i + name % 2u, id);
		memcpy(entry[i].id, id, BLOCK_ID_SHORT);
		entry[i].pack = i % PACKS;
		entry[i].frame_off = i * 100;
		entry[i].frame_len = 100;
		entry[i].len = i % 100;
	}
	for (i = 0; i < PACKS; i++) {
		memset(pack[i].id, (int)i + 1, OBJECT_ID_SIZE);
		pack[i].id[0] = name;
		pack[i].size = 300000 + i;
	}
	return index_add_segment(ix, kind, segment, entry, n, pack, PACKS);
}

static void
clear(void)
{
	static const char *const name[] = { "data.mdb", "lock.mdb", "lock" };
	char path[96];
	unsigned i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, name[i]);
		(void)unlink(path);
	}
}

static void
at_end(void)
{
	clear();
	(void)rmdir(dir);
}

/* As index_open(), without the disk's pace. */
static int
open_fast(struct index **ix)
{
	int err;

	err = index_open(dir, repo_id, ix);
	if (err == 0)
		must(mdb_env_set_flags((*ix)->env, MDB_NOSYNC, 1) == 0);
	return err;
}

/* A whole index, to begin each input with. */
static void
template_make(void)
{
	const char *tmp = getenv("TMPDIR");
	struct index *ix;
	char path[96];
	FILE *f;
	size_t n;
	uint8_t *p;

	log_init("fuzz", LOG_LEVEL_ERR);
	snprintf(dir, sizeof(dir), "%.40s/firn-fuzz-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(dir) != NULL && atexit(at_end) == 0);
	must(open_fast(&ix) == 0 &&
	    add_segment(ix, PACK_DATA, 1, ENTRIES) == 0 &&
	    add_segment(ix, PACK_DATA, 2, FEW) == 0 &&
	    add_segment(ix, PACK_META, 3, 50) == 0 &&
	    index_state_put(ix, "name", "value", 5) == 0);
	index_close(ix);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	f = fopen(path, "rb");
	must(f != NULL);
	do {
		p = buf_extend(&template, 65536);
		must(p != NULL);
		n = fread(p, 1, 65536, f);
		template.len -= 65536 - n;
	} while (n > 0);
	fclose(f);
}

static void
template_write(void)
{
	char path[96];
	FILE *f;

	clear();
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	f = fopen(path, "wb");
	must(f != NULL && fwrite(template.data, 1, template.len, f) ==
	    template.len && fclose(f) == 0);
}

/* --- damage ------------------------------------------------------------- */

static MDB_dbi
dbi_of(const struct index *ix, uint8_t which)
{
	const struct half_db *half = &ix->half[which / 8 % INDEX_HALVES];

	switch (which % 8) {
	case 0: return ix->state;
	case 1: case 2: return half->slab;
	case 3: return half->pack;
	case 4: return half->name;
	case 5: return half->seg;
	default: return ix->info;
	}
}

enum { FLIP, CUT, REPLACE, DELETE, RENAME };

/* The row that the cursor stands on, with what the input says done to it. */
static int
row_change(MDB_cursor *cur, MDB_val k, MDB_val v, uint8_t what, struct rd *r)
{
	uint16_t at = rd_u16(r);
	uint8_t len = rd_u8(r), key[64];
	uint8_t *copy = calloc(1, v.mv_size + 256);
	int rc = 0;

	must(copy != NULL && k.mv_size <= sizeof(key));
	memcpy(key, k.mv_data, k.mv_size);
	k.mv_data = key;
	memcpy(copy, v.mv_data, v.mv_size);
	v.mv_data = copy;
	if (what % 8 == FLIP && v.mv_size > 0)
		copy[at % v.mv_size] ^= len;
	else if (what % 8 == CUT)
		v.mv_size = at % (v.mv_size + 1);
	else if (what % 8 == REPLACE && rd_left(r) >= len) {
		rd_copy(r, copy, len);
		v.mv_size = len;
	}
	if (what % 8 == RENAME)
		key[at % k.mv_size] ^= len;
	else
		rc = mdb_cursor_del(cur, 0);
	/* Zeroes of the length: LMDB takes no value away that is not there. */
	if (rc == 0 && what % 8 != DELETE)
		rc = mdb_put(mdb_cursor_txn(cur), mdb_cursor_dbi(cur), &k, &v,
		    0);
	free(copy);
	return rc;
}

static int
change(struct index *ix, MDB_txn *txn, struct rd *r)
{
	uint8_t which = rd_u8(r), row = rd_u8(r), what = rd_u8(r);
	MDB_cursor *cur;
	MDB_val k, v;
	int rc;

	rc = mdb_cursor_open(txn, dbi_of(ix, which), &cur);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST);
	while (rc == 0 && row-- > 0)
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	if (rc == 0)
		rc = row_change(cur, k, v, what, r);
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
damage(struct index *ix, const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	MDB_txn *txn;
	int rc = 0;

	must(mdb_txn_begin(ix->env, NULL, 0, &txn) == 0);
	while (rc == 0 && rd_left(&r) > 0 && !rd_bad(&r))
		rc = change(ix, txn, &r);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* --- use ---------------------------------------------------------------- */

static int
count(void *ctx, const uint8_t id[OBJECT_ID_SIZE], uint32_t size)
{
	(void)id;
	(void)size;
	return ++*(unsigned *)ctx > 1000 ? 1 : 0;
}

static void
ask_half(struct index *ix, enum pack_kind kind)
{
	uint8_t id[BLOCK_ID_SIZE], header[PACK_HEADER_SIZE];
	uint8_t (*ids)[OBJECT_ID_SIZE] = NULL;
	struct index_roll *roll;
	struct index_place at;
	struct index_stats st;
	unsigned i, n = 0;
	uint64_t mark;
	size_t absent;

	for (i = 0; i < 2 * ENTRIES; i += 397) {
		make_id(i, id);
		(void)index_find(ix, kind, id, &at);
		(void)index_has(ix, kind, id);
	}
	(void)index_has_segment(ix, kind, pack[0].id);
	(void)index_has_pack(ix, kind, pack[1].id);
	(void)index_pack_header(ix, kind, pack[1].id, header);
	(void)index_has_local(ix, kind);
	(void)index_mark(ix, kind, &mark);
	(void)index_stats(ix, kind, &st);
	(void)index_each_pack(ix, kind, count, &n);
	if (index_roll_begin(ix, kind, &roll) == 0) {
		(void)index_roll_seen(roll, pack[1].id, pack[1].size);
		if (index_roll_absent(roll, &ids, &absent) == 0)
			(void)index_absent_set(ix, kind,
			    index_roll_epoch(roll),
			    (const uint8_t (*)[OBJECT_ID_SIZE])ids, absent);
		free(ids);
		index_roll_free(roll);
	}
	(void)index_retain_since(ix, kind, UINT64_MAX, 0, NULL, 0);
}

static void
ask(struct index *ix)
{
	struct buf out = BUF_INIT(1u << 20);

	/* What is written on top merges what is there. */
	(void)add_segment(ix, PACK_DATA, 5, FEW);
	(void)add_segment(ix, PACK_DATA, 7, FEW);
	(void)index_state_get(ix, "name", &out);
	ask_half(ix, PACK_DATA);
	ask_half(ix, PACK_META);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct index *ix = NULL;

	if (template.len == 0)
		template_make();
	template_write();
	must(open_fast(&ix) == 0);
	if (damage(ix, data, size) == 0) {
		/* As the next process finds it. */
		index_close(ix);
		ix = NULL;
		if (open_fast(&ix) == 0)
			ask(ix);
	}
	index_close(ix);
	return 0;
}
