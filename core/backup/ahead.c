/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that the walker is in are a stack; threads take the deepest that
 * has something to do, since the walker comes there first.  What one takes is a
 * directory, or a run of other names.
 *
 * Locks: `lock` guards all that is not constant.  Nothing is taken inside it,
 * and no file is touched under it.  `pos` and `cold` are read without.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backup/ahead.h"
#include "backup/exclude.h"
#include "backup/walk_internal.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"

#define THREADS		4
#define DEVICE		makedev(1, 0)	/* any that accounts for reads */
#define DIRS_MAX	32	/* on the stack; what is deeper goes without */
#define RUN		16	/* names taken at once */
#define COLD_FOR	8	/* directories after one that had to wait */
#define LOOK_EVERY	64	/* directories, at one of them when warm */

enum took { TOOK_NOT, TOOK_ALL, TOOK_SOME };

struct ahead_dir {
	struct ahead *a;
	struct ahead_dir *below;	/* on the stack: nearer to the root */
	struct ahead_place place;	/* its descriptor our own */
	char *path;
	int files_done;			/* looked at from above */
	atomic_size_t pos;		/* the walker's */
	size_t next;			/* nobody has taken it yet */
	unsigned busy;			/* threads at it */
	atomic_int left;
	unsigned char *took;		/* of each name that is a directory */
};

struct ahead {
	struct ahead_conf conf;
	struct pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct ahead_dir *top;
	unsigned depth, idle;
	int stop;
	atomic_int cold;	/* directories until it counts as warm */
	/* The walker's own. */
	unsigned entered;
	long inblock;
};

/* What a thread has at hand. */
struct look {
	struct ahead *a;
	struct ahead_dir *d;
	struct buf path;
	uint64_t bytes;
};

/* Reads of this thread so far; of what no device accounts for (NFS), its waits,
 * of which some are for other reasons. */
long
ahead_waits(uint64_t dev)
{
	struct rusage u;

	if (getrusage(RUSAGE_THREAD, &u) != 0)
		return 0;
	return u.ru_inblock + (major(dev) == 0 ? u.ru_nvcsw : 0);
}

int
ahead_waited(uint64_t dev, long before, size_t names)
{
	long some = major(dev) == 0 ? 1 + (long)(names / 8) : 0;

	return ahead_waits(dev) - before > some;
}

static int
is_excluded(struct look *l, const char *name, int is_dir)
{
	size_t len = l->path.len;
	int yes;

	if (l->a->conf.exclude == NULL)
		return 0;
	if (buf_add(&l->path, "/", 1) != 0 ||
	    buf_add(&l->path, name, strlen(name)) != 0)
		return 1;
	yes = buf_cstr(&l->path) == NULL ||
	    exclude_match(l->a->conf.exclude, buf_cstr(&l->path), is_dir);
	l->path.len = len;
	return yes;
}

/* One name that is no directory, of the directory whose path stands in l. */
static void
look_at(struct look *l, int dirfd, const struct ahead_name *n)
{
	struct stat st;
	off_t len;
	int fd;

	if (is_excluded(l, n->name, 0))
		return;
	if (n->type != DT_REG || !l->d->place.contents) {
		(void)fstatat(dirfd, n->name, &st, AT_SYMLINK_NOFOLLOW);
		return;
	}
	fd = walk_open(dirfd, n->name, O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		len = st.st_size < AHEAD_FILE ? st.st_size : AHEAD_FILE;
		(void)posix_fadvise(fd, 0, len, POSIX_FADV_WILLNEED);
		l->bytes += (uint64_t)len;
	}
	close(fd);
}

static int
ino_order(const void *a, const void *b)
{
	const struct ahead_name *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Names of an open directory but those of directories, in the order of their
 * inodes; whether they are all. */
static size_t
names_of(DIR *dp, struct buf *text, struct ahead_name *name, int caches,
    int *all)
{
	size_t off[AHEAD_DIR_FILES], n = 0, i;
	struct dirent *e;

	*all = 1;
	while ((e = readdir(dp)) != NULL) {
		/* Left out by the walker, but for this one. */
		if (caches && strcmp(e->d_name, "CACHEDIR.TAG") == 0)
			return 0;
		if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)
			continue;
		*all = n < AHEAD_DIR_FILES;
		if (!*all)
			break;
		off[n] = text->len;
		name[n] = (struct ahead_name){ NULL, e->d_ino, e->d_type };
		if (buf_add(text, e->d_name, strlen(e->d_name) + 1) != 0)
			break;
		n++;
	}
	for (i = 0; i < n; i++)
		name[i].name = (char *)text->data + off[i];
	qsort(name, n, sizeof(*name), ino_order);
	return n;
}

static int
is_other(struct look *l, int fd)
{
	const struct ahead_conf *c = &l->a->conf;
	struct stat st;
	unsigned i;

	/* What other file systems hold may not be wanted. */
	if (fstat(fd, &st) != 0 || st.st_dev != l->d->place.dev)
		return 1;
	for (i = 0; i < c->nskips; i++)
		if (c->skip_dev[i] == st.st_dev && c->skip_ino[i] == st.st_ino)
			return 1;
	return 0;
}

/* The files of a directory in the one at hand. */
static enum took
look_into(struct look *l, const char *dir)
{
	struct ahead_name name[AHEAD_DIR_FILES];
	struct buf text = BUF_INIT(AHEAD_DIR_FILES * 512);
	size_t n = 0, i;
	int fd, all = 1;
	DIR *dp;

	if (is_excluded(l, dir, 1))
		return TOOK_ALL;
	fd = walk_open(l->d->place.fd, dir, O_DIRECTORY);
	dp = fd >= 0 ? fdopendir(fd) : NULL;
	if (dp == NULL) {
		if (fd >= 0)
			close(fd);
		return TOOK_NOT;
	}
	if (!is_other(l, fd) && buf_add(&l->path, "/", 1) == 0 &&
	    buf_add(&l->path, dir, strlen(dir)) == 0)
		n = names_of(dp, &text, name, l->a->conf.exclude_caches, &all);
	for (i = 0; i < n && l->bytes < AHEAD_DIR_BYTES; i++) {
		if (atomic_load(&l->d->left))
			break;
		look_at(l, fd, &name[i]);
	}
	closedir(dp);
	buf_release(&text);
	return all && i == n ? TOOK_ALL : TOOK_SOME;
}

/* A run of other names. */
static void
look_along(struct look *l, size_t from, size_t to)
{
	struct ahead_name name[RUN];
	size_t n = to - from, i;

	memcpy(name, l->d->place.name + from, n * sizeof(*name));
	qsort(name, n, sizeof(*name), ino_order);
	for (i = 0; i < n && !atomic_load(&l->d->left); i++)
		look_at(l, l->d->place.fd, &name[i]);
}

/* What of d is to be taken next: [*from, *to).  Under the lock. */
static int
dir_next(struct ahead_dir *d, size_t *from, size_t *to)
{
	size_t pos = atomic_load(&d->pos), dirs = 0, i;

	if (d->next <= pos)
		d->next = pos + 1;
	for (i = pos + 1; i < d->next && i < d->place.n; i++)
		dirs += d->place.name[i].type == DT_DIR;
	while (d->files_done && d->next < d->place.n &&
	    d->place.name[d->next].type != DT_DIR)
		d->next++;
	if (d->next >= d->place.n || d->next > pos + AHEAD_NAMES ||
	    dirs >= AHEAD_DIRS)
		return 0;
	*from = d->next;
	*to = d->next + 1;
	if (d->place.name[*from].type != DT_DIR)
		while (*to < d->place.n && *to - *from < RUN &&
		    d->place.name[*to].type != DT_DIR)
			++*to;
	return 1;
}

static struct ahead_dir *
next(struct ahead *a, size_t *from, size_t *to)
{
	struct ahead_dir *d;

	for (d = a->top; d != NULL; d = d->below)
		if (dir_next(d, from, to))
			return d;
	return NULL;
}

static void
look(struct ahead *a, struct ahead_dir *d, size_t from, size_t to)
{
	struct look l = { .a = a, .d = d };
	long before = ahead_waits(d->place.dev);
	enum took took = TOOK_NOT;

	buf_init(&l.path, SIZE_MAX / 4);
	if (a->conf.exclude == NULL ||
	    buf_add(&l.path, d->path, strlen(d->path)) == 0) {
		if (d->place.name[from].type == DT_DIR)
			took = look_into(&l, d->place.name[from].name);
		else
			look_along(&l, from, to);
	}
	buf_release(&l.path);
	if (ahead_waits(d->place.dev) != before)
		atomic_store(&a->cold, COLD_FOR);
	pthread_mutex_lock(&a->lock);
	d->took[from] = took;
	pthread_mutex_unlock(&a->lock);
}

static void
ahead_work(void *ctx)
{
	struct ahead *a = ctx;
	struct ahead_dir *d;
	size_t from, to;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		d = next(a, &from, &to);
		if (d == NULL) {
			if (++a->idle == THREADS)
				pthread_cond_broadcast(&a->done);
			pthread_cond_wait(&a->work, &a->lock);
			a->idle--;
			continue;
		}
		d->next = to;
		d->busy++;
		pthread_mutex_unlock(&a->lock);
		look(a, d, from, to);
		pthread_mutex_lock(&a->lock);
		if (--d->busy == 0)
			pthread_cond_broadcast(&a->done);
	}
	pthread_mutex_unlock(&a->lock);
}

int
ahead_new(const struct ahead_conf *conf, struct ahead **out)
{
	struct ahead *a = calloc(1, sizeof(*a));
	unsigned i;
	int err;

	if (a == NULL)
		return -ENOMEM;
	a->conf = *conf;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	pthread_cond_init(&a->done, NULL);
	atomic_init(&a->cold, COLD_FOR);
	a->inblock = ahead_waits(DEVICE);
	err = pool_new("firn-ahead", THREADS, THREADS, &a->pool);
	for (i = 0; i < THREADS && err == 0; i++)
		err = pool_submit(a->pool, ahead_work, a);
	if (err != 0) {
		ahead_free(a);
		return err;
	}
	*out = a;
	return 0;
}

void
ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = 1;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	pool_free(a->pool);
	pthread_cond_destroy(&a->work);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* May something have to be waited for here? */
static int
is_cold(struct ahead *a)
{
	long inblock = ahead_waits(DEVICE);
	int cold = atomic_load(&a->cold);

	if (inblock != a->inblock)
		cold = COLD_FOR;
	a->inblock = inblock;
	if (cold > 0)
		atomic_store(&a->cold, cold - 1);
	return cold > 0 || a->entered++ % LOOK_EVERY == 0;
}

static void
dir_free(struct ahead_dir *d)
{
	if (d->place.fd >= 0)
		close(d->place.fd);
	free(d->path);
	free(d->took);
	free(d);
}

struct ahead_dir *
ahead_enter(struct ahead *a, const struct ahead_place *p)
{
	struct ahead_dir *d;

	if (a == NULL || p->n == 0 || a->depth == DIRS_MAX || !is_cold(a))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->a = a;
	d->place = *p;
	d->place.fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	d->path = strdup(p->path);
	d->took = calloc(p->n, 1);
	if (d->place.fd < 0 || d->path == NULL || d->took == NULL) {
		dir_free(d);
		return NULL;
	}
	pthread_mutex_lock(&a->lock);
	d->files_done = p->up != NULL &&
	    p->up->place.contents == p->contents &&
	    p->up->took[p->index] == TOOK_ALL;
	d->below = a->top;
	a->top = d;
	a->depth++;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	return d;
}

void
ahead_at(struct ahead_dir *d, size_t i)
{
	struct ahead *a;

	if (d == NULL)
		return;
	a = d->a;
	atomic_store(&d->pos, i);
	/* Not for each: a wake-up costs more than what it would bring. */
	if (i % (RUN / 2) != 0 && d->place.name[i].type != DT_DIR)
		return;
	pthread_mutex_lock(&a->lock);
	if (a->idle > 0)
		pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
}

void
ahead_leave(struct ahead_dir *d)
{
	struct ahead_dir **at;
	struct ahead *a;

	if (d == NULL)
		return;
	a = d->a;
	atomic_store(&d->left, 1);
	pthread_mutex_lock(&a->lock);
	for (at = &a->top; *at != d; at = &(*at)->below)
		;
	*at = d->below;
	a->depth--;
	while (d->busy > 0)
		pthread_cond_wait(&a->done, &a->lock);
	pthread_mutex_unlock(&a->lock);
	dir_free(d);
}

void
ahead_settle(struct ahead *a)
{
	size_t from, to;

	pthread_mutex_lock(&a->lock);
	pthread_cond_broadcast(&a->work);
	while (a->idle < THREADS || next(a, &from, &to) != NULL)
		pthread_cond_wait(&a->done, &a->lock);
	pthread_mutex_unlock(&a->lock);
}
