/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No secret is left in memory that is given back: every free() and realloc()
 * of ours comes by here (ld --wrap) and is looked through.  libcurl's own go
 * elsewhere; what it is given by us does not.  Nobody answers, which every
 * request is made for all the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store.h"

#define SECRET	"Secret/Nobody+May=See"
#define SESSION	"Session+Nobody/May=See"
#define WEB	"eyJ.web-identity-nobody-may-see"

void __real_free(void *p);
void *__real_realloc(void *p, size_t len);
void __wrap_free(void *p);
void *__wrap_realloc(void *p, size_t len);

static atomic_uint looked, found;

static void
look(void *p)
{
	static const char *const secret[] = { SECRET, SESSION, WEB };
	size_t len, i;

	looked++;
	if (p == NULL)
		return;
	len = malloc_usable_size(p);
	for (i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (memmem(p, len, secret[i], strlen(secret[i])) != NULL) {
			found++;
			print_message("freed with '%s' in it\n", secret[i]);
		}
}

void
__wrap_free(void *p)
{
	look(p);
	__real_free(p);
}

/* It may move, and leave what there was behind. */
void *
__wrap_realloc(void *p, size_t len)
{
	size_t had = p != NULL ? malloc_usable_size(p) : 0;
	void *new;

	if (p == NULL || len <= had)
		return __real_realloc(p, len);
	new = malloc(len);
	if (new == NULL)
		return NULL;
	memcpy(new, p, had);
	__wrap_free(p);
	return new;
}

/* The test's own eyes. */
static void
test_looks(void **state)
{
	struct buf b = BUF_INIT(1u << 16);

	(void)state;
	found = 0;
	assert_int_equal(buf_add(&b, "x" SESSION, sizeof("x" SESSION)), 0);
	buf_release(&b);
	assert_int_equal(found, 1);
	found = 0;
	assert_int_equal(buf_add(&b, "x" SESSION, sizeof("x" SESSION)), 0);
	buf_wipe(&b);
	assert_int_equal(found, 0);
}

static int
nothing(void *ctx, const char *name, const struct store_stat *st)
{
	(void)ctx;
	(void)name;
	(void)st;
	return 0;
}

/* Every verb, at an endpoint where nobody is. */
static void
use_store(void)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store_stat st;
	struct store *s;
	uint8_t byte;
	size_t got;

	conf.endpoint = "http://127.0.0.1:1";
	conf.timeout = 1;
	if (store_open("s3://bucket/x", &conf, 0, &s) != 0)
		fail();
	assert_int_not_equal(store_put(s, "a", "a", 1, NULL, 0), 0);
	assert_int_not_equal(store_get(s, "a", 0, &byte, 1, &got), 0);
	assert_int_not_equal(store_stat(s, "a", &st), 0);
	assert_int_not_equal(store_list(s, "", nothing, NULL), 0);
	assert_int_not_equal(store_del(s, "a"), 0);
	store_close(s);
}

static void
test_session(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	setenv("AWS_SESSION_TOKEN", SESSION, 1);
	looked = found = 0;
	use_store();
	assert_true(looked > 20);
	assert_int_equal(found, 0);
}

static void
file_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* From AWS's files. */
static void
test_profile(void **state)
{
	char path[] = "/tmp/firn-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	file_write(path, "[default]\naws_access_key_id = AKIDTEST\n"
	    "aws_secret_access_key = " SECRET "\naws_session_token = " SESSION
	    "\n");
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	looked = found = 0;
	use_store();
	assert_true(looked > 20);
	assert_int_equal(found, 0);
	unlink(path);
}

/* A token that STS is asked with. */
static void
test_web_identity(void **state)
{
	char path[] = "/tmp/firn-test-XXXXXX";
	int fd = mkstemp(path);
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct store *s;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	file_write(path, WEB);
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
	setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x", 1);
	setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1", 1);
	conf.endpoint = "http://127.0.0.1:1";
	conf.timeout = 1;
	looked = found = 0;
	assert_int_equal(store_open("s3://bucket/x", &conf, 0, &s), 0);
	assert_int_not_equal(store_del(s, "a"), 0);
	store_close(s);
	assert_true(looked > 20);
	assert_int_equal(found, 0);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_web_identity),
	};

	setenv("HOME", "/nonexistent", 1);
	setenv("AWS_REGION", "us-east-1", 1);
	unsetenv("AWS_PROFILE");
	return cmocka_run_group_tests_name("s3 secrets", tests, NULL, NULL) !=
	    0;
}
