/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories, bottom up: a stack of unfinished pages, one a level.  Adding to
 * a page may close it; closing hands the block to the sink and adds a child to
 * the page above, which may close in turn.  Memory is one page a level.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "repo/tree_write.h"

struct level {
	struct buf items;	/* encoded entries or children */
	uint64_t count;		/* of them */
	uint64_t entries;	/* below this page */
	size_t firstlen;
	char first[TREE_NAME_MAX];	/* name of the page's first entry */
	int closed_one;		/* a page of this level was closed before */
	uint8_t last_id[BLOCK_ID_SIZE];	/* the last one closed */
};

struct tree_writer {
	struct block_sink sink;
	struct mac *cut;
	struct level *level[TREE_LEVEL_MAX];
	struct buf item;	/* the entry or child being added */
	struct buf page;
	size_t lastlen;
	char last[TREE_NAME_MAX];
};

int
tree_writer_new(const struct keys *keys, const struct block_sink *sink,
    struct tree_writer **out)
{
	struct tree_writer *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->sink = *sink;
	buf_init(&w->item, 2 * TREE_ENTRY_MAX);
	buf_init(&w->page, TREE_PAGE_MAX + 2 * TREE_ENTRY_MAX);
	err = mac_new(keys->tree_cut, sizeof(keys->tree_cut), &w->cut);
	if (err != 0) {
		tree_writer_free(w);
		return err;
	}
	*out = w;
	return 0;
}

void
tree_writer_free(struct tree_writer *w)
{
	unsigned i;

	if (w == NULL)
		return;
	for (i = 0; i < TREE_LEVEL_MAX; i++) {
		if (w->level[i] == NULL)
			continue;
		buf_release(&w->level[i]->items);
		free(w->level[i]);
	}
	buf_release(&w->item);
	buf_release(&w->page);
	mac_free(w->cut);
	free(w);
}

static int
level_get(struct tree_writer *w, unsigned n, struct level **out)
{
	struct level *l;

	if (n >= TREE_LEVEL_MAX)
		return -FIRN_ETOOBIG;
	if (w->level[n] == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			return -ENOMEM;
		buf_init(&l->items, TREE_PAGE_MAX + 2 * TREE_ENTRY_MAX);
		w->level[n] = l;
	}
	*out = w->level[n];
	return 0;
}

/* Does a page end behind this name? */
static int
cuts(struct tree_writer *w, unsigned n, const char *name, size_t len, int *cut)
{
	uint8_t digest[HASH_SIZE], level = (uint8_t)n;
	int err;

	err = mac_compute(w->cut, &level, 1, name, len, digest);
	*cut = le32_get(digest) < TREE_PAGE_CUT;
	return err;
}

static int level_add(struct tree_writer *, unsigned, const char *, size_t,
    uint64_t);

/* Write the page of level n and empty it. */
static int
level_write(struct tree_writer *w, unsigned n, uint8_t id[BLOCK_ID_SIZE])
{
	struct level *l = w->level[n];
	int err;

	buf_reset(&w->page);
	page_header_encode(n, l->count, &w->page);
	buf_add(&w->page, l->items.data, l->items.len);
	err = buf_err(&w->page);
	if (err == 0)
		err = w->sink.put(w->sink.ctx, BLOCK_TREE, w->page.data,
		    w->page.len, id);
	return err;
}

/* Write the page of level n and add it to the level above. */
static int
level_close(struct tree_writer *w, unsigned n)
{
	struct level *l = w->level[n];
	struct page_child c = { .name = l->first, .namelen = l->firstlen,
	    .entries = l->entries };
	int err;

	err = level_write(w, n, c.id);
	if (err != 0)
		return err;
	memcpy(l->last_id, c.id, sizeof(c.id));
	buf_reset(&w->item);
	err = page_child_encode(&c, &w->item);
	if (err == 0)
		err = level_add(w, n + 1, c.name, c.namelen, c.entries);
	buf_reset(&l->items);
	l->count = 0;
	l->entries = 0;
	l->closed_one = 1;
	return err;
}

/* Add w->item, whose first name is `name`, to the page of level n. */
static int
level_add(struct tree_writer *w, unsigned n, const char *name, size_t len,
    uint64_t entries)
{
	struct level *l;
	struct buf item;
	int err, cut;

	err = level_get(w, n, &l);
	if (err != 0)
		return err;
	if (l->count > 0 && PAGE_HEADER_MAX + l->items.len + w->item.len >
	    TREE_PAGE_MAX) {
		/* Closing uses w->item for the child. */
		item = w->item;
		buf_init(&w->item, 2 * TREE_ENTRY_MAX);
		err = level_close(w, n);
		buf_release(&w->item);
		w->item = item;
		if (err != 0)
			return err;
	}
	if (l->count == 0) {
		memcpy(l->first, name, len);
		l->firstlen = len;
	}
	err = buf_add(&l->items, w->item.data, w->item.len);
	if (err != 0)
		return err;
	l->count++;
	l->entries += entries;
	if (l->items.len < TREE_PAGE_MIN)
		return 0;
	err = cuts(w, n, name, len, &cut);
	if (err == 0 && cut)
		err = level_close(w, n);
	return err;
}

int
tree_writer_add(struct tree_writer *w, const struct entry *e)
{
	int err;

	if (w->lastlen > 0 &&
	    tree_name_cmp(w->last, w->lastlen, e->name, e->namelen) >= 0)
		return -EINVAL;
	buf_reset(&w->item);
	err = entry_encode(e, &w->item);
	if (err != 0)
		return err;
	if (w->item.len > TREE_ENTRY_MAX)
		return -FIRN_ETOOBIG;
	memcpy(w->last, e->name, e->namelen);
	w->lastlen = e->namelen;
	return level_add(w, 0, e->name, e->namelen, 1);
}

/*
 * Close upwards.  The root is the first level that holds a single page: the
 * lowest level whose page was never closed into a parent, or whose only page
 * was.
 */
int
tree_writer_finish(struct tree_writer *w, uint8_t id[BLOCK_ID_SIZE])
{
	struct level *l;
	unsigned n, i;
	int err;

	err = level_get(w, 0, &l);
	for (n = 0; err == 0; n++) {
		l = w->level[n];
		if (!l->closed_one) {
			err = level_write(w, n, id);
			break;
		}
		if (l->count > 0) {
			err = level_close(w, n);
			if (err != 0)
				break;
		}
		if (w->level[n + 1]->count == 1 &&
		    !w->level[n + 1]->closed_one) {
			memcpy(id, l->last_id, BLOCK_ID_SIZE);
			break;
		}
	}
	for (i = 0; i < TREE_LEVEL_MAX && w->level[i] != NULL; i++) {
		l = w->level[i];
		buf_reset(&l->items);
		l->count = 0;
		l->entries = 0;
		l->closed_one = 0;
	}
	w->lastlen = 0;
	return err;
}
