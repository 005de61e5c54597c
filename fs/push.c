/* SPDX-License-Identifier: Apache-2.0 */
/* See fs/push.h. */
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "fs/cold.h"
#include "fs/firnfs.h"
#include "fs/lowlevel.h"
#include "fs/push.h"
#include "fs/resolve.h"
#include "fs/trails.h"
#include "repo/filemap.h"

#define WALKS		16	/* directories that are followed */
#define NEAR		8	/* places that a walk may skip */
#define PROVEN		2	/* steps in order that make a walk */
#define FILES_MAX	32	/* pushed at once: who waits for it waits long */
#define BYTES_MAX	(512u << 10)
#define READING_MAX	64	/* files being read that are known */

/* How the files of one directory are read. */
struct walk {
	uint32_t dir;		/* 0: not in use */
	uint32_t epoch;
	uint64_t last;		/* place that was read, or pushed, last */
	unsigned steps;
	uint64_t used;		/* clock */
};

struct push {
	pthread_mutex_t lock;
	pthread_mutex_t busy;	/* held by who pushes */
	struct walk walk[WALKS];	/* protected by lock */
	uint64_t clock;
	uint64_t reading[READING_MAX];	/* node, or 0; protected by lock */
	unsigned unknown;	/* more that are being read; likewise */
	int stopped;		/* busy is held for good */
	atomic_ullong count;
};

int
push_new(struct push **out)
{
	struct push *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->busy, NULL);
	*out = p;
	return 0;
}

void
push_free(struct push *p)
{
	if (p == NULL)
		return;
	if (p->stopped)
		pthread_mutex_unlock(&p->busy);
	pthread_mutex_destroy(&p->busy);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

uint64_t
push_count(const struct push *p)
{
	return atomic_load(&p->count);
}

void
push_stop(struct push *p)
{
	if (p == NULL || p->stopped)
		return;
	pthread_mutex_lock(&p->busy);
	p->stopped = 1;
}

void
push_begin(struct push *p, uint64_t node)
{
	unsigned i;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < READING_MAX && p->reading[i] != 0; i++)
		;
	if (i < READING_MAX)
		p->reading[i] = node;
	else
		p->unknown++;
	pthread_mutex_unlock(&p->lock);
}

void
push_end(struct push *p, uint64_t node)
{
	unsigned i;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < READING_MAX && p->reading[i] != node; i++)
		;
	if (i < READING_MAX)
		p->reading[i] = 0;
	else
		p->unknown--;
	pthread_mutex_unlock(&p->lock);
}

static int
is_read(struct push *p, uint64_t node)
{
	unsigned i;
	int found;

	pthread_mutex_lock(&p->lock);
	found = p->unknown > 0;
	for (i = 0; !found && i < READING_MAX; i++)
		found = p->reading[i] == node;
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* Under lock. */
static struct walk *
walk_find(struct push *p, const struct dir_rec *dir)
{
	struct walk *oldest = &p->walk[0];
	int i;

	for (i = 0; i < WALKS; i++) {
		if (p->walk[i].dir == dir->number &&
		    p->walk[i].epoch == dir->epoch)
			return &p->walk[i];
		if (p->walk[i].used < oldest->used)
			oldest = &p->walk[i];
	}
	*oldest = (struct walk){ .dir = dir->number, .epoch = dir->epoch };
	return oldest;
}

/* One file was read: 1 when that is a walk. */
static int
walk_step(struct push *p, const struct dir_rec *dir, uint64_t place)
{
	struct walk *w;
	int proven;

	pthread_mutex_lock(&p->lock);
	w = walk_find(p, dir);
	w->used = ++p->clock;
	if (place > w->last && place - w->last <= NEAR)
		w->steps++;
	else if (place != w->last)
		w->steps = 0;
	w->last = place;
	proven = w->steps >= PROVEN;
	pthread_mutex_unlock(&p->lock);
	return proven;
}

static void
walk_pushed(struct push *p, const struct dir_rec *dir, uint64_t place)
{
	struct walk *w;

	pthread_mutex_lock(&p->lock);
	w = walk_find(p, dir);
	if (place > w->last)
		w->last = place;
	pthread_mutex_unlock(&p->lock);
}

static int
store_pieces(struct firnfs *fs, uint64_t node,
    const struct filemap_pieces *pieces)
{
	union {
		struct fuse_bufvec v;
		char room[sizeof(struct fuse_bufvec) +
		    FILEMAP_PIECES * sizeof(struct fuse_buf)];
	} u;
	struct fuse_buf *buf = u.v.buf;
	size_t i;

	u.v = (struct fuse_bufvec){ .count = pieces->n };
	for (i = 0; i < pieces->n; i++)
		buf[i] = (struct fuse_buf){ .size = pieces->iov[i].iov_len,
		    .mem = pieces->iov[i].iov_base };
	return fuse_lowlevel_notify_store(fs->session, node, 0, &u.v, 0);
}

/* One entry: its bytes, 0 when there is nothing to push, -errno when there is
 * and it cannot be. */
static int64_t
push_entry(struct firnfs *fs, uint64_t node, const struct entry *e)
{
	struct filemap_pieces pieces;
	struct filemap *map;
	int err;

	if (!S_ISREG(e->mode) || e->size == 0 || e->size > PUSH_FILE_MAX ||
	    (e->flags & ENTRY_LIST))
		return 0;
	err = filemap_new(fs->reader, e, &map);
	if (err != 0)
		return err;
	err = -EAGAIN;
	if (filemap_peek(map, &pieces)) {
		if (!is_read(fs->push, node))
			err = store_pieces(fs, node, &pieces);
		filemap_pieces_put(map, &pieces);
	}
	filemap_free(map);
	return err != 0 ? err : (int64_t)e->size;
}

/* What is in a directory from a place on. */
static void
push_files(struct firnfs *fs, const struct dir_rec *dir, uint64_t from)
{
	struct tree_pos pos = TREE_POS_INIT;
	uint64_t bytes = 0, place = 0;
	unsigned files = 0, passed = 0;
	int64_t n = 0;
	int ret;

	ret = tree_at(fs->tree, dir->tree, from, &pos);
	while (ret == 1 && files < FILES_MAX && bytes < BYTES_MAX &&
	    pos.ordinal < UINT32_MAX && !atomic_load(&fs->ending)) {
		n = push_entry(fs, node_make(dir->number, pos.ordinal),
		    tree_entry(&pos));
		if (n < 0)
			break;
		bytes += (uint64_t)n;
		files += n > 0;
		place = pos.ordinal;
		passed++;
		ret = tree_next(fs->tree, dir->tree, &pos);
	}
	tree_pos_release(fs->tree, &pos);
	atomic_fetch_add(&fs->push->count, files);
	if (passed > 0)
		walk_pushed(fs->push, dir, place);
	if (files > 0)
		trails_skip(fs->trails, dir, place, bytes);
}

/* 1 when the file is read by a walk, which is followed then. */
static int
is_walk(struct firnfs *fs, const struct dir_rec *dir, uint64_t place,
    uint64_t size)
{
	int proven = walk_step(fs->push, dir, place);

	if (trails_step(fs->trails, dir, place, size))
		return 1;
	if (proven)
		trails_begin(fs->trails, dir, place);
	return proven;
}

void
push_after(struct firnfs *fs, uint64_t node, uint64_t size, int whole)
{
	struct push *p = fs->push;
	uint64_t place = node_ordinal(node);
	struct dir_rec dir;

	if (!dirs_get(fs->dirs, node_dir(node), &dir) ||
	    !is_walk(fs, &dir, place, size) || !whole ||
	    size > PUSH_FILE_MAX || cold_is_waited_for(fs->cold) ||
	    pthread_mutex_trylock(&p->busy) != 0)
		return;
	/* Held, so that its number stays its own meanwhile. */
	if (dirs_hold(fs->dirs, dir.node, &dir)) {
		if (dir.number == node_dir(node))
			push_files(fs, &dir, place + 1);
		dirs_drop(fs->dirs, dir.number, 1);
	}
	pthread_mutex_unlock(&p->busy);
}

void
push_listed(struct firnfs *fs, const struct dir_rec *dir)
{
	if (!trails_listed(fs->trails, dir) || cold_is_waited_for(fs->cold) ||
	    pthread_mutex_trylock(&fs->push->busy) != 0)
		return;
	push_files(fs, dir, 0);
	pthread_mutex_unlock(&fs->push->busy);
}
