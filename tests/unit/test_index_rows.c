/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What else the block index holds: state, what is retained, packs.
 */
#include "index_test.h"

#include "index/index_internal.h"

/* --- rows --------------------------------------------------------------- */

static void
test_state(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct index *ix = reopen(NULL, *state);
	char name[600];
	static char big[100000];

	memset(name, 'n', sizeof(name));
	name[512] = 0;
	assert_int_equal(index_state_put(ix, name, "x", 1), -EINVAL);
	assert_int_equal(index_state_put(ix, "", "x", 1), -EINVAL);
	name[511] = 0;
	assert_int_equal(index_state_get(ix, name, &b), -ENOENT);
	assert_int_equal(index_state_del(ix, name), -ENOENT);
	assert_int_equal(index_state_put(ix, name, "one", 3), 0);
	assert_int_equal(index_state_put(ix, "empty", NULL, 0), 0);
	assert_int_equal(index_state_put(ix, "big", big, sizeof(big)), 0);
	assert_int_equal(index_state_put(ix, name, "second", 6), 0);
	ix = reopen(ix, *state);
	assert_int_equal(index_state_get(ix, name, &b), 0);
	assert_int_equal(index_state_get(ix, "empty", &b), 0);
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "second", 6);
	/* Appends. */
	assert_int_equal(index_state_get(ix, "big", &b), 0);
	assert_int_equal(b.len, 6 + sizeof(big));
	assert_int_equal(index_state_del(ix, name), 0);
	assert_int_equal(index_state_get(ix, name, &b), -ENOENT);
	buf_release(&b);
	index_close(ix);
}

static int
retain(struct index *ix, const char *list, uint64_t mark)
{
	uint8_t name[8][OBJECT_ID_SIZE];
	struct segment s;
	size_t n;

	for (n = 0; list[n] != 0; n++) {
		make_segment(UNIFORM, (uint64_t)list[n], 0, 0, &s);
		memcpy(name[n], s.name, OBJECT_ID_SIZE);
		free_segment(&s);
	}
	return index_retain_since(ix, PACK_DATA, mark, 0,
	    (const uint8_t (*)[OBJECT_ID_SIZE])name, n);
}

static int
knows(struct index *ix, char name)
{
	struct segment s;
	int ret;

	make_segment(UNIFORM, (uint64_t)name, 0, 0, &s);
	ret = index_has_segment(ix, PACK_DATA, s.name);
	free_segment(&s);
	return ret;
}

static void
add_merged(struct index *ix, char name, const char *replaced)
{
	struct segment s, r;
	struct index_load *ld;

	make_segment(UNIFORM, (uint64_t)name, 0, 3000, &s);
	assert_int_equal(load(ix, &s, s.n, &ld, NULL), 0);
	for (; *replaced != 0; replaced++) {
		make_segment(UNIFORM, (uint64_t)*replaced, 0, 0, &r);
		assert_int_equal(index_load_replaces(ld,
		    (const uint8_t (*)[OBJECT_ID_SIZE])&r.name, 1), 0);
		free_segment(&r);
	}
	assert_int_equal(index_load_commit(ld), 0);
	free_segment(&s);
}

static void
test_retain(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint64_t mark;
	unsigned i;

	assert_int_equal(retain(ix, "", UINT64_MAX), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'a' + i,
		    i * 1000u, 1000), 0);
	assert_int_equal(retain(ix, "abc", UINT64_MAX), 0);
	assert_int_equal(retain(ix, "zcabx", UINT64_MAX), 0);
	/* d replaces a, b and q, which was never here. */
	add_merged(ix, 'd', "abq");
	assert_int_equal(knows(ix, 'q'), 1);
	assert_int_equal(stats(ix).segments, 4);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 0);
	assert_int_equal(knows(ix, 'a'), 1);
	assert_int_equal(stats(ix).segments, 2);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 0);
	check_range(ix, UNIFORM, 0, 3000, 1, 1);
	/* Loaded by others after the list was taken. */
	assert_int_equal(index_mark(ix, PACK_DATA, &mark), 0);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'e', 5000, 10), 0);
	assert_int_equal(retain(ix, "cd", mark), 0);
	assert_int_equal(knows(ix, 'e'), 1);
	assert_int_equal(retain(ix, "cd", UINT64_MAX), 1);
	assert_int_equal(knows(ix, 'e'), 0);
	assert_int_equal(knows(ix, 'a'), 0);
	assert_int_equal(stats(ix).entries, 0);
	assert_int_equal(stats(ix).packs, 0);
	assert_int_equal(stats(ix).segments, 0);
	check_range(ix, UNIFORM, 0, 3000, 1, 0);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 'c', 2000, 1000), 0);
	ix = reopen(ix, *state);
	check_range(ix, UNIFORM, 2000, 1000, 1, 1);
	check_range(ix, UNIFORM, 0, 2000, 1, 0);
	index_close(ix);
}

/* --- damage ------------------------------------------------------------- */

static void
many_slabs(struct half_rec *r)
{
	r->run[0].slabs = UINT32_MAX;
}

static void
many_packs(struct half_rec *r)
{
	r->packs = UINT32_MAX;
}

static void
one_number_twice(struct half_rec *r)
{
	r->run[1].number = r->run[0].number;
}

/* Counts that memory would be taken for, and runs that would lose their slabs
 * to each other: refused while in use, begun anew at the next opening. */
static void
test_damaged_record(void **state)
{
	static void (*const spoil[])(struct half_rec *) = { many_slabs,
	    many_packs, one_number_twice };
	struct index *ix = NULL;
	struct index_roll *roll;
	struct half_rec rec;
	MDB_txn *txn;
	unsigned i;

	for (i = 0; i < 3; i++) {
		ix = reopen(ix, *state);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 2000), 0);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 2, 2000, 100), 0);
		check_range(ix, UNIFORM, 0, 2100, 100, 1);
		assert_int_equal(writer_begin(ix, 0), 0);
		assert_int_equal(write_begin(ix, &txn), 0);
		assert_int_equal(half_get(ix, txn, 0, &rec), 0);
		assert_int_equal(rec.nruns, 2);
		spoil[i](&rec);
		rec.gen++;
		assert_int_equal(half_put(ix, txn, 0, &rec), 0);
		assert_int_equal(write_commit(ix, txn), 0);
		writer_end(ix);
		assert_int_equal(look(ix, PACK_DATA, UNIFORM, 5), -EIO);
		assert_int_equal(index_roll_begin(ix, PACK_DATA, &roll), -EIO);
		ix = reopen(ix, *state);
		check_range(ix, UNIFORM, 0, 2100, 100, 0);
	}
	index_close(ix);
}

struct seen {
	uint8_t *pack;
	uint32_t n, stop;
};

static int
see(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size)
{
	struct seen *s = ctx;
	uint8_t name[OBJECT_ID_SIZE];

	assert_in_range(size, 1, 4000);
	make_name(size - 1, name);
	assert_memory_equal(name, pack, OBJECT_ID_SIZE);
	assert_int_equal(s->pack[size - 1]++, 0);
	return ++s->n == s->stop ? 7 : 0;
}

static void
test_packs(void **state)
{
	static uint8_t seen[4000];
	struct seen s = { seen, 0, 0 };
	struct index *ix = reopen(NULL, *state);
	uint8_t name[OBJECT_ID_SIZE];
	uint32_t i;

	/* Neighbouring segments share a pack; 4000 packs in all. */
	for (i = 0; i < 8; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, i * 25000u,
		    24999 + (i < 7)), 0);
	assert_int_equal(stats(ix).packs, 4000);
	assert_int_equal(index_each_pack(ix, PACK_DATA, see, &s), 0);
	assert_int_equal(s.n, 4000);
	memset(seen, 0, sizeof(seen));
	s = (struct seen){ seen, 0, 1000 };
	assert_int_equal(index_each_pack(ix, PACK_DATA, see, &s), 7);
	assert_int_equal(s.n, 1000);
	for (i = 0; i < 4010; i++) {
		make_name(i, name);
		assert_int_equal(index_has_pack(ix, PACK_DATA, name),
		    i < 4000);
		assert_int_equal(index_has_pack(ix, PACK_META, name), 0);
	}
	index_close(ix);
}

/* More packs than one transaction writes. */
static void
test_many_packs(void **state)
{
	enum { N = 10000 };
	struct index *ix = reopen(NULL, *state);
	struct index_load *ld;
	struct segment s;
	uint32_t i, round;

	make_segment(UNIFORM, 1, 0, N, &s);
	free(s.packs);
	s.npacks = N;
	s.packs = calloc(N, sizeof(*s.packs));
	assert_non_null(s.packs);
	for (i = 0; i < N; i++) {
		make_name(i, s.packs[i].id);
		s.packs[i].size = i + 1;
	}
	/* Dropped once, so that numbers are used again. */
	for (round = 0; round < 2; round++) {
		assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
		if (round == 0)
			index_load_abort(ld);
		else
			assert_int_equal(index_load_commit(ld), 0);
		assert_int_equal(stats(ix).packs, round * N);
	}
	for (i = 0; i < N; i++)
		assert_int_equal(index_has_pack(ix, PACK_DATA,
		    s.packs[i].id), 1);
	free_segment(&s);
	index_close(ix);
}

/* Compare with a store that has all packs of the first n entries but one. */
static void
take_roll(struct index *ix, uint64_t n, uint64_t without, uint32_t wrong,
    uint8_t (**absent)[OBJECT_ID_SIZE], size_t *nabsent)
{
	struct index_roll *roll;
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t p;

	assert_int_equal(index_roll_begin(ix, PACK_DATA, &roll), 0);
	for (p = 0; p <= n / PACK_ENTRIES; p++) {
		make_name(p, id);
		if (p == without && wrong == 0)
			continue;
		assert_int_equal(index_roll_seen(roll, id, p == without ?
		    wrong : p + 1), p == without ? 2 : 1);
	}
	/* A pack that no segment lists is nobody's. */
	make_name(UINT64_C(1) << 40, id);
	assert_int_equal(index_roll_seen(roll, id, 5), 0);
	assert_int_equal(index_roll_absent(roll, absent, nabsent), 0);
	index_roll_free(roll);
}

static void
test_absent(void **state)
{
	const struct dir *d = *state;
	const uint32_t n = 20 * PACK_ENTRIES - 1;
	const uint64_t lost = 7, first = lost * PACK_ENTRIES;
	uint8_t (*ids)[OBJECT_ID_SIZE], id[OBJECT_ID_SIZE];
	struct index_roll *roll;
	uint64_t epoch, after;
	struct index *ix;
	size_t k, count;
	unsigned round;

	assert_int_equal(index_open(d->path, repo, &ix), 0);
	for (round = 0; round < 2; round++) {
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
		assert_int_equal(index_epoch(ix, PACK_DATA, &epoch), 0);
		/* All there: nothing changes. */
		take_roll(ix, n, UINT64_MAX, 0, &ids, &k);
		assert_int_equal(k, 0);
		assert_int_equal(index_absent_set(ix, PACK_DATA, epoch,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 0);
		free(ids);
		check_range(ix, UNIFORM, 0, n, 1, 1);
		/* One is gone, or has another size. */
		take_roll(ix, n, lost, round == 0 ? 0 : 12345, &ids, &k);
		assert_int_equal(k, 1);
		make_name(lost, id);
		assert_memory_equal(ids[0], id, OBJECT_ID_SIZE);
		assert_int_equal(index_absent_set(ix, PACK_DATA, epoch,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 1);
		/* By a roll of before that, nothing is said. */
		assert_int_equal(index_absent_set(ix, PACK_DATA, epoch, NULL,
		    0), -EAGAIN);
		assert_int_equal(index_absent_set(ix, PACK_DATA, epoch,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), -EAGAIN);
		assert_int_equal(index_epoch(ix, PACK_DATA, &after), 0);
		assert_int_not_equal(epoch, after);
		check_range(ix, UNIFORM, 0, n, 7, 0);
		/* Loaded again, after a restart too, without what is gone. */
		index_close(ix);
		assert_int_equal(index_open(d->path, repo, &ix), 0);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
		assert_int_equal(index_absent_count(ix, PACK_DATA, &count), 0);
		assert_int_equal(count, 1);
		check_range(ix, UNIFORM, 0, (uint32_t)first, 1, 1);
		check_range(ix, UNIFORM, first, PACK_ENTRIES, 1, 0);
		check_range(ix, UNIFORM, first + PACK_ENTRIES,
		    n - (uint32_t)first - PACK_ENTRIES, 1, 1);
		/* The pack itself stays listed. */
		assert_int_equal(index_has_pack(ix, PACK_DATA, id), 1);
		assert_int_equal(index_absent_set(ix, PACK_DATA, after,
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, k), 0);
		free(ids);
		/* A roll of before an emptying says nothing. */
		assert_int_equal(index_roll_begin(ix, PACK_DATA, &roll), 0);
		assert_int_equal(index_roll_epoch(roll), after);
		assert_int_equal(index_absent_set(ix, PACK_DATA, after, NULL,
		    0), 1);
		assert_int_equal(index_roll_absent(roll, &ids, &k), -EAGAIN);
		index_roll_free(roll);
	}
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, n), 0);
	check_range(ix, UNIFORM, 0, n, 1, 1);
	index_close(ix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_state),
		T(test_absent),
		T(test_retain),
		T(test_damaged_record),
		T(test_packs),
		T(test_many_packs),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
