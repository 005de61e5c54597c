/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store costs: a table of prices, and sums by it.
 *
 * A table is a text; data/prices.conf says what stands in it, is installed,
 * and is built in for where it is not.  Prices of a table go out of date, so
 * whoever shows a sum shows the table's name and date with it.
 *
 * Amounts are integers, in billionths ("nano") of the table's currency, so
 * sums are exact but for one rounding up in each call; what would be too large
 * is UINT64_MAX.  A GB is 2^30 bytes, a month is 30 days.
 *
 * All but price_load() and price_for() is pure.
 */
#ifndef FIRN_STORE_PRICE_H
#define FIRN_STORE_PRICE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define PRICE_CLASSES	24
#define PRICE_NAME	64	/* bytes of texts, with the NUL */
#define PRICE_FILE_MAX	(64u << 10)
#define PRICE_WHY	128
#define PRICE_TEXT	32

/* In the order of enum store_thaw_tier. */
enum price_tier { PRICE_EXPEDITED, PRICE_STANDARD, PRICE_BULK, PRICE_TIERS };

struct price_class {
	char name[PRICE_NAME];	/* as S3 names a storage class */
	/* nano for 1,000 */
	uint64_t put;
	uint64_t get;
	uint64_t transition;
	uint64_t monitoring;	/* objects and a month */
	/* nano for a GB */
	uint64_t upload;
	uint64_t storage;	/* and a month */
	uint64_t retrieval;
	struct price_thaw {
		int offered;	/* a price stands there, 0 also */
		uint64_t gb;
		uint64_t requests;	/* 1,000 */
	} thaw[PRICE_TIERS];	/* none offered: it is not archived */
	/* days, bytes */
	uint64_t days;
	uint64_t minimum;
	uint64_t overhead;
	uint64_t overhead_standard;
};

struct price_table {
	char name[PRICE_NAME];
	char date[PRICE_NAME];	/* 2026-11-20 */
	char source[PRICE_NAME * 2];
	char currency[PRICE_NAME];
	uint64_t egress;	/* nano for a GB */
	struct price_class class[PRICE_CLASSES];	/* STANDARD is one */
	size_t nclasses;
};

/* Read a table.  Total.  -EINVAL with what and where in why. */
int price_decode(const void *text, size_t len, struct price_table *out,
    char why[PRICE_WHY]);

/*
 * From this file: what is wrong with it is -errno, logged.  NULL: from the
 * installed one; when that is missing, or wrong (a warning), the one built in.
 */
int price_load(const char *path, struct price_table *out);
extern const char price_builtin[];	/* made from data/prices.conf */

/*
 * By what to reckon a store: 1 and the table; 0 when it costs nothing (a local
 * one), or nobody knows what (an S3 that is not Amazon's, and no path); -errno
 * as price_load().  path NULL: FIRN_PRICES.
 */
int price_for(const struct store *s, const char *path,
    struct price_table *out);

/* Of this name, or NULL. */
const struct price_class *price_find(const struct price_table *t,
    const char *name);
const struct price_class *price_standard(const struct price_table *t);

/* Of `n` at a price for 1,000, of `bytes` at a price for a GB. */
uint64_t price_count(uint64_t per_1000, uint64_t n);
uint64_t price_bytes(uint64_t per_gb, uint64_t bytes);
/* a + b, or UINT64_MAX. */
uint64_t price_add(uint64_t a, uint64_t b);

/*
 * What was done so far, objects and their data being of class c, copies being
 * into it.  Of thaws the requests only, where c has them: how many bytes they
 * are for the counters do not know, see price_thaw().  Transfer is what came in,
 * as if over the Internet; within the store's region it is free.
 */
struct price_run {
	uint64_t requests;	/* and GBs put and got, where they cost */
	uint64_t transfer;
};
void price_run(const struct price_table *t, const struct price_class *c,
    const struct store_counters *done, struct price_run *out);

/* Bytes that an object of this size is paid for, overhead aside. */
uint64_t price_billable(const struct price_class *c, uint64_t size);
/* Of a month of `objects` with billable bytes together. */
uint64_t price_month(const struct price_table *t, const struct price_class *c,
    uint64_t objects, uint64_t billable);
/* Of the days that are left when they go at this age, 0 past c->days. */
uint64_t price_early(const struct price_table *t, const struct price_class *c,
    uint64_t objects, uint64_t billable, uint64_t age_days);
/* Of a readable copy in STANDARD. */
uint64_t price_copy(const struct price_table *t, uint64_t bytes,
    uint64_t seconds);
/* Of having them readable for some days.  -ENOTSUP: this class does not offer
 * the tier. */
int price_thaw(const struct price_table *t, const struct price_class *c,
    enum price_tier tier, uint64_t objects, uint64_t bytes, uint64_t days,
    uint64_t *out);

/* An amount as a person writes it, "12", "0.0025": up to nine digits behind the
 * point.  -EINVAL. */
int price_parse(const char *text, uint64_t *out);
/* "0.0025", "12.30": two digits behind the point at least, nine at most. */
const char *price_text(uint64_t nano, char out[PRICE_TEXT]);

#endif
