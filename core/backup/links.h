/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with several names, remembered until the last name was seen.  Bounded:
 * when full, new ones are not remembered, and their further names are then
 * read again, which dedup makes cost time and nothing else.  Not thread-safe.
 */
#ifndef FIRN_BACKUP_LINKS_H
#define FIRN_BACKUP_LINKS_H

#include <stddef.h>
#include <stdint.h>

/* What the walker remembers: some 60,000 files at once. */
#define LINKS_MEMORY (4u << 20)

struct links;

/* memory: bytes that it may take. */
int links_new(size_t memory, struct links **out);
void links_free(struct links *l);
/* Remember `len` bytes under two numbers; 0 also when there is no room. */
int links_add(struct links *l, uint64_t a, uint64_t b, const void *data,
    size_t len);
/* What was remembered, or NULL; valid until the next call that changes l. */
void *links_get(struct links *l, uint64_t a, uint64_t b, size_t *len);
void links_del(struct links *l, uint64_t a, uint64_t b);

#endif
