/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP under S3: which answer wins, and connections that are kept.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>

#include "s3_http_test.h"
#include "store/store.h"

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

#define LARGE	(32u << 20)	/* more than a socket's buffers */

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hedge_wins),
		cmocka_unit_test(test_hedge_loses),
		cmocka_unit_test(test_hedge_not_allowed),
		cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_stale_store),
		cmocka_unit_test(test_put_reply),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("s3 http", tests, NULL, NULL) != 0;
}
