/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums over packs, of prices of one pack.
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

/* As S3 has it; of other classes all. */
static int
has_tier(const char *class, enum store_thaw_tier tier)
{
	return tier != STORE_THAW_EXPEDITED ||
	    (strcmp(class, "DEEP_ARCHIVE") != 0 &&
	    strcmp(class, "INTELLIGENT_TIERING") != 0);
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
		if (!is_short(s, p, wish, now))
			return THAW_READY;
		/* The store may remove it at any moment. */
		return p->expires <= now ? THAW_ASK : THAW_RENEW;
	case STORE_THAWING:
		if (!has_tier(s->class_name[p->class], wish->tier))
			return THAW_RUNNING;
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
	return c != NULL && strcmp(class, "INTELLIGENT_TIERING") != 0 ?
	    c->thaw[tier].offered : has_tier(class, tier);
}

static void
add(struct thaw_count *c, uint64_t bytes)
{
	c->packs++;
	c->bytes += bytes;
}

/* Of retrieving more at a tier than what was paid for at another. */
static uint64_t
retrieval(const struct price_class *c, enum store_thaw_tier tier,
    unsigned before, uint64_t bytes)
{
	uint64_t all = price_bytes(c->thaw[tier].gb, bytes), had = 0;

	if (before < STORE_THAW_TIERS && c->thaw[before].offered)
		had = price_bytes(c->thaw[before].gb, bytes);
	return all > had ? all - had : 0;
}

/* Seconds that a copy gets, or gets more. */
static uint64_t
lasts(const struct pack_info *p, enum thaw_need need,
    const struct thaw_wish *wish, time_t now)
{
	time_t days = (time_t)wish->days * DAY;

	if (need != THAW_RENEW || p->expires <= now)
		return (uint64_t)days;
	return p->expires < now + days ? (uint64_t)(now + days - p->expires) :
	    0;
}

void
thaw_price(const struct packset *s, const struct pack_info *p,
    enum thaw_need need, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_price *out)
{
	const struct price_class *c = t == NULL || thaw_is_for_good(s, p) ?
	    NULL : price_find(t, s->class_name[p->class]);

	memset(out, 0, sizeof(*out));
	if (c == NULL)
		return;
	out->request = price_count(c->thaw[wish->tier].requests, 1);
	if (need != THAW_RENEW)
		out->retrieval = retrieval(c, wish->tier, need == THAW_HASTEN ?
		    p->tier : STORE_THAW_TIERS, p->size);
	/* One that is hastened has its days. */
	if (need != THAW_HASTEN)
		out->copy = price_copy(t, p->size, lasts(p, need, wish, now));
}

/* What one pack adds to the quote of a tier. */
static void
quote_pack(const struct packset *s, const struct pack_info *p,
    const struct price_table *t, const struct thaw_wish *wish, time_t now,
    struct thaw_quote *out)
{
	struct thaw_quote_tier *q = &out->tier[wish->tier];
	enum thaw_need need = thaw_need(s, p, wish, now);
	const char *name = s->class_name[p->class];
	const struct price_class *c = t != NULL ? price_find(t, name) : NULL;
	struct thaw_price price;

	if (need != THAW_ASK && need != THAW_RENEW && need != THAW_HASTEN)
		return;
	if (!is_offered(c, name, wish->tier)) {
		q->offered = 0;
		return;
	}
	if (need != THAW_RENEW && seconds(name, wish->tier) > q->seconds)
		q->seconds = seconds(name, wish->tier);
	if (c == NULL && !thaw_is_for_good(s, p))
		out->priced = 0;
	thaw_price(s, p, need, t, wish, now, &price);
	q->requests = price_add(q->requests, price.request);
	q->retrieval = price_add(q->retrieval, price.retrieval);
	q->copies = price_add(q->copies, price.copy);
}

static void
quote_tier(const struct packset *s, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_quote *out)
{
	size_t i;

	out->tier[wish->tier].offered = 1;
	for (i = 0; i < s->n; i++)
		if (s->v[i].flags & PACK_NEEDED)
			quote_pack(s, &s->v[i], t, wish, now, out);
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
