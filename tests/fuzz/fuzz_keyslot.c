/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots up to their seal.  (No input guesses the sum, so what is reached
 * are the parts before it; what it covers has unit tests.)
 */
#include "format/keyslot_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keyslot_info info;

	if (keyslot_info(data, size, &info) == 0 &&
	    (!keyslot_label_valid(info.label) ||
	    !keyslot_name_valid(info.name)))
		__builtin_trap();
	return 0;
}
