/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bucket is: from "s3://BUCKET[/PREFIX]", a region and an endpoint to
 * the host that requests go to and the path in front of an object's name.
 * Pure.
 *
 * A bucket is addressed as a virtual host, BUCKET.HOST, but by path,
 * HOST/BUCKET, where that cannot work: a name with dots (the certificate's
 * wildcard covers one label) or with what host names have not, an endpoint
 * that is an IP address or one label, such as localhost.  Requests are in the
 * clear only for an endpoint that begins "http://".
 */
#ifndef FIRN_STORE_S3_URL_H
#define FIRN_STORE_S3_URL_H

#define S3_BUCKET_MAX	63
#define S3_PREFIX_MAX	400
#define S3_REGION_MAX	63
#define S3_HOST_MAX	255

struct s3_url {
	char bucket[S3_BUCKET_MAX + 1];
	char prefix[S3_PREFIX_MAX + 2];	/* "" or "some/where/" */
	char region[S3_REGION_MAX + 1];
	char endpoint[S3_HOST_MAX + 1];	/* HOST[:PORT]; "" for AWS */
	int http;			/* not https */
	int path_style;			/* as asked: 1, 0, or -1 by rule */
	/* What follows from the above. */
	char host[S3_BUCKET_MAX + 1 + S3_HOST_MAX + 1];	/* the Host header */
	/* In front of a name, encoded: "/bucket/prefix/", "/prefix/" or "/". */
	char path[S3_BUCKET_MAX + 3 + 3 * (S3_PREFIX_MAX + 1) + 1];
	char root[S3_BUCKET_MAX + 2];	/* the bucket's: "/bucket" or "/" */
};

/*
 * `endpoint` NULL or "" means AWS, `region` must be given.  -EINVAL with a
 * text why in *why, which is static.
 */
int s3_url_init(struct s3_url *u, const char *url, const char *region,
    const char *endpoint, int path_style, const char **why);
/* The bucket is elsewhere; -EINVAL when that is no name of a region. */
int s3_url_set_region(struct s3_url *u, const char *region);

#endif
