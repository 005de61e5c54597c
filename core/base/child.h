/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command whose output is read, and which can be ended at any time.
 *
 * It runs in a process group of its own, so that all that it starts ends with
 * it.  Such a group may not use the terminal; when the command stops because it
 * wants to (a prompt for a password, say) it is lent ours, as a shell does it,
 * until it writes output: see child_look().  When it is stopped by the
 * terminal's key for that (^Z) then, so are we, and it goes on when we do.
 *
 * One thread.
 */
#ifndef FIRN_BASE_CHILD_H
#define FIRN_BASE_CHILD_H

#include <sys/types.h>

struct child {
	pid_t pid;		/* and process group; 0: none */
	int out;		/* what it writes; -1: none */
	int lent;		/* it has our terminal */
};
#define CHILD_INIT { 0, -1, 0 }

/*
 * Start argv[0], found by PATH.  -errno, logged with `role`, what it is for us
 * (or NULL); -ENOENT and others also when it cannot be run.  Its standard error
 * is ours; its standard input is `in`, which stays the caller's, or ours where
 * that is -1.  Signals are as for any program, but those ignored by us stay so.
 */
int child_start(struct child *c, char *const *argv, int in, const char *role);

/* Lend it the terminal when it has stopped for that (silent), or take that
 * back (not silent, since its output is coming).  Call now and then, while the
 * output is read. */
void child_look(struct child *c, int silent);

/* 1: it has ended, though what it left running may hold its output open. */
int child_ended(const struct child *c);

/*
 * Wait for its end after its output has ended.  0 when it ended with status 0;
 * -EIO when otherwise, with "ended with status 1" or the like in why;
 * -ECANCELED once *stop is not 0 (stop may be NULL), or when the terminal's
 * interrupt key ended it while it had the terminal; -ETIMEDOUT after `ms`
 * (0: never).  Nothing is logged.
 */
#define CHILD_WHY	40
int child_wait(struct child *c, const volatile int *stop, unsigned ms,
    char why[CHILD_WHY]);

/*
 * What is still running ends: SIGTERM to its group, and SIGKILL when that is
 * not gone 2 seconds later.  Returns when it is gone, and closes `out`.  Fine
 * after child_wait(), and when it was never started.
 */
void child_end(struct child *c);

#endif
