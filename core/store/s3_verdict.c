/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to make of an answer: two tables, by the code in the error document,
 * and by the status where there is no code that we know.
 *
 * Which codes are throttling and which pass by themselves is as the AWS SDKs
 * have it in their "standard" retry mode, and the docs.aws.amazon.com page of
 * S3's error responses.  A code that ends in '*' stands for all that begin so.
 *
 * Codes come first.  A status without a document that S3 would have sent comes
 * from something else on the way, so a mere "404" does not mean that an object
 * is missing, except for HEAD, which has no document.
 */
#include <stdlib.h>
#include <string.h>		/* strcasestr */

#include "base/err.h"
#include "base/timefmt.h"
#include "store/s3_verdict.h"

#define SKEW_MAX	(15 * 60)	/* seconds that S3 tolerates */

#define FAILED		"the server failed"
#define TOO_FAST	"the server wants fewer requests"
#define DAMAGED		"what arrived there is not what was sent"
#define NOT_S3		"the answer is not that of an S3 server"
#define PROXY_LOGIN	"the proxy wants to know who you are"
#define PROXY_PASSWORD	"set http_proxy, or https_proxy for TLS, to " \
	"http://USER:PASSWORD@HOST:PORT"
#define CHECK_POLICY	"allow the key s3:GetObject, s3:PutObject, " \
	"s3:DeleteObject on the bucket's objects and s3:ListBucket on the " \
	"bucket, or use another key"
#define CHECK_SECRET	"check AWS_SECRET_ACCESS_KEY, or the profile"
#define CHECK_KEY	"check AWS_ACCESS_KEY_ID or the profile, and that it " \
	"is a key of this server"
#define CHECK_TOKEN	"renew the keys where they come from (environment, " \
	"profile, role); keys without a token need AWS_SESSION_TOKEN unset"

static const struct {
	const char *code;
	struct s3_verdict verdict;
} by_code[] = {
	{ "NoSuchKey", { S3_ANSWER, -ENOENT, NULL, NULL } },
	{ "NoSuchLifecycleConfiguration", { S3_ANSWER, -ENOENT, NULL, NULL } },
	{ "PreconditionFailed", { S3_ANSWER, -EEXIST, NULL, NULL } },
	{ "InvalidRange", { S3_ANSWER, -ERANGE, NULL, NULL } },
	{ "InvalidObjectState", { S3_ANSWER, -FIRN_ECOLD, NULL, NULL } },
	{ "NoSuchBucket", { S3_GIVE_UP, -ENXIO, "the bucket does not exist",
	    "make it, or check its name and the region or endpoint" } },
	{ "InvalidBucketName", { S3_GIVE_UP, -ENXIO,
	    "the bucket's name is not allowed", "check the URL" } },
	{ "AccessDenied", { S3_GIVE_UP, -EACCES, "access denied",
	    CHECK_POLICY } },
	{ "AllAccessDisabled", { S3_GIVE_UP, -EACCES, "access denied",
	    CHECK_POLICY } },
	{ "AccountProblem", { S3_GIVE_UP, -EACCES,
	    "the account has a problem", "ask the provider" } },
	{ "SignatureDoesNotMatch", { S3_GIVE_UP, -EACCES,
	    "the secret key does not belong to the access key",
	    CHECK_SECRET } },
	{ "InvalidAccessKeyId", { S3_RENEW, -EACCES,
	    "the access key is not known", CHECK_KEY } },
	{ "InvalidToken", { S3_RENEW, -EACCES,
	    "the session token is not valid", CHECK_TOKEN } },
	{ "ExpiredToken", { S3_RENEW, -EACCES,
	    "the session token has expired", CHECK_TOKEN } },
	{ "TokenRefreshRequired", { S3_RENEW, -EACCES,
	    "the session token has expired", CHECK_TOKEN } },
	{ "RequestTimeTooSkewed", { S3_SKEW, -EACCES,
	    "this machine's clock is wrong", "set the clock" } },
	{ "RequestExpired", { S3_SKEW, -EACCES,
	    "this machine's clock is wrong", "set the clock" } },
	{ "PermanentRedirect", { S3_MOVE, -EIO, NULL, NULL } },
	{ "TemporaryRedirect", { S3_MOVE, -EIO, NULL, NULL } },
	{ "Redirect", { S3_MOVE, -EIO, NULL, NULL } },
	{ "AuthorizationHeaderMalformed", { S3_MOVE, -EIO, NULL, NULL } },
	{ "IllegalLocationConstraintException", { S3_MOVE, -EIO, NULL,
	    NULL } },
	{ "IncorrectEndpoint", { S3_MOVE, -EIO, NULL, NULL } },
	/* Fewer, please. */
	{ "SlowDown*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "Throttl*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "RequestThrottled*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "RequestLimitExceeded", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "BandwidthLimitExceeded", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "LimitExceededException", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "TooManyRequests*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ "ProvisionedThroughputExceeded*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST,
	    NULL } },
	{ "KMS.Throttling*", { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	/* It may pass. */
	{ "ServiceUnavailable", { S3_RETRY, -EBUSY, FAILED, NULL } },
	{ "InternalError*", { S3_RETRY, -EIO, FAILED, NULL } },
	{ "RequestTimeout*", { S3_RETRY, -ETIMEDOUT,
	    "the server waited too long for the request", NULL } },
	{ "PriorRequestNotComplete", { S3_RETRY, -EBUSY, NULL, NULL } },
	{ "TransactionInProgressException", { S3_RETRY, -EBUSY, NULL, NULL } },
	{ "ConditionalRequestConflict", { S3_RETRY, -EBUSY, NULL, NULL } },
	{ "OperationAborted", { S3_RETRY, -EBUSY, NULL, NULL } },
	{ "BadDigest", { S3_RETRY, -EIO, DAMAGED, NULL } },
	{ "XAmzContentSHA256Mismatch", { S3_RETRY, -EIO, DAMAGED, NULL } },
	{ "XAmzContentChecksumMismatch", { S3_RETRY, -EIO, DAMAGED, NULL } },
	{ "IncompleteBody", { S3_RETRY, -EIO, DAMAGED, NULL } },
	/* Of thaws and copies. */
	{ "ObjectNotInActiveTierError", { S3_ANSWER, -FIRN_ECOLD, NULL,
	    NULL } },
	{ "ObjectAlreadyInActiveTierError", { S3_GIVE_UP, -EINVAL,
	    "it is not archived", NULL } },
	{ "RestoreAlreadyInProgress", { S3_GIVE_UP, -EALREADY,
	    "it is being thawed already", NULL } },
	/* For expedited thaws alone, and no throttling. */
	{ "GlacierExpeditedRetrievalNotAvailable", { S3_GIVE_UP, -EAGAIN,
	    "no expedited retrieval is to be had now", "try again later, or "
	    "with another tier" } },
	/* It will not. */
	{ "XMinioAdminBucketQuotaExceeded", { S3_GIVE_UP, -ENOSPC,
	    "the quota is used up", "free some, or ask for more" } },
	{ "XMinioStorageFull", { S3_GIVE_UP, -ENOSPC, "the server is full",
	    NULL } },
	{ "KMS.KMSInternal*", { S3_RETRY, -EIO, FAILED, NULL } },
	{ "KMS.Internal*", { S3_RETRY, -EIO, FAILED, NULL } },
	{ "KMS.DependencyTimeout*", { S3_RETRY, -ETIMEDOUT, FAILED, NULL } },
	{ "KMS.*", { S3_GIVE_UP, -EACCES, "the KMS key cannot be used",
	    "check the key that --sse names: its region, its state, and that "
	    "its policy allows kms:GenerateDataKey and kms:Decrypt" } },
	{ "InvalidStorageClass", { S3_GIVE_UP, -EINVAL,
	    "the server has no such storage class", "check --tier and "
	    "--meta-class" } },
	{ "QuotaExceeded", { S3_GIVE_UP, -ENOSPC, "the quota is used up",
	    "free some, or ask for more" } },
	{ "StorageFull", { S3_GIVE_UP, -ENOSPC, "the server is full", NULL } },
	{ "EntityTooLarge", { S3_GIVE_UP, -FIRN_ETOOBIG,
	    "the server takes no object of this size", NULL } },
	{ "NotImplemented", { S3_GIVE_UP, -EOPNOTSUPP,
	    "the server cannot do this", NULL } },
};

static const struct {
	int status;
	struct s3_verdict verdict;
} by_status[] = {
	{ 301, { S3_MOVE, -EIO, NULL, NULL } },
	{ 302, { S3_MOVE, -EIO, NULL, NULL } },
	{ 307, { S3_MOVE, -EIO, NULL, NULL } },
	{ 308, { S3_MOVE, -EIO, NULL, NULL } },
	{ 401, { S3_GIVE_UP, -EACCES, "access denied", CHECK_KEY } },
	{ 403, { S3_GIVE_UP, -EACCES, "access denied", CHECK_POLICY } },
	{ 404, { S3_RETRY, -EIO, NOT_S3, S3_VERDICT_PORTAL } },
	{ 407, { S3_GIVE_UP, -EACCES, PROXY_LOGIN, PROXY_PASSWORD } },
	{ 408, { S3_RETRY, -ETIMEDOUT,
	    "the server waited too long for the request", NULL } },
	{ 409, { S3_RETRY, -EBUSY, NULL, NULL } },
	{ 412, { S3_ANSWER, -EEXIST, NULL, NULL } },
	{ 413, { S3_GIVE_UP, -FIRN_ETOOBIG, "the server, or a proxy in "
	    "between, takes no object of this size", "raise its limit" } },
	{ 416, { S3_ANSWER, -ERANGE, NULL, NULL } },
	{ 425, { S3_RETRY, -EBUSY, NULL, NULL } },
	{ 429, { S3_SLOW_DOWN, -EBUSY, TOO_FAST, NULL } },
	{ 500, { S3_RETRY, -EIO, FAILED, NULL } },
	{ 501, { S3_GIVE_UP, -EOPNOTSUPP, "the server cannot do this",
	    NULL } },
	{ 502, { S3_RETRY, -EIO, FAILED, NULL } },
	{ 503, { S3_RETRY, -EBUSY, FAILED, NULL } },
	{ 504, { S3_RETRY, -ETIMEDOUT, FAILED, NULL } },
	{ 505, { S3_GIVE_UP, -EOPNOTSUPP, "the server cannot do this",
	    NULL } },
	{ 507, { S3_GIVE_UP, -ENOSPC, "the server is full", NULL } },
	{ 511, { S3_RETRY, -EIO, "the network wants a log-in first",
	    "log in with a browser" } },
};

/* A proxy's answer to CONNECT; it has failed for now, or does not want to. */
static void
judge_proxy(int status, struct s3_verdict *out)
{
	if (status == 407)
		*out = (struct s3_verdict){ S3_GIVE_UP, -EACCES, PROXY_LOGIN,
		    PROXY_PASSWORD };
	else if (status >= 400 && status < 500 && status != 408 &&
	    status != 429)
		*out = (struct s3_verdict){ S3_GIVE_UP, -EACCES,
		    "the proxy does not let this through", "have it allow "
		    "CONNECT to the endpoint, or name that in no_proxy" };
}

static void
judge_transport(enum s3_http_result result, int status,
    struct s3_verdict *out)
{
	static const struct s3_verdict by_result[] = {
		[S3_HTTP_CANCELED] = { S3_ANSWER, -ECANCELED, NULL, NULL },
		[S3_HTTP_NOMEM] = { S3_GIVE_UP, -ENOMEM, NULL, NULL },
		[S3_HTTP_DNS] = { S3_RETRY, -EHOSTUNREACH,
		    "the host's name is not known", "check the endpoint or "
		    "region, and the network" },
		[S3_HTTP_REFUSED] = { S3_RETRY, -ECONNREFUSED,
		    "no connection", "check the endpoint's host and port, that "
		    "the server runs, and the proxy if there is one" },
		[S3_HTTP_PROXY] = { S3_RETRY, -EHOSTUNREACH,
		    "there is no way through the proxy", "check http_proxy, or "
		    "https_proxy for TLS, and that the proxy runs" },
		[S3_HTTP_TLS] = { S3_RETRY, -EPROTO,
		    "no encrypted connection", "check whether the endpoint is "
		    "http:// or https://, and what stands between" },
		[S3_HTTP_UNTRUSTED] = { S3_GIVE_UP, -EPROTO,
		    "the server's certificate is not trusted",
		    "set AWS_CA_BUNDLE to the file of its authority, or "
		    "correct the endpoint's host" },
		[S3_HTTP_STALLED] = { S3_RETRY, -ETIMEDOUT,
		    "the server does not answer", "check the network" },
		[S3_HTTP_BROKEN] = { S3_RETRY, -ECONNRESET,
		    "the connection broke off", "check the network, and "
		    "whether the endpoint is http:// or https://" },
		[S3_HTTP_TOO_MUCH] = { S3_RETRY, -EIO,
		    "the answer is longer than what was asked for",
		    "check the endpoint; the server must honour ranges" },
		[S3_HTTP_FAILED] = { S3_RETRY, -EIO, NULL, NULL },
	};

	*out = by_result[result];
	if (result == S3_HTTP_PROXY)
		judge_proxy(status, out);
}

/* A throttled HEAD and a moved one say so only by status and header. */
static int
judge_head(const struct s3_http_reply *rp, struct s3_verdict *out)
{
	if (rp->status == 404) {
		*out = (struct s3_verdict){ S3_ANSWER, -ENOENT, NULL, NULL };
		return 1;
	}
	if (rp->status == 400 && rp->region[0] != '\0') {
		*out = (struct s3_verdict){ S3_MOVE, -EIO, NULL, NULL };
		return 1;
	}
	if (rp->status == 503) {
		*out = (struct s3_verdict){ S3_SLOW_DOWN, -EBUSY, FAILED,
		    NULL };
		return 1;
	}
	return 0;
}

/* Backblaze B2: 400 InvalidArgument, "Unsupported header
 * 'x-amz-checksum-sha256' received for this API call."  But AWS also names the
 * header where it is missing ("Content-MD5 OR x-amz-checksum- HTTP header is
 * required", Object Lock) or nonsense ("Value for x-amz-checksum-sha256 header
 * is invalid"). */
static int
refuses_checksum(const struct s3_http_reply *rp, const struct s3_error *e)
{
	return (rp->status == 400 || rp->status == 501) &&
	    strcasestr(e->message, "x-amz-checksum-") != NULL &&
	    strcasestr(e->message, "required") == NULL &&
	    strcasestr(e->message, "invalid") == NULL &&
	    strcmp(e->code, "BadDigest") != 0;
}

/* A redirection to somewhere that is no S3: a portal or a web server. */
static int
leads_astray(const struct s3_http_reply *rp, const struct s3_error *e)
{
	return rp->status >= 300 && rp->status < 400 && e->code[0] == '\0' &&
	    rp->region[0] == '\0' && rp->request_id[0] == '\0';
}

/* A proxy that does not let it through: S3 sends a document with a 403, except
 * to HEAD. */
static int
denied_by_another(enum s3_http_method method, const struct s3_http_reply *rp,
    const struct s3_error *e)
{
	return rp->status == 403 && method != S3_HTTP_HEAD &&
	    e->code[0] == '\0' && rp->request_id[0] == '\0';
}

static int
code_matches(const char *pattern, const char *code)
{
	size_t len = strlen(pattern);

	if (pattern[len - 1] == '*')
		return strncmp(pattern, code, len - 1) == 0;
	return strcmp(pattern, code) == 0;
}

int
s3_skew_of(const struct s3_http_reply *rp, const struct s3_error *e,
    time_t now, long *skew)
{
	struct timespec t;

	if (e->server_time[0] != '\0' && timefmt_parse(e->server_time, &t) == 0)
		*skew = (long)(t.tv_sec - now);
	else if (rp->date > 0)
		*skew = (long)(rp->date - now);
	else
		return 0;
	return 1;
}

/* Not the key, but its service. */
static int
kms_failed(const struct s3_http_reply *rp, const struct s3_error *e,
    const struct s3_verdict *v)
{
	return strncmp(e->code, "KMS.", 4) == 0 && rp->status >= 500 &&
	    v->action == S3_GIVE_UP;
}

void
s3_judge(enum s3_http_method method, enum s3_http_result result,
    const struct s3_http_reply *rp, const struct s3_error *e, time_t now,
    struct s3_verdict *out)
{
	long skew;
	size_t i;

	if (result != S3_HTTP_DONE) {
		judge_transport(result, rp->status, out);
		return;
	}
	*out = (struct s3_verdict){ S3_ACCEPT, 0, NULL, NULL };
	if (e->code[0] == '\0' && rp->status >= 200 && rp->status < 300)
		return;
	if (refuses_checksum(rp, e)) {
		*out = (struct s3_verdict){ S3_PLAIN, -EIO, NULL, NULL };
		return;
	}
	for (i = 0; i < sizeof(by_code) / sizeof(by_code[0]); i++)
		if (code_matches(by_code[i].code, e->code)) {
			*out = by_code[i].verdict;
			if (kms_failed(rp, e, out))
				*out = (struct s3_verdict){ S3_RETRY, -EIO,
				    FAILED, NULL };
			return;
		}
	if (method == S3_HTTP_HEAD && judge_head(rp, out))
		return;
	if (rp->status == 403 && e->code[0] == '\0' &&
	    s3_skew_of(rp, e, now, &skew) && labs(skew) > SKEW_MAX) {
		*out = (struct s3_verdict){ S3_SKEW, -EACCES,
		    "this machine's clock is wrong", "set the clock" };
		return;
	}
	if (denied_by_another(method, rp, e)) {
		*out = (struct s3_verdict){ S3_GIVE_UP, -EACCES,
		    "access denied, by what is no S3 server",
		    "check the endpoint, and what the proxy allows if there "
		    "is one (http_proxy, no_proxy)" };
		return;
	}
	if (leads_astray(rp, e)) {
		*out = (struct s3_verdict){ S3_RETRY, -EIO, NOT_S3,
		    S3_VERDICT_PORTAL };
		return;
	}
	for (i = 0; i < sizeof(by_status) / sizeof(by_status[0]); i++)
		if (rp->status == by_status[i].status) {
			*out = by_status[i].verdict;
			return;
		}
	/* An unknown code in a 200 may pass, and a failure of whatever stands
	 * in front of the server; anything else will not. */
	*out = (struct s3_verdict){ rp->status < 300 || rp->status >= 500 ?
	    S3_RETRY : S3_GIVE_UP, -EIO, NULL, NULL };
}
