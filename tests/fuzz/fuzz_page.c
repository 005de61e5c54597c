/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of directories.  What passes the check is what would be encoded. */
#include <string.h>

#include "format/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(SIZE_MAX / 2);
	struct page_child c;
	struct entry e;
	struct page p;

	if (page_check(data, size) != 0 || page_decode(data, size, &p) != 0)
		return 0;
	page_header_encode(p.level, p.count, &again);
	while (p.level == 0 && rd_left(&p.r) > 0 &&
	    entry_decode(&p.r, &e) == 0)
		entry_encode(&e, &again);
	while (p.level > 0 && rd_left(&p.r) > 0 &&
	    page_child_decode(&p.r, &c) == 0)
		page_child_encode(&c, &again);
	if (again.len != size || memcmp(again.data, data, size) != 0)
		__builtin_trap();
	buf_release(&again);
	return 0;
}
