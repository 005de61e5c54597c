/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP under S3: what ends a request.  A line that is slow does not, one that
 * stands still does, and nothing keeps a cancelled one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>

#include <curl/curlver.h>

#include "s3_http_test.h"

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
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_slow_uplink),
		cmocka_unit_test(test_cancel_name),
		cmocka_unit_test(test_cancel_connect),
		cmocka_unit_test(test_cancel_answer),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("s3 http ends", tests, NULL, NULL) != 0;
}
