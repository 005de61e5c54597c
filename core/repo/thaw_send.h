/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the store for thaws.
 *
 * What was asked for is never asked for again while it is in progress: states
 * are looked up under the lock of this host (repo/thaw_job.h) right before, and
 * where another host was faster by a moment, the store refuses the second
 * request, which costs no more than that.
 *
 * It goes in batches, which are looked up, noted in the job with all they may
 * cost, and sent, each under the lock; between them others have their turn.
 */
#ifndef FIRN_REPO_THAW_SEND_H
#define FIRN_REPO_THAW_SEND_H

#include "repo/thaw_quote.h"

struct repo;
struct thaw_job;

#define THAW_BATCH	1000	/* packs, at most */

/* Requests a second.  S3 takes 1,000 of an account, in all its buckets. */
#define THAW_RATE	250

struct thaw_send_conf {
	struct thaw_wish wish;
	/* Ends when its file goes.  With a price its spent, in memory and in
	 * the file, is kept to what the store accepted.  Or NULL. */
	struct thaw_job *job;
	const struct price_table *price;	/* or NULL */
	/* With both of these: nano that thaw_job_spent() may come to.  What
	 * would go over that is not asked for.  UINT64_MAX: no limit. */
	uint64_t limit;
	unsigned rate;			/* 0: THAW_RATE */
	unsigned threads;		/* 0: 16 */
	const volatile int *stop;	/* or NULL */
	unsigned patience;		/* ms to wait for thaw_lock(), then
					   -EBUSY; 0: no bound */
	/* From any thread, one at a time; may be NULL. */
	void (*progress)(void *ctx, uint64_t done, uint64_t of);
	void *ctx;
};

struct thaw_sent {
	struct thaw_count asked;	/* accepted, what was hastened too */
	struct thaw_count renewed;
	uint64_t running;		/* another host had asked meanwhile */
	uint64_t failed;		/* by the store, logged; ask again */
	int no_capacity;		/* expedited ones are refused now: what
					   is left can be asked for at another
					   tier */
	int over;			/* not all within the limit: more is to
					   be asked for, or is dearer, than who
					   set it had seen */
	int cancelled;			/* the job is gone */
};

/*
 * For each pack of the set that is PACK_NEEDED and that thaw_need() finds
 * something to be asked for: ask.  Brings their states up to date, before and
 * by the answers.  0 also with some failed; -EACCES when the credentials may
 * not, which ends it at the first; -EOPNOTSUPP; -ECANCELED; or what the store
 * fails with several times in a row.  What is in *out was done in any case.
 */
int thaw_send(struct repo *r, struct packset *s,
    const struct thaw_send_conf *conf, struct thaw_sent *out);

/*
 * Seconds until the next look at thaws that have been followed for this long:
 * an eighth of that, but `first` at least and 15 minutes at most.
 */
unsigned thaw_interval(unsigned first, time_t followed);

#endif
