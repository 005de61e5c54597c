/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libcurl: one lane a request in flight, each with its own
 * connections, the last used taken first so that connections stay warm.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_curl.h"
#include "store/s3_http_internal.h"

int
s3_http_new(const struct s3_http_conf *conf, struct s3_http **out)
{
	struct s3_http *h;
	int err = s3_curl_load();

	if (err != 0)
		return err;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return log_err(-ENOMEM, "cannot start HTTP");
	h->conf = *conf;
	h->conf.ca_file = NULL;
	if (conf->ca_file != NULL)
		h->ca_file = strdup(conf->ca_file);
	if ((conf->ca_file != NULL && h->ca_file == NULL) ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h->ca_file);
		free(h);
		return log_err(-ENOMEM, "cannot start HTTP");
	}
	pthread_mutex_init(&h->lock, NULL);
	*out = h;
	return 0;
}

static void
lane_free(struct lane *l)
{
	curl_easy_cleanup(l->first);
	curl_easy_cleanup(l->second);
	curl_multi_cleanup(l->multi);
	free(l);
}

static struct lane *
lane_new(void)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->multi = curl_multi_init();
	l->first = curl_easy_init();
	if (l->multi == NULL || l->first == NULL) {
		lane_free(l);
		return NULL;
	}
	/* Two, for a moment, where a read is hedged. */
	curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, 2L);
	return l;
}

static struct lane *
lane_take(struct s3_http *h)
{
	struct lane *l;

	pthread_mutex_lock(&h->lock);
	l = h->idle;
	if (l != NULL) {
		h->idle = l->next;
		h->nidle--;
	}
	pthread_mutex_unlock(&h->lock);
	return l != NULL ? l : lane_new();
}

static void
lane_return(struct s3_http *h, struct lane *l)
{
	pthread_mutex_lock(&h->lock);
	if (h->nidle < h->conf.connections) {
		l->next = h->idle;
		h->idle = l;
		h->nidle++;
		l = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	if (l != NULL)
		lane_free(l);
}

void
s3_http_free(struct s3_http *h)
{
	struct lane *l;

	if (h == NULL)
		return;
	while ((l = h->idle) != NULL) {
		h->idle = l->next;
		lane_free(l);
	}
	curl_global_cleanup();
	pthread_mutex_destroy(&h->lock);
	free(h->ca_file);
	free(h);
}

enum s3_http_result
s3_http_do(struct s3_http *h, const struct s3_http_request *rq,
    struct s3_http_reply *rp)
{
	struct exchange x = { .http = h, .rq = rq, .rp = rp, .out = rq->out,
	    .doc = rq->doc };
	struct lane *l;
	enum s3_http_result result;

	memset(rp, 0, sizeof(*rp));
	rp->date = rp->modified = -1;
	if (s3_http_canceled(h))
		return S3_HTTP_CANCELED;
	l = lane_take(h);
	if (l == NULL)
		return S3_HTTP_NOMEM;
	x.curl = l->first;
	result = exchange_begin(&x, rq->fresh);
	if (result == S3_HTTP_DONE)
		result = s3_http_race(l, &x);
	exchange_end(&x);
	lane_return(h, l);
	return result;
}
