/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads around one queue of jobs.  A job is a small heap record, owned by
 * the queue from submit until a thread has taken it.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/queue.h"

struct job {
	void (*fn)(void *ctx);
	void *ctx;
};

struct pool {
	struct queue *jobs;
	unsigned count;		/* threads that run */
	char name[16];
	pthread_t thread[];
};

static void *
work(void *arg)
{
	struct pool *p = arg;
	void *item;

	pthread_setname_np(pthread_self(), p->name);
	while (queue_take(p->jobs, &item) == 0) {
		struct job job = *(struct job *)item;

		free(item);
		job.fn(job.ctx);
	}
	return NULL;
}

/* Signals are for the threads that wait for them, never for a worker. */
static int
start_threads(struct pool *p, unsigned threads)
{
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->count < threads && !err) {
		err = pthread_create(&p->thread[p->count], NULL, work, p);
		if (!err)
			p->count++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int
pool_new(const char *name, unsigned threads, size_t backlog,
    struct pool **out)
{
	struct pool *p;
	int err;

	*out = NULL;
	if (threads == 0)
		return -EINVAL;
	p = calloc(1, sizeof(*p) + threads * sizeof(p->thread[0]));
	if (!p)
		return -ENOMEM;
	snprintf(p->name, sizeof(p->name), "%s", name);
	err = queue_new(backlog, &p->jobs);
	if (!err)
		err = start_threads(p, threads);
	if (err) {
		pool_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void
pool_free(struct pool *p)
{
	if (!p)
		return;
	if (p->jobs)
		queue_close(p->jobs);
	for (unsigned i = 0; i < p->count; i++)
		pthread_join(p->thread[i], NULL);
	queue_free(p->jobs);
	free(p);
}

int
pool_submit(struct pool *p, void (*fn)(void *ctx), void *ctx)
{
	struct job *job = malloc(sizeof(*job));
	int err;

	if (!job)
		return -ENOMEM;
	*job = (struct job){ fn, ctx };
	err = queue_put(p->jobs, job);
	if (err)
		free(job);
	return err;
}

unsigned
pool_cpus(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else	/* more processors than the set has bits */
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : (unsigned)n;
}
