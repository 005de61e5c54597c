/* SPDX-License-Identifier: Apache-2.0 */
/* The files that note thaws. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "repo/thaw_owner.h"
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
	/* Of packs that were not looked at nothing is known. */
	thaw_job_settle(&k, &k.packs);
	assert_int_equal(k.spent, 30);
	assert_int_equal(thaw_job_spent(&k), 10 * (THAW_DOUBTS + 3));
	thaw_job_release(&k);
	thaw_job_release(&j);
	buf_release(&text);
}

/* A look at some packs says nothing of others, whose state is an old one. */
static void
test_job_settle(void **ctx)
{
	struct thaw_job j;
	unsigned i;

	(void)ctx;
	job_make(&j, STORE_THAW_BULK, 3);
	for (i = 0; i < 3; i++)
		thaw_job_asks(&j, j.packs.v[i].id, 10);
	j.packs.v[0].flags &= ~(unsigned)PACK_NEEDED;
	j.packs.v[2].state = STORE_THAWING;
	thaw_job_settle(&j, &j.packs);
	assert_int_equal(j.spent, 10);
	assert_int_equal(j.ndoubts, 1);
	assert_memory_equal(j.doubt[0].id, j.packs.v[0].id, OBJECT_ID_SIZE);
	thaw_job_release(&j);
}

/* Lines that are not whole, wherever: the others count, and the job is kept. */
static void
test_job_torn(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_job j, k;
	char path[256];
	FILE *file;
	int fd;

	job_make(&j, STORE_THAW_BULK, 3);
	j.spent = 1000;
	assert_int_equal(thaw_job_save(f->repo, &j), 0);
	snprintf(path, sizeof(path), "%s/thaw/%s", repo_state_dir(f->repo),
	    j.name);
	file = fopen(path, "a");
	assert_non_null(file);
	fprintf(file, "asks 0123\nowes %064x 1\n\nasks 01asks %064x 10\n"
	    "paid %064x 5\nasks 02", 1, 1, 2);
	fclose(file);
	assert_int_equal(thaw_job_open(f->repo, &j, &fd), 0);
	thaw_job_asks(&j, j.packs.v[0].id, 100);
	thaw_job_asks(&j, j.packs.v[1].id, 200);
	assert_int_equal(thaw_job_note_asks(fd, &j, 2), 0);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_PAID, j.packs.v[0].id, 70),
	    0);
	close(fd);
	assert_int_equal(thaw_job_each(f->repo, on_only, &k), 0);
	assert_int_equal(k.packs.n, 3);
	assert_int_equal(k.spent, 1000 + 5 + 70);
	assert_int_equal(k.ndoubts, 2);
	assert_int_equal(thaw_job_spent(&k), 1075 + 10 + 200);
	thaw_job_release(&j);
	thaw_job_release(&k);
}

/* Who does not get a note down whole takes it back. */
static void
test_job_full(void **ctx)
{
	struct fixture *f = *ctx;
	struct rlimit limit, small;
	struct thaw_job j;
	struct stat st, now;
	char path[256];
	int fd, err;

	job_make(&j, STORE_THAW_BULK, 2);
	assert_int_equal(thaw_job_save(f->repo, &j), 0);
	snprintf(path, sizeof(path), "%s/thaw/%s", repo_state_dir(f->repo),
	    j.name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(thaw_job_open(f->repo, &j, &fd), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = (rlim_t)st.st_size + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	thaw_job_asks(&j, j.packs.v[0].id, 100);
	err = thaw_job_note_asks(fd, &j, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(stat(path, &now), 0);
	assert_int_equal(now.st_size, st.st_size);
	close(fd);
	thaw_job_remove(f->repo, j.name);
	thaw_job_release(&j);
}

static int
owner_file(struct repo *r, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/thaw/%s.owner", repo_state_dir(r),
	    name);
	return access(path, F_OK) == 0;
}

/* One is the owner; to ask is not to take; who was killed before it noted its
 * job leaves nothing for long. */
static void
test_owner(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_job j, k;
	int a, b, c;

	job_make(&j, STORE_THAW_BULK, 1);
	assert_int_equal(thaw_owner_lives(f->repo, j.name), 0);
	assert_int_equal(thaw_owner_take(f->repo, &j, &a), 0);
	assert_int_equal(thaw_owner_lives(f->repo, j.name), 1);
	assert_int_equal(thaw_owner_claim(f->repo, j.name, &b), 0);
	assert_int_equal(b, -1);
	thaw_owner_sweep(f->repo);
	assert_int_equal(owner_file(f->repo, j.name), 1);
	close(a);		/* it dies */
	assert_int_equal(thaw_owner_lives(f->repo, j.name), 0);
	assert_int_equal(owner_file(f->repo, j.name), 1);
	assert_int_equal(thaw_owner_claim(f->repo, j.name, &b), 1);
	assert_int_equal(thaw_owner_claim(f->repo, j.name, &c), 0);
	assert_int_equal(thaw_owner_lives(f->repo, j.name), 1);
	assert_int_equal(thaw_job_load(f->repo, j.name, &k), 1);
	thaw_owner_drop(f->repo, j.name, b);
	assert_int_equal(owner_file(f->repo, j.name), 0);
	assert_int_equal(thaw_owner_take(f->repo, &j, &a), 0);
	close(a);
	assert_int_equal(thaw_job_save(f->repo, &j), 0);
	thaw_owner_sweep(f->repo);
	assert_int_equal(owner_file(f->repo, j.name), 1);
	thaw_job_remove(f->repo, j.name);
	thaw_owner_sweep(f->repo);
	assert_int_equal(owner_file(f->repo, j.name), 0);
	thaw_job_release(&j);
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
	/* It may count what was spent. */
	assert_int_equal(access(path, F_OK), -1);
	strcat(path, ".bad");
	assert_int_equal(access(path, F_OK), 0);
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
	assert_int_equal(thaw_lock_within(f->repo, 1, NULL, &b), -EBUSY);
	assert_int_equal(b, -1);
	thaw_unlock(a);
	assert_int_equal(thaw_lock_within(f->repo, 1, &stop, &b), 0);
	thaw_unlock(b);
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
		cmocka_unit_test(test_job_settle),
		cmocka_unit_test_setup_teardown(test_job_torn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_job_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_job_files, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
	};

	log_init("test", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
