/* SPDX-License-Identifier: Apache-2.0 */
/* The files that note thaws. */
#include "thaw_test.h"

static void
job_make(struct thaw_job *j, enum store_thaw_tier tier, unsigned packs)
{
	struct thaw_wish wish = { .tier = tier, .days = 5 };
	unsigned i;

	thaw_job_init(j, &wish, "latest /etc\nx");
	for (i = 0; i < packs; i++)
		put(&j->packs, (uint8_t)i, "GLACIER", STORE_COLD, 0);
}

static void
test_job_text(void **ctx)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX), again =
	    BUF_INIT(THAW_JOB_MAX);
	struct thaw_job j, k;
	size_t len;

	(void)ctx;
	job_make(&j, STORE_THAW_BULK, 4);
	j.packs.v[1].flags = PACK_SEEN;		/* was given up */
	j.agreed = 1000000;
	j.spent = UINT64_MAX;
	assert_string_equal(j.what, "latest /etc?x");
	assert_int_equal(strlen(j.name), THAW_JOB_NAME - 1);
	assert_int_equal(thaw_job_encode(&j, &text), 0);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k), 0);
	assert_int_equal(k.packs.n, 3);
	assert_int_equal(k.wish.tier, STORE_THAW_BULK);
	assert_int_equal(k.wish.days, 5);
	assert_int_equal(k.made, j.made);
	assert_int_equal(k.agreed, 1000000);
	assert_int_equal(k.spent, 999999999999999999);
	assert_true(k.budget == UINT64_MAX);
	assert_null(packset_find(&k.packs, j.packs.v[1].id));
	assert_int_equal(thaw_job_encode(&k, &again), 0);
	assert_int_equal(again.len, text.len);
	assert_memory_equal(again.data, text.data, text.len);
	thaw_job_release(&k);
	for (len = 0; len < text.len; len++)
		assert_int_equal(thaw_job_decode(text.data, len, &k),
		    -FIRN_ECORRUPT);
	thaw_job_release(&j);
	buf_release(&text);
	buf_release(&again);
}

/* A job whose only one is loaded. */
static int
on_only(void *ctx, struct thaw_job *j)
{
	struct thaw_job *out = ctx;

	*out = *j;
	packset_init(&j->packs);
	return 0;
}

/* Killed with requests under way: what they cost is known after a look. */
static void
test_job_notes(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_job j, k;
	unsigned i;
	int fd;

	job_make(&j, STORE_THAW_BULK, 4);
	j.spent = 1000;
	assert_int_equal(thaw_job_save(f->repo, &j), 0);
	assert_int_equal(thaw_job_open(f->repo, &j, &fd), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(thaw_job_note(fd, THAW_JOB_ASKS,
		    j.packs.v[i].id, 10), 0);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_PAID, j.packs.v[0].id, 12),
	    0);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_PAID, j.packs.v[3].id, 0),
	    0);
	assert_int_equal(write(fd, "paid 0", 6), 6);
	close(fd);
	assert_int_equal(thaw_job_each(f->repo, on_only, &k), 0);
	assert_int_equal(k.packs.n, 4);
	assert_int_equal(k.spent, 1012);
	assert_int_equal(k.ndoubts, 2);
	assert_int_equal(thaw_job_spent(&k), 1032);
	/* Written anew it says the same. */
	assert_int_equal(thaw_job_save(f->repo, &k), 0);
	thaw_job_release(&k);
	assert_int_equal(thaw_job_each(f->repo, on_only, &k), 0);
	assert_int_equal(k.spent, 1012);
	assert_int_equal(k.ndoubts, 2);
	for (i = 0; i < 4; i++)
		k.packs.v[i].state = i == 1 ? STORE_THAWING : STORE_COLD;
	thaw_job_settle(&k, &k.packs);
	assert_int_equal(k.spent, 1022);
	assert_int_equal(k.ndoubts, 0);
	/* One that was cancelled meanwhile is not made again. */
	assert_int_equal(thaw_job_remove(f->repo, k.name), 0);
	assert_int_equal(thaw_job_open(f->repo, &k, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_ASKS, j.packs.v[0].id, 10),
	    0);
	assert_int_equal(thaw_job_exists(f->repo, &k), 0);
	thaw_job_release(&j);
	thaw_job_release(&k);
}

/* More in doubt than can be: the oldest count as spent. */
static void
test_job_doubts(void **ctx)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX);
	struct thaw_job j, k;
	unsigned i;

	(void)ctx;
	job_make(&j, STORE_THAW_BULK, 1);
	assert_int_equal(thaw_job_encode(&j, &text), 0);
	for (i = 0; i < THAW_DOUBTS + 3; i++)
		buf_printf(&text, "asks %064x 10\n", i);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k), 0);
	assert_int_equal(k.ndoubts, THAW_DOUBTS);
	assert_int_equal(k.spent, 30);
	thaw_job_settle(&k, &k.packs);
	assert_int_equal(k.spent, 10 * (THAW_DOUBTS + 3));
	thaw_job_release(&k);
	buf_printf(&text, "owes %064x 10\n", 1);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k),
	    -FIRN_ECORRUPT);
	thaw_job_release(&j);
	buf_release(&text);
}

static int
on_job(void *ctx, struct thaw_job *j)
{
	unsigned *seen = ctx;

	seen[0]++;
	seen[1] += (unsigned)j->packs.n;
	return 0;
}

static void
test_job_files(void **ctx)
{
	struct fixture *f = *ctx;
	unsigned seen[2] = { 0 };
	struct thaw_job a, b;
	char path[256];
	struct packset s;
	FILE *bad;

	assert_int_equal(thaw_job_each(f->repo, on_job, seen), 0);
	job_make(&a, STORE_THAW_BULK, 3);
	job_make(&b, STORE_THAW_STANDARD, 2);
	assert_int_equal(thaw_job_exists(f->repo, &a), 0);
	assert_int_equal(thaw_job_save(f->repo, &a), 0);
	assert_int_equal(thaw_job_save(f->repo, &b), 0);
	assert_int_equal(thaw_job_exists(f->repo, &a), 1);
	snprintf(path, sizeof(path), "%s/thaw/0123456789abcdef",
	    repo_state_dir(f->repo));
	bad = fopen(path, "w");
	assert_non_null(bad);
	fputs("firn-thaw 1\ntier b", bad);
	fclose(bad);
	assert_int_equal(thaw_job_each(f->repo, on_job, seen), 0);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 5);
	assert_int_equal(access(path, F_OK), -1);
	/* The faster of two counts. */
	packset_init(&s);
	put(&s, 0, "GLACIER", STORE_THAWING, 0);
	put(&s, 2, "GLACIER", STORE_THAWING, 0);
	put(&s, 9, "GLACIER", STORE_THAWING, 0);
	assert_int_equal(thaw_job_recall(f->repo, &s), 0);
	assert_int_equal(s.v[0].tier, STORE_THAW_STANDARD);
	assert_int_equal(s.v[1].tier, STORE_THAW_BULK);
	assert_int_equal(s.v[1].days, 5);
	assert_int_equal(s.v[2].tier, STORE_THAW_TIERS);
	packset_release(&s);
	assert_int_equal(thaw_job_remove(f->repo, a.name), 0);
	assert_int_equal(thaw_job_remove(f->repo, a.name), 0);
	assert_int_equal(thaw_job_exists(f->repo, &a), 0);
	thaw_job_release(&a);
	thaw_job_release(&b);
}

static void
test_lock(void **ctx)
{
	struct fixture *f = *ctx;
	static const volatile int stop = 1;
	int a, b;

	assert_int_equal(thaw_lock(f->repo, NULL, &a), 0);
	assert_int_equal(thaw_lock(f->repo, &stop, &b), -ECANCELED);
	assert_int_equal(b, -1);
	thaw_unlock(a);
	assert_int_equal(thaw_lock(f->repo, &stop, &b), 0);
	thaw_unlock(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_text),
		cmocka_unit_test_setup_teardown(test_job_notes, setup,
		    teardown),
		cmocka_unit_test(test_job_doubts),
		cmocka_unit_test_setup_teardown(test_job_files, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
	};

	log_init("test", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
