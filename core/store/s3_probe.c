/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examining a bucket.
 *
 * Rights are tried where firn needs them, part by part of a repository, in
 * ways that change nothing: a put whose body is not the one that was signed
 * for is refused for its body where it is allowed, and for lack of a right
 * where it is not; what is read or deleted need not exist.  What is stored for
 * trial lies below "probe/".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/s3_xml.h"
#include "store/store_probe_internal.h"
#include "store/store_s3_internal.h"

#define SKEW_NOTED	60	/* seconds */
#define LEFT_MAX	8	/* names told of what could not be deleted */

/* The parts of a repository, and who needs to do what there. */
enum verb { LIST, GET, PUT, DEL, VERBS };

static const struct part {
	const char *name;		/* with '/': names that begin so */
	int tried[VERBS];
	int needed[VERBS][3];		/* by role: owner, reader, writer */
} parts[] = {
	{ "config", { 0, 1, 0, 0 }, { { 0, 0, 0 }, { 1, 1, 1 }, { 0, 0, 0 },
	    { 0, 0, 0 } } },
	{ "keys/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 0 },
	    { 1, 0, 0 } } },
	{ "index/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "gen/", { 1, 1, 1, 1 }, { { 1, 1, 0 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "meta/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
	{ "data/", { 1, 1, 1, 1 }, { { 1, 1, 1 }, { 1, 1, 0 }, { 1, 0, 1 },
	    { 1, 0, 0 } } },
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static const struct {
	const char *check, *grant, *without, *risk;
} verbs[VERBS] = {
	[LIST] = { "list", "s3:ListBucket",
	    "firn finds neither keys nor generations",
	    "a thief sees how much is stored, and when" },
	[GET] = { "get", "s3:GetObject",
	    "firn cannot open or read the repository",
	    "a thief can copy what is stored, and read it once he has an "
	    "owner's password" },
	[PUT] = { "put", "s3:PutObject", "nothing can be stored",
	    "a thief can add objects" },
	[DEL] = { "delete", "s3:DeleteObject",
	    "no key can be removed, nor space given back",
	    "a thief can delete backups" },
};

struct trial {
	struct s3 *s;
	struct probe *p;
	char nonce[S3_NONCE_SIZE];
	char name[STORE_NAME_MAX + 1];	/* of the object at hand */
	int put, got;			/* that was allowed below it */
	int versions;			/* 1 kept, 0 not; -1 not known */
	char left[LEFT_MAX][STORE_NAME_MAX + 1];
	unsigned nleft;
	uint8_t *bytes;			/* PROBE_BYTES */
	struct s3_refusal no;		/* of the last request */
	struct s3_http_reply rp;
};

/* One request; its failure goes to t->no. */
static int
ask(struct trial *t, struct s3_call *call)
{
	struct buf doc = BUF_INIT(4u << 20);
	int err, own = call->doc == NULL;

	if (own)
		call->doc = &doc;
	call->refusal = &t->no;
	call->once = 1;
	err = s3_client_do(t->s->client, call, &t->rp);
	if (own)
		call->doc = NULL;
	buf_release(&doc);
	return err;
}

/* What ends the examination, and is no finding. */
static int
is_fatal(int err)
{
	return err == -ECANCELED || err == -ENOMEM;
}

/* What the server had against it, for a text. */
static const char *
reason(const struct trial *t)
{
	static const char none[] = "no reason given";

	return t->no.code[0] != '\0' ? t->no.code :
	    t->no.text[0] != '\0' ? t->no.text : none;
}

/* Where the server takes it, every put but those of overwrite() says that
 * there must be nothing: a bucket may be made to refuse the others. */
static void
condition_add(struct trial *t, struct s3_call *call)
{
	if (atomic_load(&t->s->conditional) != STORE_COND_REFUSED)
		call->header[call->nheaders++] =
		    (struct sigv4_pair){ "if-none-match", "*" };
}

/* `signed_for` is the body that the signature is of, and the checksum where
 * `header` is none. */
static int
object_put(struct trial *t, const char *name, const void *body, size_t len,
    const void *signed_for, const struct sigv4_pair *header)
{
	char checksum[S3_CHECKSUM_SIZE];
	uint8_t sum[HASH_SIZE];
	struct s3_call call = {
		.verb = STORE_PUT, .method = S3_HTTP_PUT, .name = name,
		.body = body, .len = len, .sha256 = sum,
		.check = s3_put_check,
	};
	int err = hash_sha256(signed_for, len, sum);

	/* Whoever takes what is false may well answer with what is true. */
	if (memcmp(body, signed_for, len) != 0 || (header != NULL &&
	    strcmp(header->name, S3_CHECKSUM_NAME) == 0))
		call.check = s3_bare_check;
	condition_add(t, &call);
	if (header != NULL)
		call.header[call.nheaders++] = *header;
	if (err == 0 && (header == NULL || strcmp(header->name,
	    S3_CHECKSUM_NAME) != 0))
		err = s3_checksum_add(&call, checksum);
	return err != 0 ? err : ask(t, &call);
}

static int
object_del(struct trial *t, const char *name)
{
	struct s3_call call = {
		.verb = STORE_DEL, .method = S3_HTTP_DELETE, .name = name,
		.check = s3_bare_check,
	};
	int err = ask(t, &call);

	return err == -ENOENT ? 0 : err;
}

static int
object_get(struct trial *t, const char *name, void *out, size_t len)
{
	char range[64];
	struct s3_call call = {
		.verb = STORE_GET, .method = S3_HTTP_GET, .name = name,
		.nheaders = 1, .header = { { "range", range } },
		.out = out, .outlen = len,
	};

	snprintf(range, sizeof(range), "bytes=0-%zu", len - 1);
	return ask(t, &call);
}

/* What was put for trial goes again, or is told of at the end. */
static int
clear(struct trial *t, const char *name)
{
	int err = object_del(t, name);

	if (is_fatal(err))
		return err;
	if (err != 0 && t->nleft++ < LEFT_MAX)
		snprintf(t->left[t->nleft - 1], sizeof(t->left[0]), "%s",
		    name);
	return 0;
}

/* The object of the next step. */
static void
name_set(struct trial *t, const char *step)
{
	snprintf(t->name, sizeof(t->name), STORE_PROBE_PREFIX "%s-%s",
	    t->nonce, step);
}

/* The first name of a listing. */
struct first {
	const char *prefix;	/* of the repository */
	char name[STORE_NAME_MAX + 1];
};

static int
first_note(void *ctx, const struct s3_listed *o)
{
	struct first *f = ctx;
	size_t skip = strlen(f->prefix);

	if (f->name[0] == '\0' && strncmp(o->key, f->prefix, skip) == 0 &&
	    store_name_ok(o->key + skip, strlen(o->key + skip)))
		snprintf(f->name, sizeof(f->name), "%s", o->key + skip);
	return 0;
}

static int
list_first(struct trial *t, const char *part, char name[STORE_NAME_MAX + 1])
{
	const char *base = s3_client_prefix(t->s->client);
	char prefix[S3_KEY_MAX + 1];
	const struct sigv4_pair query[] = {
		{ "list-type", "2" }, { "encoding-type", "url" },
		{ "max-keys", "1" }, { "prefix", prefix },
	};
	struct buf doc = BUF_INIT(1u << 20);
	struct s3_call call = {
		.verb = STORE_LIST, .method = S3_HTTP_GET, .query = query,
		.nquery = 4, .doc = &doc,
	};
	struct first f = { .prefix = base };
	struct s3_listing l = { .fn = first_note, .ctx = &f };
	int err;

	snprintf(prefix, sizeof(prefix), "%s%s", base, part);
	err = ask(t, &call);
	if (err == 0 && s3_xml_list(doc.data, doc.len, &l) != 0)
		err = -EIO;
	buf_release(&doc);
	snprintf(name, STORE_NAME_MAX + 1, "%s", err == 0 ? f.name : "");
	return err;
}

/* Is there a server, and ours? */

static void
found_clock(struct trial *t, const struct s3_client_facts *f)
{
	long skew = f->skew;

	if (skew == 0 && t->rp.date > 0)
		skew = (long)(t->rp.date - time(NULL));
	if (labs(skew) <= SKEW_NOTED)
		probe_found(t->p, "clock", STORE_OK, NULL, NULL,
		    "this machine's clock is within %ld s of the server's",
		    labs(skew) + 1);
	else
		probe_found(t->p, "clock", STORE_WARNING, "set the clock",
		    "firn signs by the server's clock once it was refused",
		    "this machine's clock is %ld s %s the server's; S3 refuses "
		    "requests from 900 s on", labs(skew),
		    skew > 0 ? "behind" : "ahead of");
}

static void
found_region(struct trial *t, const struct s3_client_facts *f)
{
	if (f->moved)
		probe_found(t->p, "region", STORE_WARNING, "set AWS_REGION or "
		    "--region to it", "each command asks in the wrong region "
		    "first", "the bucket is in '%s', which is not what was "
		    "said", f->region);
	else
		probe_found(t->p, "region", STORE_OK, NULL, NULL, "'%s'",
		    f->region);
}

/* 1 to go on. */
static int
reach(struct trial *t)
{
	struct s3_client_facts f;
	char name[STORE_NAME_MAX + 1];
	int err = list_first(t, "keys/", name);

	if (is_fatal(err))
		return err;
	s3_client_facts(t->s->client, &f);
	if (err != 0 && (t->no.status == 0 ||
	    strcmp(t->no.code, "AccessDenied") != 0)) {
		probe_found(t->p, "reach", STORE_MISSING, NULL,
		    "nothing works", "%s", t->no.text[0] != '\0' ?
		    t->no.text : t->rp.status != 0 ? "the answer is not that "
		    "of an S3 server" : "nothing could be asked, for want of "
		    "keys; the reason is above");
		return 0;
	}
	probe_found(t->p, "reach", STORE_OK, NULL, NULL,
	    "'%s' answers, and knows the access key", f.host);
	if (f.http)
		probe_found(t->p, "tls", STORE_WARNING,
		    "an endpoint with https://", "what is stored is encrypted "
		    "all the same; who listens sees names, sizes and times of "
		    "objects", "the connection is not encrypted");
	else
		probe_found(t->p, "tls", STORE_OK, NULL, NULL,
		    "encrypted, and the certificate is trusted");
	found_clock(t, &f);
	found_region(t, &f);
	return 1;
}

/* Rights.  Each: 1, 0, or -errno for what ends the examination; anything else
 * that goes wrong is told by `odd`. */

static int
may(struct trial *t, const struct part *part, int err)
{
	if (is_fatal(err))
		return err;
	if (err == 0 || err == -ENOENT || err == -ERANGE ||
	    err == -FIRN_ECOLD || err == -EEXIST)
		return 1;
	if (err != -EACCES)
		probe_found(t->p, "odd", STORE_WARNING, NULL, NULL,
		    "%s: %s", part->name, t->no.text);
	return 0;
}

/* `there` names an object of the part, or is "" when none is known. */
static int
may_get(struct trial *t, const struct part *part, const char *there)
{
	char name[STORE_NAME_MAX + 1];
	uint8_t byte;

	if (strchr(part->name, '/') == NULL)
		snprintf(name, sizeof(name), "%s", part->name);
	else if (there[0] != '\0')
		snprintf(name, sizeof(name), "%s", there);
	else
		snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	return may(t, part, object_get(t, name, &byte, 1));
}

/* It was refused for its body, and for nothing else. */
static int
is_body_refused(const struct trial *t)
{
	static const char *const code[] = { "XAmzContentSHA256Mismatch",
	    "XAmzContentChecksumMismatch", "BadDigest" };
	size_t i;

	for (i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		if (strcmp(t->no.code, code[i]) == 0)
			return 1;
	return 0;
}

/* The body is not what was signed for: an honest server stores nothing. */
static int
may_put(struct trial *t, const struct part *part)
{
	char name[STORE_NAME_MAX + 1];
	int err;

	snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	err = object_put(t, name, "x", 1, "y", NULL);
	if (err == 0) {
		err = clear(t, name);
		return err != 0 ? err : 1;
	}
	return is_fatal(err) ? err : is_body_refused(t) ? 1 :
	    may(t, part, err);
}

static int
may_del(struct trial *t, const struct part *part)
{
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s%s", part->name, t->nonce);
	return may(t, part, object_del(t, name));
}

enum right { NO, YES, UNSURE };

struct rights {
	int may[PARTS][VERBS];			/* enum right */
	char there[PARTS][STORE_NAME_MAX + 1];	/* a name, or "" */
};

#define PART_CONFIG	0
#define PART_KEYS	1

/*
 * Who may not list all of a bucket is told "access denied" in place of "not
 * found", so that what he may read shows only where we know of something.
 */
static int
is_unsure(const struct rights *r, size_t i)
{
	return r->there[i == PART_CONFIG ? PART_KEYS : i][0] == '\0';
}

static int
right_find(struct trial *t, struct rights *r, size_t i, enum verb v)
{
	const struct part *part = &parts[i];
	int ret;

	switch (v) {
	case LIST:
		return may(t, part, list_first(t, part->name, r->there[i]));
	case GET:
		ret = may_get(t, part, r->there[i]);
		return ret == NO && is_unsure(r, i) ? UNSURE : ret;
	case PUT:
		return may_put(t, part);
	default:
		return may_del(t, part);
	}
}

/* Listings first: they find what there is to read. */
static int
rights_find(struct trial *t, struct rights *r)
{
	int v, ret;
	size_t i;

	for (v = 0; v < VERBS; v++)
		for (i = 0; i < PARTS; i++) {
			if (!parts[i].tried[v])
				continue;
			ret = right_find(t, r, i, (enum verb)v);
			if (ret < 0)
				return ret;
			r->may[i][v] = ret;
		}
	return 0;
}

static void
name_add(char *list, const char *name)
{
	size_t len = strlen(list);

	snprintf(list + len, 128 - len, "%s%s", len > 0 ? " " : "", name);
}

/* Names of parts, by what was found of one verb. */
struct sorted {
	char yes[128], no[128], unsure[128], lacks[128], more[128];
};

static void
rights_sort(const struct rights *r, int v, enum store_role role,
    struct sorted *out)
{
	size_t i;
	int needed;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < PARTS; i++) {
		if (!parts[i].tried[v])
			continue;
		needed = parts[i].needed[v][role];
		name_add(r->may[i][v] == YES ? out->yes : r->may[i][v] == NO ?
		    out->no : out->unsure, parts[i].name);
		if (needed && r->may[i][v] == NO)
			name_add(out->lacks, parts[i].name);
		if (!needed && r->may[i][v] == YES)
			name_add(out->more, parts[i].name);
	}
}

static void
rights_tell(struct trial *t, const struct rights *r, int v)
{
	static const char no_try[] = "; not to be told without an object to "
	    "try it on: ";
	struct sorted s;

	rights_sort(r, v, t->p->conf->role, &s);
	if (s.lacks[0] != '\0')
		probe_found(t->p, verbs[v].check, STORE_MISSING,
		    verbs[v].grant, verbs[v].without, "not allowed, but needed"
		    ": %s%s%s", s.lacks, s.yes[0] != '\0' ? "; allowed: " : "",
		    s.yes);
	if (s.more[0] != '\0')
		probe_found(t->p, verbs[v].check, STORE_WARNING, NULL,
		    verbs[v].risk, "allowed, and not needed: %s", s.more);
	if (s.lacks[0] == '\0' && s.more[0] == '\0')
		probe_found(t->p, verbs[v].check, s.unsure[0] != '\0' ?
		    STORE_FACT : STORE_OK, NULL, NULL, "allowed: %s%s%s%s%s",
		    s.yes[0] != '\0' ? s.yes : "nothing",
		    s.no[0] != '\0' ? "; not allowed: " : "", s.no,
		    s.unsure[0] != '\0' ? no_try : "", s.unsure);
}

static int
rights(struct trial *t)
{
	struct rights *r = calloc(1, sizeof(*r));
	int v, err = r == NULL ? -ENOMEM : rights_find(t, r);

	for (v = 0; v < VERBS && err == 0; v++)
		rights_tell(t, r, v);
	if (err == 0)
		t->p->readable = r->may[PART_CONFIG][GET] == YES;
	free(r);
	return err;
}

/* What the bucket keeps. */

static int
state_get(struct trial *t, const char *what, struct s3_bucket_state *out)
{
	const struct sigv4_pair query = { what, "" };
	struct buf doc = BUF_INIT(1u << 20);
	struct s3_call call = {
		.verb = STORE_GET, .method = S3_HTTP_GET, .query = &query,
		.nquery = 1, .doc = &doc,
	};
	int err = ask(t, &call);

	memset(out, 0, sizeof(*out));
	if (err == 0 && s3_xml_state(doc.data, doc.len, out) != 0) {
		snprintf(t->no.text, sizeof(t->no.text),
		    "the answer is another document");
		err = -EIO;
	}
	buf_release(&doc);
	return err;
}

static int
versioning(struct trial *t)
{
	static const char off[] = "who may overwrite or delete destroys";
	struct s3_bucket_state st;
	int err = state_get(t, "versioning", &st);

	if (is_fatal(err))
		return err;
	if (err != 0) {
		probe_found(t->p, "versioning", STORE_FACT,
		    "s3:GetBucketVersioning", NULL, "%s (%s)%s",
		    t->no.status == 403 ? "this key may not ask" :
		    "the server does not say", reason(t), t->versions == 1 ?
		    "; it gives versions to what is put" : "");
		return 0;
	}
	t->versions = strcmp(st.versioning, "Enabled") == 0;
	if (t->versions)
		probe_found(t->p, "versioning", STORE_FACT, NULL, NULL,
		    "on: what is overwritten or deleted stays as an old "
		    "version until its expiry, and is paid for");
	else
		probe_found(t->p, "versioning", STORE_FACT, NULL, off,
		    "%s", st.versioning[0] != '\0' ? "suspended" : "off");
	return 0;
}

static int
object_lock(struct trial *t)
{
	struct s3_bucket_state st;
	int err = state_get(t, "object-lock", &st);

	if (is_fatal(err))
		return err;
	if (err == 0 && st.lock_mode[0] != '\0')
		probe_found(t->p, "object-lock", STORE_FACT, NULL, NULL,
		    "on: versions are kept in mode %s for %s %s", st.lock_mode,
		    st.lock_days[0] != '\0' ? st.lock_days : st.lock_years,
		    st.lock_days[0] != '\0' ? "days" : "years");
	else if (err == 0 && st.lock[0] != '\0')
		probe_found(t->p, "object-lock", STORE_FACT, NULL, NULL,
		    "on, without a default: nothing is kept that firn puts");
	else if (err != 0 && t->no.status == 403)
		probe_found(t->p, "object-lock", STORE_FACT,
		    "s3:GetBucketObjectLockConfiguration", NULL,
		    "this key may not ask (%s)", reason(t));
	else
		probe_found(t->p, "object-lock", STORE_FACT, NULL, NULL,
		    "none (%s)", err == 0 ? "off" : reason(t));
	return 0;
}

/* What it does with what is put. */

static void
found_conditional(struct trial *t, enum store_conditional c)
{
	static const char without[] = "two that init at once take turns by "
	    "claims below probe/; a thief who may put can overwrite";

	if (c == STORE_COND_YES)
		probe_found(t->p, "conditional", STORE_OK, NULL, NULL,
		    "If-None-Match is honoured: nothing is put over another");
	else
		probe_found(t->p, "conditional", STORE_WARNING, NULL, without,
		    "If-None-Match is %s", c == STORE_COND_REFUSED ?
		    "refused" : t->versions == 1 ? "ignored, which some "
		    "servers do in buckets with versions" : "ignored");
}

/* Leaves an object where it may. */
static int
conditional(struct trial *t)
{
	enum store_conditional c;
	int err;

	name_set(t, "a");
	err = s3_conditional_ask(t->s, t->name, &c, &t->no);
	if (err == 0 && c == STORE_COND_REFUSED)
		err = object_put(t, t->name, "trial", 5, "trial", NULL);
	if (is_fatal(err))
		return err;
	t->put = err == 0;
	if (t->put)
		found_conditional(t, c);
	else
		probe_found(t->p, "trial", STORE_FACT, "s3:PutObject on probe/",
		    "what takes an object of one's own is not looked into: "
		    "conditional writes, checksums, overwriting, throughput",
		    "this key may not put below probe/ (%s)", reason(t));
	return 0;
}

/* Of the object that there is, without the condition. */
static int
overwrite(struct trial *t)
{
	char checksum[S3_CHECKSUM_SIZE];
	uint8_t sum[HASH_SIZE];
	struct s3_call call = {
		.verb = STORE_PUT, .method = S3_HTTP_PUT, .name = t->name,
		.body = "other", .len = 5, .sha256 = sum,
		.check = s3_put_check,
	};
	int owner = t->p->conf->role == STORE_ROLE_OWNER;
	int err = hash_sha256("other", 5, sum);

	if (err == 0)
		err = s3_checksum_add(&call, checksum);
	if (err == 0)
		err = ask(t, &call);
	if (is_fatal(err))
		return err;
	if (err != 0)
		probe_found(t->p, "overwrite", STORE_OK, NULL, NULL,
		    "refused (%s)", reason(t));
	else if (t->rp.version[0] != '\0')
		probe_found(t->p, "overwrite", STORE_FACT, NULL, NULL,
		    "allowed, and the old version stays");
	else
		probe_found(t->p, "overwrite", owner ? STORE_FACT :
		    STORE_WARNING, NULL, owner ? NULL : "a thief can put other "
		    "bytes under the name of a backup's object; see "
		    "firn-policy(7)", "allowed, and nothing is left of what "
		    "was there");
	if (err == 0 && t->rp.version[0] != '\0')
		t->versions = 1;
	return clear(t, t->name);
}

/* Whether a put is refused whose body is another than was signed for. */
static int
body_hash(struct trial *t)
{
	int err;

	name_set(t, "b");
	err = object_put(t, t->name, "x", 1, "y", NULL);
	if (is_fatal(err))
		return err;
	if (err != 0 && is_body_refused(t)) {
		probe_found(t->p, "signed-body", STORE_OK, NULL, NULL,
		    "a body that was changed on its way is refused (%s)",
		    reason(t));
		return 0;
	}
	probe_found(t->p, "signed-body", STORE_WARNING, NULL,
	    "firn notices when it reads; run `firn check --read-data` from "
	    "time to time", "a body that was changed on its way is %s",
	    err == 0 ? "stored" : reason(t));
	return err == 0 ? clear(t, t->name) : 0;
}

/* Puts "right" with the checksum of `of`. */
static int
checksum_put(struct trial *t, const char *of)
{
	struct buf text = BUF_INIT(64);
	struct sigv4_pair header = { S3_CHECKSUM_NAME, NULL };
	uint8_t sum[HASH_SIZE];
	int err = hash_sha256(of, strlen(of), sum);

	if (err == 0)
		err = base64_encode(sum, sizeof(sum), &text);
	if (err == 0) {
		header.value = buf_cstr(&text);
		err = header.value == NULL ? -ENOMEM : object_put(t, t->name,
		    "right", 5, "right", &header);
	}
	buf_release(&text);
	return err;
}

static void
found_checksums(struct trial *t, int refused, int kept, int looked)
{
	if (refused && (kept || !looked))
		probe_found(t->p, "checksums", STORE_OK, NULL, NULL,
		    "a wrong x-amz-checksum-sha256 is refused, %s",
		    kept ? "a right one kept" : "and this key may not look at "
		    "a right one");
	else
		probe_found(t->p, "checksums", STORE_WARNING, NULL,
		    "`firn check` cannot tell damage in the store without "
		    "--read-data", "a wrong x-amz-checksum-sha256 is %s, a "
		    "right one %s", refused ? "refused" : "not noticed",
		    !looked ? "cannot be looked at" : kept ? "kept" :
		    "not kept");
}

static int
checksums(struct trial *t)
{
	uint8_t sum[STORE_SHA256];
	int err, refused, kept = 0, looked = 0;

	name_set(t, "c");
	err = checksum_put(t, "wrong");
	if (is_fatal(err))
		return err;
	refused = err != 0 && t->no.status == 400;
	if (err == 0)
		err = clear(t, t->name);
	name_set(t, "d");
	err = checksum_put(t, "right");
	if (is_fatal(err))
		return err;
	if (err == 0) {
		err = s3_head(t->s, t->name, &t->rp, &t->no);
		looked = err == 0;
		kept = looked && s3_checksum_parse(t->rp.checksum, sum);
	}
	if (is_fatal(err))
		return err;
	found_checksums(t, refused, kept, looked);
	return clear(t, t->name);
}

/* Leaves its object, if there is one. */
static int
get_back(struct trial *t)
{
	char back[16];
	int err;

	name_set(t, "e");
	err = object_put(t, t->name, "0123456789", 10, "0123456789", NULL);
	if (err == 0)
		err = object_get(t, t->name, back, 4);
	if (is_fatal(err))
		return err;
	t->got = err == 0;
	if (err == 0 && (t->rp.status != 206 || t->rp.got != 4 ||
	    memcmp(back, "0123", 4) != 0))
		probe_found(t->p, "ranges", STORE_MISSING, NULL,
		    "firn reads parts of objects, and refuses what is not the "
		    "part that it asked for", "a part of what was just put "
		    "came back otherwise (status %d)", t->rp.status);
	else if (err == 0)
		probe_found(t->p, "ranges", STORE_OK, NULL, NULL,
		    "a part of what was just put came back as it was");
	return 0;
}

/* One object in each class. */
static int
classes(struct trial *t)
{
	static const char *const class[] = { "STANDARD", "STANDARD_IA",
	    "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER",
	    "DEEP_ARCHIVE" };
	char yes[256] = "", no[256] = "", *out, name[STORE_NAME_MAX + 1];
	struct sigv4_pair header = { "x-amz-storage-class", NULL };
	size_t i;
	int err;

	for (i = 0; i < sizeof(class) / sizeof(class[0]); i++) {
		header.value = class[i];
		snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-k%zu",
		    t->nonce, i);
		err = object_put(t, name, "x", 1, "x", &header);
		if (is_fatal(err))
			return err;
		out = err == 0 ? yes : no;
		snprintf(out + strlen(out), 256 - strlen(out), "%s%s",
		    out[0] != '\0' ? " " : "", class[i]);
		if (err == 0)
			err = clear(t, name);
		if (err != 0 && is_fatal(err))
			return err;
	}
	probe_found(t->p, "classes", STORE_FACT, NULL, NULL,
	    "taken: %s; refused: %s", yes[0] != '\0' ? yes : "none",
	    no[0] != '\0' ? no : "none");
	return 0;
}

/* Speed. */

static int
once_head(void *ctx)
{
	struct trial *t = ctx;

	return s3_head(t->s, t->name, &t->rp, &t->no);
}

static int
once_get(void *ctx)
{
	struct trial *t = ctx;
	uint8_t byte;

	return object_get(t, t->name, &byte, 1);
}

static int
once_list(void *ctx)
{
	char name[STORE_NAME_MAX + 1];

	return list_first(ctx, "keys/", name);
}

static int
once_put_big(void *ctx)
{
	struct trial *t = ctx;
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big", t->nonce);
	return object_put(t, name, t->bytes, PROBE_BYTES, t->bytes, NULL);
}

static int
once_get_big(void *ctx)
{
	struct trial *t = ctx;
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big", t->nonce);
	return object_get(t, name, t->bytes, PROBE_BYTES);
}

static int
speed(struct trial *t)
{
	char name[STORE_NAME_MAX + 1];
	int err = 0, put;

	if (t->got) {
		err = probe_latency(t->p, "latency-head", "a look at an "
		    "object", once_head, t);
		if (err == 0)
			err = probe_latency(t->p, "latency-get", "reading a "
			    "byte", once_get, t);
	} else {
		err = probe_latency(t->p, "latency-list", "a listing",
		    once_list, t);
	}
	if (is_fatal(err) || !t->put)
		return is_fatal(err) ? err : 0;
	t->bytes = probe_bytes();
	if (t->bytes == NULL)
		return -ENOMEM;
	err = put = probe_throughput(t->p, "throughput-put", once_put_big, t);
	if (err == 0 && t->got)
		err = probe_throughput(t->p, "throughput-get", once_get_big,
		    t);
	if (put == 0 && !is_fatal(err)) {
		snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big",
		    t->nonce);
		err = clear(t, name);
	}
	return is_fatal(err) ? err : 0;
}

/* All that takes an object of our own.  A reader has none. */
static int
with_object(struct trial *t)
{
	int err = conditional(t);

	if (err != 0 || !t->put)
		return err != 0 ? err : speed(t);
	err = overwrite(t);
	if (err == 0)
		err = body_hash(t);
	if (err == 0)
		err = checksums(t);
	if (err == 0 && t->p->conf->classes)
		err = classes(t);
	if (err == 0)
		err = get_back(t);
	if (err == 0)
		err = speed(t);
	return err == 0 ? clear(t, t->name) : err;
}

static void
leftovers(struct trial *t)
{
	char list[LEFT_MAX * (STORE_NAME_MAX + 2)] = "";
	unsigned i;

	for (i = 0; i < t->nleft && i < LEFT_MAX; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
		    " %s", t->left[i]);
	if (t->nleft > 0)
		probe_found(t->p, "left", STORE_FACT, "s3:DeleteObject on "
		    "probe/", "nothing else looks at it; delete it with a key "
		    "that may", "%u small objects could not be deleted:%s",
		    t->nleft, list);
	else if (t->put && t->versions == 1)
		probe_found(t->p, "left", STORE_FACT, NULL, NULL,
		    "what was put below probe/ is deleted; old versions and "
		    "delete markers stay until they expire");
}

int
s3_probe(struct store *base, struct probe *p)
{
	struct trial *t = calloc(1, sizeof(*t));
	int ret = t == NULL ? -ENOMEM : 0;

	if (ret == 0) {
		t->s = s3_of(base);
		t->p = p;
		t->versions = -1;
		ret = s3_nonce(t->nonce);
	}
	if (ret == 0) {
		ret = reach(t);
		if (ret == 1)
			ret = versioning(t);
		else
			goto out;
	}
	if (ret == 0)
		ret = object_lock(t);
	if (ret == 0)
		ret = with_object(t);
	if (ret == 0)
		ret = rights(t);
	if (ret == 0)
		leftovers(t);
out:
	if (t != NULL)
		free(t->bytes);
	free(t);
	return ret;
}
