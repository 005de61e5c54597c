/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a bucket: the contract, against the server that
 * FIRN_TEST_S3_URL names (s3://BUCKET/PREFIX; keys and endpoint from AWS_*).
 * Everything goes under a random prefix below it, and is deleted again.
 * Without that variable, only what needs no server is tested.
 */
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

#include "base/err.h"
#include "store_contract.h"

struct place {
	const char *base;
	unsigned long long random;
	unsigned n;
	char url[512];
};

static int
place_make(void *ctx)
{
	struct place *p = ctx;

	snprintf(p->url, sizeof(p->url), "%s/%016llx/%u", p->base, p->random,
	    p->n++);
	return 0;
}

static int
place_open(void *ctx, struct store **out)
{
	struct store_conf conf = STORE_CONF_DEFAULT;

	conf.timeout = 30;
	return store_open(((struct place *)ctx)->url, &conf, 1, out);
}

static void
place_unmake(void *ctx)
{
	struct store *s;

	assert_int_equal(place_open(ctx, &s), 0);
	assert_int_equal(store_contract_empty(s), 0);
	store_close(s);
}

static void
test_skipped(void **state)
{
	(void)state;
	print_message("FIRN_TEST_S3_URL is not set: the contract of the S3 "
	    "store is not tested\n");
	skip();
}

/* Keys that no server is asked about. */
static void
keys_set(void)
{
	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST", 1);
	unsetenv("AWS_SESSION_TOKEN");
}

static void
test_open(void **state)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store *s;

	(void)state;
	keys_set();
	assert_int_equal(store_open("s3://", &conf, 0, &s), -EINVAL);
	assert_int_equal(store_open("s3://b", &conf, 0, &s), -EINVAL);
	assert_int_equal(store_open("s3://bucket/../x", &conf, 0, &s),
	    -EINVAL);
	conf.endpoint = "ftp://localhost";
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), -EINVAL);
	conf.endpoint = "http://localhost:9";
	conf.region = "nowhere/else";
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), -EINVAL);
	conf.region = NULL;
	unsetenv("AWS_SECRET_ACCESS_KEY");
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), -EACCES);
	assert_null(s);
	setenv("AWS_SECRET_ACCESS_KEY", "two words", 1);
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), -EACCES);
	keys_set();
	assert_int_equal(store_open("s3://bucket/x/", &conf, 0, &s), 0);
	assert_string_equal(store_url(s), "s3://bucket/x/");
	assert_null(store_local_path(s));
	store_close(s);
}

/* A port of the loopback that nobody listens on. */
static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void
test_refused(void **state)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store_counters n;
	struct store_stat st;
	char endpoint[64];
	struct store *s;

	(void)state;
	keys_set();
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d",
	    free_port());
	conf.endpoint = endpoint;
	conf.timeout = 1;
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), 0);
	assert_int_equal(store_stat(s, "config", &st), -ECONNREFUSED);
	store_count(s, &n);
	assert_true(n.requests[STORE_STAT] > 1);
	assert_int_equal(n.errors[STORE_STAT], n.requests[STORE_STAT]);
	store_cancel(s);
	assert_int_equal(store_stat(s, "config", &st), -ECANCELED);
	store_close(s);
}

int
main(void)
{
	struct place p = { .base = getenv("FIRN_TEST_S3_URL") };
	struct store_contract c = { place_make, place_open, place_unmake, &p };
	const struct CMUnitTest skipped[] = { cmocka_unit_test(test_skipped) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_refused),
	};
	int failed;

	if (getrandom(&p.random, sizeof(p.random), 0) != sizeof(p.random))
		return 1;
	if (p.base != NULL && p.base[0] != '\0')
		failed = store_contract_run("store contract: S3", &c);
	else
		failed = cmocka_run_group_tests_name("store contract: S3",
		    skipped, NULL, NULL);
	failed += cmocka_run_group_tests_name("store_s3", tests, NULL, NULL);
	return failed != 0;
}
