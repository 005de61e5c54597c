/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where requests for a bucket go.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_url.h"

static const struct {
	const char *url, *region, *endpoint;
	int style;
	const char *host, *path, *root;
	int http;
} places[] = {
	{ "s3://bucket", "us-east-1", NULL, -1,
	    "bucket.s3.us-east-1.amazonaws.com", "/", "/", 0 },
	{ "s3://bucket/", "eu-west-3", "", -1,
	    "bucket.s3.eu-west-3.amazonaws.com", "/", "/", 0 },
	{ "s3://bucket/a//b/", "us-east-1", NULL, -1,
	    "bucket.s3.us-east-1.amazonaws.com", "/a/b/", "/", 0 },
	{ "s3://bucket/a", "us-east-1", NULL, 1,
	    "s3.us-east-1.amazonaws.com", "/bucket/a/", "/bucket", 0 },
	{ "s3://bucket", "cn-north-1", NULL, -1,
	    "bucket.s3.cn-north-1.amazonaws.com.cn", "/", "/", 0 },
	{ "s3://my.bucket/x", "us-east-1", NULL, -1,
	    "s3.us-east-1.amazonaws.com", "/my.bucket/x/",
	    "/my.bucket", 0 },
	{ "s3://my_bucket", "us-east-1", NULL, -1,
	    "s3.us-east-1.amazonaws.com", "/my_bucket/",
	    "/my_bucket", 0 },
	{ "s3://Bucket", "us-east-1", NULL, -1,
	    "s3.us-east-1.amazonaws.com", "/Bucket/", "/Bucket", 0 },
	{ "s3://bucket", "us-east-1", "http://127.0.0.1:9000", -1,
	    "127.0.0.1:9000", "/bucket/", "/bucket", 1 },
	{ "s3://bucket", "us-east-1", "http://[::1]:9000/", -1,
	    "[::1]:9000", "/bucket/", "/bucket", 1 },
	{ "s3://bucket", "us-east-1", "https://[fe80::1]", -1,
	    "[fe80::1]", "/bucket/", "/bucket", 0 },
	{ "s3://bucket", "us-east-1", "HTTP://localhost:080", -1,
	    "localhost", "/bucket/", "/bucket", 1 },
	{ "s3://bucket", "us-east-1", "https://minio:443", -1,
	    "minio", "/bucket/", "/bucket", 0 },
	{ "s3://bucket", "us-east-1", "s3.example.com", -1,
	    "bucket.s3.example.com", "/", "/", 0 },
	{ "s3://bucket", "us-east-1", "https://s3.example.com:8443",
	    -1, "bucket.s3.example.com:8443", "/", "/", 0 },
	{ "s3://bucket", "us-east-1", "https://s3.example.com", 1,
	    "s3.example.com", "/bucket/", "/bucket", 0 },
	{ "s3://bucket", "us-east-1", "http://127.0.0.1", 0,
	    "bucket.127.0.0.1", "/", "/", 1 },
	{ "s3://bucket?region=x", "us-east-1", NULL, -1,
	    "bucket.s3.us-east-1.amazonaws.com", "/", "/", 0 },
	{ "s3://bucket/a/?region=x/y", "us-east-1", NULL, -1,
	    "bucket.s3.us-east-1.amazonaws.com", "/a/", "/", 0 },
	{ "s3://bucket/a b/\xc3\xbc+%41&", "us-east-1", NULL, -1,
	    "bucket.s3.us-east-1.amazonaws.com",
	    "/a%20b/%C3%BC%2B%2541%26/", "/", 0 },
};

static int
init(struct s3_url *u, const char *url, const char *region,
    const char *endpoint, int style, const char **why)
{
	const struct s3_url_conf conf = { .region = region,
	    .endpoint = endpoint, .path_style = style };

	return s3_url_init(u, url, &conf, why);
}

static void
test_places(void **state)
{
	struct s3_url u;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(init(&u, places[i].url,
		    places[i].region, places[i].endpoint, places[i].style, &why), 0);
		assert_string_equal(u.host, places[i].host);
		assert_string_equal(u.path, places[i].path);
		assert_string_equal(u.root, places[i].root);
		assert_int_equal(u.http, places[i].http);
	}
}

static void
test_bad(void **state)
{
	static const char *const urls[] = { "s3://", "s3:/bucket", "s3://ab",
	    "S3://bucket", "s3://-bucket", "s3://..", "s3://.bucket",
	    "s3://buc ket", "s3://buc@ket", "s3://bucket:80",
	    "s3://bucket/a/../b", "s3://bucket/.", "s3://bucket/a\nb",
	    "s3://a/b" };
	static const char *const endpoints[] = { "ftp://h", "http://",
	    "https://:9000", "http://h:0", "http://h:65536", "http://h:",
	    "http://h:9x", "http://h:999999", "http://u@h", "http://h/path",
	    "http://h?q", "http://[::1", "http://[::g]", "http://[]",
	    "http://::1", "http://-h", "http://h-", "http://a..b",
	    "http://a b", "http://h#", "http://[127.0.0.1]" };
	static const char *const regions[] = { "", "a/b", "a.b", "-a", "a-",
	    "a b", "us-east-1\r\n", "a@b" };
	char big[1000];
	struct s3_url u;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		assert_int_equal(init(&u, urls[i], "us-east-1", NULL,
		    -1, &why), -EINVAL);
		assert_non_null(why);
	}
	for (i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		assert_int_equal(init(&u, "s3://bucket", "us-east-1",
		    endpoints[i], -1, &why), -EINVAL);
	assert_int_equal(init(&u, "s3://bucket", "us-east-1", NULL, -1, &why), 0);
	for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
		assert_int_equal(s3_url_set_region(&u, regions[i]), -EINVAL);
	assert_string_equal(u.region, "us-east-1");
	/* Too long, each. */
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(s3_url_set_region(&u, big), -EINVAL);
	assert_int_equal(init(&u, "s3://bucket", "us-east-1", big, -1, &why), -EINVAL);
	memcpy(big, "s3://", 5);
	strcpy(big + 5 + S3_BUCKET_MAX + 1, "/x");
	assert_int_equal(init(&u, big, "us-east-1", NULL, -1, &why),
	    -EINVAL);
	memset(big, 'a', sizeof(big) - 1);
	memcpy(big, "s3://bucket/", 12);
	assert_int_equal(init(&u, big, "us-east-1", NULL, -1, &why),
	    -EINVAL);
}

static void
test_region(void **state)
{
	struct s3_url u;
	const char *why;

	(void)state;
	assert_int_equal(init(&u, "s3://bucket/a", "us-east-1", NULL,
	    -1, &why), 0);
	assert_int_equal(s3_url_set_region(&u, "eu-central-1"), 0);
	assert_string_equal(u.host, "bucket.s3.eu-central-1.amazonaws.com");
	assert_string_equal(u.path, "/a/");
	/* A host of one's own is not left for it. */
	assert_int_equal(init(&u, "s3://bucket/a", "us-east-1",
	    "https://s3.example.com", -1, &why), 0);
	assert_int_equal(s3_url_set_region(&u, "eu-central-1"), 0);
	assert_string_equal(u.host, "bucket.s3.example.com");
	assert_string_equal(u.region, "eu-central-1");
}

/* AWS's other hosts; an endpoint of one's own stays as it is. */
static void
test_hosts(void **state)
{
	struct s3_url_conf conf = { .region = "eu-west-1", .path_style = -1,
	    .dualstack = 1 };
	struct s3_url u;
	const char *why;

	(void)state;
	assert_int_equal(s3_url_init(&u, "s3://bucket", &conf, &why), 0);
	assert_string_equal(u.host,
	    "bucket.s3.dualstack.eu-west-1.amazonaws.com");
	conf.fips = 1;
	assert_int_equal(s3_url_init(&u, "s3://bu.cket", &conf, &why), 0);
	assert_string_equal(u.host,
	    "s3-fips.dualstack.eu-west-1.amazonaws.com");
	conf.endpoint = "https://s3.example.com";
	assert_int_equal(s3_url_init(&u, "s3://bucket", &conf, &why), 0);
	assert_string_equal(u.host, "bucket.s3.example.com");
}

static void
test_query(void **state)
{
	static const char *const bad[] = { "?x", "?region", "?region=",
	    "?region=a&region=b", "?endpoint=%", "?endpoint=%4",
	    "?endpoint=%zz", "?endpoint=a%00b", "?endpoint=a%0ab",
	    "?addressing_style=other", "?addressing_style=waytoolong",
	    "?&region=a", "?region=a&&profile=b", "?Region=a" };
	struct s3_url_query q;
	const char *why;
	char url[64];
	size_t i;

	(void)state;
	assert_int_equal(s3_url_query("s3://bucket/a", &q, &why), 0);
	assert_string_equal(q.region, "");
	assert_int_equal(s3_url_query("s3://bucket/a?", &q, &why), 0);
	assert_int_equal(s3_url_query("s3://bucket/a?region=eu-west-1&"
	    "endpoint=http%3a%2F%2Fhost:9000&profile=a%20b&"
	    "addressing_style=virtual", &q, &why), 0);
	assert_string_equal(q.region, "eu-west-1");
	assert_string_equal(q.endpoint, "http://host:9000");
	assert_string_equal(q.profile, "a b");
	assert_int_equal(s3_url_style(q.style), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(url, sizeof(url), "s3://bucket/a%s", bad[i]);
		if (s3_url_query(url, &q, &why) != -EINVAL)
			fail_msg("'%s' was taken", url);
		assert_non_null(why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests_name("s3_url", tests, NULL, NULL) != 0;
}
