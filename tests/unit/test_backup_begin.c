/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes between the look ahead of a run and the run itself: neither it
 * nor the next one may be taken in.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "repo_test.h"

#include "backup/backup.h"
#include "backup/scan.h"
#include "backup/walk.h"
#include "repo/generation.h"
#include "repo/tree_read.h"

#define SETTLED_NS	60000000	/* longer than any grain of a clock */

struct run {
	struct fixture *f;
	char src[128];
	const char *path;
	struct backup_conf conf;
	struct backup_result res;
};

static void
put(struct run *r, const char *name, const char *text)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", r->src, name);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void
dir_make(struct run *r, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", r->src, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
dir_move(struct run *r, const char *from, const char *to)
{
	char a[256], b[256];

	snprintf(a, sizeof(a), "%s/%s", r->src, from);
	snprintf(b, sizeof(b), "%s/%s", r->f->dir, to);
	assert_int_equal(rename(a, b), 0);
}

static void
move(struct run *r, const char *from, const char *to)
{
	char a[256], b[256];

	snprintf(a, sizeof(a), "%s/%s", r->src, from);
	snprintf(b, sizeof(b), "%s/%s", r->src, to);
	assert_int_equal(rename(a, b), 0);
}

static void
mode_set(struct run *r, const char *name, mode_t mode)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", r->src, name);
	assert_int_equal(chmod(path, mode), 0);
}

/* Until what was written counts as settled. */
static void
settle(void)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_REALTIME, &begin);
	do {
		clock_gettime(CLOCK_REALTIME, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec -
	    begin.tv_nsec < SETTLED_NS);
}

static void
run_init(struct run *r, struct fixture *f)
{
	memset(r, 0, sizeof(*r));
	r->f = f;
	snprintf(r->src, sizeof(r->src), "%s/src", f->dir);
	assert_int_equal(mkdir(r->src, 0700), 0);
	r->path = r->src;
	r->conf = (struct backup_conf){ .paths = &r->path, .npaths = 1,
	    .host = "h", .series = "s", .program = "test", .level = 3 };
}

/* All that can be looked at ahead is. */
static void
begin(struct run *r)
{
	assert_int_equal(backup_begin(&r->conf, &r->conf.start), 0);
	assert_non_null(r->conf.start->scan);
	scan_settle(r->conf.start->scan);
}

static void
go(struct run *r)
{
	assert_int_equal(backup_run(r->f->repo, &r->conf, &r->res), 0);
	backup_forget(r->conf.start);
	r->conf.start = NULL;
	assert_int_equal(r->res.has_generation, 1);
	assert_int_equal(r->res.p.errors, 0);
}

/* Seen as unchanged, and then changed: in this generation or in the next. */
static void
test_changed(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	put(&r, "a", "one");
	put(&r, "b", "other");
	settle();
	go(&r);
	assert_int_equal(r.res.p.bytes_read, 8);
	settle();
	begin(&r);
	put(&r, "a", "two and more");
	go(&r);
	assert_int_equal(r.res.p.unchanged, 2);
	go(&r);
	assert_int_equal(r.res.p.bytes, 12 + 5);
	assert_int_equal(r.res.p.unchanged, 1);
}

/* Of the same size and, for all that the clock knows, the same time. */
static void
test_unsettled(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	begin(&r);
	put(&r, "a", "one");
	go(&r);
	go(&r);
	assert_int_equal(r.res.p.unchanged, 0);
	assert_int_equal(r.res.p.bytes_read, 3);
}

/* Whose a file is when it is read has a name in the record. */
static void
test_owner(void **ctx)
{
	struct generation_list list;
	const struct genrec *rec;
	struct run r;
	char path[256];
	size_t i;

	if (geteuid() != 0)
		skip();
	run_init(&r, *ctx);
	put(&r, "a", "one");
	begin(&r);
	snprintf(path, sizeof(path), "%s/a", r.src);
	assert_int_equal(chown(path, 54321, 54321), 0);
	go(&r);
	assert_int_equal(generation_list(r.f->repo, &list), 0);
	rec = &generation_newest(&list, "h", "s")->rec;
	for (i = 0; i < rec->nusers && rec->users[i].number != 54321; i++)
		;
	assert_true(i < rec->nusers);
	generation_list_release(&list);
}

/* Another directory in the place of one that was looked at. */
static void
test_replaced(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	dir_make(&r, "d");
	put(&r, "d/x", "xx");
	put(&r, "e", "e");
	begin(&r);
	dir_move(&r, "d", "elsewhere");
	dir_make(&r, "d");
	put(&r, "d/y", "yyy");
	go(&r);
	assert_int_equal(r.res.p.files, 2);
	assert_int_equal(r.res.p.bytes, 4);
}

/* Mode of what the newest generation has below src. */
static uint32_t
kept_mode(struct run *r, const char *name)
{
	const struct reader_conf rc = { .threads = 1 };
	struct tree_pos pos = TREE_POS_INIT;
	struct generation_list list;
	struct reader *reader;
	struct tree *tree;
	char path[256];
	uint32_t mode;

	snprintf(path, sizeof(path), "%s/%s", r->src, name);
	assert_int_equal(generation_list(r->f->repo, &list), 0);
	assert_int_equal(reader_new(r->f->repo, &rc, &reader), 0);
	assert_int_equal(tree_new(reader, 1 << 20, &tree), 0);
	assert_int_equal(tree_resolve(tree, generation_newest(&list, "h",
	    "s")->rec.root, path, &pos), 0);
	mode = tree_entry(&pos)->mode;
	tree_pos_release(tree, &pos);
	tree_free(tree);
	reader_free(reader);
	generation_list_release(&list);
	return mode & 07777;
}

/* It has the attributes of what it holds. */
static void
test_replaced_mode(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	dir_make(&r, "d");
	put(&r, "d/x", "xx");
	begin(&r);
	dir_move(&r, "d", "elsewhere");
	dir_make(&r, "d");
	mode_set(&r, "d", 0500);
	go(&r);
	mode_set(&r, "d", 0700);
	assert_int_equal(kept_mode(&r, "d"), 0500);
}

/* A file that got its name since, as editors and downloads do it, in a
 * directory that has others, some of them of names that meant others. */
static void
test_renamed(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	dir_make(&r, "d");
	dir_make(&r, "d/b");
	put(&r, "d/b/x", "xx");
	dir_make(&r, "d/c");
	put(&r, "d/c/y", "yyy");
	put(&r, "d/m.part", "mmmm");
	put(&r, "d/z", "zzzzz");
	settle();
	begin(&r);
	move(&r, "d/m.part", "d/a");
	dir_move(&r, "d/b", "elsewhere");
	put(&r, "d/b", "bbbbbb");
	go(&r);
	assert_int_equal(r.res.p.files, 4);
	assert_int_equal(r.res.p.bytes, 3 + 4 + 5 + 6);
}

/* What is seen as a file and read is what it is by then. */
static void
test_grown(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	put(&r, "a", "one");
	begin(&r);
	put(&r, "a", "two and more");
	go(&r);
	assert_int_equal(r.res.p.bytes_read, 12);
}

/* Ended before it was through: the walk does what is left. */
static void
test_ended(void **ctx)
{
	volatile int stop = 1;
	struct run r;

	run_init(&r, *ctx);
	put(&r, "a", "one");
	dir_make(&r, "d");
	put(&r, "d/x", "xx");
	put(&r, "e", "e");
	r.conf.stop = &stop;
	begin(&r);
	stop = 0;
	go(&r);
	assert_int_equal(r.res.p.files, 3);
	assert_int_equal(r.res.p.bytes, 6);
}

/* It ends by itself, also when nothing was asked of it. */
static void
test_forgotten(void **ctx)
{
	struct run r;

	run_init(&r, *ctx);
	put(&r, "a", "one");
	assert_int_equal(backup_begin(&r.conf, &r.conf.start), 0);
	backup_forget(r.conf.start);
	backup_forget(NULL);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_changed),
		CASE(test_unsettled),
		CASE(test_owner),
		CASE(test_replaced),
		CASE(test_replaced_mode),
		CASE(test_renamed),
		CASE(test_grown),
		CASE(test_ended),
		CASE(test_forgotten),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
