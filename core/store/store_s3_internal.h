/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a bucket.
 *
 * store_s3.c	the verbs
 * s3_cold.c	those of the cold tier: thaws and classes
 * s3_absent.c	putting only where there is nothing yet
 * s3_lifecycle.c	the one rule of ours among the bucket's
 * s3_probe.c	what `firn doctor` asks
 */
#ifndef FIRN_STORE_STORE_S3_INTERNAL_H
#define FIRN_STORE_STORE_S3_INTERNAL_H

#include <stdatomic.h>

#include "crypto/hash.h"
#include "store/s3_client.h"
#include "store/s3_put_conf.h"
#include "store/store_internal.h"
#include "store/store_probe.h"

#define S3_DOC_MAX	(64u << 10)	/* error documents */
#define S3_NONCE_SIZE	(2 * 16 + 1)	/* hexadecimal, with its NUL */

struct s3 {
	struct store base;
	struct s3_client *client;
	struct s3_put_conf put;
	atomic_int conditional;	/* enum store_conditional, as far as known */
	atomic_int lists_restores;	/* a listing has shown one */
};

static inline struct s3 *
s3_of(struct store *s)
{
	return (struct s3 *)s;
}

/* What the object's headers say.  With `refusal` a failure is not logged. */
int s3_head(struct s3 *s, const char *name, struct s3_http_reply *rp,
    struct s3_refusal *refusal);
/* Random hexadecimal digits; logged. */
int s3_nonce(char out[S3_NONCE_SIZE]);
/* The checksum header's value: 1, or 0 for none. */
int s3_checksum_parse(const char *text, uint8_t sha256[STORE_SHA256]);
/* Adds the header of call->sha256; `text` must live as long as the call.  Every
 * put needs it: buckets with Object Lock refuse those without. */
#define S3_CHECKSUM_NAME	"x-amz-checksum-sha256"
#define S3_CHECKSUM_SIZE	45
int s3_checksum_add(struct s3_call *call, char text[S3_CHECKSUM_SIZE]);
/* That of a put: it has an ETag, and a checksum that comes back is ours. */
int s3_put_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why);
/* The check of an answer that has no body. */
int s3_bare_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why);
/*
 * Makes a document the body of a call, with all that a server may want of its
 * digests: that of the signature, x-amz-checksum-sha256, and Content-MD5 where
 * this machine has it.  `d` and the text must live as long as the call.
 */
struct s3_document {
	uint8_t sha256[HASH_SIZE];
	char checksum[S3_CHECKSUM_SIZE];
	char md5[32];
};
int s3_document_add(struct s3_call *call, const void *text, size_t len,
    struct s3_document *d);
/* Delete, and log nothing: for what is left behind otherwise.  1 when it is
 * gone. */
int s3_discard(struct s3 *s, const char *name);

/*
 * s3_absent.c: send a put that has its body, hashes and checksum header, by
 * the rules of store_put()'s flags.
 */
int s3_absent_put(struct s3 *s, struct s3_call *call, unsigned flags);
/* What the bucket makes of If-None-Match, tried once a handle; logged. */
int s3_conditional(struct store *base, enum store_conditional *out);
enum store_conditional s3_conditional_known(struct store *base);
/* The same with an object of this name, which must be a new one and stays
 * where it is not refused; what the server had against it is in *no,
 * unlogged. */
int s3_conditional_ask(struct s3 *s, const char *name,
    enum store_conditional *out, struct s3_refusal *no);

/* s3_cold.c */
int s3_thaw(struct store *base, const char *name, enum store_thaw_tier tier,
    unsigned days);
int s3_set_class(struct store *base, const char *name,
    const char *class_name);

/* s3_lifecycle.c */
int s3_lifecycle_get(struct store *base, struct store_lifecycle *out);
int s3_lifecycle_set(struct store *base, const char *class_name,
    unsigned days, struct store_lifecycle *out);

/* The same as get, with what the server had against it in *no, unlogged. */
int s3_lifecycle_ask(struct s3 *s, struct store_lifecycle *out,
    struct s3_refusal *no);

/* s3_probe.c */
int s3_probe(struct store *base, struct probe *p);

#endif
