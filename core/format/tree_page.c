/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of directories: header, children of branches, and the whole check
 * that a reader makes once.
 */
#include <string.h>

#include "base/err.h"
#include "format/tree_internal.h"

#define PAGE_VERSION	1
/* Fewest bytes that an entry and a child can have: these bound counts. */
#define ENTRY_BYTES_MIN	12
#define CHILD_BYTES_MIN	(2 + BLOCK_ID_SIZE + 1)

int
tree_name_valid(const char *name, size_t len)
{
	if (len < 1 || len > TREE_NAME_MAX ||
	    memchr(name, 0, len) != NULL || memchr(name, '/', len) != NULL)
		return 0;
	return !(name[0] == '.' &&
	    (len == 1 || (len == 2 && name[1] == '.')));
}

int
tree_name_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t n = alen < blen ? alen : blen;
	int c = n == 0 ? 0 : memcmp(a, b, n);

	if (c != 0)
		return c;
	return (alen > blen) - (alen < blen);
}

int
page_header_encode(unsigned level, uint64_t count, struct buf *out)
{
	if (level >= TREE_LEVEL_MAX || (level > 0 && count == 0))
		return -EINVAL;
	buf_add_u8(out, PAGE_VERSION);
	buf_add_u8(out, (uint8_t)level);
	buf_add_varint(out, count);
	return buf_err(out);
}

int
page_decode(const void *data, size_t len, struct page *out)
{
	struct rd r = rd_init(data, len);
	uint8_t version;

	if (len < 1 || len > PAGE_HEADER_MAX + TREE_ENTRY_MAX)
		return -FIRN_ECORRUPT;
	version = rd_u8(&r);
	if (version != PAGE_VERSION)
		return -FIRN_EVERSION;
	out->level = rd_u8(&r);
	out->count = rd_varint(&r);
	if (rd_bad(&r) || out->level >= TREE_LEVEL_MAX)
		return -FIRN_ECORRUPT;
	if (out->count > rd_left(&r) /
	    (out->level == 0 ? ENTRY_BYTES_MIN : CHILD_BYTES_MIN))
		return -FIRN_ECORRUPT;
	if (out->level > 0 && out->count == 0)
		return -FIRN_ECORRUPT;
	out->r = r;
	return 0;
}

int
page_child_encode(const struct page_child *c, struct buf *out)
{
	if (!tree_name_valid(c->name, c->namelen) || c->entries == 0)
		return -EINVAL;
	buf_add_str(out, c->name, c->namelen);
	buf_add(out, c->id, BLOCK_ID_SIZE);
	buf_add_varint(out, c->entries);
	return buf_err(out);
}

int
page_child_decode(struct rd *r, struct page_child *out)
{
	out->name = (const char *)rd_str(r, TREE_NAME_MAX, &out->namelen);
	rd_copy(r, out->id, BLOCK_ID_SIZE);
	out->entries = rd_varint(r);
	if (rd_bad(r) || !tree_name_valid(out->name, out->namelen) ||
	    out->entries == 0) {
		r->bad = 1;
		return -FIRN_ECORRUPT;
	}
	return 0;
}

/* The name of the next entry or child, and the entries that it stands for. */
static int
page_next(struct page *p, const char **name, size_t *len, uint64_t *entries)
{
	struct page_child c;
	struct entry e;
	int err;

	if (p->level == 0) {
		err = entry_decode(&p->r, &e);
		*name = e.name;
		*len = e.namelen;
		*entries = 1;
	} else {
		err = page_child_decode(&p->r, &c);
		*name = c.name;
		*len = c.namelen;
		*entries = c.entries;
	}
	return err;
}

int
page_check(const void *data, size_t len)
{
	const char *name, *last = NULL;
	size_t namelen, lastlen = 0;
	uint64_t i, entries, total = 0;
	struct page p;
	int err;

	err = page_decode(data, len, &p);
	if (err != 0)
		return err;
	for (i = 0; i < p.count; i++) {
		err = page_next(&p, &name, &namelen, &entries);
		if (err != 0)
			return err;
		if (last != NULL &&
		    tree_name_cmp(last, lastlen, name, namelen) >= 0)
			return -FIRN_ECORRUPT;
		if (__builtin_add_overflow(total, entries, &total))
			return -FIRN_ECORRUPT;
		last = name;
		lastlen = namelen;
	}
	return rd_left(&p.r) == 0 ? 0 : -FIRN_ECORRUPT;
}
