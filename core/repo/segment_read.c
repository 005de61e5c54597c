/* SPDX-License-Identifier: Apache-2.0 */
/* Several pages come with one request; one page at a time is handed on. */
#include <stdlib.h>

#include "base/err.h"
#include "repo/repo_internal.h"
#include "repo/segment_read.h"

#define READ_PIECE	(4u << 20)	/* bytes of a segment read at once */

int
object_read(struct repo *r, const char *name, uint64_t off, size_t len,
    uint8_t *buf)
{
	size_t got;
	int err;

	err = store_get(r->store, name, off, buf, len, &got);
	if (err == 0 && got != len)
		err = -FIRN_ECORRUPT;
	return err;
}

/* [off, off + len) of it, in place or in buf. */
static int
piece_read(const struct segment_object *o, uint64_t off, size_t len,
    uint8_t *buf, const uint8_t **piece)
{
	if (off > o->size || len > o->size - off)
		return -FIRN_ECORRUPT;
	*piece = o->bytes != NULL ? o->bytes + off : buf;
	return o->bytes != NULL ? 0 : object_read(o->repo, o->name, off, len,
	    buf);
}

int
segment_head_read(const struct segment_object *o, struct segment_head *head)
{
	uint8_t prefix[SEGMENT_PREFIX_SIZE], *buf;
	const uint8_t *piece;
	size_t len;
	int err;

	err = piece_read(o, 0, sizeof(prefix), prefix, &piece);
	if (err == 0)
		err = segment_head_len(piece, &len);
	if (err == 0 && len > o->size)
		err = -FIRN_ECORRUPT;
	if (err != 0)
		return err;
	buf = o->bytes != NULL ? NULL : malloc(len);
	if (buf == NULL && o->bytes == NULL)
		return -ENOMEM;
	err = piece_read(o, 0, len, buf, &piece);
	if (err == 0)
		err = segment_head_decode(repo_keys(o->repo), piece, len,
		    o->size, head);
	free(buf);
	return err;
}

int
segment_pages_read(const struct segment_object *o,
    const struct segment_head *head, int (*fn)(void *ctx,
    const struct segment_entry *entries, size_t n), void *ctx)
{
	struct segment_entry *entries;
	const uint8_t *piece;
	uint8_t *buf;
	uint64_t off, page_off;
	size_t len, total, n;
	uint32_t page = 0, first;
	int err = 0;

	entries = calloc(SEGMENT_PAGE_ENTRIES, sizeof(*entries));
	buf = o->bytes != NULL ? NULL : malloc(READ_PIECE);
	if (entries == NULL || (buf == NULL && o->bytes == NULL))
		err = -ENOMEM;
	while (page < head->npages && err == 0) {
		first = page;
		segment_page_range(head, page, &off, &len);
		total = len;
		while (++page < head->npages) {
			segment_page_range(head, page, &page_off, &len);
			if (total + len > READ_PIECE)
				break;
			total += len;
		}
		err = piece_read(o, off, total, buf, &piece);
		for (; first < page && err == 0; first++) {
			segment_page_range(head, first, &page_off, &len);
			err = segment_page_decode(head, first,
			    piece + (page_off - off), len, entries, &n);
			if (err == 0)
				err = fn(ctx, entries, n);
		}
	}
	free(entries);
	free(buf);
	return err;
}
