/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects of a list, loaded several at a time and handed out in the order
 * of the list.  A repository has a record for each generation and some index
 * segments for each backup: one after the other, over a network, a thousand of
 * them take a thousand round trips.
 *
 * Used by one thread; the store is called from others meanwhile.  Memory:
 * PREFETCH_AHEAD objects of at most PREFETCH_SIZE.
 */
#ifndef FIRN_REPO_PREFETCH_H
#define FIRN_REPO_PREFETCH_H

#include <stddef.h>

#include "base/buf.h"
#include "store/store.h"

#define PREFETCH_SIZE	((size_t)256 << 10)	/* bytes of a small object */
#define PREFETCH_AHEAD	32			/* objects */

struct prefetch;

/* Name the i-th object; from any thread, must not block. */
typedef void prefetch_name(void *ctx, size_t i,
    char name[STORE_NAME_MAX + 1]);

/* Begin with the first ones of n.  Both store and ctx are used until
 * prefetch_free(). */
int prefetch_new(struct store *store, prefetch_name *name, void *ctx, size_t n,
    struct prefetch **out);
/*
 * The next one of the list, as store_load() does it: failures are logged by
 * this call, so those of objects that nobody came to are not.  One that is not
 * small is loaded here.  Not to be called more than n times.
 */
int prefetch_next(struct prefetch *p, struct buf *out);
/* Waits for what is on its way.  NULL is fine. */
void prefetch_free(struct prefetch *p);

#endif
