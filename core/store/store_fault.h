/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that fails on order, around another one; for torture tests.
 *
 * Calls of the verbs in `verbs` are counted from 1, over all threads; those
 * that `nth` and `every` choose fail in the way `kind` says.  Injected
 * failures are not logged.  All other calls pass through.
 */
#ifndef FIRN_STORE_STORE_FAULT_H
#define FIRN_STORE_STORE_FAULT_H

#include "store/store.h"

enum store_fault_kind {
	STORE_FAULT_NONE,	/* count only */
	STORE_FAULT_FAIL,	/* return err, do nothing */
	STORE_FAULT_COMMIT,	/* put, del: do it, then return err all the
				 * same; other verbs as FAIL */
	STORE_FAULT_SHORT,	/* get: half the bytes, as if the object ended
				 * there */
	STORE_FAULT_CORRUPT	/* get: one bit of the bytes is flipped */
};

#define STORE_FAULT_VERB(verb)	(1u << (verb))
#define STORE_FAULT_ALL		((1u << STORE_VERBS) - 1)

struct store_fault_conf {
	enum store_fault_kind kind;
	unsigned verbs;		/* of STORE_FAULT_VERB() */
	uint64_t nth;		/* the first call to fail, 1 and up; 0: none */
	int every;		/* 0: it alone; 1: all from it on; K: it and
				 * each K-th after it */
	int err;		/* -errno */
	const char *prefix;	/* only names that begin so; NULL: all.  Must
				 * live as long as it is used. */
};

/* Takes over `inner` when it returns 0; closing `*out` closes it. */
int store_fault_wrap(struct store *inner, const struct store_fault_conf *conf,
    struct store **out);
/* Another plan; the count starts afresh.  Nobody may be in a call. */
void store_fault_set(struct store *s, const struct store_fault_conf *conf);
/* Calls of the chosen verbs, and how many of them were made to fail. */
uint64_t store_fault_calls(const struct store *s);
uint64_t store_fault_hits(const struct store *s);

#endif
