/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bucket is, of all that may say so.  What goes before what:
 *
 *	region		--region, the URL, AWS_REGION, AWS_DEFAULT_REGION, the
 *			profile of AWS's files, us-east-1; then the client
 *			learns the bucket's own
 *	endpoint	--endpoint, the URL, see aws_config_endpoint()
 *	addressing	--path-style, the URL, the profile's `s3 =
 *			addressing_style`, by rule
 *
 * Reads files; does not ask the network.
 */
#ifndef FIRN_STORE_S3_PLACE_H
#define FIRN_STORE_S3_PLACE_H

#include "store/s3_url.h"
#include "store/store.h"

struct s3_place {
	struct s3_url url;
	char profile[S3_PROFILE_MAX + 1];	/* that the URL names, or "" */
	char *ca_file;				/* or NULL */
};

/* Only what stands in the URL and its endpoint: 0, or -EINVAL, logged. */
int s3_place_check(const char *url, const struct store_conf *conf);
/* Logged. */
int s3_place_find(struct s3_place *p, const char *url,
    const struct store_conf *conf);
void s3_place_release(struct s3_place *p);

#endif
