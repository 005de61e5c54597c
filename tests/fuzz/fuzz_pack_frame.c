/* SPDX-License-Identifier: Apache-2.0 */
/* What lies under the seal of a frame: compression byte and payload. */
#include "format/pack_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pack_codec *codec;
	struct buf out = BUF_INIT(1u << 20);

	if (codec == NULL && pack_codec_new(&codec) != 0)
		return 0;
	if (pack_frame_expand(codec, data, size, &out) != 0 && out.len != 0)
		__builtin_trap();
	buf_release(&out);
	return 0;
}
