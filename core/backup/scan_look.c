/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner's thread: depth first, with a stack of its own.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup/exclude.h"
#include "backup/scan_internal.h"
#include "backup/walk_internal.h"
#include "base/err.h"
#include "base/slots.h"

#define BATCH		(64u << 10)	/* bytes */
/* Of a directory's list and so many names: what had to wait for the device counts
 * two, what had not takes one back. */
#define PIECE		32
#define COLD_MAX	4

static int
is_stopped(const struct scan *s)
{
	return atomic_load(&s->stop) ||
	    (s->conf.stop != NULL && *s->conf.stop);
}

/* Hand over, and wait until no more than `keep` bytes wait for the walker; with
 * 0, until it asks for more, and so has left what it had. */
static void
hand_over(struct scan *s, size_t keep)
{
	atomic_fetch_add(&s->waiting, s->batch.bytes);
	pthread_mutex_lock(&s->lock);
	if (s->batch.first != NULL)
		s->asking = 0;
	scan_items_move(&s->full, &s->batch);
	pthread_cond_signal(&s->more);
	while (!is_stopped(s) && (keep == 0 ? !s->asking :
	    atomic_load(&s->waiting) > keep))
		pthread_cond_wait(&s->room, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* The directory, or a run of its names on top of the rack. */
static int
item_put(struct scan *s, struct scan_dir *dir, struct scan_run *run,
    size_t bytes)
{
	struct item *it = malloc(sizeof(*it));

	if (it == NULL)
		return -ENOMEM;
	*it = (struct item){ NULL, bytes + sizeof(*it), dir, run, NULL };
	if (run != NULL) {
		it->rack = s->rack;
		s->rack->used += bytes;
		atomic_fetch_add(&s->rack->refs, 1);
	}
	atomic_fetch_add(&dir->refs, 1);
	*s->batch.end = it;
	s->batch.end = &it->next;
	s->batch.bytes += it->bytes;
	if (s->batch.bytes >= BATCH)
		hand_over(s, s->conf.memory);
	return 0;
}

static int
is_cold(const struct scan *s)
{
	return s->cold > COLD_MAX;
}

/* What was just looked at had to be waited for, or not. */
static void
count_waits(struct scan *s, int waited)
{
	if (waited)
		s->cold += 2;
	else if (s->cold > 0)
		s->cold--;
}

static int
path_enter(struct scan *s, const char *name)
{
	int err = buf_add(&s->path, "/", 1);

	return err != 0 ? err : buf_add(&s->path, name, strlen(name));
}

static enum scan_state
name_state(struct scan *s, const struct frame *f, const char *name,
    struct scan_name *n)
{
	int dir, yes;

	if (strlen(name) > TREE_NAME_MAX ||
	    fsmeta_look(f->fd, name, &n->look) != 0)
		return SCAN_UNSEEN;
	dir = S_ISDIR(n->look.mode);
	if (s->conf.exclude != NULL) {
		s->path.len = f->pathlen;
		if (path_enter(s, name) != 0 || buf_cstr(&s->path) == NULL)
			return SCAN_UNSEEN;
		yes = exclude_match(s->conf.exclude, buf_cstr(&s->path), dir);
		if (yes)
			return SCAN_EXCLUDED;
	}
	return dir && s->depth < DEPTH_MAX && n->look.dev == f->d->dev ?
	    SCAN_BELOW : SCAN_SEEN;
}

/* Fill a run; what is left when it must end is unseen. */
static void
run_look(struct scan *s, struct frame *f, struct scan_run *run)
{
	const struct ahead_name *at = f->d->names.at + run->from;
	uint64_t dev = f->d->dev;
	long before = ahead_waits(dev);
	size_t i;

	for (i = 0; i < run->n && !is_stopped(s) && !is_cold(s); i++) {
		run->name[i].state = name_state(s, f, at[i].name,
		    &run->name[i]);
		if (run->name[i].state == SCAN_BELOW)
			f->below[i / 64] |= 1ull << i % 64;
		if (i % PIECE == PIECE - 1 || i + 1 == run->n) {
			count_waits(s, ahead_waited(dev, before, PIECE));
			before = ahead_waits(dev);
		}
	}
	for (; i < run->n; i++)
		run->name[i].state = SCAN_UNSEEN;
}

/* Room for a run on top of the rack, which it has once it is put. */
static struct scan_run *
run_room(struct scan *s, size_t size)
{
	struct rack *r = s->rack;

	_Static_assert(sizeof(*r) + sizeof(struct scan_run) +
	    SCAN_RUN * sizeof(struct scan_name) <= SLOT_SIZE, "a slot has one");
	if (r == NULL || size > SLOT_SIZE - r->used) {
		scan_rack_put(s, r);
		r = s->rack = slots_take(s->slots);
		if (r == NULL)
			return NULL;
		atomic_init(&r->refs, 1);
		r->used = sizeof(*r);
	}
	return (void *)((uint8_t *)r + r->used);
}

/* The next run of the directory on top. */
static int
run_next(struct scan *s, struct frame *f)
{
	struct scan_run *run;
	size_t size;

	f->from += f->n;
	f->at = 0;
	f->n = f->d->names.n - f->from;
	if (f->n > SCAN_RUN)
		f->n = SCAN_RUN;
	memset(f->below, 0, sizeof(f->below));
	size = sizeof(*run) + f->n * sizeof(run->name[0]);
	run = run_room(s, size);
	if (run == NULL)
		return -ENOMEM;
	run->dir = f->d;
	run->from = f->from;
	run->n = f->n;
	run_look(s, f, run);
	return item_put(s, f->d, run, size);
}

/* What an open directory holds, into d. */
static int
dir_list(struct scan *s, int fd, struct scan_dir *d)
{
	struct timespec at, changed;
	struct fsmeta_look l;
	int err;

	clock_gettime(CLOCK_REALTIME, &at);
	err = fsmeta_look(fd, "", &l);
	/* Another may have come into its place since. */
	if (err == 0 && d->up != NULL && d->up->dev != l.dev)
		err = -ESTALE;
	if (err != 0)
		return err;
	d->dev = l.dev;
	d->ino = l.ino;
	d->ctime = l.ctime;
	d->ctime_ns = l.ctime_ns;
	changed = (struct timespec){ l.ctime, l.ctime_ns };
	d->settled = fsmeta_settled(&changed, &at);
	err = dirnames_read(fd, SCAN_MANY, &s->text, &d->names);
	if (err == -E2BIG) {
		dirnames_release(&d->names);
		hand_over(s, 0);
		/* Somebody waits for the end of a run that was stopped. */
		if (is_stopped(s))
			return -ECANCELED;
		err = lseek(fd, 0, SEEK_SET) != 0 ? -errno :
		    dirnames_read(fd, SIZE_MAX, &s->text,
		    &d->names);
	}
	if (err == 0 && s->conf.exclude_caches && walk_is_cachedir(fd)) {
		d->cachedir = 1;
		dirnames_only(&d->names, "CACHEDIR.TAG");
	}
	return err;
}

/*
 * Into the directory of this name, or root, when there is something in it.  It
 * goes to the walker whether it can be had or not, since it was announced.
 */
static int
dir_enter(struct scan *s, int in, const char *name, const struct want *root,
    struct scan_dir *up, size_t index)
{
	long before = up != NULL ? ahead_waits(up->dev) : 0;
	struct scan_dir *d = calloc(1, sizeof(*d));
	int fd, err;

	if (d == NULL)
		return -ENOMEM;
	atomic_init(&d->refs, 1);
	d->root = root;
	d->up = up;
	d->index = index;
	if (up != NULL)
		atomic_fetch_add(&up->refs, 1);
	fd = walk_open(in, name, O_DIRECTORY);
	d->failed = fd < 0 || dir_list(s, fd, d) != 0;
	if (up != NULL)
		count_waits(s, ahead_waited(up->dev, before, d->names.n));
	err = item_put(s, d, NULL, sizeof(*d) + d->names.bytes);
	if (err == 0 && !d->failed && d->names.n > 0) {
		s->frame[s->depth++] = (struct frame){ .fd = fd, .d = d,
		    .pathlen = s->path.len };
		return 0;
	}
	scan_release(d);
	if (fd >= 0)
		close(fd);
	return err;
}

static void
dir_leave(struct scan *s)
{
	struct frame *f = &s->frame[--s->depth];

	close(f->fd);
	scan_release(f->d);
}

/* To the next name that is to be entered; 0 when the run has no more. */
static int
below_next(struct frame *f, size_t *index)
{
	size_t i;

	for (i = f->at; i < f->n; i++) {
		if (f->below[i / 64] == 0)
			i |= 63;
		else if (f->below[i / 64] >> i % 64 & 1)
			break;
	}
	f->at = i + 1;
	*index = f->from + i;
	return i < f->n;
}

/* The next step at the directory on top. */
static int
dir_step(struct scan *s)
{
	struct frame *f = &s->frame[s->depth - 1];
	const char *name;
	size_t index;
	int err;

	if (below_next(f, &index)) {
		name = f->d->names.at[index].name;
		s->path.len = f->pathlen;
		err = path_enter(s, name);
		return err != 0 ? err : dir_enter(s, f->fd, name, NULL, f->d,
		    index);
	}
	if (f->from + f->n < f->d->names.n)
		return run_next(s, f);
	dir_leave(s);
	return 0;
}

/* A path that is wanted, or those below it.  Where it cannot be opened, neither
 * can they, and come as failed. */
static int
want_scan(struct scan *s, const struct want *w, int up, const char *name)
{
	size_t i, len = s->path.len;
	int fd, err = 0;

	if (w->whole) {
		err = dir_enter(s, up, name, w, NULL, 0);
		while (err == 0 && s->depth > 0)
			err = is_stopped(s) || is_cold(s) ? -ECANCELED :
			    dir_step(s);
		return err;
	}
	fd = openat(up, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH);
	for (i = 0; i < w->n && err == 0; i++) {
		s->path.len = len;
		err = path_enter(s, w->child[i].name);
		if (err == 0)
			err = want_scan(s, &w->child[i], fd, w->child[i].name);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

void
scan_work(void *ctx)
{
	struct scan *s = ctx;

	(void)want_scan(s, s->want, AT_FDCWD, "/");
	while (s->depth > 0)
		dir_leave(s);
	hand_over(s, SIZE_MAX);
	pthread_mutex_lock(&s->lock);
	s->ended = 1;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}
