/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 for S3 and STS, in the Authorization header.  Pure:
 * no I/O, no clock; the time is an argument.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 *
 * Three steps, each of which can be looked at and tested: the canonical
 * request, the string to sign, the signature.  For S3 a path is encoded once
 * and not normalised; what is signed and what is sent must be the same bytes,
 * so callers send the path and query that they gave here.
 */
#ifndef FIRN_STORE_S3_SIGV4_H
#define FIRN_STORE_S3_SIGV4_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"

#define SIGV4_DATE_SIZE		17	/* "20130524T000000Z" and a NUL */
#define SIGV4_SIGNATURE_SIZE	65	/* 64 hex digits and a NUL */

struct sigv4_pair {
	const char *name;
	const char *value;
};

struct sigv4_keys {
	const char *access;
	const char *secret;
	const char *region;
	const char *service;	/* NULL: "s3" */
};

struct sigv4_request {
	const char *method;
	const char *path;	/* as sent: "/" and encoded segments */
	const char *query;	/* as sent, from sigv4_query(); "" for none */
	/* To be signed; lower-case names, each once, in any order.  Must hold
	 * host, x-amz-date, all other x-amz-* and for S3
	 * x-amz-content-sha256. */
	const struct sigv4_pair *header;
	size_t nheaders;
	const char *payload;	/* as x-amz-content-sha256 */
};

/* Appends RFC 3986 percent-encoding; '/' stays where keep_slash is set. */
int sigv4_encode(const char *text, size_t len, int keep_slash,
    struct buf *out);
/* Appends the canonical query of up to 16 pairs, -EINVAL for more. */
int sigv4_query(const struct sigv4_pair *pair, size_t n, struct buf *out);
/* The value of x-amz-date; -EINVAL for a year that is not 1000 to 9999. */
int sigv4_date(time_t t, char out[SIGV4_DATE_SIZE]);

/* Appends.  At most 32 headers, -EINVAL for more. */
int sigv4_canonical(const struct sigv4_request *r, struct buf *out);
/* Appends; `date` is that of x-amz-date.  No secret is looked at. */
int sigv4_string_to_sign(const struct sigv4_keys *k, const char *date,
    const struct buf *canonical, struct buf *out);
int sigv4_signature(const struct sigv4_keys *k, const char *date,
    const struct buf *string_to_sign, char out[SIGV4_SIGNATURE_SIZE]);

/* All three: appends the value of the Authorization header. */
int sigv4_authorization(const struct sigv4_request *r,
    const struct sigv4_keys *k, const char *date, struct buf *out);

#endif
