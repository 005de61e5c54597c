/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums by class and need, which price.h turns into money.
 *
 * How long a thaw takes: docs.aws.amazon.com/AmazonS3/latest/userguide/
 * restoring-objects-retrieval-options.html
 */
#include <errno.h>
#include <string.h>

#include "repo/thaw_quote.h"

#define DAY		86400
#define HOUR		3600u
#define GET_BYTES	(4u << 20)	/* of one request of a reader */

/* A copy of it ends too early. */
static int
is_short(const struct packset *s, const struct pack_info *p,
    const struct thaw_wish *wish, time_t now)
{
	time_t keep = wish->keep > 0 ? (time_t)wish->keep :
	    (time_t)wish->days * DAY;

	return !wish->once && p->expires != 0 && !thaw_is_for_good(s, p) &&
	    p->expires < now + keep;
}

enum thaw_need
thaw_need(const struct packset *s, const struct pack_info *p,
    const struct thaw_wish *wish, time_t now)
{
	if (!(p->flags & PACK_SEEN))
		return THAW_GONE;
	switch (p->state) {
	case STORE_HOT:
		return THAW_READY;
	case STORE_THAWED:
		return is_short(s, p, wish, now) ? THAW_RENEW : THAW_READY;
	case STORE_THAWING:
		if (p->tier == STORE_THAW_TIERS)
			return wish->hasten ? THAW_HASTEN : THAW_RUNNING;
		return wish->tier < p->tier ? THAW_HASTEN : THAW_RUNNING;
	case STORE_COLD:
		break;
	}
	return THAW_ASK;
}

int
thaw_is_for_good(const struct packset *s, const struct pack_info *p)
{
	return strcmp(s->class_name[p->class], "INTELLIGENT_TIERING") == 0;
}

/* Seconds that a tier takes at most for a class.  Of what INTELLIGENT_TIERING
 * archived a listing does not say how deep it lies. */
static unsigned
seconds(const char *class, enum store_thaw_tier tier)
{
	static const unsigned flexible[] = { 5 * 60, 5 * HOUR, 12 * HOUR };
	static const unsigned deep[] = { 12 * HOUR, 12 * HOUR, 48 * HOUR };

	return strcmp(class, "GLACIER") == 0 ? flexible[tier] : deep[tier];
}

/* Is there such a tier, whatever it costs? */
static int
is_offered(const struct price_class *c, const char *class,
    enum store_thaw_tier tier)
{
	if (strcmp(class, "INTELLIGENT_TIERING") == 0)
		return tier != STORE_THAW_EXPEDITED;
	if (c != NULL)
		return c->thaw[tier].offered;
	return strcmp(class, "DEEP_ARCHIVE") != 0 ||
	    tier != STORE_THAW_EXPEDITED;
}

static void
add(struct thaw_count *c, uint64_t bytes)
{
	c->packs++;
	c->bytes += bytes;
}

/* What was summed up for one class and tier. */
struct sums {
	struct thaw_count ask;		/* and what is hastened */
	struct thaw_count renew;
};

/* Copies that are there already are charged for the request alone, and for
 * staying. */
static void
price_sums(const struct price_table *t, const struct price_class *c,
    const struct sums *n, const struct thaw_wish *wish,
    enum store_thaw_tier tier, struct thaw_quote_tier *q)
{
	const struct price_thaw *p = &c->thaw[tier];
	uint64_t all, none, days = wish->days;

	q->requests = price_add(q->requests, price_count(p->requests,
	    n->ask.packs + n->renew.packs));
	q->retrieval = price_add(q->retrieval, price_bytes(p->gb,
	    n->ask.bytes));
	/* The same rounding as where the copy is reckoned for real. */
	if (price_thaw(t, c, (enum price_tier)tier, 0, n->ask.bytes +
	    n->renew.bytes, days, &all) == 0 &&
	    price_thaw(t, c, (enum price_tier)tier, 0, n->ask.bytes +
	    n->renew.bytes, 0, &none) == 0)
		q->copies = price_add(q->copies, all - none);
}

static void
sum_class(const struct packset *s, unsigned class,
    const struct thaw_wish *wish, time_t now, struct sums *n)
{
	const struct pack_info *p;
	size_t i;

	memset(n, 0, sizeof(*n));
	for (i = 0; i < s->n; i++) {
		p = &s->v[i];
		if (!(p->flags & PACK_NEEDED) || p->class != class)
			continue;
		switch (thaw_need(s, p, wish, now)) {
		case THAW_ASK:
		case THAW_HASTEN:
			add(&n->ask, p->size);
			break;
		case THAW_RENEW:
			add(&n->renew, p->size);
			break;
		default:
			break;
		}
	}
}

static void
quote_tier(const struct packset *s, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_quote *out)
{
	struct thaw_quote_tier *q = &out->tier[wish->tier];
	const struct price_class *c;
	const char *name;
	struct sums n;
	unsigned i;

	q->offered = 1;
	for (i = 0; i < s->nclasses; i++) {
		name = s->class_name[i];
		sum_class(s, i, wish, now, &n);
		if (n.ask.packs + n.renew.packs == 0)
			continue;
		c = t != NULL ? price_find(t, name) : NULL;
		if (!is_offered(c, name, wish->tier)) {
			q->offered = 0;
			continue;
		}
		if (n.ask.packs > 0 && seconds(name, wish->tier) > q->seconds)
			q->seconds = seconds(name, wish->tier);
		if (strcmp(name, "INTELLIGENT_TIERING") == 0)
			continue;
		if (c != NULL)
			price_sums(t, c, &n, wish, wish->tier, q);
		else
			out->priced = 0;
	}
}

void
thaw_quote(const struct packset *s, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_quote *out)
{
	struct thaw_wish w = *wish;
	struct thaw_quote_tier *q;
	uint64_t gets = 0;
	size_t i;
	int tier;

	memset(out, 0, sizeof(*out));
	out->priced = t != NULL;
	for (i = 0; i < s->n; i++) {
		if (!(s->v[i].flags & PACK_NEEDED))
			continue;
		add(&out->all, s->v[i].size);
		add(&out->need[thaw_need(s, &s->v[i], wish, now)],
		    s->v[i].size);
		gets += ((uint64_t)s->v[i].size + GET_BYTES - 1) / GET_BYTES;
	}
	if (t != NULL)
		out->transfer = price_bytes(t->egress, out->all.bytes);
	for (tier = 0; tier < STORE_THAW_TIERS; tier++) {
		w.tier = (enum store_thaw_tier)tier;
		quote_tier(s, t, &w, now, out);
		q = &out->tier[tier];
		if (t != NULL)
			q->gets = price_count(price_standard(t)->get, gets);
		q->sum = price_add(price_add(q->requests, q->retrieval),
		    price_add(q->copies, q->gets));
	}
}
