/* SPDX-License-Identifier: Apache-2.0 */
/* S3's documents: any bytes, as an error, a listing, a bucket's state, a
 * copy. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
see(void *ctx, const struct s3_listed *o)
{
	(void)ctx;
	if (o->key[0] == '\0' || strlen(o->key) > S3_KEY_MAX ||
	    strlen(o->class_name) >= sizeof(o->class_name))
		__builtin_trap();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_listing l = { .fn = see };
	struct s3_bucket_state st;
	struct s3_copied copied;
	struct s3_error e;

	if (s3_xml_error(data, size, &e) != 0 && e.code[0] != '\0')
		__builtin_trap();
	if (s3_xml_list(data, size, &l) == 0 && l.truncated &&
	    l.token[0] == '\0')
		__builtin_trap();
	if (s3_xml_state(data, size, &st) != 0 && (st.versioning[0] != '\0' ||
	    st.lock[0] != '\0' || st.lock_mode[0] != '\0'))
		__builtin_trap();
	if ((s3_xml_copied(data, size, &copied) == 0) !=
	    (copied.etag[0] != '\0'))
		__builtin_trap();
	return 0;
}
