/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit.  table.room is what the slots may take, counted before a cell is
 * written and until its blocks are back with the file system.  On top come the
 * other files (fixed) and what the file system needs to find the blocks: at
 * least `reserve`, or what `cells` is seen to have above table.room, when that
 * is more.  A put that finds no room makes some before it writes, so puts at
 * once cannot overshoot together.
 *
 * A disk that fills up below the limit lowers the ceiling by a sixteenth of
 * what is there, each time that it refuses a write; it rises again in such
 * steps when the disk has room.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cache/cache_internal.h"

#define GIVE_WAY	16		/* one part of so many */
#define REGROW_NS	60000000000ll	/* how often to look */
#define SECTOR		512		/* of st_blocks */

int64_t
cache_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* 1 the first time. */
int
cache_warn_once(struct cache *c, enum cache_warning what)
{
	return !(atomic_fetch_or(&c->warned, what) & what);
}

uint32_t
cache_room_of(const struct cache *c, size_t len)
{
	return (uint32_t)((len + c->block - 1) / c->block * c->block);
}

static uint64_t
blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 ? 0 : (uint64_t)st.st_blocks * SECTOR;
}

static uint64_t
fixed_of(const struct cache *c)
{
	return blocks_of(c->dirfd) + blocks_of(c->lockfd) +
	    blocks_of(c->slotsfd);
}

void
cache_room_init(struct cache *c)
{
	c->fixed = fixed_of(c);
	cache_room_measure(c);
}

uint64_t
cache_room_used(const struct cache *c)
{
	return fixed_of(c) + blocks_of(c->cellsfd);
}

void
cache_room_measure(struct cache *c)
{
	struct stat st;
	uint64_t have;

	if (fstat(c->cellsfd, &st) != 0)
		return;
	have = (uint64_t)st.st_blocks * SECTOR;
	c->strays = have > c->table.room ? have - c->table.room : 0;
	if (st.st_nlink == 0)
		c->gone = c->stopped = 1;
}

void
cache_room_abandon(struct cache *c)
{
	if (!cache_warn_once(c, WARN_GONE))
		return;
	log_warn(0, "the cache '%s' was removed: working without it until the "
	    "next start", c->dir);
	if (ftruncate(c->cellsfd, 0) != 0)
		log_warn(-errno, "cannot give back room of the cache '%s'",
		    c->dir);
}

int
cache_room_fits(const struct cache *c, uint64_t extra)
{
	uint64_t above = c->strays > c->reserve ? c->strays : c->reserve;

	return c->table.room + extra + above + c->fixed <= c->ceiling;
}

/* A hole in [from, CACHE_CELL_SIZE) of a slot: 0 or -errno. */
static int
punch(struct cache *c, uint32_t i, uint32_t from)
{
	off_t at = (off_t)i * CACHE_CELL_SIZE + from;
	int err = 0;

	if (fallocate(c->cellsfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    at, CACHE_CELL_SIZE - from) != 0)
		err = -errno;
	if (err != 0 && cache_warn_once(c, WARN_WRITE))
		log_warn(err, "cannot give back room of the cache '%s'",
		    c->dir);
	return err;
}

void
cache_room_vacate(struct cache *c, uint32_t i)
{
	int freed = 0;

	cache_record_sync(c, i);
	if (c->holes)
		freed = punch(c, i, 0) == 0;
	pthread_mutex_lock(&c->lock);
	if (freed) {
		c->table.room -= c->table.slot[i].room;
		c->table.slot[i].room = 0;
	}
	cache_free_push(&c->table, i);
	pthread_mutex_unlock(&c->lock);
}

void
cache_room_clip(struct cache *c, uint32_t i, uint32_t need)
{
	if (!c->holes || punch(c, i, need) != 0)
		return;
	pthread_mutex_lock(&c->lock);
	c->table.room -= c->table.slot[i].room - need;
	c->table.slot[i].room = need;
	pthread_mutex_unlock(&c->lock);
}

void
cache_room_trim(struct cache *c)
{
	struct cache_moved moved = { 0, { 0 } };
	uint32_t i;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		cache_room_measure(c);
		if (cache_room_fits(c, 0) || c->stopped)
			break;
		moved.n = 0;
		i = cache_policy_evict(c, &moved);
		if (i == CACHE_NIL)
			break;
		c->table.slot[i].state = SLOT_LEAVING;
		pthread_mutex_unlock(&c->lock);
		cache_room_vacate(c, i);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

static uint32_t
grown(const struct cache *c)
{
	uint32_t n = c->table.n + c->table.n / 4 / CACHE_STEP * CACHE_STEP +
	    CACHE_STEP;

	return n < c->slots_max ? n : c->slots_max;
}

uint64_t
cache_room_grow_cost(const struct cache *c)
{
	/* And a block at either end. */
	return (uint64_t)(grown(c) - c->table.n) * CACHE_RECORD_SIZE +
	    2 * CACHE_HEADER_SIZE;
}

void
cache_room_grow(struct cache *c)
{
	uint32_t n = grown(c), old = c->table.n;
	int err;

	c->growing = 1;
	pthread_mutex_unlock(&c->lock);
	err = -posix_fallocate(c->slotsfd, 0, CACHE_HEADER_SIZE +
	    (off_t)n * CACHE_RECORD_SIZE);
	if (err == 0 && c->holes && ftruncate(c->cellsfd,
	    (off_t)n * CACHE_CELL_SIZE) != 0)
		err = -errno;
	if (err == 0)
		err = cache_header_write(c, n, 0);
	pthread_mutex_lock(&c->lock);
	c->fixed = fixed_of(c);
	if (err == 0)
		err = cache_table_grow(&c->table, n);
	if (c->table.n > old)
		while (n-- > old)
			cache_free_push(&c->table, n);
	if (err != 0)
		c->slots_max = c->table.n;	/* do not try again */
	c->growing = 0;
}

void
cache_room_shrink(struct cache *c, int err)
{
	uint64_t used;
	int mine;

	if (cache_warn_once(c, WARN_FULL))
		log_warn(err, "no room for the cache '%s': keeping less than "
		    "its limit", c->dir);
	pthread_mutex_lock(&c->lock);
	mine = !c->shrinking;
	if (mine) {
		c->shrinking = 1;
		used = c->table.room + c->fixed + c->reserve;
		if (used > c->ceiling)
			used = c->ceiling;
		c->ceiling = used - used / GIVE_WAY;
		c->regrow_at = cache_now() + REGROW_NS;
	}
	pthread_mutex_unlock(&c->lock);
	if (!mine)
		return;
	cache_room_trim(c);
	pthread_mutex_lock(&c->lock);
	c->shrinking = 0;
	pthread_mutex_unlock(&c->lock);
}

void
cache_room_regrow(struct cache *c)
{
	struct statvfs vfs;
	int due;

	pthread_mutex_lock(&c->lock);
	due = c->ceiling < c->limit && cache_now() >= c->regrow_at;
	if (due)
		c->regrow_at = cache_now() + REGROW_NS;
	pthread_mutex_unlock(&c->lock);
	/* Twice the step, so as not to be the one who fills the disk again. */
	if (!due || fstatvfs(c->dirfd, &vfs) != 0 || (uint64_t)vfs.f_bavail *
	    vfs.f_frsize < c->limit / GIVE_WAY * 2)
		return;
	pthread_mutex_lock(&c->lock);
	c->ceiling += c->limit / GIVE_WAY;
	if (c->ceiling > c->limit)
		c->ceiling = c->limit;
	pthread_mutex_unlock(&c->lock);
}

/* Before there are threads. */
void
cache_room_sweep(struct cache *c)
{
	struct cache_table *t = &c->table;
	uint32_t first, end;

	for (first = 0; c->holes && first < t->n; first = end + 1) {
		end = first;
		while (end < t->n && t->slot[end].state == SLOT_FREE)
			end++;
		if (end > first && fallocate(c->cellsfd, FALLOC_FL_PUNCH_HOLE |
		    FALLOC_FL_KEEP_SIZE, (off_t)first * CACHE_CELL_SIZE,
		    (off_t)(end - first) * CACHE_CELL_SIZE) != 0)
			return;
	}
}
