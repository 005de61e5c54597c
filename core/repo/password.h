/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a repository's password comes from, in this order: a file, a command,
 * FIRN_PASSWORD_FILE, FIRN_PASSWORD_COMMAND, a prompt on the terminal.  A fresh
 * one, for a further key, never comes from the environment.
 *
 * Of files and commands the first line counts, without its newline.  A command
 * is run by /bin/sh -c; when it fails, so does this.  There is no option or
 * variable that holds the password itself: argv and environments can be read
 * by others.
 */
#ifndef FIRN_REPO_PASSWORD_H
#define FIRN_REPO_PASSWORD_H

#include "base/buf.h"

#define PASSWORD_MAX	1024	/* bytes */

struct password_source {
	const char *file;	/* NULL: the environment, ... */
	const char *command;
	int fresh;		/* one in place of, or beside, the one in use,
				   which alone the environment has */
	const volatile int *stop;	/* ends waiting for a command or for
					   somebody to type; may be NULL */
};

/*
 * For repo_conf.password, with a struct password_source (or NULL) as context.
 * again: ask twice at a prompt, since it is a new one.  -ENOTTY without any
 * source or a terminal; -EINVAL when empty, too long, or the two differ; all
 * logged with the next step.  -ECANCELED, not logged, once *stop is not 0 or
 * somebody interrupts the command where it asks on the terminal.
 */
int password_get(void *source, int again, struct buf *out);

#endif
