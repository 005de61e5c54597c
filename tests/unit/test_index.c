/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block index against the model, by one thread.
 */
#include "index_test.h"
#include "slow.h"

static void
test_empty(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint8_t name[OBJECT_ID_SIZE];

	make_name(1, name);
	assert_int_equal(look(ix, PACK_DATA, UNIFORM, 1), 0);
	assert_int_equal(index_has_pack(ix, PACK_DATA, name), 0);
	assert_int_equal(index_has_segment(ix, PACK_META, name), 0);
	/* A segment without entries counts as loaded. */
	assert_int_equal(index_add_segment(ix, PACK_META, name, NULL, 0, NULL,
	    0), 0);
	ix = reopen(ix, *state);
	assert_int_equal(index_has_segment(ix, PACK_META, name), 1);
	assert_int_equal(index_has_segment(ix, PACK_DATA, name), 0);
	assert_int_equal(stats(ix).entries, 0);
	index_close(ix);
}

/* Segments of all sizes that overlap, so many ids come more than once. */
static void
test_random(void **state)
{
	enum { SEGMENTS = 120, RANGE = 300000 };
	static uint8_t in[RANGE];
	struct index *ix = reopen(NULL, *state);
	uint32_t i, j, first, n, distinct = 0;

	memset(in, 0, sizeof(in));
	for (i = 0; i < SEGMENTS; i++) {
		n = 1 + rnd(rnd(4) == 0 ? 20000 : 300);
		first = rnd(RANGE - n);
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, first, n), 0);
		memset(in + first, 1, n);
		/* Again: nothing happens. */
		if (rnd(8) == 0)
			assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, first,
			    n), 0);
		if (rnd(16) == 0)
			ix = reopen(ix, *state);
		for (j = 0; j < 500; j++) {
			n = rnd(RANGE);
			assert_int_equal(look(ix, PACK_DATA, UNIFORM, n),
			    in[n]);
		}
	}
	ix = reopen(ix, *state);
	for (i = 0; i < RANGE; i++) {
		assert_int_equal(look(ix, PACK_DATA, UNIFORM, i), in[i]);
		distinct += in[i];
	}
	assert_true(stats(ix).entries >= distinct);
	assert_int_equal(stats(ix).segments, SEGMENTS);
	assert_true(stats(ix).runs <= 15);
	index_close(ix);
}

/* Merges over several levels and in several steps; nothing is lost or kept
 * twice. */
static void
test_levels(void **state)
{
	enum { SEGMENTS = 21, EACH = 60000 };
	struct index *ix = reopen(NULL, *state);
	uint32_t i;

	for (i = 0; i < SEGMENTS; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i,
		    (uint64_t)i * EACH, EACH), 0);
	assert_int_equal(stats(ix).entries, SEGMENTS * EACH);
	assert_true(stats(ix).runs <= 7);
	/* Some room for what is free in the file is allowed. */
	assert_true(stats(ix).bytes < (uint64_t)SEGMENTS * EACH * 60);
	check_range(ix, UNIFORM, 0, SEGMENTS * EACH, STEP, 1);
	check_range(ix, UNIFORM, SEGMENTS * EACH, 100000, STEP, 0);
	/* The other half has none of it. */
	assert_int_equal(look(ix, PACK_META, UNIFORM, 5), 0);
	index_close(ix);
}

/* Four times the same entries are once after the merge. */
static void
test_doubles(void **state)
{
	struct index *ix = reopen(NULL, *state);
	uint32_t i;

	for (i = 0; i < 4; i++)
		assert_int_equal(add(ix, PACK_DATA, UNIFORM, i, 0, 50000), 0);
	assert_int_equal(stats(ix).entries, 50000);
	assert_int_equal(stats(ix).runs, 1);
	check_range(ix, UNIFORM, 0, 50000, 1, 1);
	index_close(ix);
}

/* Ids as no hash makes them: slow is fine, wrong is not. */
static void
test_odd_ids(void **state)
{
	struct index *ix = reopen(NULL, *state);
	enum ids how;
	uint32_t i;

	for (how = COUNTED; how <= CROWDED; how++) {
		for (i = 0; i < 5; i++)
			assert_int_equal(add(ix, PACK_DATA, how,
			    i + 100 * how, (uint64_t)i * 30000, 29999), 0);
		for (i = 0; i < 5; i++) {
			check_range(ix, how, (uint64_t)i * 30000, 29999, 3, 1);
			check_range(ix, how, (uint64_t)i * 30000 + 29999, 1, 1,
			    0);
		}
		remove_files(*state);
		ix = reopen(ix, *state);
	}
	index_close(ix);
}

static void
test_bad_input(void **state)
{
	struct index *ix = reopen(NULL, *state);
	struct segment s;

	make_segment(UNIFORM, 1, 0, 100, &s);
	s.e[50].pack = s.npacks;
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	s.e[50] = s.e[49];
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	s.e[50] = s.e[10];
	assert_int_equal(index_add_segment(ix, PACK_DATA, s.name, s.e, s.n,
	    s.packs, s.npacks), -EINVAL);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 0);
	assert_int_equal(stats(ix).packs, 0);
	free_segment(&s);
	assert_int_equal(add(ix, PACK_DATA, UNIFORM, 1, 0, 100), 0);
	index_close(ix);
}

static void
test_load(void **state)
{
	enum { N = ROUNDS(700000) };
	struct index *ix = reopen(NULL, *state);
	struct index_load *ld;
	struct segment s;
	struct buf b = BUF_INIT(100);

	make_segment(UNIFORM, 1, 0, N, &s);
	/* Given up at the end, and in the middle. */
	assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
	check_range(ix, UNIFORM, 0, N, 997, 0);
	assert_int_equal(stats(ix).runs, 0);
	/* State does not wait for a load. */
	assert_int_equal(index_state_put(ix, "a", "b", 1), 0);
	index_load_abort(ld);
	assert_int_equal(load(ix, &s, N / 2, &ld, NULL), 0);
	index_load_abort(ld);
	assert_int_equal(stats(ix).packs, 0);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 0);
	check_range(ix, UNIFORM, 0, N, 997, 0);
	assert_int_equal(load(ix, &s, N, &ld, NULL), 0);
	assert_int_equal(index_load_commit(ld), 0);
	assert_int_equal(index_has_segment(ix, PACK_DATA, s.name), 1);
	assert_int_equal(stats(ix).packs, s.npacks);
	check_range(ix, UNIFORM, 0, N, 7, 1);
	assert_int_equal(index_state_get(ix, "a", &b), 0);
	assert_int_equal(stats(ix).entries, N);
	buf_release(&b);
	free_segment(&s);
	index_close(ix);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_empty),
		T(test_random),
		T(test_levels),
		T(test_doubles),
		T(test_odd_ids),
		T(test_bad_input),
		T(test_load),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
