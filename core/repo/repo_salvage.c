/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of packs that were cut short.  The index passes such packs by, so
 * that a copy elsewhere is found first; where there is none, the frames before
 * the cut are still good.  Memory: 48 bytes a block of those packs, and only
 * while somebody asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "repo/repo_internal.h"
#include "repo/segment_read.h"

struct salvage_place {
	uint8_t id[BLOCK_ID_SHORT];
	uint32_t pack;		/* of salvage.cut */
	uint32_t pack_size;
	uint32_t frame_off, frame_len, off, len;
};

/* A segment being gone through. */
struct sifting {
	struct repo *r;
	struct salvage *s;
	const struct segment_head *head;
	uint32_t *cut;		/* of each of its packs: number + 1, or 0 */
};

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

void
repo_salvage_from(struct repo *r, enum pack_kind kind,
    const struct pack_ids *cut)
{
	struct salvage *s = &r->salvage[kind];

	free(s->cut.id);
	free(s->place);
	memset(s, 0, sizeof(*s));
	s->cut = *cut;
}

void
repo_salvage_release(struct repo *r)
{
	const struct pack_ids none = { 0 };

	repo_salvage_from(r, PACK_DATA, &none);
	repo_salvage_from(r, PACK_META, &none);
}

static int
on_page(void *ctx, const struct segment_entry *entries, size_t n)
{
	struct sifting *f = ctx;
	struct salvage *s = f->s;
	struct salvage_place *p;
	size_t i;

	for (i = 0; i < n; i++) {
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
		p->pack_size = f->head->packs[entries[i].pack].size;
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
	const struct pack_ids *cut = &f->s->cut;
	size_t i, j, n = 0;

	for (i = 0; i < f->head->npacks; i++)
		for (j = 0; j < cut->n; j++)
			if (memcmp(f->head->packs[i].id, cut->id[j],
			    OBJECT_ID_SIZE) == 0) {
				f->cut[i] = (uint32_t)j + 1;
				n++;
			}
	return n;
}

static int
on_segment(void *ctx, const char *name, const struct store_stat *st)
{
	struct sifting *f = ctx;
	struct segment_head head;
	int err;

	err = segment_head_read(f->r, name, st->size, &head);
	if (err != 0)
		return err == -ENOMEM || err == -ECANCELED ? err : 0;
	f->head = &head;
	f->cut = calloc(head.npacks + 1, sizeof(*f->cut));
	if (f->cut == NULL)
		err = -ENOMEM;
	else if (match(f) > 0)
		err = segment_pages_read(f->r, name, &head, on_page, f);
	free(f->cut);
	segment_head_release(&head);
	return err == -ENOMEM || err == -ECANCELED ? err : 0;
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
		err = store_list(r->store, prefix, on_segment, &f);
	if (err == 0 && s->n > 0)
		qsort(s->place, s->n, sizeof(*s->place), by_id);
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
		memcpy(out->pack, s->cut.id[p->pack], OBJECT_ID_SIZE);
		out->pack_size = p->pack_size;
		out->frame_off = p->frame_off;
		out->frame_len = p->frame_len;
		out->off = p->off;
		out->len = p->len;
	}
	pthread_mutex_unlock(&r->sync_lock);
	return err != 0 ? err : p != NULL;
}
