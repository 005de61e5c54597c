/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding entries.  A leaf is decoded whole when it is first needed, into an
 * array that points into its block, and kept; branch pages are walked as they
 * lie, since they are few and small.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "base/lru.h"
#include "repo/tree_read.h"

/* A leaf has a copy of its page, so that it does not hold a whole frame. */
struct leaf {
	struct lru_node *node;
	size_t size;		/* of all of it, bytes */
	uint32_t n;
	struct entry entry[];	/* behind them the page */
};

struct tree {
	struct reader *rd;
	struct lru *leaves;
};

int
tree_new(struct reader *rd, size_t memory, struct tree **out)
{
	struct tree *t = calloc(1, sizeof(*t));
	int err;

	if (t == NULL)
		return -ENOMEM;
	t->rd = rd;
	err = lru_new(memory, BLOCK_ID_SIZE, free, &t->leaves);
	if (err != 0) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

void
tree_free(struct tree *t)
{
	if (t == NULL)
		return;
	lru_free(t->leaves);
	free(t);
}

struct reader *
tree_reader(struct tree *t)
{
	return t->rd;
}

size_t
tree_used(struct tree *t)
{
	return lru_used(t->leaves);
}

static int
leaf_decode(const void *data, size_t len, struct leaf **out)
{
	struct page page;
	struct leaf *l;
	uint8_t *copy;
	size_t entries;
	uint64_t i;
	int err;

	err = page_decode(data, len, &page);
	if (err != 0)
		return err;
	/* The count is bounded by the bytes of the page. */
	entries = sizeof(*l) + page.count * sizeof(l->entry[0]);
	l = malloc(entries + len);
	if (l == NULL)
		return -ENOMEM;
	copy = (uint8_t *)l + entries;
	memcpy(copy, data, len);
	l->size = entries + len;
	l->n = (uint32_t)page.count;
	page_decode(copy, len, &page);
	for (i = 0; i < page.count && err == 0; i++) {
		err = entry_decode(&page.r, &l->entry[i]);
		if (err == 0 && i > 0 && tree_name_cmp(l->entry[i - 1].name,
		    l->entry[i - 1].namelen, l->entry[i].name,
		    l->entry[i].namelen) >= 0)
			err = -FIRN_ECORRUPT;
	}
	if (err == 0 && rd_left(&page.r) != 0)
		err = -FIRN_ECORRUPT;
	if (err != 0)
		free(l);
	else
		*out = l;
	return err;
}

/*
 * The page of this id: a leaf (1) held in *leaf, or a branch (0) whose block
 * is held in *ref.
 */
static int
page_get(struct tree *t, const uint8_t id[BLOCK_ID_SIZE], struct leaf **leaf,
    struct blockref *ref, struct page *page)
{
	struct lru_node *node;
	int err;

	if (lru_peek(t->leaves, id, &node)) {
		*leaf = lru_value(node);
		return 1;
	}
	err = reader_get(t->rd, BLOCK_TREE, id, ref);
	if (err != 0)
		return err;
	err = page_decode(ref->data, ref->len, page);
	if (err == 0 && page->level > 0)
		return 0;
	if (err == 0)
		err = lru_acquire(t->leaves, id, &node);
	if (err == 1)		/* somebody was quicker */
		*leaf = lru_value(node);
	if (err == 0) {
		err = leaf_decode(ref->data, ref->len, leaf);
		if (err == 0) {
			(*leaf)->node = node;
			lru_loaded(t->leaves, node, *leaf, (*leaf)->size);
			err = 1;
		} else {
			lru_failed(t->leaves, node, err);
		}
	}
	blockref_put(t->rd, ref);
	if (err == -FIRN_ECORRUPT)
		log_err(err, "cannot decode a directory page");
	return err;
}

void
tree_pos_release(struct tree *t, struct tree_pos *pos)
{
	if (pos->leaf != NULL)
		lru_release(t->leaves, pos->leaf->node);
	pos->leaf = NULL;
}

const struct entry *
tree_entry(const struct tree_pos *pos)
{
	return &pos->leaf->entry[pos->i];
}

/* The child that would hold name; *before counts the entries before it. */
static int
child_by_name(struct page *page, const char *name, size_t len,
    struct page_child *out, uint64_t *before)
{
	struct page_child c;
	uint64_t i, sum = 0;
	int err, found = 0;

	for (i = 0; i < page->count; i++) {
		err = page_child_decode(&page->r, &c);
		if (err != 0)
			return err;
		if (tree_name_cmp(c.name, c.namelen, name, len) > 0)
			break;
		*out = c;
		*before = sum;
		sum += c.entries;
		found = 1;
	}
	return found;
}

static int
child_by_ordinal(struct page *page, uint64_t ordinal, struct page_child *out,
    uint64_t *before)
{
	uint64_t i, sum = 0;
	int err;

	for (i = 0; i < page->count; i++) {
		err = page_child_decode(&page->r, out);
		if (err != 0)
			return err;
		if (ordinal < sum + out->entries) {
			*before = sum;
			return 1;
		}
		sum += out->entries;
	}
	return 0;
}

/*
 * Down to the leaf for a name (or, with name NULL, for an ordinal).  1 with
 * the leaf held and *base the ordinal of its first entry.
 */
static int
descend(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE], const char *name,
    size_t len, uint64_t ordinal, struct leaf **leaf, uint64_t *base)
{
	uint8_t id[BLOCK_ID_SIZE];
	struct blockref ref;
	struct page page;
	struct page_child child;
	uint64_t before = 0;
	unsigned above = TREE_LEVEL_MAX;
	int ret;

	*base = 0;
	memcpy(id, dir, sizeof(id));
	for (;;) {
		ret = page_get(t, id, leaf, &ref, &page);
		if (ret != 0)
			return ret;
		if (page.level >= above)
			ret = log_err(-FIRN_ECORRUPT,
			    "cannot decode a directory page: wrong level");
		else if (name != NULL)
			ret = child_by_name(&page, name, len, &child, &before);
		else
			ret = child_by_ordinal(&page, ordinal - *base, &child,
			    &before);
		if (ret == 1)
			memcpy(id, child.id, sizeof(id));
		blockref_put(t->rd, &ref);
		if (ret != 1)
			return ret;
		above = page.level;
		*base += before;
	}
}

int
tree_find(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE], const char *name,
    size_t len, struct tree_pos *pos)
{
	struct leaf *l;
	uint64_t base;
	uint32_t lo, hi, mid;
	int ret, c;

	tree_pos_release(t, pos);
	if (len == 0 || len > TREE_NAME_MAX)
		return 0;
	ret = descend(t, dir, name, len, 0, &l, &base);
	if (ret != 1)
		return ret;
	for (lo = 0, hi = l->n; lo < hi; ) {
		mid = lo + (hi - lo) / 2;
		c = tree_name_cmp(l->entry[mid].name, l->entry[mid].namelen,
		    name, len);
		if (c == 0) {
			pos->leaf = l;
			pos->i = mid;
			pos->ordinal = base + mid;
			return 1;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	lru_release(t->leaves, l->node);
	return 0;
}

int
tree_at(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE], uint64_t ordinal,
    struct tree_pos *pos)
{
	struct leaf *l;
	uint64_t base;
	int ret;

	tree_pos_release(t, pos);
	ret = descend(t, dir, NULL, 0, ordinal, &l, &base);
	if (ret != 1)
		return ret;
	if (ordinal - base >= l->n) {
		lru_release(t->leaves, l->node);
		return 0;
	}
	pos->leaf = l;
	pos->i = (uint32_t)(ordinal - base);
	pos->ordinal = ordinal;
	return 1;
}

int
tree_next(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    struct tree_pos *pos)
{
	if (pos->i + 1 < pos->leaf->n) {
		pos->i++;
		pos->ordinal++;
		return 1;
	}
	return tree_at(t, dir, pos->ordinal + 1, pos);
}

int
tree_resolve(struct tree *t, const uint8_t dir[BLOCK_ID_SIZE],
    const char *path, struct tree_pos *pos)
{
	uint8_t id[BLOCK_ID_SIZE];
	const char *end;
	int ret, any = 0;

	memcpy(id, dir, sizeof(id));
	tree_pos_release(t, pos);
	for (;;) {
		while (*path == '/')
			path++;
		if (*path == '\0')
			return any ? 0 : -EISDIR;
		if (any) {
			if (!S_ISDIR(tree_entry(pos)->mode)) {
				tree_pos_release(t, pos);
				return -ENOTDIR;
			}
			memcpy(id, tree_entry(pos)->tree_id, sizeof(id));
		}
		end = strchrnul(path, '/');
		ret = tree_find(t, id, path, (size_t)(end - path), pos);
		if (ret <= 0)
			return ret == 0 ? -ENOENT : ret;
		any = 1;
		path = end;
	}
}

int
tree_xattrs(struct tree *t, const struct entry *e, struct buf *out)
{
	struct blockref ref;
	int err;

	if (e->flags & ENTRY_XATTR)
		return buf_add(out, e->xattr, e->xattrlen);
	if (!(e->flags & ENTRY_XATTR_ID))
		return 0;
	err = reader_get(t->rd, BLOCK_XATTR, e->xattr_id, &ref);
	if (err != 0)
		return err;
	err = xattr_check(ref.data, ref.len);
	if (err == 0)
		err = buf_add(out, ref.data, ref.len);
	else
		log_err(err, "cannot decode extended attributes");
	blockref_put(t->rd, &ref);
	return err;
}
