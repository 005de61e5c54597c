/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of pointers under one lock.  The oldest item is at `head`; `count`
 * items are in, of at most `cap`.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/queue.h"

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;	/* an item came, or closed */
	pthread_cond_t drained;	/* an item went, or closed */
	size_t cap;
	size_t head;		/* protected by lock */
	size_t count;		/* protected by lock */
	int closed;		/* protected by lock */
	void **ring;		/* protected by lock */
};

int
queue_new(size_t capacity, struct queue **out)
{
	struct queue *q;

	*out = NULL;
	if (capacity == 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->ring = calloc(capacity, sizeof(*q->ring));
	if (!q->ring) {
		free(q);
		return -ENOMEM;
	}
	q->cap = capacity;
	/* With default attributes these cannot fail on Linux. */
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->filled, NULL);
	pthread_cond_init(&q->drained, NULL);
	*out = q;
	return 0;
}

void
queue_free(struct queue *q)
{
	if (!q)
		return;
	pthread_cond_destroy(&q->drained);
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->lock);
	free(q->ring);
	free(q);
}

int
queue_put(struct queue *q, void *item)
{
	int err = 0;

	pthread_mutex_lock(&q->lock);
	while (q->count == q->cap && !q->closed)
		pthread_cond_wait(&q->drained, &q->lock);
	if (q->closed) {
		err = -EPIPE;
	} else {
		size_t room = q->cap - q->head;	/* up to the ring's end */

		q->ring[q->count < room ? q->head + q->count :
		    q->count - room] = item;
		q->count++;
		pthread_cond_signal(&q->filled);
	}
	pthread_mutex_unlock(&q->lock);
	return err;
}

static int
take(struct queue *q, void **item, int wait)
{
	int err = 0;

	*item = NULL;
	pthread_mutex_lock(&q->lock);
	while (wait && q->count == 0 && !q->closed)
		pthread_cond_wait(&q->filled, &q->lock);
	if (q->count > 0) {
		*item = q->ring[q->head];
		q->head = q->head + 1 == q->cap ? 0 : q->head + 1;
		q->count--;
		pthread_cond_signal(&q->drained);
	} else {
		err = q->closed ? -EPIPE : -EAGAIN;
	}
	pthread_mutex_unlock(&q->lock);
	return err;
}

int
queue_take(struct queue *q, void **item)
{
	return take(q, item, 1);
}

int
queue_try_take(struct queue *q, void **item)
{
	return take(q, item, 0);
}

void
queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = 1;
	pthread_cond_broadcast(&q->filled);
	pthread_cond_broadcast(&q->drained);
	pthread_mutex_unlock(&q->lock);
}
