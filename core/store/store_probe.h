/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store can do, found out by trying it.
 *
 * Everything that is put for this has a name below "probe/", which all else
 * passes over, or is a put that the server must refuse for its body, and is
 * deleted again where that is allowed.
 */
#ifndef FIRN_STORE_STORE_PROBE_H
#define FIRN_STORE_STORE_PROBE_H

#include "store/store.h"

#define STORE_PROBE_PREFIX	"probe/"

/* What becomes of a put that asks for there being no such object yet. */
enum store_conditional {
	STORE_COND_UNKNOWN,
	STORE_COND_YES,		/* of many one succeeds, and knows */
	STORE_COND_IGNORED,	/* every one succeeds */
	STORE_COND_REFUSED	/* none does */
};

/* Tried with two small puts, once a handle, and kept.  Logged. */
int store_conditional(struct store *s, enum store_conditional *out);

/* The same as far as it is known; asks nothing. */
enum store_conditional store_conditional_known(struct store *s);

/* Whose credentials they are meant to be. */
enum store_role {
	STORE_ROLE_OWNER,	/* all but deleting "config" */
	STORE_ROLE_READER,	/* reads all, writes nothing */
	STORE_ROLE_WRITER	/* a host with a write-only key */
};

enum store_grade {
	STORE_OK,
	STORE_FACT,		/* neither good nor bad */
	STORE_WARNING,		/* firn works; the operator should know */
	STORE_MISSING		/* the role cannot do its work */
};

struct store_finding {
	const char *check;	/* a word: "list" */
	enum store_grade grade;
	const char *text;	/* what was found */
	const char *grant;	/* what would grant it, or NULL */
	const char *without;	/* what firn does as it is, or NULL */
	const char *unit;	/* of value, or NULL for none */
	double value;
};

struct store_probe_conf {
	enum store_role role;
	int classes;		/* put a tiny object in each storage class */
	void (*found)(void *ctx, const struct store_finding *f);
	void *ctx;
};

/*
 * Examine the store, and tell each finding as it is made.  What is missing is
 * a finding and no failure: -ECANCELED, -ENOMEM, -EIO (no random bytes).
 * *readable says that "config" may be read, if there is one.
 */
int store_probe(struct store *s, const struct store_probe_conf *conf,
    int *readable);

#endif
