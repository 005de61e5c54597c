/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sequencer: one thread that sees every item in walk order.  It alone adds
 * to the writer, so packs are in walk order, and it alone builds directories.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/links.h"
#include "backup/pipe_internal.h"
#include "base/err.h"
#include "base/log.h"
#include "repo/repo.h"

/* Blocks that are not data: pages, lists, xattrs. */
static int
sink_put(void *ctx, enum block_type type, const void *data, size_t len,
    uint8_t id[BLOCK_ID_SIZE])
{
	struct pipe *p = ctx;
	int err;

	err = block_id(p->mac, type, data, len, id);
	if (err == 0)
		err = writer_add(p->writer, type, id, data, len, NULL);
	if (err == 0 && p->conf.meta != NULL)
		err = p->conf.meta(p->conf.meta_ctx, type, id, data, len);
	return err;
}

int
sequence_init(struct pipe *p)
{
	int err;

	p->sink.put = sink_put;
	p->sink.ctx = p;
	buf_init(&p->few, 4096);
	buf_init(&p->entry, 2 * TREE_ENTRY_MAX);
	buf_init(&p->root, 2 * TREE_ENTRY_MAX);
	err = mac_new(p->conf.keys->block_id, sizeof(p->conf.keys->block_id),
	    &p->mac);
	if (err == 0)
		err = list_writer_new(&p->sink, &p->list);
	if (err == 0)
		err = links_new(SIZE_MAX, &p->links);
	return err;
}

void
sequence_release(struct pipe *p)
{
	size_t i;

	for (i = 0; i < p->levels_made; i++)
		tree_writer_free(p->level[i].tw);
	free(p->level);
	list_writer_free(p->list);
	links_free(p->links);
	mac_free(p->mac);
	buf_release(&p->few);
	buf_release(&p->entry);
	buf_release(&p->root);
}

static int
level_push(struct pipe *p)
{
	struct level *l;
	size_t cap;
	int err;

	if (p->depth == p->levels_cap) {
		cap = p->levels_cap > 0 ? 2 * p->levels_cap : 64;
		l = realloc(p->level, cap * sizeof(*l));
		if (l == NULL)
			return -ENOMEM;
		p->level = l;
		p->levels_cap = cap;
	}
	if (p->depth == p->levels_made) {
		err = tree_writer_new(p->conf.keys, &p->sink,
		    &p->level[p->depth].tw);
		if (err != 0)
			return err;
		p->levels_made++;
	}
	memset(&p->level[p->depth++].totals, 0, sizeof(struct totals));
	return 0;
}

/* Add a finished entry to the directory being built. */
static int
entry_add(struct pipe *p, struct entry *e)
{
	struct totals *t = &p->level[p->depth - 1].totals;

	if (S_ISDIR(e->mode)) {
		t->subdirs++;
		t->dirs += e->dirs + 1;
		t->files += e->files;
		t->bytes += e->bytes;
	} else {
		t->files++;
		if (e->flags & ENTRY_SIZE)
			t->bytes += e->size;
	}
	return tree_writer_add(p->level[p->depth - 1].tw, e);
}

/* Decode an item's entry and give it its xattrs, inline or as a block. */
static int
entry_take(struct pipe *p, const struct item *it, struct entry *e)
{
	struct rd r = rd_init(it->bytes, it->entrylen);
	int err;

	err = entry_decode(&r, e);
	if (err != 0 || it->xattrlen == 0)
		return err;
	e->flags &= ~(uint32_t)(ENTRY_XATTR | ENTRY_XATTR_ID);
	if (it->xattrlen <= TREE_XATTR_INLINE) {
		e->flags |= ENTRY_XATTR;
		e->xattr = it->bytes + it->entrylen;
		e->xattrlen = it->xattrlen;
		return 0;
	}
	e->flags |= ENTRY_XATTR_ID;
	return sink_put(p, BLOCK_XATTR, it->bytes + it->entrylen, it->xattrlen,
	    e->xattr_id);
}

static int
step_dir_end(struct pipe *p, const struct item *it)
{
	struct totals t = p->level[p->depth - 1].totals;
	struct entry e;
	int err;

	err = entry_take(p, it, &e);
	if (err == 0)
		err = tree_writer_finish(p->level[p->depth - 1].tw, e.tree_id);
	p->depth--;
	if (err != 0)
		return err;
	e.flags |= ENTRY_SUBTREE;
	e.subdirs = t.subdirs;
	e.files = t.files;
	e.dirs = t.dirs;
	e.bytes = t.bytes;
	return p->depth > 0 ? entry_add(p, &e) : entry_encode(&e, &p->root);
}

static int
step_data(struct pipe *p, const struct item *it)
{
	struct extent x = { .len = it->len };
	int err;

	writer_fine(p->writer, p->length >= LARGE_FILE);
	p->length += it->len;
	err = writer_add(p->writer, BLOCK_DATA, it->id, it->bytes, it->len,
	    NULL);
	memcpy(x.id, it->id, BLOCK_ID_SIZE);
	if (err == 0)
		err = list_writer_add(p->list, &x);
	return err;
}

static int
step_hole(struct pipe *p, const struct item *it)
{
	struct extent hole = { .hole = 1, .len = it->len };

	p->length += it->len;
	return list_writer_add(p->list, &hole);
}

static int
step_file_end(struct pipe *p, const struct item *it)
{
	struct entry e;
	int err;

	p->length = 0;
	err = entry_take(p, it, &e);
	if (err == 0 && !(e.flags & ENTRY_INLINE))
		err = list_writer_finish(p->list, &e, &p->few);
	if (err == 0 && it->link != 0) {
		buf_reset(&p->entry);
		err = entry_encode(&e, &p->entry);
		if (err == 0)
			err = links_add(p->links, it->link, 0, p->entry.data,
			    p->entry.len);
	}
	return err == 0 ? entry_add(p, &e) : err;
}

/* Another name of a file that was remembered.  How many are is bounded by the
 * walker, which numbers them. */
static int
step_link(struct pipe *p, const struct item *it)
{
	struct entry e;
	struct rd r;
	void *data;
	size_t len;
	int err;

	data = links_get(p->links, it->link, 0, &len);
	if (data == NULL)
		return log_err(-ENOENT, "lost the first name of '%.*s'",
		    (int)it->entrylen, (const char *)it->bytes);
	r = rd_init(data, len);
	err = entry_decode(&r, &e);
	e.name = (const char *)it->bytes;
	e.namelen = it->entrylen;
	if (err == 0)
		err = entry_add(p, &e);
	if (it->last)
		links_del(p->links, it->link, 0);
	return err;
}

int
pipe_step(struct pipe *p, const struct item *it)
{
	struct entry e;
	int err;

	switch (it->type) {
	case ITEM_DIR_BEGIN:
		return level_push(p);
	case ITEM_DIR_END:
		return step_dir_end(p, it);
	case ITEM_ENTRY:
		err = entry_take(p, it, &e);
		return err == 0 ? entry_add(p, &e) : err;
	case ITEM_DATA:
		return step_data(p, it);
	case ITEM_HOLE:
		return step_hole(p, it);
	case ITEM_FILE_END:
		return step_file_end(p, it);
	case ITEM_FILE_ABORT:
		p->length = 0;
		memset(&e, 0, sizeof(e));
		return list_writer_finish(p->list, &e, &p->few);
	case ITEM_LINK:
		return step_link(p, it);
	}
	return -EINVAL;
}
