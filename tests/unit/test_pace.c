/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many packs are in upload at once, against stores that are played: a line
 * that all uploads share, a rate that each has by itself, a server that refuses
 * more than so many.  Time is that of the play.
 */
#include <string.h>

#include "format_test.h"

#include "repo/writer_pace.h"

#define PACK	(32u << 20)
#define PLACES	16
#define LATENCY	0.05		/* s; before a byte of an upload moves */

struct play {
	double line;		/* bytes/s, shared */
	double each;		/* bytes/s of one upload */
	double make;		/* bytes/s in which packs are made */
	unsigned refuse;	/* uploads at once that are too many; 0: none */
	double noise;		/* of the line, each time something ends */
	/* What came of it. */
	double seconds;
	unsigned ends;
	unsigned highest;
	double above;		/* share of the ends with more than 2 at once */
	double mean;		/* places, of all ends */
};

/* An upload on its way. */
struct upload {
	double wait;		/* s */
	double left;		/* bytes */
};

struct store {
	struct upload up[PLACES];
	unsigned n;
	double now;
	double ready;		/* when the next pack is made */
	uint64_t throttled;
};

/* Seconds until the first of them ends. */
static double
first_end(const struct store *s, double rate)
{
	double least = 1e9, t;
	unsigned i;

	for (i = 0; i < s->n; i++) {
		t = s->up[i].wait + s->up[i].left / rate;
		if (t < least)
			least = t;
	}
	return least;
}

static void
move_on(struct store *s, double rate, double seconds)
{
	struct upload *u;

	for (u = s->up; u < s->up + s->n; u++) {
		u->wait -= seconds;
		if (u->wait < 0) {
			u->left += u->wait * rate;
			u->wait = 0;
		}
	}
	s->now += seconds;
}

/* Take out the one that has ended. */
static void
take_ended(struct store *s)
{
	unsigned i, at = 0;

	for (i = 0; i < s->n; i++)
		if (s->up[i].wait + s->up[i].left <
		    s->up[at].wait + s->up[at].left)
			at = i;
	s->up[at] = s->up[--s->n];
}

/* Begin what may begin; whether there would be more. */
static int
fill_places(struct store *s, const struct play *p, unsigned limit)
{
	while (s->ready <= s->now && s->n < limit) {
		s->up[s->n++] = (struct upload){ LATENCY, PACK };
		s->ready = s->now + PACK / p->make;
	}
	return s->ready <= s->now;
}

static void
play(struct play *p, struct pace *pace, unsigned packs)
{
	struct store s = { .n = 0 };
	double rate, t;
	int wanted;

	p->ends = 0;
	p->highest = 0;
	p->above = 0;
	p->mean = 0;
	while (p->ends < packs) {
		wanted = fill_places(&s, p, pace->limit);
		rate = p->line * (1 + p->noise * ((double)rnd_below(2001) /
		    1000 - 1)) / (s.n > 0 ? s.n : 1);
		if (rate > p->each)
			rate = p->each;
		t = first_end(&s, rate);
		if (!wanted && s.n < pace->limit && s.ready - s.now < t) {
			move_on(&s, rate, s.ready - s.now);
			s.now = s.ready;
			continue;
		}
		move_on(&s, rate, t);
		if (p->refuse > 0 && s.n >= p->refuse)
			s.throttled++;
		take_ended(&s);
		wanted = s.ready <= s.now;
		pace_end(pace, (int64_t)(s.now * 1e6), PACK, wanted,
		    s.throttled);
		assert_in_range(pace->limit, 1, pace->most);
		if (pace->limit > p->highest)
			p->highest = pace->limit;
		p->above += pace->limit > 2;
		p->mean += pace->limit;
		p->ends++;
	}
	p->seconds = s.now;
	p->above /= packs;
	p->mean /= packs;
}

/* Each upload is slow by itself, as over a long way: all places are used. */
static void
test_slow_connections(void **state)
{
	struct play p = { .line = 1e9, .each = 20e6, .make = 1e9 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 2, 8, 0);
	play(&p, &pace, 200);
	assert_int_equal(pace.limit, 8);
	/* And there soon: 200 packs by 8 take 42 s, by 2 168 s. */
	assert_true(p.seconds < 84);
}

/* Up to where the line is full, and not far beyond. */
static void
test_line_of_four(void **state)
{
	struct play p = { .line = 80e6, .each = 20e6, .make = 1e9 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 2, 16, 0);
	play(&p, &pace, 400);
	assert_in_range(pace.limit, 4, 5);
	assert_in_range(p.highest, 5, 5);
}

/* Two fill it: one more is tried now and then, never two, however long. */
static void
test_full_line(void **state)
{
	struct play p = { .line = 60e6, .each = 60e6, .make = 1e9 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 2, 8, 0);
	play(&p, &pace, 1000);
	assert_int_equal(p.highest, 3);
	assert_true(p.above > 0);
	assert_true(p.above < 0.1);
}

/* What luck has brought on a line that is never twice the same goes again. */
static void
test_noise(void **state)
{
	struct play p = { .line = 60e6, .each = 60e6, .make = 1e9,
	    .noise = 0.3 };
	struct pace pace;
	double mean = 0;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		pace_init(&pace, 2, 8, 0);
		play(&p, &pace, 1000);
		mean += p.mean / 20;
	}
	assert_true(mean < 3);
}

/* Packs are made more slowly than one upload takes them: no more is tried. */
static void
test_slow_maker(void **state)
{
	struct play p = { .line = 1e9, .each = 60e6, .make = 30e6 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 2, 8, 0);
	play(&p, &pace, 200);
	assert_int_equal(p.highest, 2);
	assert_int_equal(pace.limit, 2);
}

/* A server that refuses from five on: below that soon after each try, and up
 * again when it takes more. */
static void
test_throttled(void **state)
{
	struct play p = { .line = 1e9, .each = 20e6, .make = 1e9,
	    .refuse = 5 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 2, 16, 0);
	play(&p, &pace, 400);
	assert_in_range(p.highest, 5, 5);
	assert_in_range(pace.limit, 2, 5);
	p.refuse = 0;
	play(&p, &pace, 400);
	assert_int_equal(pace.limit, 16);
}

/* What was on its way when it was halved says nothing new. */
static void
test_cut_once(void **state)
{
	struct pace pace;
	int i;

	(void)state;
	pace_init(&pace, 16, 16, 0);
	for (i = 0; i < 16; i++)
		pace_end(&pace, i, PACK, 1, (uint64_t)i + 1);
	assert_int_equal(pace.limit, 8);
	for (i = 16; i < 100; i++)
		pace_end(&pace, i, PACK, 1, (uint64_t)i + 1);
	assert_int_equal(pace.limit, 1);
}

/* What the server has said before the first upload is no word about uploads. */
static void
test_throttled_before(void **state)
{
	struct pace pace;

	(void)state;
	pace_init(&pace, 16, 16, 5);
	pace_end(&pace, 1, PACK, 1, 5);
	assert_int_equal(pace.limit, 16);
	pace_end(&pace, 2, PACK, 1, 6);
	assert_int_equal(pace.limit, 8);
}

/* A number that was asked for is kept. */
static void
test_fixed(void **state)
{
	struct play p = { .line = 1e9, .each = 20e6, .make = 1e9 };
	struct pace pace;

	(void)state;
	pace_init(&pace, 3, 3, 0);
	play(&p, &pace, 100);
	assert_int_equal(p.highest, 3);
	assert_int_equal(pace.limit, 3);
}

static int
setup(void **state)
{
	(void)state;
	rnd_seed();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_connections),
		cmocka_unit_test(test_line_of_four),
		cmocka_unit_test(test_full_line),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_slow_maker),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_cut_once),
		cmocka_unit_test(test_throttled_before),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
