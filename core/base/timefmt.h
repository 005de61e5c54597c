/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as text, UTC.  "name" form: 2026-11-20T115739Z, without colons so that
 * rsync and scp do not take it for a host.  "iso" form: RFC 3339 with
 * nanoseconds, 2026-11-20T11:57:39.000000000Z.  A time outside the years 0 to
 * 9999 is "@" and its seconds since 1970 (iso: and nanoseconds, which count
 * upwards from a negative second too).
 */
#ifndef FIRN_BASE_TIMEFMT_H
#define FIRN_BASE_TIMEFMT_H

#include <time.h>

#define TIMEFMT_SIZE 40		/* room for either form with its NUL */

void timefmt_name(const struct timespec *t, char out[TIMEFMT_SIZE]);
void timefmt_iso(const struct timespec *t, char out[TIMEFMT_SIZE]);
/* Any of these forms; fractions optional; else -EINVAL and *out is as it was.
 * No leap seconds. */
int timefmt_parse(const char *text, struct timespec *out);

#endif
