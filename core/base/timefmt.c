/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as text, UTC.  A file may carry any time at all, so formatting is
 * total: outside the years 0 to 9999, which RFC 3339 can say, the text is
 * "@" and the seconds since 1970, and parsing takes that too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/timefmt.h"

#define NSEC	1000000000L	/* nanoseconds in a second */

/* 1 when the calendar forms can say it. */
static int
calendar(const struct timespec *t, struct tm *tm)
{
	return gmtime_r(&t->tv_sec, tm) && tm->tm_year >= -1900 &&
	    tm->tm_year <= 9999 - 1900;
}

void
timefmt_name(const struct timespec *t, char out[TIMEFMT_SIZE])
{
	struct tm tm;

	if (calendar(t, &tm))
		snprintf(out, TIMEFMT_SIZE, "%04d-%02d-%02dT%02d%02d%02dZ",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		    tm.tm_min, tm.tm_sec);
	else
		snprintf(out, TIMEFMT_SIZE, "@%" PRId64, (int64_t)t->tv_sec);
}

void
timefmt_iso(const struct timespec *t, char out[TIMEFMT_SIZE])
{
	struct tm tm;

	if (calendar(t, &tm))
		snprintf(out, TIMEFMT_SIZE,
		    "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		    tm.tm_sec, t->tv_nsec);
	else
		snprintf(out, TIMEFMT_SIZE, "@%" PRId64 ".%09ld",
		    (int64_t)t->tv_sec, t->tv_nsec);
}

/* `n` digits, at most `max`; moves on behind them. */
static int
number(const char **s, unsigned n, int max, int *out)
{
	int v = 0;

	for (; n > 0; n--) {
		char c = *(*s)++;

		if (c < '0' || c > '9')
			return -EINVAL;
		v = v * 10 + (c - '0');
	}
	*out = v;
	return v <= max ? 0 : -EINVAL;
}

static int
literal(const char **s, char c)
{
	return *(*s)++ == c ? 0 : -EINVAL;
}

static int
parse_date(const char **s, struct tm *tm)
{
	if (number(s, 4, 9999, &tm->tm_year) || literal(s, '-') ||
	    number(s, 2, 12, &tm->tm_mon) || literal(s, '-') ||
	    number(s, 2, 31, &tm->tm_mday) || literal(s, 'T'))
		return -EINVAL;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return 0;
}

static int
parse_clock(const char **s, struct tm *tm)
{
	int colon;

	if (number(s, 2, 23, &tm->tm_hour))
		return -EINVAL;
	colon = **s == ':';
	if ((colon && literal(s, ':')) || number(s, 2, 59, &tm->tm_min) ||
	    (colon && literal(s, ':')) || number(s, 2, 59, &tm->tm_sec))
		return -EINVAL;
	return 0;
}

/* Nothing, or a point and one to nine digits. */
static int
parse_fraction(const char **s, long *nsec)
{
	long unit = NSEC;

	*nsec = 0;
	if (**s != '.')
		return 0;
	for (++*s; **s >= '0' && **s <= '9'; ++*s) {
		unit /= 10;
		if (unit == 0)
			return -EINVAL;
		*nsec += unit * (**s - '0');
	}
	return unit == NSEC ? -EINVAL : 0;
}

static int
parse_seconds(const char *s, struct timespec *out)
{
	const char *digits = *s == '-' ? s + 1 : s;
	char *end;

	/* strtoll() alone would skip spaces and take a plus. */
	if (*digits < '0' || *digits > '9')
		return -EINVAL;
	errno = 0;
	out->tv_sec = strtoll(s, &end, 10);
	s = end;
	if (errno || parse_fraction(&s, &out->tv_nsec) || *s)
		return -EINVAL;
	return 0;
}

int
timefmt_parse(const char *text, struct timespec *out)
{
	struct tm tm = { 0 }, same;
	struct timespec t = { 0, 0 };
	const char *s = text;
	int err;

	if (*s == '@') {
		err = parse_seconds(s + 1, &t);
	} else {
		/* timegm() would take 30 February for 2 March; comparing
		 * what it makes of the date finds that. */
		err = parse_date(&s, &tm) || parse_clock(&s, &tm) ||
		    parse_fraction(&s, &t.tv_nsec) || literal(&s, 'Z') || *s;
		same = tm;
		if (!err)
			t.tv_sec = timegm(&tm);
		if (err || tm.tm_mday != same.tm_mday ||
		    tm.tm_mon != same.tm_mon)
			err = -EINVAL;
	}
	if (!err)
		*out = t;
	return err;
}
