/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a bucket when things go wrong, against the simulator; see
 * s3sim_test.h.
 */
#include "s3sim_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/err.h"

#define BIG	(3u << 20)

/* What passes: one request fails, the call does not. */
static const char *const passing[] = { "500", "503-slowdown",
    "409-conflict", "500-after-commit", "200-error", "html", "reset-before",
    "reset-mid-body", "lost-reply", "stall" };
#define PASSING	(sizeof(passing) / sizeof(passing[0]))

static void
test_put(void **state)
{
	struct store *s = store_of(state);
	struct store_counters n;
	char name[64];
	size_t i;

	for (i = 0; i < PASSING; i++) {
		print_message("put: %s\n", passing[i]);
		snprintf(name, sizeof(name), "gen/%zu", i);
		fault(passing[i], "PUT", 1);
		assert_int_equal(store_put(s, name, "ours", 4, NULL,
		    STORE_IF_ABSENT), 0);
		fault(passing[i], "PUT", 1);
		assert_int_equal(store_put(s, name, "other", 5, NULL,
		    STORE_IF_ABSENT), -EEXIST);
		/* Equal bytes are not ours either. */
		fault(passing[i], "PUT", 1);
		assert_int_equal(store_put(s, name, "ours", 4, NULL,
		    STORE_IF_ABSENT), -EEXIST);
		sim("DELETE", "faults", "");
		assert_object(s, name, "ours");
		snprintf(name, sizeof(name), "data/%zu", i);
		fault(passing[i], "PUT", 1);
		assert_int_equal(store_put(s, name, "data", 4, NULL, 0), 0);
		assert_object(s, name, "data");
	}
	store_count(s, &n);
	assert_true(n.retries >= 2 * PASSING);
}

static void
test_get(void **state)
{
	static const char *const more[] = { "truncate", "reset-mid-body" };
	struct store *s = store_of(state);
	char *data = test_malloc(BIG), *back = test_malloc(BIG);
	const char *kind;
	size_t got, i;

	memset(data, 'x', BIG);
	memset(data + BIG / 2, 'y', BIG / 2);
	assert_int_equal(store_put(s, "big", data, BIG, NULL, 0), 0);
	assert_int_equal(store_put(s, "small", "small", 5, NULL, 0), 0);
	for (i = 0; i < PASSING + 2; i++) {
		kind = i < PASSING ? passing[i] : more[i - PASSING];
		print_message("get: %s\n", kind);
		fault(kind, "GET", 1);
		memset(back, 0, BIG);
		assert_int_equal(store_get(s, "big", 100, back, BIG, &got), 0);
		assert_int_equal(got, BIG - 100);
		assert_memory_equal(back, data + 100, got);
		fault(kind, "GET", 1);
		assert_object(s, "small", "small");
		fault(kind, "GET", 1);
		assert_int_equal(store_get(s, "none", 0, back, 1, &got),
		    -ENOENT);
	}
	test_free(data);
	test_free(back);
}

static int
count_one(void *ctx, const char *name, const struct store_stat *st)
{
	(void)name;
	(void)st;
	++*(int *)ctx;
	return 0;
}

static void
test_others(void **state)
{
	struct store *s = store_of(state);
	struct store_stat st;
	size_t i;
	int n;

	assert_int_equal(store_put(s, "keys/1", "1", 1, NULL, 0), 0);
	assert_int_equal(store_put(s, "keys/2", "2", 1, NULL, 0), 0);
	for (i = 0; i < PASSING; i++) {
		print_message("stat, list, del: %s\n", passing[i]);
		/* A HEAD in place of an error would be believed by none. */
		fault(passing[i], "HEAD", 1);
		assert_int_equal(store_stat(s, "keys/1", &st), 0);
		assert_int_equal(st.size, 1);
		assert_true(st.has_sha256);
		fault(passing[i], "GET", 1);
		n = 0;
		assert_int_equal(store_list(s, "keys/", count_one, &n), 0);
		assert_int_equal(n, 2);
		fault(passing[i], "DELETE", 1);
		assert_int_equal(store_del(s, "keys/none"), 0);
	}
	fault("truncate", "GET", 1);
	n = 0;
	assert_int_equal(store_list(s, "", count_one, &n), 0);
	assert_int_equal(n, 2);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
assert_logged(void **state, const char *text)
{
	struct fixture *f = *state;

	if (strstr(f->last, text) == NULL)
		print_message("'%s' is not in: %s\n", text, f->last);
	assert_non_null(strstr(f->last, text));
	assert_null(strstr(f->last, "SECRETTEST"));
	f->last[0] = '\0';
}

static void
test_lasting(void **state)
{
	struct store *s = store_of(state);
	struct store_stat st;
	double start;
	char b;
	size_t got;
	int n = 0;

	fault("403", "PUT", 100);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), -EACCES);
	assert_logged(state, "s3:PutObject");
	fault("403", "HEAD", 100);
	sim("POST", "faults", "{\"kind\": \"403\", \"verb\": \"GET\"}");
	assert_int_equal(store_stat(s, "a", &st), -EACCES);
	assert_logged(state, "AccessDenied");
	fault("expired-token", "GET", 100);
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -EACCES);
	assert_logged(state, "AWS_SESSION_TOKEN");
	fault("html", "GET", 1000);
	assert_int_equal(store_list(s, "", count_one, &n), -EIO);
	assert_logged(state, "no listing");
	/* The time is kept. */
	fault("500", "GET", 1000);
	start = seconds();
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -EIO);
	assert_true(seconds() - start < 6 && seconds() - start > 3);
	assert_logged(state, "InternalError");
}

static void
test_region(void **state)
{
	struct store *s = store_of(state);

	/* Sent elsewhere, and told there that it was right before. */
	fault("redirect", "PUT", 1);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	fault("redirect", "PUT", 100);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), -EIO);
	assert_logged(state, "AWS_REGION");
}

static void
test_clock(void **state)
{
	struct store *s = store_of(state);
	struct store_stat st;
	struct store *other;

	sim("POST", "clock", "{\"skew\": 5000}");
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	assert_logged(state, "clock is");
	assert_object(s, "a", "a");
	sim("POST", "clock", "{\"skew\": -90000}");
	assert_object(s, "a", "a");
	/* First seen by HEAD, which tells nothing but the date. */
	other = open_store(4);
	assert_int_equal(store_stat(other, "a", &st), -ENOENT);
	store_close(other);
}

/* The next request of this method meets a clock so much ahead. */
static void
jump(const char *verb, long seconds)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"kind\": \"skew\", \"verb\": \"%s\", "
	    "\"times\": 1, \"seconds\": %ld}", verb, seconds);
	sim("POST", "faults", body);
}

/* A clock that was wrong and is put right again, ours or the server's. */
static void
test_clock_set_right(void **state)
{
	static const int skew[] = { 5000, 0, -5000, 0 };
	struct store *s = store_of(state);
	char body[32];
	size_t i;

	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	for (i = 0; i < sizeof(skew) / sizeof(skew[0]); i++) {
		snprintf(body, sizeof(body), "{\"skew\": %d}", skew[i]);
		sim("POST", "clock", body);
		assert_object(s, "a", "a");
	}
}

/* Within one call, more often than it goes on at once. */
static void
test_clock_jumps(void **state)
{
	struct store *s = store_of(state);
	int i;

	sim("DELETE", "faults", "");
	for (i = 1; i <= 5; i++)
		jump("PUT", (i % 2 ? 3600 : -3600) * i);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	assert_object(s, "a", "a");
	for (i = 1; i <= 5; i++)
		jump("GET", (i % 2 ? 3600 : -3600) * i);
	assert_object(s, "a", "a");
}

/* A server that complains of a time that is its own: a request that came late
 * is signed anew, and one that does so for ever is an error, soon. */
static void
test_clock_late(void **state)
{
	struct store *s = store_of(state);
	struct store_counters before, after;
	int i;

	sim("DELETE", "faults", "");
	for (i = 0; i < 2; i++)
		jump("PUT", 0);
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	store_count(s, &before);
	sim("POST", "faults", "{\"kind\": \"skew\", \"seconds\": 0}");
	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), -EACCES);
	assert_logged(state, "set the clock");
	store_count(s, &after);
	assert_int_equal(after.requests[STORE_PUT] -
	    before.requests[STORE_PUT], 4);
}

static void
test_keys(void **state)
{
	struct store *s = store_of(state), *other;
	struct store_stat st;
	struct store_conf conf = STORE_CONF_DEFAULT;
	char b;
	size_t got;

	(void)s;
	conf.endpoint = getenv("FIRN_TEST_S3SIM");
	setenv("AWS_SECRET_ACCESS_KEY", "wrong-one", 1);
	assert_int_equal(store_open("s3://bucket", &conf, 0, &other), 0);
	assert_int_equal(store_get(other, "a", 0, &b, 1, &got), -EACCES);
	assert_logged(state, "check AWS_SECRET_ACCESS_KEY");
	assert_int_equal(store_stat(other, "a", &st), -EACCES);
	assert_logged(state, "check AWS_SECRET_ACCESS_KEY");
	store_close(other);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRETTEST", 1);
	setenv("AWS_ACCESS_KEY_ID", "NOBODY", 1);
	assert_int_equal(store_open("s3://bucket", &conf, 0, &other), 0);
	assert_int_equal(store_get(other, "a", 0, &b, 1, &got), -EACCES);
	assert_logged(state, "check AWS_ACCESS_KEY_ID");
	store_close(other);
	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	assert_int_equal(store_open("s3://no-such-bucket", &conf, 0, &other),
	    0);
	assert_int_equal(store_get(other, "a", 0, &b, 1, &got), -ENXIO);
	assert_logged(state, "does not exist");
	store_close(other);
}

/* Reads by many threads at once. */
struct readers {
	struct store *s;
	int gets;		/* each */
	atomic_int failed;
	pthread_t thread[16];
};

static void *
reader(void *arg)
{
	struct readers *r = arg;
	char b[16];
	size_t got;
	int i;

	for (i = 0; i < r->gets; i++)
		if (store_get(r->s, "a", 0, b, sizeof(b), &got) != 0 ||
		    got != 4 || memcmp(b, "text", 4) != 0)
			atomic_fetch_add(&r->failed, 1);
	return NULL;
}

static void
readers_start(struct readers *r, struct store *s, int gets)
{
	int i;

	*r = (struct readers){ .s = s, .gets = gets };
	for (i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&r->thread[i], NULL, reader,
		    r), 0);
}

static void
readers_end(struct readers *r)
{
	int i;

	for (i = 0; i < 16; i++)
		pthread_join(r->thread[i], NULL);
	assert_int_equal(r->failed, 0);
}

/* Another store of a longer time, with the text at "a". */
static struct store *
patient_store(void)
{
	struct store *s = open_store(120);

	assert_int_equal(store_put(s, "a", "text", 4, NULL, 0), 0);
	return s;
}

/* The first byte of one read does not come: another is asked for. */
static void
test_hedge(void **state)
{
	struct store *s;
	struct store_counters n;

	(void)store_of(state);
	s = patient_store();
	sim("DELETE", "faults", "");
	sim("POST", "faults", "{\"kind\": \"stall\", \"verb\": \"GET\", "
	    "\"times\": 1, \"seconds\": 600}");
	assert_object(s, "a", "text");
	store_count(s, &n);
	assert_int_equal(n.hedges, 1);
	assert_int_equal(n.hedges_won, 1);
	assert_int_equal(n.requests[STORE_GET], 2);
	assert_int_equal(n.errors[STORE_GET], 0);
	assert_int_equal(n.retries, 0);
	/* So with a body that stops. */
	sim("POST", "faults", "{\"kind\": \"trickle\", \"verb\": \"GET\", "
	    "\"times\": 1, \"seconds\": 600}");
	assert_object(s, "a", "text");
	store_count(s, &n);
	assert_int_equal(n.hedges_won, 2);
	store_close(s);
}

static void
test_window(void **state)
{
	struct store *s;
	struct store_counters n;
	struct readers r;
	int i;

	(void)store_of(state);
	s = patient_store();
	store_count(s, &n);
	assert_int_equal(n.window, 16);
	fault("503-slowdown", "GET", 24);
	readers_start(&r, s, 1);
	readers_end(&r);
	store_count(s, &n);
	assert_int_equal(n.throttled, 24);
	assert_true(n.window < 16);
	/* A window's worth of successes for each step back. */
	for (i = 0; i < 16 * 17 / 2; i++)
		assert_object(s, "a", "text");
	store_count(s, &n);
	assert_int_equal(n.window, 16);
	assert_int_equal(n.throttled, 24);
	store_close(s);
}

static void
wait_for_errors(struct store *s, uint64_t least)
{
	struct timespec t = { 0, 5000000 };
	struct store_counters n;

	do {
		nanosleep(&t, NULL);
		store_count(s, &n);
	} while (n.errors[STORE_GET] < least);
}

static void
test_outage(void **state)
{
	struct store *s;
	struct readers r;

	(void)store_of(state);
	s = patient_store();
	fault("reset-before", "GET", 1000000);
	readers_start(&r, s, 3);
	/* Many times for each of them. */
	wait_for_errors(s, 16 * 5);
	sim("DELETE", "faults", "");
	readers_end(&r);
	store_close(s);
}

/* What the server wants is kept to. */
static void
test_retry_after(void **state)
{
	struct store *s;
	double start;

	(void)store_of(state);
	s = patient_store();
	start = seconds();
	sim("POST", "faults", "{\"kind\": \"503-slowdown\", \"times\": 1, "
	    "\"headers\": {\"Retry-After\": \"2\"}}");
	assert_object(s, "a", "text");
	assert_true(seconds() - start >= 2);
	start = seconds();
	sim("POST", "faults", "{\"kind\": \"500\", \"times\": 1, "
	    "\"headers\": {\"x-amz-retry-after\": \"1500\"}}");
	assert_object(s, "a", "text");
	assert_true(seconds() - start >= 1.5);
	store_close(s);
}

static void *
canceled_get(void *arg)
{
	char b;
	size_t got;

	assert_int_equal(store_get(arg, "a", 0, &b, 1, &got), -ECANCELED);
	return NULL;
}

static void *
cancel_when_waiting(void *arg)
{
	wait_for_errors(arg, 1);
	store_cancel(arg);
	return NULL;
}

static void
test_cancel_waiting(void **state)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store *s;
	pthread_t t, other;
	char b;
	size_t got;

	(void)store_of(state);
	/* Between two tries, an hour apart. */
	s = patient_store();
	sim("POST", "faults", "{\"kind\": \"503-slowdown\", "
	    "\"headers\": {\"Retry-After\": \"3000\"}}");
	assert_int_equal(pthread_create(&t, NULL, cancel_when_waiting, s), 0);
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -ECANCELED);
	pthread_join(t, NULL);
	store_close(s);
	/* Two of whom one only may ask, and does not get an answer. */
	sim("DELETE", "faults", "");
	conf.endpoint = getenv("FIRN_TEST_S3SIM");
	conf.connections = 1;
	assert_int_equal(store_open("s3://bucket/two", &conf, 0, &s), 0);
	sim("POST", "faults", "{\"kind\": \"500\", \"times\": 1}");
	sim("POST", "faults", "{\"kind\": \"stall\", \"seconds\": 600}");
	assert_int_equal(pthread_create(&t, NULL, cancel_when_waiting, s), 0);
	assert_int_equal(pthread_create(&other, NULL, canceled_get, s), 0);
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -ECANCELED);
	pthread_join(t, NULL);
	pthread_join(other, NULL);
	store_close(s);
}

static void *
cancel_when_sent(void *arg)
{
	struct store_counters n;
	struct timespec t = { 0, 300000000 };

	/* Requests are counted when answered; this one will not be. */
	do {
		nanosleep(&t, NULL);
		store_count(arg, &n);
	} while (n.requests[STORE_PUT] == 0);
	store_cancel(arg);
	return NULL;
}

static void
test_cancel(void **state)
{
	struct store *s = store_of(state);
	double start = seconds();
	pthread_t t;
	char b;
	size_t got;

	assert_int_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	fault("stall", "GET", 100);
	assert_int_equal(pthread_create(&t, NULL, cancel_when_sent, s), 0);
	assert_int_equal(store_get(s, "a", 0, &b, 1, &got), -ECANCELED);
	assert_true(seconds() - start < 2.5);
	pthread_join(t, NULL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_put),
		CASE(test_get),
		CASE(test_others),
		CASE(test_lasting),
		CASE(test_region),
		CASE(test_clock),
		CASE(test_clock_set_right),
		CASE(test_clock_jumps),
		CASE(test_clock_late),
		CASE(test_keys),
		CASE(test_cancel),
		CASE(test_hedge),
		CASE(test_window),
		CASE(test_outage),
		CASE(test_retry_after),
		CASE(test_cancel_waiting),
	};

	return cmocka_run_group_tests_name("store_s3 faults", tests, NULL,
	    NULL) != 0;
}
