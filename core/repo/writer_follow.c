/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other hosts store during a run becomes known here: a thread lists the
 * index segments from time to time and loads new ones.
 *
 * It looks only when blocks were added since it looked last, and spends no more
 * than a twentieth of its time on it, so a run without changes costs no request
 * more, and neither do the many segments of a large repository hold up anything.
 * That it fails is no failure of the run: more is stored then than had to be.
 */
#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/writer_internal.h"

#define FOLLOW_MS	10000
#define FOLLOW_SHARE	20	/* of the time, one part for looking */

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1 when so much time has passed, 0 when it is time to end. */
static int
pause_for(struct writer *w, int64_t ms)
{
	int64_t end = now_ms() + ms;
	struct timespec until = { .tv_sec = (time_t)(end / 1000),
	    .tv_nsec = (long)(end % 1000) * 1000000 };
	int ret = 0, go_on;

	pthread_mutex_lock(&w->lock);
	while (!w->ending && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&w->ended, &w->lock, &until);
	go_on = !w->ending;
	pthread_mutex_unlock(&w->lock);
	return go_on;
}

static uint64_t
blocks_added(struct writer *w)
{
	struct gen_added a;

	writer_added(w, &a);
	return a.data_blocks + a.meta_blocks;
}

static void *
follow_main(void *ctx)
{
	struct writer *w = ctx;
	int64_t least = w->conf.follow > 0 ? w->conf.follow : FOLLOW_MS;
	int64_t wait = least, begin;
	uint64_t seen = 0, added;
	int err = 0;

	while (err == 0 && pause_for(w, wait)) {
		added = blocks_added(w);
		if (added == seen)
			continue;
		seen = added;
		begin = now_ms();
		err = repo_follow(w->repo, PACK_DATA);
		if (err == 0)
			err = repo_follow(w->repo, PACK_META);
		wait = (now_ms() - begin) * FOLLOW_SHARE;
		if (wait < least)
			wait = least;
	}
	if (err != 0 && err != -ECANCELED)
		log_warn(err, "cannot see what other hosts store meanwhile; "
		    "some of it may be stored twice");
	return NULL;
}

int
writer_follow_start(struct writer *w)
{
	pthread_condattr_t attr;
	int err;

	if (w->conf.dry_run)
		return 0;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->ended, &attr);
	pthread_condattr_destroy(&attr);
	err = pthread_create(&w->follower, NULL, follow_main, w);
	if (err != 0)
		pthread_cond_destroy(&w->ended);
	w->has_follower = err == 0;
	return -err;
}

void
writer_follow_stop(struct writer *w)
{
	if (!w->has_follower)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = 1;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->follower, NULL);
	pthread_cond_destroy(&w->ended);
	w->has_follower = 0;
}
