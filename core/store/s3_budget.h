/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all threads together may spend on repeating requests, so that a server
 * in trouble is not hammered by every one of them: the retry quota of the
 * AWS SDKs ("standard" mode), a bucket of 500 tokens, of which a repetition
 * takes 5, or 10 when the one before had timed out; a success brings 1 back,
 * and one that had been repeated what its last repetition took.
 *
 * Where an SDK fails once the bucket is empty, we go on more slowly, since a
 * backup of hours has to outlive an outage of minutes: 5 tokens also come back
 * each second, and who finds none waits for his.  So about one request a
 * second goes to a server that is down, but nobody waits longer than 20 s at a
 * time, to be there soon when it is back.  Thread-safe, pure but for its state.
 */
#ifndef FIRN_STORE_S3_BUDGET_H
#define FIRN_STORE_S3_BUDGET_H

#include <pthread.h>
#include <stdint.h>

#define S3_BUDGET_MOST		500
#define S3_BUDGET_RETRY		5
#define S3_BUDGET_TIMEOUT	10
#define S3_BUDGET_WAIT_MAX	20000	/* ms */

struct s3_budget {
	pthread_mutex_t lock;
	int64_t millitokens;	/* protected by lock; below 0: promised */
	int64_t filled;		/* ms; by lock */
};

void s3_budget_init(struct s3_budget *b, int64_t now_ms);
void s3_budget_release(struct s3_budget *b);
/* Takes `cost` tokens.  Milliseconds until they are there. */
int64_t s3_budget_take(struct s3_budget *b, unsigned cost, int64_t now_ms);
/* A request succeeded whose last repetition took `cost`; 0 for none. */
void s3_budget_success(struct s3_budget *b, unsigned cost);

#endif
