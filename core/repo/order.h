/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a file is being read, as far as the reads so far tell: in order by some
 * readers, or here and there.  Pure; the caller locks.
 *
 * A read that is near where an earlier one ended goes on with it: the kernel
 * reads ahead with several requests, which overtake each other.  Those that leave
 * more out than they read are no order, however near.
 */
#ifndef FIRN_REPO_ORDER_H
#define FIRN_REPO_ORDER_H

#include <stdint.h>

#define ORDERS		8	/* readers of one file that are told apart */

/* One reader, or what looks like one. */
struct order {
	uint64_t used;		/* clock; 0: slot not in use */
	uint64_t serial;	/* another one has another */
	uint64_t begin, next;	/* where its reads lie */
	uint64_t got;		/* bytes of them */
	uint64_t asked;		/* until here it was fetched ahead */
	int busy;		/* somebody does that just now */
};

/* All zero at first. */
struct orders {
	struct order order[ORDERS];
	uint64_t clock;
};

enum order_kind {
	ORDER_OPEN,		/* may become either */
	ORDER_PROVEN,		/* one of many in order */
	ORDER_NONE		/* here and there */
};

struct outlook {
	enum order_kind kind;
	uint64_t from, to;	/* to be fetched ahead; nothing when to is 0 */
	uint64_t serial;	/* for orders_asked() then */
};

/* To be called for each read of len bytes at off of a file of this size. */
struct outlook orders_step(struct orders *os, uint64_t off, uint64_t len,
    uint64_t size);
/* Fetching ahead is done, and was asked for until there; in any case exactly
 * once after an outlook that had something to fetch. */
void orders_asked(struct orders *os, const struct outlook *o, uint64_t until);

#endif
