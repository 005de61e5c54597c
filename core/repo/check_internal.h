/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_REPO_CHECK_INTERNAL_H
#define FIRN_REPO_CHECK_INTERNAL_H

#include <pthread.h>

#include "format/format.h"
#include "repo/check.h"
#include "repo/generation.h"
#include "repo/repo.h"

/* A pack that a segment names, or the store has, or both. */
struct check_pack {
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t size;		/* in the store */
	uint32_t want;		/* by the segment; 0: no segment lists it */
	uint8_t kind;
	uint8_t present;
	uint8_t bad;		/* its blocks must be tried one by one */
	uint8_t taken_up;	/* not named at first, and in the index now */
};

struct check {
	struct repo *repo;
	const struct check_conf *conf;
	struct check_result *res;
	pthread_mutex_t lock;	/* protects res and the calls to conf */
	struct check_pack *pack;	/* by kind, then id */
	size_t npacks, packs_cap;
	char (*record)[STORE_NAME_MAX + 1];	/* names of records */
	size_t nrecords, records_cap;
	int salvaged;		/* lost packs have blocks that are needed */
	size_t next;		/* protected by lock: to be read next */
	int err;		/* protected by lock: ends the check */
};

void check_problem(struct check *c, const char *object, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The pack in the list, or NULL. */
struct check_pack *check_find(struct check *c, enum pack_kind kind,
    const uint8_t id[OBJECT_ID_SIZE]);
int check_by_id(const void *a, const void *b);
int check_stopped(const struct check *c);
/* Is it there as the index says? */
int check_is_lost(const struct check_pack *p);
/*
 * An object that is named by its SHA-256, whole, in place of what bytes has.
 * *same says whether it is what its name says; what is not was read READ_TRIES
 * times.
 */
int check_load(struct check *c, const char *name,
    const uint8_t id[OBJECT_ID_SIZE], struct buf *bytes, int *same);

/* check_index.c: keys and index segments; loads what the index lacks. */
int check_index(struct check *c);
/* check_pack.c: list them and compare with the index. */
int check_packs(struct check *c);
/* check_read.c: read them. */
int check_read(struct check *c);
/* check_tree.c: names of records; the records and their trees. */
int check_records(struct check *c);
int check_generations(struct check *c);

#endif
