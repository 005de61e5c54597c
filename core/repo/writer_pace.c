/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of two uploads for each place, one after another.  What was on its way
 * when the limit was changed is not counted: it was sent at two speeds.
 */
#include "repo/writer_pace.h"

#define SPAN		2	/* uploads measured, for each place */
#define HOLD_FIRST	4	/* spans from one try to the next */
#define HOLD_MOST	64
/* Of what one more would bring if each were as fast as before, so much has to
 * come for it to be worth its memory. */
#define WORTH		0.4

/* Measure anew, after so many ends. */
static void
span_begin(struct pace *p, unsigned skip)
{
	p->skip = skip;
	p->ends = 0;
	p->bytes = 0;
}

static void
change(struct pace *p, unsigned limit)
{
	/* Of the one that is new none was on its way, nor of one taken away. */
	span_begin(p, p->limit);
	p->limit = limit;
}

void
pace_init(struct pace *p, unsigned first, unsigned most, uint64_t throttled)
{
	*p = (struct pace){ .first = first, .most = most, .limit = first,
	    .hold_next = HOLD_FIRST, .throttled = throttled };
	/* Up to the first end nothing is known. */
	span_begin(p, 1);
}

static void
try_next(struct pace *p, double rate)
{
	int less = p->limit > p->first && (p->less_next ||
	    p->limit >= p->most);

	if (!less && p->limit >= p->most) {
		span_begin(p, 0);	/* there is nothing to try */
		return;
	}
	p->less_next = !less;
	p->trying = less ? -1 : 1;
	p->before = rate;
	change(p, less ? p->limit - 1 : p->limit + 1);
}

/* After one more or one less was tried: on that way, or back for a while. */
static void
try_end(struct pace *p, double rate)
{
	int more = p->trying > 0;
	unsigned low = more ? p->limit - 1 : p->limit;
	double least = (more ? p->before : rate) * (1 + WORTH / low);
	int worth = (more ? rate : p->before) >= least;

	p->trying = 0;
	if (worth == more) {
		p->less_next = !more;
		p->hold_next = HOLD_FIRST;
		p->hold = p->limit == (more ? p->most : p->first) ?
		    HOLD_FIRST : 0;
		if (p->hold == 0)
			try_next(p, rate);
		else
			span_begin(p, 0);
		return;
	}
	p->hold = p->hold_next;
	if (p->hold_next < HOLD_MOST)
		p->hold_next *= 2;
	change(p, more ? p->limit - 1 : p->limit + 1);
}

/* So many bytes a second with this limit. */
static void
judge(struct pace *p, double rate)
{
	if (p->trying != 0) {
		try_end(p, rate);
		return;
	}
	if (p->hold > 0)
		p->hold--;
	if (p->hold > 0)
		span_begin(p, 0);
	else
		try_next(p, rate);
}

static void
throttle(struct pace *p)
{
	p->deaf = p->limit;
	p->trying = 0;
	p->less_next = 0;
	p->hold = p->hold_next;
	change(p, p->limit > 1 ? p->limit / 2 : 1);
}

void
pace_end(struct pace *p, int64_t now, uint64_t bytes, int wanted,
    uint64_t throttled)
{
	int fewer = throttled != p->throttled;

	p->throttled = throttled;
	if (p->deaf > 0)
		p->deaf--;
	if (fewer && p->deaf == 0 && p->limit > 1)
		throttle(p);
	if (!wanted || p->skip > 0) {
		/* Who does not wait needs no more: what is measured then is
		 * how fast packs are made. */
		span_begin(p, p->skip > 0 ? p->skip - 1 : 0);
		p->begin = now;
		return;
	}
	p->bytes += bytes;
	if (++p->ends < SPAN * p->limit || now <= p->begin)
		return;
	bytes = p->bytes;
	judge(p, (double)bytes * 1e6 / (double)(now - p->begin));
	p->begin = now;
}
