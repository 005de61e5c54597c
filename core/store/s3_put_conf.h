/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new object is to be stored as: encryption by the server, and the
 * storage class.
 *
 * Contents of files (STORE_DATA) may go into any class; its name is passed on
 * as it is, since AWS adds classes and others have their own.  All else has to
 * be readable at once, always, so only classes that are known to be so are
 * taken for it: metadata is never cold.  INTELLIGENT_TIERING is not among
 * them, whose optional tiers are archives.
 *
 * With SSE-KMS the ETag is no MD5 of the contents.  We take it for opaque with
 * any encryption; what was stored is vouched for by x-amz-checksum-sha256.
 */
#ifndef FIRN_STORE_S3_PUT_CONF_H
#define FIRN_STORE_S3_PUT_CONF_H

#include "store/s3_sigv4.h"
#include "store/store.h"

#define S3_PUT_CONF_HEADERS	3

struct s3_put_conf {
	const char *sse;	/* x-amz-server-side-encryption, or NULL */
	char *kms_key;		/* or NULL */
	char *tier;		/* of STORE_DATA, or NULL */
	char *meta_class;	/* of the others, or NULL */
};

/* -EINVAL, logged, for values that are not allowed, that of bucket_owner among
 * them.  Release in any case. */
int s3_put_conf_init(struct s3_put_conf *p, const struct store_conf *conf);
void s3_put_conf_release(struct s3_put_conf *p);

/* Another class for STORE_DATA.  -ENOMEM, logged. */
int s3_put_conf_set_tier(struct s3_put_conf *p, const char *class_name);

/* Headers for a put with these flags, S3_PUT_CONF_HEADERS at most; how many.
 * They point into *p. */
size_t s3_put_conf_headers(const struct s3_put_conf *p, unsigned flags,
    struct sigv4_pair *out);

/* Whether a text may stand in a header as it is: visible ASCII, not empty,
 * at most 256 bytes. */
int s3_put_conf_value_ok(const char *text);

#endif
