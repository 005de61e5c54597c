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

struct ahead_job {
	struct cells *c;
	enum pack_kind kind;
	struct index_place at;
	uint32_t number;
	uint32_t count;
};

static struct slab *
slab_new(size_t len)
{
	struct slab *s = malloc(sizeof(*s) + len);

	if (s != NULL)
		atomic_init(&s->refs, 1);
	return s;
}

void
slab_hold(struct slab *s)
{
	atomic_fetch_add(&s->refs, 1);
}

void
slab_put(struct slab *s)
{
	if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

static void
cell_free(void *value)
{
	struct cell *cell = value;

	slab_put(cell->slab);
	free(cell);
}

/* Takes a reference of its own on the slab. */
static struct cell *
cell_new(struct slab *slab, size_t off, size_t len)
{
	struct cell *cell = malloc(sizeof(*cell));

	if (cell == NULL)
		return NULL;
	slab_hold(slab);
	cell->slab = slab;
	cell->data = slab->data + off;
	cell->len = len;
	return cell;
}

int
cells_init(struct cells *c, struct repo *repo, size_t memory, unsigned threads)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->repo = repo;
	c->ahead_max = threads * 2;
	pthread_mutex_init(&c->lock, NULL);
	err = lru_new(memory, CELL_KEY_SIZE, cell_free, &c->lru);
	if (err == 0)
		err = pool_new("firn-ahead", threads, 4 * threads, &c->ahead);
	return err;
}

void
cells_release(struct cells *c)
{
	pool_free(c->ahead);
	lru_free(c->lru);
	pthread_mutex_destroy(&c->lock);
}

static void
cell_key(const uint8_t *pack, uint32_t number, uint8_t key[CELL_KEY_SIZE])
{
	memcpy(key, pack, OBJECT_ID_SIZE);
	le32_put(key + OBJECT_ID_SIZE, number);
}

static uint32_t
cell_count(const struct index_place *at)
{
	return (uint32_t)(((uint64_t)at->pack_size + FORMAT_GRID - 1) /
	    FORMAT_GRID);
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
    const struct index_place *at, uint32_t number, struct cell **out)
{
	struct cache *cache = repo_cache(c->repo);
	struct cell *cell = NULL;
	struct slab *slab;
	size_t len;

	if (cache == NULL || !cache_has(cache, at->pack, number))
		return 0;
	slab = slab_new(CACHE_CELL_SIZE);
	if (slab == NULL)
		return 0;
	if (cache_get(cache, kind, at->pack, number, slab->data, &len) == 1 &&
	    len == cell_len(at, number))
		cell = cell_new(slab, 0, len);
	slab_put(slab);
	if (cell == NULL)
		return 0;
	atomic_fetch_add(&c->from_cache, 1);
	*out = cell;
	return 1;
}

/*
 * Follow the order in which a pack is read.  On a miss, returns how many cells
 * from `number` on are worth fetching in one request now; on a hit, how many
 * from *ahead on to fetch behind the reader's back.
 */
static uint32_t
stream_step(struct cells *c, const struct index_place *at, uint32_t number,
    int miss, uint32_t *ahead)
{
	struct stream *s = NULL, *oldest = &c->stream[0];
	uint32_t i, window = 0;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < STREAMS; i++) {
		if (c->stream[i].window > 0 && memcmp(c->stream[i].pack,
		    at->pack, OBJECT_ID_SIZE) == 0)
			s = &c->stream[i];
		if (c->stream[i].used < oldest->used)
			oldest = &c->stream[i];
	}
	if (s == NULL) {
		s = oldest;
		memcpy(s->pack, at->pack, OBJECT_ID_SIZE);
		s->window = 1;
		s->next = number + 1;
		s->ahead = number + 1;
	} else if (number == s->next || (number > s->next &&
	    number < s->ahead)) {
		/* In order: one more proven step. */
		s->window = s->window * 2 > WINDOW_MAX ? WINDOW_MAX :
		    s->window * 2;
		s->next = number + 1;
	} else if (number + 1 != s->next && !(number < s->next &&
	    number + WINDOW_MAX >= s->next)) {
		/* A jump. */
		s->window = s->window > 1 ? s->window / 2 : 1;
		s->next = number + 1;
		s->ahead = number + 1;
	}
	s->used = ++c->clock;
	if (miss) {
		window = s->window;
		if (s->ahead < number + window)
			s->ahead = number + window;
	} else if (s->window > 1 && s->ahead < number + s->window / 2 + 1) {
		/* Half of the window is left at most: ask for the next. */
		window = s->window;
		*ahead = s->ahead > number ? s->ahead : number + 1;
		s->ahead = *ahead + window;
	}
	pthread_mutex_unlock(&c->lock);
	return window;
}

/* Put [first, first + n) of a pack, read into a slab, where they belong. */
static void
cells_settle(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t first, uint32_t n,
    struct slab *slab, size_t got, int err, struct lru_node **node)
{
	struct cache *cache = repo_cache(c->repo);
	struct cell *cell;
	size_t len, off;
	uint32_t i;

	for (i = 0; i < n; i++) {
		off = (size_t)i * FORMAT_GRID;
		len = cell_len(at, first + i);
		cell = NULL;
		if (err == 0 && off + len <= got)
			cell = cell_new(slab, off, len);
		if (cell == NULL) {
			lru_failed(c->lru, node[i], err != 0 ? err :
			    off + len <= got ? -ENOMEM : -FIRN_ECORRUPT);
			node[i] = NULL;
			continue;
		}
		lru_loaded(c->lru, node[i], cell, sizeof(*cell) + len);
		if (cache != NULL)
			cache_put(cache, kind, at->pack, first + i,
			    slab->data + off, len);
	}
}

/*
 * Fetch `want` cells from `first`, which node[0] has claimed; the claims on the
 * others are made here and released again.  node[0] is held, or NULL, after.
 */
static int
cells_fetch(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t first, uint32_t want, struct lru_node **out)
{
	struct cache *cache = repo_cache(c->repo);
	struct lru_node *node[REQUEST_MAX];
	struct slab *slab;
	uint8_t key[CELL_KEY_SIZE];
	char name[STORE_NAME_MAX + 1];
	size_t len = cell_len(at, first), got = 0;
	uint32_t n, i;
	int err, ret;

	node[0] = *out;
	for (n = 1; n < want && n < REQUEST_MAX &&
	    first + n < cell_count(at); n++) {
		if (cache != NULL && cache_has(cache, at->pack, first + n))
			break;
		cell_key(at->pack, first + n, key);
		ret = lru_try(c->lru, key, &node[n]);
		if (ret == 1)
			lru_release(c->lru, node[n]);
		if (ret != 0)
			break;
		len += cell_len(at, first + n);
	}
	repo_pack_name(kind, at->pack, name);
	slab = slab_new(len);
	err = slab == NULL ? -ENOMEM : store_get(repo_store(c->repo), name,
	    (uint64_t)first * FORMAT_GRID, slab->data, len, &got);
	if (err == -ENOENT)
		err = log_err(-FIRN_EMISSING, "cannot read '%s'", name);
	else if (err == 0 && got < len)
		err = log_err(-FIRN_ECORRUPT, "'%s' is %llu bytes short", name,
		    (unsigned long long)(len - got));
	atomic_fetch_add(&c->from_store, n);
	atomic_fetch_add(&c->bytes_store, got);
	cells_settle(c, kind, at, first, n, slab, got,
	    err == -FIRN_ECORRUPT ? 0 : err, node);
	slab_put(slab);
	for (i = 1; i < n; i++)
		lru_release(c->lru, node[i]);
	*out = node[0];
	return node[0] != NULL ? 0 : err != 0 ? err : -ENOMEM;
}

static void
ahead_run(void *ctx)
{
	struct ahead_job *j = ctx;
	struct cells *c = j->c;
	struct lru_node *node;
	uint8_t key[CELL_KEY_SIZE];
	struct cell *cell;
	uint32_t i;
	int ret;

	atomic_fetch_sub(&c->ahead_jobs, 1);
	for (i = 0; i < j->count && j->number + i < cell_count(&j->at); i++) {
		cell_key(j->at.pack, j->number + i, key);
		ret = lru_try(c->lru, key, &node);
		if (ret == 1)
			lru_release(c->lru, node);
		if (ret != 0)
			continue;
		if (cell_from_cache(c, j->kind, &j->at, j->number + i, &cell))
			lru_loaded(c->lru, node, cell,
			    sizeof(*cell) + cell->len);
		else
			cells_fetch(c, j->kind, &j->at, j->number + i,
			    j->count - i, &node);
		lru_release(c->lru, node);
	}
	free(j);
}

void
cells_prefetch(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count)
{
	struct ahead_job *j;

	if (number >= cell_count(at))
		return;
	if (atomic_fetch_add(&c->ahead_jobs, 1) >= c->ahead_max ||
	    (j = malloc(sizeof(*j))) == NULL) {
		atomic_fetch_sub(&c->ahead_jobs, 1);
		return;
	}
	j->c = c;
	j->kind = kind;
	j->at = *at;
	j->number = number;
	j->count = count;
	if (pool_submit(c->ahead, ahead_run, j) != 0) {
		atomic_fetch_sub(&c->ahead_jobs, 1);
		free(j);
	}
}

/* Cells to fetch ahead, in jobs of a request each so that several run. */
static void
prefetch_window(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count)
{
	uint32_t n;

	for (; count > 0; number += n, count -= n) {
		n = count < REQUEST_MAX ? count : REQUEST_MAX;
		cells_prefetch(c, kind, at, number, n);
	}
}

int
cells_get(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t number, int fresh, struct lru_node **out)
{
	uint8_t key[CELL_KEY_SIZE];
	struct cell *cell;
	uint32_t window, ahead;
	int ret;

	if (number >= cell_count(at))
		return -FIRN_ECORRUPT;
	cell_key(at->pack, number, key);
	ret = lru_acquire(c->lru, key, out);
	if (ret < 0)
		return ret;
	if (ret == 0 && !fresh &&
	    cell_from_cache(c, kind, at, number, &cell)) {
		lru_loaded(c->lru, *out, cell, sizeof(*cell) + cell->len);
		ret = 1;
	}
	if (ret == 0 && fresh)
		return cells_fetch(c, kind, at, number, 1, out);
	window = stream_step(c, at, number, ret == 0, &ahead);
	if (ret == 0) {
		/* The window beyond one request goes to the threads. */
		if (window > REQUEST_MAX)
			prefetch_window(c, kind, at, number + REQUEST_MAX,
			    window - REQUEST_MAX);
		return cells_fetch(c, kind, at, number, window, out);
	}
	if (window > 0)
		prefetch_window(c, kind, at, ahead, window);
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

void
cells_drop(struct cells *c, const struct index_place *at, uint32_t number)
{
	uint8_t key[CELL_KEY_SIZE];

	cell_key(at->pack, number, key);
	lru_drop(c->lru, key);
	if (repo_cache(c->repo) != NULL)
		cache_drop(repo_cache(c->repo), at->pack, number);
}
