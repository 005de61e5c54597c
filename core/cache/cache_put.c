/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing.  A put claims a slot and its room under the lock, then works on it
 * alone: invalid record, data, valid record.  When the disk share is used up it
 * takes the place of the cell that goes, blocks and all, where that is large
 * enough: no hole is made only to be filled again, and the file stays in few
 * extents.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/cache_internal.h"

/* What is put. */
struct item {
	const uint8_t *pack;
	const void *data;
	size_t len;
	uint64_t sum;
	uint32_t cell;
	uint32_t need;		/* room, bytes */
	uint8_t kind;
};

/* Bytes that a slot would take beyond what it has. */
static uint64_t
extra_for(const struct cache *c, uint32_t i, uint32_t need)
{
	uint32_t room = c->table.slot[i].room;

	return need > room ? need - room : 0;
}

/* Under lock: more slots are wanted, and there is room for them. */
static int
may_grow(const struct cache *c, uint32_t need)
{
	return c->table.free == CACHE_NIL && !c->growing &&
	    c->table.n < c->slots_max &&
	    cache_room_fits(c, need + cache_room_grow_cost(c));
}

/*
 * Under lock, which it lets go and takes again where it must give back blocks
 * first.  A slot that is on no list and whose room suffices, or CACHE_NIL.
 */
static uint32_t
find_room(struct cache *c, const struct item *it, struct cache_moved *moved)
{
	uint32_t i;

	for (;;) {
		cache_room_measure(c);
		if (c->stopped || cache_table_find(&c->table, it->pack,
		    it->cell) != CACHE_NIL)
			return CACHE_NIL;
		i = c->table.free;
		if (i != CACHE_NIL && cache_room_fits(c, extra_for(c, i,
		    it->need)))
			return cache_free_pop(&c->table);
		if (may_grow(c, it->need)) {
			cache_room_grow(c);
			continue;
		}
		i = cache_policy_evict(c, moved);
		if (i == CACHE_NIL)
			return CACHE_NIL;
		if (cache_room_fits(c, extra_for(c, i, it->need)))
			return i;
		c->table.slot[i].state = SLOT_LEAVING;
		pthread_mutex_unlock(&c->lock);
		cache_room_vacate(c, i);
		pthread_mutex_lock(&c->lock);
	}
}

/* A slot for the item, WRITING and with the room counted, or CACHE_NIL. */
static uint32_t
claim(struct cache *c, const struct item *it, struct cache_moved *moved,
    uint32_t *clip)
{
	struct slot *s;
	uint64_t extra;
	uint32_t i;

	pthread_mutex_lock(&c->lock);
	i = find_room(c, it, moved);
	if (i != CACHE_NIL) {
		s = &c->table.slot[i];
		extra = extra_for(c, i, it->need);
		*clip = s->room > it->need;
		s->room += (uint32_t)extra;
		c->table.room += extra;
		memcpy(s->pack, it->pack, OBJECT_ID_SIZE);
		s->cell = it->cell;
		s->len = (uint32_t)it->len;
		s->sum = it->sum;
		s->kind = it->kind;
		s->state = SLOT_WRITING;
		s->doomed = 0;
		cache_table_link(&c->table, i);
	}
	pthread_mutex_unlock(&c->lock);
	return i;
}

/* LIVE when the data is there and nobody dropped it meanwhile; 1, or 0. */
static int
settle(struct cache *c, uint32_t i, int err)
{
	struct slot *s;
	int live;

	pthread_mutex_lock(&c->lock);
	s = &c->table.slot[i];
	live = err == 0 && !s->doomed;
	if (live) {
		s->state = SLOT_LIVE;
		cache_policy_insert(c, i);
	} else {
		cache_table_unlink(&c->table, i);
		s->state = SLOT_LEAVING;
	}
	pthread_mutex_unlock(&c->lock);
	return live;
}

static void
write_failed(struct cache *c, int err)
{
	if (err == -ENOSPC || err == -EDQUOT) {
		cache_room_shrink(c, err);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->stopped = 1;
	pthread_mutex_unlock(&c->lock);
	if (cache_warn_once(c, WARN_WRITE))
		log_warn(err, "cannot write to the cache '%s', only reading "
		    "from here on", c->dir);
}

static void
put_item(struct cache *c, const struct item *it)
{
	struct cache_moved moved = { 0, { 0 } };
	uint32_t i, m, clip = 0;
	int err;

	i = claim(c, it, &moved, &clip);
	if (i != CACHE_NIL) {
		/* It may have been another cell's until now. */
		cache_record_sync(c, i);
		if (clip)
			cache_room_clip(c, i, it->need);
		err = file_pwrite_full(c->cellsfd, it->data, it->len,
		    (off_t)i * CACHE_CELL_SIZE);
		if (settle(c, i, err)) {
			cache_record_sync(c, i);
			atomic_fetch_add(&c->puts, 1);
		} else {
			cache_room_vacate(c, i);
		}
		if (err != 0)
			write_failed(c, err);
	}
	for (m = 0; m < moved.n; m++)
		cache_record_sync(c, moved.slot[m]);
}

void
cache_put(struct cache *c, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell, const void *data,
    size_t len)
{
	struct item it = { pack, data, len, 0, cell, 0,
	    kind == PACK_META ? KIND_META : KIND_DATA };
	int there, gone;

	if (c->readonly || len == 0 || len > CACHE_CELL_SIZE)
		return;
	pthread_mutex_lock(&c->lock);
	there = c->stopped ||
	    cache_table_find(&c->table, pack, cell) != CACHE_NIL;
	pthread_mutex_unlock(&c->lock);
	if (there)
		return;
	cache_room_regrow(c);
	it.sum = cache_cell_sum(pack, cell, data, len);
	it.need = cache_room_of(c, len);
	put_item(c, &it);
	pthread_mutex_lock(&c->lock);
	gone = c->gone;
	pthread_mutex_unlock(&c->lock);
	if (gone)
		cache_room_abandon(c);
}

void
cache_drop(struct cache *c, const uint8_t pack[OBJECT_ID_SIZE], uint32_t cell)
{
	struct slot *s;
	uint32_t i;
	int leaves = 0;

	pthread_mutex_lock(&c->lock);
	i = cache_table_find(&c->table, pack, cell);
	if (i != CACHE_NIL) {
		s = &c->table.slot[i];
		leaves = s->state == SLOT_LIVE;
		s->doomed = !leaves;
		if (leaves) {
			cache_policy_remove(&c->table, i);
			cache_table_unlink(&c->table, i);
			s->state = SLOT_LEAVING;
		}
	}
	pthread_mutex_unlock(&c->lock);
	if (i == CACHE_NIL)
		return;
	atomic_fetch_add(&c->bad, 1);
	if (leaves && !c->readonly)
		cache_room_vacate(c, i);
}
