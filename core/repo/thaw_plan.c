/* SPDX-License-Identifier: Apache-2.0 */
/* From blocks to packs. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "repo/block_walk.h"
#include "repo/repo.h"
#include "repo/thaw_plan.h"

#define PLACES		4	/* of a block that are considered */
#define NO_PACK		UINT32_MAX

/* Blocks that lie in each of these packs; numbers ascend, NO_PACK behind. */
struct choice {
	uint32_t pack[PLACES];
	uint64_t blocks;
	int settled;
};

struct thaw_plan {
	struct repo *repo;
	const volatile int *stop;
	struct packset packs;
	struct choice *choice;		/* nchoices of them */
	size_t nchoices, cap;
	uint32_t *slot;			/* number + 1 by packs; 2 * cap */
	struct thaw_plan_totals totals;
	uint32_t at;			/* the file in hand */
};

int
thaw_plan_new(struct repo *r, const volatile int *stop, struct thaw_plan **out)
{
	struct thaw_plan *p;
	int err;

	err = repo_sync_current(r, PACK_DATA);
	if (err != 0)
		return err;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->repo = r;
	p->stop = stop;
	packset_init(&p->packs);
	*out = p;
	return 0;
}

void
thaw_plan_free(struct thaw_plan *p)
{
	if (p == NULL)
		return;
	packset_release(&p->packs);
	free(p->choice);
	free(p->slot);
	free(p);
}

struct packset *
thaw_plan_packs(struct thaw_plan *p)
{
	return &p->packs;
}

void
thaw_plan_totals(const struct thaw_plan *p, struct thaw_plan_totals *out)
{
	*out = p->totals;
}

void
thaw_plan_at(struct thaw_plan *p, uint32_t file)
{
	p->at = file;
}

static void
note_last(const struct thaw_plan *p, struct pack_info *info)
{
	if (info->last < p->at)
		info->last = p->at;
}

/* The slot of these packs, or the empty one where they would go. */
static size_t
probe(const struct thaw_plan *p, const uint32_t pack[PLACES])
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < PLACES; i++)
		h = (h ^ pack[i]) * 0x100000001b3u;
	i = (h ^ h >> 32) & (2 * p->cap - 1);
	while (p->slot[i] != 0 && memcmp(p->choice[p->slot[i] - 1].pack, pack,
	    PLACES * sizeof(*pack)) != 0)
		i = (i + 1) & (2 * p->cap - 1);
	return i;
}

static int
choices_grow(struct thaw_plan *p)
{
	size_t cap = p->cap > 0 ? 2 * p->cap : 64, i;
	uint32_t *slot = calloc(2 * cap, sizeof(*slot));
	void *v = realloc(p->choice, cap * sizeof(*p->choice));

	if (v != NULL)
		p->choice = v;
	if (v == NULL || slot == NULL) {
		free(slot);
		return -ENOMEM;
	}
	free(p->slot);
	p->slot = slot;
	p->cap = cap;
	for (i = 0; i < p->nchoices; i++)
		slot[probe(p, p->choice[i].pack)] = (uint32_t)i + 1;
	return 0;
}

/* One more block that lies in all of these. */
static int
choice_add(struct thaw_plan *p, const uint32_t pack[PLACES])
{
	struct choice *c;
	size_t i;

	if (p->nchoices == p->cap && choices_grow(p) != 0)
		return -ENOMEM;
	i = probe(p, pack);
	if (p->slot[i] == 0) {
		c = &p->choice[p->nchoices++];
		memset(c, 0, sizeof(*c));
		memcpy(c->pack, pack, sizeof(c->pack));
		p->slot[i] = (uint32_t)p->nchoices;
	}
	p->choice[p->slot[i] - 1].blocks++;
	return 0;
}

/* Does the disk cache hold all cells of the frame? */
static int
is_cached(struct thaw_plan *p, const struct index_place *at)
{
	struct cache *cache = repo_cache(p->repo);
	uint64_t cell = at->frame_off / FORMAT_GRID;
	uint64_t last = ((uint64_t)at->frame_off + at->frame_len - 1) /
	    FORMAT_GRID;

	if (cache == NULL || at->frame_len == 0)
		return 0;
	for (; cell <= last; cell++)
		if (!cache_has(cache, at->pack, (uint32_t)cell))
			return 0;
	return 1;
}

/* Insert where it belongs, once. */
static void
number_insert(uint32_t pack[PLACES], uint32_t number)
{
	unsigned i, k;

	for (i = 0; pack[i] < number; i++)
		continue;
	if (pack[i] == number)
		return;
	for (k = PLACES - 1; k > i; k--)
		pack[k] = pack[k - 1];
	pack[i] = number;
}

int
thaw_plan_block(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE],
    uint64_t len)
{
	uint32_t pack[PLACES] = { NO_PACK, NO_PACK, NO_PACK, NO_PACK };
	struct index_place at[PLACES];
	size_t number;
	int n, i;

	p->totals.blocks++;
	p->totals.bytes += len;
	n = index_find_all(repo_index(p->repo), PACK_DATA, id, at, PLACES);
	if (n < 0)
		return n;
	if (n == 0)
		p->totals.lost++;
	for (i = 0; i < n; i++)
		if (is_cached(p, &at[i])) {
			p->totals.cached += len;
			return 0;
		}
	for (i = 0; i < n; i++) {
		if (packset_add(&p->packs, at[i].pack, at[i].pack_size,
		    &number) < 0)
			return -ENOMEM;
		note_last(p, &p->packs.v[number]);
		number_insert(pack, (uint32_t)number);
	}
	if (pack[1] != NO_PACK)
		return choice_add(p, pack);
	if (pack[0] != NO_PACK)
		p->packs.v[pack[0]].flags |= PACK_SOLE;
	return 0;
}

int
thaw_plan_where(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE],
    int keep)
{
	struct index_place at[PLACES];
	struct pack_info *info;
	int n, i, ret = 0, known = 0;

	n = index_find_all(repo_index(p->repo), PACK_DATA, id, at, PLACES);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		info = packset_find(&p->packs, at[i].pack);
		known |= info != NULL && (info->flags & PACK_NEEDED);
		if (info != NULL)
			note_last(p, info);
		if (info != NULL && (pack_is_readable(info) ||
		    !(info->flags & PACK_SEEN)))
			ret = THAW_BLOCK_READY;
		if (info != NULL && keep)
			info->flags |= PACK_KEEP;
	}
	/* The cache may have let go of what it had. */
	for (i = 0; i < n && ret == 0; i++)
		if (is_cached(p, &at[i]))
			ret = THAW_BLOCK_READY;
	if (n == 0)
		return THAW_BLOCK_READY;
	return ret == 0 && !known ? THAW_BLOCK_NEW : ret;
}

static int
on_block(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len)
{
	return thaw_plan_block(ctx, id, len);
}

static int
walk_begin(struct thaw_plan *p, struct tree *t, struct block_walk **out)
{
	struct block_visit v = { .block = on_block, .ctx = p,
	    .stop = p->stop };

	return block_walk_new(t, &v, out);
}

int
thaw_plan_path(struct thaw_plan *p, struct tree *t,
    const uint8_t root[BLOCK_ID_SIZE], const char *path)
{
	struct block_walk *w;
	int err;

	err = walk_begin(p, t, &w);
	if (err != 0)
		return err;
	err = block_walk_path(w, root, path, &p->totals.failed);
	block_walk_free(w);
	return err;
}

int
thaw_plan_entry(struct thaw_plan *p, struct tree *t, const struct entry *e)
{
	struct block_walk *w;
	int err;

	err = walk_begin(p, t, &w);
	if (err != 0)
		return err;
	err = block_walk_entry(w, e, &p->totals.failed);
	block_walk_free(w);
	return err;
}

/* --- choosing ----------------------------------------------------------- */

/* Every pack, worst last. */
enum { RANK_NEEDED, RANK_READABLE, RANK_THAWING, RANK_COLD, RANK_GONE };

static int
rank(const struct pack_info *p)
{
	if (!(p->flags & PACK_SEEN))
		return RANK_GONE;
	if (p->flags & PACK_NEEDED)
		return RANK_NEEDED;
	if (pack_is_readable(p))
		return RANK_READABLE;
	return p->state == STORE_THAWING ? RANK_THAWING : RANK_COLD;
}

/* Take each choice from its best pack where that is no worse than `worst`. */
static void
settle(struct thaw_plan *p, int worst)
{
	struct pack_info *v = p->packs.v;
	struct choice *c;
	uint32_t best;
	size_t i;
	unsigned k;

	for (i = 0; i < p->nchoices; i++) {
		c = &p->choice[i];
		best = c->pack[0];
		for (k = 1; k < PLACES && c->pack[k] != NO_PACK; k++)
			if (rank(&v[c->pack[k]]) < rank(&v[best]))
				best = c->pack[k];
		if (c->settled || rank(&v[best]) > worst)
			continue;
		c->settled = 1;
		v[best].flags |= PACK_NEEDED;
	}
}

/* The pack that has most of the blocks that are left; NO_PACK: none is. */
static uint32_t
most_wanted(const struct thaw_plan *p, uint64_t *gain)
{
	const struct choice *c;
	uint32_t best = NO_PACK;
	size_t i;
	unsigned k;

	memset(gain, 0, p->packs.n * sizeof(*gain));
	for (i = 0; i < p->nchoices; i++) {
		c = &p->choice[i];
		if (c->settled)
			continue;
		for (k = 0; k < PLACES && c->pack[k] != NO_PACK; k++) {
			if (rank(&p->packs.v[c->pack[k]]) == RANK_GONE)
				continue;
			gain[c->pack[k]] += c->blocks;
			if (best == NO_PACK || gain[c->pack[k]] > gain[best])
				best = c->pack[k];
		}
	}
	return best;
}

int
thaw_plan_more(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE])
{
	struct index_place at[PLACES];
	size_t number, best = 0;
	int n, i;

	n = index_find_all(repo_index(p->repo), PACK_DATA, id, at, PLACES);
	for (i = 0; i < n; i++)
		if (is_cached(p, &at[i]))
			return 0;
	for (i = 0; i < n; i++) {
		if (packset_add(&p->packs, at[i].pack, at[i].pack_size,
		    &number) < 0)
			return -ENOMEM;
		note_last(p, &p->packs.v[number]);
		if (i == 0 || rank(&p->packs.v[number]) <
		    rank(&p->packs.v[best]))
			best = number;
	}
	if (n > 0)
		p->packs.v[best].flags |= PACK_NEEDED | PACK_KEEP;
	return n < 0 ? n : 0;
}

int
thaw_plan_choose(struct thaw_plan *p)
{
	struct pack_info *v = p->packs.v;
	uint64_t *gain;
	uint32_t best;
	size_t i;

	for (i = 0; i < p->packs.n; i++) {
		v[i].flags &= ~(unsigned)PACK_NEEDED;
		if (v[i].flags & PACK_SOLE)
			v[i].flags |= PACK_NEEDED;
	}
	for (i = 0; i < p->nchoices; i++)
		p->choice[i].settled = 0;
	if (p->nchoices == 0)
		return 0;
	gain = malloc(p->packs.n * sizeof(*gain));
	if (gain == NULL)
		return -ENOMEM;
	settle(p, RANK_NEEDED);
	settle(p, RANK_READABLE);
	settle(p, RANK_THAWING);
	while ((best = most_wanted(p, gain)) != NO_PACK) {
		v[best].flags |= PACK_NEEDED;
		settle(p, RANK_NEEDED);
	}
	free(gain);
	return 0;
}
