/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of an EC2 instance's role, from its metadata service.
 *
 * docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 *
 * Version 2: a session's token is asked for by PUT, which a program that was
 * tricked into a GET cannot do.  Version 1, without, is used only where
 * AWS_EC2_METADATA_V1_DISABLED is false.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"
#include "store/s3_sigv4.h"
#include "store/s3_url.h"

#define V4		"http://169.254.169.254"
#define V6		"http://[fd00:ec2::254]"
#define TTL		"x-aws-ec2-metadata-token-ttl-seconds: 21600"
#define PATH		"/latest/meta-data/iam/security-credentials/"
#define SECONDS_MAX	60
#define TRIES_MAX	10
#define TOKEN_MAX	4096
#define ROLE_MAX	256

struct imds {
	const struct s3_fetch *f;
	char base[S3_HOST_MAX + 16];	/* "http://HOST" */
	unsigned tries;
	struct buf url;
	struct buf token;	/* "x-aws-ec2-metadata-token: ...", or empty */
	struct buf doc;
	struct s3_ask a;
};

static unsigned
number_of(const struct aws_config *aws, const char *env, const char *key,
    unsigned most)
{
	const char *s = aws_config_either(aws, env, key);
	size_t n = s != NULL ? strspn(s, "0123456789") : 0;
	unsigned long v = n > 0 && n < 6 && s[n] == '\0' ? strtoul(s, NULL,
	    10) : 1;

	return v < 1 ? 1 : v > most ? most : (unsigned)v;
}

static int
base_set(struct imds *m)
{
	const struct aws_config *aws = m->f->aws;
	const char *s = aws_config_either(aws,
	    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	    "ec2_metadata_service_endpoint");
	const char *mode = aws_config_either(aws,
	    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
	    "ec2_metadata_service_endpoint_mode");
	struct s3_url u;
	const char *why;

	if (s == NULL)
		s = mode != NULL && (mode[0] == 'i' || mode[0] == 'I') &&
		    strchr(mode, '6') != NULL ? V6 : V4;
	if (s3_url_endpoint(&u, s, &why) != 0)
		return log_plain(-EACCES, "the endpoint of the metadata "
		    "service is '%s': %s", s, why);
	snprintf(m->base, sizeof(m->base), "%s://%s", u.http ? "http" :
	    "https", u.endpoint);
	return 0;
}

/* As s3_ask().  `role` encoded, or "". */
static int
ask(struct imds *m, enum s3_http_method method, const char *path,
    const char *role, const char *header)
{
	int ret = 0;
	unsigned i;

	buf_reset(&m->url);
	buf_printf(&m->url, "%s%s%s", m->base, path, role);
	m->a.url = buf_cstr(&m->url);
	if (m->a.url == NULL)
		return -ENOMEM;
	m->a.method = method;
	m->a.header = header;
	m->a.doc = &m->doc;
	for (i = 0; i < m->tries && ret == 0; i++) {
		ret = s3_ask(m->f, &m->a);
		if (m->a.result == S3_HTTP_DONE && m->a.rp.status < 500)
			break;
	}
	return ret;
}

/* Not an answer, but a failure or none: -EAGAIN. */
static int
failing(const struct imds *m)
{
	return m->a.result != S3_HTTP_DONE || m->a.rp.status >= 500 ?
	    -EAGAIN : -EACCES;
}

/* No answer at all: most machines are no instances. */
static int
nobody(const struct imds *m)
{
	return log_plain(failing(m), "there are no keys for S3: looked for "
	    "AWS_ACCESS_KEY_ID in the environment, for profile '%s' in %s, "
	    "for a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), for a "
	    "container's (AWS_CONTAINER_CREDENTIALS_FULL_URI) and for an "
	    "instance's at %s (%s); set one of them up, see SIGNING IN TO S3 "
	    "in firn(1)", aws_config_profile(m->f->aws),
	    aws_config_files(m->f->aws), m->base, m->a.why);
}

static int
v1_allowed(struct imds *m)
{
	int off = aws_config_switch(m->f->aws, "AWS_EC2_METADATA_V1_DISABLED",
	    "ec2_metadata_v1_disabled", 1);

	if (!off)
		return 0;
	if (m->a.result != S3_HTTP_DONE)
		return nobody(m);
	return log_plain(failing(m), "the metadata service at %s gives no "
	    "token (%s); allow version 2 of it on this instance, or version 1 "
	    "here by AWS_EC2_METADATA_V1_DISABLED=false", m->base, m->a.why);
}

/* Text of printable ASCII, its first line alone. */
static int
text_ok(struct buf *doc, size_t max)
{
	size_t i;

	for (i = 0; i < doc->len && doc->data[i] != '\n' &&
	    doc->data[i] != '\r'; i++)
		if (doc->data[i] <= ' ' || doc->data[i] > '~')
			return 0;
	doc->len = i;
	return i > 0 && i <= max;
}

static int
token_get(struct imds *m)
{
	int ret = ask(m, S3_HTTP_PUT, "/latest/api/token", "", TTL);

	buf_reset(&m->token);
	if (ret < 0)
		return ret;
	if (ret == 0)
		return v1_allowed(m);
	if (!text_ok(&m->doc, TOKEN_MAX))
		return log_plain(-EACCES, "what the metadata service at %s "
		    "gives is no token", m->base);
	buf_printf(&m->token, "x-aws-ec2-metadata-token: %.*s",
	    (int)m->doc.len, (char *)m->doc.data);
	return buf_cstr(&m->token) == NULL ? -ENOMEM : 0;
}

static int
get(struct imds *m, const char *role)
{
	int ret = ask(m, S3_HTTP_GET, PATH, role, m->token.len > 0 ?
	    (char *)m->token.data : NULL);

	if (ret != 0)
		return ret < 0 ? ret : 0;
	if (m->a.result != S3_HTTP_DONE)
		return nobody(m);
	if (m->a.rp.status == 404)
		return log_plain(-EACCES, "there are no keys for S3: this "
		    "instance has no role; attach an instance profile to it, "
		    "or sign in otherwise, see SIGNING IN TO S3 in firn(1)");
	return log_plain(failing(m), "the metadata service at %s refuses the "
	    "keys of this instance's role (%s)", m->base, m->a.why);
}

static int
keys_get(struct imds *m, struct s3_fetched *out)
{
	struct buf role = BUF_INIT(3 * ROLE_MAX + 1);
	const char *why;
	int err = get(m, "");

	if (err == 0 && !text_ok(&m->doc, ROLE_MAX))
		err = log_plain(-EACCES, "the metadata service at %s names no "
		    "role", m->base);
	if (err == 0)
		err = sigv4_encode((char *)m->doc.data, m->doc.len, 0, &role);
	if (err == 0 && buf_cstr(&role) == NULL)
		err = -ENOMEM;
	if (err == 0)
		err = get(m, (char *)role.data);
	if (err == 0 && s3_cred_json(m->doc.data, m->doc.len, S3_CRED_METADATA,
	    out, &why) != 0)
		err = log_plain(-EACCES, "cannot use the keys that the "
		    "metadata service at %s gives: %s", m->base, why);
	buf_release(&role);
	return err;
}

int
s3_fetch_imds(const struct s3_fetch *f, struct s3_fetched *out)
{
	struct imds m = { .f = f, .url = BUF_INIT(2048),
	    .token = BUF_INIT(TOKEN_MAX + 64),
	    .doc = BUF_INIT(S3_CRED_DOC_MAX) };
	int err = base_set(&m);

	m.a.timeout_ms = 1000 * number_of(f->aws,
	    "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout",
	    SECONDS_MAX);
	m.tries = number_of(f->aws, "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
	    "metadata_service_num_attempts", TRIES_MAX);
	if (err == 0)
		err = token_get(&m);
	if (err == 0)
		err = keys_get(&m, out);
	buf_release(&m.url);
	buf_wipe(&m.token);
	buf_wipe(&m.doc);
	return err;
}
