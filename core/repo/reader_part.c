/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that are read here and there are fetched by themselves, not with the
 * cells that they lie in: of a large file that is read in small pieces all over,
 * the rest of a cell is mostly of no use.
 *
 * Where much of a cell is read after all, one request for the cell would have
 * been better than many.  Nobody knows before, so what was fetched of which
 * cells is remembered, and how often a cell that is wanted was wanted before.  A
 * cell is fetched once the requests for its parts, those that were and those that
 * may be expected, wait as long for answers as PATIENCE times what its transfer
 * takes, as measured: soon where the store is far, late where the line is slow.
 * A transfer counts as one at 1 Gbit/s at least, and until some were measured:
 * where a store is near there is little time to be gained, and bytes are not free
 * for all that.  And it is fetched when half of it came in parts, or when a frame
 * is wanted again that has left memory since: the disk cache has whole cells only.
 * So no byte is fetched more than twice, but for what rounding adds.  The table is
 * small and forgets, which costs bytes and nothing else.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "repo/reader_internal.h"

#define PARTS		(1u << 15)	/* cells and frames remembered */
#define PART_GRAIN	(4u << 10)	/* ranges are whole multiples of it */
#define PART_MAX	(REQUEST_MAX * FORMAT_GRID - 2 * PART_GRAIN)

#define PATIENCE	2
#define AGAIN_FIRST	0.6		/* believed before anything was seen */
#define AGAIN_WEIGHT	128		/* of what was seen before, plus one */
#define COST_WEIGHT	16		/* of what was measured before */
#define COST_LEAST	4		/* transfers, before they are believed */
#define TRANSFER_LEAST	8388608u	/* ns; of a cell at 1 Gbit/s */

/* Of a cell, what was fetched in parts; of a frame, itself. */
struct part {
	uint32_t tag;
	uint32_t bytes;
	uint32_t times;
};

int
parts_init(struct cells *c)
{
	pthread_mutex_init(&c->parts_lock, NULL);
	c->cost.again = AGAIN_FIRST;
	c->parts = calloc(PARTS, sizeof(*c->parts));
	return c->parts == NULL ? -ENOMEM : 0;
}

void
parts_release(struct cells *c)
{
	free(c->parts);
	pthread_mutex_destroy(&c->parts_lock);
}

/* Another pack, or place in it, is another hash: packs' names are hashes. */
static struct part *
part_find(struct cells *c, const uint8_t *half_id, uint32_t at)
{
	uint64_t h = (le64_get(half_id) + at) * 0x9e3779b97f4a7c15u;
	struct part *p = &c->parts[h >> 49];
	uint32_t tag = (uint32_t)(h >> 17);

	if (p->tag != tag)
		*p = (struct part){ tag, 0, 0 };
	return p;
}

/* Cells and frames have numbers of their own, so they take other bytes of the
 * pack's name. */
static struct part *
part_of_frame(struct cells *c, const struct index_place *at)
{
	return part_find(c, at->pack, at->frame_off);
}

static struct part *
part_of_cell(struct cells *c, const struct index_place *at, uint32_t number)
{
	return part_find(c, at->pack + 8, number);
}

/* What disturbs a measurement makes it longer. */
static void
cost_learn(uint64_t *known, uint64_t ns)
{
	*known = *known == 0 || ns < *known ? ns :
	    *known + (ns - *known) / COST_WEIGHT;
}

void
cost_add(struct cell_cost *p, size_t bytes, uint64_t ns)
{
	uint64_t moved = p->transfer * bytes / FORMAT_GRID;

	if (bytes >= FORMAT_GRID / 2) {
		/* So it was not that long. */
		if (ns <= p->wait)
			p->wait = ns / 2;
		cost_learn(&p->transfer, (ns - p->wait) * FORMAT_GRID / bytes);
		p->transfers++;
	} else if (ns > moved) {
		cost_learn(&p->wait, ns - moved);
	}
}

void
cost_seen(struct cell_cost *p, int again)
{
	p->again += (again - p->again) / (AGAIN_WEIGHT + 1);
}

int
cost_is_due(const struct cell_cost *p, uint32_t times)
{
	double more = p->again / (1 - p->again);
	uint64_t transfer = p->transfers >= COST_LEAST && p->transfer >
	    TRANSFER_LEAST ? p->transfer : TRANSFER_LEAST;

	/* One more is likely then; many may be, or nobody reads on. */
	if (more > 1)
		more = 1;
	return (times + more) * (double)p->wait >= PATIENCE * (double)transfer;
}

/* Is a cell to be fetched rather than one more frame of it?  Of frames that are
 * longer than its half there is little beside them.  Under lock. */
static int
cell_is_due(struct cells *c, const struct index_place *at, uint32_t number)
{
	const struct part *p = part_of_cell(c, at, number);

	return at->frame_len <= FORMAT_GRID / 2 &&
	    (p->bytes + at->frame_len > FORMAT_GRID / 2 ||
	    cost_is_due(&c->cost, p->times));
}

/* One more of it, or none any more.  Under lock. */
static void
part_count(struct part *p, uint32_t bytes)
{
	p->bytes = bytes > 0 ? p->bytes + bytes : 0;
	p->times = bytes > 0 ? p->times + 1 : 0;
}

static uint32_t
first_cell(const struct index_place *at)
{
	return at->frame_off / FORMAT_GRID;
}

static uint32_t
end_cell(const struct index_place *at)
{
	return (uint32_t)(((uint64_t)at->frame_off + at->frame_len - 1) /
	    FORMAT_GRID) + 1;
}

/* Are all of a frame's cells in memory, on disk, or on their way? */
static int
cells_here(struct cells *c, const struct index_place *at)
{
	struct cache *cache = repo_cache(c->repo);
	uint32_t i, end = end_cell(at);

	for (i = first_cell(at); i < end; i++)
		if (!cells_known(c, at, i) && (cache == NULL ||
		    !cache_has(cache, at->pack, i)))
			return 0;
	return 1;
}

/* A frame is fetched in parts, or with its cells.  Under lock. */
static void
parts_count(struct cells *c, const struct index_place *at, uint32_t bytes)
{
	uint32_t i;

	part_count(part_of_frame(c, at), bytes);
	for (i = first_cell(at); i < end_cell(at); i++)
		part_count(part_of_cell(c, at, i), bytes);
}

int
part_wanted(struct cells *c, const struct index_place *at)
{
	int here, again, due;
	uint32_t i;

	if (at->frame_len == 0 || at->frame_len > PART_MAX ||
	    (uint64_t)at->frame_off + at->frame_len > at->pack_size)
		return 0;
	here = cells_here(c, at);
	pthread_mutex_lock(&c->parts_lock);
	due = part_of_frame(c, at)->times > 0;
	again = here || due;
	for (i = first_cell(at); i < end_cell(at) && !here; i++) {
		again |= part_of_cell(c, at, i)->times > 0;
		due |= cell_is_due(c, at, i);
	}
	cost_seen(&c->cost, again);
	if (due && !here)
		parts_count(c, at, 0);
	pthread_mutex_unlock(&c->parts_lock);
	return !here && !due;
}

int
part_get(struct cells *c, enum pack_kind kind, const struct index_place *at,
    const uint8_t **sealed, struct slab **held)
{
	uint64_t off = at->frame_off, end = off + at->frame_len;
	struct slab *slab;
	unsigned n;
	int err;

	off -= off % PART_GRAIN;
	end = (end + PART_GRAIN - 1) / PART_GRAIN * PART_GRAIN;
	if (end > at->pack_size)
		end = at->pack_size;
	n = (unsigned)((end - off + FORMAT_GRID - 1) / FORMAT_GRID);
	slab = slab_new(c, n, CELLS_PART);
	err = slab == NULL ? -ENOMEM : cells_read(c, kind, at, off, slab->data,
	    (size_t)(end - off), NULL);
	slab_landed(c, n);
	if (err != 0) {
		slab_put(slab);
		return err;
	}
	atomic_fetch_add(&c->parts_store, 1);
	pthread_mutex_lock(&c->parts_lock);
	parts_count(c, at, at->frame_len);
	pthread_mutex_unlock(&c->parts_lock);
	*sealed = slab->data + (at->frame_off - off);
	*held = slab;
	return 0;
}
