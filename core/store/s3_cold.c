/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of the cold tier: RestoreObject, which S3 calls what we call a
 * thaw, and CopyObject of an object onto itself, which changes its class.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html and
 * API_CopyObject.html.  Answers to a thaw that are no failures are told by the
 * code of the error document, so they are taken from the refusal and the rest
 * is logged here.  A copy may fail behind a status of 200; what it did is
 * looked at in any case.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_xml.h"
#include "store/store_s3_internal.h"

#define COPY_MAX	(5ull << 30)	/* bytes, by S3 */

static int
thaw_document(enum store_thaw_tier tier, unsigned days, struct buf *out)
{
	static const char *const tiers[] = {
		[STORE_THAW_EXPEDITED] = "Expedited",
		[STORE_THAW_STANDARD] = "Standard",
		[STORE_THAW_BULK] = "Bulk",
	};

	buf_printf(out, "<RestoreRequest xmlns="
	    "\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	if (days > 0)
		buf_printf(out, "<Days>%u</Days>", days);
	/* INTELLIGENT_TIERING wants an empty request where it can be one. */
	if (days > 0 || tier != STORE_THAW_STANDARD)
		buf_printf(out, "<GlacierJobParameters><Tier>%s</Tier>"
		    "</GlacierJobParameters>", tiers[tier]);
	return buf_printf(out, "</RestoreRequest>");
}

static int
thaw_send(struct s3 *s, const char *name, const struct buf *text,
    struct s3_http_reply *rp, struct s3_refusal *no, int *unsure)
{
	static const struct sigv4_pair query = { "restore", "" };
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct s3_document d;
	struct s3_call call = {
		.verb = STORE_THAW, .method = S3_HTTP_POST, .name = name,
		.query = &query, .nquery = 1, .doc = &doc,
		.check = s3_bare_check, .refusal = no,
	};
	int err = s3_document_add(&call, text->data, text->len, &d);

	if (err != 0)
		log_err(err, "cannot thaw '%s'", name);
	else
		err = s3_client_do(s->client, &call, rp);
	*unsure = call.unsure;
	buf_release(&doc);
	return err;
}

/* What the server has against it, as store.h says it. */
static int
thaw_refused(int err, const struct s3_refusal *no)
{
	switch (err) {
	case -FIRN_ECOLD:	/* InvalidObjectState */
	case -EINVAL:
		return -EINVAL;
	case -ENOENT:
	case -EALREADY:
	case -EAGAIN:
	case -ECANCELED:
		return err;
	}
	/* That of a tier which the class has not. */
	if (strcmp(no->code, "InvalidArgument") == 0)
		err = -EOPNOTSUPP;
	return log_err(err == -ERANGE || err == -EEXIST ? -EIO : err, "%s%s",
	    no->text[0] != '\0' ? no->text : "the server's answer to a thaw "
	    "makes no sense", err == -EACCES ?
	    "; thawing needs s3:RestoreObject" : "");
}

/* A status of 200 says that it was readable.  Some servers say it where a 202
 * belongs. */
static int
thaw_readable(struct s3 *s, const char *name)
{
	struct store_stat st = { 0 };
	struct s3_http_reply rp;
	int err = s3_head(s, name, &rp, NULL);

	if (err != 0)
		return err;
	s3_class_of_head(rp.class_name, rp.restore, rp.archive, &st);
	return st.state == STORE_HOT || st.state == STORE_THAWED;
}

int
s3_thaw(struct store *base, const char *name, enum store_thaw_tier tier,
    unsigned days)
{
	struct buf text = BUF_INIT(1024);
	struct s3_http_reply rp;
	struct s3_refusal no;
	int unsure, ret = thaw_document(tier, days, &text);

	if (ret != 0) {
		log_err(ret, "cannot thaw '%s'", name);
	} else {
		memset(&no, 0, sizeof(no));
		ret = thaw_send(s3_of(base), name, &text, &rp, &no, &unsure);
		/* It is most likely our own that is in progress. */
		if (ret == -EALREADY && unsure)
			ret = 0;
		else if (ret != 0)
			ret = thaw_refused(ret, &no);
		else if (rp.status == 200)
			ret = thaw_readable(s3_of(base), name);
	}
	if (ret >= 0)		/* one that only prolongs is paid for too */
		atomic_fetch_add(&base->thaws[tier], 1);
	buf_release(&text);
	return ret;
}

/* What an object was before it is copied. */
struct was {
	struct s3_http_reply rp;
	struct store_stat st;
	struct s3_copied copied;	/* what the server says it made */
};

static int
was_get(struct s3 *s, const char *name, struct was *w)
{
	int err = s3_head(s, name, &w->rp, NULL);

	if (err != 0)
		return err;
	memset(&w->st, 0, sizeof(w->st));
	w->st.size = w->rp.length;
	w->st.has_sha256 = s3_checksum_parse(w->rp.checksum, w->st.sha256);
	s3_class_of_head(w->rp.class_name, w->rp.restore, w->rp.archive,
	    &w->st);
	return 0;
}

static int
copy_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	struct was *w = call->ctx;

	(void)rp;
	*why = "the answer is not that of a copy";
	if (s3_xml_copied(call->doc->data, call->doc->len, &w->copied) != 0)
		return -EIO;
	*why = "the copy has another checksum than what was copied";
	return w->copied.checksum[0] != '\0' && w->st.has_sha256 &&
	    strcmp(w->copied.checksum, w->rp.checksum) != 0 ? -EIO : 0;
}

/* The headers that decide on encryption: the store's, or what it had. */
static void
copy_encryption(struct s3 *s, struct s3_call *call, const struct was *w)
{
	const struct s3_put_conf *p = &s->put;
	const char *sse = p->sse != NULL ? p->sse : w->rp.sse;
	const char *key = p->sse != NULL ? p->kms_key : w->rp.sse_key;

	if (sse[0] == '\0')
		return;
	call->header[call->nheaders++] = (struct sigv4_pair){
	    "x-amz-server-side-encryption", sse };
	if (key != NULL && key[0] != '\0')
		call->header[call->nheaders++] = (struct sigv4_pair){
		    "x-amz-server-side-encryption-aws-kms-key-id", key };
}

/* Keys hold nothing that has to be encoded but what s3_url.c lets pass in the
 * prefix; encoded all the same. */
static int
copy_source(struct s3 *s, const char *name, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/";
	struct buf key = BUF_INIT(4096);
	size_t i;
	int err;

	buf_printf(&key, "/%s/%s%s", s3_client_bucket(s->client),
	    s3_client_prefix(s->client), name);
	err = buf_err(&key);
	for (i = 0; err == 0 && i < key.len; i++)
		err = memchr(plain, key.data[i], sizeof(plain) - 1) != NULL ?
		    buf_add_u8(out, key.data[i]) :
		    buf_printf(out, "%%%02X", key.data[i]);
	if (err == 0 && buf_cstr(out) == NULL)
		err = -ENOMEM;
	buf_release(&key);
	return err;
}

static int
copy_send(struct s3 *s, const char *name, const char *class_name,
    struct was *w, struct s3_refusal *no)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX), source = BUF_INIT(16384);
	struct s3_call call = {
		.verb = STORE_COPY, .method = S3_HTTP_PUT, .name = name,
		.doc = &doc, .check = copy_check, .ctx = w,
		.refusal = no, .nheaders = 4,
		.header = {
			{ "x-amz-copy-source", NULL },
			{ "x-amz-copy-source-if-match", w->rp.etag },
			{ "x-amz-storage-class", class_name },
			{ "x-amz-checksum-algorithm", "SHA256" },
		},
	};
	struct s3_http_reply rp;
	int err = copy_source(s, name, &source);

	if (err != 0) {
		log_err(err, "cannot move '%s' to %s", name, class_name);
	} else {
		call.header[0].value = (char *)source.data;
		copy_encryption(s, &call, w);
		err = s3_client_do(s->client, &call, &rp);
	}
	buf_release(&source);
	buf_release(&doc);
	return err;
}

static const char *
copy_differs(const struct was *before, const struct was *after)
{
	if (after->st.size != before->st.size)
		return "its size";
	if (before->st.has_sha256 && after->st.has_sha256 &&
	    memcmp(before->st.sha256, after->st.sha256, STORE_SHA256) != 0)
		return "its checksum";
	return NULL;
}

/*
 * Whether the object is what it was, in its new class, whatever the server
 * said: `err` and *no.  A copy whose answer was lost is refused when it is
 * repeated, since it would change nothing, or its source is archived by then.
 */
static int
copy_verify(struct s3 *s, const char *name, const char *class_name,
    const struct was *before, int err, const struct s3_refusal *no)
{
	struct was after;
	const char *what;
	int ret = was_get(s, name, &after);

	if (ret == -ENOENT && err != -ENOENT)
		return log_err(-EIO, "'%s' in '%s' is gone after it was moved "
		    "to %s; run `firn check`", name, s->base.url, class_name);
	if (ret != 0)
		return ret;
	what = copy_differs(before, &after);
	if (what != NULL)
		return log_err(-EIO, "'%s' in '%s' was moved to %s, but %s is "
		    "not what it was; run `firn check --read-data`", name,
		    s->base.url, class_name, what);
	if (strcmp(after.st.class_name, class_name) == 0)
		return 0;
	if (err == -FIRN_ECOLD)
		return err;
	return log_err(err != 0 && err != -EEXIST && err != -ERANGE ? err :
	    -EIO, "%s", no->text[0] != '\0' ? no->text : "the server did not "
	    "copy the object that it was asked to copy");
}

/* Whether what is archived can be copied is the server's to say. */
static int
copy_allowed(const struct s3 *s, const char *name, const struct was *w)
{
	if (w->st.size > COPY_MAX)
		return log_err(-FIRN_ETOOBIG, "'%s' in '%s' is too large to be "
		    "copied in one request", name, s->base.url);
	return 0;
}

int
s3_set_class(struct store *base, const char *name, const char *class_name)
{
	struct s3 *s = s3_of(base);
	struct was w = { .copied = { .etag = "" } };
	struct s3_refusal no;
	int err = was_get(s, name, &w);

	if (err != 0 || strcmp(w.st.class_name, class_name) == 0)
		return err;
	err = copy_allowed(s, name, &w);
	if (err != 0)
		return err;
	memset(&no, 0, sizeof(no));
	err = copy_send(s, name, class_name, &w, &no);
	return err == -ECANCELED ? err : copy_verify(s, name, class_name, &w,
	    err, &no);
}
