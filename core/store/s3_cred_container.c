/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of containers: ECS, EKS Pod Identity, Greengrass and what does as they
 * do.
 *
 * docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define ECS_HOST	"http://169.254.170.2"
#define TRIES		3
#define TIMEOUT		2000	/* ms */
#define PAUSE		1000
#define TOKEN_MAX	(16u << 10)
#define URL_LEN_MAX	2048

/* Loopback, or an address that ECS or EKS has. */
static int
host_ok(const char *host)
{
	uint8_t a[16], b[16];

	if (strcasecmp(host, "localhost") == 0)
		return 1;
	if (inet_pton(AF_INET, host, a) == 1)
		return a[0] == 127 || strcmp(host, "169.254.170.2") == 0 ||
		    strcmp(host, "169.254.170.23") == 0;
	if (inet_pton(AF_INET6, host, a) != 1)
		return 0;
	if (inet_pton(AF_INET6, "::1", b) == 1 && memcmp(a, b, 16) == 0)
		return 1;
	return inet_pton(AF_INET6, "fd00:ec2::23", b) == 1 &&
	    memcmp(a, b, 16) == 0;
}

/* What goes to curl as it is must mean there what it means here. */
static int
is_plain(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (s[i] <= ' ' || s[i] > '~' || strchr("\\\"<>^`{|}", s[i]))
			return 0;
	return i <= URL_LEN_MAX;
}

int
s3_container_url_ok(const char *url)
{
	int tls = strncasecmp(url, "https://", 8) == 0;
	const char *host, *end;
	char text[256];
	size_t len;

	if (!is_plain(url) ||
	    (!tls && strncasecmp(url, "http://", 7) != 0))
		return 0;
	host = url + (tls ? 8 : 7);
	len = strcspn(host, "/?#");
	if (len == 0 || len >= sizeof(text) || memchr(host, '@', len) != NULL)
		return 0;
	memcpy(text, host, len);
	text[len] = '\0';
	if (tls)
		return 1;
	if (text[0] == '[') {
		text[strcspn(text, "]")] = '\0';
		end = text + strlen(text) + 1;
		/* Behind the bracket: nothing, or a port. */
		return (size_t)(end - text) <= len && (*end == '\0' ||
		    *end == ':') && host_ok(text + 1);
	}
	text[strcspn(text, ":")] = '\0';
	return host_ok(text);
}

static int
url_make(struct buf *out)
{
	const char *relative = aws_env(
	    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");

	if (relative == NULL && full == NULL)
		return log_plain(-EACCES, "there are no keys of a container: "
		    "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
		    "AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
	if (relative != NULL && (relative[0] != '/' || !is_plain(relative)))
		return log_plain(-EACCES, "AWS_CONTAINER_CREDENTIALS_"
		    "RELATIVE_URI is '%s', and no path", relative);
	if (relative != NULL)
		buf_printf(out, ECS_HOST "%s", relative);
	else if (s3_container_url_ok(full))
		buf_printf(out, "%s", full);
	else
		return log_plain(-EACCES, "AWS_CONTAINER_CREDENTIALS_FULL_URI "
		    "is '%s'; it must be of https, or of this host or the "
		    "container service's addresses", full);
	return buf_cstr(out) == NULL ? -ENOMEM : 0;
}

/* "Authorization: ...", from a file that is written anew from time to time. */
static int
token_make(struct buf *out)
{
	const char *path = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	size_t i;
	int err;

	if (path == NULL && token == NULL)
		return 0;
	err = buf_reserve(out, out->max - out->len);
	if (err == 0)
		err = buf_printf(out, "Authorization: ");
	i = out->len;
	if (err == 0 && path != NULL)
		err = file_load(AT_FDCWD, path, out);
	else if (err == 0)
		err = buf_add(out, token, strlen(token));
	if (err != 0 && err != -ENOMEM && path != NULL) {
		log_err(err, "cannot read '%s' of "
		    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
		return -EACCES;
	}
	while (out->len > i && (out->data[out->len - 1] == '\n' ||
	    out->data[out->len - 1] == '\r'))
		out->len--;
	if (err == 0 && buf_cstr(out) == NULL)
		err = -ENOMEM;
	for (; err == 0 && i < out->len; i++)
		if (out->data[i] < ' ' || out->data[i] > '~')
			err = log_plain(-EACCES, "the container's "
			    "authorization token has a line break or a byte "
			    "that is not ASCII");
	return err;
}

static int
ask(const struct s3_fetch *f, struct s3_ask *a, struct s3_fetched *out)
{
	const char *why;
	int ret = 0, i, err;

	for (i = 0; i < TRIES && ret == 0; i++) {
		err = i > 0 ? s3_fetch_sleep(f, PAUSE) : 0;
		ret = err != 0 ? err : s3_ask(f, a);
		if (ret == 0 && a->result == S3_HTTP_DONE &&
		    a->rp.status < 500 && a->rp.status != 429)
			break;
	}
	if (ret < 0)
		return ret;
	if (ret == 0)
		return log_plain(i == TRIES ? -EAGAIN : -EACCES,
		    "cannot get the container's keys "
		    "from '%s' (%s, tried %d times); check the task's role, or "
		    "AWS_CONTAINER_CREDENTIALS_FULL_URI and its token", a->url,
		    a->why, i < TRIES ? i + 1 : TRIES);
	if (s3_cred_json(a->doc->data, a->doc->len, S3_CRED_METADATA, out,
	    &why) != 0)
		return log_plain(-EACCES, "cannot use the container's keys "
		    "from '%s': %s", a->url, why);
	return 0;
}

int
s3_fetch_container(const struct s3_fetch *f, struct s3_fetched *out)
{
	struct buf url = BUF_INIT(URL_LEN_MAX + 64);
	struct buf token = BUF_INIT(TOKEN_MAX), doc = BUF_INIT(S3_CRED_DOC_MAX);
	struct s3_ask a = { .method = S3_HTTP_GET, .timeout_ms = TIMEOUT,
	    .doc = &doc };
	int err = url_make(&url);

	if (err == 0)
		err = token_make(&token);
	if (err == 0) {
		a.url = (char *)url.data;
		a.header = token.len > 0 ? (char *)token.data : NULL;
		err = ask(f, &a, out);
	}
	buf_release(&url);
	buf_wipe(&token);
	buf_wipe(&doc);
	return err;
}
