/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: the four examples of AWS's "Signature Calculations for the
 * Authorization Header: Transferring Payload in a Single Chunk"
 * (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html),
 * those of AWS's signing test suite that apply to a path which is encoded once
 * and not normalised (github.com/awslabs/aws-c-auth, aws-signing-test-suite/v4),
 * and two requests like ours that an independent implementation signed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_sigv4.h"

#define EMPTY	"e3b0c44298fc1c149afbf4c8996fb924" \
		"27ae41e4649b934ca495991b7852b855"
#define WELCOME	"44ce7dd67c959e0d3524ffac1771dfbb" \
		"a87d2b6b4b4e99e42034a8b803f8b072"
#define DATE	"20130524T000000Z"
#define HOST	"examplebucket.s3.amazonaws.com"

static const struct sigv4_keys aws = { "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", NULL };
static const struct sigv4_keys other = { "AKID", "se/cr+et",
    "eu-central-1", NULL };
/* Of AWS's "Create a signed AWS API request". */
static const struct sigv4_keys iam = { "AKIDEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "iam" };

static void
assert_buf(struct buf *b, const char *want)
{
	assert_non_null(buf_cstr(b));
	assert_string_equal((char *)b->data, want);
	buf_release(b);
}

static void
assert_signed(const struct sigv4_request *r, const struct sigv4_keys *k,
    const char *date, const char *names, const char *signature)
{
	struct buf got = BUF_INIT(4096), want = BUF_INIT(4096);

	assert_int_equal(buf_printf(&want, "AWS4-HMAC-SHA256 Credential=%s/"
	    "%.8s/%s/s3/aws4_request,SignedHeaders=%s,Signature=%s",
	    k->access, date, k->region, names, signature), 0);
	assert_int_equal(sigv4_authorization(r, k, date, &got), 0);
	assert_non_null(buf_cstr(&want));
	assert_buf(&got, (char *)want.data);
	buf_release(&want);
}

static void
test_get_object(void **state)
{
	const struct sigv4_pair h[] = {
		{ "host", HOST }, { "range", "bytes=0-9" },
		{ "x-amz-content-sha256", EMPTY }, { "x-amz-date", DATE },
	};
	const struct sigv4_request r = { "GET", "/test.txt", "", h, 4, EMPTY };
	struct buf canonical = BUF_INIT(4096), text = BUF_INIT(4096);
	char signature[SIGV4_SIGNATURE_SIZE];

	(void)state;
	assert_signed(&r, &aws, DATE, "host;range;x-amz-content-sha256;"
	    "x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed31"
	    "0bd44f0170aba48dd91039c6036bdb41");
	/* Step by step. */
	assert_int_equal(sigv4_canonical(&r, &canonical), 0);
	/* It never grew: what was given back could hold a token. */
	assert_in_range(canonical.cap, canonical.len + 1, canonical.len + 2);
	assert_int_equal(sigv4_string_to_sign(&aws, DATE, &canonical,
	    &text), 0);
	assert_int_equal(sigv4_signature(&aws, DATE, &text, signature), 0);
	assert_string_equal(signature, "f0e8bdb87c964420e857bd35b5d6ed31"
	    "0bd44f0170aba48dd91039c6036bdb41");
	assert_buf(&canonical, "GET\n/test.txt\n\nhost:" HOST "\n"
	    "range:bytes=0-9\nx-amz-content-sha256:" EMPTY "\n"
	    "x-amz-date:" DATE "\n\n"
	    "host;range;x-amz-content-sha256;x-amz-date\n" EMPTY);
	assert_buf(&text, "AWS4-HMAC-SHA256\n" DATE "\n"
	    "20130524/us-east-1/s3/aws4_request\n"
	    "7344ae5b7ee6c3e7e6b0fe0640412a37"
	    "625d1fbfff95c48bbb2dc43964946972");
}

static void
test_put_object(void **state)
{
	const struct sigv4_pair h[] = {		/* not in order */
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "x-amz-date", DATE }, { "host", HOST },
		{ "date", "Fri, 24 May 2013 00:00:00 GMT" },
		{ "x-amz-content-sha256", WELCOME },
	};
	struct buf path = BUF_INIT(64);
	struct sigv4_request r = { "PUT", NULL, "", h, 5, WELCOME };

	(void)state;
	assert_int_equal(sigv4_encode("/test$file.text", 15, 1, &path), 0);
	r.path = buf_cstr(&path);
	assert_signed(&r, &aws, DATE, "date;host;x-amz-content-sha256;"
	    "x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238"
	    "d841ea1380cd77a1b5971af0ece108bd");
	assert_buf(&path, "/test%24file.text");
}

static void
assert_bucket_get(const struct sigv4_pair *query, size_t n,
    const char *canonical, const char *signature)
{
	const struct sigv4_pair h[] = {
		{ "host", HOST }, { "x-amz-content-sha256", EMPTY },
		{ "x-amz-date", DATE },
	};
	struct sigv4_request r = { "GET", "/", NULL, h, 3, EMPTY };
	struct buf q = BUF_INIT(256);

	assert_int_equal(sigv4_query(query, n, &q), 0);
	r.query = buf_cstr(&q);
	assert_signed(&r, &aws, DATE, "host;x-amz-content-sha256;x-amz-date",
	    signature);
	assert_buf(&q, canonical);
}

static void
test_bucket(void **state)
{
	const struct sigv4_pair lifecycle[] = { { "lifecycle", "" } };
	const struct sigv4_pair list[] = { { "prefix", "J" },
	    { "max-keys", "2" } };

	(void)state;
	assert_bucket_get(lifecycle, 1, "lifecycle=",
	    "fea454ca298b7da1c68078a5d1bdbfbb"
	    "e0d65c699e0f91ac7a200a0136783543");
	assert_bucket_get(list, 2, "max-keys=2&prefix=J",
	    "34b48302e7b5fa45bde8084f4b7868a8"
	    "6f0a534bc59db6670ed5711ef69dc6f7");
}

/* Names of which one begins another, blanks in values, a token. */
static void
test_our_put(void **state)
{
	const struct sigv4_pair h[] = {
		{ "host", "127.0.0.1:9000" },
		{ "x-amz-meta-test-two", "1" },
		{ "x-amz-meta-test", "  two   words " },
		{ "x-amz-content-sha256", WELCOME },
		{ "x-amz-date", "20261121T091336Z" },
		{ "x-amz-security-token", "TOKEN/+=" },
		{ "if-none-match", "*" },
		{ "x-amz-checksum-sha256",
		    "RM59Z9lZ4NNSZ/+sF3Hfu6h9KytOnkgoouSnL4A/sHI=" },
	};
	const struct sigv4_request r = { "PUT", "/bucket/a%20b/%C3%BC~_-.",
	    "", h, 8, WELCOME };

	(void)state;
	assert_signed(&r, &other, "20261121T091336Z", "host;if-none-match;"
	    "x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date;"
	    "x-amz-meta-test;x-amz-meta-test-two;x-amz-security-token",
	    "e0928fc1fe5b4558174174cea38e1cc9"
	    "3c55c7e1c2cfda32cb7ce0840e007a2a");
}

static void
test_our_list(void **state)
{
	const struct sigv4_pair query[] = {
		{ "prefix", "odd prefix/\xc3\xbc+b/" },
		{ "list-type", "2" }, { "encoding-type", "url" },
		{ "continuation-token", "a/b+=" },
	};
	const struct sigv4_pair h[] = {
		{ "host", "localhost:9000" },
		{ "x-amz-content-sha256", EMPTY },
		{ "x-amz-date", "20261121T091336Z" },
	};
	struct sigv4_request r = { "GET", "/bucket", NULL, h, 3, EMPTY };
	struct buf q = BUF_INIT(256);

	(void)state;
	assert_int_equal(sigv4_query(query, 4, &q), 0);
	r.query = buf_cstr(&q);
	assert_signed(&r, &other, "20261121T091336Z",
	    "host;x-amz-content-sha256;x-amz-date",
	    "51c8352c764fa02ba51642242ac7b073"
	    "5a0acfbc561ab2d2a1f1111bdef2ed28");
	buf_release(&q);
}

/* Pairs are sorted, not their texts: '-' comes before '='. */
static void
test_query_order(void **state)
{
	const struct sigv4_pair query[] = {
		{ "select-type", "2" }, { "select", "" }, { "a", "2" },
		{ "a", "1" }, { "B", "~-._ /" },
	};
	struct sigv4_pair many[17];
	struct buf q = BUF_INIT(256);
	size_t i;

	(void)state;
	assert_int_equal(sigv4_query(query, 5, &q), 0);
	assert_buf(&q, "B=~-._%20%2F&a=1&a=2&select=&select-type=2");
	assert_int_equal(sigv4_query(NULL, 0, &q), 0);
	assert_int_equal(q.len, 0);
	for (i = 0; i < 17; i++)
		many[i] = query[0];
	assert_int_equal(sigv4_query(many, 17, &q), -EINVAL);
	assert_int_equal(q.len, 0);
	assert_int_equal(sigv4_query(many, 16, &q), 0);
	buf_release(&q);
}

static void
test_date(void **state)
{
	char date[SIGV4_DATE_SIZE];

	(void)state;
	assert_int_equal(sigv4_date(1369353600, date), 0);
	assert_string_equal(date, DATE);
	assert_int_equal(sigv4_date(253402300799, date), 0);
	assert_string_equal(date, "99991231T235959Z");
	assert_int_equal(sigv4_date(253402300800, date), -EINVAL);
	assert_int_equal(sigv4_date(INT64_MIN, date), -EINVAL);
	assert_int_equal(sigv4_date(INT64_MAX, date), -EINVAL);
}

static void
test_bad(void **state)
{
	struct sigv4_pair h[33];
	struct sigv4_request r = { "GET", "/", "", h, 0, EMPTY };
	struct buf out = BUF_INIT(4096), small = BUF_INIT(16);
	size_t i;

	(void)state;
	for (i = 0; i < 33; i++)
		h[i] = (struct sigv4_pair){ "host", "x" };
	assert_int_equal(sigv4_authorization(&r, &aws, DATE, &out), -EINVAL);
	r.nheaders = 33;
	assert_int_equal(sigv4_authorization(&r, &aws, DATE, &out), -EINVAL);
	r.nheaders = 1;
	assert_int_equal(sigv4_authorization(&r, &aws, "2013", &out),
	    -EINVAL);
	assert_int_equal(out.len, 0);
	assert_int_equal(sigv4_authorization(&r, &aws, DATE, &small),
	    -FIRN_ETOOBIG);
	buf_release(&small);
	buf_release(&out);
}

/* Another service than S3: no x-amz-content-sha256. */
static void
test_service(void **state)
{
	const struct sigv4_pair h[] = {
		{ "content-type",
		    "application/x-www-form-urlencoded; charset=utf-8" },
		{ "host", "iam.amazonaws.com" },
		{ "x-amz-date", "20150830T123600Z" },
	};
	const struct sigv4_request r = { "GET", "/",
	    "Action=ListUsers&Version=2010-05-08", h, 3, EMPTY };
	struct buf got = BUF_INIT(4096);

	(void)state;
	assert_int_equal(sigv4_authorization(&r, &iam, "20150830T123600Z",
	    &got), 0);
	assert_buf(&got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/"
	    "us-east-1/iam/aws4_request,SignedHeaders=content-type;host;"
	    "x-amz-date,Signature=5d672d79c15b13162d9279b0855cfba6"
	    "789a8edb4c82c400e06b5924a6f2b5d7");
}

#define UNRESERVED	"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"abcdefghijklmnopqrstuvwxyz"

/* One of the suite: a raw path, raw query pairs, headers beside host and
 * date, and the signature. */
struct suite {
	const char *name;
	const char *method;
	const char *path;
	struct sigv4_pair query[3];
	struct sigv4_pair header[2];
	const char *signature;
};

static const struct suite suite[] = {
	{ "get-vanilla", "GET", "/", { { NULL, NULL } }, { { NULL, NULL } },
	    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "post-vanilla", "POST", "/", { { NULL, NULL } }, { { NULL, NULL } },
	    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ "get-unreserved", "GET", "/" UNRESERVED, { { NULL, NULL } },
	    { { NULL, NULL } },
	    "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
	{ "get-utf8", "GET", "/\u1234", { { NULL, NULL } },
	    { { NULL, NULL } },
	    "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
	{ "get-space-unnormalized", "GET", "/example space/",
	    { { NULL, NULL } }, { { NULL, NULL } },
	    "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
	{ "get-slashes-unnormalized", "GET", "//example//",
	    { { NULL, NULL } }, { { NULL, NULL } },
	    "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5" },
	{ "get-slash-dot-slash-unnormalized", "GET", "/./",
	    { { NULL, NULL } }, { { NULL, NULL } },
	    "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145" },
	{ "get-vanilla-empty-query-key", "GET", "/",
	    { { "Param1", "value1" } }, { { NULL, NULL } },
	    "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
	{ "get-vanilla-query-order-key-case", "GET", "/",
	    { { "Param2", "value2" }, { "Param1", "value1" } },
	    { { NULL, NULL } },
	    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "get-vanilla-query-order-encoded", "GET", "/",
	    { { "Param-3", "Value3" }, { "Param", "Value2" },
	    { "\u1234", "Value1" } }, { { NULL, NULL } },
	    "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac" },
	{ "get-vanilla-query-unreserved", "GET", "/",
	    { { UNRESERVED, UNRESERVED } }, { { NULL, NULL } },
	    "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197" },
	{ "get-vanilla-utf8-query", "GET", "/", { { "\u1234", "bar" } },
	    { { NULL, NULL } },
	    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
	{ "get-vanilla-with-session-token", "GET", "/", { { NULL, NULL } },
	    { { "x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d"
	    "763fbf315fa00fa31553b73ebf194267" } },
	    "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8" },
	{ "get-header-value-trim", "GET", "/", { { NULL, NULL } },
	    { { "my-header1", " value1" },
	    { "my-header2", " \"a   b   c\"" } },
	    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
};

static void
assert_suite(const struct suite *s)
{
	static const struct sigv4_keys keys = { "AKIDEXAMPLE",
	    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1",
	    "service" };
	struct sigv4_pair h[4] = { { "host", "example.amazonaws.com" },
	    { "x-amz-date", "20150830T123600Z" } };
	struct buf path = BUF_INIT(1024), query = BUF_INIT(1024);
	struct buf got = BUF_INIT(4096);
	struct sigv4_request r = { s->method, NULL, NULL, h, 2, EMPTY };
	size_t n;

	for (n = 0; n < 2 && s->header[n].name != NULL; n++)
		h[r.nheaders++] = s->header[n];
	for (n = 0; n < 3 && s->query[n].name != NULL; n++)
		continue;
	assert_int_equal(sigv4_encode(s->path, strlen(s->path), 1, &path), 0);
	assert_int_equal(sigv4_query(s->query, n, &query), 0);
	r.path = buf_cstr(&path);
	r.query = buf_cstr(&query);
	assert_int_equal(sigv4_authorization(&r, &keys, "20150830T123600Z",
	    &got), 0);
	if (strstr(buf_cstr(&got), s->signature) == NULL)
		fail_msg("%s: %s", s->name, (char *)got.data);
	buf_release(&path);
	buf_release(&query);
	buf_release(&got);
}

static void
test_suite(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(suite) / sizeof(suite[0]); i++)
		assert_suite(&suite[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_get_object),
		cmocka_unit_test(test_put_object),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_our_put),
		cmocka_unit_test(test_our_list),
		cmocka_unit_test(test_query_order),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_service),
	};

	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL) != 0;
}
