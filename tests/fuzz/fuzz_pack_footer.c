/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain footers: u8 kind, u8 how many grains the pack is longer than one,
 * footer.  What decodes is what would be encoded.
 */
#include <string.h>

#include "format/pack_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(FORMAT_PACK_MAX);
	struct pack_footer f;
	uint64_t end;

	if (size < 2 || size > FORMAT_PACK_ALIGN / 2)
		return 0;
	end = (1u + data[1]) * (uint64_t)FORMAT_PACK_ALIGN;
	end -= PACK_TRAILER_SIZE + PACK_FOOTER_OVERHEAD + (size - 2);
	if (pack_footer_parse(data + 2, size - 2, data[0], end, &f) == 0) {
		pack_footer_write(&f, &again);
		if (again.len != size - 2 ||
		    memcmp(again.data, data + 2, again.len) != 0)
			__builtin_trap();
		pack_footer_release(&f);
	}
	buf_release(&again);
	return 0;
}
