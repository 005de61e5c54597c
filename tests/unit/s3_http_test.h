/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of HTTP share: a server in this program that does what each test
 * wants, connection by connection, and a request to it.
 */
#ifndef FIRN_TESTS_S3_HTTP_TEST_H
#define FIRN_TESTS_S3_HTTP_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_http.h"

#define CONNECTIONS_MAX	8

/* The server: `serve` has each connection in a thread of its own. */
struct server {
	int fd;
	int port;
	pthread_t accepting;
	pthread_t thread[CONNECTIONS_MAX];
	void (*serve)(struct server *sv, int fd, int nth);
	atomic_int connections;		/* accepted */
	atomic_int requests;		/* headers read */
	atomic_int answered;
	atomic_int hung_up;		/* ended by the client */
};

struct visit {
	struct server *sv;
	int fd;
	int nth;	/* from 1 */
};

static atomic_int canceled;

/* Looks often, and at nothing else: the tests wait for what must come. */
static inline void
wait_until(const atomic_int *v, int least)
{
	struct timespec t = { 0, 2000000 };

	while (atomic_load(v) < least)
		nanosleep(&t, NULL);
}

static inline void *
visit(void *arg)
{
	struct visit *v = arg;

	v->sv->serve(v->sv, v->fd, v->nth);
	close(v->fd);
	free(v);
	return NULL;
}

static inline void *
accepting(void *arg)
{
	struct server *sv = arg;
	struct visit *v;
	int fd, n;

	while ((fd = accept(sv->fd, NULL, NULL)) >= 0) {
		n = atomic_fetch_add(&sv->connections, 1);
		if (n >= CONNECTIONS_MAX)
			abort();
		v = malloc(sizeof(*v));
		*v = (struct visit){ sv, fd, n + 1 };
		pthread_create(&sv->thread[n], NULL, visit, v);
	}
	return NULL;
}

static inline void
server_listen(struct server *sv, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	memset(sv, 0, sizeof(*sv));
	sv->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sv->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(sv->fd, backlog), 0);
	assert_int_equal(getsockname(sv->fd, (struct sockaddr *)&a, &len), 0);
	sv->port = ntohs(a.sin_port);
}

static inline void
server_run(struct server *sv, void (*serve)(struct server *, int, int))
{
	sv->serve = serve;
	assert_int_equal(pthread_create(&sv->accepting, NULL, accepting, sv),
	    0);
}

static inline void
server_start(struct server *sv, void (*serve)(struct server *, int, int))
{
	server_listen(sv, 16);
	server_run(sv, serve);
}

static inline void
server_stop(struct server *sv)
{
	int i;

	shutdown(sv->fd, SHUT_RDWR);
	pthread_join(sv->accepting, NULL);
	close(sv->fd);
	for (i = 0; i < atomic_load(&sv->connections); i++)
		pthread_join(sv->thread[i], NULL);
}

/* Up to the end of a request's headers; 0 when the client has gone. */
static inline int
read_request(struct server *sv, int fd)
{
	char text[4096];
	size_t n = 0;

	while (n < sizeof(text) - 1) {
		if (read(fd, text + n, 1) != 1)
			return 0;
		text[++n] = '\0';
		if (n >= 4 && strcmp(text + n - 4, "\r\n\r\n") == 0) {
			atomic_fetch_add(&sv->requests, 1);
			return 1;
		}
	}
	abort();
}

static inline void
say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static inline void
answer(struct server *sv, int fd, const char *status, const char *body)
{
	char text[256];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n"
	    "ETag: \"e\"\r\n\r\n%s", status, strlen(body), body);
	say(fd, text);
	atomic_fetch_add(&sv->answered, 1);
}

static inline void
await_hang_up(struct server *sv, int fd)
{
	char c;

	while (read(fd, &c, 1) > 0)
		continue;
	atomic_fetch_add(&sv->hung_up, 1);
}

/* One request. */
struct asking {
	struct s3_http *h;
	struct s3_http_request rq;
	struct s3_http_reply rp;
	struct buf doc;
	char url[64];
	char out[64];
	const char *header[1];
	atomic_int asked;	/* may_hedge was called so often */
	int allow;
};

static inline int
may_hedge(void *ctx)
{
	struct asking *a = ctx;

	atomic_fetch_add(&a->asked, 1);
	return a->allow;
}

static inline void
asking_init(struct asking *a, const char *host, int port, unsigned connect,
    unsigned stall)
{
	struct s3_http_conf conf = { .connections = 2,
	    .connect_secs = connect, .stall_secs = stall,
	    .canceled = &canceled };

	memset(a, 0, sizeof(*a));
	atomic_store(&canceled, 0);
	assert_int_equal(s3_http_new(&conf, &a->h), 0);
	buf_init(&a->doc, 4096);
	snprintf(a->url, sizeof(a->url), "http://%s:%d/x", host, port);
	a->header[0] = "Range: bytes=0-63";
	a->allow = 1;
	a->rq = (struct s3_http_request){ .method = S3_HTTP_GET,
	    .url = a->url, .header = a->header, .nheaders = 1,
	    .out = a->out, .outlen = sizeof(a->out), .doc = &a->doc,
	    .may_hedge = may_hedge, .ctx = a };
}

static inline void
asking_release(struct asking *a)
{
	s3_http_free(a->h);
	buf_release(&a->doc);
}

static inline void
assert_body(const struct asking *a, const char *want)
{
	assert_int_equal(a->rp.got, strlen(want));
	assert_memory_equal(a->out, want, strlen(want));
}

static inline void
pause_ms(long ms)
{
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

static inline void *
cancel_when(void *arg)
{
	wait_until(arg, 1);
	atomic_store(&canceled, 1);
	return NULL;
}

static inline enum s3_http_result
canceled_when(struct asking *a, atomic_int *happened)
{
	enum s3_http_result result;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, cancel_when, happened), 0);
	result = s3_http_do(a->h, &a->rq, &a->rp);
	pthread_join(t, NULL);
	return result;
}

#endif
