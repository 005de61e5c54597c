/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeating a call until it is decided.
 *
 * Each round: send, read the error document, judge, then either be done, or
 * put right what the verdict names and go round again at once, or wait and go
 * round again.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_client_internal.h"
#include "store/s3_place.h"

#define TIMEOUT		300	/* seconds, by default */
#define CONNECTIONS	16
#define CONNECT_SECS	10
#define STALL_SECS	30
#define CALL_MOVES	2	/* to another region, and back if told so */
#define CALL_SKEWS	3	/* at once; a clock may be set while we ask */
#define CALL_LATE	3
#define SKEW_STEP	60	/* seconds; S3 tolerates 900 */
#define CLIENT_MOVES	8
#define CALL_RENEWALS	3	/* keys that end again while a call waits */
#define CALL_STALE	3	/* dead connections in a row, not counted */

static int
client_http(struct s3_client *c, unsigned connections, const char *ca_file)
{
	/* A short timeout leaves time to try again after a stall. */
	unsigned stall = c->timeout < 4 ? 1 : c->timeout / 4;
	const struct s3_http_conf http = {
		.connections = connections,
		.connect_secs = c->timeout < CONNECT_SECS ? c->timeout :
		    CONNECT_SECS,
		.stall_secs = stall < STALL_SECS ? stall : STALL_SECS,
		.ca_file = ca_file,
		.canceled = &c->base->canceled,
	};

	return s3_http_new(&http, &c->http);
}

/* S3 compares it with the account's 12 digits, others with what they have;
 * s3_put_conf_init() looks at it. */
static int
client_owner(struct s3_client *c, const char *owner)
{
	if (owner == NULL)
		return 0;
	c->owner = strdup(owner);
	return c->owner == NULL ? log_err(-ENOMEM, "cannot open '%s'",
	    c->base->url) : 0;
}

static int
client_keys(struct s3_client *c, const struct s3_place *p)
{
	const struct s3_cred_conf cred = {
		.profile = p->profile,
		.region = p->url.region,
		.ca_file = p->ca_file,
		.canceled = &c->base->canceled,
	};

	return s3_cred_new(&cred, &c->cred);
}

int
s3_client_new(struct store *base, const char *url,
    const struct store_conf *conf, struct s3_client **out)
{
	struct s3_client *c = calloc(1, sizeof(*c));
	struct s3_place place = { .ca_file = NULL };
	unsigned connections = conf->connections > 0 ? conf->connections :
	    CONNECTIONS;
	int err;

	*out = NULL;
	if (c == NULL)
		return log_err(-ENOMEM, "cannot open '%s'", url);
	pthread_mutex_init(&c->lock, NULL);
	s3_window_init(&c->window, connections);
	s3_budget_init(&c->budget, s3_client_ms());
	s3_hedge_init(&c->hedge);
	c->base = base;
	atomic_store(&base->window, connections);
	c->timeout = conf->timeout > 0 ? conf->timeout : TIMEOUT;
	c->requester_pays = conf->requester_pays;
	err = client_owner(c, conf->bucket_owner);
	if (err == 0)
		err = s3_place_find(&place, url, conf);
	c->url = place.url;
	if (err == 0)
		err = client_keys(c, &place);
	if (err == 0)
		err = client_http(c, connections, place.ca_file);
	s3_place_release(&place);
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
	s3_window_release(&c->window);
	s3_budget_release(&c->budget);
	s3_hedge_release(&c->hedge);
	free(c->owner);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
s3_client_facts(struct s3_client *c, struct s3_client_facts *out)
{
	pthread_mutex_lock(&c->lock);
	snprintf(out->region, sizeof(out->region), "%s", c->url.region);
	snprintf(out->host, sizeof(out->host), "%s", c->url.host);
	out->http = c->url.http;
	out->moved = c->moved > 0;
	pthread_mutex_unlock(&c->lock);
	out->skew = atomic_load(&c->skew);
}

const char *
s3_client_prefix(const struct s3_client *c)
{
	return c->url.prefix;
}

const char *
s3_client_bucket(const struct s3_client *c)
{
	return c->url.bucket;
}

unsigned
s3_client_timeout(const struct s3_client *c)
{
	return c->timeout;
}

/* What the answer's error document says, if it is one. */
static void
read_error(struct s3_round *r)
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

/*
 * A HEAD of 400 with the region of the bucket is about the region, unless that
 * is the one that we asked in; then something else is wrong.
 */
static int
is_head_at_home(struct s3_client *c, const struct s3_round *r)
{
	int ret;

	if (r->call->method != S3_HTTP_HEAD || r->result != S3_HTTP_DONE ||
	    r->rp->status != 400 || r->verdict.action != S3_MOVE)
		return 0;
	pthread_mutex_lock(&c->lock);
	/* Another call may have learnt it since this one was sent. */
	ret = strcmp(c->url.region, r->rp->region) == 0 &&
	    (c->moved == 0 || r->moved > 0);
	pthread_mutex_unlock(&c->lock);
	return ret;
}

static void
judge(struct s3_client *c, struct s3_round *r)
{
	int err;

	read_error(r);
	s3_judge(r->call->method, r->result, r->rp, &r->error,
	    time(NULL) + (time_t)r->skew, &r->verdict);
	r->implausible = NULL;
	if (is_head_at_home(c, r))
		r->verdict = (struct s3_verdict){ S3_GIVE_UP, -EIO, NULL,
		    NULL };
	if (r->call->once && r->verdict.action == S3_RETRY &&
	    r->result == S3_HTTP_DONE && r->rp->status >= 400 &&
	    r->rp->status < 500)
		r->verdict.action = S3_GIVE_UP;
	if (r->verdict.action == S3_ACCEPT && r->call->check != NULL) {
		err = r->call->check(r->call, r->rp, &r->implausible);
		if (err != 0)
			r->verdict = (struct s3_verdict){ S3_RETRY, err,
			    r->implausible, S3_VERDICT_PORTAL };
	}
	/* A portal's page is no sign of the server. */
	if (r->result == S3_HTTP_DONE && (r->verdict.action == S3_ACCEPT ||
	    r->error.code[0] != '\0' || r->rp->request_id[0] != '\0'))
		atomic_store(&c->reached, 1);
}

static void
account(struct s3_client *c, struct s3_round *r)
{
	const struct s3_verdict *v = &r->verdict;
	const struct s3_http_reply *rp = r->rp;
	struct store *base = c->base;
	unsigned again = rp->sent > 1 ? rp->sent - 1 : 0;
	int hedged = rp->hedged && again > 0;

	store_note(base, r->call->verb, v->action == S3_ACCEPT || rp->stale ?
	    0 : v->err, rp->received, rp->uploaded);
	atomic_fetch_add(&base->requests[r->call->verb], again);
	atomic_fetch_add(&base->retries, again - (unsigned)hedged +
	    (r->tries > 0));
	if (rp->hedged)
		atomic_fetch_add(&base->hedges, 1);
	if (rp->hedge_won)
		atomic_fetch_add(&base->hedges_won, 1);
	r->sent += rp->sent;
	r->tries++;
}

/* What the outcome says to the others. */
static void
learn(struct s3_client *c, const struct s3_round *r, uint64_t ticket,
    uint64_t took)
{
	enum s3_window_outcome o = S3_WINDOW_NEITHER;
	unsigned lowered;

	if (r->verdict.action == S3_ACCEPT || r->verdict.action == S3_ANSWER) {
		o = S3_WINDOW_GOOD;
		s3_budget_success(&c->budget, r->cost);
	} else if (r->verdict.action == S3_SLOW_DOWN) {
		o = S3_WINDOW_THROTTLED;
		atomic_fetch_add(&c->base->throttled, 1);
	}
	if (r->verdict.action == S3_ACCEPT && r->call->out != NULL)
		s3_hedge_learn(&c->hedge, r->call->outlen, took);
	lowered = s3_window_leave(&c->window, ticket, o);
	atomic_store(&c->base->window, s3_window_limit(&c->window));
	if (lowered > 0)
		log_debug("'%s' wants fewer requests; at most %u at once now",
		    c->base->url, lowered);
}

/* The source of the keys failed for now, and has said why. */
static void
judge_no_keys(struct s3_round *r)
{
	r->verdict = (struct s3_verdict){ S3_RETRY, -ETIMEDOUT,
	    "there are no keys to sign with", "check their source" };
	r->implausible = NULL;
	memset(&r->error, 0, sizeof(r->error));
	snprintf(r->rp->detail, sizeof(r->rp->detail),
	    "their source does not answer");
	r->tries++;
}

/* One request, when it is its turn, and what to make of the answer. */
static int
attempt(struct s3_client *c, struct s3_round *r)
{
	uint64_t ticket;
	int64_t start;
	int err = s3_window_enter(&c->window, &c->base->canceled, &ticket);

	if (err != 0)
		return err;
	start = s3_client_ms();
	r->skew = atomic_load(&c->skew);
	err = s3_client_send(c, r->call, r->skew, &r->keys, r->rp, &r->result);
	if (err != 0) {
		s3_window_leave(&c->window, ticket, S3_WINDOW_NEITHER);
		if (err == -EAGAIN) {
			judge_no_keys(r);
			return 0;
		}
		if (err != -ENOMEM && err != -EINVAL)
			return err;	/* the keys' source has said it */
		return log_err(err, "cannot make a request to '%s'",
		    c->base->url);
	}
	judge(c, r);
	account(c, r);
	learn(c, r, ticket, (uint64_t)(s3_client_ms() - start));
	return 0;
}

/* HEAD's answers have no document; ask the same as GET what is wrong. */
static int
explain_head(struct s3_client *c, struct s3_round *r)
{
	struct s3_call probe = {
		.verb = STORE_GET, .method = S3_HTTP_GET,
		.name = r->call->name, .nheaders = r->call->nheaders + 1,
		.doc = r->call->doc,
	};
	struct s3_http_reply rp;
	struct s3_round q = { .call = &probe, .rp = &rp };
	int err;

	assert(r->call->nheaders < S3_CALL_HEADERS);
	memcpy(probe.header, r->call->header, sizeof(probe.header));
	probe.header[r->call->nheaders] =
	    (struct sigv4_pair){ "range", "bytes=0-0" };
	err = attempt(c, &q);
	if (err == 0 && q.verdict.action >= S3_MOVE) {
		r->error = q.error;
		r->verdict = q.verdict;
		*r->rp = rp;
	}
	s3_keys_wipe(&q.keys);
	return err;
}

/* 1: the client has changed, go on at once.  0: this is no way out. */
static int
move(struct s3_client *c, struct s3_round *r)
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

static void
set_skew(struct s3_client *c, long skew)
{
	long old = atomic_exchange(&c->skew, skew);

	if (labs(old) < SKEW_STEP && labs(skew) >= SKEW_STEP)
		log_warn(0, "this machine's clock is %ld seconds %s the "
		    "server's of '%s'", labs(skew), skew > 0 ? "behind" :
		    "ahead of", c->base->url);
	else if (labs(old) >= SKEW_STEP && labs(skew) < SKEW_STEP)
		log_info("this machine's clock agrees with that of '%s' again",
		    c->base->url);
}

/*
 * 1: signed anew at once.  0: as the verdict says then.
 *
 * What counts is by how much the server's clock differs from the one that the
 * request was signed by: one of the two was set meanwhile, and may be again, or
 * several servers with one name disagree.  All that is worth the time of a
 * call, if not a loop without waits.  Where it differs by nothing the request
 * was on its way for too long (this machine may have slept), or the server does
 * not mean what it says.
 */
static int
correct_clock(struct s3_client *c, struct s3_round *r)
{
	long skew;

	if (!s3_skew_of(r->rp, &r->error, time(NULL), &skew))
		return 0;
	if (labs(skew - r->skew) >= SKEW_STEP) {
		set_skew(c, skew);
		if (r->skewed++ < CALL_SKEWS)
			return 1;
	} else if (r->late++ == CALL_LATE) {
		return 0;
	}
	if (!r->call->once)
		r->verdict.action = S3_RETRY;
	return 0;
}

/* 1: on with others; 0: there are none; -ECANCELED. */
static int
renew(struct s3_client *c, struct s3_round *r)
{
	int err;

	if (r->renewed == CALL_RENEWALS)
		return 0;
	r->renewed++;
	err = s3_cred_renew(c->cred, &r->keys);
	if (err == -EAGAIN) {
		r->renewed--;
		judge_no_keys(r);
	}
	return err == 0 ? 1 : err == -ECANCELED ? err : 0;
}

/* 1: once more without what the server does not take; if it was there. */
static int
plain(struct s3_client *c, struct s3_round *r)
{
	size_t i;

	for (i = 0; i < r->call->nheaders; i++)
		if (strncmp(r->call->header[i].name, S3_CHECKSUM_HEADERS,
		    strlen(S3_CHECKSUM_HEADERS)) == 0)
			break;
	if (r->plain || i == r->call->nheaders)
		return 0;
	r->plain = 1;
	if (!atomic_exchange(&c->plain, 1))
		log_debug("'%s' takes no x-amz-checksum-*; going on without "
		    "(the signature still covers what is sent)", c->base->url);
	return 1;
}

static int
give_up(struct s3_client *c, const struct s3_round *r)
{
	static const char *const verb[] = {
		[STORE_GET] = "read", [STORE_PUT] = "write",
		[STORE_STAT] = "look at", [STORE_LIST] = "list",
		[STORE_DEL] = "delete", [STORE_THAW] = "thaw",
		[STORE_COPY] = "change the class of",
	};
	const struct s3_url *u = &c->url;
	const char *next = r->verdict.next;
	char detail[512], tries[64] = "", text[2048];
	struct s3_refusal *no = r->call->refusal;

	s3_client_detail(r, detail);
	if (r->tries > 1)
		snprintf(tries, sizeof(tries), ", tried %u times in %d s",
		    r->tries, (int)((s3_client_ms() - r->start) / 1000));
	/* The region may only be read under the lock; the rest is fixed. */
	snprintf(text, sizeof(text), "cannot %s 's3://%s/%s%s'%s%s: %s "
	    "(%s%s)%s%s%s", verb[r->call->verb], u->bucket, u->prefix,
	    r->call->name != NULL ? r->call->name : "",
	    u->endpoint[0] != '\0' ? " at " : "", u->endpoint,
	    s3_client_cause(r), detail, tries, next != NULL ? "; " : "",
	    next != NULL ? next : "", c->owner != NULL && r->rp->status ==
	    403 ? "; or the bucket is not of the account that --bucket-owner "
	    "names" : "");
	if (no == NULL)
		return log_err(r->verdict.err, "%s", text);
	no->status = r->result == S3_HTTP_DONE ? r->rp->status : 0;
	memcpy(no->code, r->error.code, sizeof(no->code));
	memcpy(no->text, text, sizeof(no->text));
	return r->verdict.err;
}

/* It may go better later. */
static int
is_passing(const struct s3_round *r)
{
	return r->verdict.action == S3_RETRY ||
	    r->verdict.action == S3_SLOW_DOWN ||
	    (r->verdict.action == S3_MOVE && r->rp->status == 307);
}

/* 1: another round; 0: done; -errno: it ends here. */
static int
decide(struct s3_client *c, struct s3_round *r)
{
	struct s3_verdict *v = &r->verdict;
	int again = 0, err;

	/* Without an answer to the first of them. */
	if (r->rp->sent > 1 || (r->rp->stale && r->rp->sent > 0))
		r->call->unsure = 1;
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
		if (again < 0)
			return again;
		break;
	case S3_PLAIN:
		again = plain(c, r);
		break;
	default:
		break;
	}
	if (r->rp->stale && r->stale++ < CALL_STALE)
		again = 1;
	if (r->call->single) {
		r->call->unsure = again || is_passing(r);
		return give_up(c, r);
	}
	if (r->rp->sent > 0 && is_passing(r) &&
	    r->verdict.action != S3_SLOW_DOWN)
		r->call->unsure = 1;
	if (again)
		return 1;
	if (is_passing(r)) {
		err = s3_client_back_off(c, r);
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
	struct s3_round r = { .call = call, .rp = rp, .start = s3_client_ms() };
	int ret = 1, err = 0;

	if (call->refusal != NULL)
		memset(call->refusal, 0, sizeof(*call->refusal));
	while (ret == 1 && err == 0) {
		err = attempt(c, &r);
		if (err == 0 && call->method == S3_HTTP_HEAD &&
		    r.error.code[0] == '\0' &&
		    r.verdict.action == S3_GIVE_UP && r.result == S3_HTTP_DONE)
			err = explain_head(c, &r);
		if (err == 0)
			ret = decide(c, &r);
	}
	s3_keys_wipe(&r.keys);
	rp->sent = r.sent;
	return err != 0 ? err : ret;
}
