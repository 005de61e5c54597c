/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeating a call until it is decided.
 *
 * Each round: send, read the error document, judge, then either be done, or
 * put right what the verdict names and go round again at once, or wait and go
 * round again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_client_internal.h"
#include "store/s3_verdict.h"

#define TIMEOUT		300	/* seconds, by default */
#define UNREACHED	10	/* seconds for a server that never answered */
#define CONNECTIONS	16
#define CONNECT_SECS	10
#define STALL_SECS	30
#define CALL_MOVES	2	/* to another region, and back if told so */
#define CLIENT_MOVES	8
#define WARN_AFTER	3	/* seconds of an outage */
#define WAIT_RETRY	50	/* ms; the first wait is at most this */
#define WAIT_SLOW	1000
#define WAIT_MAX	20000
#define WAIT_SLICE	50	/* ms between looks at cancel */

/* A call in its rounds. */
struct round {
	struct s3_call *call;
	struct s3_http_reply *rp;
	struct s3_keys keys;		/* of the last request */
	enum s3_http_result result;
	struct s3_error error;
	struct s3_verdict verdict;
	const char *implausible;	/* what check() said */
	unsigned tries;
	unsigned sent;
	int moved, skewed, renewed;	/* so often */
	int64_t start;			/* ms */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The first of them that is set and not empty. */
static const char *
either(const char *given, const char *env1, const char *env2)
{
	const char *s;

	if (given != NULL && given[0] != '\0')
		return given;
	s = getenv(env1);
	if (s == NULL || s[0] == '\0')
		s = getenv(env2);
	return s != NULL && s[0] != '\0' ? s : NULL;
}

static int
client_place(struct s3_client *c, const char *url,
    const struct store_conf *conf)
{
	const char *region = either(conf->region, "AWS_REGION",
	    "AWS_DEFAULT_REGION");
	const char *endpoint = either(conf->endpoint, "AWS_ENDPOINT_URL_S3",
	    "AWS_ENDPOINT_URL");
	const char *why;
	int err = s3_url_init(&c->url, url, region != NULL ? region :
	    "us-east-1", endpoint, conf->path_style, &why);

	return err == 0 ? 0 : log_err(err, "cannot use '%s'%s%s: %s", url,
	    endpoint != NULL ? " at " : "", endpoint != NULL ? endpoint : "",
	    why);
}

static int
client_http(struct s3_client *c, const struct store_conf *conf)
{
	/* A short timeout leaves time to try again after a stall. */
	unsigned stall = c->timeout < 4 ? 1 : c->timeout / 4;
	const struct s3_http_conf http = {
		.connections = conf->connections > 0 ? conf->connections :
		    CONNECTIONS,
		.connect_secs = c->timeout < CONNECT_SECS ? c->timeout :
		    CONNECT_SECS,
		.stall_secs = stall < STALL_SECS ? stall : STALL_SECS,
		.ca_file = either(NULL, "AWS_CA_BUNDLE", "AWS_CA_BUNDLE"),
		.canceled = &c->base->canceled,
	};
	int err = s3_http_new(&http, &c->http);

	return err == 0 ? 0 : log_err(err, "cannot start HTTP");
}

int
s3_client_new(struct store *base, const char *url,
    const struct store_conf *conf, struct s3_client **out)
{
	struct s3_client *c = calloc(1, sizeof(*c));
	int err;

	*out = NULL;
	if (c == NULL)
		return log_err(-ENOMEM, "cannot open '%s'", url);
	pthread_mutex_init(&c->lock, NULL);
	c->base = base;
	c->timeout = conf->timeout > 0 ? conf->timeout : TIMEOUT;
	err = client_place(c, url, conf);
	if (err == 0)
		err = s3_cred_new(&c->cred);
	if (err == 0)
		err = client_http(c, conf);
	if (err != 0) {
		s3_client_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void
s3_client_free(struct s3_client *c)
{
	if (c == NULL)
		return;
	s3_http_free(c->http);
	s3_cred_free(c->cred);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

const char *
s3_client_prefix(const struct s3_client *c)
{
	return c->url.prefix;
}

/* What the answer's error document says, if it is one. */
static void
read_error(struct round *r)
{
	const struct buf *doc = r->call->doc;
	int success = r->rp->status >= 200 && r->rp->status < 300;
	const void *text = doc->data;
	size_t len = doc->len;

	memset(&r->error, 0, sizeof(r->error));
	if (r->result != S3_HTTP_DONE)
		return;
	/* A 200 may hold an error too; in place of an object it would be
	 * small, and not come with the range's headers. */
	if (success && r->call->out != NULL) {
		text = r->call->out;
		len = r->rp->status == 200 ? r->rp->got : 0;
	}
	if (len > 0 && (len < 64u << 10 || !success) &&
	    ((const char *)text)[0] == '<')
		(void)s3_xml_error(text, len, &r->error);
}

static void
judge(struct s3_client *c, struct round *r)
{
	int err;

	read_error(r);
	s3_judge(r->call->method, r->result, r->rp, &r->error,
	    s3_client_now(c), &r->verdict);
	if (r->result == S3_HTTP_DONE)
		atomic_store(&c->reached, 1);
	r->implausible = NULL;
	if (r->verdict.action != S3_ACCEPT || r->call->check == NULL)
		return;
	err = r->call->check(r->call, r->rp, &r->implausible);
	if (err != 0)
		r->verdict = (struct s3_verdict){ S3_RETRY, err,
		    r->implausible, "check the endpoint, and for a proxy in "
		    "between" };
}

static void
account(struct s3_client *c, struct round *r)
{
	const struct s3_verdict *v = &r->verdict;
	unsigned again = r->rp->sent > 1 ? r->rp->sent - 1 : 0;

	store_note(c->base, r->call->verb, v->action == S3_ACCEPT ? 0 : v->err,
	    r->rp->received, r->rp->uploaded);
	atomic_fetch_add(&c->base->requests[r->call->verb], again);
	atomic_fetch_add(&c->base->retries, again + (r->tries > 0));
	r->sent += r->rp->sent;
	r->tries++;
}

/* HEAD's answers have no document; ask the same as GET what is wrong. */
static int
explain_head(struct s3_client *c, struct round *r)
{
	struct s3_call probe = {
		.verb = STORE_GET, .method = S3_HTTP_GET,
		.name = r->call->name, .nheaders = 1,
		.header = { { "range", "bytes=0-0" } },
		.doc = r->call->doc,
	};
	struct s3_http_reply rp;
	struct round q = { .call = &probe, .rp = &rp };
	int err = s3_client_send(c, &probe, &q.keys, &rp, &q.result);

	if (err == 0) {
		judge(c, &q);
		account(c, &q);
		if (q.verdict.action >= S3_MOVE) {
			r->error = q.error;
			r->verdict = q.verdict;
			*r->rp = rp;
		}
	}
	s3_keys_wipe(&q.keys);
	return err;
}

/* 1: the client has changed, go on at once.  0: this is no way out. */
static int
move(struct s3_client *c, struct round *r)
{
	const char *region = r->error.region[0] != '\0' ? r->error.region :
	    r->rp->region;
	int ret = 0;

	if (region[0] == '\0' || r->moved == CALL_MOVES)
		return 0;
	r->moved++;
	pthread_mutex_lock(&c->lock);
	if (strcmp(c->url.region, region) == 0) {
		ret = c->moved > 0;	/* another call learnt it */
	} else if (c->moved < CLIENT_MOVES &&
	    s3_url_set_region(&c->url, region) == 0) {
		c->moved++;
		ret = 1;
	}
	pthread_mutex_unlock(&c->lock);
	return ret;
}

static int
correct_clock(struct s3_client *c, struct round *r)
{
	long skew = s3_skew_of(r->rp, &r->error, time(NULL));

	if (r->skewed || skew == 0)
		return 0;
	r->skewed = 1;
	if (atomic_exchange(&c->skew, skew) == 0)
		log_warn(0, "this machine's clock is %ld seconds %s the "
		    "server's of '%s'", labs(skew), skew > 0 ? "behind" :
		    "ahead of", c->base->url);
	return 1;
}

static int
renew(struct s3_client *c, struct round *r)
{
	if (r->renewed)
		return 0;
	r->renewed = 1;
	return s3_cred_renew(c->cred, &r->keys) == 0;
}

/* Up to `most` ms, evenly. */
static int64_t
jitter(int64_t most)
{
	uint32_t x = 0;

	if (getrandom(&x, sizeof(x), 0) != sizeof(x))
		x = UINT32_MAX;
	return most * (x >> 8) >> 24;
}

static int64_t
wait_for(const struct round *r)
{
	int64_t most = r->verdict.action == S3_SLOW_DOWN ? WAIT_SLOW :
	    WAIT_RETRY;
	int64_t least = (int64_t)r->rp->retry_after * 1000;
	unsigned i;

	for (i = 1; i < r->tries && most < WAIT_MAX; i++)
		most *= 2;
	if (most > WAIT_MAX)
		most = WAIT_MAX;
	if (least > WAIT_MAX)
		least = WAIT_MAX;
	return least + jitter(most);
}

/* ms that are left for this call. */
static int64_t
time_left(struct s3_client *c, const struct round *r)
{
	int64_t most = (int64_t)c->timeout * 1000;

	if (!atomic_load(&c->reached) && most > UNREACHED * 1000)
		most = UNREACHED * 1000;
	return r->start + most - now_ms();
}

static const char *
cause_of(const struct round *r)
{
	if (r->verdict.cause != NULL)
		return r->verdict.cause;
	return r->result == S3_HTTP_DONE ? "the server refused" :
	    "no answer came";
}

/* Whose fault it was, in the server's or the library's own words. */
static void
detail_of(const struct round *r, char out[512])
{
	const struct s3_error *e = &r->error;

	if (r->result != S3_HTTP_DONE)
		snprintf(out, 512, "%s", r->rp->detail);
	else if (e->code[0] != '\0')
		snprintf(out, 512, "%s%s%s", e->code, e->message[0] != '\0' ?
		    ": " : "", e->message);
	else
		snprintf(out, 512, "status %d", r->rp->status);
}

static void
warn_outage(struct s3_client *c, const struct round *r)
{
	char detail[512];

	if (now_ms() - r->start < WARN_AFTER * 1000 ||
	    time_left(c, r) < WARN_AFTER * 1000 ||
	    atomic_exchange(&c->warned, 1))
		return;
	detail_of(r, detail);
	log_warn(0, "'%s': %s (%s); trying on for %d seconds at most",
	    c->base->url, cause_of(r), detail,
	    (int)(time_left(c, r) / 1000));
}

/* Waits before the next round.  0, or -errno when there is to be none. */
static int
back_off(struct s3_client *c, struct round *r)
{
	int64_t wait = wait_for(r), left = time_left(c, r), slice;
	struct timespec t = { 0, 0 };

	if (left <= 0)
		return r->verdict.err;
	warn_outage(c, r);
	if (wait > left)
		wait = left;
	for (; wait > 0; wait -= slice) {
		if (store_is_canceled(c->base))
			return -ECANCELED;
		slice = wait < WAIT_SLICE ? wait : WAIT_SLICE;
		t.tv_nsec = (long)slice * 1000000;
		nanosleep(&t, NULL);
	}
	return store_is_canceled(c->base) ? -ECANCELED : 0;
}

static int
give_up(struct s3_client *c, const struct round *r)
{
	static const char *const verb[] = {
		[STORE_GET] = "read", [STORE_PUT] = "write",
		[STORE_STAT] = "look at", [STORE_LIST] = "list",
		[STORE_DEL] = "delete",
	};
	const struct s3_url *u = &c->url;
	const char *next = r->verdict.next;
	char detail[512], tries[64] = "";

	detail_of(r, detail);
	if (r->tries > 1)
		snprintf(tries, sizeof(tries), ", tried %u times in %d s",
		    r->tries, (int)((now_ms() - r->start) / 1000));
	/* The region may only be read under the lock; the rest is fixed. */
	return log_err(r->verdict.err, "cannot %s 's3://%s/%s%s'%s%s: %s "
	    "(%s%s)%s%s", verb[r->call->verb], u->bucket, u->prefix,
	    r->call->name != NULL ? r->call->name : "",
	    u->endpoint[0] != '\0' ? " at " : "", u->endpoint, cause_of(r),
	    detail, tries, next != NULL ? "; " : "",
	    next != NULL ? next : "");
}

/* 1: another round; 0: done; -errno: it ends here. */
static int
decide(struct s3_client *c, struct round *r)
{
	struct s3_verdict *v = &r->verdict;
	int again = 0, err;

	switch (v->action) {
	case S3_ACCEPT:
		if (atomic_exchange(&c->warned, 0))
			log_info("'%s' answers again", c->base->url);
		return 0;
	case S3_ANSWER:
		return v->err;
	case S3_MOVE:
		again = move(c, r);
		if (again || r->rp->status == 307)
			break;
		v->cause = "the bucket is in another region";
		v->next = "set AWS_REGION to the bucket's region, or the "
		    "endpoint to that of its region";
		break;
	case S3_SKEW:
		again = correct_clock(c, r);
		break;
	case S3_RENEW:
		again = renew(c, r);
		break;
	default:
		break;
	}
	if (again)
		return 1;
	if (v->action == S3_RETRY || v->action == S3_SLOW_DOWN ||
	    (v->action == S3_MOVE && r->rp->status == 307)) {
		err = back_off(c, r);
		if (err == 0)
			return 1;
		if (err == -ECANCELED)
			return err;
	}
	return give_up(c, r);
}

int
s3_client_do(struct s3_client *c, struct s3_call *call,
    struct s3_http_reply *rp)
{
	struct round r = { .call = call, .rp = rp, .start = now_ms() };
	int ret = 1, err = 0;

	while (ret == 1 && err == 0) {
		if (store_is_canceled(c->base)) {
			err = -ECANCELED;
			break;
		}
		err = s3_client_send(c, call, &r.keys, rp, &r.result);
		if (err != 0) {
			log_err(err, "cannot make a request to '%s'",
			    c->base->url);
			break;
		}
		judge(c, &r);
		account(c, &r);
		if (call->method == S3_HTTP_HEAD && r.error.code[0] == '\0' &&
		    r.verdict.action == S3_GIVE_UP &&
		    r.result == S3_HTTP_DONE)
			err = explain_head(c, &r);
		if (err == 0)
			ret = decide(c, &r);
	}
	s3_keys_wipe(&r.keys);
	rp->sent = r.sent;
	return err != 0 ? err : ret;
}
