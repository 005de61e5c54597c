/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of xattrs.  What passes the check is what would be encoded. */
#include <string.h>

#include "format/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(SIZE_MAX / 2);
	struct rd r = rd_init(data, size);
	struct xattr x;

	if (xattr_check(data, size) != 0)
		return 0;
	while (rd_left(&r) > 0 && xattr_decode(&r, &x) == 0)
		xattr_encode(&x, &again);
	if (again.len != size || memcmp(again.data, data, size) != 0)
		__builtin_trap();
	buf_release(&again);
	return 0;
}
