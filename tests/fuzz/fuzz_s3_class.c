/* SPDX-License-Identifier: Apache-2.0 */
/* The words on classes and thaws: any text in the place of each. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_class.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512];
	struct store_stat st;
	size_t i;

	if (size >= sizeof(text))
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	s3_class_of_head(text, text, "", &st);
	for (i = 0; st.class_name[i] != '\0'; i++)
		if (st.class_name[i] <= ' ' || st.class_name[i] > '~')
			__builtin_trap();
	if (st.expires != 0 && st.state != STORE_THAWED)
		__builtin_trap();
	s3_class_of_head("GLACIER", text, text, &st);
	if (st.state == STORE_HOT)
		__builtin_trap();
	return 0;
}
