/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What store/store.h promises, as tests that every implementation passes.
 */
#ifndef FIRN_TESTS_STORE_CONTRACT_H
#define FIRN_TESTS_STORE_CONTRACT_H

#include "store/store.h"

struct store_contract {
	/* A place that holds nothing; each call another one. */
	int (*make)(void *ctx);
	/* A handle onto the place made last. */
	int (*open)(void *ctx, struct store **out);
	/* The place may go; all handles are closed. */
	void (*unmake)(void *ctx);
	void *ctx;
};

/* Runs them as a group of this name; the number that failed. */
int store_contract_run(const char *name, const struct store_contract *c);

/* Deletes every object a store holds. */
int store_contract_empty(struct store *s);

#endif
