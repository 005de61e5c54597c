/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of roles, from AWS's Security Token Service.
 *
 * docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and
 * API_AssumeRoleWithWebIdentity.html
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/s3_cred_internal.h"
#include "store/s3_sigv4.h"
#include "store/s3_url.h"
#include "store/s3_xml.h"

#define FORM		"application/x-www-form-urlencoded; charset=utf-8"
#define TRIES		3
#define PAUSE		1000	/* ms; doubled each time */
#define TIMEOUT		20000
#define BODY_MAX	(128u << 10)
#define TOKEN_MAX	(32u << 10)
#define SKEW_MAX	300	/* seconds that STS tolerates */

/* A request, and what came of it. */
struct call {
	const struct s3_fetch *f;
	const struct s3_keys *keys;	/* to sign with, or NULL */
	struct s3_url url;		/* endpoint and http */
	struct buf body;
	struct buf doc;
	struct s3_http_reply rp;
	enum s3_http_result result;
	struct s3_error error;
	long skew;			/* STS's clock less ours */
};

static int
endpoint_find(struct call *c)
{
	const char *set = aws_config_endpoint(c->f->aws, "sts"), *why;
	const char *region = c->f->conf->region;
	int fips = aws_config_switch(c->f->aws, "AWS_USE_FIPS_ENDPOINT",
	    "use_fips_endpoint", 0);
	char usual[S3_REGION_MAX + 64];

	snprintf(usual, sizeof(usual), "sts%s.%s.amazonaws.com%s",
	    fips ? "-fips" : "", region, strncmp(region, "cn-", 3) == 0 ?
	    ".cn" : "");
	if (s3_url_endpoint(&c->url, set != NULL ? set : usual, &why) != 0)
		return log_plain(-EACCES, "cannot ask STS for keys at '%s': "
		    "%s", set != NULL ? set : usual, why);
	return 0;
}

/* The value of the Authorization header. */
static int
sign(const struct call *c, const char *date, struct buf *out)
{
	const struct sigv4_keys k = { c->keys->access, c->keys->secret,
	    c->f->conf->region, "sts" };
	struct sigv4_pair h[] = {
		{ "content-type", FORM },
		{ "host", c->url.endpoint },
		{ "x-amz-date", date },
		{ "x-amz-security-token", c->keys->session },
	};
	char payload[2 * HASH_SIZE + 1];
	uint8_t sum[HASH_SIZE];
	const struct sigv4_request r = {
		.method = "POST", .path = "/", .query = "", .header = h,
		.nheaders = c->keys->session[0] != '\0' ? 4 : 3,
		.payload = payload,
	};
	int err = hash_sha256(c->body.data, c->body.len, sum);

	if (err != 0)
		return err;
	hex_encode(sum, sizeof(sum), payload);
	buf_printf(out, "authorization: ");
	return sigv4_authorization(&r, &k, date, out);
}

static int
send(struct call *c)
{
	struct buf auth = BUF_INIT(4096), session = BUF_INIT(S3_SESSION_MAX +
	    64), url = BUF_INIT(S3_HOST_MAX + 64);
	char date[SIGV4_DATE_SIZE], date_line[64];
	const char *line[4] = { "content-type: " FORM, date_line };
	struct s3_http_request rq = {
		.method = S3_HTTP_POST, .header = line, .nheaders = 2,
		.body = c->body.data, .len = c->body.len,
		.timeout_ms = TIMEOUT, .doc = &c->doc,
	};
	int err = sigv4_date(s3_fetch_now(c->f) + c->skew, date);

	snprintf(date_line, sizeof(date_line), "x-amz-date: %s", date);
	buf_printf(&url, "%s://%s/", c->url.http ? "http" : "https",
	    c->url.endpoint);
	if (err == 0 && c->keys != NULL) {
		err = sign(c, date, &auth);
		line[rq.nheaders++] = buf_cstr(&auth);
		if (c->keys->session[0] != '\0') {
			buf_reserve(&session, session.max);
			buf_printf(&session, "x-amz-security-token: %s",
			    c->keys->session);
			line[rq.nheaders++] = buf_cstr(&session);
		}
	}
	rq.url = buf_cstr(&url);
	if (err == 0)
		err = rq.url == NULL ? -ENOMEM : buf_err(&auth);
	if (err == 0)
		err = buf_err(&session);
	if (err == 0)
		c->result = s3_http_do(c->f->proxied, &rq, &c->rp);
	buf_release(&auth);
	buf_wipe(&session);
	buf_release(&url);
	return err;
}

/* Whether to ask again: what may pass, and a clock that is wrong. */
static int
passes(struct call *c)
{
	static const char *const codes[] = { "Throttling",
	    "ThrottlingException", "RequestLimitExceeded",
	    "IDPCommunicationError", "InternalFailure", "InternalError",
	    "ServiceUnavailable" };
	long skew;
	size_t i;

	if (c->result != S3_HTTP_DONE)
		return c->result != S3_HTTP_UNTRUSTED;
	skew = c->rp.date > 0 ? (long)(c->rp.date - s3_fetch_now(c->f)) : 0;
	if (c->keys != NULL && c->rp.status == 403 && c->skew == 0 &&
	    labs(skew) > SKEW_MAX) {
		c->skew = skew;
		return 1;
	}
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(c->error.code, codes[i]) == 0)
			return 1;
	return c->rp.status >= 500 || c->rp.status == 429;
}

/* `passing`: it would have been asked once more. */
static int
fail(const struct call *c, const char *what, int passing)
{
	const struct s3_error *e = &c->error;
	int err = passing ? -EAGAIN : -EACCES;
	char status[32];

	snprintf(status, sizeof(status), "status %d", c->rp.status);
	if (c->result != S3_HTTP_DONE)
		return log_plain(err, "%s at %s: no answer (%s); check "
		    "the network, the region and AWS_ENDPOINT_URL_STS", what,
		    c->url.endpoint, c->rp.detail);
	return log_plain(err, "%s at %s: it refused (%s%s%s); check the "
	    "role's trust policy, and the keys or token that ask for it",
	    what, c->url.endpoint, e->code[0] != '\0' ? e->code : status,
	    e->message[0] != '\0' ? ": " : "", e->message);
}

static int
take(struct call *c, const char *what, struct s3_fetched *out)
{
	struct s3_sts s = { .access = "" };
	int err = s3_xml_sts(c->doc.data, c->doc.len, &s);

	if (err == 0)
		err = s3_key_copy(s.access, out->keys.access, S3_ACCESS_MAX);
	if (err == 0)
		err = s3_key_copy(s.secret, out->keys.secret, S3_SECRET_MAX);
	if (err == 0)
		err = s3_key_copy(s.session, out->keys.session,
		    S3_SESSION_MAX);
	if (err == 0)
		err = s3_cred_time(s.expiration, &out->expires);
	explicit_bzero(&s, sizeof(s));
	if (err == 0 || err == -ENOMEM)
		return err;
	return log_plain(-EACCES, "%s at %s: the answer is not one of STS; "
	    "check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL", what,
	    c->url.endpoint);
}

/* The body is made.  `what` for messages. */
static int
ask(struct call *c, const char *what, struct s3_fetched *out)
{
	unsigned pause = PAUSE;
	int i, err = endpoint_find(c);

	for (i = 0; i < TRIES && err == 0; i++) {
		if (i > 0 && c->skew == 0) {
			err = s3_fetch_sleep(c->f, pause);
			pause *= 2;
		}
		if (err == 0)
			err = send(c);
		memset(&c->error, 0, sizeof(c->error));
		if (err == 0 && c->result == S3_HTTP_DONE) {
			if (c->rp.status == 200)
				return take(c, what, out);
			(void)s3_xml_error(c->doc.data, c->doc.len, &c->error);
		}
		if (c->result == S3_HTTP_CANCELED)
			err = -ECANCELED;
		if (err == 0 && !passes(c))
			break;
	}
	return err != 0 ? err : fail(c, what, i == TRIES);
}

static int
call(const struct s3_fetch *f, const struct s3_keys *keys,
    const struct sigv4_pair *param, size_t n, const char *what,
    struct s3_fetched *out)
{
	struct call *c = calloc(1, sizeof(*c));
	int err = c == NULL ? -ENOMEM : 0;

	if (c == NULL)
		return err;
	c->f = f;
	c->keys = keys;
	buf_init(&c->body, BODY_MAX);
	buf_init(&c->doc, S3_CRED_DOC_MAX);
	err = buf_reserve(&c->body, BODY_MAX);
	if (err == 0)
		err = buf_reserve(&c->doc, S3_CRED_DOC_MAX);
	if (err == 0)
		err = sigv4_query(param, n, &c->body);
	if (err == 0)
		err = ask(c, what, out);
	buf_wipe(&c->body);
	buf_wipe(&c->doc);
	free(c);
	return err;
}

/* Shows in the account's logs who it was. */
static const char *
session_name(const struct s3_fetch *f, const char *said, char made[32])
{
	if (said != NULL)
		return said;
	snprintf(made, 32, "firn-%" PRId64, (int64_t)s3_fetch_now(f));
	return made;
}

int
s3_fetch_role(const struct s3_fetch *f, const char *profile,
    const struct s3_keys *with, struct s3_fetched *out)
{
	const char *external = aws_config_get(f->aws, profile, "external_id");
	const char *seconds = aws_config_get(f->aws, profile,
	    "duration_seconds");
	char made[32], what[512];
	struct sigv4_pair param[6] = {
		{ "Action", "AssumeRole" },
		{ "Version", "2011-06-15" },
		{ "RoleArn", aws_config_get(f->aws, profile, "role_arn") },
		{ "RoleSessionName", session_name(f, aws_config_get(f->aws,
		    profile, "role_session_name"), made) },
	};
	size_t n = 4;

	if (seconds != NULL && (strspn(seconds, "0123456789") !=
	    strlen(seconds) || strlen(seconds) > 5 || atoi(seconds) < 900 ||
	    atoi(seconds) > 43200))
		return log_plain(-EACCES, "duration_seconds of profile '%s' "
		    "is '%s'; it may be 900 to 43200", profile, seconds);
	if (external != NULL)
		param[n++] = (struct sigv4_pair){ "ExternalId", external };
	if (seconds != NULL)
		param[n++] = (struct sigv4_pair){ "DurationSeconds", seconds };
	snprintf(what, sizeof(what), "cannot take up the role '%s' of profile "
	    "'%s'", param[2].value, profile);
	return call(f, with, param, n, what, out);
}

/* From the file, which is written anew from time to time. */
static int
token_read(const struct s3_web_identity *w, struct buf *out)
{
	int err = buf_reserve(out, out->max);

	if (err == 0)
		err = file_load(AT_FDCWD, w->token_file, out);
	while (out->len > 0 && (out->data[out->len - 1] == '\n' ||
	    out->data[out->len - 1] == '\r'))
		out->len--;
	if (err == 0 && buf_cstr(out) == NULL)
		err = -ENOMEM;
	if (err == 0 && out->len == 0)
		return log_plain(-EACCES, "'%s', the web identity's token of "
		    "%s, is empty", w->token_file, w->from);
	if (err == 0 || err == -ENOMEM)
		return err;
	log_err(err, "cannot read '%s', the web identity's token of %s",
	    w->token_file, w->from);
	return -EACCES;
}

int
s3_fetch_web(const struct s3_fetch *f, const struct s3_web_identity *w,
    struct s3_fetched *out)
{
	struct buf token = BUF_INIT(TOKEN_MAX);
	char made[32], what[512];
	struct sigv4_pair param[] = {
		{ "Action", "AssumeRoleWithWebIdentity" },
		{ "Version", "2011-06-15" },
		{ "RoleArn", w->role_arn },
		{ "RoleSessionName", session_name(f, w->session, made) },
		{ "WebIdentityToken", NULL },
	};
	int err = token_read(w, &token);

	if (err == 0) {
		param[4].value = (char *)token.data;
		snprintf(what, sizeof(what), "cannot take up the role '%s' "
		    "with the web identity of %s", w->role_arn, w->from);
		err = call(f, NULL, param, 5, what, out);
	}
	buf_wipe(&token);
	return err;
}
