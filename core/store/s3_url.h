/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bucket is: from "s3://BUCKET[/PREFIX][?NAME=VALUE&...]", a region and
 * an endpoint to the host that requests go to and the path in front of an
 * object's name.  Pure.
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
#define S3_PROFILE_MAX	127

struct s3_url {
	char bucket[S3_BUCKET_MAX + 1];
	char prefix[S3_PREFIX_MAX + 2];	/* "" or "some/where/" */
	char region[S3_REGION_MAX + 1];
	char endpoint[S3_HOST_MAX + 1];	/* HOST[:PORT]; "" for AWS */
	int http;			/* not https */
	int path_style;			/* as asked: 1, 0, or -1 by rule */
	int dualstack, fips;
	/* What follows from the above. */
	char host[S3_BUCKET_MAX + 1 + S3_HOST_MAX + 1];	/* the Host header */
	/* In front of a name, encoded: "/bucket/prefix/", "/prefix/" or "/". */
	char path[S3_BUCKET_MAX + 3 + 3 * (S3_PREFIX_MAX + 1) + 1];
	char root[S3_BUCKET_MAX + 2];	/* the bucket's: "/bucket" or "/" */
};

struct s3_url_conf {
	const char *region;	/* must be given */
	const char *endpoint;	/* NULL or "" means AWS */
	int path_style;
	int dualstack;		/* of AWS's: the hosts with IPv6 as well */
	int fips;		/* of AWS's: the hosts with FIPS 140 */
};

/* What stands behind the '?' is passed over, see s3_url_query().  -EINVAL with
 * a text why in *why, which is static. */
int s3_url_init(struct s3_url *u, const char *url,
    const struct s3_url_conf *conf, const char **why);
/* The bucket is elsewhere; -EINVAL when that is no name of a region. */
int s3_url_set_region(struct s3_url *u, const char *region);
/* Just the endpoint and http of a URL or HOST[:PORT]; as s3_url_init(). */
int s3_url_endpoint(struct s3_url *u, const char *endpoint, const char **why);

/* What a URL may say behind a '?', percent-encoded: region, endpoint, profile
 * (of AWS's files), addressing_style (path, virtual or auto). */
struct s3_url_query {
	char region[S3_REGION_MAX + 1];		/* "" where it says nothing */
	char endpoint[S3_HOST_MAX + 8 + 1];
	char profile[S3_PROFILE_MAX + 1];
	char style[8];
};

/* As s3_url_init().  Anything else there is -EINVAL. */
int s3_url_query(const char *url, struct s3_url_query *out, const char **why);
/* "path", "virtual" or "auto" as path_style; -2 for none of them. */
int s3_url_style(const char *text);

#endif
