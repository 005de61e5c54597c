/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before a call goes round again.
 *
 * Full jitter: an even choice between nothing and a most, which doubles with
 * each round (AWS Architecture Blog, "Exponential Backoff And Jitter").  The
 * waits of all threads come out of one budget (s3_budget.h); what the server
 * itself asks for is kept to.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_client_internal.h"

#define UNREACHED	10	/* seconds for a server that never answered */
#define WARN_AFTER	3	/* seconds of an outage */
#define WAIT_RETRY	50	/* ms; the first wait is at most this */
#define WAIT_SLOW	1000
#define WAIT_MAX	20000
#define WAIT_SLICE	50	/* ms between looks at cancel */
#define ASKED_MAX	5000	/* ms that x-amz-retry-after may add */

int64_t
s3_client_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
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

/* By how often it was tried. */
static int64_t
wait_by_tries(const struct s3_round *r)
{
	int64_t most = r->verdict.action == S3_SLOW_DOWN ? WAIT_SLOW :
	    WAIT_RETRY;
	unsigned i;

	for (i = 1; i < r->tries && most < WAIT_MAX; i++)
		most *= 2;
	return jitter(most < WAIT_MAX ? most : WAIT_MAX);
}

/* Retry-After is a least; x-amz-retry-after, milliseconds, a wish that the
 * SDKs keep within 5 s above their own. */
static int64_t
wait_as_asked(const struct s3_round *r, int64_t wait)
{
	int64_t least = (int64_t)r->rp->retry_after * 1000;
	int64_t wish = r->rp->retry_after_ms;

	if (wish > wait + ASKED_MAX)
		wish = wait + ASKED_MAX;
	if (wish > wait)
		wait = wish;
	return least > wait ? least + jitter(WAIT_SLOW) : wait;
}

static int64_t
wait_for(struct s3_client *c, struct s3_round *r)
{
	int64_t wait = wait_as_asked(r, wait_by_tries(r)), budget;

	r->cost = r->verdict.err == -ETIMEDOUT ? S3_BUDGET_TIMEOUT :
	    S3_BUDGET_RETRY;
	budget = s3_budget_take(&c->budget, r->cost, s3_client_ms());
	return wait > budget ? wait : budget;
}

/* ms that are left for this call. */
static int64_t
time_left(struct s3_client *c, const struct s3_round *r)
{
	int64_t most = (int64_t)c->timeout * 1000;

	if (!atomic_load(&c->reached) && most > UNREACHED * 1000)
		most = UNREACHED * 1000;
	return r->start + most - s3_client_ms();
}

const char *
s3_client_cause(const struct s3_round *r)
{
	if (r->verdict.cause != NULL)
		return r->verdict.cause;
	return r->result == S3_HTTP_DONE ? "the server refused" :
	    "no answer came";
}

/* Whose fault it was, in the server's or the library's own words. */
void
s3_client_detail(const struct s3_round *r, char out[512])
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
warn_outage(struct s3_client *c, const struct s3_round *r)
{
	char detail[512];

	if (s3_client_ms() - r->start < WARN_AFTER * 1000 ||
	    time_left(c, r) < WARN_AFTER * 1000 ||
	    atomic_exchange(&c->warned, 1))
		return;
	s3_client_detail(r, detail);
	log_warn(0, "'%s': %s (%s); trying on for %d seconds at most",
	    c->base->url, s3_client_cause(r), detail,
	    (int)(time_left(c, r) / 1000));
}

int
s3_client_back_off(struct s3_client *c, struct s3_round *r)
{
	int64_t wait, left = time_left(c, r), slice;
	struct timespec t = { 0, 0 };

	if (left <= 0)
		return r->verdict.err;
	warn_outage(c, r);
	wait = wait_for(c, r);
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

