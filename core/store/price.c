/* SPDX-License-Identifier: Apache-2.0 */
/* Sums. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/price.h"

#define NANO		1000000000ull
#define GB_SHIFT	30
#define MONTH_DAYS	30
#define DAY		86400ull	/* seconds */

__extension__ typedef unsigned __int128 wide;

/* v / d, rounded up, or UINT64_MAX. */
static uint64_t
narrow(wide v, uint64_t d)
{
	v = v / d + (v % d != 0);
	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

uint64_t
price_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
times(uint64_t a, uint64_t b)
{
	return narrow((wide)a * b, 1);
}

uint64_t
price_count(uint64_t per_1000, uint64_t n)
{
	return narrow((wide)per_1000 * n, 1000);
}

uint64_t
price_bytes(uint64_t per_gb, uint64_t bytes)
{
	return narrow((wide)per_gb * bytes, 1ull << GB_SHIFT);
}

const struct price_class *
price_find(const struct price_table *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nclasses; i++)
		if (strcmp(t->class[i].name, name) == 0)
			return &t->class[i];
	return NULL;
}

const struct price_class *
price_standard(const struct price_table *t)
{
	return price_find(t, "STANDARD");
}

void
price_run(const struct price_table *t, const struct price_class *c,
    const struct store_counters *done, struct price_run *out)
{
	const uint64_t *n = done->requests;
	uint64_t sum;
	int i;

	sum = price_count(c->put, price_add(n[STORE_PUT], n[STORE_COPY]));
	for (i = 0; i < PRICE_TIERS; i++)
		sum = price_add(sum, price_count(c->thaw[i].requests,
		    done->thaws[i]));
	sum = price_add(sum, price_count(price_standard(t)->put,
	    n[STORE_LIST]));
	sum = price_add(sum, price_count(c->get, price_add(n[STORE_GET],
	    n[STORE_STAT])));
	sum = price_add(sum, price_bytes(c->upload, done->bytes_out));
	sum = price_add(sum, price_bytes(c->retrieval, done->bytes_in));
	out->requests = sum;
	out->transfer = price_bytes(t->egress, done->bytes_in);
}

uint64_t
price_billable(const struct price_class *c, uint64_t size)
{
	return size > c->minimum ? size : c->minimum;
}

uint64_t
price_month(const struct price_table *t, const struct price_class *c,
    uint64_t objects, uint64_t billable)
{
	uint64_t own, sum;

	own = price_add(billable, times(objects, c->overhead));
	sum = price_bytes(c->storage, own);
	sum = price_add(sum, price_bytes(price_standard(t)->storage,
	    times(objects, c->overhead_standard)));
	return price_add(sum, price_count(c->monitoring, objects));
}

uint64_t
price_early(const struct price_table *t, const struct price_class *c,
    uint64_t objects, uint64_t billable, uint64_t age_days)
{
	uint64_t left = age_days < c->days ? c->days - age_days : 0;

	return narrow((wide)price_month(t, c, objects, billable) * left,
	    MONTH_DAYS);
}

uint64_t
price_copy(const struct price_table *t, uint64_t bytes, uint64_t seconds)
{
	return narrow((wide)price_bytes(price_standard(t)->storage, bytes) *
	    seconds, MONTH_DAYS * DAY);
}

int
price_thaw(const struct price_table *t, const struct price_class *c,
    enum price_tier tier, uint64_t objects, uint64_t bytes, uint64_t days,
    uint64_t *out)
{
	const struct price_thaw *p = &c->thaw[tier];

	*out = 0;
	if (!p->offered)
		return -ENOTSUP;
	*out = price_add(price_add(price_bytes(p->gb, bytes),
	    price_count(p->requests, objects)),
	    price_copy(t, bytes, times(days, DAY)));
	return 0;
}

const char *
price_text(uint64_t nano, char out[PRICE_TEXT])
{
	int n, digits = 9;

	n = snprintf(out, PRICE_TEXT, "%llu.%09llu", nano / NANO,
	    nano % NANO);
	for (; digits > 2 && out[n - 1] == '0'; digits--)
		out[--n] = '\0';
	return out;
}
