/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: what is signed is what is sent.  All texts lie in one buffer;
 * places in it are offsets until it is complete, since it moves as it grows.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "crypto/hash.h"
#include "store/s3_client_internal.h"

#define TEXT_MAX	(64u << 10)
#define LINES_MAX	(S3_CALL_HEADERS + 7)
#define EMPTY_SHA256	"e3b0c44298fc1c149afbf4c8996fb924" \
			"27ae41e4649b934ca495991b7852b855"

/* A request in the making. */
struct draft {
	struct sigv4_pair header[LINES_MAX];
	size_t nheaders;
	char date[SIGV4_DATE_SIZE];
	char payload[2 * HASH_SIZE + 1];
	struct s3_url url;
	struct buf path;
	struct buf query;
	struct buf authorization;
};

static void
draft_release(struct draft *d)
{
	buf_release(&d->path);
	buf_release(&d->query);
	buf_release(&d->authorization);
}

static void
header_add(struct draft *d, const char *name, const char *value)
{
	d->header[d->nheaders++] = (struct sigv4_pair){ name, value };
}

static const char *
method_name(enum s3_http_method m)
{
	static const char *const name[] = {
		[S3_HTTP_GET] = "GET", [S3_HTTP_PUT] = "PUT",
		[S3_HTTP_HEAD] = "HEAD", [S3_HTTP_DELETE] = "DELETE",
		[S3_HTTP_POST] = "POST",
	};

	return name[m];
}

/* Everything but the signature. */
static int
draft_fill(struct s3_client *c, const struct s3_call *call, long skew,
    const struct s3_keys *keys, struct draft *d)
{
	size_t i;
	int err;

	pthread_mutex_lock(&c->lock);
	d->url = c->url;
	pthread_mutex_unlock(&c->lock);
	if (call->sha256 != NULL)
		hex_encode(call->sha256, HASH_SIZE, d->payload);
	else
		memcpy(d->payload, EMPTY_SHA256, sizeof(d->payload));
	err = sigv4_date(time(NULL) + (time_t)skew, d->date);
	if (err != 0)
		return err;
	/* Names of objects need no encoding: store.h. */
	buf_printf(&d->path, "%s%s", call->name != NULL ? d->url.path :
	    d->url.root, call->name != NULL ? call->name : "");
	sigv4_query(call->query, call->nquery, &d->query);
	if (buf_cstr(&d->path) == NULL || buf_cstr(&d->query) == NULL)
		return -ENOMEM;
	header_add(d, "host", d->url.host);
	header_add(d, "x-amz-date", d->date);
	header_add(d, "x-amz-content-sha256", d->payload);
	if (keys->session[0] != '\0')
		header_add(d, "x-amz-security-token", keys->session);
	if (c->owner != NULL)
		header_add(d, "x-amz-expected-bucket-owner", c->owner);
	if (c->requester_pays)
		header_add(d, "x-amz-request-payer", "requester");
	for (i = 0; i < call->nheaders; i++)
		if (!atomic_load(&c->plain) || strncmp(call->header[i].name,
		    S3_CHECKSUM_HEADERS, strlen(S3_CHECKSUM_HEADERS)) != 0)
			header_add(d, call->header[i].name,
			    call->header[i].value);
	return 0;
}

static int
draft_sign(const struct s3_call *call, const struct s3_keys *keys,
    struct draft *d)
{
	const struct sigv4_keys k = { keys->access, keys->secret,
	    d->url.region, NULL };
	const struct sigv4_request r = {
		.method = method_name(call->method),
		.path = (char *)d->path.data,
		.query = (char *)d->query.data,
		.header = d->header,
		.nheaders = d->nheaders,
		.payload = d->payload,
	};
	int err = sigv4_authorization(&r, &k, d->date, &d->authorization);

	if (err == 0 && buf_cstr(&d->authorization) == NULL)
		err = -ENOMEM;
	if (err == 0)
		header_add(d, "authorization", (char *)d->authorization.data);
	return err;
}

static int
may_hedge(void *ctx)
{
	struct s3_client *c = ctx;

	/* Not while the server wants less. */
	return s3_window_is_open(&c->window) && s3_hedge_take(&c->hedge);
}

/* Of the URL and the lines of a request, each with a NUL behind it. */
static size_t
draft_room(const struct draft *d)
{
	size_t room = strlen("https://") + strlen(d->url.host) + d->path.len +
	    1 + d->query.len + 1, i;

	for (i = 0; i < d->nheaders; i++)
		room += strlen(d->header[i].name) + 2 +
		    strlen(d->header[i].value) + 1;
	return room < TEXT_MAX ? room : TEXT_MAX;
}

static int
draft_send(struct s3_client *c, const struct s3_call *call, struct draft *d,
    struct s3_http_reply *rp, enum s3_http_result *result)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	size_t at[LINES_MAX], i;
	const char *line[LINES_MAX];
	struct s3_http_request rq = {
		.method = call->method,
		.header = line,
		.nheaders = d->nheaders,
		.body = call->body,
		.len = call->len,
		.out = call->out,
		.outlen = call->outlen,
		.doc = call->doc,
		.fresh = call->single,
		.hedge_ms = call->method == S3_HTTP_GET && call->out != NULL ?
		    s3_hedge_delay(&c->hedge, call->outlen) : 0,
		.may_hedge = may_hedge,
		.ctx = c,
	};
	int err;

	/* One of the lines may be a session token; growing leaves copies. */
	(void)buf_reserve(&text, draft_room(d));
	buf_printf(&text, "%s://%s%s%s%s", d->url.http ? "http" : "https",
	    d->url.host, (char *)d->path.data, d->query.len > 0 ? "?" : "",
	    (char *)d->query.data);
	buf_add_u8(&text, 0);
	for (i = 0; i < d->nheaders; i++) {
		at[i] = text.len;
		buf_printf(&text, "%s: %s", d->header[i].name,
		    d->header[i].value);
		buf_add_u8(&text, 0);
	}
	err = buf_err(&text);
	if (err == 0) {
		for (i = 0; i < d->nheaders; i++)
			line[i] = (char *)text.data + at[i];
		rq.url = (char *)text.data;
		*result = s3_http_do(c->http, &rq, rp);
	}
	buf_wipe(&text);
	return err;
}

int
s3_client_is_aws(struct s3_client *c)
{
	int ret;

	pthread_mutex_lock(&c->lock);
	ret = c->url.endpoint[0] == '\0';
	pthread_mutex_unlock(&c->lock);
	return ret;
}

int
s3_client_send(struct s3_client *c, const struct s3_call *call, long skew,
    struct s3_keys *keys, struct s3_http_reply *rp,
    enum s3_http_result *result)
{
	struct draft d = { .path = BUF_INIT(TEXT_MAX),
	    .query = BUF_INIT(TEXT_MAX), .authorization = BUF_INIT(TEXT_MAX) };
	int err;

	*result = S3_HTTP_FAILED;
	memset(rp, 0, sizeof(*rp));
	err = s3_cred_get(c->cred, keys);
	if (err == 0)
		err = draft_fill(c, call, skew, keys, &d);
	if (err == 0)
		err = draft_sign(call, keys, &d);
	if (err == 0)
		err = draft_send(c, call, &d, rp, result);
	draft_release(&d);
	return err;
}
