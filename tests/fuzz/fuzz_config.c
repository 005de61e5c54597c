/* SPDX-License-Identifier: Apache-2.0 */
/* The config object, and the JSON inside it. */
#include "format/config_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c;

	if (config_decode(data, size, &c) != 0 &&
	    config_parse(data, size, &c) != 0)
		return 0;
	if (config_validate(&c) != 0)
		__builtin_trap();
	return 0;
}
