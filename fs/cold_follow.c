/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that thaws for a mount.  A round: plan what became wanted, ask for
 * it, look how far all is, wake who can read.
 */
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/cold_internal.h"
#include "repo/thaw_send.h"

#define DEAD_SECONDS	10	/* between looks for waiters that died */
#define EXPEDITED_POLL	10	/* seconds; what takes minutes */

/* --- what is known ----------------------------------------------------- */

int
cold_show(struct cold *c)
{
	struct thaw_count n[3] = { { 0, 0 }, { 0, 0 }, { 0, 0 } }, *one;
	const struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if (!(p->flags & PACK_NEEDED))
			continue;
		one = pack_is_readable(p) ? &n[2] :
		    p->state == STORE_THAWING ? &n[1] : &n[0];
		one->packs++;
		one->bytes += p->size;
	}
	pthread_mutex_lock(&c->lock);
	c->shown.waiting = n[0];
	c->shown.thawing = n[1];
	c->shown.readable = n[2];
	c->shown.spent = thaw_job_spent(&c->job);
	pthread_mutex_unlock(&c->lock);
	return n[0].packs + n[1].packs > 0;
}

unsigned
cold_interval(const struct cold *c)
{
	unsigned first = c->fs->opt->thaw_poll;

	if (c->job.wish.tier == STORE_THAW_EXPEDITED && first > EXPEDITED_POLL)
		first = EXPEDITED_POLL;
	return thaw_interval(first, c->looked - c->begun);
}

void
cold_note_look(struct cold *c)
{
	c->looked = cold_clock();
	if (c->begun == 0)
		c->begun = c->looked;
	pthread_mutex_lock(&c->lock);
	c->shown.looked = time(NULL);
	pthread_mutex_unlock(&c->lock);
}

/* --- rounds ------------------------------------------------------------- */

/* cold=fail: what is in progress is followed, and nothing more is asked for. */
static int
follow(struct cold *c)
{
	int err;

	cold_give_up(c);
	err = cold_look(c);
	if (err == 0) {
		cold_give_up_gone(c);
		cold_give_up(c);
	}
	return err;
}

static int
is_anybody_parked(struct cold *c)
{
	int yes;

	pthread_mutex_lock(&c->lock);
	yes = c->parked != NULL;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* One round. */
static void
work(struct cold *c)
{
	int err = 0, pending;

	if (c->halt)
		cold_plan_nothing(c);
	else
		err = cold_job_adopt(c);
	if (err == 0 && !c->halt)
		err = cold_plan(c);
	if (err == 0 && c->job.packs.n > 0)
		err = c->halt ? follow(c) : cold_ask(c);
	cold_note_look(c);
	if (err != 0 && err != -ECANCELED && err != -EBUSY)
		log_warn(err, "cannot ask for thaws now; trying again");
	c->failed = err != 0 && err != -EBUSY;
	pending = cold_show(c);
	cold_wake(c);
	if (!pending && c->job.packs.n > 0 && !is_anybody_parked(c))
		cold_job_reset(c);
}

/* What an earlier mount left. */
static void
start(struct cold *c)
{
	int err = cold_job_adopt(c);

	if (err != 0 && err != -ECANCELED)
		log_warn(err, "cannot look how far thaws are that an earlier "
		    "mount asked for; trying again");
	c->failed = err != 0;
	if (c->job.packs.n > 0)
		work(c);
}

/* Until something is to be done: 1 for a round, 0 to look at who waits.  When
 * the mode has changed it is both. */
static int
sleep_until(struct cold *c)
{
	struct timespec until = { 0, 0 };
	time_t round, now = cold_clock();
	int rc = 0, due = 0;

	pthread_mutex_lock(&c->lock);
	round = c->looked + (time_t)cold_interval(c);
	until.tv_sec = round;
	if (c->parked != NULL && until.tv_sec > now + DEAD_SECONDS)
		until.tv_sec = now + DEAD_SECONDS;
	/* After a failure what is wanted waits for the interval, too. */
	while (!c->ending && !c->stirred && rc == 0 &&
	    (c->wants.n == 0 || c->failed)) {
		if (c->job.packs.n == 0 && c->parked == NULL && !c->failed)
			pthread_cond_wait(&c->changed, &c->lock);
		else
			rc = pthread_cond_timedwait(&c->changed, &c->lock,
			    &until);
	}
	due = (rc == ETIMEDOUT && until.tv_sec >= round) || c->stirred ||
	    (c->wants.n > 0 && !c->failed);
	c->stirred = 0;
	pthread_mutex_unlock(&c->lock);
	return due;
}

void *
cold_run(void *ctx)
{
	struct cold *c = ctx;
	int due;

	if (!c->halt)
		start(c);
	while (!c->ending) {
		due = sleep_until(c);
		if (c->ending)
			break;
		cold_wake(c);	/* before a round, which may take long */
		if (due)
			work(c);
	}
	/* Nobody waits any more, and what is in progress goes on without. */
	cold_job_end(c);
	return NULL;
}
