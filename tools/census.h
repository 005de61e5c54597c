/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in a store, counted by storage class and state from one listing:
 * for `firn tier` and `firn cost`.  No object is looked at by itself.
 */
#ifndef FIRN_TOOLS_CENSUS_H
#define FIRN_TOOLS_CENSUS_H

#include <time.h>

#include "store/price.h"
#include "store/store.h"

#define CENSUS_GROUPS	64

struct census_group {
	char class_name[STORE_CLASS_SIZE];
	enum store_state state;
	int known;		/* state_known of store.h */
	uint64_t objects;
	uint64_t bytes;
	/* With prices: bytes that are paid for, nano for what is left of the
	 * least duration if all went now, and how many that concerns. */
	uint64_t billable;
	uint64_t early;
	uint64_t young;
};

struct census {
	const struct price_table *prices;	/* or NULL; set by the caller */
	time_t now;
	unsigned least_age;	/* days; what is younger counts as so old */
	struct census_group group[CENSUS_GROUPS];	/* by class, state */
	size_t n;
	uint64_t objects;
	uint64_t bytes;
};

/* Counts all that begins with prefix, on top of what is counted. */
int census_take(struct census *c, struct store *s, const char *prefix);
/* "hot", "cold", "cold or thawing" ...; "" where there are no classes. */
const char *census_state(const struct census_group *g);
/* Of a month of it, nano; 0 without prices. */
uint64_t census_month(const struct census *c, const struct census_group *g);
/* The price of its class, STANDARD's for one that the table has not. */
const struct price_class *census_class(const struct price_table *t,
    const char *class_name);

#endif
