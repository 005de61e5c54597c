/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that may block on the store, and who gets tired of waiting.
 *
 * The kernel says FUSE_INTERRUPT when a signal of any kind arrives at who
 * waits.  To answer EINTR to all of them would break programs that use timers,
 * children or profilers (and every Go program): nothing expects EINTR from
 * stat(2) or from read(2) on a file.  So, as NFS does, only a signal that kills
 * counts; /proc shows whether one is pending.  The kernel tells us of the first
 * signal only; one that did not kill leaves the request on a list which a
 * thread looks through until it is answered.
 *
 * The request is answered EINTR at once and the waiter is gone; the thread
 * that serves it goes on until the store answers, and what it got is cached.
 */
#ifndef FIRN_FS_WATCH_H
#define FIRN_FS_WATCH_H

#include <stdatomic.h>
#include <sys/types.h>

struct fuse_req;
struct watch;

/* On the stack of the thread that serves it. */
struct request {
	struct fuse_req *req;
	struct watch *watch;
	atomic_int begun;	/* may be answered */
	atomic_int done;	/* whoever sets it answers */
	pid_t tid;		/* who waits; 0 unknown */
	struct request *next;	/* protected by watch->lock */
	int listed;		/* ever; set in libfuse's callback */
};

/* Starts a thread. */
int watch_new(struct watch **out);
/* No request may be under way. */
void watch_free(struct watch *w);

void request_begin(struct request *r, struct watch *w, struct fuse_req *req);
/* 1: answer it now, exactly once.  0: it was answered, nobody heard what the
 * answer would have been, and req must not be touched. */
int request_end(struct request *r);
/* Was who waits killed?  The kernel does not say so of what it reads ahead.
 * 0 also when nothing is known. */
int request_is_dead(const struct request *r);

#endif
