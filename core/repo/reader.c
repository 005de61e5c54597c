/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: found by the index, cut out of frames, which are opened from cells.
 *
 * Blocks are compared with their ids at first use and remembered as good in the
 * frame; also those from the disk cache, since a cell gets there before all of
 * its blocks have been looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/slots.h"
#include "crypto/hash.h"
#include "repo/reader_internal.h"
#include "repo/reader_run.h"
#include "repo/repo_internal.h"

#define PLACES_MAX	4	/* of a block that are tried */
#define SLOTS_SPARE	((size_t)4 << 20)

int
reader_new(struct repo *repo, const struct reader_conf *conf,
    struct reader **out)
{
	static const struct reader_conf none;
	struct reader *rd = calloc(1, sizeof(*rd));
	size_t memory;
	int err;

	if (rd == NULL)
		return -ENOMEM;
	rd->repo = repo;
	rd->conf = conf != NULL ? *conf : none;
	pthread_mutex_init(&rd->look_lock, NULL);
	memory = rd->conf.memory > 0 ? rd->conf.memory : 48u << 20;
	err = slots_new(SLOTS_SPARE, &rd->slots);
	if (err == 0)
		err = frames_init(rd, memory / 2);
	if (err == 0)
		err = cells_init(&rd->cells, repo, rd->slots, memory / 2,
		    rd->conf.threads > 0 ? rd->conf.threads : 4);
	if (err != 0) {
		reader_free(rd);
		return err;
	}
	*out = rd;
	return 0;
}

void
reader_free(struct reader *rd)
{
	if (rd == NULL)
		return;
	cells_release(&rd->cells);
	frames_release(rd);
	slots_free(rd->slots);
	pthread_mutex_destroy(&rd->look_lock);
	free(rd);
}

struct repo *
reader_repo(struct reader *rd)
{
	return rd->repo;
}

/* Small blocks of one size are to spread as well as others do. */
static uint32_t
good_slot(uint32_t off)
{
	return (off * 2654435761u >> 16) % GOOD_MAX;
}

/* Compare a block with its id unless that was done for this frame. */
static int
block_compare(struct reader *rd, struct frame *f, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const struct index_place *at)
{
	uint8_t have[BLOCK_ID_SIZE];
	uint32_t *good = &f->good[good_slot(at->off)];
	struct tools *t;
	int err, known;

	pthread_mutex_lock(&f->lock);
	known = *good == at->off + 1;
	pthread_mutex_unlock(&f->lock);
	if (known)
		return 0;
	t = tools_take(rd);
	if (t == NULL)
		return -ENOMEM;
	err = block_id(t->mac, type, f->data + at->off, at->len, have);
	tools_give(rd, t);
	if (err == 0 && !hash_equal(have, id, BLOCK_ID_SIZE))
		err = -FIRN_ECORRUPT;
	if (err != 0)
		return err;
	pthread_mutex_lock(&f->lock);
	*good = at->off + 1;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* A block from conf.local, as a frame of its own. */
static int
local_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	struct buf bytes = BUF_INIT(FORMAT_BLOCK_MAX);
	uint8_t key[FRAME_KEY_SIZE];
	struct lru_node *node;
	struct frame *f;
	int err;

	memcpy(key, id, BLOCK_ID_SIZE);
	le32_put(key + BLOCK_ID_SIZE, UINT32_MAX);
	err = lru_acquire(rd->frames, key, &node);
	if (err < 0)
		return err;
	if (err == 0) {
		err = rd->conf.local(rd->conf.local_ctx, type, id, &bytes);
		if (err == 0)
			err = frame_new(&bytes, 0, node, &f);
		if (err != 0) {
			buf_release(&bytes);
			lru_failed(rd->frames, node, err);
			return err == -ENOENT ? -FIRN_EMISSING : err;
		}
		lru_loaded(rd->frames, node, f, sizeof(*f) + f->plain.cap);
	}
	f = lru_value(node);
	out->data = f->data;
	out->len = f->len;
	out->frame = f;
	return 0;
}

/* The pack is archived: the block may lie in others too, of which one can be
 * read.  -FIRN_ECOLD when none can. */
static int
frame_elsewhere(struct reader *rd, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], enum cells_how how,
    struct index_place *at, struct lru_node **out)
{
	struct index_place place[PLACES_MAX];
	int n, i, err;

	n = index_find_all(repo_index(rd->repo), kind, id, place, PLACES_MAX);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		if (memcmp(place[i].pack, at->pack, OBJECT_ID_SIZE) == 0)
			continue;
		err = frame_get(rd, kind, &place[i], how, out);
		if (err == 0) {
			*at = place[i];
			return 0;
		}
		if (err == -ECANCELED || err == -ENOMEM)
			return err;
	}
	return -FIRN_ECOLD;
}

/*
 * The frame of a block.  Where its pack is gone, the block may have been stored
 * again in another one.
 */
static int
block_frame(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], enum cells_how how,
    struct index_place *at, struct lru_node **out)
{
	enum pack_kind kind = block_pack_kind(type);
	uint8_t first[OBJECT_ID_SIZE];
	int err, ret;

	err = block_find(rd, type, id, at);
	if (err == 0)
		err = frame_get(rd, kind, at, how, out);
	else
		return err;
	if (err == -FIRN_ECOLD)
		return frame_elsewhere(rd, kind, id, how, at, out);
	if (err != -FIRN_EMISSING && err != -FIRN_ECORRUPT)
		return err;
	memcpy(first, at->pack, OBJECT_ID_SIZE);
	ret = packs_compare(rd, kind);
	if (ret == 0)
		ret = index_find(repo_index(rd->repo), kind, id, at);
	/* Where it was cut, this block may lie before the cut. */
	if (ret == 0 && repo_salvage_find(rd->repo, kind, id, at) == 1) {
		atomic_fetch_add(&rd->salvaged, 1);
		return frame_get(rd, kind, at, how, out);
	}
	if (ret != 1 || memcmp(first, at->pack, OBJECT_ID_SIZE) == 0)
		return err;
	return frame_get(rd, kind, at, how, out);
}

/* A block out of its frame, whose hold is released or handed on. */
static int
block_cut(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const struct index_place *at,
    struct lru_node *node, struct blockref *out)
{
	char name[STORE_NAME_MAX + 1];
	struct frame *f = lru_value(node);
	int err = -FIRN_ECORRUPT;

	if (at->off <= f->len && at->len <= f->len - at->off)
		err = block_compare(rd, f, type, id, at);
	if (err != 0) {
		if (err == -FIRN_ECORRUPT) {
			atomic_fetch_add(&rd->corrupt, 1);
			repo_pack_name(block_pack_kind(type), at->pack, name);
			log_err(err, "'%s' holds another block than the "
			    "index says at byte %u", name, at->frame_off);
		}
		lru_release(rd->frames, node);
		return err;
	}
	out->data = f->data + at->off;
	out->len = at->len;
	out->frame = f;
	return 0;
}

static int
get(struct reader *rd, enum block_type type, const uint8_t id[BLOCK_ID_SIZE],
    enum cells_how how, struct blockref *out)
{
	struct index_place at;
	struct lru_node *node;
	int err;

	out->frame = NULL;
	atomic_fetch_add(&rd->blocks, 1);
	if (rd->conf.local != NULL && type != BLOCK_DATA) {
		err = local_get(rd, type, id, out);
	} else {
		err = block_frame(rd, type, id, how, &at, &node);
		if (err == 0)
			err = block_cut(rd, type, id, &at, node, out);
	}
	if (err != 0 && err != -ECANCELED && rd->conf.failed != NULL)
		rd->conf.failed(rd->conf.failed_ctx, type, id, err);
	return err;
}

int
reader_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return get(rd, type, id, CELLS_ORDER, out);
}

int
reader_get_alone(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return get(rd, type, id, CELLS_ALONE, out);
}

int
reader_get_part(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return get(rd, type, id, CELLS_PART, out);
}

void
blockref_put(struct reader *rd, struct blockref *ref)
{
	if (ref->frame != NULL)
		lru_release(rd->frames, ref->frame->node);
	ref->frame = NULL;
}

int
reader_peek(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	enum pack_kind kind = block_pack_kind(type);
	struct index_place at;
	struct lru_node *node;

	out->frame = NULL;
	if (rd->conf.local != NULL ||
	    index_find(repo_index(rd->repo), kind, id, &at) != 1 ||
	    !frame_peek(rd, kind, &at, &node))
		return 0;
	atomic_fetch_add(&rd->blocks, 1);
	return block_cut(rd, type, id, &at, node, out) == 0;
}

int
reader_ready(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE])
{
	enum pack_kind kind = block_pack_kind(type);
	struct index_place at;
	struct lru_node *node;
	struct blockref ref;
	int err;

	if (rd->conf.local != NULL ||
	    index_find(repo_index(rd->repo), kind, id, &at) != 1)
		return -FIRN_EMISSING;
	err = frame_get(rd, kind, &at, CELLS_ORDER, &node);
	if (err == 0)
		err = block_cut(rd, type, id, &at, node, &ref);
	if (err == 0)
		blockref_put(rd, &ref);
	return err;
}

void
reader_stats(struct reader *rd, struct reader_stats *out)
{
	out->blocks = atomic_load(&rd->blocks);
	out->frames_opened = atomic_load(&rd->opened);
	out->frame_hits = atomic_load(&rd->hits);
	out->cells_cache = atomic_load(&rd->cells.from_cache);
	out->cells_store = atomic_load(&rd->cells.from_store);
	out->parts_store = atomic_load(&rd->cells.parts_store);
	out->bytes_store = atomic_load(&rd->cells.bytes_store);
	pthread_mutex_lock(&rd->cells.flight_lock);
	out->bytes_peak = (uint64_t)rd->cells.slabs_peak * FORMAT_GRID;
	pthread_mutex_unlock(&rd->cells.flight_lock);
	out->corrupt = atomic_load(&rd->corrupt);
	out->salvaged = atomic_load(&rd->salvaged);
}
