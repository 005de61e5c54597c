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

int
segment_head_read(struct repo *r, const char *name, uint64_t size,
    struct segment_head *head)
{
	uint8_t prefix[SEGMENT_PREFIX_SIZE], *bytes;
	size_t len;
	int err;

	err = object_read(r, name, 0, sizeof(prefix), prefix);
	if (err == 0)
		err = segment_head_len(prefix, &len);
	if (err == 0 && len > size)
		err = -FIRN_ECORRUPT;
	if (err != 0)
		return err;
	bytes = malloc(len);
	if (bytes == NULL)
		return -ENOMEM;
	err = object_read(r, name, 0, len, bytes);
	if (err == 0)
		err = segment_head_decode(&r->keys, bytes, len, size, head);
	free(bytes);
	return err;
}

int
segment_pages_read(struct repo *r, const char *name,
    const struct segment_head *head, int (*fn)(void *ctx,
    const struct segment_entry *entries, size_t n), void *ctx)
{
	struct segment_entry *entries;
	uint8_t *bytes;
	uint64_t off, page_off;
	size_t len, total, n;
	uint32_t page = 0, first;
	int err = 0;

	entries = calloc(SEGMENT_PAGE_ENTRIES, sizeof(*entries));
	bytes = malloc(READ_PIECE);
	if (entries == NULL || bytes == NULL)
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
		err = object_read(r, name, off, total, bytes);
		for (; first < page && err == 0; first++) {
			segment_page_range(head, first, &page_off, &len);
			err = segment_page_decode(head, first,
			    bytes + (page_off - off), len, entries, &n);
			if (err == 0)
				err = fn(ctx, entries, n);
		}
	}
	free(entries);
	free(bytes);
	return err;
}
