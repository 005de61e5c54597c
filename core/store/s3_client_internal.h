/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_client.c		the client, and repeating a call until it is decided
 * s3_client_send.c	building, signing and sending one request
 * s3_client_wait.c	how long to wait before the next
 */
#ifndef FIRN_STORE_S3_CLIENT_INTERNAL_H
#define FIRN_STORE_S3_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/s3_budget.h"
#include "store/s3_client.h"
#include "store/s3_cred.h"
#include "store/s3_hedge.h"
#include "store/s3_url.h"
#include "store/s3_verdict.h"
#include "store/s3_window.h"
#include "store/store_internal.h"

#define S3_CHECKSUM_HEADERS	"x-amz-checksum-"	/* they begin so */

struct s3_client {
	struct store *base;
	struct s3_http *http;
	struct s3_cred *cred;
	unsigned timeout;	/* seconds */
	pthread_mutex_t lock;
	struct s3_url url;	/* protected by lock; but prefix and
				 * bucket are fixed */
	int moved;		/* times a region was learnt; by lock */
	atomic_long skew;	/* server's clock less ours, seconds */
	atomic_int reached;	/* an S3 server has answered */
	atomic_int warned;	/* of the present outage */
	atomic_int plain;	/* the server takes no x-amz-checksum-* */
	struct s3_window window;
	struct s3_budget budget;
	struct s3_hedge hedge;
	char *owner;		/* account the bucket must be of, or NULL */
	int requester_pays;
};

/* A call in its rounds. */
struct s3_round {
	struct s3_call *call;
	struct s3_http_reply *rp;
	struct s3_keys keys;		/* of the last request */
	enum s3_http_result result;
	struct s3_error error;
	struct s3_verdict verdict;
	const char *implausible;	/* what check() said */
	unsigned tries;
	unsigned sent;
	unsigned stale;			/* so often, without counting */
	unsigned cost;			/* of the last repetition */
	int moved, skewed, renewed, plain;	/* so often */
	int late;			/* so often, though the clock was right */
	long skew;			/* signed with our clock and this more */
	int64_t start;			/* ms */
};

int64_t s3_client_ms(void);	/* of a clock that is never set */

/* Waits before the next round.  0, or -errno when there is to be none: that of
 * the verdict when the time is up, or -ECANCELED. */
int s3_client_back_off(struct s3_client *c, struct s3_round *r);
/* Whose fault it was, in the server's or the library's own words. */
void s3_client_detail(const struct s3_round *r, char out[512]);
const char *s3_client_cause(const struct s3_round *r);

/*
 * Send the call once, as of our clock and `skew` seconds.  0 and *result, or
 * -errno when it could not be made:
 * -ENOMEM; -EACCES, -EAGAIN (it may pass) and -ECANCELED of the keys' source,
 * logged.  *keys are those it was signed with; the caller wipes them.
 */
int s3_client_send(struct s3_client *c, const struct s3_call *call,
    long skew, struct s3_keys *keys, struct s3_http_reply *rp,
    enum s3_http_result *result);

#endif
