/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of block ids by their first 16 bytes that forgets: its memory is
 * fixed, and an id may push out another one.  It never says that it has what
 * was not added.  Ids are uniform, so they are their own hash.  Not
 * thread-safe.
 */
#ifndef FIRN_REPO_IDLOSSY_H
#define FIRN_REPO_IDLOSSY_H

#include <stddef.h>
#include <stdint.h>

struct idlossy;

/* Room for this many ids, a power of two; 16 bytes each, of which untouched
 * pages cost nothing. */
int idlossy_new(size_t slots, struct idlossy **out);
void idlossy_free(struct idlossy *s);
int idlossy_has(const struct idlossy *s, const uint8_t *id);
void idlossy_add(struct idlossy *s, const uint8_t *id);

#endif
