/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up which packs can be read now, by listing: one request for 1,000
 * packs that are in the store, or one a pack where that is less.  Only packs
 * whose state the listing does not tell are asked for one by one.
 */
#ifndef FIRN_REPO_THAW_LOOK_H
#define FIRN_REPO_THAW_LOOK_H

#include "repo/packset.h"

struct repo;

/*
 * Bring state, class, expiry and PACK_SEEN of data packs up to date; with
 * `pending` of those alone that are PACK_NEEDED and were not readable.  Blocks.
 * The store's error; what was learned until then stays, and PACK_SEEN of what
 * was not seen by then.
 */
int thaw_look(struct repo *r, struct packset *s, int pending);

/*
 * For a set of which nothing is known, all PACK_NEEDED, where more of what is
 * in the store will be asked about soon: as many requests at most, but each
 * lists what lies about a pack, as much as fits into an answer, and that is
 * added to the set.  What is added may be PACK_UNSURE.
 */
int thaw_look_near(struct repo *r, struct packset *s);

#endif
