/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libcurl's easy interface: one handle a request in flight, each with
 * its own connection, the last used taken first so that connections stay warm.
 *
 * libcurl sends a request again by itself when a kept connection turns out to
 * be dead; whether the server saw the first is unknown then.  So each start of
 * a request is counted, and the caller told.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "store/s3_http.h"

#define DOWNLOAD_BUFFER	(256L << 10)
#define UPLOAD_BUFFER	(512L << 10)

struct s3_http {
	struct s3_http_conf conf;
	char *ca_file;
	pthread_mutex_t lock;
	pthread_cond_t returned;
	CURL **idle;		/* protected by lock, as the next two */
	unsigned nidle;
	unsigned busy;
};

/* One request, as the callbacks see it. */
struct exchange {
	CURL *curl;
	const struct s3_http *http;
	const struct s3_http_request *rq;
	struct s3_http_reply *rp;
	size_t sent;		/* bytes of the body given to libcurl */
	int too_much;
};

int
s3_http_new(const struct s3_http_conf *conf, struct s3_http **out)
{
	struct s3_http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->conf = *conf;
	h->conf.ca_file = NULL;
	h->idle = calloc(conf->connections, sizeof(CURL *));
	if (conf->ca_file != NULL)
		h->ca_file = strdup(conf->ca_file);
	if (h->idle == NULL || (conf->ca_file != NULL && h->ca_file == NULL) ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h->idle);
		free(h->ca_file);
		free(h);
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->returned, NULL);
	*out = h;
	return 0;
}

void
s3_http_free(struct s3_http *h)
{
	unsigned i;

	if (h == NULL)
		return;
	for (i = 0; i < h->nidle; i++)
		curl_easy_cleanup(h->idle[i]);
	curl_global_cleanup();
	pthread_cond_destroy(&h->returned);
	pthread_mutex_destroy(&h->lock);
	free(h->idle);
	free(h->ca_file);
	free(h);
}

static int
is_canceled(const struct s3_http *h)
{
	return atomic_load_explicit(h->conf.canceled, memory_order_relaxed);
}

/* Waits for a handle.  A signal handler may cancel, so nobody can wake us for
 * it: we look from time to time. */
static enum s3_http_result
curl_take(struct s3_http *h, CURL **out)
{
	struct timespec until;

	*out = NULL;
	pthread_mutex_lock(&h->lock);
	while (h->busy == h->conf.connections && !is_canceled(h)) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&h->returned, &h->lock, &until);
	}
	if (is_canceled(h)) {
		pthread_mutex_unlock(&h->lock);
		return S3_HTTP_CANCELED;
	}
	h->busy++;
	if (h->nidle > 0)
		*out = h->idle[--h->nidle];
	pthread_mutex_unlock(&h->lock);
	if (*out == NULL)
		*out = curl_easy_init();
	if (*out != NULL)
		return S3_HTTP_DONE;
	pthread_mutex_lock(&h->lock);
	h->busy--;
	pthread_mutex_unlock(&h->lock);
	return S3_HTTP_NOMEM;
}

static void
curl_return(struct s3_http *h, CURL *curl)
{
	curl_easy_reset(curl);	/* keeps the connection */
	pthread_mutex_lock(&h->lock);
	h->idle[h->nidle++] = curl;
	h->busy--;
	pthread_cond_signal(&h->returned);
	pthread_mutex_unlock(&h->lock);
}

static int
on_start(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct exchange *x = ctx;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	x->rp->sent++;
	return CURL_PREREQFUNC_OK;
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
	return is_canceled(x->http);
}

static size_t
on_upload(char *buf, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t room = size * n, left = x->rq->len - x->sent;

	if (is_canceled(x->http))
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
	if (rq->out != NULL && (status == 200 || status == 206)) {
		x->too_much = len > rq->outlen - x->rp->got;
		if (x->too_much)
			return 0;	/* not what was asked for: end it */
		memcpy((char *)rq->out + x->rp->got, data, len);
	} else if (rq->doc != NULL && buf_add(rq->doc, data, len) != 0) {
		x->too_much = buf_err(rq->doc) == -FIRN_ETOOBIG;
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
		v = to_number(value);	/* or a date, which none sends */
		rp->retry_after = v < 3600 ? (unsigned)v : 0;
	}
}

static char *
header_field(struct s3_http_reply *rp, const char *name)
{
	if (strcasecmp(name, "content-range") == 0)
		return rp->content_range;
	if (strcasecmp(name, "content-type") == 0)
		return rp->content_type;
	if (strcasecmp(name, "etag") == 0)
		return rp->etag;
	if (strcasecmp(name, "x-amz-bucket-region") == 0)
		return rp->region;
	if (strcasecmp(name, "x-amz-checksum-sha256") == 0)
		return rp->checksum;
	if (strcasecmp(name, "x-amz-meta-firn-put") == 0)
		return rp->nonce;
	if (strcasecmp(name, "x-amz-request-id") == 0)
		return rp->request_id;
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

/* One of them may be a session token. */
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
options_common(struct s3_http *h, struct exchange *x)
{
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
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)h->conf.stall_secs);
	if (h->ca_file != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_start);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
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
	case S3_HTTP_PUT:
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE,
		    (curl_off_t)x->rq->len);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
		break;
	}
}

static enum s3_http_result
result_of(const struct exchange *x, CURLcode code)
{
	if (is_canceled(x->http) && code != CURLE_OK)
		return S3_HTTP_CANCELED;
	if (x->too_much)
		return S3_HTTP_TOO_MUCH;
	switch (code) {
	case CURLE_OK:
		return S3_HTTP_DONE;
	case CURLE_OUT_OF_MEMORY:
		return S3_HTTP_NOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return S3_HTTP_DNS;
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

enum s3_http_result
s3_http_do(struct s3_http *h, const struct s3_http_request *rq,
    struct s3_http_reply *rp)
{
	struct exchange x = { .http = h, .rq = rq, .rp = rp };
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	enum s3_http_result result;
	long status = 0;
	CURLcode code;

	memset(rp, 0, sizeof(*rp));
	reply_reset(rp);
	if (rq->doc != NULL)
		buf_reset(rq->doc);
	result = curl_take(h, &x.curl);
	if (result != S3_HTTP_DONE)
		return result;
	headers = headers_make(rq);
	if (headers == NULL) {
		curl_return(h, x.curl);
		return S3_HTTP_NOMEM;
	}
	options_common(h, &x);
	options_method(&x);
	code = curl_easy_setopt(x.curl, CURLOPT_URL, rq->url);
	curl_easy_setopt(x.curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(x.curl, CURLOPT_ERRORBUFFER, text);
	if (code == CURLE_OK)
		code = curl_easy_perform(x.curl);
	curl_easy_getinfo(x.curl, CURLINFO_RESPONSE_CODE, &status);
	rp->status = (int)status;
	result = result_of(&x, code);
	if (code != CURLE_OK)
		snprintf(rp->detail, sizeof(rp->detail), "%.*s",
		    (int)sizeof(rp->detail) - 1,
		    text[0] != '\0' ? text : curl_easy_strerror(code));
	curl_easy_setopt(x.curl, CURLOPT_ERRORBUFFER, NULL);
	curl_return(h, x.curl);
	headers_free(headers);
	return result;
}
