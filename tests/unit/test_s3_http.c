/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP under S3, against a server in this program that does what each test
 * wants, connection by connection: which answer wins, what ends a request, and
 * that nothing keeps a cancelled one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curlver.h>

#include "base/err.h"
#include "store/s3_http.h"
#include "store/store.h"

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
static void
wait_until(const atomic_int *v, int least)
{
	struct timespec t = { 0, 2000000 };

	while (atomic_load(v) < least)
		nanosleep(&t, NULL);
}

static void *
visit(void *arg)
{
	struct visit *v = arg;

	v->sv->serve(v->sv, v->fd, v->nth);
	close(v->fd);
	free(v);
	return NULL;
}

static void *
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

static void
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

static void
server_run(struct server *sv, void (*serve)(struct server *, int, int))
{
	sv->serve = serve;
	assert_int_equal(pthread_create(&sv->accepting, NULL, accepting, sv),
	    0);
}

static void
server_start(struct server *sv, void (*serve)(struct server *, int, int))
{
	server_listen(sv, 16);
	server_run(sv, serve);
}

static void
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
static int
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

static void
say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
answer(struct server *sv, int fd, const char *status, const char *body)
{
	char text[256];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n"
	    "ETag: \"e\"\r\n\r\n%s", status, strlen(body), body);
	say(fd, text);
	atomic_fetch_add(&sv->answered, 1);
}

static void
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

static int
may_hedge(void *ctx)
{
	struct asking *a = ctx;

	atomic_fetch_add(&a->asked, 1);
	return a->allow;
}

static void
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

static void
asking_release(struct asking *a)
{
	s3_http_free(a->h);
	buf_release(&a->doc);
}

static void
assert_body(const struct asking *a, const char *want)
{
	assert_int_equal(a->rp.got, strlen(want));
	assert_memory_equal(a->out, want, strlen(want));
}

/* The first connection is silent, the second answers. */
static void
serve_first_silent(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth == 2)
		answer(sv, fd, "206 Partial Content", "of the second");
	await_hang_up(sv, fd);
}

static void
test_hedge_wins(void **state)
{
	struct server sv;
	struct asking a;

	(void)state;
	server_start(&sv, serve_first_silent);
	asking_init(&a, "127.0.0.1", sv.port, 10, 30);
	a.rq.hedge_ms = 20;
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(a.rp.status, 206);
	assert_body(&a, "of the second");
	assert_int_equal(a.rp.hedged, 1);
	assert_int_equal(a.rp.hedge_won, 1);
	assert_int_equal(a.rp.sent, 2);
	/* The loser's connection is closed, the winner's kept. */
	wait_until(&sv.hung_up, 1);
	assert_int_equal(sv.hung_up, 1);
	asking_release(&a);
	wait_until(&sv.hung_up, 2);
	server_stop(&sv);
}

/* The first answers when the second has been asked, or refused. */
static void
serve_first_late(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth == 1) {
		wait_until(&sv->requests, 2);
		answer(sv, fd, "206 Partial Content", "of the first");
	}
	await_hang_up(sv, fd);
}

static void
serve_second_refused(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth == 1) {
		wait_until(&sv->answered, 1);
		answer(sv, fd, "206 Partial Content", "of the first");
	} else {
		answer(sv, fd, "503 Slow Down", "<Error/>");
	}
	await_hang_up(sv, fd);
}

static void
serve_first_refused(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth == 1) {
		wait_until(&sv->requests, 2);
		answer(sv, fd, "500 Internal Server Error", "<Error/>");
	} else {
		wait_until(&sv->answered, 1);
		answer(sv, fd, "206 Partial Content", "of the second");
	}
	await_hang_up(sv, fd);
}

static void
test_hedge_loses(void **state)
{
	void (*const serve[])(struct server *, int, int) = {
		serve_first_late, serve_second_refused, serve_first_refused,
	};
	struct server sv;
	struct asking a;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		server_start(&sv, serve[i]);
		asking_init(&a, "127.0.0.1", sv.port, 10, 30);
		a.rq.hedge_ms = 20;
		assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
		assert_int_equal(a.rp.status, 206);
		assert_body(&a, i < 2 ? "of the first" : "of the second");
		assert_int_equal(a.rp.hedged, 1);
		assert_int_equal(a.rp.hedge_won, i == 2);
		assert_int_equal(a.asked, 1);
		asking_release(&a);
		server_stop(&sv);
		assert_int_equal(sv.connections, 2);
	}
}

static struct asking *never;

/* The first and only one: answered when a second was asked about. */
static void
serve_when_asked(struct server *sv, int fd, int nth)
{
	(void)nth;
	if (!read_request(sv, fd))
		return;
	wait_until(&never->asked, 1);
	answer(sv, fd, "404 Not Found", "<Error/>");
	await_hang_up(sv, fd);
}

static void
test_hedge_not_allowed(void **state)
{
	struct server sv;
	struct asking a;

	(void)state;
	server_start(&sv, serve_when_asked);
	asking_init(&a, "127.0.0.1", sv.port, 10, 30);
	never = &a;
	a.rq.hedge_ms = 20;
	a.allow = 0;
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(a.rp.status, 404);
	assert_int_equal(a.rp.hedged, 0);
	assert_int_equal(a.doc.len, 8);
	assert_int_equal(a.asked, 1);
	asking_release(&a);
	server_stop(&sv);
	assert_int_equal(sv.connections, 1);
}

static void
pause_ms(long ms)
{
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

/* Now and then a byte, until the client has enough of it. */
static void
serve_trickle(struct server *sv, int fd, int nth)
{
	char c = 'x';

	(void)nth;
	if (!read_request(sv, fd))
		return;
	say(fd, "HTTP/1.1 206 Partial Content\r\nContent-Length: 60\r\n\r\n");
	while (send(fd, &c, 1, MSG_NOSIGNAL) == 1)
		pause_ms(100);
	atomic_fetch_add(&sv->hung_up, 1);
}

/* The same in an endless document, but 4 KiB a second. */
static void
serve_slowly(struct server *sv, int fd, int nth)
{
	char text[1025];
	int i;

	(void)nth;
	if (!read_request(sv, fd))
		return;
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n");
	memset(text, 'x', 1024);
	text[1024] = '\0';
	for (i = 0; i < 8; i++) {
		pause_ms(250);
		say(fd, text);
	}
	await_hang_up(sv, fd);
}

static void
test_trickle(void **state)
{
	struct server sv;
	struct asking a;

	(void)state;
	server_start(&sv, serve_trickle);
	asking_init(&a, "127.0.0.1", sv.port, 10, 1);
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_STALLED);
	assert_non_null(strstr(a.rp.detail, "bytes in 1 seconds"));
	wait_until(&sv.hung_up, 1);
	asking_release(&a);
	server_stop(&sv);

	server_start(&sv, serve_slowly);
	asking_init(&a, "127.0.0.1", sv.port, 10, 1);
	a.rq.out = NULL;
	buf_release(&a.doc);
	buf_init(&a.doc, 1u << 20);
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(a.doc.len, 8192);
	asking_release(&a);
	server_stop(&sv);
}

#define LARGE	(32u << 20)	/* more than a socket's buffers */

static void *
cancel_when(void *arg)
{
	wait_until(arg, 1);
	atomic_store(&canceled, 1);
	return NULL;
}

static enum s3_http_result
canceled_when(struct asking *a, atomic_int *happened)
{
	enum s3_http_result result;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, cancel_when, happened), 0);
	result = s3_http_do(a->h, &a->rq, &a->rp);
	pthread_join(t, NULL);
	return result;
}

#define UPLINK_READS	20	/* 4 KiB each, 250 ms apart */

/* A slow way up: the buffers on it are full, and drain slowly. */
static void
serve_uplink(struct server *sv, int fd, int nth)
{
	char text[4096];
	int i;

	(void)nth;
	i = read_request(sv, fd) ? UPLINK_READS : 0;
	while (i-- > 0 && recv(fd, text, sizeof(text), MSG_WAITALL) > 0)
		pause_ms(250);
	atomic_fetch_add(&sv->answered, 1);
	await_hang_up(sv, fd);
}

/* What is acknowledged counts, not what libcurl gave to the socket. */
static void
test_slow_uplink(void **state)
{
	int room = 4096, segment = 1400;
	char *body = test_calloc(1, LARGE);
	struct server sv;
	struct asking a;

	(void)state;
	server_listen(&sv, 16);
	/* As of a line with small windows; that of the loopback opens in
	 * steps of 64 KiB. */
	setsockopt(sv.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(sv.fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	server_run(&sv, serve_uplink);
	asking_init(&a, "127.0.0.1", sv.port, 10, 1);
	a.rq.method = S3_HTTP_PUT;
	a.rq.out = NULL;
	a.rq.body = body;
	a.rq.len = LARGE;
	assert_int_equal(canceled_when(&a, &sv.answered), S3_HTTP_CANCELED);
	asking_release(&a);
	server_stop(&sv);
	test_free(body);
}

static atomic_int looked;

/* Every socket of this process is closed in what it starts. */
static void
serve_looking(struct server *sv, int fd, int nth)
{
	struct sockaddr_in a;
	socklen_t len;
	int i;

	(void)nth;
	if (!read_request(sv, fd))
		return;
	for (i = 3; i < 1024; i++) {
		len = sizeof(a);
		/* The client's end. */
		if (getpeername(i, (struct sockaddr *)&a, &len) == 0 &&
		    a.sin_family == AF_INET && ntohs(a.sin_port) == sv->port &&
		    (fcntl(i, F_GETFD) & FD_CLOEXEC) != 0)
			atomic_fetch_add(&looked, 1);
	}
	answer(sv, fd, "404 Not Found", "<Error/>");
	await_hang_up(sv, fd);
}

static void
test_close_on_exec(void **state)
{
	struct server sv;
	struct asking a;

	(void)state;
	atomic_store(&looked, 0);
	server_start(&sv, serve_looking);
	asking_init(&a, "127.0.0.1", sv.port, 10, 30);
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(looked, 1);
	asking_release(&a);
	server_stop(&sv);
}

static void
take_large(struct server *sv, int fd)
{
	char text[1u << 16];
	size_t left = LARGE;
	ssize_t n;

	while (left > 0 && (n = read(fd, text, sizeof(text))) > 0)
		left -= (size_t)n;
	answer(sv, fd, "200 OK", "");
	await_hang_up(sv, fd);
}

/* Answered once, then reset within the next request. */
static void
answer_and_reset(struct server *sv, int fd)
{
	struct linger reset = { 1, 0 };

	answer(sv, fd, "200 OK", "");
	if (read_request(sv, fd))
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static void
serve_twice_reset(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth <= 2)
		answer_and_reset(sv, fd);
	else
		take_large(sv, fd);
}

static void
serve_once_reset(struct server *sv, int fd, int nth)
{
	if (!read_request(sv, fd))
		return;
	if (nth == 1)
		answer_and_reset(sv, fd);
	else
		take_large(sv, fd);
}

static void
test_stale(void **state)
{
	char *body = test_calloc(1, LARGE);
	struct server sv;
	struct asking a;
	enum s3_http_result result;

	(void)state;
	server_start(&sv, serve_twice_reset);
	asking_init(&a, "127.0.0.1", sv.port, 10, 30);
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(a.rp.stale, 0);
	/* libcurl repeats what has no body by itself. */
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_DONE);
	assert_int_equal(a.rp.sent, 2);
	/* A body that is half way through it mostly gives back to us. */
	a.rq.method = S3_HTTP_PUT;
	a.rq.out = NULL;
	a.rq.body = body;
	a.rq.len = LARGE;
	result = s3_http_do(a.h, &a.rq, &a.rp);
	if (result == S3_HTTP_BROKEN) {
		assert_int_equal(a.rp.stale, 1);
	} else {
		assert_int_equal(result, S3_HTTP_DONE);
		assert_int_equal(a.rp.sent, 2);
	}
	asking_release(&a);
	server_stop(&sv);
	test_free(body);
}

/* It is no failure, and nobody waits. */
static void
test_stale_store(void **state)
{
	char *body = test_calloc(1, LARGE), endpoint[64];
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store_counters n;
	struct server sv;
	struct store *s;

	(void)state;
	server_start(&sv, serve_once_reset);
	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST", 1);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", sv.port);
	conf.endpoint = endpoint;
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), 0);
	assert_int_equal(store_put(s, "a", "text", 4, NULL, 0), 0);
	assert_int_equal(store_put(s, "b", body, LARGE, NULL, 0), 0);
	store_count(s, &n);
	assert_int_equal(n.requests[STORE_PUT], 3);
	assert_int_equal(n.errors[STORE_PUT], 0);
	store_close(s);
	server_stop(&sv);
	assert_int_equal(sv.connections, 2);
	test_free(body);
}

/* Answers to a put of "text" that are none, then one. */
static void
serve_puts(struct server *sv, int fd, int nth)
{
	static const char *const said[] = {
		"", "ETag: \"e\"\r\nx-amz-checksum-sha256: "
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
		"ETag: \"e\"\r\nx-amz-checksum-sha256: "
		    "mC2ePrmW9VnmM/TRlN7zdh2Qn1o7ZH0ahR/q1nwyydE=\r\n",
	};
	char text[256];
	int i;

	(void)nth;
	while (read_request(sv, fd)) {
		if (recv(fd, text, 4, MSG_WAITALL) != 4)
			break;
		i = atomic_fetch_add(&sv->answered, 1);
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
		    "Content-Length: 0\r\n%s\r\n", said[i < 2 ? i : 2]);
		say(fd, text);
	}
}

static void
test_put_reply(void **state)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store_counters n;
	struct server sv;
	struct store *s;
	char endpoint[64];

	(void)state;
	server_start(&sv, serve_puts);
	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST", 1);
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", sv.port);
	conf.endpoint = endpoint;
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), 0);
	assert_int_equal(store_put(s, "a", "text", 4, NULL, 0), 0);
	store_count(s, &n);
	assert_int_equal(n.requests[STORE_PUT], 3);
	assert_int_equal(n.errors[STORE_PUT], 2);
	store_close(s);
	server_stop(&sv);
}

/* A name server that is silent: the library's question hangs. */
static pthread_mutex_t dns_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dns_cond = PTHREAD_COND_INITIALIZER;
static int dns_open;
static atomic_int dns_inside, dns_entered;

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
	    struct addrinfo **);

	if (node == NULL || strcmp(node, "silent.test") != 0) {
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
		return real(node, service, hints, res);
	}
	atomic_fetch_add(&dns_inside, 1);
	atomic_fetch_add(&dns_entered, 1);
	pthread_mutex_lock(&dns_lock);
	while (!dns_open)
		pthread_cond_wait(&dns_cond, &dns_lock);
	pthread_mutex_unlock(&dns_lock);
	atomic_fetch_sub(&dns_inside, 1);
	return EAI_AGAIN;
}

static void
test_cancel_name(void **state)
{
	struct asking a;
	struct timespec t = { 0, 2000000 };

	(void)state;
	if (LIBCURL_VERSION_NUM < 0x075700) {
		print_message("this libcurl waits for name servers\n");
		skip();
	}
	dns_open = 0;
	atomic_store(&dns_entered, 0);
	asking_init(&a, "silent.test", 80, 600, 600);
	assert_int_equal(canceled_when(&a, &dns_entered), S3_HTTP_CANCELED);
	assert_int_equal(a.rp.sent, 0);
	asking_release(&a);
	/* Nor does the time to connect wait for it. */
	asking_init(&a, "silent.test", 80, 1, 600);
	assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp), S3_HTTP_STALLED);
	asking_release(&a);
	/* All of that while the questions were still open. */
	assert_int_equal(dns_inside, 2);
	pthread_mutex_lock(&dns_lock);
	dns_open = 1;
	pthread_cond_broadcast(&dns_cond);
	pthread_mutex_unlock(&dns_lock);
	while (atomic_load(&dns_inside) > 0)
		nanosleep(&t, NULL);
}

/* Whether there is a connection in the making to this port. */
static void *
note_syn(void *arg)
{
	struct server *sv = arg;
	char line[256], port[16];
	FILE *f;

	snprintf(port, sizeof(port), ":%04X 02 ", sv->port);
	while (atomic_load(&sv->requests) == 0) {
		f = fopen("/proc/net/tcp", "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL)
			if (strstr(line, port) != NULL)
				atomic_store(&sv->requests, 1);
		if (f != NULL)
			fclose(f);
		pause_ms(2);
	}
	return NULL;
}

/* A server whose queue is full lets nobody in, and says nothing. */
static void
test_cancel_connect(void **state)
{
	struct server sv;
	struct asking a;
	pthread_t t;
	int fd[3], i;

	(void)state;
	server_listen(&sv, 0);
	for (i = 0; i < 3; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET,
		    .sin_port = htons((uint16_t)sv.port),
		    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
		(void)!connect(fd[i], (struct sockaddr *)&to, sizeof(to));
	}
	/* Those of ours that hang are no request. */
	for (i = 1; i < 3; i++)
		close(fd[i]);
	asking_init(&a, "127.0.0.1", sv.port, 600, 600);
	assert_int_equal(pthread_create(&t, NULL, note_syn, &sv), 0);
	assert_int_equal(canceled_when(&a, &sv.requests), S3_HTTP_CANCELED);
	pthread_join(t, NULL);
	assert_int_equal(a.rp.sent, 0);
	asking_release(&a);
	close(fd[0]);
	close(sv.fd);
}

static void
serve_silent(struct server *sv, int fd, int nth)
{
	(void)nth;
	if (read_request(sv, fd))
		await_hang_up(sv, fd);
}

static void
serve_half(struct server *sv, int fd, int nth)
{
	(void)nth;
	if (!read_request(sv, fd))
		return;
	say(fd, "HTTP/1.1 206 Partial Content\r\nContent-Length: 60\r\n\r\nx");
	atomic_fetch_add(&sv->answered, 1);
	await_hang_up(sv, fd);
}

static void
test_cancel_answer(void **state)
{
	struct server sv;
	struct asking a;
	int i;

	(void)state;
	/* Waiting for an answer; in the middle of one; with two under way. */
	for (i = 0; i < 3; i++) {
		server_start(&sv, i == 1 ? serve_half : serve_silent);
		asking_init(&a, "127.0.0.1", sv.port, 600, 600);
		a.rq.hedge_ms = i == 2 ? 20 : 0;
		assert_int_equal(canceled_when(&a, i == 0 ? &sv.requests :
		    i == 1 ? &sv.answered : &a.asked), S3_HTTP_CANCELED);
		/* And what comes after does not even begin. */
		assert_int_equal(s3_http_do(a.h, &a.rq, &a.rp),
		    S3_HTTP_CANCELED);
		asking_release(&a);
		server_stop(&sv);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hedge_wins),
		cmocka_unit_test(test_hedge_loses),
		cmocka_unit_test(test_hedge_not_allowed),
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_slow_uplink),
		cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_stale_store),
		cmocka_unit_test(test_put_reply),
		cmocka_unit_test(test_cancel_name),
		cmocka_unit_test(test_cancel_connect),
		cmocka_unit_test(test_cancel_answer),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("s3 http", tests, NULL, NULL) != 0;
}
