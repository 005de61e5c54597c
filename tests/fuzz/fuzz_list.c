/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of extents.  What passes the check is what would be encoded. */
#include <string.h>

#include "format/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(SIZE_MAX / 2);
	struct list_child c;
	struct extent x;
	struct list l;

	if (list_check(data, size) != 0 || list_decode(data, size, &l) != 0)
		return 0;
	list_header_encode(l.level, l.count, &again);
	while (l.level == 0 && rd_left(&l.r) > 0 &&
	    extent_decode(&l.r, &x) == 0)
		extent_encode(&x, &again);
	while (l.level > 0 && rd_left(&l.r) > 0 &&
	    list_child_decode(&l.r, &c) == 0)
		list_child_encode(&c, &again);
	if (again.len != size || memcmp(again.data, data, size) != 0)
		__builtin_trap();
	buf_release(&again);
	return 0;
}
