/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue of pointers between threads.
 *
 * Any number of putters and takers.  close() lets takers drain what is there
 * and then get -EPIPE; putters get -EPIPE at once.  All calls are thread-safe;
 * put and take block.
 */
#ifndef FIRN_BASE_QUEUE_H
#define FIRN_BASE_QUEUE_H

#include <stddef.h>

struct queue;

/* -EINVAL for no capacity. */
int queue_new(size_t capacity, struct queue **out);
/* Nobody may be in a call; what is still queued is not freed. */
void queue_free(struct queue *q);
int queue_put(struct queue *q, void *item);
int queue_take(struct queue *q, void **item);
/* -EAGAIN instead of waiting. */
int queue_try_take(struct queue *q, void **item);
void queue_close(struct queue *q);

#endif
