/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys to sign requests with, from where AWS's tools have them, and new ones
 * in time.
 *
 * docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 *
 * The first of these that is there is the source; when it fails there is no
 * other:
 *	1. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, unless the URL names a
 *	   profile
 *	2. the profile, where it has role_arn: AssumeRole with the keys of
 *	   source_profile or credential_source
 *	3. AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
 *	4. the profile: web_identity_token_file, keys in the credentials file,
 *	   credential_process, keys in the config file
 *	5. AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
 *	6. the metadata service of an EC2 instance
 *
 * Keys that expire are renewed before: 15 minutes before, by one thread while
 * the others go on, and a failure is tolerated; 10 minutes before, all others
 * wait for the one, and go on with what they have while it is good.  Of keys
 * that live for less than half an hour, half and a quarter of their life.
 * Files are read anew each time.  Secrets are never logged, not part of a core
 * dump while they wait here, and wiped when released.  Thread-safe.
 */
#ifndef FIRN_STORE_S3_CRED_H
#define FIRN_STORE_S3_CRED_H

#include <stdatomic.h>
#include <time.h>

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

struct s3_cred_conf {
	const char *profile;	/* of AWS's files; NULL or "": as they say */
	const char *region;	/* for STS */
	const char *ca_file;	/* as s3_http_conf */
	atomic_int *canceled;	/* non-zero: give up soon; outlives it */
	time_t (*now)(void);	/* NULL: the system's clock */
};

/* Copies conf's texts.  Chooses the source and asks none yet.  -EACCES,
 * logged, when there is none or it cannot be. */
int s3_cred_new(const struct s3_cred_conf *conf, struct s3_cred **out);
/* NULL is fine. */
void s3_cred_free(struct s3_cred *c);
/* May ask the source, and blocks then.  -EACCES when there are none to be
 * had; -EAGAIN when a source that had some fails in a way that may pass;
 * -ECANCELED.  The first thread to fail logs why. */
int s3_cred_get(struct s3_cred *c, struct s3_keys *out);
void s3_keys_wipe(struct s3_keys *k);
/* The server takes these for expired.  0: s3_cred_get() has others now, which
 * this call got unless another thread had; -EACCES: there are no others, and
 * the source is not asked again for some seconds; -EAGAIN and -ECANCELED as
 * above. */
int s3_cred_renew(struct s3_cred *c, const struct s3_keys *expired);

#endif
