/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain heads and pages of index segments: u16 length of the head, head, page.
 * An id that page 0 holds must be looked for in page 0.
 */
#include <string.h>

#include "base/bytes.h"
#include "format/segment_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_entry e[SEGMENT_PAGE_ENTRIES];
	struct segment_head h;
	struct rd r = rd_init(data, size);
	const uint8_t *head;
	size_t len, n;

	memset(&h, 0, sizeof(h));
	len = rd_u16(&r);
	head = rd_bytes(&r, len);
	if (head != NULL && segment_head_parse(head, len, &h) == 0 &&
	    segment_page_parse(&h, 0, r.p, rd_left(&r), e, &n) == 0 &&
	    segment_page_find(&h, e[n - 1].id) != 0)
		__builtin_trap();
	segment_head_release(&h);
	return 0;
}
