/* SPDX-License-Identifier: Apache-2.0 */
/* Reading index segments from the store, piece by piece. */
#ifndef FIRN_REPO_SEGMENT_READ_H
#define FIRN_REPO_SEGMENT_READ_H

#include "format/segment.h"
#include "repo/repo.h"

/* Read [off, off + len) of an object whole; short is -FIRN_ECORRUPT. */
int object_read(struct repo *r, const char *name, uint64_t off, size_t len,
    uint8_t *buf);

/* A segment in the store, or its bytes where somebody has loaded it. */
struct segment_object {
	struct repo *repo;
	const char *name;
	uint64_t size;
	const uint8_t *bytes;	/* all of it, or NULL */
};

/* head is to be released after success only. */
int segment_head_read(const struct segment_object *o,
    struct segment_head *head);
/* All pages in order; what fn returns but 0 ends it and is returned. */
int segment_pages_read(const struct segment_object *o,
    const struct segment_head *head, int (*fn)(void *ctx,
    const struct segment_entry *entries, size_t n), void *ctx);

#endif
