/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to make of an answer, or of none.  Pure.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
#ifndef FIRN_STORE_S3_VERDICT_H
#define FIRN_STORE_S3_VERDICT_H

#include <time.h>

#include "store/s3_http.h"
#include "store/s3_xml.h"

enum s3_action {
	S3_ACCEPT,	/* it is done, if the answer is whole */
	S3_ANSWER,	/* a definite no: return err, log nothing */
	S3_RETRY,	/* soon */
	S3_SLOW_DOWN,	/* later */
	S3_MOVE,	/* now, in the bucket's region */
	S3_SKEW,	/* now, with the server's clock */
	S3_RENEW,	/* now, with other keys */
	S3_PLAIN,	/* now, without x-amz-checksum-* */
	S3_GIVE_UP	/* return err, log it */
};

struct s3_verdict {
	enum s3_action action;
	int err;		/* -errno when it ends here */
	const char *cause;	/* static text, or NULL for the server's own */
	const char *next;	/* what the user can do, or NULL */
};

/* The next step where an answer is not S3's. */
#define S3_VERDICT_PORTAL	"check the endpoint, and for a proxy or the " \
	"log-in page of a network in between"

/*
 * `e` is the answer's error document, empty when it has none.  `now` is our
 * clock, corrected as for the request that this answers.
 */
void s3_judge(enum s3_http_method method, enum s3_http_result result,
    const struct s3_http_reply *rp, const struct s3_error *e, time_t now,
    struct s3_verdict *out);

/* 1: the server's clock is ahead of `now` by *skew seconds (behind where that is
 * negative); 0: the answer does not tell its time. */
int s3_skew_of(const struct s3_http_reply *rp, const struct s3_error *e,
    time_t now, long *skew);

#endif
