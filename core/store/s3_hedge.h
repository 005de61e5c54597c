/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a read that has no answer yet is worth asking for once more, on another
 * connection, and how often that is allowed.  The race itself is run by
 * s3_http.h.
 *
 * AWS advises to repeat requests below 512 KB after 2 s on a new connection
 * ("Performance guidelines for Amazon S3", timeouts and retries).  That is
 * what is done until 16 reads of about this size were seen, with a second more
 * for each MiB.  From then on it is twice the time within which 19 of 20 of
 * the last 64 were answered, and at least a second: what is slow for this
 * server and this line, whatever they are.
 *
 * An overloaded server is slow with everything; so that hedging does not
 * double its load, it may be at most one in 20 reads, with 4 saved up.
 * Thread-safe, pure but for its state.
 */
#ifndef FIRN_STORE_S3_HEDGE_H
#define FIRN_STORE_S3_HEDGE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define S3_HEDGE_KEEP		64
#define S3_HEDGE_CLASSES	10	/* 64 KiB and less, then doubling */

struct s3_hedge_class {
	uint64_t seen;
	uint32_t ms[S3_HEDGE_KEEP];	/* a ring */
};

struct s3_hedge {
	pthread_mutex_t lock;
	/* Protected by lock. */
	struct s3_hedge_class of[S3_HEDGE_CLASSES];
	unsigned credit;	/* hundredths of a hedge */
};

void s3_hedge_init(struct s3_hedge *h);
void s3_hedge_release(struct s3_hedge *h);
/* Milliseconds after which a read of `len` bytes is slow. */
unsigned s3_hedge_delay(struct s3_hedge *h, size_t len);
/* Whether it may be asked for again; counts as done when so. */
int s3_hedge_take(struct s3_hedge *h);
/* A read of `len` bytes took so long. */
void s3_hedge_learn(struct s3_hedge *h, size_t len, uint64_t ms);

#endif
