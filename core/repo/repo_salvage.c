/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of packs that were cut short.  The index passes such packs by, so
 * that a copy elsewhere is found first; where there is none, the frames before
 * the cut are still good.  Memory: 48 bytes a block of those packs, of so many
 * blocks at most, and only once somebody asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/repo_internal.h"
#include "repo/segment_read.h"

#define PLACES_MAX	(1u << 20)

struct salvage_pack {
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t size;		/* now */
};

struct salvage_place {
	uint8_t id[BLOCK_ID_SHORT];
	uint32_t pack;		/* of salvage.pack */
	uint32_t pack_size;	/* what is left */
	uint32_t frame_off, frame_len, off, len;
};

/* A segment being gone through. */
struct sifting {
	struct repo *r;
	struct salvage *s;
	const struct segment_head *head;
	uint32_t *cut;		/* of each of its packs: number + 1, or 0 */
	unsigned row;		/* for repo_passes() */
};

static int
by_pack(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_SIZE);
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

void
repo_salvage_from(struct repo *r, enum pack_kind kind,
    const struct names *cut)
{
	struct salvage *s = &r->salvage[kind];

	names_release(&s->cut);
	free(s->pack);
	free(s->place);
	memset(s, 0, sizeof(*s));
	s->cut = *cut;
}

void
repo_salvage_release(struct repo *r)
{
	const struct names none = { 0 };

	repo_salvage_from(r, PACK_DATA, &none);
	repo_salvage_from(r, PACK_META, &none);
}

static int
on_page(void *ctx, const struct segment_entry *entries, size_t n)
{
	struct sifting *f = ctx;
	struct salvage *s = f->s;
	const struct segment_pack *was;
	const struct salvage_pack *now;
	struct salvage_place *p;
	size_t i;

	for (i = 0; i < n && s->n < PLACES_MAX; i++) {
		if (f->cut[entries[i].pack] == 0)
			continue;
		if (s->n == s->cap) {
			s->cap = s->cap > 0 ? 2 * s->cap : 1024;
			p = realloc(s->place, s->cap * sizeof(*p));
			if (p == NULL)
				return -ENOMEM;
			s->place = p;
		}
		p = &s->place[s->n++];
		memcpy(p->id, entries[i].id, BLOCK_ID_SHORT);
		p->pack = f->cut[entries[i].pack] - 1;
		/* By the old size the cell that was cut would be short. */
		was = &f->head->packs[entries[i].pack];
		now = &s->pack[p->pack];
		p->pack_size = now->size < was->size ? (uint32_t)now->size :
		    was->size;
		p->frame_off = entries[i].frame_off;
		p->frame_len = entries[i].frame_len;
		p->off = entries[i].off;
		p->len = entries[i].len;
	}
	return 0;
}

/* Which of a segment's packs were cut: how many. */
static size_t
match(struct sifting *f)
{
	const struct salvage *s = f->s;
	const struct salvage_pack *found;
	size_t i, n = 0;

	for (i = 0; i < f->head->npacks; i++) {
		found = bsearch(f->head->packs[i].id, s->pack, s->npacks,
		    sizeof(*s->pack), by_pack);
		if (found == NULL)
			continue;
		f->cut[i] = (uint32_t)(found - s->pack) + 1;
		n++;
	}
	return n;
}

static int
on_segment(void *ctx, const char *name, const struct store_stat *st)
{
	struct sifting *f = ctx;
	struct segment_object o = { f->r, name, st->size, NULL };
	struct segment_head head;
	int err;

	err = segment_head_read(&o, &head);
	if (err != 0)
		return repo_passes(err, &f->row) ? 0 : err;
	f->head = &head;
	f->cut = calloc(head.npacks + 1, sizeof(*f->cut));
	if (f->cut == NULL)
		err = -ENOMEM;
	else if (match(f) > 0)
		err = segment_pages_read(&o, &head, on_page, f);
	free(f->cut);
	segment_head_release(&head);
	return repo_passes(err, &f->row) ? 0 : err;
}

static int
packs_sort(struct salvage *s)
{
	size_t i;

	if (s->pack != NULL)
		return 0;
	s->pack = calloc(s->cut.n, sizeof(*s->pack));
	if (s->pack == NULL)
		return -ENOMEM;
	for (i = 0; i < s->cut.n; i++) {
		memcpy(s->pack[i].id, s->cut.id[i], OBJECT_ID_SIZE);
		s->pack[i].size = s->cut.size[i];
	}
	s->npacks = s->cut.n;
	qsort(s->pack, s->npacks, sizeof(*s->pack), by_pack);
	return 0;
}

static int
look(struct repo *r, enum pack_kind kind, struct salvage *s)
{
	struct sifting f = { .r = r, .s = s };
	char prefix[16];
	int err = 0;

	if (s->looked)
		return 0;
	s->n = 0;
	snprintf(prefix, sizeof(prefix), "index/%s/", pack_kind_name(kind));
	if (s->cut.n > 0)
		err = packs_sort(s);
	if (err == 0 && s->cut.n > 0)
		err = store_list(r->store, prefix, on_segment, &f);
	if (err == 0 && s->n > 0)
		qsort(s->place, s->n, sizeof(*s->place), by_id);
	if (err == 0 && s->n == PLACES_MAX)
		log_warn(0, "so many %s packs have the wrong size that not all "
		    "of what is left of them can be looked up",
		    pack_kind_name(kind));
	s->looked = err == 0;
	return err;
}

int
repo_salvage_find(struct repo *r, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out)
{
	struct salvage *s = &r->salvage[kind];
	const struct salvage_place *p = NULL;
	int err;

	pthread_mutex_lock(&r->sync_lock);
	err = look(r, kind, s);
	if (err == 0 && s->n > 0)
		p = bsearch(id, s->place, s->n, sizeof(*s->place), by_id);
	if (p != NULL) {
		memcpy(out->pack, s->pack[p->pack].id, OBJECT_ID_SIZE);
		out->pack_size = p->pack_size;
		out->frame_off = p->frame_off;
		out->frame_len = p->frame_len;
		out->off = p->off;
		out->len = p->len;
	}
	pthread_mutex_unlock(&r->sync_lock);
	return err != 0 ? err : p != NULL;
}
