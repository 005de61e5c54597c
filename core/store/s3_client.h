/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to one bucket: signed, sent, and repeated until there is a definite
 * answer or the time is up.
 *
 * Repeated, with a random wait of up to 50 ms (1 s when throttled), doubled
 * each time up to 20 s: failures of the connection, stalls, throttling, 5xx,
 * broken or implausible answers.  All threads' repetitions come out of one
 * budget (s3_budget.h); Retry-After is kept to.  Repeated at once, but a few
 * times only: in the bucket's region when that turns out to be another (kept
 * from then on), by the server's clock when ours is too far off (kept as well),
 * with renewed keys, without x-amz-checksum-* where the server refuses those
 * (kept as well), and on another connection when the server had closed a kept
 * one.  No attempt begins after the time is up; one that goes on is not cut
 * short.  A server that never answered yet is given up after 10 seconds.
 *
 * Requests wait for their turn in a window that shrinks when the server
 * throttles (s3_window.h).  A ranged read that is late is sent twice
 * (s3_hedge.h).  Both are counted in the store's counters.
 * Every failure is logged here with its cause but: -ENOENT, -EEXIST (412),
 * -ERANGE (416), -FIRN_ECOLD and -ECANCELED, and but those of a call with a
 * `refusal`.
 */
#ifndef FIRN_STORE_S3_CLIENT_H
#define FIRN_STORE_S3_CLIENT_H

#include "base/buf.h"
#include "store/s3_http.h"
#include "store/s3_sigv4.h"
#include "store/store.h"

#define S3_CALL_HEADERS	8

struct s3_client;
struct s3_url;

/* A failure that the caller will judge, and log if it has to. */
struct s3_refusal {
	int status;		/* of the last answer; 0: none came */
	char code[64];		/* of its error document, or "" */
	char text[2048];	/* what would have been logged */
};

struct s3_call {
	enum store_verb verb;	/* for accounting and messages */
	enum s3_http_method method;
	const char *name;	/* of the object; NULL for the bucket */
	const struct sigv4_pair *query;
	size_t nquery;
	struct sigv4_pair header[S3_CALL_HEADERS];	/* names lower-case */
	size_t nheaders;
	const void *body;
	size_t len;
	const uint8_t *sha256;	/* of body; NULL when there is none */
	void *out;		/* as in struct s3_http_request */
	size_t outlen;
	struct buf *doc;	/* needed; its ceiling holds for all texts */
	/*
	 * Looks at a successful answer.  0, or -errno with a text in *why:
	 * it is not the answer to this call, which is tried again.
	 */
	int (*check)(struct s3_call *call, const struct s3_http_reply *rp,
	    const char **why);
	void *ctx;		/* for check */
	struct s3_refusal *refusal;	/* failures go here, not to the log */
	int once;		/* an answer of 4xx is final */
	/*
	 * `unsure` is set when a try that was repeated may have been carried
	 * out: it had no answer, or one that does not tell.
	 *
	 * single: sent once, whatever comes of it: for what a repetition might
	 * undo.  Then `unsure` is set where it would have been repeated.
	 */
	int single;
	int unsure;
};

/* `base` is told of each request, and may cancel.  Logged. */
int s3_client_new(struct store *base, const char *url,
    const struct store_conf *conf, struct s3_client **out);
void s3_client_free(struct s3_client *c);
/* "some/where/" that names begin with in keys, or "". */
const char *s3_client_prefix(const struct s3_client *c);
const char *s3_client_bucket(const struct s3_client *c);

/* Seconds that a call may take. */
unsigned s3_client_timeout(const struct s3_client *c);

/* 1 when no endpoint but Amazon's own is set. */
int s3_client_is_aws(struct s3_client *c);

/* What the client has found out. */
struct s3_client_facts {
	char region[64];
	int moved;		/* it is not the one we were given */
	int http;		/* not https */
	char host[320];
	long skew;		/* server's clock less ours, where corrected */
};
void s3_client_facts(struct s3_client *c, struct s3_client_facts *out);

/* Blocks.  rp->sent counts all of the call's requests; see -EEXIST. */
int s3_client_do(struct s3_client *c, struct s3_call *call,
    struct s3_http_reply *rp);

#endif
