/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store, by itself and below a fault store that passes all
 * through: the contract, and what is particular to files.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/store_fault.h"
#include "remove_test.h"
#include "store_contract.h"

struct place {
	char dir[64];
	int fault;
};

static int
place_make(void *ctx)
{
	struct place *p = ctx;

	strcpy(p->dir, "/tmp/firn-store-XXXXXX");
	return mkdtemp(p->dir) != NULL ? 0 : -1;
}

static int
place_open(void *ctx, struct store **out)
{
	static const struct store_fault_conf through = {
		.kind = STORE_FAULT_NONE, .verbs = STORE_FAULT_ALL };
	struct place *p = ctx;
	struct store *s;
	int err = store_open(p->dir, NULL, 1, &s);

	if (err != 0 || !p->fault) {
		*out = s;
		return err;
	}
	err = store_fault_wrap(s, &through, out);
	if (err != 0)
		store_close(s);
	return err;
}

static void
place_unmake(void *ctx)
{
	remove_all(((struct place *)ctx)->dir);
}

/* Entries of a directory but "." and "..". */
static int
count_entries(const char *dir, const char *sub)
{
	char command[128];
	FILE *f;
	int n = -1;

	snprintf(command, sizeof(command), "ls -A '%s/%s' | wc -l", dir, sub);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static int
setup(void **state)
{
	static struct place p;

	*state = &p;
	return place_make(&p);
}

static int
teardown(void **state)
{
	place_unmake(*state);
	return 0;
}

static void
test_open(void **state)
{
	struct place *p = *state;
	char path[128], link[128];
	struct store *s;

	assert_int_equal(store_open("", NULL, 0, &s), -EINVAL);
	assert_int_equal(store_open("ftp://x/y", NULL, 0, &s), -EINVAL);
	assert_int_equal(store_open("file://host/y", NULL, 0, &s), -EINVAL);
	snprintf(path, sizeof(path), "%s/a/b/c", p->dir);
	assert_int_equal(store_open(path, NULL, 0, &s), -ENOENT);
	assert_null(s);
	assert_int_equal(store_open(path, NULL, 1, &s), 0);
	assert_string_equal(store_local_path(s), path);
	store_close(s);
	/* Through a symbolic link, and as a URL. */
	snprintf(link, sizeof(link), "%s/link", p->dir);
	assert_int_equal(symlink("a/b", link), 0);
	snprintf(link, sizeof(link), "file://%s/link/c/", p->dir);
	assert_int_equal(store_open(link, NULL, 0, &s), 0);
	assert_string_equal(store_local_path(s), path);
	assert_string_equal(store_url(s), link);
	assert_int_equal(store_put(s, "x/y", "1", 1, NULL, 0), 0);
	store_close(s);
	/* A file is no directory. */
	snprintf(link, sizeof(link), "%s/a/b/c/x/y", p->dir);
	assert_int_equal(store_open(link, NULL, 0, &s), -ENOTDIR);
	assert_int_equal(store_open(link, NULL, 1, &s), -ENOTDIR);
	store_close(NULL);
}

/* A signal handler's call, before, while and after a store is open. */
static void
test_stop(void **state)
{
	static struct store_stop stop, early;
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct place *p = *state;
	struct store_stat st;
	struct store *s, *other;

	conf.stop = &stop;
	assert_int_equal(store_open(p->dir, &conf, 1, &s), 0);
	assert_int_equal(store_stat(s, "x", &st), -ENOENT);
	store_stop_fire(&stop);
	assert_int_equal(store_stat(s, "x", &st), -ECANCELED);
	store_close(s);
	store_stop_fire(&stop);
	store_stop_fire(&early);
	conf.stop = &early;
	assert_int_equal(store_open(p->dir, &conf, 0, &s), 0);
	assert_int_equal(store_stat(s, "x", &st), -ECANCELED);
	/* One opened without it goes on. */
	assert_int_equal(store_open(p->dir, NULL, 0, &other), 0);
	assert_int_equal(store_stat(other, "x", &st), -ENOENT);
	store_close(s);
	store_close(other);
}

/* What is no object is neither listed nor read. */
static int
count_one(void *ctx, const char *name, const struct store_stat *st)
{
	(void)name;
	(void)st;
	++*(int *)ctx;
	return 0;
}

static void
test_strangers(void **state)
{
	struct place *p = *state;
	char command[512];
	struct store *s;
	size_t got;
	uint8_t b;
	int n = 0;

	snprintf(command, sizeof(command), "cd '%s' && mkdir -p tmp data "
	    "'lost+found' && touch tmp/1 data/UPPER 'data/a b' data/ok "
	    "'lost+found/x' && mkfifo data/fifo && ln -s none data/dangling",
	    p->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(store_open(p->dir, NULL, 0, &s), 0);
	assert_int_equal(store_list(s, "", count_one, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_get(s, "data/fifo", 0, &b, 1, &got), -ENOENT);
	store_close(s);
}

static void
test_sweep(void **state)
{
	struct place *p = *state;
	char path[128], command[256];
	struct store *s;
	int live;

	snprintf(command, sizeof(command), "mkdir '%s/tmp' && cd '%s/tmp' && "
	    "touch new && touch -d '2 days ago' old live", p->dir, p->dir);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/tmp/live", p->dir);
	live = open(path, O_RDWR);
	assert_int_equal(flock(live, LOCK_EX), 0);
	assert_int_equal(store_open(p->dir, NULL, 0, &s), 0);
	assert_int_equal(count_entries(p->dir, "tmp"), 3);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	assert_int_equal(count_entries(p->dir, "tmp"), 2);
	close(live);
	store_close(s);
	assert_int_equal(store_open(p->dir, NULL, 1, &s), 0);
	assert_int_equal(count_entries(p->dir, "tmp"), 1);
	store_close(s);
}

/* A write that fails half-way leaves nothing; a limit on the size of files
 * stands in for a full disk. */
static void
test_write_fails(void **state)
{
	struct rlimit old, small;
	struct place *p = *state;
	struct store_stat st;
	struct store *s;
	char *data = calloc(1, 3u << 20);
	int err;

	assert_int_equal(store_open(p->dir, NULL, 1, &s), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 2u << 20;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	err = store_put(s, "data/00/x", data, 3u << 20, NULL, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, -EFBIG);
	assert_int_equal(store_stat(s, "data/00/x", &st), -ENOENT);
	assert_int_equal(count_entries(p->dir, "tmp"), 0);
	/* A name that is a directory of another. */
	assert_int_equal(store_put(s, "data/00/x", data, 3u << 20, NULL, 0), 0);
	assert_true(store_put(s, "data/00/x/y", data, 1, NULL, 0) < 0);
	assert_true(store_put(s, "data/00", data, 1, NULL, 0) < 0);
	assert_int_equal(count_entries(p->dir, "tmp"), 0);
	store_close(s);
	free(data);
}

/* More objects than open files are kept, read in turn. */
static void
test_many_open(void **state)
{
	struct place *p = *state;
	struct store *s;
	char name[32], buf[32];
	size_t got;
	int i, turn;

	assert_int_equal(store_open(p->dir, NULL, 1, &s), 0);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "data/%d", i);
		assert_int_equal(store_put(s, name, name, strlen(name), NULL,
		    0), 0);
	}
	for (turn = 0; turn < 2; turn++)
		for (i = 0; i < 200; i++) {
			snprintf(name, sizeof(name), "data/%d", i);
			assert_int_equal(store_get(s, name, 0, buf, 32, &got),
			    0);
			assert_int_equal(got, strlen(name));
			assert_memory_equal(buf, name, got);
		}
	snprintf(buf, sizeof(buf), "/proc/%d", (int)getpid());
	assert_true(count_entries(buf, "fd") < 100);
	store_close(s);
}

static void
test_fault(void **state)
{
	struct store_fault_conf plan = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_PUT), .nth = 2, .err = -EIO };
	struct place *p = *state;
	struct store *inner, *s;
	struct store_stat st;
	char buf[8];
	size_t got;

	assert_int_equal(store_open(p->dir, NULL, 1, &inner), 0);
	assert_int_equal(store_fault_wrap(inner, &plan, &s), 0);
	assert_string_equal(store_local_path(s), p->dir);
	assert_int_equal(store_put(s, "a", "aaaa", 4, NULL, 0), 0);
	assert_int_equal(store_put(s, "b", "bbbb", 4, NULL, 0), -EIO);
	assert_int_equal(store_stat(s, "b", &st), -ENOENT);
	assert_int_equal(store_put(s, "b", "bbbb", 4, NULL, 0), 0);
	assert_int_equal(store_fault_calls(s), 3);
	assert_int_equal(store_fault_hits(s), 1);
	plan = (struct store_fault_conf){ .kind = STORE_FAULT_COMMIT,
	    .verbs = STORE_FAULT_ALL, .nth = 1, .every = 2, .err = -EPIPE };
	store_fault_set(s, &plan);
	assert_int_equal(store_put(s, "c", "cccc", 4, NULL, 0), -EPIPE);
	assert_int_equal(store_get(s, "c", 0, buf, 8, &got), 0);
	assert_int_equal(got, 4);
	assert_int_equal(store_stat(s, "c", &st), -EPIPE);
	plan = (struct store_fault_conf){ .kind = STORE_FAULT_SHORT,
	    .verbs = STORE_FAULT_ALL, .nth = 1, .every = 1, .prefix = "a" };
	store_fault_set(s, &plan);
	assert_int_equal(store_get(s, "c", 0, buf, 8, &got), 0);
	assert_int_equal(got, 4);
	assert_int_equal(store_get(s, "a", 0, buf, 8, &got), 0);
	assert_int_equal(got, 2);
	plan.kind = STORE_FAULT_CORRUPT;
	store_fault_set(s, &plan);
	assert_int_equal(store_get(s, "a", 0, buf, 8, &got), 0);
	assert_int_equal(got, 4);
	assert_memory_not_equal(buf, "aaaa", 4);
	store_close(s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	struct place p = { "", 0 };
	struct store_contract c = { place_make, place_open, place_unmake, &p };
	const struct CMUnitTest tests[] = {
		CASE(test_open),
		CASE(test_stop),
		CASE(test_strangers),
		CASE(test_sweep),
		CASE(test_write_fails),
		CASE(test_many_open),
		CASE(test_fault),
	};
	int failed;

	failed = store_contract_run("store contract: local", &c);
	p.fault = 1;
	failed += store_contract_run("store contract: fault", &c);
	failed += cmocka_run_group_tests_name("store_local", tests, NULL, NULL);
	return failed != 0;
}
