/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupted requests.  Lock order: libfuse's lock of a request, then ours. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "fs/lowlevel.h"
#include "fs/watch.h"

#define LOOK_MS		200
#define BATCH		64	/* answered in one look */

struct watch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct request *list;	/* protected by lock, as below */
	int ending;
};

/* Of a line of /proc/TID/status as "SigPnd:\t0000000000000100". */
static uint64_t
signals_of(const char *status, const char *field)
{
	const char *p = strstr(status, field);

	return p != NULL ? strtoull(p + strlen(field), NULL, 16) : 0;
}

/*
 * Is a signal pending that will end the thread: one that it neither blocks nor
 * handles, and whose default is not to be ignored or to stop.  (Where the
 * kernel can, it makes SIGKILL of such a signal at once; not where another was
 * pending before.)
 */
static int
has_fatal(const char *status)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH,
	    SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	uint64_t pending, kept;
	size_t i;

	pending = signals_of(status, "\nSigPnd:") |
	    signals_of(status, "\nShdPnd:");
	kept = signals_of(status, "\nSigBlk:") |
	    signals_of(status, "\nSigIgn:") |
	    signals_of(status, "\nSigCgt:");
	for (i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		kept |= 1ull << (harmless[i] - 1);
	return (pending & ~kept) != 0 ||
	    strstr(status, "\nState:\tZ") != NULL ||
	    strstr(status, "\nState:\tX") != NULL;
}

/* 1 when the thread is about to die, 0 when not, -1 when it is gone or cannot
 * be seen. */
static int
death_of(pid_t tid)
{
	char path[32], text[4096];
	size_t got;
	int fd, err;

	if (tid == 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	err = file_read_full(fd, text, sizeof(text) - 1, &got);
	close(fd);
	if (err != 0)
		return -1;
	text[got] = '\0';
	return has_fatal(text);
}

static int
is_dying(pid_t tid)
{
	return death_of(tid) != 0;
}

int
request_is_dead(const struct request *r)
{
	int dead = death_of(r->tid);

	/* /proc may hide it. */
	return dead > 0 || (dead < 0 && r->tid != 0 && kill(r->tid, 0) != 0 &&
	    errno == ESRCH);
}

/*
 * Take those off the list that need an answer; their requests into req.  With
 * the lock held: a thread whose request is listed comes for the lock before it
 * forgets it, unless it finds it answered, and that is the last we do with it.
 */
static size_t
collect(struct watch *w, fuse_req_t req[BATCH])
{
	struct request *r, **at = &w->list;
	fuse_req_t one;
	size_t n = 0;

	while ((r = *at) != NULL && n < BATCH) {
		if (!atomic_load(&r->begun) || !is_dying(r->tid)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		one = r->req;
		if (atomic_exchange(&r->done, 1) == 0)
			req[n++] = one;
	}
	return n;
}

static void *
watch_run(void *ctx)
{
	struct watch *w = ctx;
	fuse_req_t req[BATCH];
	struct timespec until;
	size_t i, n;

	pthread_mutex_lock(&w->lock);
	while (!w->ending) {
		if (w->list == NULL) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		n = collect(w, req);
		pthread_mutex_unlock(&w->lock);
		for (i = 0; i < n; i++)
			fuse_reply_err(req[i], EINTR);
		pthread_mutex_lock(&w->lock);
		if (w->ending)
			break;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&w->changed, &w->lock, &until);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int
watch_new(struct watch **out)
{
	struct watch *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	err = pthread_create(&w->thread, NULL, watch_run, w);
	if (err != 0) {
		pthread_mutex_destroy(&w->lock);
		pthread_cond_destroy(&w->changed);
		free(w);
		return -err;
	}
	*out = w;
	return 0;
}

void
watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = 1;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w);
}

/*
 * libfuse calls it with its lock of the request held, so it does not answer
 * here: from the thread that read FUSE_INTERRUPT, or out of request_begin(),
 * when that was read before.  At most once a request.
 */
static void
on_interrupt(fuse_req_t req, void *ctx)
{
	struct request *r = ctx;
	struct watch *w = r->watch;

	(void)req;
	pthread_mutex_lock(&w->lock);
	r->listed = 1;
	r->next = w->list;
	w->list = r;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void
request_begin(struct request *r, struct watch *w, fuse_req_t req)
{
	r->req = req;
	r->watch = w;
	atomic_init(&r->begun, 0);
	atomic_init(&r->done, 0);
	r->tid = fuse_req_ctx(req)->pid;
	r->next = NULL;
	r->listed = 0;
	fuse_req_interrupt_func(req, on_interrupt, r);
	/* Answered before, the request would be freed under libfuse's feet. */
	atomic_store(&r->begun, 1);
}

static void
unlist(struct request *r)
{
	struct request **at;

	pthread_mutex_lock(&r->watch->lock);
	for (at = &r->watch->list; *at != NULL; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			break;
		}
	pthread_mutex_unlock(&r->watch->lock);
}

int
request_end(struct request *r)
{
	if (atomic_exchange(&r->done, 1) != 0)
		return 0;
	/* Waits for an on_interrupt() under way; none comes after. */
	fuse_req_interrupt_func(r->req, NULL, NULL);
	if (r->listed)
		unlist(r);
	return 1;
}
