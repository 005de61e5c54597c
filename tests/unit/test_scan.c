/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner in front of the walker: what it hands over is what is there, in
 * the walker's order, whatever the walker passes by.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backup/scan.h"
#include "backup/walk.h"
#include "scratch_test.h"

#define MANY	(2 * SCAN_RUN + 7)

struct fixture {
	struct scratch at;
	char text[4][300];
	const char *path[4];
	size_t npaths;
	struct scan_conf conf;
	struct want want;
	struct want_path *paths;
	struct scan *s;
	const char *pass_by;	/* names of directories that begin so */
	unsigned names, dirs, excluded, unseen;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	scratch_init(&f->at, "scan");
	f->conf.exclude = f->at.exclude;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	scan_free(f->s);
	want_release(&f->want);
	want_paths_free(f->paths, f->npaths);
	scratch_release(&f->at);
	free(f);
	return 0;
}

static void
file_make(struct fixture *f, const char *name)
{
	scratch_file(&f->at, name, name, strlen(name));
}

static void
files_make(struct fixture *f, const char *dir, unsigned n)
{
	char name[64];

	assert_int_equal(mkdirat(f->at.fd, dir, 0700), 0);
	while (n-- > 0) {
		snprintf(name, sizeof(name), "%s/%u", dir, n);
		file_make(f, name);
	}
}

/* Of these names in the directory, or of all of it. */
static void
begin(struct fixture *f, const char *const *name, size_t n)
{
	size_t i;

	f->npaths = n > 0 ? n : 1;
	for (i = 0; i < f->npaths; i++) {
		snprintf(f->text[i], sizeof(f->text[i]), "%s/%s", f->at.dir,
		    n > 0 ? name[i] : "");
		f->path[i] = f->text[i];
	}
	assert_int_equal(want_build(f->path, f->npaths, &f->want, &f->paths),
	    0);
	assert_int_equal(scan_new(&f->conf, &f->want, &f->s), 0);
}

/* What is wanted below the want of f->at.dir, or that itself. */
static const struct want *
wanted(struct fixture *f)
{
	const struct want *w = &f->want;

	while (!w->whole && w->n == 1)
		w = &w->child[0];
	return w;
}

static void
assert_same(const struct fsmeta_look *l, int fd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(l->ino, st.st_ino);
	assert_int_equal(l->dev, makedev(major(st.st_dev), minor(st.st_dev)));
	assert_int_equal(l->mode, st.st_mode);
	assert_int_equal(l->nlink, st.st_nlink);
	assert_int_equal(l->size, st.st_size);
	assert_int_equal(l->mtime, st.st_mtim.tv_sec);
	assert_int_equal(l->mtime_ns, st.st_mtim.tv_nsec);
	assert_int_equal(l->ctime_ns, st.st_ctim.tv_nsec);
}

static void walk(struct fixture *f, struct scan_dir *d, int fd);

static void
walk_name(struct fixture *f, struct scan_dir *d, int fd, size_t i,
    const struct scan_name *n)
{
	const char *name = d->names.at[i].name;
	struct scan_dir *sub;
	int sub_fd;

	f->names++;
	f->excluded += n->state == SCAN_EXCLUDED;
	f->unseen += n->state == SCAN_UNSEEN;
	if (n->state == SCAN_UNSEEN)
		return;
	assert_same(&n->look, fd, name);
	assert_int_equal(n->state == SCAN_BELOW, S_ISDIR(n->look.mode) &&
	    n->state != SCAN_EXCLUDED);
	if (n->state != SCAN_BELOW || (f->pass_by != NULL &&
	    strncmp(name, f->pass_by, strlen(f->pass_by)) == 0))
		return;
	sub_fd = openat(fd, name, O_RDONLY | O_DIRECTORY);
	assert_true(sub_fd >= 0);
	sub = scan_below(f->s, d, i);
	assert_non_null(sub);
	walk(f, sub, sub_fd);
	close(sub_fd);
}

/* As the walker goes. */
static void
walk(struct fixture *f, struct scan_dir *d, int fd)
{
	struct scan_run *r = NULL;
	struct stat st;
	size_t i;

	assert_non_null(d);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(d->ino, st.st_ino);
	f->dirs++;
	for (i = 0; i < d->names.n; i++) {
		assert_true(i == 0 || strcmp(d->names.at[i - 1].name,
		    d->names.at[i].name) < 0);
		if (r == NULL || i == r->from + r->n) {
			free(r);
			r = scan_run(f->s, d, i);
			assert_non_null(r);
			assert_int_equal(r->from, i);
			assert_true(r->n > 0 && i + r->n <= d->names.n);
		}
		walk_name(f, d, fd, i, &r->name[i - r->from]);
	}
	free(r);
	scan_release(d);
}

static void
tree_make(struct fixture *f)
{
	files_make(f, "a", 3);
	files_make(f, "a/deep", 1);
	files_make(f, "a/deep/er", MANY);
	files_make(f, "b", MANY);
	files_make(f, "b/0sub", MANY);
	files_make(f, "b/zero", 0);
	files_make(f, "c", 2);
	file_make(f, "file");
	assert_int_equal(symlinkat("a", f->at.fd, "link"), 0);
}

#define TREE_DIRS	8	/* with the one that they are in */
#define TREE_NAMES	(3 + 1 + 3 * MANY + 2 + 2 + TREE_DIRS - 1)

static void
test_all(void **state)
{
	struct fixture *f = *state;

	tree_make(f);
	begin(f, NULL, 0);
	walk(f, scan_root(f->s, wanted(f)), f->at.fd);
	assert_int_equal(f->dirs, TREE_DIRS);
	assert_int_equal(f->names, TREE_NAMES);
	assert_int_equal(f->unseen + f->excluded, 0);
	assert_null(scan_root(f->s, wanted(f)));
}

/* Less memory than a run takes: it goes on as the walker does. */
static void
test_little_memory(void **state)
{
	struct fixture *f = *state;

	f->conf.memory = 1;
	test_all(state);
}

/* What the walker does not ask for is not in its way. */
static void
test_passed_by(void **state)
{
	struct fixture *f = *state;

	tree_make(f);
	f->pass_by = "b";
	begin(f, NULL, 0);
	walk(f, scan_root(f->s, wanted(f)), f->at.fd);
	assert_int_equal(f->dirs, 5);
	assert_int_equal(f->names, TREE_NAMES - 2 * MANY - 2);
}

static void
test_patterns(void **state)
{
	struct fixture *f = *state;

	tree_make(f);
	file_make(f, "c/no.o");
	files_make(f, "d", 3);
	assert_int_equal(symlinkat("x", f->at.fd, "d/CACHEDIR.TAG"), 0);
	f->conf.exclude_caches = 1;
	assert_int_equal(exclude_add(f->at.exclude, "deep/"), 0);
	assert_int_equal(exclude_add(f->at.exclude, "*.o"), 0);
	begin(f, NULL, 0);
	walk(f, scan_root(f->s, wanted(f)), f->at.fd);
	assert_int_equal(f->excluded, 2);
	assert_int_equal(f->dirs, 7);
}

static void
test_cachedir(void **state)
{
	static const char tag[] =
	    "Signature: 8a477f597d28d172789f06886806bc55";
	struct fixture *f = *state;
	struct scan_dir *d;
	int fd;

	files_make(f, "d", 3);
	fd = openat(f->at.fd, "d/CACHEDIR.TAG", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, tag, strlen(tag)), strlen(tag));
	close(fd);
	f->conf.exclude_caches = 1;
	begin(f, (const char *const[]){ "d" }, 1);
	d = scan_root(f->s, wanted(f));
	assert_non_null(d);
	assert_true(d->cachedir);
	assert_int_equal(d->names.n, 1);
	assert_string_equal(d->names.at[0].name, "CACHEDIR.TAG");
	scan_release(d);
}

/* Some paths; one of them is no directory, and one is gone since. */
static void
test_paths(void **state)
{
	static const char *const name[] = { "file", "c", "b", "a" };
	struct fixture *f = *state;
	const struct want *w;
	int fd;

	tree_make(f);
	f->conf.memory = 1;
	begin(f, name, 4);
	w = wanted(f);
	assert_int_equal(w->n, 4);
	/* It waits for us behind the first. */
	assert_int_equal(renameat(f->at.fd, "c", f->at.fd, "gone"), 0);
	fd = openat(f->at.fd, "a", O_RDONLY | O_DIRECTORY);
	walk(f, scan_root(f->s, &w->child[0]), fd);
	close(fd);
	fd = openat(f->at.fd, "b", O_RDONLY | O_DIRECTORY);
	walk(f, scan_root(f->s, &w->child[1]), fd);
	close(fd);
	assert_null(scan_root(f->s, &w->child[2]));
	assert_null(scan_root(f->s, &w->child[3]));
}

/* More names than are listed while others wait. */
static void
test_large(void **state)
{
	struct fixture *f = *state;
	char name[32];
	unsigned i;

	tree_make(f);
	assert_int_equal(mkdirat(f->at.fd, "d", 0700), 0);
	for (i = 0; i < SCAN_MANY + 1; i++) {
		snprintf(name, sizeof(name), "d/%u", i);
		if (i % 1000 == 0)
			file_make(f, name);
		else
			assert_int_equal(symlinkat("x", f->at.fd, name), 0);
	}
	begin(f, NULL, 0);
	walk(f, scan_root(f->s, wanted(f)), f->at.fd);
	assert_int_equal(f->names, TREE_NAMES + 1 + SCAN_MANY + 1);
}

/* Nobody asks, and it waits: it can be ended. */
static void
test_unasked(void **state)
{
	struct fixture *f = *state;

	tree_make(f);
	f->conf.memory = 1;
	begin(f, NULL, 0);
}

static void
test_stop(void **state)
{
	static const volatile int stop = 1;
	struct fixture *f = *state;
	struct scan_dir *d;

	tree_make(f);
	f->conf.stop = &stop;
	begin(f, NULL, 0);
	d = scan_root(f->s, wanted(f));
	if (d != NULL)
		assert_null(scan_run(f->s, d, 0));
	scan_release(d);
	assert_null(scan_root(NULL, wanted(f)));
}

/* A directory that takes long to list is not begun any more. */
static void
test_stop_large(void **state)
{
	static const volatile int stop = 1;
	struct fixture *f = *state;
	char name[32];
	unsigned i;

	assert_int_equal(mkdirat(f->at.fd, "d", 0700), 0);
	for (i = 0; i < SCAN_MANY + 1; i++) {
		snprintf(name, sizeof(name), "d/%u", i);
		assert_int_equal(symlinkat("x", f->at.fd, name), 0);
	}
	f->conf.stop = &stop;
	begin(f, (const char *const[]){ "d" }, 1);
	assert_null(scan_root(f->s, wanted(f)));
}

static void
test_names(void **state)
{
	struct fixture *f = *state;
	struct buf scratch = BUF_INIT(SIZE_MAX / 4);
	struct dirnames d;
	unsigned i, n = 3000;
	int fd;

	files_make(f, "d", n);
	file_make(f, "d/..a");
	file_make(f, "d/.b");
	fd = openat(f->at.fd, "d", O_RDONLY | O_DIRECTORY);
	assert_int_equal(dirnames_read(fd, n, &scratch, &d), -E2BIG);
	dirnames_release(&d);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(dirnames_read(fd, n + 2, &scratch, &d), 0);
	assert_int_equal(d.n, n + 2);
	assert_string_equal(d.at[0].name, "..a");
	assert_string_equal(d.at[1].name, ".b");
	for (i = 1; i < d.n; i++)
		assert_true(strcmp(d.at[i - 1].name, d.at[i].name) < 0);
	dirnames_only(&d, ".b");
	assert_int_equal(d.n, 1);
	assert_string_equal(d.at[0].name, ".b");
	dirnames_only(&d, NULL);
	assert_int_equal(d.n, 0);
	dirnames_release(&d);
	close(fd);
	assert_int_equal(dirnames_read(-1, n, &scratch, &d), -EBADF);
	dirnames_release(&d);
	buf_release(&scratch);
}

/* More than one slot of runs, all of them before the walker asks, and one that
 * the walker keeps while the others go. */
static void
test_many_runs(void **state)
{
	static const char *const name[] = { "d" };
	struct fixture *f = *state;
	struct scan_run *first, *r;
	struct scan_dir *d;
	size_t at;

	files_make(f, "d", 12000);
	begin(f, name, 1);
	scan_settle(f->s);
	d = scan_root(f->s, wanted(f));
	assert_non_null(d);
	assert_int_equal(d->names.n, 12000);
	first = scan_run(f->s, d, 0);
	assert_non_null(first);
	for (at = first->n; at < d->names.n; at += r->n, free(r)) {
		r = scan_run(f->s, d, at);
		assert_non_null(r);
		assert_int_equal(r->name[r->n - 1].state, SCAN_SEEN);
	}
	assert_int_equal(at, d->names.n);
	assert_int_equal(first->from, 0);
	assert_int_equal(first->name[SCAN_RUN - 1].state, SCAN_SEEN);
	free(first);
	scan_release(d);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_all),
		T(test_little_memory),
		T(test_passed_by),
		T(test_patterns),
		T(test_cachedir),
		T(test_paths),
		T(test_large),
		T(test_unasked),
		T(test_stop),
		T(test_stop_large),
		T(test_names),
		T(test_many_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
