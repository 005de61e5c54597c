/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window.  A waiter has a condition of its own, so that the first in the
 * queue is woken and no other; whoever makes room hands it over with `busy`
 * already counted.
 */
#include <time.h>

#include "base/err.h"
#include "store/s3_window.h"

#define LOOK_MS	100	/* between looks at `canceled` */

struct s3_window_waiter {
	pthread_cond_t granted;
	int ok;			/* protected by the window's lock */
	uint64_t ticket;
	struct s3_window_waiter *next;
};

void
s3_window_init(struct s3_window *w, unsigned most)
{
	*w = (struct s3_window){ .most = most, .limit = most };
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
}

void
s3_window_release(struct s3_window *w)
{
	pthread_mutex_destroy(&w->lock);
}

static void
grant(struct s3_window *w)
{
	struct s3_window_waiter *x;

	while ((x = w->first) != NULL && w->busy < w->limit) {
		w->first = x->next;
		if (w->first == NULL)
			w->last = &w->first;
		w->busy++;
		x->ticket = ++w->started;
		x->ok = 1;
		pthread_cond_signal(&x->granted);
	}
}

static void
give_up_place(struct s3_window *w, const struct s3_window_waiter *x)
{
	struct s3_window_waiter **p = &w->first;

	while (*p != x)
		p = &(*p)->next;
	*p = x->next;
	if (x->next == NULL)
		w->last = p;
}

/* Under the lock.  A signal handler may cancel, so nobody can wake us for it:
 * we look from time to time. */
static int
wait_turn(struct s3_window *w, const atomic_int *canceled, uint64_t *ticket)
{
	struct s3_window_waiter x = { .next = NULL };
	pthread_condattr_t monotonic;
	struct timespec until;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&x.granted, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*w->last = &x;
	w->last = &x.next;
	while (!x.ok && !atomic_load(canceled)) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_MS * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&x.granted, &w->lock, &until);
	}
	if (!x.ok)
		give_up_place(w, &x);
	pthread_cond_destroy(&x.granted);
	*ticket = x.ticket;
	return x.ok ? 0 : -ECANCELED;
}

int
s3_window_enter(struct s3_window *w, const atomic_int *canceled,
    uint64_t *ticket)
{
	int err = 0;

	if (atomic_load(canceled))
		return -ECANCELED;
	pthread_mutex_lock(&w->lock);
	if (w->first == NULL && w->busy < w->limit) {
		w->busy++;
		*ticket = ++w->started;
	} else {
		err = wait_turn(w, canceled, ticket);
	}
	pthread_mutex_unlock(&w->lock);
	return err;
}

unsigned
s3_window_leave(struct s3_window *w, uint64_t ticket,
    enum s3_window_outcome outcome)
{
	unsigned lowered = 0;

	pthread_mutex_lock(&w->lock);
	w->busy--;
	if (outcome == S3_WINDOW_THROTTLED && ticket > w->old) {
		w->old = w->started;
		w->good = 0;
		if (w->limit > 1)
			lowered = w->limit /= 2;
	} else if (outcome == S3_WINDOW_GOOD && w->limit < w->most &&
	    ++w->good >= w->limit) {
		w->good = 0;
		w->limit++;
	}
	grant(w);
	pthread_mutex_unlock(&w->lock);
	return lowered;
}

unsigned
s3_window_limit(struct s3_window *w)
{
	unsigned limit;

	pthread_mutex_lock(&w->lock);
	limit = w->limit;
	pthread_mutex_unlock(&w->lock);
	return limit;
}

int
s3_window_is_open(struct s3_window *w)
{
	return s3_window_limit(w) == w->most;
}
