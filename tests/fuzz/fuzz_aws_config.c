/* SPDX-License-Identifier: Apache-2.0 */
/* The files that AWS's tools share: any bytes, as either file.  What comes of
 * them lies in what was given. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/aws_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(const struct aws_file *f, size_t size)
{
	static const char *const key[] = { "region", "s3", "credential_process",
	    "aws_access_key_id" };
	const char *v;
	size_t i;

	for (i = 0; i < sizeof(key) / sizeof(key[0]); i++) {
		v = aws_file_get(f, AWS_PROFILE, "default", key[i], NULL);
		if (v != NULL && (strlen(v) > size || strchr(v, '\n') != NULL ||
		    !aws_file_has(f, AWS_PROFILE, "default")))
			__builtin_trap();
		v = aws_file_get(f, AWS_SERVICES, "a", key[i], "endpoint_url");
		if (v != NULL && strlen(v) > size)
			__builtin_trap();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aws_file *f;

	if (aws_file_parse(data, size, AWS_CONFIG, &f) == 0)
		look(f, size);
	aws_file_free(f);
	if (aws_file_parse(data, size, AWS_CREDENTIALS, &f) == 0)
		look(f, size);
	aws_file_free(f);
	return 0;
}
