/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thaw asks for, takes and costs, before anything is spent.  Pure.
 */
#ifndef FIRN_REPO_THAW_QUOTE_H
#define FIRN_REPO_THAW_QUOTE_H

#include "repo/packset.h"
#include "store/price.h"

/* How a thaw is asked for. */
struct thaw_wish {
	enum store_thaw_tier tier;
	unsigned days;		/* that a copy is to last, from now, 1 .. */
	unsigned keep;		/* renew a copy that ends within so many
				   seconds; 0: within the days */
	int once;		/* never renew a copy, whatever `keep` */
	int hasten;		/* ask also where the tier of a thaw in
				   progress is not known here */
};
#define THAW_DAYS_MAX	3650

enum thaw_need {
	THAW_READY,	/* readable, for as long as is wanted */
	THAW_ASK,	/* cold: ask for a copy */
	THAW_RENEW,	/* a copy is there that ends too early */
	THAW_HASTEN,	/* in progress, at a slower tier than is wished for and
			   its class has */
	THAW_RUNNING,	/* in progress */
	THAW_GONE,	/* the store does not have it */
	THAW_NEEDS
};

/* What a pack needs so that the wish comes true.  now: wall clock. */
enum thaw_need thaw_need(const struct packset *s, const struct pack_info *p,
    const struct thaw_wish *wish, time_t now);
/* INTELLIGENT_TIERING: what is thawed is hot from then on, at no price. */
int thaw_is_for_good(const struct packset *s, const struct pack_info *p);

/*
 * Nano of the table's currency for asking for one pack, which needs this: of
 * THAW_ASK the request, what is retrieved and the days of the copy; of
 * THAW_RENEW the request and what its days are past the end that it has, all of
 * them where that is not known; of THAW_HASTEN the request and what retrieving
 * costs more than at the slower tier, all of it where that is not known.
 * Nothing without a table, or for a class that it does not have.
 */
struct thaw_price {
	uint64_t request, retrieval, copy;
};
void thaw_price(const struct packset *s, const struct pack_info *p,
    enum thaw_need need, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_price *out);

struct thaw_count {
	uint64_t packs, bytes;
};

struct thaw_quote_tier {
	int offered;		/* for each class that has cold packs here */
	unsigned seconds;	/* at most, as S3 promises */
	/* Nano of the table's currency: sums of thaw_price(); sum is all but
	 * transfer. */
	uint64_t requests;
	uint64_t retrieval;
	uint64_t copies;	/* for days, in STANDARD */
	uint64_t gets;		/* of reading it, in requests of 4 MiB */
	uint64_t sum;
};

struct thaw_quote {
	struct thaw_count all;			/* PACK_NEEDED */
	struct thaw_count need[THAW_NEEDS];
	struct thaw_quote_tier tier[STORE_THAW_TIERS];
	uint64_t transfer;	/* of all that is needed, over the Internet */
	int priced;		/* there is a table, and it knows the classes */
};

/*
 * Of the packs of a set that are PACK_NEEDED.  t may be NULL.  wish->tier says
 * nothing here: each tier is reckoned as if it were wished for.
 */
void thaw_quote(const struct packset *s, const struct price_table *t,
    const struct thaw_wish *wish, time_t now, struct thaw_quote *out);

#endif
