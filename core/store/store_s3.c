/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in a bucket: what each verb asks of S3, and which answers to
 * believe.
 *
 * An object is one PUT with a signed payload and its SHA-256 as checksum.
 * Nothing we store needs more than one part: 5 GiB is the most of a single
 * PUT, and a pack has 1 GiB at most.  So there is no multipart upload: one
 * request and one price each, a condition that holds, no parts left over; for
 * the condition see s3_absent.c.  A range is believed only with the status and
 * Content-Range that belong to it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/s3_xml.h"
#include "store/store_s3_internal.h"

#define LIST_MAX	(16u << 20)	/* a page of 1,000 keys */
/* Pages of a listing in a row that hold nothing.  Deleted objects of versioned
 * buckets give some; that many are a server that never ends. */
#define EMPTY_MAX	1000

/* An out-of-range answer of S3 that no caller understands. */
static int
final(int err)
{
	return err == -ERANGE ? -EIO : err;
}

/* The checksum header's value, or none: some servers ignore it, and one over
 * parts is no SHA-256 of the object. */
int
s3_checksum_parse(const char *text, uint8_t sha256[STORE_SHA256])
{
	struct buf b = BUF_INIT(64);
	int ok = base64_decode(text, strlen(text), &b) == 0 &&
	    b.len == STORE_SHA256;

	if (ok)
		memcpy(sha256, b.data, STORE_SHA256);
	buf_release(&b);
	return ok;
}

int
s3_checksum_add(struct s3_call *call, char text[S3_CHECKSUM_SIZE])
{
	struct buf b = BUF_INIT(S3_CHECKSUM_SIZE - 1);
	int err = base64_encode(call->sha256, HASH_SIZE, &b);

	if (err == 0) {
		memcpy(text, b.data, b.len);
		text[b.len] = '\0';
		call->header[call->nheaders++] = (struct sigv4_pair){
		    S3_CHECKSUM_NAME, text };
	}
	buf_release(&b);
	return err;
}

int
s3_document_add(struct s3_call *call, const void *text, size_t len,
    struct s3_document *d)
{
	struct buf b = BUF_INIT(sizeof(d->md5) - 1);
	uint8_t md5[HASH_MD5_SIZE];
	int err = hash_sha256(text, len, d->sha256);

	if (err != 0)
		return err;
	call->body = text;
	call->len = len;
	call->sha256 = d->sha256;
	err = s3_checksum_add(call, d->checksum);
	if (err != 0 || hash_md5(text, len, md5) != 0)
		return err;
	err = base64_encode(md5, sizeof(md5), &b);
	if (err == 0) {
		memcpy(d->md5, b.data, b.len);
		d->md5[b.len] = '\0';
		call->header[call->nheaders++] = (struct sigv4_pair){
		    "content-md5", d->md5 };
	}
	buf_release(&b);
	return err;
}

/* A 200 may also come from a proxy's or portal's page.  S3 gives every object
 * an ETag, and ours no type of text. */
static int
is_object(const struct s3_http_reply *rp)
{
	return rp->etag[0] != '\0' &&
	    strncasecmp(rp->content_type, "text/html", 9) != 0;
}

static int
head_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	(void)call;
	*why = "the answer is not that of an S3 server";
	return is_object(rp) && rp->has_length ? 0 : -EIO;
}

/* These are answered without a body. */
int
s3_bare_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	(void)call;
	*why = "the answer is not that of an S3 server";
	return rp->got == 0 ? 0 : -EIO;
}

int
s3_put_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	size_t i;

	*why = "the answer is not that of an S3 server";
	if (rp->got != 0 || !is_object(rp))
		return -EIO;
	*why = "the server has another checksum than what was sent";
	for (i = 0; i < call->nheaders && rp->checksum[0] != '\0'; i++)
		if (strcmp(call->header[i].name, S3_CHECKSUM_NAME) == 0 &&
		    strcmp(call->header[i].value, rp->checksum) != 0)
			return -EIO;
	return 0;
}

int
s3_head(struct s3 *s, const char *name, struct s3_http_reply *rp,
    struct s3_refusal *refusal)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct s3_call call = {
		.verb = STORE_STAT, .method = S3_HTTP_HEAD, .name = name,
		.nheaders = 1,
		.header = { { "x-amz-checksum-mode", "ENABLED" } },
		.doc = &doc, .check = head_check, .refusal = refusal,
	};
	int err = s3_client_do(s->client, &call, rp);

	buf_release(&doc);
	return final(err);
}

static int
s3_stat(struct store *base, const char *name, struct store_stat *out)
{
	struct s3_http_reply rp;
	int err = s3_head(s3_of(base), name, &rp, NULL);

	if (err != 0)
		return err;
	out->size = rp.length;
	out->mtime.tv_sec = rp.modified > 0 ? rp.modified : 0;
	out->has_sha256 = s3_checksum_parse(rp.checksum, out->sha256);
	s3_class_of_head(rp.class_name, rp.restore, rp.archive, out);
	return 0;
}

static int
s3_put(struct store *base, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	char checksum[S3_CHECKSUM_SIZE];
	uint8_t sum[HASH_SIZE];
	struct s3_call call = {
		.verb = STORE_PUT, .method = S3_HTTP_PUT, .name = name,
		.body = data, .len = len, .sha256 = sha256, .doc = &doc,
		.check = s3_put_check,
	};
	int err = 0;

	if (sha256 == NULL) {
		err = hash_sha256(data, len, sum);
		call.sha256 = sum;
	}
	if (err == 0)
		err = s3_checksum_add(&call, checksum);
	if (err != 0) {
		log_err(err, "cannot write '%s'", name);
	} else {
		call.nheaders += s3_put_conf_headers(&s3_of(base)->put, flags,
		    call.header + call.nheaders);
		err = s3_absent_put(s3_of(base), &call, flags);
	}
	buf_release(&doc);
	return err;
}

struct range {
	uint64_t off;
	size_t len;
};

/* A run of digits, then `end`. */
static int
number(const char **s, char end, uint64_t *out)
{
	size_t n = strspn(*s, "0123456789");

	if (n == 0 || n > 18 || (*s)[n] != end)
		return 0;
	*out = strtoull(*s, NULL, 10);
	*s += n + (end != '\0');
	return 1;
}

/* "bytes FIRST-LAST/TOTAL", where TOTAL may be "*", of what was asked. */
static int
content_range_ok(const char *s, const struct range *want, size_t got)
{
	uint64_t first, last, total = UINT64_MAX, end;

	if (strncmp(s, "bytes ", 6) != 0)
		return 0;
	s += 6;
	if (!number(&s, '-', &first) || !number(&s, '/', &last))
		return 0;
	if (strcmp(s, "*") != 0 && !number(&s, '\0', &total))
		return 0;
	end = want->off + want->len;
	if (end > total)
		end = total;
	return first == want->off && last < end && last + 1 == end &&
	    got == last - first + 1;
}

static int
get_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	const struct range *want = call->ctx;

	if (rp->status == 206) {
		*why = "another range came than was asked for";
		return content_range_ok(rp->content_range, want, rp->got) ? 0 :
		    -EIO;
	}
	/* The whole object, which is what was asked for if it fits. */
	*why = is_object(rp) ? "the server ignores ranges" :
	    "the answer is not that of an S3 server";
	return rp->status == 200 && is_object(rp) && want->off == 0 &&
	    rp->has_length && rp->length == rp->got ? 0 : -EIO;
}

static int
s3_get(struct store *base, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct range want = { off, len };
	char range[64];
	struct s3_call call = {
		.verb = STORE_GET, .method = S3_HTTP_GET, .name = name,
		.nheaders = 1, .header = { { "range", range } },
		.out = buf, .outlen = len, .doc = &doc,
		.check = get_check, .ctx = &want,
	};
	struct s3_http_reply rp;
	int err;

	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, off,
	    off + len - 1);
	err = s3_client_do(s3_of(base)->client, &call, &rp);
	if (err == 0)
		*got = rp.got;
	if (err == -ERANGE)
		err = 0;	/* at or past the end */
	buf_release(&doc);
	return err;
}

static int
s3_del(struct store *base, const char *name)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct s3_call call = {
		.verb = STORE_DEL, .method = S3_HTTP_DELETE, .name = name,
		.doc = &doc, .check = s3_bare_check,
	};
	struct s3_http_reply rp;
	int err = s3_client_do(s3_of(base)->client, &call, &rp);

	buf_release(&doc);
	return final(err);
}

int
s3_discard(struct s3 *s, const char *name)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct s3_refusal no;
	struct s3_call call = {
		.verb = STORE_DEL, .method = S3_HTTP_DELETE, .name = name,
		.doc = &doc, .check = s3_bare_check, .refusal = &no,
	};
	struct s3_http_reply rp;
	int err = s3_client_do(s->client, &call, &rp);

	buf_release(&doc);
	return err == 0 || err == -ENOENT;
}

/* A page of a listing, kept until it is known to be whole. */
struct page {
	const char *prefix;	/* asked for, of keys */
	size_t skip;		/* of it the repository's, not in names */
	int state;		/* RestoreStatus is asked for */
	int restores;		/* and there was one */
	struct buf objects;	/* each a struct listed, its name, a NUL */
	int truncated;
	char token[S3_TOKEN_MAX + 1];
};

struct listed {
	uint64_t size;
	struct timespec mtime;
	char class_name[STORE_CLASS_SIZE];
	enum s3_restore restore;
	time_t expires;
};

static int
page_add(void *ctx, const struct s3_listed *o)
{
	struct listed l = { .size = o->size, .mtime = o->mtime,
	    .restore = o->restore, .expires = o->expires };
	struct page *p = ctx;
	const char *name = o->key + p->skip;

	if (strncmp(o->key, p->prefix, strlen(p->prefix)) != 0 ||
	    !store_name_ok(name, strlen(name)))
		return 0;	/* somebody else's */
	memcpy(l.class_name, o->class_name, sizeof(l.class_name));
	if (o->restore != S3_RESTORE_NONE)
		p->restores = 1;
	buf_add(&p->objects, &l, sizeof(l));
	return buf_add(&p->objects, name, strlen(name) + 1);
}

static int
page_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	struct page *p = call->ctx;
	struct s3_listing l = { .fn = page_add, .ctx = p };
	int err;

	(void)rp;
	*why = "the answer is no listing";
	buf_reset(&p->objects);
	err = s3_xml_list(call->doc->data, call->doc->len, &l);
	/* Going on from the same place would never end. */
	if (err == 0 && l.truncated && strcmp(l.token, p->token) == 0)
		err = -FIRN_ECORRUPT;
	if (err != 0)
		return err == -FIRN_ECORRUPT ? -EIO : err;
	p->truncated = l.truncated;
	memcpy(p->token, l.token, sizeof(p->token));
	return 0;
}

static int
page_fetch(struct s3 *s, struct page *p)
{
	const char *token = p->token;
	const struct sigv4_pair query[] = {
		{ "list-type", "2" },
		{ "encoding-type", "url" },
		{ "prefix", p->prefix },
		{ "continuation-token", token },
	};
	struct buf doc = BUF_INIT(LIST_MAX);
	struct s3_call call = {
		.verb = STORE_LIST, .method = S3_HTTP_GET, .query = query,
		.nquery = token[0] != '\0' ? 4 : 3,
		.header = { { "x-amz-optional-object-attributes",
		    "RestoreStatus" } },
		.nheaders = p->state ? 1 : 0, .doc = &doc,
		.check = page_check, .ctx = p,
	};
	struct s3_http_reply rp;
	int err = s3_client_do(s->client, &call, &rp);

	buf_release(&doc);
	if (err == 0 && p->restores)
		atomic_store(&s->lists_restores, 1);
	if (err == -ENOENT || err == -EEXIST || err == -FIRN_ECOLD ||
	    err == -ERANGE)
		err = log_err(-EIO, "cannot list '%s': the server's answer "
		    "makes no sense (status %d)", s->base.url, rp.status);
	return err;
}

/* Hands a page out.  `last` is the name before it. */
static int
page_report(struct s3 *s, const struct page *p, char *last,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	/* Where nothing is restored, a server that lists restores answers as
	 * one that does not. */
	const int known = p->state && (s->base.is_aws ||
	    atomic_load(&s->lists_restores));
	struct store_stat st = { 0 };
	struct listed l;
	const char *name;
	size_t at, len;
	int ret = 0;

	for (at = 0; at < p->objects.len && ret == 0; at += len + 1) {
		memcpy(&l, p->objects.data + at, sizeof(l));
		at += sizeof(l);
		name = (char *)p->objects.data + at;
		len = strlen(name);
		if (strcmp(last, name) >= 0)
			return log_err(-EIO, "cannot list '%s': the server "
			    "does not list in order ('%s' after '%s'); "
			    "directory buckets are not supported", s->base.url,
			    name, last);
		memcpy(last, name, len + 1);
		st.size = l.size;
		st.mtime = l.mtime;
		s3_class_of_list(l.class_name, l.restore, l.expires, known,
		    &st);
		ret = store_is_canceled(&s->base) ? -ECANCELED :
		    fn(ctx, name, &st);
	}
	return ret;
}

static int
s3_list(struct store *base, const char *prefix, int state,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	struct s3 *s = s3_of(base);
	struct buf key = BUF_INIT(S3_KEY_MAX);
	struct page *p = calloc(1, sizeof(*p));
	char last[STORE_NAME_MAX + 1] = "";
	unsigned empty = 0;
	int err;

	err = p == NULL ? -ENOMEM : buf_printf(&key, "%s%s",
	    s3_client_prefix(s->client), prefix);
	if (err == 0 && buf_cstr(&key) == NULL)
		err = -ENOMEM;
	if (err != 0) {
		log_err(err, "cannot list '%s'", base->url);
		goto out;
	}
	p->prefix = (char *)key.data;
	p->state = state;
	p->skip = strlen(s3_client_prefix(s->client));
	buf_init(&p->objects, LIST_MAX);
	do {
		err = page_fetch(s, p);
		if (err == 0)
			err = page_report(s, p, last, fn, ctx);
		empty = p->objects.len == 0 ? empty + 1 : 0;
		if (err == 0 && p->truncated && empty == EMPTY_MAX)
			err = log_err(-EIO, "cannot list '%s': %u pages in a "
			    "row hold nothing and the server says that there "
			    "is more", base->url, empty);
	} while (err == 0 && p->truncated);
	buf_release(&p->objects);
out:
	buf_release(&key);
	free(p);
	return err;
}

static int
s3_set_tier(struct store *base, const char *class_name)
{
	return s3_put_conf_set_tier(&s3_of(base)->put, class_name);
}

static const char *
s3_tier(const struct store *base)
{
	return ((const struct s3 *)base)->put.tier;
}

static void
s3_close(struct store *base)
{
	struct s3 *s = s3_of(base);

	s3_client_free(s->client);
	s3_put_conf_release(&s->put);
	store_release(base);
	free(s);
}

static const struct store_ops s3_ops = {
	.close = s3_close,
	.put = s3_put,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.del = s3_del,
	.set_tier = s3_set_tier,
	.tier = s3_tier,
	.thaw = s3_thaw,
	.set_class = s3_set_class,
	.lifecycle_get = s3_lifecycle_get,
	.lifecycle_set = s3_lifecycle_set,
	.conditional = s3_conditional,
	.conditional_known = s3_conditional_known,
	.probe = s3_probe,
};

int
store_s3_open(const char *url, const struct store_conf *conf,
    struct store **out)
{
	struct s3 *s = calloc(1, sizeof(*s));
	int err = s == NULL ? -ENOMEM : store_init(&s->base, &s3_ops, url);

	if (err != 0) {
		free(s);
		return log_err(err, "cannot open '%s'", url);
	}
	err = s3_put_conf_init(&s->put, conf);
	if (err == 0)
		err = s3_client_new(&s->base, url, conf, &s->client);
	if (err != 0) {
		s3_close(&s->base);
		return err;
	}
	s->base.is_aws = s3_client_is_aws(s->client);
	*out = &s->base;
	return 0;
}
