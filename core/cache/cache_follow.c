/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second opener: reads `slots` as the owner writes it, without a lock, and
 * writes nothing.  A record that is read while it is written does not check; a
 * cell that is replaced while it is read does not match its checksum; so both
 * are misses.
 *
 * It rereads the records when it misses and `slots` was modified since, but
 * spends no more than a tenth of the time on that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cache/cache_internal.h"

#define COST		10		/* times what a reread took */
#define GRAIN_NS	50000000ll	/* of a file's times, at worst */

/* The files, when they have come into being. */
static int
open_files(struct cache *c)
{
	int slots = -1, cells = -1, err = 0;

	if (c->slotsfd >= 0)	/* set once, by who has refresh_lock */
		return 0;
	slots = openat(c->dirfd, "slots", O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	if (slots >= 0)
		cells = openat(c->dirfd, "cells", O_RDONLY | O_CLOEXEC |
		    O_NOFOLLOW | O_NONBLOCK);
	if (cells < 0) {
		err = -errno;
		if (slots >= 0)
			close(slots);
		return err;
	}
	pthread_mutex_lock(&c->lock);
	c->slotsfd = slots;
	c->cellsfd = cells;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* Under refresh_lock: 1 when the table is new, 0, or -errno. */
static int
reread(struct cache *c)
{
	struct cache_table fresh, old;
	struct timespec now;
	struct stat st, cells;
	uint32_t slots;
	int err, clean, ret;

	err = open_files(c);
	if (err != 0)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(c->slotsfd, &st) != 0 || fstat(c->cellsfd, &cells) != 0)
		return -errno;
	if (c->sure && st.st_mtim.tv_sec == c->seen.tv_sec &&
	    st.st_mtim.tv_nsec == c->seen.tv_nsec)
		return 0;
	ret = cache_header_read(c->slotsfd, &slots, &clean);
	if (ret <= 0)
		return ret;
	/* The header may promise more than there is. */
	if ((uint64_t)slots * CACHE_RECORD_SIZE > (uint64_t)st.st_size)
		slots = (uint32_t)(st.st_size / CACHE_RECORD_SIZE);
	err = cache_records_load(c->slotsfd, slots, (uint64_t)cells.st_size,
	    c->block, &fresh);
	if (err != 0)
		return err;
	pthread_mutex_lock(&c->lock);
	old = c->table;
	c->table = fresh;
	pthread_mutex_unlock(&c->lock);
	cache_table_release(&old);
	c->seen = st.st_mtim;
	c->sure = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000000000 +
	    now.tv_nsec - st.st_mtim.tv_nsec > GRAIN_NS;
	return 1;
}

int
cache_follow(struct cache *c)
{
	int64_t start = cache_now(), end;
	int ret = 0;

	if (pthread_mutex_trylock(&c->refresh_lock) != 0)
		return 0;	/* somebody is at it; this one is a miss */
	if (start >= c->refresh_at) {
		ret = reread(c);
		end = cache_now();
		c->refresh_at = end + (end - start) * COST;
	}
	pthread_mutex_unlock(&c->refresh_lock);
	return ret == 1;
}

int
cache_follow_open(struct cache *c)
{
	int err;

	c->block = CACHE_HEADER_SIZE;
	err = cache_table_init(&c->table, 0);
	if (err == 0)
		(void)cache_follow(c);	/* may come later */
	return err;
}
