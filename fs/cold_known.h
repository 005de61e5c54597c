/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mount learnt a moment ago of packs, for those who only want to know:
 * `getfattr -R` asks for each file, and many files lie in a pack.  Kept for
 * KNOWN_SECONDS; one thread asks the store at a time, and the others find what
 * it learnt, or that the store does not answer.
 */
#ifndef FIRN_FS_COLD_KNOWN_H
#define FIRN_FS_COLD_KNOWN_H

#include <time.h>

#include "repo/packset.h"

struct repo;
struct cold_known;

#define KNOWN_SECONDS	5

int cold_known_new(struct cold_known **out);
void cold_known_free(struct cold_known *k);

/* As thaw_look(), of all packs of the set, but not newer than KNOWN_SECONDS. */
int cold_known_look(struct cold_known *k, struct repo *r, struct packset *s);
/* What a look found out otherwise that began then (monotonic), of those that
 * are PACK_LOOKED. */
void cold_known_note(struct cold_known *k, const struct packset *s,
    time_t began);

#endif
