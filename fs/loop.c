/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads.  A worker that takes the last turn at the device starts
 * another before it serves its request.  Workers are cancelled only while they
 * wait for a request.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/loop.h"
#include "fs/lowlevel.h"

#define REQUEST_ROOM	((size_t)4 << 20)	/* more than any libfuse asks for */

struct worker {
	struct worker *next, **prev;	/* protected by loop->lock */
	struct loop *loop;
	pthread_t thread;
	struct fuse_buf request;
	char *buffer;			/* loop_buffer() */
	size_t buffer_size;
};

struct loop {
	struct fuse_session *se;
	struct loop_conf conf;
	int end_fd;
	pthread_mutex_t lock;
	pthread_cond_t gone;		/* a worker left by itself */
	struct worker *workers;		/* protected by lock, as below */
	unsigned threads;
	unsigned idle;
	int stopping;
	int err;
};

static _Thread_local struct worker *self;

static void *worker_run(void *ctx);

static void
worker_free(struct worker *w)
{
	if (w->request.mem != NULL)
		munmap(w->request.mem, REQUEST_ROOM);
	free(w->buffer);
	free(w);
}

/*
 * libfuse takes room for the largest write for each worker.  There are none here,
 * so but for its first pages that is never touched: a mapping of its own then
 * costs nothing, and a piece of malloc's memory what was in it before.
 */
static struct worker *
worker_new(struct loop *l)
{
	struct worker *w = calloc(1, sizeof(*w));
	void *room;

	if (w == NULL)
		return NULL;
	room = mmap(NULL, REQUEST_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED) {
		free(w);
		return NULL;
	}
	/* A large page would be all of it at the first touch. */
	(void)madvise(room, REQUEST_ROOM, MADV_NOHUGEPAGE);
	w->loop = l;
	w->request.mem = room;
	return w;
}

/* With the lock held. */
static int
worker_start(struct loop *l)
{
	struct worker *w = worker_new(l);
	int err;

	if (w == NULL)
		return -ENOMEM;
	err = pthread_create(&w->thread, NULL, worker_run, w);
	if (err != 0) {
		worker_free(w);
		return -err;
	}
	w->next = l->workers;
	w->prev = &l->workers;
	if (w->next != NULL)
		w->next->prev = &w->next;
	l->workers = w;
	l->threads++;
	l->idle++;
	return 0;
}

/* A request was taken: one idle thread less. */
static void
worker_busy(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->idle--;
	if (l->idle == 0 && !l->stopping && l->threads < l->conf.max_threads)
		worker_start(l);	/* if not, then next time */
	pthread_mutex_unlock(&l->lock);
}

/* 1 when there are enough without this one, which is then off the list. */
static int
worker_idle(struct loop *l, struct worker *w)
{
	int leave;

	pthread_mutex_lock(&l->lock);
	leave = !l->stopping && l->idle >= l->conf.idle_threads;
	if (leave) {
		*w->prev = w->next;
		if (w->next != NULL)
			w->next->prev = w->prev;
		pthread_detach(w->thread);
	} else {
		l->idle++;
	}
	pthread_mutex_unlock(&l->lock);
	return leave;
}

/* The last that a thread which leaves by itself does with the loop. */
static void
worker_gone(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->threads--;
	pthread_cond_signal(&l->gone);
	pthread_mutex_unlock(&l->lock);
}

static int
worker_receive(struct worker *w)
{
	int ret;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	ret = fuse_session_receive_buf(w->loop->se, &w->request);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return ret;
}

static void
loop_ended(struct loop *l, int err)
{
	pthread_mutex_lock(&l->lock);
	if (err < 0 && l->err == 0)
		l->err = err;
	pthread_mutex_unlock(&l->lock);
	eventfd_write(l->end_fd, 1);
}

static void *
worker_run(void *ctx)
{
	struct worker *w = ctx;
	struct loop *l = w->loop;
	int ret;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	self = w;
	while (!fuse_session_exited(l->se)) {
		ret = worker_receive(w);
		if (ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret <= 0) {
			loop_ended(l, ret);
			return NULL;
		}
		worker_busy(l);
		fuse_session_process_buf(l->se, &w->request);
		if (worker_idle(l, w)) {
			worker_free(w);
			worker_gone(l);
			return NULL;
		}
	}
	loop_ended(l, 0);
	return NULL;
}

int
loop_start(struct fuse_session *se, const struct loop_conf *conf,
    struct loop **out, int *end_fd)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return -ENOMEM;
	l->se = se;
	l->conf = *conf;
	l->end_fd = eventfd(0, EFD_CLOEXEC);
	if (l->end_fd < 0) {
		err = -errno;
		free(l);
		return err;
	}
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->gone, NULL);
	pthread_mutex_lock(&l->lock);
	err = worker_start(l);
	pthread_mutex_unlock(&l->lock);
	if (err != 0) {
		loop_stop(l);
		return err;
	}
	*end_fd = l->end_fd;
	*out = l;
	return 0;
}

int
loop_stop(struct loop *l)
{
	struct worker *w, *next;
	unsigned listed = 0;
	int err;

	pthread_mutex_lock(&l->lock);
	l->stopping = 1;	/* the list does not change any more */
	for (w = l->workers; w != NULL; w = w->next, listed++)
		pthread_cancel(w->thread);
	while (l->threads > listed)
		pthread_cond_wait(&l->gone, &l->lock);
	w = l->workers;
	pthread_mutex_unlock(&l->lock);
	for (; w != NULL; w = next) {
		next = w->next;
		pthread_join(w->thread, NULL);
		worker_free(w);
	}
	err = l->err;
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->gone);
	close(l->end_fd);
	free(l);
	return err;
}

char *
loop_buffer(size_t size)
{
	char *p;

	if (self == NULL)
		return NULL;
	if (self->buffer_size < size) {
		p = malloc(size);
		if (p == NULL)
			return NULL;
		free(self->buffer);
		self->buffer = p;
		self->buffer_size = size;
	}
	return self->buffer;
}
