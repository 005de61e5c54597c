/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extent lists of files: the first few extents wait in memory, since most
 * files have no more and then keep them in their entry; beyond that, pages are
 * written as they fill, one a level in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "repo/tree_write.h"

struct list_level {
	struct buf items;
	uint64_t count;
	uint64_t len;		/* bytes of the file that the page covers */
	int closed_one;
	uint8_t last_id[BLOCK_ID_SIZE];
};

struct list_writer {
	struct block_sink sink;
	struct list_level level[TREE_LEVEL_MAX];
	struct extent pending;	/* a hole that may grow, when len > 0 */
	struct extent first[TREE_EXTENTS_INLINE];
	unsigned nfirst;
	int paged;		/* went beyond them */
	uint64_t size;
	uint64_t holes;
	struct buf page;
};

#define LIST_PAGE_BYTES	(LIST_MAX * (BLOCK_ID_SIZE + 10) + 16)

int
list_writer_new(const struct block_sink *sink, struct list_writer **out)
{
	struct list_writer *w = calloc(1, sizeof(*w));
	unsigned i;

	if (w == NULL)
		return -ENOMEM;
	w->sink = *sink;
	for (i = 0; i < TREE_LEVEL_MAX; i++)
		buf_init(&w->level[i].items, LIST_PAGE_BYTES);
	buf_init(&w->page, LIST_PAGE_BYTES);
	*out = w;
	return 0;
}

void
list_writer_free(struct list_writer *w)
{
	unsigned i;

	if (w == NULL)
		return;
	for (i = 0; i < TREE_LEVEL_MAX; i++)
		buf_release(&w->level[i].items);
	buf_release(&w->page);
	free(w);
}

static int
list_write_page(struct list_writer *w, unsigned n, uint8_t id[BLOCK_ID_SIZE])
{
	struct list_level *l = &w->level[n];
	int err;

	buf_reset(&w->page);
	list_header_encode(n, l->count, &w->page);
	buf_add(&w->page, l->items.data, l->items.len);
	err = buf_err(&w->page);
	if (err == 0)
		err = w->sink.put(w->sink.ctx, BLOCK_LIST, w->page.data,
		    w->page.len, id);
	return err;
}

static int
list_cuts(uint64_t count, const uint8_t *id)
{
	if (count >= LIST_MAX)
		return 1;
	return count >= LIST_MIN && id != NULL && le16_get(id) < LIST_CUT;
}

static int
list_close(struct list_writer *w, unsigned n)
{
	struct list_level *l, *up;
	struct list_child c;
	int err = 0;

	for (;; n++) {
		if (n + 1 >= TREE_LEVEL_MAX)
			return -FIRN_ETOOBIG;
		l = &w->level[n];
		up = &w->level[n + 1];
		c.len = l->len;
		err = list_write_page(w, n, c.id);
		if (err == 0)
			err = list_child_encode(&c, &up->items);
		if (err != 0)
			return err;
		memcpy(l->last_id, c.id, sizeof(c.id));
		buf_reset(&l->items);
		l->count = 0;
		l->len = 0;
		l->closed_one = 1;
		up->count++;
		up->len += c.len;
		if (!list_cuts(up->count, c.id))
			return 0;
	}
}

static int
list_put(struct list_writer *w, const struct extent *x)
{
	struct list_level *l = &w->level[0];
	int err;

	err = extent_encode(x, &l->items);
	if (err != 0)
		return err;
	l->count++;
	l->len += x->len;
	if (list_cuts(l->count, x->hole ? NULL : x->id))
		return list_close(w, 0);
	return 0;
}

static int
list_emit(struct list_writer *w, const struct extent *x)
{
	unsigned i;
	int err;

	w->size += x->len;
	if (x->hole)
		w->holes += x->len;
	if (!w->paged && w->nfirst < TREE_EXTENTS_INLINE) {
		w->first[w->nfirst++] = *x;
		return 0;
	}
	if (!w->paged) {
		w->paged = 1;
		for (i = 0; i < w->nfirst; i++) {
			err = list_put(w, &w->first[i]);
			if (err != 0)
				return err;
		}
	}
	return list_put(w, x);
}

int
list_writer_add(struct list_writer *w, const struct extent *x)
{
	int err;

	if (x->len == 0)
		return 0;
	if (x->hole) {
		w->pending.hole = 1;
		w->pending.len += x->len;
		return 0;
	}
	if (w->pending.len > 0) {
		err = list_emit(w, &w->pending);
		w->pending.len = 0;
		if (err != 0)
			return err;
	}
	return list_emit(w, x);
}

/* The root of a paged list, as tree_writer_finish(). */
static int
list_root(struct list_writer *w, uint8_t id[BLOCK_ID_SIZE])
{
	struct list_level *l;
	unsigned n;
	int err;

	for (n = 0; n + 1 < TREE_LEVEL_MAX; n++) {
		l = &w->level[n];
		if (!l->closed_one)
			return list_write_page(w, n, id);
		if (l->count > 0) {
			err = list_close(w, n);
			if (err != 0)
				return err;
		}
		if (l[1].count == 1 && !l[1].closed_one) {
			memcpy(id, l->last_id, BLOCK_ID_SIZE);
			return 0;
		}
	}
	return -FIRN_ETOOBIG;
}

static void
list_reset(struct list_writer *w)
{
	unsigned i;

	for (i = 0; i < TREE_LEVEL_MAX; i++) {
		buf_reset(&w->level[i].items);
		w->level[i].count = 0;
		w->level[i].len = 0;
		w->level[i].closed_one = 0;
	}
	w->pending.len = 0;
	w->nfirst = 0;
	w->paged = 0;
	w->size = 0;
	w->holes = 0;
}

int
list_writer_finish(struct list_writer *w, struct entry *e, struct buf *few)
{
	unsigned i;
	int err = 0;

	if (w->pending.len > 0) {
		err = list_emit(w, &w->pending);
		w->pending.len = 0;
	}
	e->flags &= ~(uint32_t)(ENTRY_EXTENTS | ENTRY_LIST | ENTRY_INLINE |
	    ENTRY_HOLES);
	e->flags |= ENTRY_SIZE;
	e->size = w->size;
	if (w->holes > 0) {
		e->flags |= ENTRY_HOLES;
		e->holes = w->holes;
	}
	if (err == 0 && w->paged) {
		e->flags |= ENTRY_LIST;
		err = list_root(w, e->list_id);
	} else if (err == 0 && w->nfirst > 0) {
		buf_reset(few);
		for (i = 0; i < w->nfirst && err == 0; i++)
			err = extent_encode(&w->first[i], few);
		e->flags |= ENTRY_EXTENTS;
		e->nextents = w->nfirst;
		e->extents = few->data;
		e->extentslen = few->len;
	}
	list_reset(w);
	return err;
}
