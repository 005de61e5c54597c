/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading.  The slot is looked up under the lock and read without it; only
 * bytes whose checksum fits the pack and the number asked for are an answer.
 * When they do not fit, either the cell left meanwhile, or the disk is wrong;
 * in the latter case the slot still says what it said.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/cache_internal.h"

/* What a reader must know, copied out of the table. */
struct place {
	uint32_t slot;
	uint32_t len;
	uint64_t sum;
	int fd;
};

static int
find_live(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell,
    int use, struct place *out)
{
	struct slot *s;
	int ret = 0;

	pthread_mutex_lock(&c->lock);
	out->slot = cache_table_find(&c->table, pack, cell);
	if (out->slot != CACHE_NIL) {
		s = &c->table.slot[out->slot];
		out->len = s->len;
		out->sum = s->sum;
		out->fd = c->cellsfd;
		ret = s->state == SLOT_LIVE;
		if (ret && use)
			cache_policy_use(s);
	}
	pthread_mutex_unlock(&c->lock);
	return ret;
}

static int
find(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell,
    int use, struct place *out)
{
	int ret = find_live(c, pack, cell, use, out);

	if (!ret && c->readonly && cache_follow(c))
		ret = find_live(c, pack, cell, use, out);
	return ret;
}

int
cache_has(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell)
{
	struct place at;

	return find(c, pack, cell, 0, &at);
}

/* 1 when buf is the cell, 0 when the bytes are not it, or -errno. */
static int
read_place(const struct place *at, const uint8_t pack[OBJECT_ID_SIZE],
    uint32_t cell, void *buf)
{
	size_t got;
	int err;

	err = file_pread_full(at->fd, buf, at->len,
	    (off_t)at->slot * CACHE_CELL_SIZE, &got);
	if (err != 0)
		return err;
	return got == at->len && cache_cell_sum(pack, cell, buf, got) ==
	    at->sum;
}

/* Drop a cell that is not what its slot says; 1, or 0 when the slot has
 * changed since. */
static int
drop_bad(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell,
    const struct place *at)
{
	uint32_t i;
	int bad;

	if (c->readonly)
		return 0;
	pthread_mutex_lock(&c->lock);
	i = cache_table_find(&c->table, pack, cell);
	bad = i == at->slot && c->table.slot[i].state == SLOT_LIVE &&
	    c->table.slot[i].sum == at->sum;
	if (bad) {
		cache_policy_remove(&c->table, i);
		cache_table_unlink(&c->table, i);
		c->table.slot[i].state = SLOT_LEAVING;
	}
	pthread_mutex_unlock(&c->lock);
	if (!bad)
		return 0;
	atomic_fetch_add(&c->bad, 1);
	cache_room_vacate(c, i);
	return 1;
}

int
cache_get(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, void *buf, size_t *len)
{
	struct place at;
	int ret, tries;

	(void)kind;	/* each id is of one kind */
	/* A second time for a cell that has moved on. */
	for (tries = 0; tries < 2; tries++) {
		if (!find(c, pack, cell, tries == 0, &at))
			break;
		ret = read_place(&at, pack, cell, buf);
		if (ret == 1) {
			*len = at.len;
			atomic_fetch_add(&c->hits, 1);
			return 1;
		}
		if (ret < 0 && cache_warn_once(c, WARN_READ))
			log_warn(ret, "cannot read from the cache '%s'",
			    c->dir);
		if (drop_bad(c, pack, cell, &at))
			break;
		if (c->readonly)
			(void)cache_follow(c);
	}
	atomic_fetch_add(&c->misses, 1);
	return 0;
}
