/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injected failures around a store.  The inner store checks names and does the
 * accounting; this one only decides.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_fault.h"
#include "store/store_internal.h"

struct fault {
	struct store base;
	struct store_fault_conf conf;
	atomic_uint_least64_t calls;
	atomic_uint_least64_t hits;
};

/* What is to happen to this call. */
static enum store_fault_kind
fault_pick(struct fault *f, enum store_verb verb, const char *name)
{
	const struct store_fault_conf *c = &f->conf;
	uint64_t n, every;

	if ((c->verbs & STORE_FAULT_VERB(verb)) == 0 || (c->prefix != NULL &&
	    strncmp(name, c->prefix, strlen(c->prefix)) != 0))
		return STORE_FAULT_NONE;
	n = atomic_fetch_add(&f->calls, 1) + 1;
	if (c->kind == STORE_FAULT_NONE || c->nth == 0 || n < c->nth)
		return STORE_FAULT_NONE;
	every = c->every > 0 ? (uint64_t)c->every : UINT64_MAX;
	if ((n - c->nth) % every != 0)
		return STORE_FAULT_NONE;
	atomic_fetch_add(&f->hits, 1);
	return c->kind;
}

static int
fault_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags)
{
	struct fault *f = (struct fault *)s;
	enum store_fault_kind kind = fault_pick(f, STORE_PUT, name);
	int err;

	if (kind == STORE_FAULT_FAIL)
		return f->conf.err;
	err = store_put(s->below, name, data, len, sha256, flags);
	return err == 0 && kind == STORE_FAULT_COMMIT ? f->conf.err : err;
}

static int
fault_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct fault *f = (struct fault *)s;
	enum store_fault_kind kind = fault_pick(f, STORE_GET, name);
	int err;

	if (kind == STORE_FAULT_FAIL || kind == STORE_FAULT_COMMIT)
		return f->conf.err;
	err = store_get(s->below, name, off, buf, len, got);
	if (err == 0 && kind == STORE_FAULT_SHORT)
		*got /= 2;
	if (err == 0 && kind == STORE_FAULT_CORRUPT && *got > 0)
		((uint8_t *)buf)[*got / 2] ^= 0x10;
	return err;
}

/* Verbs that have nothing to spoil. */
static int
fault_fails(struct fault *f, enum store_verb verb, const char *name)
{
	enum store_fault_kind kind = fault_pick(f, verb, name);

	return kind == STORE_FAULT_FAIL || kind == STORE_FAULT_COMMIT;
}

static int
fault_stat(struct store *s, const char *name, struct store_stat *out)
{
	struct fault *f = (struct fault *)s;

	return fault_fails(f, STORE_STAT, name) ? f->conf.err :
	    store_stat(s->below, name, out);
}

static int
fault_list(struct store *s, const char *prefix, int state,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	struct fault *f = (struct fault *)s;

	if (fault_fails(f, STORE_LIST, prefix))
		return f->conf.err;
	return state ? store_list_state(s->below, prefix, fn, ctx) :
	    store_list(s->below, prefix, fn, ctx);
}

static int
fault_thaw(struct store *s, const char *name, enum store_thaw_tier tier,
    unsigned days)
{
	struct fault *f = (struct fault *)s;
	enum store_fault_kind kind = fault_pick(f, STORE_THAW, name);
	int ret;

	if (kind == STORE_FAULT_FAIL)
		return f->conf.err;
	ret = store_thaw(s->below, name, tier, days);
	return ret >= 0 && kind == STORE_FAULT_COMMIT ? f->conf.err : ret;
}

static int
fault_set_class(struct store *s, const char *name, const char *class_name)
{
	struct fault *f = (struct fault *)s;
	enum store_fault_kind kind = fault_pick(f, STORE_COPY, name);
	int err;

	if (kind == STORE_FAULT_FAIL)
		return f->conf.err;
	err = store_set_class(s->below, name, class_name);
	return err == 0 && kind == STORE_FAULT_COMMIT ? f->conf.err : err;
}

static int
fault_del(struct store *s, const char *name)
{
	struct fault *f = (struct fault *)s;
	enum store_fault_kind kind = fault_pick(f, STORE_DEL, name);
	int err;

	if (kind == STORE_FAULT_FAIL)
		return f->conf.err;
	err = store_del(s->below, name);
	return err == 0 && kind == STORE_FAULT_COMMIT ? f->conf.err : err;
}

static void
fault_close(struct store *s)
{
	store_close(s->below);
	store_release(s);
	free(s);
}

static const struct store_ops fault_ops = {
	.close = fault_close,
	.put = fault_put,
	.get = fault_get,
	.stat = fault_stat,
	.list = fault_list,
	.del = fault_del,
	.thaw = fault_thaw,
	.set_class = fault_set_class,
};

int
store_fault_wrap(struct store *inner, const struct store_fault_conf *conf,
    struct store **out)
{
	struct fault *f = calloc(1, sizeof(*f));
	int err;

	*out = NULL;
	if (f == NULL)
		return -ENOMEM;
	err = store_init(&f->base, &fault_ops, store_url(inner));
	if (err != 0) {
		free(f);
		return err;
	}
	f->base.below = inner;
	f->conf = *conf;
	*out = &f->base;
	return 0;
}

void
store_fault_set(struct store *s, const struct store_fault_conf *conf)
{
	struct fault *f = (struct fault *)s;

	f->conf = *conf;
	atomic_store(&f->calls, 0);
	atomic_store(&f->hits, 0);
}

uint64_t
store_fault_calls(const struct store *s)
{
	return atomic_load(&((const struct fault *)s)->calls);
}

uint64_t
store_fault_hits(const struct store *s)
{
	return atomic_load(&((const struct fault *)s)->hits);
}
