/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing.  Who has the lock owns the directory: it makes the
 * files, reads the records (64 bytes a slot, never the cells) and evicts what
 * is above the limit.  A file that is damaged is emptied
 * rather than replaced, so that a second opener keeps following it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/cache_internal.h"

#define BLOCK_MIN	4096u
#define BLOCK_MAX	65536u
#define SLOTS_FIRST	131072u	/* at most, to begin with: 8 MiB */

/* The lock: 1 when it is ours, 0 when it is not to be had, or -errno. */
static int
take_lock(struct cache *c)
{
	c->lockfd = openat(c->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (c->lockfd < 0)
		return errno == EROFS || errno == EACCES || errno == EPERM ?
		    0 : -errno;
	while (flock(c->lockfd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
	return 1;
}

/* A regular file of ours; anything else of that name is removed. */
static int
open_file(struct cache *c, const char *name, int *fd)
{
	struct stat st;
	int flag;

	if (fstatat(c->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(st.st_mode)) {
		flag = S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0;
		log_warn(0, "'%s/%s' is not a file of a cache, removing it",
		    c->dir, name);
		if (unlinkat(c->dirfd, name, flag) != 0)
			return -errno;
	}
	*fd = openat(c->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	return *fd < 0 ? -errno : 0;
}

/* How the file system and the limit shape the files. */
static int
set_shape(struct cache *c, int holes)
{
	struct rlimit rl;
	struct stat st;
	uint64_t most = c->limit / CACHE_CELL_SIZE * CACHE_DENSITY;

	if (fstat(c->cellsfd, &st) != 0)
		return -errno;
	/* Behind the end: this takes nothing away. */
	c->holes = holes && fallocate(c->cellsfd, FALLOC_FL_PUNCH_HOLE |
	    FALLOC_FL_KEEP_SIZE, st.st_size, CACHE_CELL_SIZE) == 0;
	c->reserve = c->limit / 256 + 65536;
	c->block = BLOCK_MIN;
	while (c->block < (uint64_t)st.st_blksize && c->block < BLOCK_MAX)
		c->block *= 2;
	if (!c->holes) {
		c->block = CACHE_CELL_SIZE;
		most = (c->limit - c->reserve) / CACHE_CELL_SIZE - 1;
	}
	/* Going beyond it is a signal, not an error. */
	if (getrlimit(RLIMIT_FSIZE, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY &&
	    rl.rlim_cur / CACHE_CELL_SIZE < most)
		most = rl.rlim_cur / CACHE_CELL_SIZE;
	if (most == 0)
		return -EFBIG;
	c->slots_max = most < CACHE_SLOTS_MAX ? (uint32_t)most :
	    CACHE_SLOTS_MAX;
	return 0;
}

/* How many slots to begin with; what is not usable is emptied. */
static int
read_header(struct cache *c, uint32_t *slots, int *clean)
{
	uint64_t want = c->limit / CACHE_CELL_SIZE;
	int ret;

	*slots = 0;
	*clean = 1;
	ret = cache_header_read(c->slotsfd, slots, clean);
	if (ret < 0 && ret != -FIRN_ECORRUPT)
		return ret;
	if (ret < 0)
		log_warn(ret, "the cache '%s' cannot be used, beginning anew",
		    c->dir);
	if (ret <= 0 && (ftruncate(c->slotsfd, 0) != 0 ||
	    ftruncate(c->cellsfd, 0) != 0))
		return -errno;
	if (want > SLOTS_FIRST)
		want = SLOTS_FIRST;
	if (*slots < want)
		*slots = (uint32_t)want;
	if (*slots > c->slots_max)
		*slots = c->slots_max;
	return 0;
}

/* `slots` allocated to its end, so that a full disk cannot hurt it; and what
 * is behind the last slot cut off.  *size is what `cells` had. */
static int
set_sizes(struct cache *c, uint32_t slots, uint64_t *size)
{
	off_t records = CACHE_HEADER_SIZE + (off_t)slots * CACHE_RECORD_SIZE;
	off_t cells = (off_t)slots * CACHE_CELL_SIZE;
	struct stat st;
	int err;

	err = posix_fallocate(c->slotsfd, 0, records);
	if (err != 0 && err != EOPNOTSUPP && err != EINVAL)
		return -err;
	if (ftruncate(c->slotsfd, records) != 0 || fstat(c->cellsfd, &st) != 0)
		return -errno;
	*size = (uint64_t)(st.st_size < cells ? st.st_size : cells);
	/* Sized ahead: XFS preallocates behind the end of a file that grows. */
	if ((c->holes || st.st_size > cells) && ftruncate(c->cellsfd, cells))
		return -errno;
	return 0;
}

/* Without holes a slot once written keeps its room. */
static void
count_room(struct cache_table *t, uint64_t size)
{
	uint32_t i;

	for (i = 0; i < t->n && (uint64_t)i * CACHE_CELL_SIZE < size; i++) {
		if (t->slot[i].state == SLOT_FREE) {
			t->slot[i].room = CACHE_CELL_SIZE;
			t->room += CACHE_CELL_SIZE;
		}
	}
}

static int
own(struct cache *c, int holes)
{
	uint32_t slots = 0;
	uint64_t size = 0;
	int err, clean = 0;

	err = open_file(c, "slots", &c->slotsfd);
	if (err == 0)
		err = open_file(c, "cells", &c->cellsfd);
	if (err == 0)
		err = set_shape(c, holes);
	if (err == 0)
		err = read_header(c, &slots, &clean);
	if (err == 0)
		err = set_sizes(c, slots, &size);
	if (err == 0)
		err = cache_ghost_init(&c->ghost, slots);
	if (err == 0)
		err = cache_records_load(c->slotsfd, slots, size, c->block,
		    &c->table);
	if (err == 0)
		err = cache_header_write(c, slots, 0);
	if (err != 0)
		return err;
	if (!c->holes)
		count_room(&c->table, size);
	cache_room_init(c);
	if (!clean || c->strays > c->reserve)
		cache_room_sweep(c);
	cache_room_trim(c);
	return 0;
}

static void
locks_init(struct cache *c)
{
	int i;

	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->refresh_lock, NULL);
	for (i = 0; i < CACHE_STRIPES; i++)
		pthread_mutex_init(&c->record_lock[i], NULL);
}

static void
cache_free(struct cache *c)
{
	int i;

	for (i = 0; i < CACHE_STRIPES; i++)
		pthread_mutex_destroy(&c->record_lock[i]);
	pthread_mutex_destroy(&c->refresh_lock);
	pthread_mutex_destroy(&c->lock);
	cache_table_release(&c->table);
	cache_ghost_release(&c->ghost);
	if (c->cellsfd >= 0)
		close(c->cellsfd);
	if (c->slotsfd >= 0)
		close(c->slotsfd);
	if (c->lockfd >= 0)
		close(c->lockfd);	/* and lets go of the lock */
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->dir);
	free(c);
}

int
cache_open_as(const char *dir, uint64_t limit, int holes, struct cache **out)
{
	struct cache *c;
	int err;

	if (limit < CACHE_LIMIT_MIN)
		return log_err(-EINVAL, "a cache limit of %llu bytes is too "
		    "small", (unsigned long long)limit);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return log_err(-ENOMEM, "cannot open the cache '%s'", dir);
	locks_init(c);
	c->dirfd = c->lockfd = c->slotsfd = c->cellsfd = -1;
	c->limit = c->ceiling = limit;
	c->dir = strdup(dir);
	err = c->dir == NULL ? -ENOMEM : file_mkdirs(dir, 0700);
	if (err == 0) {
		c->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = c->dirfd < 0 ? -errno : take_lock(c);
	}
	if (err >= 0) {
		c->readonly = err == 0;
		err = c->readonly ? cache_follow_open(c) : own(c, holes);
	}
	if (err != 0) {
		cache_free(c);
		return log_err(err, "cannot open the cache '%s'", dir);
	}
	*out = c;
	return 0;
}

int
cache_open(const char *dir, uint64_t limit, struct cache **out)
{
	return cache_open_as(dir, limit, 1, out);
}

void
cache_close(struct cache *c)
{
	uint32_t i;
	int err;

	if (c == NULL)
		return;
	if (!c->readonly && !c->gone) {
		/* Uses since the record was written. */
		for (i = 0; i < c->table.n; i++)
			if (c->table.slot[i].dirty &&
			    c->table.slot[i].state == SLOT_LIVE)
				cache_record_sync(c, i);
		err = cache_header_write(c, c->table.n, 1);
		if (err != 0 && cache_warn_once(c, WARN_WRITE))
			log_warn(err, "cannot write to the cache '%s'",
			    c->dir);
	}
	cache_free(c);
}

void
cache_stats(struct cache *c, struct cache_stats *out)
{
	struct slot_list (*list)[2];

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&c->lock);
	list = c->table.list;
	out->used = cache_room_used(c);
	out->cells_meta = list[KIND_META][0].count + list[KIND_META][1].count;
	out->cells_data = list[KIND_DATA][0].count + list[KIND_DATA][1].count;
	pthread_mutex_unlock(&c->lock);
	out->limit = c->limit;
	out->hits = atomic_load(&c->hits);
	out->misses = atomic_load(&c->misses);
	out->puts = atomic_load(&c->puts);
	out->evictions = atomic_load(&c->evictions);
	out->bad = atomic_load(&c->bad);
	out->readonly = c->readonly;
}
