/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a bucket is.  All texts come from the user but the region, which may
 * come from a server: so it is a host label or nothing.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3_sigv4.h"
#include "store/s3_url.h"

static int
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

/* Letters, digits and inner hyphens. */
static int
is_label(const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > 63 || !is_alnum(s[0]) || !is_alnum(s[len - 1]))
		return 0;
	for (i = 0; i < len; i++)
		if (!is_alnum(s[i]) && s[i] != '-')
			return 0;
	return 1;
}

/* Also old names and those of other servers, as long as they are safe in a
 * path. */
static const char *
bucket_set(struct s3_url *u, const char *s, size_t len)
{
	size_t i;

	if (len < 3 || len > S3_BUCKET_MAX)
		return "a bucket's name has 3 to 63 bytes";
	for (i = 0; i < len; i++)
		if (!is_alnum(s[i]) && (i == 0 || strchr("._-", s[i]) == NULL))
			return "a bucket's name is of letters, digits, '-', "
			    "'.' and '_'";
	memcpy(u->bucket, s, len);
	u->bucket[len] = '\0';
	return NULL;
}

static int
is_dots(const char *s, size_t len)
{
	return (len == 1 && s[0] == '.') ||
	    (len == 2 && s[0] == '.' && s[1] == '.');
}

/* Components without leading, trailing and doubled slashes, up to the '?'. */
static const char *
prefix_set(struct s3_url *u, const char *s)
{
	size_t len, n = 0, i;

	for (i = 0; s[i] != '\0' && s[i] != '?'; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return "it has a control byte";
	for (s += strspn(s, "/"); *s != '\0' && *s != '?';
	    s += strspn(s, "/")) {
		len = strcspn(s, "/?");
		if (is_dots(s, len))
			return "it has a component '.' or '..'";
		if (n + len + 1 > S3_PREFIX_MAX)
			return "its prefix has over 400 bytes";
		memcpy(u->prefix + n, s, len);
		n += len;
		u->prefix[n++] = '/';
		s += len;
	}
	u->prefix[n] = '\0';
	return NULL;
}

/* Where the port's colon is, or the end. */
static size_t
host_len(const char *hostport)
{
	if (hostport[0] == '[')
		return strcspn(hostport, "]") + (strchr(hostport, ']') != NULL);
	return strcspn(hostport, ":");
}

static int
is_address(const char *hostport, size_t len)
{
	char text[S3_HOST_MAX + 1];
	uint8_t addr[16];
	int v6 = hostport[0] == '[';

	if (v6 && (len < 2 || hostport[len - 1] != ']'))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)(len - (v6 ? 2 : 0)),
	    hostport + v6);
	return inet_pton(v6 ? AF_INET6 : AF_INET, text, addr) == 1;
}

static int
is_host(const char *s, size_t len)
{
	size_t at = 0, n;

	if (is_address(s, len))
		return 1;
	if (len == 0)
		return 0;
	for (;; at += n + 1) {
		n = 0;
		while (at + n < len && s[at + n] != '.')
			n++;
		if (!is_label(s + at, n))
			return 0;
		if (at + n == len)
			return 1;
	}
}

static const char *
endpoint_set(struct s3_url *u, const char *s)
{
	size_t host, digits;
	long port;

	u->http = strncasecmp(s, "http://", 7) == 0;
	if (u->http)
		s += 7;
	else if (strncasecmp(s, "https://", 8) == 0)
		s += 8;
	else if (strstr(s, "://") != NULL)
		return "an endpoint begins with https:// or http://";
	if (snprintf(u->endpoint, sizeof(u->endpoint), "%s", s) >=
	    (int)sizeof(u->endpoint))
		return "the endpoint is too long";
	host = strlen(u->endpoint);
	while (host > 0 && u->endpoint[host - 1] == '/')
		u->endpoint[--host] = '\0';
	host = host_len(u->endpoint);
	if (!is_host(u->endpoint, host))
		return "the endpoint is no https://HOST[:PORT]";
	if (u->endpoint[host] == '\0')
		return NULL;
	digits = strspn(u->endpoint + host + 1, "0123456789");
	port = digits > 0 && digits < 6 ? atol(u->endpoint + host + 1) : 0;
	if (u->endpoint[host] != ':' || port < 1 || port > 65535 ||
	    u->endpoint[host + 1 + digits] != '\0')
		return "the endpoint's port is no number of 1 to 65535";
	/* As HTTP clients write the Host header, which is signed. */
	if (port == (u->http ? 80 : 443))
		u->endpoint[host] = '\0';
	else
		snprintf(u->endpoint + host, sizeof(u->endpoint) - host,
		    ":%ld", port);
	return NULL;
}

static int
by_path(const struct s3_url *u)
{
	size_t len = host_len(u->endpoint), i;

	if (u->path_style >= 0)
		return u->path_style;
	if (len > 0 && memchr(u->endpoint, '.', len) == NULL)
		return 1;	/* localhost, a container, an IPv6 address */
	for (i = 0; u->bucket[i] != '\0'; i++)
		if (u->bucket[i] >= 'A' && u->bucket[i] <= 'Z')
			return 1;	/* host names know no case */
	return !is_label(u->bucket, strlen(u->bucket)) ||
	    is_address(u->endpoint, len);
}

/* The fields that follow from the others. */
static int
derive(struct s3_url *u)
{
	struct buf prefix = BUF_INIT(3 * S3_PREFIX_MAX + 4);
	char server[S3_HOST_MAX + 1];
	int path = by_path(u), err;

	if (u->endpoint[0] != '\0')
		memcpy(server, u->endpoint, sizeof(server));
	else
		snprintf(server, sizeof(server), "s3%s%s.%s.amazonaws.com%s",
		    u->fips ? "-fips" : "", u->dualstack ? ".dualstack" : "",
		    u->region, strncmp(u->region, "cn-", 3) == 0 ? ".cn" : "");
	snprintf(u->host, sizeof(u->host), "%s%s%s", path ? "" : u->bucket,
	    path ? "" : ".", server);
	snprintf(u->root, sizeof(u->root), "/%s", path ? u->bucket : "");
	err = sigv4_encode(u->prefix, strlen(u->prefix), 1, &prefix);
	if (err == 0 && buf_cstr(&prefix) == NULL)
		err = -ENOMEM;
	if (err == 0)
		snprintf(u->path, sizeof(u->path), "%s%s%s", u->root,
		    path ? "/" : "", (char *)prefix.data);
	buf_release(&prefix);
	return err;
}

int
s3_url_set_region(struct s3_url *u, const char *region)
{
	size_t len = strlen(region);

	if (!is_label(region, len))
		return -EINVAL;
	memcpy(u->region, region, len + 1);
	return derive(u);
}

int
s3_url_endpoint(struct s3_url *u, const char *endpoint, const char **why)
{
	memset(u, 0, sizeof(*u));
	*why = endpoint_set(u, endpoint);
	return *why == NULL ? 0 : -EINVAL;
}

int
s3_url_init(struct s3_url *u, const char *url, const struct s3_url_conf *conf,
    const char **why)
{
	size_t len;
	int err;

	memset(u, 0, sizeof(*u));
	u->path_style = conf->path_style;
	u->dualstack = conf->dualstack;
	u->fips = conf->fips;
	*why = "it does not begin with s3://";
	if (strncmp(url, "s3://", 5) != 0)
		return -EINVAL;
	url += 5;
	len = strcspn(url, "/?");
	*why = bucket_set(u, url, len);
	if (*why == NULL)
		*why = prefix_set(u, url + len);
	if (*why == NULL && conf->endpoint != NULL && conf->endpoint[0] != '\0')
		*why = endpoint_set(u, conf->endpoint);
	if (*why != NULL)
		return -EINVAL;
	err = s3_url_set_region(u, conf->region);
	*why = err == -EINVAL ? "the region is no name of one" : "no memory";
	return err;
}
