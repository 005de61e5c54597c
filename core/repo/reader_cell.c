/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: the 1 MiB grid on which packs are fetched.
 *
 * Who misses a cell fetches it together with the cells behind it that reading
 * in order will want, as many as the pack's stream has earned, in one ranged
 * read.  Each of those is claimed in the LRU before the request goes out, so
 * whoever wants it meanwhile waits for this request instead of sending one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "repo/reader_internal.h"
#include "store/store.h"

#define CELL_KEY_SIZE (OBJECT_ID_SIZE + 4)

static void
cell_free(void *value)
{
	struct cell *cell = value;
	struct cells *c = cell->cells;

	budget_gone(c, cell);
	slab_put(cell->slab);
	free(cell);
}

/* Takes a reference of its own on the slab. */
static struct cell *
cell_new(struct cells *c, uint64_t hash, struct slab *slab, size_t off,
    size_t len)
{
	struct cell *cell = malloc(sizeof(*cell));

	if (cell == NULL)
		return NULL;
	slab_hold(slab);
	cell->cells = c;
	cell->hash = hash;
	atomic_init(&cell->waits, 0);
	atomic_init(&cell->used, 0);
	cell->slab = slab;
	cell->data = slab->data + off;
	cell->len = len;
	return cell;
}

int
cells_init(struct cells *c, struct repo *repo, struct slots *slots,
    size_t memory, unsigned threads)
{
	pthread_condattr_t attr;
	int err;

	memset(c, 0, sizeof(*c));
	c->repo = repo;
	c->slots = slots;
	c->ahead_max = threads * 2;
	c->slabs_max = (unsigned)(memory / FORMAT_GRID) +
	    SLABS_BESIDE;
	budget_init(c, memory);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->flight_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->landed, &attr);
	pthread_condattr_destroy(&attr);
	err = parts_init(c);
	if (err == 0)
		err = lru_new(memory, CELL_KEY_SIZE, cell_free, &c->lru);
	if (err == 0)
		err = pool_new("firn-ahead", threads, 4 * threads, &c->ahead);
	if (err == 0 && repo_cache(repo) != NULL)
		err = pool_new("firn-keep", 1, KEEP_MAX, &c->keep);
	return err;
}

void
cells_release(struct cells *c)
{
	pool_free(c->ahead);
	pool_free(c->keep);
	if (c->lru != NULL)
		budget_forget(c, UINT64_MAX, 0);
	lru_free(c->lru);
	slabs_release(c);
	parts_release(c);
	pthread_cond_destroy(&c->landed);
	pthread_mutex_destroy(&c->flight_lock);
	pthread_mutex_destroy(&c->lock);
}

static void
cell_key(const uint8_t *pack, uint32_t number, uint8_t key[CELL_KEY_SIZE])
{
	memcpy(key, pack, OBJECT_ID_SIZE);
	le32_put(key + OBJECT_ID_SIZE, number);
}

static size_t
cell_len(const struct index_place *at, uint32_t number)
{
	uint64_t off = (uint64_t)number * FORMAT_GRID;
	uint64_t left = at->pack_size - off;

	return left < FORMAT_GRID ? (size_t)left : FORMAT_GRID;
}

/* From the disk cache: 1, or 0. */
static int
cell_from_cache(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, enum cells_how how,
    struct cell **out)
{
	struct cache *cache = repo_cache(c->repo);
	struct cell *cell = NULL;
	struct slab *slab;
	size_t len;

	if (cache == NULL || !cache_has(cache, at->pack, number))
		return 0;
	slab = slab_new(c, 1, how);
	if (slab != NULL && cache_get(cache, kind, at->pack, number,
	    slab->data, &len) == 1 && len == cell_len(at, number))
		cell = cell_new(c, budget_hash(at->pack, number), slab, 0, len);
	slab_landed(c, 1);
	slab_put(slab);
	if (cell == NULL)
		return 0;
	atomic_fetch_add(&c->from_cache, 1);
	*out = cell;
	return 1;
}

/* Cells for the disk. */
struct keep {
	struct cells *c;
	struct slab *slab;
	size_t len;
	enum pack_kind kind;
	uint8_t pack[OBJECT_ID_SIZE];
	uint32_t first;
};

static void
keep_run(void *ctx)
{
	struct keep *k = ctx;
	size_t off, n;

	for (off = 0; off < k->len && !atomic_load(&k->slab->bad); off += n) {
		n = k->len - off < FORMAT_GRID ? k->len - off : FORMAT_GRID;
		cache_put(repo_cache(k->c->repo), k->kind, k->pack,
		    k->first + (uint32_t)(off / FORMAT_GRID),
		    k->slab->data + off, n);
	}
	atomic_fetch_sub(&k->c->keep_jobs, 1);
	slab_put(k->slab);
	free(k);
}

/*
 * Give the cells of a slab to the disk cache, behind the back of who waits for
 * them; when the disk does not keep up, before his eyes, so that memory does
 * not fill with what it has not taken yet.
 */
static void
keep(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t first, struct slab *slab, size_t len)
{
	struct keep *k;

	if (c->keep == NULL || len == 0)
		return;
	k = malloc(sizeof(*k));
	if (k == NULL)
		return;
	*k = (struct keep){ c, slab, len, kind, { 0 }, first };
	memcpy(k->pack, at->pack, OBJECT_ID_SIZE);
	slab_hold(slab);
	if (atomic_fetch_add(&c->keep_jobs, 1) >= KEEP_MAX ||
	    pool_submit(c->keep, keep_run, k) != 0)
		keep_run(k);
}

/*
 * Put [first, first + n) of a pack, read into a slab, where they belong.  All
 * but the first `wanted` were reserved, as fetched ahead.
 */
static void
cells_settle(struct cells *c, const struct index_place *at, uint32_t first,
    uint32_t n, uint32_t wanted, struct slab *slab, size_t got, int err,
    struct lru_node **node)
{
	struct cell *cell;
	size_t len, off;
	uint32_t i;

	for (i = 0; i < n; i++) {
		off = (size_t)i * FORMAT_GRID;
		len = cell_len(at, first + i);
		cell = NULL;
		if (err == 0 && off + len <= got)
			cell = cell_new(c, budget_hash(at->pack, first + i),
			    slab, off, len);
		if (cell == NULL) {
			if (i >= wanted)
				budget_give(c, 1);
			lru_failed(c->lru, node[i], err != 0 ? err :
			    off + len <= got ? -ENOMEM : -FIRN_ECORRUPT);
			node[i] = NULL;
			continue;
		}
		atomic_fetch_add(&c->loads, 1);
		lru_loaded(c->lru, node[i], cell, sizeof(*cell) + len);
	}
}

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int
cells_read(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint64_t off, void *buf, size_t len, size_t *got)
{
	char name[STORE_NAME_MAX + 1];
	uint64_t begin = now();
	size_t n = 0;
	int err;

	repo_pack_name(kind, at->pack, name);
	err = store_get(repo_store(c->repo), name, off, buf, len, &n);
	if (err == 0 && n > 0) {
		pthread_mutex_lock(&c->parts_lock);
		cost_add(&c->cost, n, now() - begin);
		pthread_mutex_unlock(&c->parts_lock);
	}
	if (err == -ENOENT)
		err = log_err(-FIRN_EMISSING, "cannot read '%s'", name);
	else if (err == 0 && n < len)
		err = log_err(-FIRN_ECORRUPT, "'%s' is %llu bytes short", name,
		    (unsigned long long)(len - n));
	atomic_fetch_add(&c->bytes_store, n);
	if (got != NULL)
		*got = n;
	return err;
}

/* Claim cells behind `first`, at most `count` with it, that nobody has or is
 * loading and that are not on disk either; how many with it, and their bytes. */
static uint32_t
claim_behind(struct cells *c, const struct index_place *at, uint32_t first,
    uint32_t count, struct lru_node **node, size_t *len)
{
	struct cache *cache = repo_cache(c->repo);
	uint8_t key[CELL_KEY_SIZE];
	uint32_t n;
	int ret;

	*len = cell_len(at, first);
	for (n = 1; n < count && n < REQUEST_MAX &&
	    first + n < cell_count(at); n++) {
		if (cache != NULL && cache_has(cache, at->pack, first + n))
			break;
		cell_key(at->pack, first + n, key);
		ret = lru_try(c->lru, key, &node[n]);
		if (ret == 1)
			lru_release(c->lru, node[n]);
		if (ret != 0)
			break;
		*len += cell_len(at, first + n);
	}
	return n;
}

/*
 * Fetch cells from `first`, which *out has claimed, up to `count`; how many in
 * *n.  Those behind the first `wanted` are reserved.  *out is held, or NULL
 * after a failure.
 */
static int
cells_fetch(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t first, uint32_t count, uint32_t wanted, enum cells_how how,
    uint32_t *n, struct lru_node **out)
{
	struct lru_node *node[REQUEST_MAX];
	struct slab *slab;
	size_t len, got = 0;
	uint32_t i;
	int err;

	budget_adapt(c, at, first);
	node[0] = *out;
	*n = claim_behind(c, at, first, count, node, &len);
	slab = slab_new(c, *n, how);
	err = slab == NULL ? -ENOMEM : cells_read(c, kind, at,
	    (uint64_t)first * FORMAT_GRID, slab->data, len, &got);
	atomic_fetch_add(&c->from_store, *n);
	cells_settle(c, at, first, *n, wanted, slab, got,
	    err == -FIRN_ECORRUPT ? 0 : err, node);
	if (err == 0)
		keep(c, kind, at, first, slab, len);
	slab_put(slab);
	slab_landed(c, *n);
	for (i = 1; i < *n; i++)
		if (node[i] != NULL && i >= wanted)
			budget_wait(c, node[i]);
		else
			lru_release(c->lru, node[i]);
	*out = node[0];
	return node[0] != NULL ? 0 : err != 0 ? err : -ENOMEM;
}

uint32_t
cells_load(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t number, uint32_t count)
{
	uint8_t key[CELL_KEY_SIZE];
	struct lru_node *node;
	struct cell *cell;
	uint32_t n = 1;
	int ret;

	if (number >= cell_count(at)) {
		budget_give(c, 1);
		return 1;
	}
	cell_key(at->pack, number, key);
	ret = lru_try(c->lru, key, &node);
	if (ret != 0) {
		if (ret == 1)
			lru_release(c->lru, node);
		budget_give(c, 1);
		return 1;
	}
	if (cell_from_cache(c, kind, at, number, CELLS_ALONE, &cell)) {
		atomic_fetch_add(&c->loads, 1);
		lru_loaded(c->lru, node, cell, sizeof(*cell) + cell->len);
	} else {
		cells_fetch(c, kind, at, number, count, 0, CELLS_ALONE, &n,
		    &node);
	}
	if (node != NULL)
		budget_wait(c, node);
	return n;
}

/* A cell that the caller has claimed and nobody has: what is wanted with it,
 * `count` in all, and what is worth fetching in the same request. */
static int
cells_miss(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t number, uint32_t count, enum cells_how how,
    struct lru_node **out)
{
	uint32_t worth, extra = 0, n;
	int err;

	if (how == CELLS_FRESH)
		return cells_fetch(c, kind, at, number, 1, 1, how, &n, out);
	if (count > REQUEST_MAX)
		count = REQUEST_MAX;
	worth = how == CELLS_ORDER ? ahead_step(c, kind, at, number, count, 1) : 0;
	if (worth > REQUEST_MAX)
		worth = REQUEST_MAX;
	if (worth > count)
		extra = budget_take(c, worth - count, 1);
	err = cells_fetch(c, kind, at, number, count + extra, count, how, &n,
	    out);
	if (n < count)
		n = count;
	budget_give(c, count + extra - n);
	return err;
}

int
cells_get(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t number, uint32_t count, enum cells_how how,
    struct lru_node **out)
{
	uint8_t key[CELL_KEY_SIZE];
	struct cell *cell;
	int ret;

	if (number >= cell_count(at))
		return -FIRN_ECORRUPT;
	cell_key(at->pack, number, key);
	ret = lru_acquire(c->lru, key, out);
	if (ret < 0)
		return ret;
	if (ret == 0 && how != CELLS_FRESH &&
	    cell_from_cache(c, kind, at, number, how, &cell)) {
		atomic_fetch_add(&c->loads, 1);
		lru_loaded(c->lru, *out, cell, sizeof(*cell) + cell->len);
		ret = 1;
	}
	if (ret == 0)
		return cells_miss(c, kind, at, number, count, how, out);
	budget_used(c, *out);
	if (how == CELLS_ORDER)
		ahead_step(c, kind, at, number, count, 0);
	return 0;
}

int
cells_has(struct cells *c, const struct index_place *at, uint32_t number)
{
	struct lru_node *node;
	uint8_t key[CELL_KEY_SIZE];

	cell_key(at->pack, number, key);
	if (!lru_peek(c->lru, key, &node))
		return 0;
	lru_release(c->lru, node);
	return 1;
}

int
cells_known(struct cells *c, const struct index_place *at, uint32_t number)
{
	uint8_t key[CELL_KEY_SIZE];

	cell_key(at->pack, number, key);
	return lru_known(c->lru, key);
}

void
cells_drop(struct cells *c, const struct index_place *at, uint32_t number)
{
	uint8_t key[CELL_KEY_SIZE];
	struct lru_node *node;
	struct cell *cell;

	cell_key(at->pack, number, key);
	if (lru_peek(c->lru, key, &node)) {
		cell = lru_value(node);
		atomic_store(&cell->slab->bad, 1);
		lru_release(c->lru, node);
	}
	lru_drop(c->lru, key);
	if (repo_cache(c->repo) != NULL)
		cache_drop(repo_cache(c->repo), at->pack, number);
}
