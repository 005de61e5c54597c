/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request at a time a thread, over connections that are kept.  Wraps
 * libcurl; its types and error codes stop here.  Nothing is followed, retried
 * or logged: the caller decides, and limits how many there are at once.
 * Thread-safe.
 *
 * Cancelling ends a request within a tenth of a second, whatever it waits for:
 * a name server, a connection, an answer.  (Where libcurl is older than 7.87,
 * as on Ubuntu 22.04, it waits for the name server's answer or time-out.)
 *
 * Proxies are those of the environment, as curl takes them.  https passes them
 * by CONNECT, so that they see nothing of it.
 */
#ifndef FIRN_STORE_S3_HTTP_H
#define FIRN_STORE_S3_HTTP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"

struct s3_http;

struct s3_http_conf {
	unsigned connections;	/* most that are kept while idle */
	unsigned connect_secs;	/* to connect; name and TLS included */
	/* A request ends when less than 1 KiB a second has moved for so long,
	 * in either direction and as acknowledged by the other end. */
	unsigned stall_secs;
	const char *ca_file;	/* PEM of roots, or NULL for the system's */
	int no_proxy;		/* none, whatever the environment says */
	atomic_int *canceled;	/* non-zero: give up soon; outlives it */
};

enum s3_http_method { S3_HTTP_GET, S3_HTTP_PUT, S3_HTTP_HEAD,
    S3_HTTP_DELETE, S3_HTTP_POST };

struct s3_http_request {
	enum s3_http_method method;
	const char *url;	/* sent as it is */
	const char *const *header;	/* "Name: value" */
	size_t nheaders;
	const void *body;	/* PUT, POST */
	size_t len;
	unsigned timeout_ms;	/* for all of it; 0 for none */
	/* Where the body of a 200 or 206 goes: to `out`, or when that is NULL
	 * to `doc`.  That of any other status goes to `doc`. */
	void *out;
	size_t outlen;
	struct buf *doc;	/* emptied first; its ceiling holds */
	/* On a new connection; libcurl itself repeats what met a dead one. */
	int fresh;
	/*
	 * GET: when there is no whole answer after so long, ask once more on
	 * a new connection, and take what is whole first.  0: never.
	 * may_hedge is asked then; NULL for yes.
	 */
	unsigned hedge_ms;
	int (*may_hedge)(void *ctx);
	void *ctx;
};

/* What came of it. */
enum s3_http_result {
	S3_HTTP_DONE,		/* a whole answer; see status */
	S3_HTTP_CANCELED,
	S3_HTTP_NOMEM,
	S3_HTTP_DNS,		/* the host's name is not known */
	S3_HTTP_REFUSED,	/* no connection */
	S3_HTTP_PROXY,		/* the proxy made none: status, if it answered */
	S3_HTTP_TLS,		/* no encrypted connection */
	S3_HTTP_UNTRUSTED,	/* the host's certificate is not good */
	S3_HTTP_STALLED,	/* a time ran out */
	S3_HTTP_BROKEN,		/* the connection ended early */
	S3_HTTP_TOO_MUCH,	/* more body than out or doc takes */
	S3_HTTP_FAILED		/* anything else */
};

#define S3_HTTP_FIELD	256

struct s3_http_reply {
	int status;		/* when DONE; when PROXY, its, or 0 */
	unsigned sent;		/* times the request may have been sent */
	size_t got;		/* bytes in out, or in doc */
	uint64_t received;	/* bytes of body that came, all told */
	uint64_t uploaded;	/* bytes of body that went, all told */
	int has_length;
	uint64_t length;	/* Content-Length */
	time_t date;		/* Date, or -1 */
	time_t modified;	/* Last-Modified, or -1 */
	unsigned retry_after;	/* Retry-After, seconds; 0 for none */
	unsigned retry_after_ms;	/* x-amz-retry-after; 0 for none */
	/* The server had closed the kept connection that this went to, and
	 * took nothing of it, as far as can be known. */
	int stale;
	int hedged;		/* it was asked for twice */
	int hedge_won;		/* and this is the second's answer */
	/* Values of header fields, "" for none, cut where too long. */
	char content_range[S3_HTTP_FIELD];
	char content_type[S3_HTTP_FIELD];
	char etag[S3_HTTP_FIELD];
	char region[S3_HTTP_FIELD];	/* x-amz-bucket-region */
	char checksum[S3_HTTP_FIELD];	/* x-amz-checksum-sha256 */
	char version[S3_HTTP_FIELD];	/* x-amz-version-id */
	char nonce[S3_HTTP_FIELD];	/* x-amz-meta-firn-put */
	char class_name[S3_HTTP_FIELD];	/* x-amz-storage-class */
	char restore[S3_HTTP_FIELD];	/* x-amz-restore */
	char archive[S3_HTTP_FIELD];	/* x-amz-archive-status */
	char sse[S3_HTTP_FIELD];	/* x-amz-server-side-encryption */
	char sse_key[S3_HTTP_FIELD];	/* its -aws-kms-key-id */
	/* x-amz-transition-default-minimum-object-size */
	char minimum[S3_HTTP_FIELD];
	char request_id[S3_HTTP_FIELD];	/* x-amz-request-id */
	char detail[S3_HTTP_FIELD];	/* cause, when not DONE */
};

/* Loads libcurl; call before there are threads where that is older than 7.84.
 * 0, or an error that was logged: -ELIBACC, -ENOMEM. */
int s3_http_new(const struct s3_http_conf *conf, struct s3_http **out);
/* Nobody may be in a call. */
void s3_http_free(struct s3_http *h);

/* Blocks. */
enum s3_http_result s3_http_do(struct s3_http *h,
    const struct s3_http_request *rq, struct s3_http_reply *rp);

#endif
