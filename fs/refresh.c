/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that looks for new generations. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "fs/firnfs.h"
#include "fs/refresh.h"
#include "fs/status.h"
#include "repo/generation.h"

struct refresh {
	struct firnfs *fs;
	uint32_t interval;
	struct generation_list list;	/* the thread's, once there is one */
	pthread_t thread;
	int has_thread;
	int behind;			/* list is newer than the mount */
	atomic_int wanted;
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* waits by CLOCK_MONOTONIC */
	int ending;			/* protected by lock */
};

static void
tell_status(struct refresh *r, int err)
{
	const struct generation *newest;
	struct status_refresh s;

	status_get_refresh(r->fs, &s);
	s.err = err;
	if (err == 0) {
		clock_gettime(CLOCK_REALTIME, &s.last);
		s.generations = r->list.n;
		s.damaged = r->list.damaged;
		memset(&s.newest, 0, sizeof(s.newest));
		s.bytes = s.files = 0;
		if (r->list.n > 0) {
			newest = &r->list.v[r->list.n - 1];
			s.newest = newest->rec.end;
			s.bytes = newest->rec.totals.bytes;
			s.files = newest->rec.totals.files +
			    newest->rec.totals.dirs;
		}
	}
	status_set_refresh(r->fs, &s);
}

/* A `latest` that leads nowhere says so in .firn/errors. */
static void
tell_unread(const struct refresh *r)
{
	const struct generation_list *l = &r->list;
	const struct generation_unread *u;

	if (l->n == 0 || l->nunread == 0)
		return;
	u = &l->unread[l->nunread - 1];
	log_warn(u->err, "generation record '%s' cannot be read; where it may "
	    "be the newest, `latest` leads nowhere", u->name);
}

/*
 * Records, then the index that their trees need, then the mount.  The reader
 * looks for new data segments itself when it misses a block, but not twice
 * within a few seconds; so where it has done that before, do it here.
 */
static int
refresh_now(struct refresh *r)
{
	struct firnfs *fs = r->fs;
	int ret, err = 0;

	ret = generation_refresh(fs->repo, &r->list);
	if (ret == 1)
		r->behind = 1;
	if (ret >= 0 && r->behind) {
		err = repo_sync(fs->repo, PACK_META, NULL);
		if (err == 0 && atomic_load(&fs->data_used))
			err = repo_sync(fs->repo, PACK_DATA, NULL);
		if (err == 0)
			err = vtree_update(fs->vtree, &r->list);
		if (err == 0)
			tell_unread(r);
		r->behind = err != 0;
	} else if (ret < 0) {
		/* Some of it may be in the list by now. */
		r->behind = 1;
		err = ret;
	}
	tell_status(r, err);
	return err;
}

/* 1 when a second has passed or more, 0 when it is time to end. */
static int
pause_for(struct refresh *r, uint32_t seconds)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&r->lock);
	while (!r->ending && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&r->changed, &r->lock, &until);
	ret = !r->ending;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int
wait_wanted(struct refresh *r)
{
	int go;

	pthread_mutex_lock(&r->lock);
	while (!r->ending && !atomic_load(&r->wanted))
		pthread_cond_wait(&r->changed, &r->lock);
	go = !r->ending;
	pthread_mutex_unlock(&r->lock);
	return go;
}

static void *
refresh_run(void *ctx)
{
	struct refresh *r = ctx;
	int failed = 0, err;

	while (pause_for(r, r->interval) && wait_wanted(r)) {
		atomic_store(&r->wanted, 0);
		err = refresh_now(r);
		if (err != 0 && !failed && err != -ECANCELED)
			log_warn(err, "cannot look for new generations; the "
			    "mount shows those it knows");
		if (err != 0)
			atomic_store(&r->wanted, 1);
		failed = err != 0;
	}
	return NULL;
}

static int
start(struct refresh *r)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	err = generation_refresh(r->fs->repo, &r->list);
	if (err < 0)
		return err;
	err = repo_sync(r->fs->repo, PACK_META, NULL);
	if (err == 0)
		err = vtree_update(r->fs->vtree, &r->list);
	if (err != 0)
		return err;
	tell_unread(r);
	tell_status(r, 0);
	if (r->interval == 0)
		return 0;
	err = -pthread_create(&r->thread, NULL, refresh_run, r);
	r->has_thread = err == 0;
	return err;
}

int
refresh_new(struct firnfs *fs, uint32_t interval, struct refresh **out)
{
	struct refresh *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return -ENOMEM;
	r->fs = fs;
	r->interval = interval;
	err = start(r);
	if (err != 0) {
		refresh_free(r);
		return err;
	}
	*out = r;
	return 0;
}

void
refresh_free(struct refresh *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->ending = 1;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	if (r->has_thread)
		pthread_join(r->thread, NULL);
	generation_list_release(&r->list);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r);
}

void
refresh_wanted(struct refresh *r)
{
	if (r == NULL || r->interval == 0 || atomic_load(&r->wanted))
		return;
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->wanted, 1);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
