/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: put together from cells, authenticated, expanded, and kept.  Each is
 * opened once for all who want it (base/lru.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "base/pool.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "repo/reader_internal.h"
#include "repo/repo_internal.h"

#define SEALED_KEPT	(2u << 20)

struct pack_key {
	uint8_t header[PACK_HEADER_SIZE];
	uint8_t key[PACK_KEY_SIZE];
};

static void
frame_free(void *value)
{
	struct frame *f = value;

	pthread_mutex_destroy(&f->lock);
	buf_release(&f->plain);
	free(f);
}

int
frame_new(struct buf *plain, size_t skip, struct lru_node *node,
    struct frame **out)
{
	struct frame *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	f->node = node;
	f->plain = *plain;
	f->data = plain->data + skip;
	f->len = plain->len - skip;
	*out = f;
	return 0;
}

static void
pack_key_free(void *value)
{
	kdf_wipe(value, sizeof(struct pack_key));
	free(value);
}

static void
tools_free(struct tools *t)
{
	pack_codec_free(t->codec);
	mac_free(t->mac);
	buf_release(&t->sealed);
	free(t);
}

struct tools *
tools_take(struct reader *rd)
{
	const struct keys *keys = repo_keys(rd->repo);
	struct tools *t;

	pthread_mutex_lock(&rd->lock);
	while (rd->tools == NULL && rd->tools_made == rd->tools_max)
		pthread_cond_wait(&rd->given, &rd->lock);
	t = rd->tools;
	if (t != NULL)
		rd->tools = t->next;
	else
		rd->tools_made++;
	pthread_mutex_unlock(&rd->lock);
	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t != NULL) {
		buf_init(&t->sealed, FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD);
		if (pack_codec_new(&t->codec) == 0 && mac_new(keys->block_id,
		    sizeof(keys->block_id), &t->mac) == 0)
			return t;
		tools_free(t);
	}
	pthread_mutex_lock(&rd->lock);
	rd->tools_made--;
	pthread_cond_signal(&rd->given);
	pthread_mutex_unlock(&rd->lock);
	return NULL;
}

void
tools_give(struct reader *rd, struct tools *t)
{
	/* One large frame is not to cost its memory for good. */
	if (t->sealed.cap > SEALED_KEPT) {
		buf_release(&t->sealed);
		buf_init(&t->sealed, FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD);
	}
	pthread_mutex_lock(&rd->lock);
	t->next = rd->tools;
	rd->tools = t;
	pthread_cond_signal(&rd->given);
	pthread_mutex_unlock(&rd->lock);
}

/* The header as the index has it. */
static int
pack_key_indexed(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct pack_key *pk)
{
	int ret;

	ret = index_pack_header(repo_index(rd->repo), kind, at->pack,
	    pk->header);
	if (ret != 1)
		return ret < 0 ? ret : -FIRN_ECORRUPT;
	return pack_header_decode(repo_keys(rd->repo), pk->header, kind,
	    pk->key);
}

/*
 * The key of a pack, by its header: from the index, else from the pack's first
 * cell; there past the caches when what they have does not open.
 */
static int
pack_key_get(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct lru_node **out)
{
	struct lru_node *cell_node = NULL;
	struct pack_key *pk;
	struct cell *cell;
	int err = -ENOMEM, fresh;

	err = lru_acquire(rd->packs, at->pack, out);
	if (err != 0)
		return err < 0 ? err : 0;
	pk = calloc(1, sizeof(*pk));
	if (pk != NULL)
		err = pack_key_indexed(rd, kind, at, pk);
	for (fresh = 0; err == -FIRN_ECORRUPT && fresh < READ_TRIES; fresh++) {
		err = cells_get(&rd->cells, kind, at, 0, 1, fresh ?
		    CELLS_FRESH : CELLS_ORDER, &cell_node);
		if (err != 0)
			break;
		cell = lru_value(cell_node);
		err = -FIRN_ECORRUPT;
		if (cell->len >= PACK_HEADER_SIZE) {
			memcpy(pk->header, cell->data, PACK_HEADER_SIZE);
			err = pack_header_decode(repo_keys(rd->repo),
			    pk->header, kind, pk->key);
		}
		lru_release(rd->cells.lru, cell_node);
		if (err == -FIRN_ECORRUPT)
			cells_drop(&rd->cells, at, 0);
	}
	if (err != 0) {
		if (pk != NULL)
			pack_key_free(pk);
		lru_failed(rd->packs, *out, err);
		return err;
	}
	lru_loaded(rd->packs, *out, pk, sizeof(*pk));
	return 0;
}

/* Cells from that of `off` on that a frame lies in. */
static uint32_t
cells_left(const struct index_place *at, uint64_t off)
{
	uint64_t last = (uint64_t)at->frame_off + at->frame_len - 1;

	return (uint32_t)(last / FORMAT_GRID - off / FORMAT_GRID) + 1;
}

/* The sealed bytes of a frame, from cells that came one by one. */
static int
frame_copy(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, struct buf *out)
{
	struct lru_node *node;
	struct cell *cell;
	uint64_t off = at->frame_off;
	size_t left = at->frame_len, skip, n;
	int err;

	buf_reset(out);
	err = buf_reserve(out, left);
	if (err != 0)
		return err;
	while (left > 0) {
		err = cells_get(&rd->cells, kind, at,
		    (uint32_t)(off / FORMAT_GRID), cells_left(at, off),
		    how == CELLS_FRESH ? how : CELLS_REST, &node);
		if (err != 0)
			return err;
		cell = lru_value(node);
		skip = off % FORMAT_GRID;
		n = cell->len > skip ? cell->len - skip : 0;
		if (n > left)
			n = left;
		err = n == 0 ? -FIRN_ECORRUPT : buf_add(out, cell->data + skip,
		    n);
		lru_release(rd->cells.lru, node);
		if (err != 0)
			return err;
		left -= n;
		off += n;
	}
	return 0;
}

/*
 * The same without copying, where its cells came together: *sealed, in a slab
 * that is held then.  1, or 0 when they did not, or -errno.
 */
static int
frame_whole(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, const uint8_t **sealed,
    struct slab **held)
{
	uint64_t off = at->frame_off;
	uint32_t number = (uint32_t)(off / FORMAT_GRID);
	uint32_t left = cells_left(at, off);
	const uint8_t *behind = NULL;
	struct lru_node *node;
	struct cell *cell;
	int err, whole = 1;

	*held = NULL;
	for (; whole && left > 0; number++, left--) {
		err = cells_get(&rd->cells, kind, at, number, left,
		    *held == NULL ? how : CELLS_REST, &node);
		if (err != 0) {
			slab_put(*held);
			return err;
		}
		cell = lru_value(node);
		if (*held == NULL) {
			slab_hold(cell->slab);
			*held = cell->slab;
			*sealed = cell->data + off % FORMAT_GRID;
		} else {
			whole = cell->slab == *held && cell->data == behind;
		}
		behind = cell->data + cell->len;
		lru_release(rd->cells.lru, node);
	}
	if (whole && behind >= *sealed &&
	    (size_t)(behind - *sealed) >= at->frame_len)
		return 1;
	slab_put(*held);
	*held = NULL;
	return 0;
}

static void
frame_drop_cells(struct reader *rd, const struct index_place *at)
{
	uint64_t off = at->frame_off, end = off + at->frame_len;

	for (off -= off % FORMAT_GRID; off < end; off += FORMAT_GRID)
		cells_drop(&rd->cells, at, (uint32_t)(off / FORMAT_GRID));
}

/* Decrypt and decompress what was gathered; what did not come in one piece is
 * copied together before. */
static int
frame_decode(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, const struct pack_key *pk,
    enum cells_how how, const uint8_t *sealed, struct buf *plain, size_t *skip)
{
	struct tools *t = tools_take(rd);
	int err = 0;

	if (t == NULL)
		return -ENOMEM;
	if (sealed == NULL) {
		err = frame_copy(rd, kind, at, how, &t->sealed);
		sealed = t->sealed.data;
	}
	if (err == 0)
		err = pack_frame_take(t->codec, pk->key, pk->header,
		    at->frame_off, sealed, at->frame_len, plain, skip);
	tools_give(rd, t);
	return err;
}

/* Gather and decode. */
static int
frame_try(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, const struct pack_key *pk,
    enum cells_how how, struct buf *plain, size_t *skip)
{
	const uint8_t *sealed = NULL;
	struct slab *held = NULL;
	int ret = 0;

	/* Tools are few: who waits for the store has none of them. */
	if (how == CELLS_PART && part_wanted(&rd->cells, at))
		ret = part_get(&rd->cells, kind, at, &sealed, &held);
	else if (how != CELLS_FRESH)
		ret = frame_whole(rd, kind, at, how, &sealed, &held);
	if (ret < 0)
		return ret;
	ret = frame_decode(rd, kind, at, pk, how, held != NULL ? sealed : NULL,
	    plain, skip);
	slab_put(held);
	return ret;
}

/* Once as it comes, then past all caches. */
static int
frame_open(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, struct lru_node *node,
    struct frame **out)
{
	struct buf plain = BUF_INIT_SLOTS(FORMAT_FRAME_MAX, rd->slots);
	struct lru_node *key_node = NULL;
	size_t skip = 0;
	int err, i;

	err = pack_key_get(rd, kind, at, &key_node);
	if (err != 0)
		return err;
	err = -FIRN_ECORRUPT;
	for (i = 0; i < READ_TRIES && err == -FIRN_ECORRUPT; i++) {
		err = frame_try(rd, kind, at, lru_value(key_node), i == 0 ?
		    how : CELLS_FRESH, &plain, &skip);
		if (err == -FIRN_ECORRUPT)
			frame_drop_cells(rd, at);
	}
	lru_release(rd->packs, key_node);
	if (err == 0)
		err = frame_new(&plain, skip, node, out);
	if (err != 0)
		buf_release(&plain);
	return err;
}

static void
frame_key(const struct index_place *at, uint8_t key[FRAME_KEY_SIZE])
{
	memcpy(key, at->pack, OBJECT_ID_SIZE);
	le32_put(key + OBJECT_ID_SIZE, at->frame_off);
}

/* Whoever claimed a frame opens it. */
static int
frame_load(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, struct lru_node *node)
{
	char name[STORE_NAME_MAX + 1];
	struct frame *f;
	int err;

	err = frame_open(rd, kind, at, how, node, &f);
	if (err != 0) {
		if (err == -FIRN_ECORRUPT) {
			atomic_fetch_add(&rd->corrupt, 1);
			repo_pack_name(kind, at->pack, name);
			log_err(err, "cannot read '%s' at byte %u", name,
			    at->frame_off);
		}
		lru_failed(rd->frames, node, err);
		return err;
	}
	atomic_fetch_add(&rd->opened, 1);
	lru_loaded(rd->frames, node, f, sizeof(*f) + f->plain.cap);
	return 0;
}

int
frame_get(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, enum cells_how how, struct lru_node **out)
{
	uint8_t key[FRAME_KEY_SIZE];
	int ret;

	frame_key(at, key);
	ret = lru_acquire(rd->frames, key, out);
	if (ret == 1)
		atomic_fetch_add(&rd->hits, 1);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	return frame_load(rd, kind, at, how, *out);
}

int
frame_peek(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct lru_node **out)
{
	uint8_t key[FRAME_KEY_SIZE];
	uint64_t off = at->frame_off, end = off + at->frame_len;
	int ret;

	frame_key(at, key);
	if (lru_peek(rd->frames, key, out))
		return 1;
	for (off -= off % FORMAT_GRID; off < end; off += FORMAT_GRID)
		if (!cells_has(&rd->cells, at, (uint32_t)(off / FORMAT_GRID)))
			return 0;
	ret = lru_try(rd->frames, key, out);
	if (ret == 0)
		ret = frame_load(rd, kind, at, CELLS_ALONE, *out) == 0;
	return ret == 1;
}

int
frames_init(struct reader *rd, size_t memory)
{
	int err;

	pthread_mutex_init(&rd->lock, NULL);
	pthread_cond_init(&rd->given, NULL);
	rd->tools_max = pool_cpus() + 2;
	err = lru_new(memory, FRAME_KEY_SIZE, frame_free, &rd->frames);
	if (err == 0)
		err = lru_new(1u << 20, OBJECT_ID_SIZE, pack_key_free,
		    &rd->packs);
	return err;
}

void
frames_release(struct reader *rd)
{
	struct tools *t;

	lru_free(rd->frames);
	lru_free(rd->packs);
	while ((t = rd->tools) != NULL) {
		rd->tools = t->next;
		tools_free(t);
	}
	pthread_cond_destroy(&rd->given);
	pthread_mutex_destroy(&rd->lock);
}
