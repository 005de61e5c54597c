/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the target: entered and left by the walker, finished by
 * whoever lets go of them last.
 *
 * The walker keeps those that it is in on a stack.  When too many are open it
 * shuts the ones nearest the top, which it will need last, and then waits for
 * those that only wait for jobs.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/log.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void
count_open(struct restore *r, int by)
{

	pthread_mutex_lock(&r->lock);
	r->open_dirs += (unsigned)by;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
}

static int
push(struct restore *r, struct rdir *d)
{
	struct rdir **v;
	size_t cap;

	if (r->depth == r->cap) {
		cap = r->cap * 2 + 64;
		v = realloc(r->stack, cap * sizeof(struct rdir *));
		if (v == NULL)
			return -ENOMEM;
		r->stack = v;
		r->cap = cap;
	}
	r->stack[r->depth++] = d;
	return 0;
}

static int
identify(struct rdir *d)
{
	struct stat st;

	if (fstat(d->fd, &st) != 0)
		return -errno;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	return 0;
}

static void
rdir_free(struct rdir *d)
{

	if (d->fd >= 0)
		close(d->fd);
	free(d->item);
	free(d->top);
	free(d);
}

static int
rdir_new(const struct entry *e, struct rdir **out)
{
	struct rdir *d;
	int err;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->fd = -1;
	d->refs = 1;
	err = e == NULL ? 0 : restore_item_new(e, &d->item);
	if (err != 0) {
		free(d);
		return err;
	}
	*out = d;
	return 0;
}

static void
set_tree(struct rdir *d, const uint8_t *id)
{

	d->has_tree = 1;
	memcpy(d->id, id, sizeof(d->id));
}

/* Without root, we need leave to write in what is there; its mode comes last. */
static void
make_writable(const struct restore *r, const struct rdir *d)
{
	struct stat st;

	if (geteuid() != 0 && r->conf->overwrite != RESTORE_NEVER &&
	    fstat(d->fd, &st) == 0 && (st.st_mode & 0700) != 0700)
		fchmod(d->fd, (st.st_mode & 07777) | 0700);
}

int
rdir_top(struct restore *r, const char *target, int fd, int existed,
    int bare, const struct entry *e, const uint8_t *id)
{
	struct rdir *d = NULL;
	int err;

	err = rdir_new(e, &d);
	if (err != 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	d->fd = fd;
	d->existed = existed;
	d->bare = bare;
	d->top = strdup(target);
	if (id != NULL)
		set_tree(d, id);
	err = d->top == NULL ? -ENOMEM : fd >= 0 ? identify(d) : 0;
	if (err == 0)
		err = push(r, d);
	if (err != 0)
		rdir_free(d);
	else if (fd >= 0)
		count_open(r, 1);
	/* One that is not to get a mode would keep this one. */
	if (err == 0 && fd >= 0 && existed && e != NULL && !bare &&
	    !r->conf->dry_run)
		make_writable(r, d);
	return err;
}

/*
 * Wait, or shut directories, until one more may be opened.  The last of the
 * stack stays open.
 */
static void
make_room(struct restore *r)
{
	struct rdir *d;
	int fd;

	pthread_mutex_lock(&r->lock);
	while (r->open_dirs >= r->open_max) {
		d = r->shut + 1 < r->depth ? r->stack[r->shut] : NULL;
		if (d != NULL && d->jobs == 0) {
			fd = d->fd;
			d->fd = -1;
			d->shut = fd >= 0;
			r->shut++;
			r->open_dirs -= fd >= 0;
			pthread_mutex_unlock(&r->lock);
			if (fd >= 0)
				close(fd);
			pthread_mutex_lock(&r->lock);
		} else if (r->jobs > 0) {
			pthread_cond_wait(&r->change, &r->lock);
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&r->lock);
}

/* Something that is no directory stands where one is to go. */
static int
replace(struct restore *r, struct rdir *parent, const char *name)
{

	if (r->conf->overwrite == RESTORE_NEVER)
		return -ENOTDIR;
	if (unlinkat(parent->fd, name, 0) != 0)
		return -errno;
	return mkdirat(parent->fd, name, 0700) == 0 ? 0 : -errno;
}

static int
open_existing(struct restore *r, struct rdir *parent, struct rdir *d)
{
	const char *name = d->item->name;
	int err;

	d->existed = 1;
	d->fd = openat(parent->fd, name, DIR_FLAGS);
	if (d->fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		err = replace(r, parent, name);
		if (err != 0)
			return err;
		d->existed = 0;
		d->fd = openat(parent->fd, name, DIR_FLAGS);
	}
	if (d->fd < 0 && errno == EACCES &&
	    r->conf->overwrite != RESTORE_NEVER &&
	    fchmodat(parent->fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		d->fd = openat(parent->fd, name, DIR_FLAGS);
	if (d->fd < 0)
		return -errno;
	make_writable(r, d);
	return 0;
}

static int
rdir_open(struct restore *r, struct rdir *parent, struct rdir *d)
{
	const char *name = d->item->name;
	int err = 0;

	if (r->conf->dry_run) {
		if (parent->fd >= 0)
			d->fd = openat(parent->fd, name, DIR_FLAGS);
		d->existed = d->fd >= 0;
		return 0;
	}
	if (mkdirat(parent->fd, name, 0700) == 0)
		d->fd = openat(parent->fd, name, DIR_FLAGS);
	else if (errno == EEXIST)
		err = open_existing(r, parent, d);
	if (err == 0 && d->fd < 0)
		err = -errno;
	return err;
}

static void
enter_failed(struct restore *r, struct rdir *parent, struct rdir *d,
    const struct entry *e, int err)
{
	char *path;

	path = d == NULL ? NULL : restore_path(parent, d->item->name);
	if (path == NULL)
		log_err(err, "cannot restore directory '%.*s'",
		    (int)e->namelen, e->name);
	else
		restore_local_err(r, err, "restore directory", path);
	free(path);
	restore_failed(r);
	if (d != NULL)
		rdir_free(d);
}

void
rdir_enter(struct restore *r, const struct entry *e)
{
	struct rdir *parent = r->stack[r->depth - 1], *d = NULL;
	int err;

	make_room(r);
	err = rdir_new(e, &d);
	if (err == 0)
		err = rdir_open(r, parent, d);
	if (err == 0 && d->fd >= 0)
		err = identify(d);
	if (err == 0)
		err = push(r, d);
	if (err != 0) {
		enter_failed(r, parent, d, e, err);
		return;
	}
	if (e->flags & ENTRY_SUBTREE)
		set_tree(d, e->tree_id);
	d->parent = parent;
	pthread_mutex_lock(&r->lock);
	parent->refs++;
	r->open_dirs += d->fd >= 0;
	pthread_mutex_unlock(&r->lock);
	if (d->existed)
		restore_clean(r, d);
}

/* All in it is done: its metadata, and close it. */
static void
finish(struct restore *r, struct rdir *d)
{
	int shown = d->item != NULL && !d->bare;
	char *path;

	path = restore_path(d, NULL);
	if (shown && d->fd >= 0 && !r->conf->dry_run &&
	    !restore_stopping(r) && path != NULL &&
	    !(d->existed && r->conf->overwrite == RESTORE_NEVER))
		restore_meta(r, d->fd, ".", path, &d->item->e);
	if (shown && !d->lost && !restore_stopping(r)) {
		pthread_mutex_lock(&r->lock);
		r->result->dirs++;
		pthread_mutex_unlock(&r->lock);
		if (!d->existed && path != NULL)
			restore_report(r, path, &d->item->e, "restored");
	}
	free(path);
	if (d->fd >= 0)
		count_open(r, -1);
	rdir_free(d);
}

static void
unref(struct restore *r, struct rdir *d, unsigned jobs)
{
	struct rdir *parent;
	int last;

	while (d != NULL) {
		pthread_mutex_lock(&r->lock);
		last = --d->refs == 0;
		d->jobs -= jobs;
		pthread_cond_broadcast(&r->change);
		pthread_mutex_unlock(&r->lock);
		if (!last)
			return;
		jobs = 0;
		parent = d->parent;
		finish(r, d);
		d = parent;
	}
}

void
rdir_unref_job(struct restore *r, struct rdir *d)
{

	unref(r, d, 1);
	/* Not before all that it kept open is closed: the walker waits while
	 * there are jobs. */
	pthread_mutex_lock(&r->lock);
	r->jobs--;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
}

/* 1 when fd is the directory d. */
static int
is_it(const struct rdir *d, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == d->dev &&
	    st.st_ino == d->ino;
}

/* Down from the target to the stack's level n. */
static int
open_from_top(struct restore *r, size_t n)
{
	size_t i;
	int fd, next;

	fd = openat(r->top_fd, ".", DIR_FLAGS);
	for (i = 1; fd >= 0 && i <= n; i++) {
		next = openat(fd, r->stack[i]->item->name, DIR_FLAGS);
		close(fd);
		fd = next;
	}
	return fd;
}

/* Open the directory above the last of the stack again. */
static void
reopen(struct restore *r)
{
	struct rdir *last = r->stack[r->depth - 1];
	struct rdir *d = r->stack[r->depth - 2];
	char *path;
	int fd = -1;

	if (!d->shut)
		return;
	/* What was left below may have more open than it should: there, jobs
	 * go on that will let go of it. */
	pthread_mutex_lock(&r->lock);
	while (r->open_dirs >= r->open_max && r->jobs > 0)
		pthread_cond_wait(&r->change, &r->lock);
	pthread_mutex_unlock(&r->lock);
	if (last->fd >= 0)
		fd = openat(last->fd, "..", DIR_FLAGS);
	if (fd >= 0 && !is_it(d, fd)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = open_from_top(r, r->depth - 2);
	if (fd >= 0 && is_it(d, fd)) {
		d->fd = fd;
		d->shut = 0;
		count_open(r, 1);
		return;
	}
	if (fd >= 0)
		close(fd);
	d->lost = 1;
	path = restore_path(d, NULL);
	log_err(-ESTALE, "directory '%s' was moved while it was restored",
	    path != NULL ? path : "?");
	free(path);
	restore_failed(r);
}

void
rdir_leave(struct restore *r)
{
	struct rdir *d = r->stack[r->depth - 1];

	if (r->depth >= 2 && r->shut == r->depth - 1) {
		r->shut--;
		if (!restore_stopping(r))
			reopen(r);
	}
	r->depth--;
	unref(r, d, 0);
}
