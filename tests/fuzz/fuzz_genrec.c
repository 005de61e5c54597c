/* SPDX-License-Identifier: Apache-2.0 */
/* Generation records as JSON.  What decodes must encode, and decode again. */
#include "format/genrec_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(SIZE_MAX / 2);
	struct genrec g;
	int err;

	err = genrec_parse(data, size, &g);
	if (err == 0) {
		err = genrec_write(&g, &again);
		genrec_release(&g);
		if (err != 0 || genrec_parse(again.data, again.len, &g) != 0)
			__builtin_trap();
	}
	genrec_release(&g);
	buf_release(&again);
	return 0;
}
