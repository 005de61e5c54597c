/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What implementations of a store share.  `struct store` is the first member
 * of the implementation's own struct; store.c dispatches through its ops after
 * checking names and cancellation, so that ops see only valid names, lengths
 * above zero for get, and data that is not NULL.
 */
#ifndef FIRN_STORE_STORE_INTERNAL_H
#define FIRN_STORE_STORE_INTERNAL_H

#include <stdatomic.h>

#include "store/store.h"
#include "store/store_lifecycle.h"
#include "store/store_probe.h"

struct probe;

struct store_ops {
	/* Frees the implementation's struct; may be entered after a failed
	 * open.  Calls store_release(). */
	void (*close)(struct store *s);
	int (*put)(struct store *s, const char *name, const void *data,
	    size_t len, const uint8_t *sha256, unsigned flags);
	int (*get)(struct store *s, const char *name, uint64_t off, void *buf,
	    size_t len, size_t *got);
	int (*stat)(struct store *s, const char *name, struct store_stat *out);
	/* With `state`, of archived objects too. */
	int (*list)(struct store *s, const char *prefix, int state,
	    int (*fn)(void *, const char *, const struct store_stat *),
	    void *ctx);
	int (*del)(struct store *s, const char *name);
	/* NULL: it has no archive, or no classes. */
	int (*set_tier)(struct store *s, const char *class_name);
	const char *(*tier)(const struct store *s);
	int (*thaw)(struct store *s, const char *name,
	    enum store_thaw_tier tier, unsigned days);
	int (*set_class)(struct store *s, const char *name,
	    const char *class_name);
	/* See store_lifecycle.h; NULL: it has none. */
	int (*lifecycle_get)(struct store *s, struct store_lifecycle *out);
	int (*lifecycle_set)(struct store *s, const char *class_name,
	    unsigned days, struct store_lifecycle *out);
	/* See store_probe.h; NULL: it always can. */
	int (*conditional)(struct store *s, enum store_conditional *out);
	enum store_conditional (*conditional_known)(struct store *s);
	int (*probe)(struct store *s, struct probe *p);
};

struct store {
	const struct store_ops *ops;
	struct store *below;	/* what a wrapper wraps; its own; or NULL */
	char *url;
	char *local_path;	/* or NULL */
	int is_aws;
	struct store_stop *stop;	/* that it was opened with, or NULL */
	atomic_int canceled;	/* back to 0 by store_resume() only */
	atomic_uint_least64_t requests[STORE_VERBS];
	atomic_uint_least64_t errors[STORE_VERBS];
	atomic_uint_least64_t bytes_in;
	atomic_uint_least64_t bytes_out;
	atomic_uint_least64_t retries;
	atomic_uint_least64_t throttled;
	atomic_uint_least64_t hedges;
	atomic_uint_least64_t hedges_won;
	atomic_uint_least64_t window;
	atomic_uint_least64_t thaws[STORE_THAW_TIERS];
};

/* Copies url; -ENOMEM. */
int store_init(struct store *s, const struct store_ops *ops, const char *url);
void store_release(struct store *s);

/* Account one request as sent.  "Not found", "exists" and "nothing behind this
 * offset" (-ERANGE) are answers, no errors. */
void store_note(struct store *s, enum store_verb verb, int err, uint64_t in,
    uint64_t out);

static inline int
store_is_canceled(struct store *s)
{
	return atomic_load_explicit(&s->canceled, memory_order_relaxed);
}

/* Whether `len` bytes are a name, see store.h. */
int store_name_ok(const char *name, size_t len);

/* Implementations.  `url` as given by the user; failures are logged. */
int store_local_open(const char *url, const char *path, int create,
    struct store **out);
int store_s3_open(const char *url, const struct store_conf *conf,
    struct store **out);

#endif
