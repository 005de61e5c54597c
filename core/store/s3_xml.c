/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S3's XML, and that of STS.
 *
 * All readers are one: expat's events keep the path of element names as far
 * as we know it, collect the text of the leaf that is open, and hand a leaf to
 * the reader when it closes.  Names are compared without name space, since
 * servers disagree on it.
 */
#include <expat.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/timefmt.h"
#include "store/s3_xml.h"

#define DEPTH_MAX	16
#define ELEMENT_MAX	63	/* bytes of a name */
#define TEXT_MAX	(3 * S3_TOKEN_MAX)	/* a key may come encoded */

struct reader {
	XML_Parser parser;
	int err;		/* first failure, or the caller's answer */
	int depth;
	char name[DEPTH_MAX][ELEMENT_MAX + 1];	/* of open elements; cut */
	char space[DEPTH_MAX][32];
	size_t start[DEPTH_MAX];	/* of their tags */
	struct buf text;	/* of the innermost */
	/* `r` stands at the closing leaf or element. */
	int (*open)(struct reader *r);
	int (*close)(struct reader *r);
	const struct leaf *leaf;	/* nleaves of them, into *out */
	size_t nleaves;
	void *out;
	struct s3_listing *list;
	struct s3_sts *sts;
	struct walk *walk;
	int url_encoded;
	/* The <Contents> that is open. */
	char key[S3_KEY_MAX + 1];
	int key_ok;
	struct s3_listed object;
};

static void
fail(struct reader *r, int err)
{
	if (r->err == 0)
		r->err = err;
	XML_StopParser(r->parser, XML_FALSE);
}

/* Whether the open elements are these; NULL ends `path`. */
static int
at(const struct reader *r, const char *a, const char *b, const char *c)
{
	const char *path[3] = { a, b, c };
	int i;

	for (i = 0; i < 3 && path[i] != NULL; i++)
		if (i >= r->depth || strcmp(r->name[i], path[i]) != 0)
			return 0;
	return r->depth == i;
}

static void XMLCALL
on_open(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = ctx;
	const char *colon = strrchr(name, ':');
	int ret;

	(void)attributes;
	if (r->err != 0)
		return;
	if (r->depth == DEPTH_MAX) {
		fail(r, -FIRN_ECORRUPT);
		return;
	}
	snprintf(r->space[r->depth], sizeof(r->space[0]), "%.*s",
	    colon != NULL ? (int)(colon - name) : 0, name);
	r->start[r->depth] = (size_t)XML_GetCurrentByteIndex(r->parser);
	snprintf(r->name[r->depth++], sizeof(r->name[0]), "%s",
	    colon != NULL ? colon + 1 : name);
	buf_reset(&r->text);
	ret = r->open != NULL ? r->open(r) : 0;
	if (ret != 0)
		fail(r, ret);
}

static void XMLCALL
on_text(void *ctx, const XML_Char *s, int len)
{
	struct reader *r = ctx;

	if (r->err == 0 && buf_add(&r->text, s, (size_t)len) != 0)
		fail(r, buf_err(&r->text) == -ENOMEM ? -ENOMEM :
		    -FIRN_ECORRUPT);
}

static void XMLCALL
on_close(void *ctx, const XML_Char *name)
{
	struct reader *r = ctx;
	int ret;

	(void)name;
	if (r->err != 0)
		return;
	ret = buf_cstr(&r->text) == NULL ? -ENOMEM : r->close(r);
	r->depth--;
	buf_reset(&r->text);
	if (ret != 0)
		fail(r, ret);
}

/* No document of S3 has one, and entities come with it. */
static void XMLCALL
on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	fail(ctx, -FIRN_ECORRUPT);
}

static int
parse(struct reader *r, const void *text, size_t len)
{
	enum XML_Status status;

	if (len > INT_MAX)
		return -FIRN_ECORRUPT;
	buf_init(&r->text, TEXT_MAX);
	r->parser = XML_ParserCreate("UTF-8");
	if (r->parser == NULL)
		return -ENOMEM;
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_open, on_close);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	status = XML_Parse(r->parser, len > 0 ? text : "", (int)len, 1);
	if (status != XML_STATUS_OK && r->err == 0)
		r->err = XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ?
		    -ENOMEM : -FIRN_ECORRUPT;
	XML_ParserFree(r->parser);
	buf_wipe(&r->text);		/* may be keys */
	return r->err;
}

static const char *
text_of(const struct reader *r)
{
	return (const char *)r->text.data;
}

static void
copy_text(const struct reader *r, char *out, size_t size)
{
	size_t i;

	snprintf(out, size, "%s", text_of(r));
	for (i = 0; out[i] != '\0'; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
}

/* A leaf whose text goes into a member, and where it stands. */
struct leaf {
	const char *path;	/* "Error/Code" */
	size_t offset, size;
};
#define LEAF(path, type, member) \
	{ path, offsetof(struct type, member), \
	    sizeof(((struct type *)NULL)->member) }

/* 1 when the open elements are these, 2 when they begin it. */
static int
is_on(const struct reader *r, const char *path)
{
	size_t len;
	int i;

	for (i = 0; i < r->depth; i++) {
		len = strcspn(path, "/");
		if (len == 0 || strlen(r->name[i]) != len ||
		    memcmp(r->name[i], path, len) != 0)
			return 0;
		path += len;
		path += *path == '/';
	}
	return *path == '\0' ? 1 : 2;
}

/* The document is one of which we know a leaf. */
static int
leaf_open(struct reader *r)
{
	size_t i;

	for (i = 0; r->depth == 1 && i < r->nleaves; i++)
		if (is_on(r, r->leaf[i].path))
			return 0;
	return r->depth == 1 ? -FIRN_ECORRUPT : 0;
}

static int
leaf_close(struct reader *r)
{
	const struct leaf *l;
	size_t i;

	for (i = 0; i < r->nleaves; i++) {
		l = &r->leaf[i];
		if (is_on(r, l->path) == 1)
			copy_text(r, (char *)r->out + l->offset, l->size);
	}
	return 0;
}

/* Into *out, whose members are all texts; empty after an error. */
static int
leaves_read(const void *text, size_t len, const struct leaf *leaf, size_t n,
    int any, void *out, size_t size)
{
	struct reader r = { .open = any ? NULL : leaf_open,
	    .close = leaf_close, .leaf = leaf, .nleaves = n, .out = out };
	int err;

	memset(out, 0, size);
	err = parse(&r, text, len);
	if (err != 0)
		memset(out, 0, size);
	return err;
}
#define LEAVES(table)	table, sizeof(table) / sizeof((table)[0])

/* STS has the same in an <ErrorResponse>. */
int
s3_xml_error(const void *text, size_t len, struct s3_error *out)
{
	static const struct leaf leaves[] = {
		LEAF("ErrorResponse/Error/Code", s3_error, code),
		LEAF("ErrorResponse/Error/Message", s3_error, message),
		LEAF("Error/Code", s3_error, code),
		LEAF("Error/Message", s3_error, message),
		LEAF("Error/Region", s3_error, region),
		LEAF("Error/ServerTime", s3_error, server_time),
	};

	return leaves_read(text, len, LEAVES(leaves), 1, out, sizeof(*out));
}

int
s3_xml_state(const void *text, size_t len, struct s3_bucket_state *out)
{
#define RETENTION "ObjectLockConfiguration/Rule/DefaultRetention/"
	static const struct leaf leaves[] = {
		LEAF("VersioningConfiguration/Status", s3_bucket_state,
		    versioning),
		LEAF("ObjectLockConfiguration/ObjectLockEnabled",
		    s3_bucket_state, lock),
		LEAF(RETENTION "Mode", s3_bucket_state, lock_mode),
		LEAF(RETENTION "Days", s3_bucket_state, lock_days),
		LEAF(RETENTION "Years", s3_bucket_state, lock_years),
	};
#undef RETENTION

	return leaves_read(text, len, LEAVES(leaves), 0, out, sizeof(*out));
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* encoding-type=url; '+' is a blank there.  0 when it does not fit a key or
 * holds a NUL; -errno when it is not in that encoding. */
static int
key_decode(const char *s, char out[S3_KEY_MAX + 1])
{
	size_t n = 0;
	int hi, lo;

	for (; *s != '\0'; s++) {
		if (n == S3_KEY_MAX)
			return 0;
		if (*s != '%') {
			out[n++] = *s == '+' ? ' ' : *s;
			continue;
		}
		hi = hex_value(s[1]);
		lo = hi < 0 ? -1 : hex_value(s[2]);
		if (lo < 0)
			return -FIRN_ECORRUPT;
		if (hi == 0 && lo == 0)
			return 0;
		out[n++] = (char)(hi << 4 | lo);
		s += 2;
	}
	out[n] = '\0';
	return n > 0;
}

static int
key_set(struct reader *r)
{
	int ret;

	r->key_ok = 0;
	if (r->url_encoded) {
		ret = key_decode(text_of(r), r->key);
		r->key_ok = ret > 0;
		return ret < 0 ? ret : 0;
	}
	if (r->text.len > 0 && r->text.len <= S3_KEY_MAX) {
		memcpy(r->key, text_of(r), r->text.len + 1);
		r->key_ok = 1;
	}
	return 0;
}

static int
size_set(struct reader *r)
{
	const char *s = text_of(r);
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 18 || s[n] != '\0')
		return -FIRN_ECORRUPT;
	r->object.size = strtoull(s, NULL, 10);
	return 0;
}

/* In <RestoreStatus>. */
static void
restore_set(struct reader *r)
{
	const char *leaf = r->name[r->depth - 1];
	struct s3_listed *o = &r->object;
	struct timespec t;

	if (strcmp(leaf, "IsRestoreInProgress") == 0) {
		o->restore = strcmp(text_of(r), "true") == 0 ?
		    S3_RESTORE_RUNS : S3_RESTORE_DONE;
	} else if (strcmp(leaf, "RestoreExpiryDate") == 0 &&
	    timefmt_parse(text_of(r), &t) == 0) {
		o->expires = t.tv_sec;
	}
}

static int
contents_close(struct reader *r)
{
	if (r->depth == 4 && strcmp(r->name[1], "Contents") == 0 &&
	    strcmp(r->name[2], "RestoreStatus") == 0)
		restore_set(r);
	if (at(r, "ListBucketResult", "Contents", "StorageClass"))
		copy_text(r, r->object.class_name,
		    sizeof(r->object.class_name));
	if (at(r, "ListBucketResult", "Contents", "Key"))
		return key_set(r);
	if (at(r, "ListBucketResult", "Contents", "Size"))
		return size_set(r);
	if (at(r, "ListBucketResult", "Contents", "LastModified") &&
	    timefmt_parse(text_of(r), &r->object.mtime) != 0)
		memset(&r->object.mtime, 0, sizeof(r->object.mtime));
	return 0;
}

static int
list_open(struct reader *r)
{
	if (r->depth == 1 && strcmp(r->name[0], "ListBucketResult") != 0)
		return -FIRN_ECORRUPT;
	if (at(r, "ListBucketResult", "Contents", NULL)) {
		memset(&r->object, 0, sizeof(r->object));
		r->key_ok = 0;
	}
	return 0;
}

static int
list_close(struct reader *r)
{
	struct s3_listing *l = r->list;

	if (at(r, "ListBucketResult", "IsTruncated", NULL))
		l->truncated = strcmp(text_of(r), "true") == 0;
	else if (at(r, "ListBucketResult", "NextContinuationToken", NULL)) {
		if (r->text.len > S3_TOKEN_MAX)
			return -FIRN_ECORRUPT;
		memcpy(l->token, text_of(r), r->text.len + 1);
	} else if (at(r, "ListBucketResult", "Contents", NULL)) {
		r->object.key = r->key;
		/* Some servers say "false" of all that is there. */
		if (r->object.restore == S3_RESTORE_DONE &&
		    r->object.expires == 0)
			r->object.restore = S3_RESTORE_NONE;
		return r->key_ok ? l->fn(l->ctx, &r->object) : 0;
	}
	return contents_close(r);
}

static int
encoding_close(struct reader *r)
{
	if (at(r, "ListBucketResult", "EncodingType", NULL))
		r->url_encoded = strcmp(text_of(r), "url") == 0;
	return 0;
}

/* Twice through it: some servers say last how the keys are encoded. */
int
s3_xml_list(const void *text, size_t len, struct s3_listing *l)
{
	struct reader first = { .open = list_open, .close = encoding_close };
	struct reader r = { .open = list_open, .close = list_close,
	    .list = l };
	int err;

	l->truncated = 0;
	l->token[0] = '\0';
	err = parse(&first, text, len);
	r.url_encoded = first.url_encoded;
	if (err == 0)
		err = parse(&r, text, len);
	/* Without a place to go on from, the rest would be lost unseen. */
	if (err == 0 && l->truncated && l->token[0] == '\0')
		err = -FIRN_ECORRUPT;
	return err;
}

int
s3_xml_copied(const void *text, size_t len, struct s3_copied *out)
{
	static const struct leaf leaves[] = {
		LEAF("CopyObjectResult/ETag", s3_copied, etag),
		LEAF("CopyObjectResult/ChecksumSHA256", s3_copied, checksum),
	};
	int err;

	err = leaves_read(text, len, LEAVES(leaves), 0, out, sizeof(*out));
	if (err == 0 && out->etag[0] == '\0') {
		memset(out, 0, sizeof(*out));
		err = -FIRN_ECORRUPT;
	}
	return err;
}

struct walk {
	int (*open)(void *ctx, const struct s3_xml_node *n);
	int (*close)(void *ctx, const struct s3_xml_node *n);
	void *ctx;
	char path[DEPTH_MAX * (ELEMENT_MAX + 1)];
};

static struct s3_xml_node
walk_node(struct reader *r)
{
	char *path = r->walk->path;
	size_t n = 0;
	int i;

	for (i = 0; i < r->depth; i++)
		n += (size_t)snprintf(path + n, sizeof(r->walk->path) - n,
		    "%s%s", i > 0 ? "/" : "", r->name[i]);
	return (struct s3_xml_node){ .depth = r->depth, .path = path,
	    .name = r->name[r->depth - 1], .space = r->space[r->depth - 1],
	    .text = "", .start = r->start[r->depth - 1] };
}

static int
walk_open(struct reader *r)
{
	const struct s3_xml_node n = walk_node(r);

	return r->walk->open(r->walk->ctx, &n);
}

/* An empty element has no end tag: its end comes with no bytes. */
static int
walk_close(struct reader *r)
{
	struct s3_xml_node n = walk_node(r);
	size_t at = (size_t)XML_GetCurrentByteIndex(r->parser);
	size_t bytes = (size_t)XML_GetCurrentByteCount(r->parser);

	n.text = text_of(r);
	n.end = at + bytes;
	n.empty = bytes == 0;
	return r->walk->close(r->walk->ctx, &n);
}

int
s3_xml_walk(const void *text, size_t len,
    int (*open)(void *ctx, const struct s3_xml_node *n),
    int (*close)(void *ctx, const struct s3_xml_node *n), void *ctx)
{
	struct walk w = { .open = open, .close = close, .ctx = ctx };
	struct reader r = { .open = walk_open, .close = walk_close,
	    .walk = &w };

	return parse(&r, text, len);
}

static int
sts_text(const struct reader *r, char *out, size_t size)
{
	if (out[0] != '\0' || r->text.len == 0 || r->text.len >= size)
		return -FIRN_ECORRUPT;
	memcpy(out, text_of(r), r->text.len + 1);
	return 0;
}

/* <...Response><...Result><Credentials><Name>, whatever the action was. */
static int
sts_close(struct reader *r)
{
	const char *name = r->name[r->depth - 1];
	struct s3_sts *s = r->sts;

	if (r->depth != 4 || strcmp(r->name[2], "Credentials") != 0)
		return 0;
	if (strcmp(name, "AccessKeyId") == 0)
		return sts_text(r, s->access, sizeof(s->access));
	if (strcmp(name, "SecretAccessKey") == 0)
		return sts_text(r, s->secret, sizeof(s->secret));
	if (strcmp(name, "SessionToken") == 0)
		return sts_text(r, s->session, sizeof(s->session));
	if (strcmp(name, "Expiration") == 0)
		return sts_text(r, s->expiration, sizeof(s->expiration));
	return 0;
}

int
s3_xml_sts(const void *text, size_t len, struct s3_sts *out)
{
	struct reader r = { .close = sts_close, .sts = out };
	int err;

	memset(out, 0, sizeof(*out));
	err = parse(&r, text, len);
	if (err == 0 && (out->access[0] == '\0' || out->secret[0] == '\0' ||
	    out->session[0] == '\0' || out->expiration[0] == '\0'))
		err = -FIRN_ECORRUPT;
	if (err != 0)
		explicit_bzero(out, sizeof(*out));
	return err;
}
