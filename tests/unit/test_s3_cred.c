/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are renewed in time, by a clock of the test's own.  The source is
 * a command that counts its runs; what it prints is what the test wrote.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/timefmt.h"
#include "store/s3_cred_internal.h"

#define START	1800000000

static char dir[64];
static atomic_int canceled;
static _Atomic time_t clock_now;

static time_t
now(void)
{
	return atomic_load(&clock_now);
}

static const char *
path_of(const char *name)
{
	static char path[4][128];
	static unsigned i;
	char *p = path[i++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void
file_write(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

/* What the source gives from here on; life 0: keys that never expire. */
static void
give(const char *access, time_t life)
{
	struct timespec t = { now() + life, 0 };
	char text[512], iso[TIMEFMT_SIZE];

	timefmt_iso(&t, iso);
	snprintf(text, sizeof(text), "{\"Version\": 1, \"AccessKeyId\": "
	    "\"%s\", \"SecretAccessKey\": \"secret\", \"SessionToken\": "
	    "\"token\"%s%s%s}", access, life != 0 ? ", \"Expiration\": \"" :
	    "", life != 0 ? iso : "", life != 0 ? "\"" : "");
	file_write("keys", text);
}

static unsigned
asked(void)
{
	struct stat st;

	return stat(path_of("count"), &st) == 0 ? (unsigned)st.st_size : 0;
}

static int
setup(void **state)
{
	char text[512];

	strcpy(dir, "/tmp/firn-cred-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	atomic_store(&clock_now, START);
	atomic_store(&canceled, 0);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_DEFAULT_PROFILE");
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	setenv("AWS_CONFIG_FILE", path_of("config"), 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	snprintf(text, sizeof(text), "[default]\ncredential_process = sh -c "
	    "'printf x >>%s; cat %s'\n", path_of("count"), path_of("keys"));
	file_write("config", text);
	give("A", 3600);
	(void)state;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path_of("count"));
	unlink(path_of("keys"));
	unlink(path_of("config"));
	return rmdir(dir);
}

static struct s3_cred *
cred_new(void)
{
	const struct s3_cred_conf conf = { .region = "us-east-1",
	    .canceled = &canceled, .now = now };
	struct s3_cred *c;

	assert_int_equal(s3_cred_new(&conf, &c), 0);
	return c;
}

static void
assert_keys(struct s3_cred *c, const char *access)
{
	struct s3_keys k;

	assert_int_equal(s3_cred_get(c, &k), 0);
	assert_string_equal(k.access, access);
	assert_string_equal(k.secret, "secret");
	assert_string_equal(k.session, "token");
}

static void
test_in_time(void **state)
{
	struct s3_cred *c = cred_new();

	(void)state;
	assert_int_equal(asked(), 0);	/* not before they are needed */
	assert_keys(c, "A");
	assert_keys(c, "A");
	atomic_store(&clock_now, START + 3600 - 901);
	assert_keys(c, "A");
	assert_int_equal(asked(), 1);
	atomic_store(&clock_now, START + 3600 - 900);
	give("B", 3600);
	assert_keys(c, "B");
	assert_keys(c, "B");
	assert_int_equal(asked(), 2);
	s3_cred_free(c);
}

/* A source that fails: what is good is used, and the source left alone for a
 * while; what has expired is not. */
static void
test_failing(void **state)
{
	struct s3_cred *c = cred_new();
	struct s3_keys k;

	(void)state;
	assert_keys(c, "A");
	file_write("keys", "nonsense");
	atomic_store(&clock_now, START + 3600 - 900);
	assert_keys(c, "A");
	assert_keys(c, "A");
	assert_int_equal(asked(), 2);
	atomic_store(&clock_now, START + 3600 - 840);
	assert_keys(c, "A");
	assert_int_equal(asked(), 3);
	atomic_store(&clock_now, START + 3600 - 600);
	assert_keys(c, "A");
	assert_keys(c, "A");
	assert_int_equal(asked(), 4);
	atomic_store(&clock_now, START + 3600);
	assert_int_equal(s3_cred_get(c, &k), -EACCES);
	assert_int_equal(s3_cred_get(c, &k), -EACCES);
	assert_int_equal(asked(), 5);
	atomic_store(&clock_now, START + 3605);
	give("B", 3600);
	assert_keys(c, "B");
	s3_cred_free(c);
}

/* Of keys that live shortly, half of it; of such as came expired, none. */
static void
test_short(void **state)
{
	struct s3_cred *c;

	(void)state;
	give("A", 100);
	c = cred_new();
	assert_keys(c, "A");
	atomic_store(&clock_now, START + 49);
	assert_keys(c, "A");
	assert_int_equal(asked(), 1);
	atomic_store(&clock_now, START + 50);
	give("B", -10);
	assert_keys(c, "B");
	assert_keys(c, "B");
	assert_int_equal(asked(), 2);
	atomic_store(&clock_now, START + 110);
	give("C", 0);
	assert_keys(c, "C");
	atomic_store(&clock_now, START + 1000000);
	assert_keys(c, "C");
	assert_int_equal(asked(), 3);
	s3_cred_free(c);
}

static void
test_renew(void **state)
{
	struct s3_cred *c = cred_new();
	struct s3_keys old;

	(void)state;
	assert_int_equal(s3_cred_get(c, &old), 0);
	/* The source has no others: it is asked once, not by everybody. */
	assert_int_equal(s3_cred_renew(c, &old), -EACCES);
	assert_int_equal(s3_cred_renew(c, &old), -EACCES);
	assert_int_equal(asked(), 2);
	atomic_store(&clock_now, START + 5);
	give("B", 3600);
	assert_int_equal(s3_cred_renew(c, &old), 0);
	assert_int_equal(asked(), 3);
	/* Others hear that it is done. */
	assert_int_equal(s3_cred_renew(c, &old), 0);
	assert_int_equal(asked(), 3);
	assert_keys(c, "B");
	s3_cred_free(c);
}

/* Who is told to wait does not make the others wait longer. */
static void
test_renew_under_traffic(void **state)
{
	struct s3_cred *c = cred_new();
	struct s3_keys old;
	int i;

	(void)state;
	assert_int_equal(s3_cred_get(c, &old), 0);
	for (i = 0; i < 5; i++) {
		atomic_store(&clock_now, START + i);
		assert_int_equal(s3_cred_renew(c, &old), -EACCES);
	}
	assert_int_equal(asked(), 2);
	give("B", 3600);
	atomic_store(&clock_now, START + 5);
	assert_int_equal(s3_cred_renew(c, &old), 0);
	assert_keys(c, "B");
	s3_cred_free(c);
}

static void
test_renew_clock_set_back(void **state)
{
	struct s3_cred *c = cred_new();
	struct s3_keys old;

	(void)state;
	assert_int_equal(s3_cred_get(c, &old), 0);
	assert_int_equal(s3_cred_renew(c, &old), -EACCES);
	atomic_store(&clock_now, START - 3600);
	give("B", 3600);
	assert_int_equal(s3_cred_renew(c, &old), 0);
	s3_cred_free(c);
}

static void *
get_thread(void *ctx)
{
	assert_keys(ctx, "B");
	return NULL;
}

static void *
renew_thread(void *ctx)
{
	struct s3_keys old = { .access = "B", .secret = "secret",
	    .session = "token" };

	assert_int_equal(s3_cred_renew(ctx, &old), 0);
	return NULL;
}

static void
run_threads(void *(*fn)(void *), struct s3_cred *c)
{
	pthread_t t[16];
	int i;

	for (i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fn, c), 0);
	for (i = 0; i < 16; i++)
		pthread_join(t[i], NULL);
}

static void
test_threads(void **state)
{
	struct s3_cred *c = cred_new();

	(void)state;
	assert_keys(c, "A");
	atomic_store(&clock_now, START + 3600 - 600);	/* all wait for one */
	give("B", 3600);
	run_threads(get_thread, c);
	assert_int_equal(asked(), 2);
	give("C", 3600);
	run_threads(renew_thread, c);
	assert_int_equal(asked(), 3);
	s3_cred_free(c);
}

static void
test_canceled(void **state)
{
	struct s3_cred *c = cred_new();
	struct s3_keys k;

	(void)state;
	atomic_store(&canceled, 1);
	assert_int_equal(s3_cred_get(c, &k), -ECANCELED);
	s3_cred_free(c);
}

/* It has not been asked, but is known to be none. */
static void
test_refused(void **state)
{
	const struct s3_cred_conf conf = { .region = "us-east-1",
	    .canceled = &canceled, .now = now };
	struct s3_cred *c;

	(void)state;
	file_write("config", "[default]\nsso_session = x\n");
	assert_int_equal(s3_cred_new(&conf, &c), -EACCES);
	assert_null(c);
	s3_cred_free(NULL);
}

static void
test_json(void **state)
{
	static const struct {
		enum s3_cred_form form;
		int err;
		const char *text;
	} t[] = {
		{ S3_CRED_PROCESS, 0, "{\"Version\":1,\"AccessKeyId\":\"A\","
		    "\"SecretAccessKey\":\"S\"}" },
		{ S3_CRED_PROCESS, 0, "{\"Version\":1,\"AccessKeyId\":\"A\","
		    "\"SecretAccessKey\":\"S\",\"SessionToken\":null,"
		    "\"Expiration\":\"\",\"AccountId\":\"1\"}" },
		{ S3_CRED_METADATA, 0, "{\"Code\":\"Success\",\"AccessKeyId\":"
		    "\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"}" },
		{ S3_CRED_METADATA, -EINVAL, "{\"Code\":\"Failed\","
		    "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}" },
		{ S3_CRED_PROCESS, -EINVAL, "{\"AccessKeyId\":\"A\","
		    "\"SecretAccessKey\":\"S\"}" },
		{ S3_CRED_PROCESS, -EINVAL, "{\"Version\":1,\"AccessKeyId\":"
		    "\"A\"}" },
		{ S3_CRED_PROCESS, -EINVAL, "{\"Version\":1,\"AccessKeyId\":"
		    "\"A\",\"SecretAccessKey\":\"S\\r\\nX: y\"}" },
		{ S3_CRED_PROCESS, -EINVAL, "{\"Version\":1,\"AccessKeyId\":"
		    "\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":"
		    "\"soon\"}" },
		{ S3_CRED_PROCESS, -EINVAL, "[]" },
		{ S3_CRED_PROCESS, -EINVAL, "" },
	};
	struct s3_fetched out;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(s3_cred_json(t[i].text, strlen(t[i].text),
		    t[i].form, &out, &why), t[i].err);
		assert_string_equal(out.keys.access, t[i].err == 0 ? "A" : "");
		assert_string_equal(out.keys.secret, t[i].err == 0 ? "S" : "");
		assert_int_equal(out.expires, 0);
		assert_int_equal(why != NULL, t[i].err != 0);
	}
}

static void
test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t want;	/* -1: none */
	} t[] = {
		{ "1970-01-01T00:01:00Z", 60 },
		{ "1970-01-01T00:01:00.5Z", 60 },
		{ "1970-01-01T00:01:00+00:00", 60 },
		{ "1970-01-01T01:01:00+01:00", 60 },
		{ "1970-01-01T00:00:00-00:01", 60 },
		{ "2026-11-28T00:32:56Z", 1795825976 },
		{ "1970-01-01T00:01:00+1:00", -1 }, { "", -1 }, { "Z", -1 },
		{ "1970-01-01", -1 }, { "+00:00", -1 }, { "now", -1 },
	};
	time_t got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		got = -1;
		assert_int_equal(s3_cred_time(t[i].text, &got), t[i].want < 0 ?
		    -EINVAL : 0);
		assert_int_equal(got, t[i].want);
	}
}

static void
test_split(void **state)
{
	static const struct {
		const char *command;
		const char *words;	/* with | behind each; NULL: refused */
	} t[] = {
		{ "a", "a|" }, { "  a\tb  ", "a|b|" }, { "", "" },
		{ "a 'b c' \"d e\"", "a|b c|d e|" }, { "a '' b", "a||b|" },
		{ "a\\ b \\'", "a b|'|" }, { "\"a\\\"b\\c\"", "a\"b\\c|" },
		{ "'a\\'b", "a\\b|" }, { "a'b'c", "abc|" }, { "a $x;y", "a|$x;y|" },
		{ "'a", NULL }, { "\"a\\\"", NULL }, { "a\\", "a\\|" },
	};
	size_t i, n, j;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf text = BUF_INIT(64);
		int err = s3_process_split(t[i].command, &text, &n);
		size_t count = 0;

		assert_int_equal(err, t[i].words == NULL ? -EINVAL : 0);
		for (j = 0; j < text.len; j++)
			if (text.data[j] == '\0') {
				text.data[j] = '|';
				count++;
			}
		assert_non_null(buf_cstr(&text));
		if (err == 0) {
			assert_string_equal((char *)text.data, t[i].words);
			assert_int_equal(n, count);
		}
		buf_release(&text);
	}
}

static void
test_container_url(void **state)
{
	static const char *const good[] = { "http://127.0.0.1/x",
	    "http://127.1.2.3:8080/x", "http://localhost", "HTTP://LocalHost:1/",
	    "http://[::1]:80/x", "http://169.254.170.2/x",
	    "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1",
	    "https://example.com/x", "https://10.0.0.1" };
	static const char *const bad[] = { "http://example.com", "http://",
	    "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/",
	    "http://localhost\\@example.com/", "http://10.0.0.1/",
	    "http://169.254.170.3/", "http://[::2]/", "http://[::1",
	    "http://[::1]x/", "http://[fd00:ec2::24]/", "ftp://localhost/",
	    "https://a@b/", "https:///x", "https://", "localhost", "",
	    "http://localhost /", "http://localhost/\r\nx", "http://2130706433/",
	    "http://0x7f.1/", "http://[::ffff:127.0.0.1]/" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!s3_container_url_ok(good[i]))
			fail_msg("'%s' is good", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (s3_container_url_ok(bad[i]))
			fail_msg("'%s' is bad", bad[i]);
}

#define WITH_FILES(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILES(test_in_time),
		WITH_FILES(test_failing),
		WITH_FILES(test_short),
		WITH_FILES(test_renew),
		WITH_FILES(test_renew_under_traffic),
		WITH_FILES(test_renew_clock_set_back),
		WITH_FILES(test_threads),
		WITH_FILES(test_canceled),
		WITH_FILES(test_refused),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_container_url),
	};

	return cmocka_run_group_tests_name("s3_cred", tests, NULL, NULL) != 0;
}
