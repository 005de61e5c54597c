/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_http.c		the pool of lanes; one request
 * s3_http_exchange.c	one transfer of libcurl: its options and callbacks
 * s3_http_race.c	waiting for a transfer, or for the first of two
 */
#ifndef FIRN_STORE_S3_HTTP_INTERNAL_H
#define FIRN_STORE_S3_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <time.h>

#include "store/s3_http.h"

/* What a request runs in, in the thread that makes it: a multi handle, which
 * holds the connections, and one easy handle for each attempt. */
struct lane {
	CURLM *multi;
	CURL *first;
	CURL *second;		/* NULL until it is needed */
	struct lane *next;
};

struct s3_http {
	struct s3_http_conf conf;
	char *ca_file;
	pthread_mutex_t lock;
	struct lane *idle;	/* protected by lock, as the next */
	unsigned nidle;
};

/* One transfer. */
struct exchange {
	CURL *curl;		/* the lane's; NULL when not begun */
	const struct s3_http *http;
	const struct s3_http_request *rq;
	struct s3_http_reply *rp;
	void *out;		/* as in rq, but this attempt's own */
	struct buf *doc;
	struct curl_slist *headers;
	char text[CURL_ERROR_SIZE];
	size_t sent;		/* bytes of the body given to libcurl */
	int too_much;
	int done;		/* with `result` */
	enum s3_http_result result;
	/* The last time that enough had moved, and how much in all by then;
	 * at_ms is 0 until the request goes out. */
	int64_t at_ms;
	uint64_t at_bytes;
};

/* Sets the handle up.  S3_HTTP_DONE, or why it cannot be. */
enum s3_http_result exchange_begin(struct exchange *x, int fresh);
/* libcurl is done with it, with `code`. */
void exchange_finish(struct exchange *x, CURLcode code);
/* Too little has moved for too long.  `multi` is what it runs in; with a body,
 * alone. */
int exchange_stalled(struct exchange *x, CURLM *multi, int64_t now_ms);
/* Ends it, finished or not; the handle must be in no multi handle. */
void exchange_end(struct exchange *x);

/* Runs `x` to its end in the lane; with hedging as rq says.  The answer is in
 * x->rp, x->out and x->doc. */
enum s3_http_result s3_http_race(struct lane *lane, struct exchange *x);

static inline int64_t
s3_http_now(void)		/* ms */
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int
s3_http_canceled(const struct s3_http *h)
{
	return atomic_load_explicit(h->conf.canceled, memory_order_relaxed);
}

#endif
