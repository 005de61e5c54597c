/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for an answer: for that of one transfer, or where that is late, for
 * the first whole one of two.
 *
 * Both run in the caller's thread and in one multi handle.  The second is on a
 * connection of its own, with its name looked up anew, since what is slow is
 * often the connection or the host at its end; it writes into memory of its
 * own, since the first may go on writing.  A refusal or failure of one does
 * not end it while the other is on its way.  The one that lost is cut off,
 * and its connection closed.
 */
#include <stdlib.h>
#include <string.h>

#include "store/s3_http_internal.h"

#define LOOK_MS	100	/* between looks at cancel and stalls */

struct race {
	struct lane *lane;
	struct exchange *first;
	struct exchange second;		/* .curl NULL until it is begun */
	struct s3_http_reply reply;	/* of second, as the next */
	struct buf doc;
	int hopeless;			/* there will be no second */
	int64_t start;
	int64_t looked;
};

/* An answer that settles it: that of the other would be no other. */
static int
is_whole(const struct exchange *x)
{
	return x->done && x->result == S3_HTTP_DONE && x->rp->status < 500 &&
	    x->rp->status != 429;
}

static int
is_over(const struct race *r)
{
	if (r->second.curl == NULL)
		return r->first->done;
	return is_whole(r->first) || is_whole(&r->second) ||
	    (r->first->done && r->second.done);
}

static void
stop(struct race *r, struct exchange *x, CURLcode code)
{
	curl_multi_remove_handle(r->lane->multi, x->curl);
	if (!x->done)
		exchange_finish(x, code);
}

static void
collect(struct race *r)
{
	struct exchange *x;
	CURLMsg *m;
	CURLcode code;
	char *p;
	int left;

	while ((m = curl_multi_info_read(r->lane->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		x = (struct exchange *)(void *)p;
		exchange_finish(x, code);
		curl_multi_remove_handle(r->lane->multi, x->curl);
	}
}

static void
look(struct race *r, int64_t now)
{
	CURLM *multi = r->lane->multi;

	if (now - r->looked < LOOK_MS)
		return;
	r->looked = now;
	if (!r->first->done && exchange_stalled(r->first, multi, now))
		stop(r, r->first, CURLE_OPERATION_TIMEDOUT);
	if (r->second.curl != NULL && !r->second.done &&
	    exchange_stalled(&r->second, multi, now))
		stop(r, &r->second, CURLE_OPERATION_TIMEDOUT);
}

/* Milliseconds until the second is due; -1 for never. */
static int64_t
due(const struct race *r, int64_t now)
{
	const struct s3_http_request *rq = r->first->rq;
	int64_t left = r->start + rq->hedge_ms - now;

	if (rq->hedge_ms == 0 || r->hopeless || r->second.curl != NULL ||
	    r->first->done)
		return -1;
	return left > 0 ? left : 0;
}

/* Without memory for it there is none. */
static void
second_begin(struct race *r)
{
	const struct s3_http_request *rq = r->first->rq;
	struct lane *l = r->lane;

	r->hopeless = 1;
	if (rq->may_hedge != NULL && !rq->may_hedge(rq->ctx))
		return;
	if (l->second == NULL)
		l->second = curl_easy_init();
	buf_init(&r->doc, rq->doc != NULL ? rq->doc->max : 0);
	r->second = (struct exchange){ .curl = l->second,
	    .http = r->first->http, .rq = rq, .rp = &r->reply,
	    .doc = rq->doc != NULL ? &r->doc : NULL };
	r->second.out = rq->out != NULL ? malloc(rq->outlen) : NULL;
	if (l->second == NULL || (rq->out != NULL && r->second.out == NULL) ||
	    exchange_begin(&r->second, 1) != S3_HTTP_DONE ||
	    curl_multi_add_handle(l->multi, l->second) != CURLM_OK) {
		if (l->second != NULL)
			exchange_end(&r->second);
		free(r->second.out);
		r->second.curl = NULL;
	}
}

static void
run(struct race *r)
{
	int64_t now = r->start, wait;
	int running;

	while (!is_over(r) && !s3_http_canceled(r->first->http)) {
		if (curl_multi_perform(r->lane->multi, &running) != CURLM_OK)
			break;
		collect(r);
		if (is_over(r))
			break;
		now = s3_http_now();
		look(r, now);
		if (due(r, now) == 0)
			second_begin(r);
		wait = due(r, now);
		if (wait < 0 || wait > LOOK_MS)
			wait = LOOK_MS;
		if (!is_over(r))
			curl_multi_poll(r->lane->multi, NULL, 0, (int)wait,
			    NULL);
	}
}

/* The second's answer takes the first's place. */
static void
swap(struct race *r)
{
	struct exchange *a = r->first, *b = &r->second;
	const struct s3_http_request *rq = a->rq;

	b->rp->sent += a->rp->sent;
	b->rp->received += a->rp->received;
	*a->rp = *b->rp;
	a->result = b->result;
	if (rq->out != NULL && (b->rp->status == 200 || b->rp->status == 206))
		memcpy(rq->out, b->out, b->rp->got);
	if (rq->doc != NULL) {
		struct buf doc = *rq->doc;

		*rq->doc = r->doc;
		r->doc = doc;
	}
}

static void
second_end(struct race *r)
{
	struct exchange *b = &r->second;
	int won;

	if (b->curl == NULL)
		return;
	stop(r, b, CURLE_ABORTED_BY_CALLBACK);
	won = !is_whole(r->first) && (is_whole(b) ||
	    r->first->result != S3_HTTP_DONE);
	if (won) {
		swap(r);
	} else {
		r->first->rp->sent += b->rp->sent;
		r->first->rp->received += b->rp->received;
	}
	r->first->rp->hedged = 1;
	r->first->rp->hedge_won = won && is_whole(b);
	exchange_end(b);
	buf_release(&r->doc);
	free(b->out);
}

enum s3_http_result
s3_http_race(struct lane *lane, struct exchange *x)
{
	struct race r = { .lane = lane, .first = x, .start = s3_http_now() };

	if (curl_multi_add_handle(lane->multi, x->curl) != CURLM_OK)
		return S3_HTTP_NOMEM;
	run(&r);
	stop(&r, x, CURLE_ABORTED_BY_CALLBACK);
	second_end(&r);
	return x->result;
}
