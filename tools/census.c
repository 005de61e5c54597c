/* SPDX-License-Identifier: Apache-2.0 */
/* Counting a store. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "tools/census.h"

#define DAY	86400

const struct price_class *
census_class(const struct price_table *t, const char *class_name)
{
	const struct price_class *p = price_find(t, class_name);

	return p != NULL ? p : price_standard(t);
}

static struct census_group *
group_of(struct census *c, const struct store_stat *st)
{
	struct census_group *g;
	size_t i;

	for (i = 0; i < c->n; i++) {
		g = &c->group[i];
		if (strcmp(g->class_name, st->class_name) == 0 &&
		    g->state == st->state && g->known == st->state_known)
			return g;
	}
	if (c->n == CENSUS_GROUPS)
		return NULL;
	g = &c->group[c->n++];
	memset(g, 0, sizeof(*g));
	memcpy(g->class_name, st->class_name, sizeof(g->class_name));
	g->state = st->state;
	g->known = st->state_known;
	return g;
}

static void
reckon(const struct census *c, struct census_group *g,
    const struct store_stat *st)
{
	const struct price_class *p = census_class(c->prices, g->class_name);
	uint64_t billable = price_billable(p, st->size), early;
	uint64_t age = c->now > st->mtime.tv_sec ?
	    (uint64_t)(c->now - st->mtime.tv_sec) / DAY : 0;

	if (age < c->least_age)
		age = c->least_age;
	g->billable = price_add(g->billable, billable);
	early = price_early(c->prices, p, 1, billable, age);
	g->early = price_add(g->early, early);
	g->young += early > 0;
}

static int
on_object(void *ctx, const char *name, const struct store_stat *st)
{
	struct census *c = ctx;
	struct census_group *g = group_of(c, st);

	if (g == NULL)
		return log_err(-FIRN_ETOOBIG, "there are over %d storage "
		    "classes (last '%s' of '%s')", CENSUS_GROUPS,
		    st->class_name, name);
	g->objects++;
	g->bytes += st->size;
	c->objects++;
	c->bytes += st->size;
	if (c->prices != NULL)
		reckon(c, g, st);
	return 0;
}

static int
group_cmp(const void *a, const void *b)
{
	const struct census_group *x = a, *y = b;
	int d = strcmp(x->class_name, y->class_name);

	return d != 0 ? d : (int)x->state - (int)y->state;
}

int
census_take(struct census *c, struct store *s, const char *prefix)
{
	int err;

	if (c->now == 0)
		c->now = time(NULL);
	err = store_list_state(s, prefix, on_object, c);
	if (err == 0)
		qsort(c->group, c->n, sizeof(c->group[0]), group_cmp);
	return err;
}

const char *
census_state(const struct census_group *g)
{
	static const char *const name[] = { [STORE_HOT] = "hot",
		[STORE_COLD] = "cold", [STORE_THAWING] = "thawing",
		[STORE_THAWED] = "thawed" };

	if (g->class_name[0] == '\0')
		return "hot";
	if (g->known)
		return name[g->state];
	return g->state == STORE_COLD ? "cold or thawed" : "hot or archived";
}

uint64_t
census_month(const struct census *c, const struct census_group *g)
{
	if (c->prices == NULL)
		return 0;
	return price_month(c->prices, census_class(c->prices, g->class_name),
	    g->objects, g->billable);
}
