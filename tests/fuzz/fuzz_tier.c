/* SPDX-License-Identifier: Apache-2.0 */
/* The objects below "tier/". */
#include "format/tier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tier t;

	if ((tier_decode(data, size, &t) == 0) !=
	    config_class_valid(t.class_name))
		__builtin_trap();
	return 0;
}
