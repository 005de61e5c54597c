/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_client.c		the client, and repeating a call until it is decided
 * s3_client_send.c	building, signing and sending one request
 */
#ifndef FIRN_STORE_S3_CLIENT_INTERNAL_H
#define FIRN_STORE_S3_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/s3_client.h"
#include "store/s3_cred.h"
#include "store/s3_url.h"
#include "store/store_internal.h"

struct s3_client {
	struct store *base;
	struct s3_http *http;
	struct s3_cred *cred;
	unsigned timeout;	/* seconds */
	pthread_mutex_t lock;
	struct s3_url url;	/* protected by lock; but prefix is fixed */
	int moved;		/* times a region was learnt; by lock */
	atomic_long skew;	/* server's clock less ours, seconds */
	atomic_int reached;	/* a server has answered */
	atomic_int warned;	/* of the present outage */
};

static inline time_t
s3_client_now(struct s3_client *c)
{
	return time(NULL) + (time_t)atomic_load(&c->skew);
}

/*
 * Send the call once.  0 and *result, or -errno when it could not be made:
 * -ENOMEM.  *keys are those it was signed with; the caller wipes them.
 */
int s3_client_send(struct s3_client *c, const struct s3_call *call,
    struct s3_keys *keys, struct s3_http_reply *rp,
    enum s3_http_result *result);

#endif
