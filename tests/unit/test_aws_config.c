/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that AWS's tools share, and the environment beside them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/aws_config.h"
#include "store/s3_place.h"

static struct aws_file *
parsed(const char *text, enum aws_file_kind kind)
{
	struct aws_file *f;

	assert_int_equal(aws_file_parse(text, strlen(text), kind, &f), 0);
	return f;
}

static void
assert_value(const struct aws_file *f, const char *profile, const char *key,
    const char *sub, const char *want)
{
	const char *v = aws_file_get(f, AWS_PROFILE, profile, key, sub);

	if (want == NULL) {
		assert_null(v);
		return;
	}
	assert_non_null(v);
	assert_string_equal(v, want);
}

static void
test_config(void **state)
{
	struct aws_file *f = parsed("lost = before any section\n"
	    "# comment\n ; another\n\n"
	    "[default]\r\n"
	    "Region=eu-west-1\r\n"
	    "  output = json   # a comment\n"
	    "empty =\n"
	    "no equals sign\n"
	    "[profile a]\n"
	    "key = one\n"
	    "key = two;not a comment ; a comment\n"
	    "s3 =\n"
	    "    addressing_style = path\n"
	    "    max = 5\n"
	    "after = =x=\n"
	    "[ profile \"b c\" ] ; comment\n"
	    "long = first\n"
	    "\tsecond\n"
	    "  third ; gone\n"
	    "[profile a]\n"
	    "more = yes\n"
	    "[a]\n"
	    "more = no\n"
	    "[sso-session a]\n"
	    "more = no\n"
	    "[profile  'd' ]\n"
	    "  x = 1\n"
	    "  y = 2\n"
	    "  z =\n"
	    "     u = 3\n"
	    "  w = 4\n"
	    "[profile unclosed\n"
	    "x = 9\n"
	    "[services mine]\n"
	    "s3 =\n"
	    "  endpoint_url = http://a\n"
	    "sts =\n"
	    "  endpoint_url = http://b", AWS_CONFIG);

	(void)state;
	/* An indented line goes on with the value, as AWS's tools read it. */
	assert_value(f, "default", "region", NULL, "eu-west-1 output = json");
	assert_value(f, "default", "output", NULL, NULL);
	assert_value(f, "default", "empty", NULL, "");
	assert_value(f, "default", "lost", NULL, NULL);
	assert_value(f, "a", "key", NULL, "two;not a comment");
	assert_value(f, "a", "s3", NULL, "");
	assert_value(f, "a", "s3", "addressing_style", "path");
	assert_value(f, "a", "s3", "max", "5");
	assert_value(f, "a", "after", NULL, "=x=");
	assert_value(f, "a", "more", NULL, "yes");
	assert_value(f, "b c", "long", NULL, "first second third");
	assert_value(f, "d", "x", NULL, "1");
	assert_value(f, "d", "y", NULL, "2");
	assert_value(f, "d", "z", "u", "3");
	assert_value(f, "d", "w", NULL, "4");
	assert_value(f, "d", "w", "u", NULL);
	assert_int_equal(aws_file_has(f, AWS_PROFILE, "unclosed"), 0);
	assert_int_equal(aws_file_has(f, AWS_PROFILE, "mine"), 0);
	assert_string_equal(aws_file_get(f, AWS_SERVICES, "mine", "sts",
	    "endpoint_url"), "http://b");
	assert_string_equal(aws_file_get(f, AWS_SERVICES, "mine", "s3",
	    "endpoint_url"), "http://a");
	aws_file_free(f);
}

static void
test_credentials(void **state)
{
	struct aws_file *f = parsed("[default]\naws_access_key_id = A\n"
	    "[profile x]\na = 1\n[x]\na = 2", AWS_CREDENTIALS);

	(void)state;
	assert_value(f, "default", "aws_access_key_id", NULL, "A");
	assert_value(f, "x", "a", NULL, "2");
	assert_value(f, "profile x", "a", NULL, "1");
	aws_file_free(f);
	f = parsed("", AWS_CREDENTIALS);
	assert_int_equal(aws_file_has(f, AWS_PROFILE, "default"), 0);
	aws_file_free(f);
	assert_int_equal(aws_file_parse("[a]\0", 4, AWS_CONFIG, &f),
	    -FIRN_ECORRUPT);
	assert_null(f);
	aws_file_free(NULL);
}

/* A directory with both files, that the environment names. */
static char dir[64];

static void
file_write(const char *name, const char *env, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(setenv(env, path, 1), 0);
}

static int
setup(void **state)
{
	static const char *const names[] = { "AWS_PROFILE",
	    "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE",
	    "AWS_ENDPOINT_URL_STS", "AWS_USE_DUALSTACK_ENDPOINT",
	    "AWS_USE_FIPS_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	strcpy(dir, "/tmp/firn-aws-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/config", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/credentials", dir);
	unlink(path);
	return rmdir(dir);
}

static void
files_write(void)
{
	file_write("config", "AWS_CONFIG_FILE",
	    "[default]\nregion = r1\nuse_dualstack_endpoint = TRUE\n"
	    "[profile p]\nregion = r2\nservices = s\nca_bundle = /ca\n"
	    "endpoint_url = http://general\nboth = config\n"
	    "s3 =\n  addressing_style = path\n"
	    "[services s]\nsts =\n  endpoint_url = http://sts\n");
	file_write("credentials", "AWS_SHARED_CREDENTIALS_FILE",
	    "[p]\nboth = credentials\n[only]\nx = 1\n");
}

static void
test_load(void **state)
{
	struct aws_config *c;

	(void)state;
	files_write();
	assert_int_equal(aws_config_load(NULL, &c), 0);
	assert_string_equal(aws_config_profile(c), "default");
	assert_string_equal(aws_config_get(c, "default", "region"), "r1");
	assert_int_equal(aws_config_switch(c, "AWS_USE_DUALSTACK_ENDPOINT",
	    "use_dualstack_endpoint", 0), 1);
	assert_int_equal(aws_config_switch(c, "AWS_USE_FIPS_ENDPOINT",
	    "use_fips_endpoint", 7), 7);
	setenv("AWS_USE_DUALSTACK_ENDPOINT", "false", 1);
	assert_int_equal(aws_config_switch(c, "AWS_USE_DUALSTACK_ENDPOINT",
	    "use_dualstack_endpoint", 1), 0);
	unsetenv("AWS_USE_DUALSTACK_ENDPOINT");
	assert_int_equal(aws_config_has(c, "only"), 1);
	assert_int_equal(aws_config_has(c, "s"), 0);
	assert_null(aws_config_endpoint(c, "s3"));
	aws_config_free(c);

	setenv("AWS_DEFAULT_PROFILE", "p", 1);
	assert_int_equal(aws_config_load("", &c), 0);
	assert_string_equal(aws_config_get(c, "p", "both"), "credentials");
	assert_string_equal(aws_config_get_in(c, AWS_CONFIG, "p", "both"),
	    "config");
	assert_string_equal(aws_config_get_s3(c, "addressing_style"), "path");
	assert_string_equal(aws_config_endpoint(c, "sts"), "http://sts");
	assert_string_equal(aws_config_endpoint(c, "s3"), "http://general");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	setenv("AWS_ENDPOINT_URL", "http://x", 1);
	assert_null(aws_config_endpoint(c, "s3"));
	unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	assert_string_equal(aws_config_endpoint(c, "sts"), "http://x");
	unsetenv("AWS_ENDPOINT_URL");
	aws_config_free(c);

	setenv("AWS_PROFILE", "none", 1);
	assert_int_equal(aws_config_load(NULL, &c), -EACCES);
	assert_null(c);
	assert_int_equal(aws_config_load("only", &c), 0);
	aws_config_free(c);
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_DEFAULT_PROFILE");
}

static void
test_missing(void **state)
{
	struct aws_config *c;

	(void)state;
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
	assert_int_equal(aws_config_load(NULL, &c), 0);
	assert_null(aws_config_get(c, "default", "region"));
	aws_config_free(c);
	/* One that is there and cannot be read is not passed over. */
	setenv("AWS_CONFIG_FILE", "/", 1);
	assert_int_equal(aws_config_load(NULL, &c), -EACCES);
	assert_null(c);
}

static void
test_place(void **state)
{
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct s3_place p;

	(void)state;
	files_write();
	assert_int_equal(s3_place_find(&p, "s3://bucket/a", &conf), 0);
	assert_string_equal(p.url.host,
	    "bucket.s3.dualstack.r1.amazonaws.com");
	assert_string_equal(p.profile, "");
	assert_null(p.ca_file);
	s3_place_release(&p);

	assert_int_equal(s3_place_find(&p, "s3://bucket/a?profile=p", &conf),
	    0);
	assert_string_equal(p.profile, "p");
	assert_string_equal(p.url.host, "general");
	assert_string_equal(p.url.path, "/bucket/a/");
	assert_string_equal(p.url.region, "r2");
	assert_int_equal(p.url.http, 1);
	assert_string_equal(p.ca_file, "/ca");
	s3_place_release(&p);

	setenv("AWS_CA_BUNDLE", "/env", 1);
	assert_int_equal(s3_place_find(&p, "s3://bucket/a?profile=p&"
	    "addressing_style=virtual&endpoint=s3.example.com", &conf), 0);
	assert_string_equal(p.url.host, "bucket.s3.example.com");
	assert_int_equal(p.url.http, 0);	/* unless asked for */
	assert_string_equal(p.ca_file, "/env");
	s3_place_release(&p);
	unsetenv("AWS_CA_BUNDLE");

	conf.path_style = 1;
	assert_int_equal(s3_place_find(&p, "s3://bucket?addressing_style="
	    "virtual", &conf), 0);
	assert_string_equal(p.url.root, "/bucket");
	s3_place_release(&p);
	assert_int_equal(s3_place_find(&p, "s3://bucket?profile=none", &conf),
	    -EACCES);
	s3_place_release(&p);
	assert_int_equal(s3_place_find(&p, "s3://bucket?x=1", &conf), -EINVAL);
	s3_place_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
		cmocka_unit_test(test_missing),
		cmocka_unit_test_setup_teardown(test_place, setup, teardown),
	};

	return cmocka_run_group_tests_name("aws_config", tests, NULL, NULL) !=
	    0;
}
