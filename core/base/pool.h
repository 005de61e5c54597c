/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed set of threads that run jobs from one bounded queue, first in first
 * out.  A job must not wait for another job of the same pool.  The threads take
 * no signals.
 */
#ifndef FIRN_BASE_POOL_H
#define FIRN_BASE_POOL_H

#include <stddef.h>

struct pool;

/* `name` shows in ps and debuggers (cut to 15 bytes).  -EINVAL for no threads
 * or no backlog. */
int pool_new(const char *name, unsigned threads, size_t backlog,
    struct pool **out);
/* Runs what was submitted, then ends the threads.  NULL is fine. */
void pool_free(struct pool *p);
/* Blocks while the backlog is full. */
int pool_submit(struct pool *p, void (*fn)(void *ctx), void *ctx);
/* Processors this process may use, at least 1. */
unsigned pool_cpus(void);

#endif
