/* SPDX-License-Identifier: Apache-2.0 */
/* JSON documents.  What parses can be dumped, and that parses. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT(SIZE_MAX / 2);
	struct json *j, *again;

	if (json_parse(data, size, &j) != 0)
		return 0;
	if (json_dump(j, &text) != 0 ||
	    json_parse(text.data, text.len, &again) != 0 ||
	    json_count(again) != json_count(j))
		__builtin_trap();
	json_free(again);
	json_free(j);
	buf_release(&text);
	return 0;
}
