/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of thaws.  What decodes is the same after encoding. */
#include <string.h>

#include "repo/thaw_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
encode(const struct thaw_job *j, struct buf *out)
{
	if (thaw_job_encode(j, out) != 0)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT(SIZE_MAX / 2), twice =
	    BUF_INIT(SIZE_MAX / 2);
	struct thaw_job j, k;

	if (thaw_job_decode(data, size, &j) != 0)
		return 0;
	encode(&j, &once);
	if (thaw_job_decode(once.data, once.len, &k) != 0)
		__builtin_trap();
	encode(&k, &twice);
	if (once.len != twice.len ||
	    memcmp(once.data, twice.data, once.len) != 0)
		__builtin_trap();
	thaw_job_release(&j);
	thaw_job_release(&k);
	buf_release(&once);
	buf_release(&twice);
	return 0;
}
