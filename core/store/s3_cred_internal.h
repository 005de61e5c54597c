/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_cred.c		keeps keys, and gets others in time
 * s3_cred_source.c	which source it is, and keys of the environment
 * s3_cred_profile.c	keys of a profile: its own, or a role's, through others
 * s3_cred_process.c	keys that a command prints
 * s3_cred_sts.c	keys of roles, from STS
 * s3_cred_http.c	what the next two share
 * s3_cred_container.c	keys of containers
 * s3_cred_imds.c	keys of EC2 instances
 * s3_cred_json.c	decoding what those and commands give
 *
 * A fetch asks one source once (with the few repetitions that belong to it),
 * and logs why it failed: -EACCES, -EAGAIN where that may pass by itself, or
 * -ECANCELED and -ENOMEM unlogged.
 */
#ifndef FIRN_STORE_S3_CRED_INTERNAL_H
#define FIRN_STORE_S3_CRED_INTERNAL_H

#include <stddef.h>

#include "store/aws_config.h"
#include "store/s3_cred.h"
#include "store/s3_http.h"

#define S3_CRED_DOC_MAX	(64u << 10)	/* what a source may answer */

struct s3_fetched {
	struct s3_keys keys;
	time_t expires;		/* 0 for never, as far as we know */
};

enum s3_source {
	S3_SOURCE_NONE,
	S3_SOURCE_ENV,
	S3_SOURCE_WEB_ENV,	/* web identity, of the environment */
	S3_SOURCE_PROFILE,
	S3_SOURCE_CONTAINER,
	S3_SOURCE_IMDS
};

struct s3_fetch {
	const struct s3_cred_conf *conf;
	struct aws_config *aws;		/* read for this fetch */
	struct s3_http *direct;		/* never by a proxy */
	struct s3_http *proxied;
};

static inline time_t
s3_fetch_now(const struct s3_fetch *f)
{
	return f->conf->now != NULL ? f->conf->now() : time(NULL);
}

static inline int
s3_fetch_canceled(const struct s3_fetch *f)
{
	return atomic_load_explicit(f->conf->canceled, memory_order_relaxed);
}

/* -ECANCELED, soon. */
int s3_fetch_sleep(const struct s3_fetch *f, unsigned ms);

/* Which source it is; -EACCES, logged, when that is none. */
int s3_source_find(const struct s3_fetch *f, enum s3_source *out);
int s3_source_fetch(const struct s3_fetch *f, enum s3_source source,
    struct s3_fetched *out);

int s3_fetch_env(struct s3_fetched *out);

/* What a profile has. */
enum s3_profile_kind {
	S3_PROFILE_NONE,	/* nothing to do with keys */
	S3_PROFILE_ROLE,
	S3_PROFILE_WEB,
	S3_PROFILE_SHARED,	/* keys in the credentials file */
	S3_PROFILE_PROCESS,
	S3_PROFILE_CONFIG,	/* keys in the config file */
	S3_PROFILE_OTHER	/* what we cannot do */
};
enum s3_profile_kind s3_profile_kind(const struct aws_config *aws,
    const char *profile);
/* The profile in use, with all that it leads to. */
int s3_fetch_profile(const struct s3_fetch *f, struct s3_fetched *out);
/* For S3_PROFILE_OTHER: -EACCES, logged with the way out. */
int s3_profile_refuse(const struct aws_config *aws, const char *profile);

int s3_fetch_process(const struct s3_fetch *f, const char *profile,
    const char *command, struct s3_fetched *out);
/*
 * A command's words as sh(1) takes quotes and backslashes, nothing else of it.
 * Appended to `text`, each with a NUL behind it; *n counts them.  -EINVAL for
 * an open quote.
 */
int s3_process_split(const char *command, struct buf *text, size_t *n);

/* The role of `profile`, asked for with these keys. */
int s3_fetch_role(const struct s3_fetch *f, const char *profile,
    const struct s3_keys *with, struct s3_fetched *out);

struct s3_web_identity {
	const char *token_file;
	const char *role_arn;
	const char *session;	/* a name, or NULL */
	const char *from;	/* for messages */
};
int s3_fetch_web(const struct s3_fetch *f, const struct s3_web_identity *w,
    struct s3_fetched *out);

int s3_fetch_container(const struct s3_fetch *f, struct s3_fetched *out);
/* Whether keys may be asked of this URL: by https of anybody, by http of this
 * host and of the addresses that ECS and EKS have.  Total. */
int s3_container_url_ok(const char *url);
int s3_fetch_imds(const struct s3_fetch *f, struct s3_fetched *out);

/* A request to a metadata service. */
struct s3_ask {
	enum s3_http_method method;
	const char *url;
	const char *header;	/* "Name: value", or NULL */
	unsigned timeout_ms;
	struct buf *doc;
	struct s3_http_reply rp;
	enum s3_http_result result;
	char why[S3_HTTP_FIELD + 64];	/* it is not a 200 */
};
/* 1 for an answer of 200, 0 for none, -ECANCELED or -ENOMEM. */
int s3_ask(const struct s3_fetch *f, struct s3_ask *a);

enum s3_cred_form { S3_CRED_PROCESS, S3_CRED_METADATA };
/* Total.  -EINVAL with a static text in *why, which has no secret in it. */
int s3_cred_json(const void *text, size_t len, enum s3_cred_form form,
    struct s3_fetched *out, const char **why);
/* ISO 8601 with Z or an offset; -EINVAL. */
int s3_cred_time(const char *text, time_t *out);

/* A key goes into header lines: printable ASCII without blanks, not empty and
 * at most `max` bytes.  Copied with its NUL; else -EINVAL. */
int s3_key_copy(const char *s, char *out, size_t max);

#endif
