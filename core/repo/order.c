/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "repo/order.h"
#include "repo/reader_run.h"

#define PROVEN		(512u << 10)	/* bytes; a file this small is no use */
#define SLACK		(4u << 20)	/* how far reads overtake each other */
#define SMALL		(128u << 10)	/* reads of more pay for whole cells */

static int
is_near(const struct order *o, uint64_t off)
{
	return o->used > 0 && off <= o->next + SLACK && off + SLACK >= o->next;
}

/* The one that a read goes on with, that which ends there first of all; or the
 * one that was not used for longest, which the read is to begin anew. */
static struct order *
order_find(struct orders *os, uint64_t off, int *near)
{
	struct order *o, *best = NULL, *oldest = &os->order[0];
	unsigned i;

	for (i = 0; i < ORDERS; i++) {
		o = &os->order[i];
		if (is_near(o, off) && (best == NULL || o->next == off))
			best = o;
		if (o->used < oldest->used)
			oldest = o;
	}
	*near = best != NULL;
	return best != NULL ? best : oldest;
}

/* Add a read to an order that it is near; 0 when that makes more gaps than
 * reads. */
static int
order_goes_on(struct order *o, uint64_t off, uint64_t len)
{
	uint64_t begin = off < o->begin ? off : o->begin;
	uint64_t next = off + len > o->next ? off + len : o->next;

	if ((o->got + len) * 2 < next - begin)
		return 0;
	o->begin = begin;
	o->next = next;
	o->got += len;
	return 1;
}

/* What of a file to fetch ahead of a proven order. */
static void
look_ahead(struct order *o, uint64_t size, struct outlook *out)
{
	uint64_t window = o->got * 2 < READER_RUN_BYTES ? o->got * 2 :
	    READER_RUN_BYTES;

	if (o->asked < o->next)
		o->asked = o->next;
	/* As soon as a request's worth is missing: those asked for together end
	 * together, and then the line would wait for the next ones. */
	if (o->busy || o->asked >= size ||
	    o->asked > o->next + window - window / 4)
		return;
	out->from = o->asked;
	out->to = o->next + window < size ? o->next + window : size;
	out->serial = o->serial;
	o->busy = 1;
}

struct outlook
orders_step(struct orders *os, uint64_t off, uint64_t len, uint64_t size)
{
	struct outlook out = { ORDER_OPEN, 0, 0, 0 };
	struct order *o;
	int near;

	o = order_find(os, off, &near);
	os->clock++;
	if (!near || !order_goes_on(o, off, len)) {
		*o = (struct order){ .serial = os->clock, .begin = off,
		    .next = off + len, .got = len, .asked = off + len };
		if (off > 0 && len <= SMALL)
			out.kind = ORDER_NONE;
	}
	o->used = os->clock;
	if (o->got > PROVEN) {
		out.kind = ORDER_PROVEN;
		look_ahead(o, size, &out);
	}
	return out;
}

void
orders_asked(struct orders *os, const struct outlook *out, uint64_t until)
{
	struct order *o;
	unsigned i;

	for (i = 0; i < ORDERS; i++) {
		o = &os->order[i];
		if (o->used == 0 || o->serial != out->serial)
			continue;
		o->busy = 0;
		if (o->asked >= out->from && until > o->asked)
			o->asked = until;
	}
}
