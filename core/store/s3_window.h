/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests may be in flight at once: additive increase,
 * multiplicative decrease, as TCP does it (RFC 5681), in requests.
 *
 * The limit begins at its most, since S3 starts slow only where it must.  A
 * throttled request halves it, but once a round trip: those that were already
 * on their way when it was halved say nothing new.  It grows by one with each
 * limit's worth of successes, up to the most, and never falls below one.
 * Whoever finds it full waits, first come first served.  Thread-safe.
 */
#ifndef FIRN_STORE_S3_WINDOW_H
#define FIRN_STORE_S3_WINDOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct s3_window_waiter;

struct s3_window {
	pthread_mutex_t lock;
	unsigned most;		/* fixed */
	unsigned limit;		/* protected by lock, as all below */
	unsigned busy;
	unsigned good;		/* successes since the limit last changed */
	uint64_t started;	/* tickets given out */
	uint64_t old;		/* tickets up to this are before the last cut */
	struct s3_window_waiter *first;
	struct s3_window_waiter **last;
};

enum s3_window_outcome {
	S3_WINDOW_GOOD,		/* it was served */
	S3_WINDOW_THROTTLED,
	S3_WINDOW_NEITHER	/* it says nothing about the load */
};

void s3_window_init(struct s3_window *w, unsigned most);
/* Nobody may be in it. */
void s3_window_release(struct s3_window *w);

/* Blocks while the window is full.  0 and a ticket, or -ECANCELED once
 * *canceled is not 0. */
int s3_window_enter(struct s3_window *w, const atomic_int *canceled,
    uint64_t *ticket);
/* The limit when this has lowered it, else 0. */
unsigned s3_window_leave(struct s3_window *w, uint64_t ticket,
    enum s3_window_outcome outcome);

unsigned s3_window_limit(struct s3_window *w);
/* Whether the server has been content for long enough. */
int s3_window_is_open(struct s3_window *w);

#endif
