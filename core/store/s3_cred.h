/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys to sign requests with.
 *
 * Now from the environment alone: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * optionally AWS_SESSION_TOKEN, read once.  Callers ask for the keys for each
 * request and tell when a server says that they are expired, so that a source
 * that renews them fits in behind this.  Secrets are never logged, and wiped
 * when released.  Thread-safe.
 */
#ifndef FIRN_STORE_S3_CRED_H
#define FIRN_STORE_S3_CRED_H

#define S3_ACCESS_MAX	128
#define S3_SECRET_MAX	256
#define S3_SESSION_MAX	8192

struct s3_cred;

/* A copy, the caller's to wipe. */
struct s3_keys {
	char access[S3_ACCESS_MAX + 1];
	char secret[S3_SECRET_MAX + 1];
	char session[S3_SESSION_MAX + 1];	/* "" for none */
};

/* -EACCES, logged, when there are none. */
int s3_cred_new(struct s3_cred **out);
/* NULL is fine. */
void s3_cred_free(struct s3_cred *c);
int s3_cred_get(struct s3_cred *c, struct s3_keys *out);
void s3_keys_wipe(struct s3_keys *k);
/* The server takes these for expired.  0: s3_cred_get() has others now;
 * -EACCES: there are no others, not logged. */
int s3_cred_renew(struct s3_cred *c, const struct s3_keys *expired);

#endif
