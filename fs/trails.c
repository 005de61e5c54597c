/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fs/trails.h.  Directories are known by the ids of their trees, which never
 * change what they say, so no record of a directory is held.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/pool.h"
#include "fs/cold.h"
#include "fs/firnfs.h"
#include "fs/trails.h"
#include "repo/filemap.h"
#include "repo/reader_run.h"

#define TRAILS		4	/* walks followed at once */
#define DEPTH		32	/* directories up and down that are followed */
#define SEEN		256	/* directories of a trail that are remembered */
#define IN_USE		64	/* steps of others until a walk counts as over */
#define FILE_MAX	(1u << 20)	/* bytes; larger ones fetch ahead alone */
#define LISTED_MAX	16	/* directories listed and none of their files read */
#define ENTRY_COST	64	/* of an entry, in bytes: there are empty ones */
#define AT_ONCE		64	/* entries between two looks at the walks */

struct level {
	uint8_t tree[BLOCK_ID_SIZE];
	uint64_t next;		/* place that comes next */
};

/* Where following stands: from the outermost directory inwards. */
struct path {
	unsigned depth;		/* levels; 0: at the end of all */
	struct level level[DEPTH];
};

struct trail {
	unsigned version;	/* counts beginnings */
	uint64_t used;		/* clock of steps; 0: not in use */
	struct path path;
	int stuck;		/* until the walk has passed path */
	uint64_t opened, passed;	/* bytes since it began */
	unsigned listed;	/* directories since a file was read */
	unsigned nseen;
	uint8_t seen[SEEN][BLOCK_ID_SIZE];	/* entered, a ring */
};

struct trails {
	struct firnfs *fs;
	struct pool *pool;
	uint64_t bytes;
	atomic_int stopped;
	atomic_ullong count;
	pthread_mutex_t lock;
	int running;		/* a job is submitted; protected by lock */
	uint64_t clock;		/* likewise */
	struct trail trail[TRAILS];	/* likewise */
};

/* Some of a trail, as the thread works on it without the lock. */
struct leg {
	unsigned trail, version;
	struct path path;
	uint64_t bytes;		/* that were opened */
	int stuck;
	unsigned nentered;
	uint8_t entered[AT_ONCE][BLOCK_ID_SIZE];
};

int
trails_new(struct firnfs *fs, size_t bytes, struct trails **out)
{
	struct trails *a = calloc(1, sizeof(*a));
	int err;

	if (a == NULL)
		return -ENOMEM;
	a->fs = fs;
	a->bytes = bytes;
	pthread_mutex_init(&a->lock, NULL);
	err = pool_new("firn-walk", 1, 1, &a->pool);
	if (err != 0) {
		trails_free(a);
		return err;
	}
	*out = a;
	return 0;
}

void
trails_stop(struct trails *a)
{
	if (a != NULL)
		atomic_store(&a->stopped, 1);
}

void
trails_free(struct trails *a)
{
	if (a == NULL)
		return;
	trails_stop(a);
	pool_free(a->pool);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

uint64_t
trails_count(const struct trails *a)
{
	return atomic_load(&a->count);
}

/* Room left before a trail is far enough ahead.  Under lock. */
static uint64_t
trail_room(const struct trails *a, const struct trail *t)
{
	uint64_t lead = t->opened - t->passed;

	if (t->used == 0 || t->stuck || t->path.depth == 0 ||
	    lead >= a->bytes)
		return 0;
	return a->bytes - lead;
}

static int
is_seen(const struct trail *t, const uint8_t tree[BLOCK_ID_SIZE])
{
	unsigned i, n = t->nseen < SEEN ? t->nseen : SEEN;

	for (i = 0; i < n; i++)
		if (memcmp(t->seen[i], tree, BLOCK_ID_SIZE) == 0)
			return 1;
	return 0;
}

static void
add_seen(struct trail *t, const uint8_t tree[BLOCK_ID_SIZE])
{
	memcpy(t->seen[t->nseen++ % SEEN], tree, BLOCK_ID_SIZE);
}

/* Is a walk that has read up to a place where this trail was, or will be?  Not when
 * it has overtaken it.  Under lock. */
static int
is_expected(const struct trail *t, const uint8_t tree[BLOCK_ID_SIZE],
    uint64_t place)
{
	unsigned i;

	if (t->used == 0)
		return 0;
	for (i = 0; i < t->path.depth; i++)
		if (memcmp(t->path.level[i].tree, tree, BLOCK_ID_SIZE) == 0)
			return place < t->path.level[i].next;
	return is_seen(t, tree);
}

/* What a leg has found out, unless the walk went elsewhere.  Under lock. */
static void
leg_end(struct trails *a, const struct leg *leg)
{
	struct trail *t = &a->trail[leg->trail];
	unsigned i;

	if (t->version != leg->version)
		return;
	t->path = leg->path;
	t->opened += leg->bytes;
	t->stuck = leg->stuck;
	for (i = 0; i < leg->nentered; i++)
		add_seen(t, leg->entered[i]);
}

/* The walk that went on last and has room: 1, or 0.  Under lock. */
static int
leg_choose(struct trails *a, struct leg *leg, uint64_t *room)
{
	struct trail *t, *best = NULL;

	for (t = a->trail; t < a->trail + TRAILS; t++)
		if (trail_room(a, t) > 0 && (best == NULL ||
		    t->used > best->used))
			best = t;
	if (best == NULL)
		return 0;
	leg->trail = (unsigned)(best - a->trail);
	leg->version = best->version;
	leg->path = best->path;
	leg->bytes = 0;
	leg->stuck = 0;
	leg->nentered = 0;
	*room = trail_room(a, best);
	return 1;
}

/* All blocks of a small file: 0, or -errno. */
static int
open_file(struct trails *a, const struct entry *e)
{
	struct filemap *map;
	struct extent x;
	uint64_t start, off = 0;
	int ret;

	if (e->size == 0 || (e->flags & ENTRY_INLINE))
		return 0;
	ret = filemap_new(a->fs->reader, e, &map);
	if (ret != 0)
		return ret;
	while ((ret = filemap_extent(map, off, &x, &start)) == 1) {
		off = start + x.len;
		if (x.hole)
			continue;
		ret = reader_ready(a->fs->reader, BLOCK_DATA, x.id);
		if (ret != 0)
			break;
		atomic_fetch_add(&a->count, 1);
	}
	filemap_free(map);
	return ret < 0 ? ret : 0;
}

/* Into a directory, whose place is passed. */
static void
enter(struct leg *leg, const uint8_t tree[BLOCK_ID_SIZE])
{
	struct path *p = &leg->path;

	if (p->depth == DEPTH)
		return;
	memcpy(p->level[p->depth].tree, tree, BLOCK_ID_SIZE);
	p->level[p->depth++].next = 0;
	memcpy(leg->entered[leg->nentered++], tree, BLOCK_ID_SIZE);
}

/* Entries of the innermost directory, until one is a directory; how many, and
 * 0 when it has no more.  -errno, or -EAGAIN where following has to stop. */
static int
level_walk(struct trails *a, struct leg *leg, uint64_t room)
{
	struct level *l = &leg->path.level[leg->path.depth - 1];
	struct tree_pos pos = TREE_POS_INIT;
	const struct entry *e;
	int ret, n = 0, entered = 0;

	ret = tree_at(a->fs->tree, l->tree, l->next, &pos);
	while (ret == 1 && !entered && n < AT_ONCE && leg->bytes < room &&
	    !atomic_load(&a->stopped)) {
		e = tree_entry(&pos);
		if (S_ISREG(e->mode)) {
			ret = e->size > FILE_MAX || (e->flags & ENTRY_LIST) ?
			    -EAGAIN : open_file(a, e);
			if (ret != 0)
				break;
			leg->bytes += e->size;
		}
		leg->bytes += ENTRY_COST;
		l->next = pos.ordinal + 1;
		n++;
		entered = S_ISDIR(e->mode);
		if (entered)
			enter(leg, e->tree_id);
		else
			ret = tree_next(a->fs->tree, l->tree, &pos);
	}
	tree_pos_release(a->fs->tree, &pos);
	return ret < 0 ? ret : n;
}

static void
leg_walk(struct trails *a, struct leg *leg, uint64_t room)
{
	int ret, n;

	for (n = 0; n < AT_ONCE && leg->path.depth > 0 &&
	    leg->bytes < room && !atomic_load(&a->stopped); n += ret + 1) {
		ret = level_walk(a, leg, room);
		if (ret < 0) {
			leg->stuck = 1;
			return;
		}
		if (ret == 0)
			leg->path.depth--;
	}
}

static void
follow(void *ctx)
{
	struct trails *a = ctx;
	struct leg leg;
	uint64_t room;

	pthread_mutex_lock(&a->lock);
	while (!atomic_load(&a->stopped) && leg_choose(a, &leg, &room)) {
		pthread_mutex_unlock(&a->lock);
		leg_walk(a, &leg, room);
		pthread_mutex_lock(&a->lock);
		leg_end(a, &leg);
	}
	a->running = 0;
	pthread_mutex_unlock(&a->lock);
}

/* Under lock; there is one job at most, so none waits for room. */
static void
wake(struct trails *a)
{
	if (!a->running && !atomic_load(&a->stopped))
		a->running = pool_submit(a->pool, follow, a) == 0;
}

/* The trail of a walk that has come to a place, or NULL.  Under lock. */
static struct trail *
trail_find(struct trails *a, const struct dir_rec *dir, uint64_t place)
{
	struct trail *t;

	for (t = a->trail; t < a->trail + TRAILS; t++)
		if (is_expected(t, dir->tree, place))
			return t;
	return NULL;
}

/* Under lock. */
static void
trail_pass(struct trails *a, struct trail *t, uint64_t bytes)
{
	t->used = ++a->clock;
	t->passed += bytes + ENTRY_COST;
	if (t->passed > t->opened)
		t->passed = t->opened;
	/* Not for each file: waking costs more than opening one. */
	if (trail_room(a, t) > a->bytes / 2)
		wake(a);
}

int
trails_step(struct trails *a, const struct dir_rec *dir, uint64_t place,
    uint64_t bytes)
{
	struct trail *t;

	pthread_mutex_lock(&a->lock);
	t = trail_find(a, dir, place);
	if (t != NULL) {
		t->listed = 0;
		trail_pass(a, t, bytes);
	}
	pthread_mutex_unlock(&a->lock);
	return t != NULL;
}

void
trails_skip(struct trails *a, const struct dir_rec *dir, uint64_t place,
    uint64_t bytes)
{
	struct trail *t;

	pthread_mutex_lock(&a->lock);
	t = trail_find(a, dir, place);
	if (t != NULL)
		trail_pass(a, t, bytes);
	pthread_mutex_unlock(&a->lock);
}

int
trails_listed(struct trails *a, const struct dir_rec *dir)
{
	struct trail *t;
	int believed;

	pthread_mutex_lock(&a->lock);
	t = trail_find(a, dir, 0);
	believed = t != NULL && t->listed < LISTED_MAX;
	if (believed)
		t->listed++;
	pthread_mutex_unlock(&a->lock);
	return believed;
}

/* The path from a place upwards, as far as it is in this generation. */
static void
path_make(struct trails *a, const struct dir_rec *dir, uint64_t place,
    struct path *out)
{
	struct dir_rec up[DEPTH / 2];
	struct level *l;
	unsigned n = 0, i;

	up[n++] = *dir;
	while (n < DEPTH / 2 && node_dir(up[n - 1].node) != 0 &&
	    dirs_get(a->fs->dirs, node_dir(up[n - 1].node), &up[n]))
		n++;
	for (i = 0; i < n; i++) {
		l = &out->level[n - 1 - i];
		memcpy(l->tree, up[i].tree, BLOCK_ID_SIZE);
		l->next = i == 0 ? place + 1 : node_ordinal(up[i - 1].node) + 1;
	}
	out->depth = n;
}

/* Has a walk that has come to this path passed the trail?  So it has where it is
 * further in the innermost directory that both are in: a trail begins late, and
 * would be in a directory behind that of the walk.  0, or the more the closer the
 * trail is: there may be those of others behind.  Under lock. */
static uint64_t
is_overtaken(const struct trail *t, const struct path *walk)
{
	const struct level *l;
	unsigned i, k;

	for (i = walk->depth; t->used > 0 && i-- > 0;)
		for (k = t->path.depth; k-- > 0;) {
			l = &t->path.level[k];
			if (memcmp(l->tree, walk->level[i].tree,
			    BLOCK_ID_SIZE) == 0)
				return l->next < walk->level[i].next ?
				    ((uint64_t)i << 40 | l->next) + 1 : 0;
		}
	return 0;
}

/* The trail for a walk: its own that it has overtaken, one not in use, or that
 * which was left alone for longest.  Under lock. */
static struct trail *
trail_take(struct trails *a, const struct path *walk)
{
	struct trail *t, *oldest = &a->trail[0], *own = NULL;
	uint64_t close, closest = 0;

	for (t = a->trail; t < a->trail + TRAILS; t++) {
		close = is_overtaken(t, walk);
		if (close > closest) {
			closest = close;
			own = t;
		}
		if (t->used < oldest->used)
			oldest = t;
	}
	if (own != NULL)
		return own;
	if (oldest->used != 0 && a->clock - oldest->used < IN_USE)
		return NULL;
	return oldest;
}

void
trails_begin(struct trails *a, const struct dir_rec *dir, uint64_t place)
{
	struct path path;
	struct trail *t;

	path_make(a, dir, place, &path);
	pthread_mutex_lock(&a->lock);
	a->clock++;
	t = trail_take(a, &path);
	if (t != NULL) {
		t->version++;
		t->used = a->clock;
		t->opened = t->passed = 0;
		t->stuck = 0;
		t->nseen = 0;
		t->listed = 0;
		t->path = path;
		add_seen(t, dir->tree);
		wake(a);
	}
	pthread_mutex_unlock(&a->lock);
}
