/* SPDX-License-Identifier: Apache-2.0 */
/* Which packs a thaw needs. */
#include "thaw_test.h"

#include "repo/reader.h"
#include "repo/thaw_send.h"
#include "store/store_fault.h"

static void
test_sole(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;

	three_packs(f);
	want(f, "ab");
	all_cold(f);
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.blocks, 2);
	assert_int_equal(t.bytes, 2 * LEN);
	assert_int_equal(t.cached + t.lost, 0);
}

static void
test_index_has_all_places(void **ctx)
{
	struct fixture *f = *ctx;
	struct index_place at[4], one;
	uint8_t id[BLOCK_ID_SIZE];
	static const struct { char block; int n; } want[] = {
	    { 'a', 1 }, { 'c', 2 }, { 'd', 2 }, { 'f', 1 } };
	size_t i;

	three_packs(f);
	for (i = 0; i < 4; i++) {
		id_of(f, want[i].block, id);
		assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA,
		    id, at, 4), want[i].n);
		assert_int_equal(index_find(repo_index(f->repo), PACK_DATA,
		    id, &one), 1);
		assert_memory_equal(&one, &at[0], sizeof(one));
		assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA,
		    id, at, 1), 1);
	}
	memset(id, 7, sizeof(id));
	assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA, id, at,
	    4), 0);
}

/* What is needed anyway serves for what lies elsewhere too. */
static void
test_needed_anyway(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "acx");
	all_cold(f);
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	/* f is the third's alone, and with it go d and e. */
	want(f, "acdef");
	all_cold(f);
	assert_int_equal(chosen(f), 2);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);
}

/* One pack that has all of them rather than two that have them together. */
static void
test_fewest(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "cdyz");
	assert_int_equal(thaw_plan_packs(f->plan)->n, 3);
	all_cold(f);
	assert_int_equal(chosen(f), 1);
}

static void
test_readable_first(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "afcdyz");	/* so that the packs can be told */
	all_cold(f);
	/* c would be the first's anyway; d, y and z lie in the hot third. */
	pack_with(f, 'f')->state = STORE_THAWED;
	assert_int_equal(chosen(f), 2);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);

	/* c lies in two. */
	want(f, "c");
	all_cold(f);
	thaw_plan_packs(f->plan)->v[1].state = STORE_THAWING;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[1].flags & PACK_NEEDED);
	thaw_plan_packs(f->plan)->v[0].state = STORE_HOT;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[0].flags & PACK_NEEDED);
	/* One that is gone is no choice. */
	thaw_plan_packs(f->plan)->v[0].flags &= ~(unsigned)PACK_SEEN;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[1].flags & PACK_NEEDED);
}

static void
test_unknown_block(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;

	three_packs(f);
	want(f, "aQ");
	assert_int_equal(chosen(f), 1);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.lost, 1);
}

/* What the disk cache holds needs no pack. */
static void
test_cached(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;
	uint8_t id[BLOCK_ID_SIZE];
	struct blockref ref;
	struct reader *rd;

	three_packs(f);
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	id_of(f, 'a', id);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), 0);
	blockref_put(rd, &ref);
	reader_free(rd);
	want(f, "abc");		/* one small pack is one cell */
	assert_int_equal(thaw_plan_packs(f->plan)->n, 0);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.cached, 3 * LEN);
	want(f, "abf");
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);
}

/* A pack that was in question, and is not needed, is not waited for when the
 * cache lets go of what it had of it: it has to be asked for. */
static void
test_let_go(void **ctx)
{
	struct fixture *f = *ctx;
	uint8_t id[BLOCK_ID_SIZE];
	struct packset *s;
	size_t i;

	three_packs(f);
	want(f, "c");
	all_cold(f);
	s = thaw_plan_packs(f->plan);
	for (i = 0; i < s->n; i++)
		if (&s->v[i] != pack_with(f, 'a'))
			s->v[i].state = STORE_THAWED;
	assert_int_equal(chosen(f), 1);
	assert_false(pack_with(f, 'a')->flags & PACK_NEEDED);
	id_of(f, 'a', id);
	assert_int_equal(thaw_plan_where(f->plan, id, 0), THAW_BLOCK_NEW);
}

/* A reader takes the copy that can be read. */
static void
test_reader_elsewhere(void **ctx)
{
	struct fixture *f = *ctx;
	struct store_fault_conf fault = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = 1, .every = 1,
	    .err = -FIRN_ECOLD };
	char name[STORE_NAME_MAX + 1];
	uint8_t id[BLOCK_ID_SIZE];
	struct index_place at;
	struct blockref ref;
	struct reader *rd;
	struct store *wrapped;

	three_packs(f);
	id_of(f, 'd', id);
	assert_int_equal(index_find(repo_index(f->repo), PACK_DATA, id, &at),
	    1);
	repo_pack_name(PACK_DATA, at.pack, name);
	fault.prefix = name;
	assert_int_equal(store_fault_wrap(f->repo->store, &fault, &wrapped),
	    0);
	f->repo->store = wrapped;
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), 0);
	assert_int_equal(ref.len, LEN);
	blockref_put(rd, &ref);
	assert_true(store_fault_hits(wrapped) > 0);
	/* One that lies there alone is cold. */
	fault.prefix = "data/";
	store_fault_set(wrapped, &fault);
	id_of(f, 'a', id);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), -FIRN_ECOLD);
	reader_free(rd);
}

/* A store without an archive: nothing is cold, and nothing asked for. */
static void
test_send_local(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_send_conf conf = { .wish = {
	    .tier = STORE_THAW_BULK, .days = 1 } };
	struct thaw_sent sent;

	three_packs(f);
	want(f, "af");
	assert_int_equal(chosen(f), 2);
	assert_true(pack_is_readable(pack_with(f, 'a')));
	assert_int_equal(thaw_send(f->repo, thaw_plan_packs(f->plan), &conf,
	    &sent), 0);
	assert_int_equal(sent.asked.packs + sent.failed + sent.running, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_has_all_places,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_needed_anyway, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_fewest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readable_first, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unknown_block, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_cached, setup, teardown),
		cmocka_unit_test_setup_teardown(test_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_elsewhere, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_send_local, setup,
		    teardown),
	};

	log_init("test", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
