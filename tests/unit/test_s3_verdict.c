/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of answers: one line for each kind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/s3_verdict.h"

#define NOW	1790000000

struct row {
	int status;
	const char *code;
	enum s3_action action;
	int err;
};

static void
judge(enum s3_http_method method, const struct row *w,
    struct s3_http_reply *rp, struct s3_verdict *out)
{
	struct s3_error e = { .code = "" };

	snprintf(e.code, sizeof(e.code), "%s", w->code);
	rp->status = w->status;
	rp->date = NOW;
	s3_judge(method, S3_HTTP_DONE, rp, &e, NOW, out);
	if (out->action != w->action || out->err != w->err)
		print_message("%d %s: action %d, err %d\n", w->status, w->code,
		    (int)out->action, out->err);
	assert_int_equal(out->action, w->action);
	assert_int_equal(out->err, w->err);
}

/* AWS SDKs, "standard" mode, and the pages of S3's error responses. */
static const struct row table[] = {
	{ 200, "", S3_ACCEPT, 0 },
	{ 204, "", S3_ACCEPT, 0 },
	{ 206, "", S3_ACCEPT, 0 },
	/* throttling */
	{ 503, "SlowDown", S3_SLOW_DOWN, -EBUSY },
	{ 503, "SlowDownRead", S3_SLOW_DOWN, -EBUSY },
	{ 400, "Throttling", S3_SLOW_DOWN, -EBUSY },
	{ 400, "ThrottlingException", S3_SLOW_DOWN, -EBUSY },
	{ 400, "ThrottledException", S3_SLOW_DOWN, -EBUSY },
	{ 400, "RequestThrottled", S3_SLOW_DOWN, -EBUSY },
	{ 400, "RequestThrottledException", S3_SLOW_DOWN, -EBUSY },
	{ 429, "TooManyRequestsException", S3_SLOW_DOWN, -EBUSY },
	{ 503, "RequestLimitExceeded", S3_SLOW_DOWN, -EBUSY },
	{ 509, "BandwidthLimitExceeded", S3_SLOW_DOWN, -EBUSY },
	{ 400, "LimitExceededException", S3_SLOW_DOWN, -EBUSY },
	{ 400, "ProvisionedThroughputExceededException", S3_SLOW_DOWN,
	    -EBUSY },
	{ 400, "KMS.ThrottlingException", S3_SLOW_DOWN, -EBUSY },
	{ 429, "", S3_SLOW_DOWN, -EBUSY },
	{ 200, "SlowDown", S3_SLOW_DOWN, -EBUSY },
	/* transient */
	{ 500, "InternalError", S3_RETRY, -EIO },
	{ 200, "InternalError", S3_RETRY, -EIO },
	{ 400, "RequestTimeout", S3_RETRY, -ETIMEDOUT },
	{ 400, "RequestTimeoutException", S3_RETRY, -ETIMEDOUT },
	{ 400, "PriorRequestNotComplete", S3_RETRY, -EBUSY },
	{ 409, "ConditionalRequestConflict", S3_RETRY, -EBUSY },
	{ 409, "OperationAborted", S3_RETRY, -EBUSY },
	{ 400, "BadDigest", S3_RETRY, -EIO },
	{ 400, "XAmzContentSHA256Mismatch", S3_RETRY, -EIO },
	{ 400, "IncompleteBody", S3_RETRY, -EIO },
	{ 503, "ServiceUnavailable", S3_RETRY, -EBUSY },
	{ 400, "KMS.KMSInternalException", S3_RETRY, -EIO },
	{ 400, "KMS.DependencyTimeoutException", S3_RETRY, -ETIMEDOUT },
	{ 503, "KMS.KeyUnavailableException", S3_RETRY, -EIO },
	{ 500, "", S3_RETRY, -EIO },
	{ 502, "", S3_RETRY, -EIO },
	{ 503, "", S3_RETRY, -EBUSY },
	{ 504, "", S3_RETRY, -ETIMEDOUT },
	{ 520, "", S3_RETRY, -EIO },
	{ 408, "", S3_RETRY, -ETIMEDOUT },
	{ 200, "Unheard", S3_RETRY, -EIO },
	/* put right at once */
	{ 400, "ExpiredToken", S3_RENEW, -EACCES },
	{ 403, "InvalidAccessKeyId", S3_RENEW, -EACCES },
	{ 400, "InvalidToken", S3_RENEW, -EACCES },
	{ 403, "RequestTimeTooSkewed", S3_SKEW, -EACCES },
	{ 301, "PermanentRedirect", S3_MOVE, -EIO },
	{ 307, "TemporaryRedirect", S3_MOVE, -EIO },
	{ 400, "AuthorizationHeaderMalformed", S3_MOVE, -EIO },
	{ 400, "IllegalLocationConstraintException", S3_MOVE, -EIO },
	/* answers */
	{ 404, "NoSuchKey", S3_ANSWER, -ENOENT },
	{ 412, "PreconditionFailed", S3_ANSWER, -EEXIST },
	{ 416, "InvalidRange", S3_ANSWER, -ERANGE },
	{ 403, "InvalidObjectState", S3_ANSWER, -FIRN_ECOLD },
	/* the end */
	{ 503, "GlacierExpeditedRetrievalNotAvailable", S3_GIVE_UP, -EAGAIN },
	{ 403, "AccessDenied", S3_GIVE_UP, -EACCES },
	{ 404, "NoSuchBucket", S3_GIVE_UP, -ENXIO },
	{ 403, "QuotaExceeded", S3_GIVE_UP, -ENOSPC },
	{ 507, "", S3_GIVE_UP, -ENOSPC },
	{ 400, "InvalidStorageClass", S3_GIVE_UP, -EINVAL },
	{ 400, "KMS.DisabledException", S3_GIVE_UP, -EACCES },
	{ 413, "", S3_GIVE_UP, -FIRN_ETOOBIG },
	{ 400, "MalformedXML", S3_GIVE_UP, -EIO },
	{ 501, "NotImplemented", S3_GIVE_UP, -EOPNOTSUPP },
	/* not S3 */
	{ 404, "", S3_RETRY, -EIO },
	{ 302, "", S3_RETRY, -EIO },
	{ 511, "", S3_RETRY, -EIO },
};

static void
test_table(void **state)
{
	struct s3_http_reply rp;
	struct s3_verdict v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(&rp, 0, sizeof(rp));
		judge(S3_HTTP_GET, &table[i], &rp, &v);
	}
}

/* HEAD has no document: status and headers are all. */
static void
test_head(void **state)
{
	static const struct row head[] = {
		{ 200, "", S3_ACCEPT, 0 },
		{ 404, "", S3_ANSWER, -ENOENT },
		{ 503, "", S3_SLOW_DOWN, -EBUSY },
		{ 500, "", S3_RETRY, -EIO },
		{ 403, "", S3_GIVE_UP, -EACCES },
		{ 400, "", S3_GIVE_UP, -EIO },
	};
	const struct row moved = { 400, "", S3_MOVE, -EIO };
	const struct row skewed = { 403, "", S3_SKEW, -EACCES };
	struct s3_http_reply rp;
	struct s3_error none = { .code = "" };
	struct s3_verdict v;
	long skew;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		memset(&rp, 0, sizeof(rp));
		judge(S3_HTTP_HEAD, &head[i], &rp, &v);
	}
	memset(&rp, 0, sizeof(rp));
	snprintf(rp.region, sizeof(rp.region), "eu-central-1");
	judge(S3_HTTP_HEAD, &moved, &rp, &v);
	memset(&rp, 0, sizeof(rp));
	rp.status = 403;
	rp.date = NOW - 3600;
	s3_judge(S3_HTTP_HEAD, S3_HTTP_DONE, &rp, &none, NOW, &v);
	assert_int_equal(v.action, skewed.action);
	assert_int_equal(s3_skew_of(&rp, &none, NOW, &skew), 1);
	assert_int_equal(skew, -3600);
	rp.date = -1;
	assert_int_equal(s3_skew_of(&rp, &none, NOW, &skew), 0);
}

static void
test_redirect_of_s3(void **state)
{
	const struct row row = { 302, "", S3_MOVE, -EIO };
	struct s3_http_reply rp = { .request_id = "1" };
	struct s3_verdict v;

	(void)state;
	judge(S3_HTTP_GET, &row, &rp, &v);
}

static void
test_checksum_refused(void **state)
{
	static const struct {
		int status;
		const char *code;
		const char *message;
		enum s3_action action;
	} said[] = {
		{ 400, "InvalidArgument", "Unsupported header "
		    "'x-amz-checksum-sha256' received for this API call.",
		    S3_PLAIN },
		{ 501, "NotImplemented", "X-Amz-Checksum-Sha256 is not known",
		    S3_PLAIN },
		{ 400, "InvalidArgument", "Unsupported header 'range'",
		    S3_GIVE_UP },
		{ 400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP "
		    "header is required for Put Object requests with Object "
		    "Lock parameters", S3_GIVE_UP },
		{ 400, "InvalidRequest", "Value for x-amz-checksum-sha256 "
		    "header is invalid.", S3_GIVE_UP },
		{ 400, "BadDigest", "x-amz-checksum-sha256 does not match",
		    S3_RETRY },
		{ 501, "NotImplemented", "A header you provided implies "
		    "functionality that is not implemented", S3_GIVE_UP },
	};
	struct s3_http_reply rp = { .date = NOW };
	struct s3_verdict v;
	struct s3_error e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		memset(&e, 0, sizeof(e));
		snprintf(e.code, sizeof(e.code), "%s", said[i].code);
		snprintf(e.message, sizeof(e.message), "%s", said[i].message);
		rp.status = said[i].status;
		s3_judge(S3_HTTP_PUT, S3_HTTP_DONE, &rp, &e, NOW, &v);
		assert_int_equal(v.action, said[i].action);
	}
}

/* Whoever is told that it ends is told why, and what to do. */
static void
test_transport(void **state)
{
	static const struct {
		enum s3_http_result result;
		enum s3_action action;
		int err;
	} seen[] = {
		{ S3_HTTP_CANCELED, S3_ANSWER, -ECANCELED },
		{ S3_HTTP_NOMEM, S3_GIVE_UP, -ENOMEM },
		{ S3_HTTP_DNS, S3_RETRY, -EHOSTUNREACH },
		{ S3_HTTP_REFUSED, S3_RETRY, -ECONNREFUSED },
		{ S3_HTTP_PROXY, S3_RETRY, -EHOSTUNREACH },
		{ S3_HTTP_TLS, S3_RETRY, -EPROTO },
		{ S3_HTTP_UNTRUSTED, S3_GIVE_UP, -EPROTO },
		{ S3_HTTP_STALLED, S3_RETRY, -ETIMEDOUT },
		{ S3_HTTP_BROKEN, S3_RETRY, -ECONNRESET },
		{ S3_HTTP_TOO_MUCH, S3_RETRY, -EIO },
		{ S3_HTTP_FAILED, S3_RETRY, -EIO },
	};
	struct s3_http_reply rp = { .status = 0 };
	struct s3_error none = { .code = "" };
	struct s3_verdict v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		s3_judge(S3_HTTP_GET, seen[i].result, &rp, &none, NOW, &v);
		assert_int_equal(v.action, seen[i].action);
		assert_int_equal(v.err, seen[i].err);
		if (seen[i].result == S3_HTTP_DNS ||
		    seen[i].result == S3_HTTP_REFUSED ||
		    seen[i].result == S3_HTTP_PROXY ||
		    seen[i].result == S3_HTTP_TLS ||
		    seen[i].result == S3_HTTP_UNTRUSTED ||
		    seen[i].result == S3_HTTP_STALLED) {
			assert_non_null(v.cause);
			assert_non_null(v.next);
		}
	}
}

/* What a proxy answers to CONNECT. */
static void
test_proxy(void **state)
{
	static const struct row seen[] = {
		{ 0, "", S3_RETRY, -EHOSTUNREACH },
		{ 502, "", S3_RETRY, -EHOSTUNREACH },
		{ 503, "", S3_RETRY, -EHOSTUNREACH },
		{ 504, "", S3_RETRY, -EHOSTUNREACH },
		{ 408, "", S3_RETRY, -EHOSTUNREACH },
		{ 429, "", S3_RETRY, -EHOSTUNREACH },
		{ 403, "", S3_GIVE_UP, -EACCES },
		{ 405, "", S3_GIVE_UP, -EACCES },
		{ 407, "", S3_GIVE_UP, -EACCES },
	};
	struct s3_http_reply rp = { .status = 0 };
	struct s3_error none = { .code = "" };
	struct s3_verdict v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		rp.status = seen[i].status;
		s3_judge(S3_HTTP_GET, S3_HTTP_PROXY, &rp, &none, NOW, &v);
		assert_int_equal(v.action, seen[i].action);
		assert_int_equal(v.err, seen[i].err);
		assert_non_null(v.cause);
		assert_non_null(v.next);
	}
}

/* A 403 with S3's mark is the key's; one with none is somebody else's. */
static void
test_denied(void **state)
{
	const struct row denied = { 403, "", S3_GIVE_UP, -EACCES };
	struct s3_http_reply rp = { .request_id = "1" };
	struct s3_verdict v;

	(void)state;
	judge(S3_HTTP_GET, &denied, &rp, &v);
	assert_string_equal(v.cause, "access denied");
	rp.request_id[0] = '\0';
	judge(S3_HTTP_GET, &denied, &rp, &v);
	assert_string_equal(v.cause, "access denied, by what is no S3 server");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_redirect_of_s3),
		cmocka_unit_test(test_checksum_refused),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_denied),
	};

	return cmocka_run_group_tests_name("s3 verdict", tests, NULL, NULL) !=
	    0;
}
