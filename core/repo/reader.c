/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: found by the index, cut out of frames, which are opened from cells.
 *
 * A frame is opened once for all who want it (base/lru.h).  Blocks are compared
 * with their ids at first use and remembered as good in the frame; also those
 * from the disk cache, since a cell gets there before all of its blocks have
 * been looked at.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "repo/reader_internal.h"
#include "repo/repo_internal.h"

#define FRAME_KEY_SIZE	(OBJECT_ID_SIZE + 4)
#define RESYNC_SECONDS	5	/* between looks for new segments on a miss */
#define COMPARE_SECONDS	60	/* between looks which packs are there */
#define SEALED_KEPT	(2u << 20)
#define GOOD_MAX	64	/* blocks a frame remembers as compared */

struct frame {
	struct lru_node *node;
	uint8_t *data;
	size_t len;
	size_t cap;
	pthread_mutex_t lock;
	uint32_t good[GOOD_MAX];	/* offsets; protected by lock */
	unsigned ngood;
};

struct pack_key {
	uint8_t header[PACK_HEADER_SIZE];
	uint8_t key[PACK_KEY_SIZE];
};

/* What a thread needs to open and compare; taken from a pool of them. */
struct tools {
	struct tools *next;
	struct buf sealed;	/* a frame that lies in several cells */
	struct pack_codec *codec;
	struct mac *mac;
};

struct reader {
	struct repo *repo;
	struct reader_conf conf;
	struct cells cells;
	struct lru *frames;
	struct lru *packs;		/* struct pack_key by pack */
	pthread_mutex_t lock;
	struct tools *tools;		/* protected by lock */
	/* One look at the store for what a block needs; held across it. */
	pthread_mutex_t look_lock;
	time_t synced[3];		/* by kind; protected by look_lock */
	time_t compared[3];		/* by kind; protected by look_lock */
	atomic_ullong blocks, opened, hits, corrupt, salvaged;
};

static void
frame_free(void *value)
{
	struct frame *f = value;

	pthread_mutex_destroy(&f->lock);
	free(f->data);
	free(f);
}

static void
pack_key_free(void *value)
{
	kdf_wipe(value, sizeof(struct pack_key));
	free(value);
}

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
	pthread_mutex_init(&rd->lock, NULL);
	pthread_mutex_init(&rd->look_lock, NULL);
	memory = rd->conf.memory > 0 ? rd->conf.memory : 48u << 20;
	err = lru_new(memory / 2, FRAME_KEY_SIZE, frame_free, &rd->frames);
	if (err == 0)
		err = lru_new(1u << 20, OBJECT_ID_SIZE, pack_key_free,
		    &rd->packs);
	if (err == 0)
		err = cells_init(&rd->cells, repo, memory / 2,
		    rd->conf.threads > 0 ? rd->conf.threads : 4);
	if (err != 0) {
		reader_free(rd);
		return err;
	}
	*out = rd;
	return 0;
}

static void
tools_free(struct tools *t)
{
	pack_codec_free(t->codec);
	mac_free(t->mac);
	buf_release(&t->sealed);
	free(t);
}

void
reader_free(struct reader *rd)
{
	struct tools *t;

	if (rd == NULL)
		return;
	cells_release(&rd->cells);
	lru_free(rd->frames);
	lru_free(rd->packs);
	while ((t = rd->tools) != NULL) {
		rd->tools = t->next;
		tools_free(t);
	}
	pthread_mutex_destroy(&rd->look_lock);
	pthread_mutex_destroy(&rd->lock);
	free(rd);
}

struct repo *
reader_repo(struct reader *rd)
{
	return rd->repo;
}

static struct tools *
tools_take(struct reader *rd)
{
	const struct keys *keys = repo_keys(rd->repo);
	struct tools *t;

	pthread_mutex_lock(&rd->lock);
	t = rd->tools;
	if (t != NULL)
		rd->tools = t->next;
	pthread_mutex_unlock(&rd->lock);
	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	buf_init(&t->sealed, FORMAT_FRAME_MAX + PACK_FRAME_OVERHEAD);
	if (pack_codec_new(&t->codec) != 0 ||
	    mac_new(keys->block_id, sizeof(keys->block_id), &t->mac) != 0) {
		tools_free(t);
		return NULL;
	}
	return t;
}

static void
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
		err = cells_get(&rd->cells, kind, at, 0, fresh, &cell_node);
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

/* The sealed bytes of a frame: *sealed, in the one cell that is held by *held
 * then, or put together from several. */
static int
frame_gather(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, int fresh, struct buf *several,
    const uint8_t **sealed, struct lru_node **held)
{
	struct lru_node *node;
	struct cell *cell;
	uint64_t off = at->frame_off;
	size_t left = at->frame_len, skip, n;
	int err;

	*held = NULL;
	buf_reset(several);
	while (left > 0) {
		err = cells_get(&rd->cells, kind, at,
		    (uint32_t)(off / FORMAT_GRID), fresh, &node);
		if (err != 0)
			return err;
		cell = lru_value(node);
		skip = off % FORMAT_GRID;
		n = cell->len > skip ? cell->len - skip : 0;
		if (left == at->frame_len && n >= left) {
			*sealed = cell->data + skip;
			*held = node;
			return 0;
		}
		if (n > left)
			n = left;
		err = n == 0 ? -FIRN_ECORRUPT : buf_add(several,
		    cell->data + skip, n);
		lru_release(rd->cells.lru, node);
		if (err != 0)
			return err;
		left -= n;
		off += n;
	}
	*sealed = several->data;
	return 0;
}

static void
frame_drop_cells(struct reader *rd, const struct index_place *at)
{
	uint64_t off = at->frame_off, end = off + at->frame_len;

	for (off -= off % FORMAT_GRID; off < end; off += FORMAT_GRID)
		cells_drop(&rd->cells, at, (uint32_t)(off / FORMAT_GRID));
}

/* Gather, decrypt, decompress; `fresh` past all caches. */
static int
frame_try(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, const struct pack_key *pk, int fresh,
    struct tools *t, struct buf *plain)
{
	const uint8_t *sealed;
	struct lru_node *held;
	int err;

	err = frame_gather(rd, kind, at, fresh, &t->sealed, &sealed, &held);
	if (err == 0)
		err = pack_frame_open(t->codec, pk->key, pk->header,
		    at->frame_off, sealed, at->frame_len, plain);
	if (held != NULL)
		lru_release(rd->cells.lru, held);
	return err;
}

/* Once as it comes, then past all caches. */
static int
frame_open(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct frame *f)
{
	struct buf plain = BUF_INIT(FORMAT_FRAME_MAX);
	struct lru_node *key_node = NULL;
	struct tools *t;
	int err, fresh;

	err = pack_key_get(rd, kind, at, &key_node);
	if (err != 0)
		return err;
	t = tools_take(rd);
	err = t == NULL ? -ENOMEM : -FIRN_ECORRUPT;
	for (fresh = 0; fresh < READ_TRIES && err == -FIRN_ECORRUPT; fresh++) {
		buf_reset(&plain);
		err = frame_try(rd, kind, at, lru_value(key_node), fresh, t,
		    &plain);
		if (err == -FIRN_ECORRUPT)
			frame_drop_cells(rd, at);
	}
	if (err == 0) {
		f->data = plain.data;
		f->len = plain.len;
		f->cap = plain.cap;
	} else {
		buf_release(&plain);
	}
	if (t != NULL)
		tools_give(rd, t);
	lru_release(rd->packs, key_node);
	return err;
}

static int
frame_get(struct reader *rd, enum pack_kind kind,
    const struct index_place *at, struct lru_node **out)
{
	uint8_t key[FRAME_KEY_SIZE];
	char name[STORE_NAME_MAX + 1];
	struct frame *f;
	int err;

	memcpy(key, at->pack, OBJECT_ID_SIZE);
	le32_put(key + OBJECT_ID_SIZE, at->frame_off);
	err = lru_acquire(rd->frames, key, out);
	if (err == 1)
		atomic_fetch_add(&rd->hits, 1);
	if (err != 0)
		return err < 0 ? err : 0;
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		lru_failed(rd->frames, *out, -ENOMEM);
		return -ENOMEM;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->node = *out;
	err = frame_open(rd, kind, at, f);
	if (err != 0) {
		if (err == -FIRN_ECORRUPT) {
			atomic_fetch_add(&rd->corrupt, 1);
			repo_pack_name(kind, at->pack, name);
			log_err(err, "cannot read '%s' at byte %u", name,
			    at->frame_off);
		}
		frame_free(f);
		lru_failed(rd->frames, *out, err);
		return err;
	}
	atomic_fetch_add(&rd->opened, 1);
	lru_loaded(rd->frames, *out, f, sizeof(*f) + f->cap);
	return 0;
}

/* 1 when *last is so many seconds ago, which is then now.  Under look_lock. */
static int
is_due(time_t *last, time_t seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (*last != 0 && now.tv_sec - *last < seconds)
		return 0;
	*last = now.tv_sec;
	return 1;
}

/*
 * The index believes in packs that are not there, or in the absence of some
 * that may be back: compare with the store.  Whoever comes meanwhile waits, and
 * finds what was learned.
 */
static int
packs_compare(struct reader *rd, enum pack_kind kind)
{
	int ret = 0;

	pthread_mutex_lock(&rd->look_lock);
	if (is_due(&rd->compared[kind], COMPARE_SECONDS))
		ret = repo_packs_compare(rd->repo, kind, NULL);
	pthread_mutex_unlock(&rd->look_lock);
	return ret < 0 ? ret : 0;
}

/* The same for segments that are new. */
static int
segments_look(struct reader *rd, enum pack_kind kind)
{
	int ret = 0;

	pthread_mutex_lock(&rd->look_lock);
	if (is_due(&rd->synced[kind], RESYNC_SECONDS) ||
	    repo_sync_due(rd->repo, kind))
		ret = repo_sync(rd->repo, kind, NULL);
	pthread_mutex_unlock(&rd->look_lock);
	return ret;
}

/* A block that no segment lists, as far as we looked: 1 found, 0, -errno. */
static int
block_find_again(struct reader *rd, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at)
{
	struct index *ix = repo_index(rd->repo);
	size_t absent;
	int ret;

	ret = segments_look(rd, kind);
	if (ret == 0)
		ret = index_find(ix, kind, id, at);
	if (ret == 0)
		ret = index_absent_count(ix, kind, &absent);
	if (ret == 0 && absent > 0) {
		ret = packs_compare(rd, kind);
		if (ret == 0)
			ret = index_find(ix, kind, id, at);
		if (ret == 0) {
			ret = repo_salvage_find(rd->repo, kind, id, at);
			if (ret == 1)
				atomic_fetch_add(&rd->salvaged, 1);
		}
	}
	/* A segment may be gone altogether, and its packs still there. */
	if (ret == 0) {
		ret = repo_adopt_once(rd->repo, kind);
		if (ret >= 0)
			ret = index_find(ix, kind, id, at);
	}
	return ret;
}

/* Where a block is; looks for new segments when it is not known. */
static int
block_find(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at)
{
	enum pack_kind kind = block_pack_kind(type);
	char hex[2 * BLOCK_ID_SIZE + 1];
	int ret;

	ret = repo_sync_once(rd->repo, kind);
	if (ret == 0)
		ret = index_find(repo_index(rd->repo), kind, id, at);
	if (ret == 0)
		ret = block_find_again(rd, kind, id, at);
	if (ret == 0) {
		hex_encode(id, BLOCK_ID_SIZE, hex);
		ret = log_err(-FIRN_EMISSING,
		    "no pack that is there has the %s block %.16s",
		    pack_kind_name(kind), hex);
	}
	return ret < 0 ? ret : 0;
}

/* Compare a block with its id unless that was done for this frame. */
static int
block_compare(struct reader *rd, struct frame *f, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const struct index_place *at)
{
	uint8_t have[BLOCK_ID_SIZE];
	struct tools *t;
	unsigned i;
	int err;

	pthread_mutex_lock(&f->lock);
	for (i = 0; i < f->ngood && i < GOOD_MAX; i++)
		if (f->good[i] == at->off)
			break;
	err = i < f->ngood && i < GOOD_MAX ? 1 : 0;
	pthread_mutex_unlock(&f->lock);
	if (err == 1)
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
	f->good[f->ngood++ % GOOD_MAX] = at->off;
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
		f = calloc(1, sizeof(*f));
		err = f == NULL ? -ENOMEM : rd->conf.local(rd->conf.local_ctx,
		    type, id, &bytes);
		if (err != 0) {
			free(f);
			buf_release(&bytes);
			lru_failed(rd->frames, node, err);
			return err == -ENOENT ? -FIRN_EMISSING : err;
		}
		pthread_mutex_init(&f->lock, NULL);
		f->node = node;
		f->data = bytes.data;
		f->len = bytes.len;
		f->cap = bytes.cap;
		lru_loaded(rd->frames, node, f, sizeof(*f) + f->cap);
	}
	f = lru_value(node);
	out->data = f->data;
	out->len = f->len;
	out->frame = f;
	return 0;
}

/*
 * The frame of a block.  Where its pack is gone, the block may have been stored
 * again in another one.
 */
static int
block_frame(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *at,
    struct lru_node **out)
{
	enum pack_kind kind = block_pack_kind(type);
	uint8_t first[OBJECT_ID_SIZE];
	int err, ret;

	err = block_find(rd, type, id, at);
	if (err == 0)
		err = frame_get(rd, kind, at, out);
	else
		return err;
	if (err != -FIRN_EMISSING && err != -FIRN_ECORRUPT)
		return err;
	memcpy(first, at->pack, OBJECT_ID_SIZE);
	ret = packs_compare(rd, kind);
	if (ret == 0)
		ret = index_find(repo_index(rd->repo), kind, id, at);
	/* Where it was cut, this block may lie before the cut. */
	if (ret == 0 && repo_salvage_find(rd->repo, kind, id, at) == 1) {
		atomic_fetch_add(&rd->salvaged, 1);
		return frame_get(rd, kind, at, out);
	}
	if (ret != 1 || memcmp(first, at->pack, OBJECT_ID_SIZE) == 0)
		return err;
	return frame_get(rd, kind, at, out);
}

static int
block_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	enum pack_kind kind = block_pack_kind(type);
	char name[STORE_NAME_MAX + 1];
	struct index_place at;
	struct lru_node *node;
	struct frame *f;
	int err;

	err = block_frame(rd, type, id, &at, &node);
	if (err != 0)
		return err;
	f = lru_value(node);
	err = -FIRN_ECORRUPT;
	if (at.off <= f->len && at.len <= f->len - at.off)
		err = block_compare(rd, f, type, id, &at);
	if (err != 0) {
		if (err == -FIRN_ECORRUPT) {
			atomic_fetch_add(&rd->corrupt, 1);
			repo_pack_name(kind, at.pack, name);
			log_err(err, "'%s' holds another block than the "
			    "index says at byte %u", name, at.frame_off);
		}
		lru_release(rd->frames, node);
		return err;
	}
	out->data = f->data + at.off;
	out->len = at.len;
	out->frame = f;
	return 0;
}

int
reader_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	int err;

	out->frame = NULL;
	atomic_fetch_add(&rd->blocks, 1);
	if (rd->conf.local != NULL && type != BLOCK_DATA)
		err = local_get(rd, type, id, out);
	else
		err = block_get(rd, type, id, out);
	if (err != 0 && err != -ECANCELED && rd->conf.failed != NULL)
		rd->conf.failed(rd->conf.failed_ctx, type, id, err);
	return err;
}

void
blockref_put(struct reader *rd, struct blockref *ref)
{
	if (ref->frame != NULL)
		lru_release(rd->frames, ref->frame->node);
	ref->frame = NULL;
}

void
reader_prefetch(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE])
{
	enum pack_kind kind = block_pack_kind(type);
	struct index_place at;
	uint32_t cell;

	if (index_find(repo_index(rd->repo), kind, id, &at) != 1)
		return;
	cell = at.frame_off / FORMAT_GRID;
	if (!cells_has(&rd->cells, &at, cell))
		cells_prefetch(&rd->cells, kind, &at, cell,
		    (uint32_t)((at.frame_off % FORMAT_GRID + at.frame_len +
		    FORMAT_GRID - 1) / FORMAT_GRID));
}

void
reader_stats(struct reader *rd, struct reader_stats *out)
{
	out->blocks = atomic_load(&rd->blocks);
	out->frames_opened = atomic_load(&rd->opened);
	out->frame_hits = atomic_load(&rd->hits);
	out->cells_cache = atomic_load(&rd->cells.from_cache);
	out->cells_store = atomic_load(&rd->cells.from_store);
	out->bytes_store = atomic_load(&rd->cells.bytes_store);
	out->corrupt = atomic_load(&rd->corrupt);
	out->salvaged = atomic_load(&rd->salvaged);
}
