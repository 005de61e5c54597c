/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last errors and warnings of a mount, for .firn/errors, and what the
 * kernel is told of an error.
 *
 * A line that says what one of the last lines said counts up instead of taking
 * a place, so that a program which tries again and again does not drive all
 * else out.  Thread-safe.
 */
#ifndef FIRN_FS_ERRORS_H
#define FIRN_FS_ERRORS_H

#include "base/buf.h"

struct errors;

int errors_new(struct errors **out);
void errors_free(struct errors *e);

/* Note a line; times are of the wall clock.  Must not log: it is called from
 * the log's hook. */
void errors_note(struct errors *e, const char *line);

/* 1 when this text was not asked about in so many seconds, as far as that is
 * remembered: to keep a failure that repeats from flooding the log. */
int errors_fresh(struct errors *e, const char *text, unsigned seconds);

/* Oldest first: "TIME  LINE" or "TIME  LINE (N times since TIME)". */
int errors_text(struct errors *e, struct buf *out);

/* A positive errno for the kernel, from 0 or -errno. */
int errors_errno(int err);

#endif
