/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the store in a bucket against the simulator in tests/s3sim, which
 * FIRN_TEST_S3SIM names (http://127.0.0.1:PORT, with a bucket "bucket" and its
 * usual keys): a store under a prefix of its own, and the simulator's control.
 * Without that variable they are skipped.
 */
#ifndef FIRN_TESTS_S3SIM_TEST_H
#define FIRN_TESTS_S3SIM_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "store/store.h"

struct fixture {
	struct store *s;
	char last[1024];	/* what was logged last */
	char prefix[128];	/* of its keys, for the control */
};

static inline void
hook(void *ctx, enum log_level level, const char *line)
{
	struct fixture *f = ctx;

	(void)level;
	snprintf(f->last, sizeof(f->last), "%s", line);
}

static inline int
sim_port(void)
{
	return atoi(strrchr(getenv("FIRN_TEST_S3SIM"), ':') + 1);
}

/* One request to the simulator's control. */
static inline void
sim(const char *method, const char *path, const char *body)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)sim_port()),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[1024], status[13] = "";

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	snprintf(text, sizeof(text), "%s /-sim/%s HTTP/1.1\r\nHost: s\r\n"
	    "Connection: close\r\nContent-Length: %zu\r\n\r\n%s", method,
	    path, strlen(body), body);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(recv(fd, status, 12, MSG_WAITALL), 12);
	assert_string_equal(status, "HTTP/1.1 200");
	while (read(fd, text, sizeof(text)) > 0)
		continue;
	close(fd);
}

/* The next request of this verb fails so, or all of them. */
static inline void
fault(const char *kind, const char *verb, int times)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"kind\": \"%s\", \"verb\": \"%s\", "
	    "\"times\": %d, \"seconds\": 3}", kind, verb, times);
	sim("DELETE", "faults", "");
	sim("POST", "faults", body);
}

static inline struct store *
open_store(unsigned timeout)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	unsigned long long r = 0;
	struct store *s;
	char url[64];

	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST", 1);
	assert_int_equal(getrandom(&r, sizeof(r), 0), sizeof(r));
	snprintf(url, sizeof(url), "s3://bucket/%016llx", r);
	conf.endpoint = getenv("FIRN_TEST_S3SIM");
	conf.timeout = timeout;
	assert_int_equal(store_open(url, &conf, 0, &s), 0);
	return s;
}

static inline int
setup(void **state)
{
	struct fixture *f;

	if (getenv("FIRN_TEST_S3SIM") == NULL) {
		*state = NULL;
		return 0;
	}
	f = test_calloc(1, sizeof(*f));
	f->s = open_store(4);
	snprintf(f->prefix, sizeof(f->prefix), "{\"bucket\": \"bucket\", "
	    "\"prefix\": \"%s/\"}", store_url(f->s) + strlen("s3://bucket/"));
	log_set_hook(hook, f);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	if (f == NULL)
		return 0;
	sim("DELETE", "faults", "");
	sim("POST", "clock", "{\"skew\": 0}");
	log_set_hook(NULL, NULL);
	store_close(f->s);
	test_free(f);
	return 0;
}

/* Its store, or the test is skipped. */
static inline struct store *
store_of(void **state)
{
	if (*state == NULL) {
		print_message("FIRN_TEST_S3SIM is not set\n");
		skip();
	}
	return ((struct fixture *)*state)->s;
}

static inline void
assert_object(struct store *s, const char *name, const char *text)
{
	char buf[64];
	size_t got;

	assert_int_equal(store_get(s, name, 0, buf, sizeof(buf), &got), 0);
	assert_int_equal(got, strlen(text));
	assert_memory_equal(buf, text, got);
}

#endif
