/* SPDX-License-Identifier: Apache-2.0 */
/* A quote, as a table for people and as JSON. */
#include <stdio.h>
#include <string.h>

#include "tools/thawing.h"

#define HOUR	3600u

/* "5 minutes", "12 hours". */
static const char *
duration(unsigned seconds, char out[24])
{
	if (seconds == 0)
		return "now";
	if (seconds < HOUR)
		snprintf(out, 24, "%u minutes", seconds / 60);
	else
		snprintf(out, 24, "%u hours", seconds / HOUR);
	return out;
}

void
thawing_json_packs(struct json *j, const char *name,
    const struct thaw_count *c)
{
	struct json *o = json_object();

	json_set_uint(o, "packs", c->packs);
	json_set_uint(o, "bytes", c->bytes);
	json_set(j, name, o);
}

static void
json_money(struct json *j, const char *name, uint64_t nano)
{
	char text[PRICE_TEXT];

	json_set_str(j, name, price_text(nano, text));
}

static struct json *
json_tier(const struct thaw_quote *q, enum store_thaw_tier tier)
{
	const struct thaw_quote_tier *t = &q->tier[tier];
	struct json *j = json_object();

	json_set_bool(j, "offered", t->offered);
	if (!t->offered)
		return j;
	json_set_uint(j, "seconds", t->seconds);
	if (!q->priced)
		return j;
	json_money(j, "requests", t->requests);
	json_money(j, "retrieval", t->retrieval);
	json_money(j, "copies", t->copies);
	json_money(j, "reading", t->gets);
	json_money(j, "sum", t->sum);
	return j;
}

static void
show_json(const struct thawing *w, const char *what)
{
	static const char *const needs[THAW_NEEDS] = { "readable", "cold",
	    "renew", "hasten", "thawing", "missing" };
	struct json *j = json_object(), *tiers = json_object(), *table;
	const struct thaw_quote *q = &w->quote;
	struct thaw_plan_totals totals = { 0 };
	int i;

	if (w->plan != NULL)
		thaw_plan_totals(w->plan, &totals);
	json_set_str(j, "type", "quote");
	json_set_bytes(j, "what", what, strlen(what));
	thawing_json_packs(j, "needed", &q->all);
	for (i = 0; i < THAW_NEEDS; i++)
		thawing_json_packs(j, needs[i], &q->need[i]);
	json_set_uint(j, "bytes", totals.bytes);
	json_set_uint(j, "cached", totals.cached);
	json_set_str(j, "tier", store_thaw_tier_name(w->wish.tier));
	json_set_uint(j, "days", w->wish.days);
	for (i = 0; i < STORE_THAW_TIERS; i++)
		json_set(tiers, store_thaw_tier_name((enum store_thaw_tier)i),
		    json_tier(q, (enum store_thaw_tier)i));
	json_set(j, "tiers", tiers);
	if (q->priced) {
		json_money(j, "transfer", q->transfer);
		json_set_str(j, "currency", w->t->price->currency);
		table = json_object();
		json_set_str(table, "name", w->t->price->name);
		json_set_str(table, "date", w->t->price->date);
		json_set(j, "prices", table);
	}
	tool_print_json(j);
}

static void
show_tier(const struct thawing *w, enum store_thaw_tier tier)
{
	const struct thaw_quote_tier *q = &w->quote.tier[tier];
	char within[24], thaw[PRICE_TEXT], copies[PRICE_TEXT],
	    gets[PRICE_TEXT], sum[PRICE_TEXT];

	printf("%c %-10s", tier == w->wish.tier ? '*' : ' ',
	    store_thaw_tier_name(tier));
	if (!q->offered) {
		printf("  not offered for this storage class\n");
		return;
	}
	printf("  %-12s", duration(q->seconds, within));
	if (!w->quote.priced) {
		printf("  price unknown\n");
		return;
	}
	printf("  %12s  %12s  %12s  %12s %s\n",
	    price_text(price_add(q->requests, q->retrieval), thaw),
	    price_text(q->copies, copies), price_text(q->gets, gets),
	    price_text(q->sum, sum), w->t->price->currency);
}

static void
show_count(const char *text, const struct thaw_count *c)
{
	char size[16];

	if (c->packs > 0)
		printf("  %llu %s, %s\n", (unsigned long long)c->packs, text,
		    tool_size(c->bytes, size));
}

void
thawing_show(const struct thawing *w, const char *what)
{
	const struct thaw_quote *q = &w->quote;
	char size[16], transfer[PRICE_TEXT];
	int i;

	if (w->t->json) {
		show_json(w, what);
		return;
	}
	tool_print_path(stdout, what, strlen(what));
	printf(": %llu packs, %s\n", (unsigned long long)q->all.packs,
	    tool_size(q->all.bytes, size));
	show_count("readable now", &q->need[THAW_READY]);
	show_count("being thawed", &q->need[THAW_RUNNING]);
	show_count("being thawed, to be hastened", &q->need[THAW_HASTEN]);
	show_count("readable, to be kept longer", &q->need[THAW_RENEW]);
	show_count("archived", &q->need[THAW_ASK]);
	show_count("missing in the store", &q->need[THAW_GONE]);
	if (q->need[THAW_ASK].packs + q->need[THAW_RENEW].packs +
	    q->need[THAW_HASTEN].packs == 0)
		return;
	printf("\n  %-10s  %-12s  %12s  %12s  %12s  %12s\n", "tier",
	    "ready within", "thaw", "copies", "reading", "together");
	for (i = 0; i < STORE_THAW_TIERS; i++)
		show_tier(w, (enum store_thaw_tier)i);
	printf("\nThe copies last %u days, to the next midnight (UTC).\n",
	    w->wish.days);
	if (q->priced)
		printf("Transfer over the Internet would be another %s %s; "
		    "within the region it is free.\n"
		    "Prices: %s, %s; an estimate.\n",
		    price_text(q->transfer, transfer), w->t->price->currency,
		    w->t->price->name, w->t->price->date);
	else
		printf("Nobody knows what this store asks for it; --prices "
		    "FILE says.\n");
	fflush(stdout);
}
