/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a metadata service: one short request, by no proxy.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/s3_cred_internal.h"

int
s3_ask(const struct s3_fetch *f, struct s3_ask *a)
{
	const struct s3_http_request rq = {
		.method = a->method,
		.url = a->url,
		.header = &a->header,
		.nheaders = a->header != NULL,
		.timeout_ms = a->timeout_ms,
		.doc = a->doc,
	};

	if (buf_reserve(a->doc, a->doc->max - a->doc->len) != 0)
		return -ENOMEM;
	a->result = s3_http_do(f->direct, &rq, &a->rp);
	if (a->result == S3_HTTP_CANCELED)
		return -ECANCELED;
	if (a->result == S3_HTTP_NOMEM)
		return -ENOMEM;
	if (a->result != S3_HTTP_DONE)
		snprintf(a->why, sizeof(a->why), "%s", a->rp.detail);
	else
		snprintf(a->why, sizeof(a->why), "status %d", a->rp.status);
	return a->result == S3_HTTP_DONE && a->rp.status == 200;
}
