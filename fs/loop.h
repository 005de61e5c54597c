/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that take requests from the kernel and answer them.
 *
 * A request is answered by the thread that took it, since a wake-up costs more
 * than an answer from memory; there are as few threads as there can be while
 * one is always free to take the next, so some may wait for the store while
 * others answer.  libfuse's own loop would do, but it stops at ten threads
 * where the API that all our systems have is used, and when the file system is
 * unmounted it waits for requests that wait for the store, without a word to
 * who could cancel them.
 */
#ifndef FIRN_FS_LOOP_H
#define FIRN_FS_LOOP_H

#include <stddef.h>

struct fuse_session;
struct loop;

struct loop_conf {
	unsigned max_threads;
	unsigned idle_threads;	/* more than so many idle ones end */
};

/* Starts the first thread.  end_fd is an eventfd of the loop's that becomes
 * readable when the kernel has ended the session. */
int loop_start(struct fuse_session *se, const struct loop_conf *conf,
    struct loop **out, int *end_fd);
/* Take no more requests, wait for those under way, end all threads.  -errno
 * when the session was ended by an error. */
int loop_stop(struct loop *l);

/* `size` bytes that belong to the calling thread of a loop until its next
 * call; NULL without memory. */
char *loop_buffer(size_t size);

#endif
