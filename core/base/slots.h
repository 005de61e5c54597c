/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of 1 MiB each, for what is filled, kept and dropped without end: frames
 * that were opened, cells of packs.
 *
 * Two lie in a large page (base/pages.h), so that touching both costs one fault
 * where 512 would be taken, and what is given back stays with the process as far
 * as `spare` goes.  malloc(3) does neither: it maps each one afresh, or keeps it
 * among small things, where it leaves holes.  All calls from any thread.
 */
#ifndef FIRN_BASE_SLOTS_H
#define FIRN_BASE_SLOTS_H

#include <stddef.h>

#define SLOT_SIZE	((size_t)1 << 20)

struct slots;

/* Keeps up to `spare` bytes that nobody has.  -ENOMEM. */
int slots_new(size_t spare, struct slots **out);
/* All of them have been given back. */
void slots_free(struct slots *s);
/* One, at a page's boundary, not initialised; NULL without memory. */
void *slots_take(struct slots *s);
/* Takes one back, once; NULL is fine. */
void slots_give(struct slots *s, void *slot);
/* Bytes that are taken or kept. */
size_t slots_held(struct slots *s);

#endif
