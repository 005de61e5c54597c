/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same for every store: which implementation a URL means, the
 * check of names, cancellation and accounting.
 */
#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "store/s3_class.h"
#include "store/s3_place.h"
#include "store/s3_put_conf.h"
#include "store/store_internal.h"

#define LOAD_FIRST	(64u << 10)	/* one request does for most objects */
#define LOAD_MORE	(4u << 20)

static int
name_byte_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
	    c == '_' || c == '-' || c == 'T' || c == 'Z';
}

static int
component_ok(const char *c, size_t len, int first)
{
	size_t i;

	if (len == 0 || (len == 1 && c[0] == '.') ||
	    (len == 2 && c[0] == '.' && c[1] == '.'))
		return 0;
	if (first && len == 3 && memcmp(c, "tmp", 3) == 0)
		return 0;
	for (i = 0; i < len; i++)
		if (!name_byte_ok(c[i]))
			return 0;
	return 1;
}

int
store_name_ok(const char *name, size_t len)
{
	size_t start = 0, i;

	if (len == 0 || len > STORE_NAME_MAX)
		return 0;
	for (i = 0; i <= len; i++) {
		if (i < len && name[i] != '/')
			continue;
		if (!component_ok(name + start, i - start, start == 0))
			return 0;
		start = i + 1;
	}
	return 1;
}

/* "" and what a name may begin with. */
static int
prefix_ok(const char *prefix)
{
	size_t len = strlen(prefix);

	if (len > 0 && prefix[len - 1] == '/')
		len--;
	else if (len == 0)
		return 1;
	return store_name_ok(prefix, len);
}

int
store_init(struct store *s, const struct store_ops *ops, const char *url)
{
	s->ops = ops;
	s->url = strdup(url);
	return s->url == NULL ? -ENOMEM : 0;
}

void
store_release(struct store *s)
{
	free(s->url);
	free(s->local_path);
	s->url = s->local_path = NULL;
}

void
store_note(struct store *s, enum store_verb verb, int err, uint64_t in,
    uint64_t out)
{
	atomic_fetch_add(&s->requests[verb], 1);
	if (err != 0 && err != -ENOENT && err != -EEXIST && err != -ERANGE)
		atomic_fetch_add(&s->errors[verb], 1);
	atomic_fetch_add(&s->bytes_in, in);
	atomic_fetch_add(&s->bytes_out, out);
}

/* "s3:/BUCKET", "file:/DIR": a slash is missing, or it is a strange path that
 * has to say so with "./". */
static int
url_is_torn(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789");

	return n > 0 && url[n] == ':' && (url[n + 1] == '/' ||
	    (strncmp(url, "s3", n) == 0 && url[n + 1] != '\0'));
}

/* Which store a URL means: *dir is the local directory, or NULL for S3. */
static int
url_look(const char *url, const char **dir)
{
	const char *scheme = strstr(url, "://");

	*dir = NULL;
	if (url[0] == '\0')
		return log_plain(-EINVAL, "the repository's URL is empty");
	if (strncmp(url, "s3://", 5) == 0)
		return 0;
	*dir = url;
	if (strncmp(url, "file://", 7) == 0) {
		*dir = url + 7;
		return url[7] == '/' ? 0 : log_plain(-EINVAL, "'%s' names "
		    "another host; write file:///DIR", url);
	}
	if (scheme != NULL && strcspn(url, "/") > (size_t)(scheme - url))
		return log_plain(-EINVAL, "'%s' is no URL of a store; known are "
		    "s3://BUCKET/PREFIX, file:///DIR and a path", url);
	if (url_is_torn(url))
		return log_plain(-EINVAL, "'%s' is no URL of a store; write "
		    "s3://BUCKET/PREFIX or file:///DIR, or ./%s if that is a "
		    "path", url, url);
	return 0;
}

static int
open_url(const char *url, const struct store_conf *conf, int create,
    struct store **out)
{
	const char *dir;
	int err = url_look(url, &dir);

	if (err != 0)
		return err;
	return dir == NULL ? store_s3_open(url, conf, out) :
	    store_local_open(url, dir, create, out);
}

int
store_check(const char *url, const struct store_conf *conf)
{
	struct s3_put_conf put;
	const char *dir;
	int err;

	err = url_look(url, &dir);
	if (err == 0 && dir == NULL)
		err = s3_place_check(url, conf);
	if (err == 0) {
		err = s3_put_conf_init(&put, conf);
		s3_put_conf_release(&put);
	}
	return err;
}

/* From here on a handler may cancel it; what came before counts as well. */
static void
stop_attach(struct store *s, struct store_stop *stop)
{
	s->stop = stop;
	atomic_store(&stop->store, s);
	if (atomic_load(&stop->stopped))
		store_cancel(s);
}

/* No handler knows it when this returns.  One that runs on this thread has
 * ended by the time that we look; others do in a moment. */
static void
stop_detach(struct store *s)
{
	struct store *expected = s;

	if (s->stop == NULL)
		return;
	atomic_compare_exchange_strong(&s->stop->store, &expected, NULL);
	while (atomic_load(&s->stop->handlers) > 0)
		sched_yield();
	s->stop = NULL;
}

void
store_stop_fire(struct store_stop *stop)
{
	struct store *s;

	atomic_store(&stop->stopped, 1);
	atomic_fetch_add(&stop->handlers, 1);
	s = atomic_load(&stop->store);
	if (s != NULL)
		store_cancel(s);
	atomic_fetch_sub(&stop->handlers, 1);
}

int
store_open(const char *url, const struct store_conf *conf, int create,
    struct store **out)
{
	static const struct store_conf none = STORE_CONF_DEFAULT;
	int err;

	*out = NULL;
	if (conf == NULL)
		conf = &none;
	err = open_url(url, conf, create, out);
	if (err == 0 && conf->stop != NULL)
		stop_attach(*out, conf->stop);
	return err;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	stop_detach(s);
	s->ops->close(s);
}

const char *
store_url(const struct store *s)
{
	return s->url;
}

const char *
store_local_path(const struct store *s)
{
	for (; s->below != NULL; s = s->below)
		continue;
	return s->local_path;
}

int
store_is_aws(const struct store *s)
{
	for (; s->below != NULL; s = s->below)
		continue;
	return s->is_aws;
}

int
store_set_tier(struct store *s, const char *class_name)
{
	if (!s3_class_ok(class_name))
		return log_err(-EINVAL, "'%s' is no name of a storage class",
		    class_name);
	for (; s->below != NULL; s = s->below)
		continue;
	return s->ops->set_tier != NULL ? s->ops->set_tier(s, class_name) : 0;
}

const char *
store_tier(const struct store *s)
{
	for (; s->below != NULL; s = s->below)
		continue;
	return s->ops->tier != NULL ? s->ops->tier(s) : NULL;
}

const char *
store_verb_name(enum store_verb verb)
{
	static const char *const names[] = { "get", "put", "stat", "list",
	    "del", "thaw", "copy" };

	return names[verb];
}

/* What every call asks first. */
static int
begin(struct store *s, int ok, const char *what, const char *name)
{
	if (!ok)
		return log_err(-EINVAL, "'%s' is no %s of an object", name,
		    what);
	return store_is_canceled(s) ? -ECANCELED : 0;
}

static int
begin_name(struct store *s, const char *name)
{
	return begin(s, store_name_ok(name, strlen(name)), "name", name);
}

int
store_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags)
{
	int err = begin_name(s, name);

	assert((flags & ~(STORE_IF_ABSENT | STORE_UNIQUE | STORE_DATA)) == 0);
	if (err != 0)
		return err;
	return s->ops->put(s, name, len == 0 ? "" : data, len, sha256, flags);
}

int
store_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct store_stat st;
	int err = begin_name(s, name);

	*got = 0;
	if (err != 0)
		return err;
	if (off > INT64_MAX - len)	/* past the end of anything */
		len = 0;
	if (len == 0)
		return s->ops->stat(s, name, &st);
	return s->ops->get(s, name, off, buf, len, got);
}

int
store_stat(struct store *s, const char *name, struct store_stat *out)
{
	int err = begin_name(s, name);

	memset(out, 0, sizeof(*out));
	return err != 0 ? err : s->ops->stat(s, name, out);
}

int
store_list(struct store *s, const char *prefix,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	int err = begin(s, prefix_ok(prefix), "prefix", prefix);

	return err != 0 ? err : s->ops->list(s, prefix, 0, fn, ctx);
}

int
store_list_state(struct store *s, const char *prefix,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	int err = begin(s, prefix_ok(prefix), "prefix", prefix);

	return err != 0 ? err : s->ops->list(s, prefix, 1, fn, ctx);
}

int
store_del(struct store *s, const char *name)
{
	int err = begin_name(s, name);

	if (err == 0)
		err = s->ops->del(s, name);
	return err == -ENOENT ? 0 : err;
}

static const char *const thaw_tiers[STORE_THAW_TIERS] = { "expedited",
    "standard", "bulk" };

const char *
store_thaw_tier_name(enum store_thaw_tier tier)
{
	return thaw_tiers[tier];
}

int
store_thaw_tier_parse(const char *text, enum store_thaw_tier *out)
{
	int i;

	for (i = 0; i < STORE_THAW_TIERS; i++)
		if (strcmp(text, thaw_tiers[i]) == 0) {
			*out = (enum store_thaw_tier)i;
			return 0;
		}
	return -EINVAL;
}

int
store_reads_cold(struct store *s, const char *name)
{
	char byte;
	size_t got;
	int err = store_get(s, name, 0, &byte, 1, &got);

	return err == -FIRN_ECOLD ? 0 : err != 0 ? err : 1;
}

int
store_thaw(struct store *s, const char *name, enum store_thaw_tier tier,
    unsigned days)
{
	int err = begin_name(s, name);

	if (err != 0)
		return err;
	if (s->ops->thaw == NULL)
		return log_err(-EOPNOTSUPP, "cannot thaw '%s': '%s' has no "
		    "archive; all that is there can be read", name, s->url);
	return s->ops->thaw(s, name, tier, days);
}

int
store_set_class(struct store *s, const char *name, const char *class_name)
{
	int err = begin_name(s, name);

	if (err != 0)
		return err;
	if (!s3_class_ok(class_name))
		return log_err(-EINVAL, "'%s' is no name of a storage class",
		    class_name);
	if (s->ops->set_class == NULL)
		return log_err(-EOPNOTSUPP, "cannot move '%s' to %s: '%s' has "
		    "no storage classes", name, class_name, s->url);
	return s->ops->set_class(s, name, class_name);
}

int
store_lifecycle_get(struct store *s, struct store_lifecycle *out)
{
	memset(out, 0, sizeof(*out));
	for (; s->below != NULL; s = s->below)
		continue;
	return s->ops->lifecycle_get != NULL ?
	    s->ops->lifecycle_get(s, out) : -EOPNOTSUPP;
}

int
store_lifecycle_set(struct store *s, const char *class_name, unsigned days,
    struct store_lifecycle *out)
{
	memset(out, 0, sizeof(*out));
	for (; s->below != NULL; s = s->below)
		continue;
	if (class_name != NULL && !s3_class_ok(class_name))
		return log_err(-EINVAL, "'%s' is no name of a storage class",
		    class_name);
	return s->ops->lifecycle_set != NULL ?
	    s->ops->lifecycle_set(s, class_name, days, out) :
	    log_err(-EOPNOTSUPP, "'%s' is no bucket, so it has no lifecycle "
	    "rules", s->url);
}

void
store_cancel(struct store *s)
{
	for (; s != NULL; s = s->below)
		atomic_store(&s->canceled, 1);
}

void
store_resume(struct store *s)
{
	for (; s != NULL; s = s->below)
		atomic_store(&s->canceled, 0);
}

void
store_count(struct store *s, struct store_counters *out)
{
	int v;

	for (; s->below != NULL; s = s->below)
		continue;
	for (v = 0; v < STORE_VERBS; v++) {
		out->requests[v] = atomic_load(&s->requests[v]);
		out->errors[v] = atomic_load(&s->errors[v]);
	}
	out->bytes_in = atomic_load(&s->bytes_in);
	out->bytes_out = atomic_load(&s->bytes_out);
	out->retries = atomic_load(&s->retries);
	out->throttled = atomic_load(&s->throttled);
	out->hedges = atomic_load(&s->hedges);
	out->hedges_won = atomic_load(&s->hedges_won);
	out->window = atomic_load(&s->window);
	for (v = 0; v < STORE_THAW_TIERS; v++)
		out->thaws[v] = atomic_load(&s->thaws[v]);
}

/* A piece fetched into the buffer itself; one byte over the ceiling is asked
 * for, so that an object of just the ceiling's size is told from a larger. */
static int
load_piece(struct store *s, const char *name, uint64_t off, size_t want,
    struct buf *out, int *end)
{
	size_t room = out->max - out->len, got;
	uint8_t over;
	int err;

	if (room == 0) {
		err = store_get(s, name, off, &over, 1, &got);
		*end = 1;
		return err == 0 && got > 0 ? log_err(-FIRN_ETOOBIG, "'%s' in "
		    "'%s' has over %zu bytes", name, s->url, out->max) : err;
	}
	want = want < room ? want : room;
	err = buf_reserve(out, want);
	if (err == 0)
		err = store_get(s, name, off, out->data + out->len, want,
		    &got);
	if (err == 0) {
		out->len += got;
		*end = got < want;
	}
	return err;
}

int
store_load(struct store *s, const char *name, struct buf *out)
{
	size_t start = out->len;
	int end = 0, err = buf_err(out);

	while (err == 0 && !end)
		err = load_piece(s, name, out->len - start,
		    out->len == start ? LOAD_FIRST : LOAD_MORE, out, &end);
	if (err != 0)
		out->len = start;
	return err;
}
