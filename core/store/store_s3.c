/* SPDX-License-Identifier: Apache-2.0 */
/* S3; not here yet. */
#include "base/err.h"
#include "base/log.h"
#include "store/store_internal.h"

int
store_s3_open(const char *url, const struct store_conf *conf,
    struct store **out)
{
	(void)conf;
	*out = NULL;
	return log_err(-ENOSYS, "cannot open '%s'", url);
}
