/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One transfer by libcurl: what it is told to do, what it tells us, and what
 * to call the outcome.
 *
 * libcurl sends a request again by itself when a kept connection turns out to
 * be dead; whether the server saw the first is unknown then.  So each start of
 * a request is counted, and the caller told.
 *
 * Stalls are noticed here and not by libcurl, which takes bytes for sent that
 * only went into the socket's buffer: over a slow line that is megabytes, and
 * for minutes nothing seems to move.
 */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "base/err.h"
#include "store/s3_http_internal.h"

#define DOWNLOAD_BUFFER	(256L << 10)
#define UPLOAD_BUFFER	(512L << 10)
#define UNSENT_MAX	(256 << 10)	/* in a socket, not yet on its way */
#define SPEED_MIN	1024	/* bytes/s, over the time of a stall */

static int
on_start(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct exchange *x = ctx;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	x->rp->sent++;
	x->at_ms = s3_http_now();
	x->at_bytes = 0;
	return CURL_PREREQFUNC_OK;
}

/* Programs that we start (credential_process) get none of them. */
static curl_socket_t
on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	int most = UNSENT_MAX;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

	(void)ctx;
	(void)purpose;
	/* What waits in the socket is neither sent nor can be taken back. */
	if (fd >= 0 && a->socktype == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most,
		    sizeof(most));
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int
on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow,
    curl_off_t ultotal, curl_off_t ulnow)
{
	struct exchange *x = ctx;

	(void)dltotal;
	(void)dlnow;
	(void)ultotal;
	(void)ulnow;
	return s3_http_canceled(x->http);
}

static size_t
on_upload(char *buf, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t room = size * n, left = x->rq->len - x->sent;

	if (s3_http_canceled(x->http))
		return CURL_READFUNC_ABORT;
	if (room > left)
		room = left;
	if (room > 0)
		memcpy(buf, (const char *)x->rq->body + x->sent, room);
	x->sent += room;
	x->rp->uploaded += room;
	return room;
}

/* The request goes out once more. */
static int
on_rewind(void *ctx, curl_off_t offset, int origin)
{
	struct exchange *x = ctx;

	if (origin != SEEK_SET || offset < 0 || (size_t)offset > x->rq->len)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	const struct s3_http_request *rq = x->rq;
	size_t len = size * n;
	long status = 0;

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	x->rp->received += len;
	if (x->out != NULL && (status == 200 || status == 206)) {
		x->too_much = len > rq->outlen - x->rp->got;
		if (x->too_much)
			return 0;	/* not what was asked for: end it */
		memcpy((char *)x->out + x->rp->got, data, len);
	} else if (x->doc != NULL && buf_add(x->doc, data, len) != 0) {
		x->too_much = buf_err(x->doc) == -FIRN_ETOOBIG;
		return 0;
	}
	x->rp->got += len;
	return len;
}

static uint64_t
to_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && n <= 18 ? strtoull(s, NULL, 10) : UINT64_MAX;
}

static void
header_note(struct s3_http_reply *rp, const char *name, const char *value)
{
	uint64_t v;

	if (strcasecmp(name, "content-length") == 0) {
		rp->length = to_number(value);
		rp->has_length = rp->length != UINT64_MAX;
	} else if (strcasecmp(name, "date") == 0) {
		rp->date = curl_getdate(value, NULL);
	} else if (strcasecmp(name, "last-modified") == 0) {
		rp->modified = curl_getdate(value, NULL);
	} else if (strcasecmp(name, "retry-after") == 0) {
		v = to_number(value);
		if (v == UINT64_MAX && curl_getdate(value, NULL) > 0)
			v = (uint64_t)(curl_getdate(value, NULL) - time(NULL));
		rp->retry_after = v < 3600 ? (unsigned)v : 0;
	} else if (strcasecmp(name, "x-amz-retry-after") == 0) {
		v = to_number(value);
		rp->retry_after_ms = v < 3600000 ? (unsigned)v : 0;
	}
}

static char *
header_field(struct s3_http_reply *rp, const char *name)
{
	const struct { const char *name; char *field; } fields[] = {
		{ "content-range", rp->content_range },
		{ "content-type", rp->content_type },
		{ "etag", rp->etag },
		{ "x-amz-bucket-region", rp->region },
		{ "x-amz-checksum-sha256", rp->checksum },
		{ "x-amz-version-id", rp->version },
		{ "x-amz-meta-firn-put", rp->nonce },
		{ "x-amz-storage-class", rp->class_name },
		{ "x-amz-restore", rp->restore },
		{ "x-amz-archive-status", rp->archive },
		{ "x-amz-server-side-encryption", rp->sse },
		{ "x-amz-server-side-encryption-aws-kms-key-id", rp->sse_key },
		{ "x-amz-transition-default-minimum-object-size",
		    rp->minimum },
		{ "x-amz-request-id", rp->request_id },
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcasecmp(name, fields[i].name) == 0)
			return fields[i].field;
	return NULL;
}

/* Fields of this answer alone: a status line begins another. */
static void
reply_reset(struct s3_http_reply *rp)
{
	unsigned sent = rp->sent;
	uint64_t received = rp->received, uploaded = rp->uploaded;

	memset(rp, 0, sizeof(*rp));
	rp->sent = sent;
	rp->received = received;
	rp->uploaded = uploaded;
	rp->date = rp->modified = -1;
}

static size_t
on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	char text[S3_HTTP_FIELD + 64], *value, *field;
	size_t len = size * n;

	if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0)
		reply_reset(x->rp);
	snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len :
	    sizeof(text) - 1), line);
	text[strcspn(text, "\r\n")] = '\0';
	value = strchr(text, ':');
	if (value == NULL)
		return len;
	*value++ = '\0';
	value += strspn(value, " \t");
	header_note(x->rp, text, value);
	field = header_field(x->rp, text);
	if (field != NULL)
		snprintf(field, S3_HTTP_FIELD, "%.*s", S3_HTTP_FIELD - 1,
		    value);
	return len;
}

static void
headers_free(struct curl_slist *list)
{
	struct curl_slist *p;

	for (p = list; p != NULL; p = p->next)
		explicit_bzero(p->data, strlen(p->data));
	curl_slist_free_all(list);
}

static struct curl_slist *
headers_make(const struct s3_http_request *rq)
{
	/* An empty Expect: S3 answers no "100 Continue" that is worth a round
	 * trip. */
	static const char *const none[] = { "Expect:", "Accept:" };
	struct curl_slist *list = NULL, *grown;
	size_t i;

	for (i = 0; i < rq->nheaders + 2; i++) {
		grown = curl_slist_append(list, i < 2 ? none[i] :
		    rq->header[i - 2]);
		if (grown == NULL) {
			headers_free(list);
			return NULL;
		}
		list = grown;
	}
	return list;
}

/* What is the same for all requests. */
static void
options_common(struct exchange *x)
{
	const struct s3_http *h = x->http;
	CURL *c = x->curl;

#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP |
	    CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "firnfs");
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT,
	    (long)h->conf.connect_secs);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Giving up does not wait for a name server that is silent. */
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (h->ca_file != NULL) {
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
		curl_easy_setopt(c, CURLOPT_PROXY_CAINFO, h->ca_file);
	}
	if (h->conf.no_proxy)
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)x->rq->timeout_ms);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_start);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
}

static void
options_body(struct exchange *x)
{
	curl_easy_setopt(x->curl, CURLOPT_READFUNCTION, on_upload);
	curl_easy_setopt(x->curl, CURLOPT_READDATA, x);
	curl_easy_setopt(x->curl, CURLOPT_SEEKFUNCTION, on_rewind);
	curl_easy_setopt(x->curl, CURLOPT_SEEKDATA, x);
}

static void
options_method(struct exchange *x)
{
	CURL *c = x->curl;

	switch (x->rq->method) {
	case S3_HTTP_GET:
		curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
		break;
	case S3_HTTP_HEAD:
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		break;
	case S3_HTTP_DELETE:
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	case S3_HTTP_POST:
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)x->rq->len);
		options_body(x);
		break;
	case S3_HTTP_PUT:
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)x->rq->len);
		options_body(x);
		break;
	}
}

static enum s3_http_result
result_of(const struct exchange *x, CURLcode code)
{
	if (s3_http_canceled(x->http) && code != CURLE_OK)
		return S3_HTTP_CANCELED;
	if (x->too_much)
		return S3_HTTP_TOO_MUCH;
	switch (code) {
	case CURLE_OK:
		return S3_HTTP_DONE;
	case CURLE_OUT_OF_MEMORY:
		return S3_HTTP_NOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
		return S3_HTTP_DNS;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_PROXY:
		return S3_HTTP_PROXY;
	case CURLE_COULDNT_CONNECT:
		return S3_HTTP_REFUSED;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return S3_HTTP_UNTRUSTED;
	case CURLE_SSL_CONNECT_ERROR:
		return S3_HTTP_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		return S3_HTTP_STALLED;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_UPLOAD_FAILED:
		return S3_HTTP_BROKEN;
	default:
		return S3_HTTP_FAILED;
	}
}

/* What the proxy answered to CONNECT, if that is why there is nothing else. */
static int
refused_by_proxy(const struct exchange *x, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(x->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	return code != CURLE_OK && status >= 300 ? (int)status : 0;
}

/* libcurl would repeat the proxy's URL, and the password in it. */
static int
is_bad_proxy(const struct exchange *x, CURLcode code)
{
	return code != CURLE_OK && strncmp(x->text, "Unsupported proxy",
	    strlen("Unsupported proxy")) == 0;
}

static void
judge_proxy(struct exchange *x, CURLcode code)
{
	int status = refused_by_proxy(x, code);

	if (x->result == S3_HTTP_CANCELED || x->result == S3_HTTP_NOMEM)
		return;
	if (status != 0) {
		x->result = S3_HTTP_PROXY;
		x->rp->status = status;
	} else if (is_bad_proxy(x, code)) {
		x->result = S3_HTTP_PROXY;
		snprintf(x->text, sizeof(x->text), "its URL is not valid");
	}
}

enum s3_http_result
exchange_begin(struct exchange *x, int fresh)
{
	memset(x->rp, 0, sizeof(*x->rp));
	reply_reset(x->rp);
	if (x->doc != NULL)
		buf_reset(x->doc);
	x->headers = headers_make(x->rq);
	if (x->headers == NULL)
		return S3_HTTP_NOMEM;
	options_common(x);
	options_method(x);
	if (fresh) {
		curl_easy_setopt(x->curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(x->curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	}
	curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->text);
	curl_easy_setopt(x->curl, CURLOPT_PRIVATE, x);
	return curl_easy_setopt(x->curl, CURLOPT_URL, x->rq->url) == CURLE_OK ?
	    S3_HTTP_DONE : S3_HTTP_NOMEM;
}

/* A kept connection that the server closed before it had read this. */
static int
is_stale(const struct exchange *x)
{
	long connects = 1, header = 0;

	curl_easy_getinfo(x->curl, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(x->curl, CURLINFO_HEADER_SIZE, &header);
	return x->result == S3_HTTP_BROKEN && connects == 0 && header == 0 &&
	    x->rp->received == 0;
}

void
exchange_finish(struct exchange *x, CURLcode code)
{
	long status = 0;

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	x->rp->status = (int)status;
	x->result = result_of(x, code);
	judge_proxy(x, code);
	x->rp->stale = is_stale(x);
	x->done = 1;
	if (code != CURLE_OK)
		snprintf(x->rp->detail, sizeof(x->rp->detail), "%.*s",
		    (int)sizeof(x->rp->detail) - 1, x->text[0] != '\0' ?
		    x->text : curl_easy_strerror(code));
}

/*
 * The socket of the only transfer in the multi handle; -1 for unknown.  There
 * is no other way to ask: CURLINFO_ACTIVESOCKET knows none until the transfer
 * is over.
 */
static int
socket_of(CURLM *multi)
{
	fd_set in, out, odd;
	int fd = -1;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&odd);
	if (curl_multi_fdset(multi, &in, &out, &odd, &fd) != CURLM_OK)
		return -1;
	return fd;
}

/* What has arrived, at either end.  Only what has a body asks for the socket:
 * reads may be two in the lane. */
static uint64_t
moved(const struct exchange *x, CURLM *multi)
{
	curl_off_t given = 0;
	uint64_t acked;
	int fd, queued = 0;

	/* Not x->sent, of which much may still wait in libcurl. */
	curl_easy_getinfo(x->curl, CURLINFO_SIZE_UPLOAD_T, &given);
	acked = given > 0 ? (uint64_t)given : 0;
	fd = x->rq->len > 0 ? socket_of(multi) : -1;
	if (fd >= 0 && ioctl(fd, SIOCOUTQ, &queued) == 0)
		acked -= (uint64_t)queued < acked ? (uint64_t)queued : acked;
	return x->rp->received + acked;
}

int
exchange_stalled(struct exchange *x, CURLM *multi, int64_t now_ms)
{
	int64_t most = (int64_t)x->http->conf.stall_secs * 1000;
	uint64_t all;

	/* Connecting has a time of its own. */
	if (x->at_ms == 0 || now_ms - x->at_ms < most / 4)
		return 0;
	all = moved(x, multi);
	if (all >= x->at_bytes + (uint64_t)SPEED_MIN *
	    x->http->conf.stall_secs) {
		x->at_ms = now_ms;
		x->at_bytes = all;
		return 0;
	}
	if (now_ms - x->at_ms < most)
		return 0;
	snprintf(x->text, sizeof(x->text), "%llu bytes in %u seconds",
	    (unsigned long long)(all > x->at_bytes ? all - x->at_bytes : 0),
	    x->http->conf.stall_secs);
	return 1;
}

/* One of the headers may be a session token. */
void
exchange_end(struct exchange *x)
{
	curl_easy_reset(x->curl);
	headers_free(x->headers);
	x->headers = NULL;
}
