/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our lifecycle rule in a bucket: read all, change one, put, read back.
 *
 * A document that is put replaces all rules, also those that others have put
 * since ours was read.  So it is sent once only, and where nobody knows what
 * came of it, all begins again with reading.
 *
 * Our rule is known by its ID, which names the place of the repository in the
 * bucket by a hash: an ID has room for 255 bytes, a prefix for 1,024.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "store/s3_rules.h"
#include "store/store_s3_internal.h"

#define PAUSE		500	/* ms between reads */
#define PAUSE_MAX	20000
#define READS		20	/* a bucket's rules may lag for a while */
#define IA_DAYS		30	/* in STANDARD before an infrequent class */
#define MINIMUM		"x-amz-transition-default-minimum-object-size"
#define RIGHTS		"; it takes s3:GetLifecycleConfiguration and " \
	"s3:PutLifecycleConfiguration on the bucket"

/* The rules of a bucket, as they were read. */
struct lifecycle {
	struct buf doc;
	struct s3_rules rules;
	int other;		/* the answer was of another kind */
	char minimum[S3_HTTP_FIELD];	/* that goes with them, or "" */
	char data[S3_KEY_MAX + 1];	/* what our rule is for */
	char id[64];			/* and its name */
};

static const struct sigv4_pair query = { "lifecycle", "" };

static int
lifecycle_init(struct s3 *s, struct lifecycle *l)
{
	uint8_t sum[HASH_SIZE];
	char hex[2 * 8 + 1];
	int err;

	memset(l, 0, sizeof(*l));
	buf_init(&l->doc, S3_RULES_DOC);
	snprintf(l->data, sizeof(l->data), "%sdata/",
	    s3_client_prefix(s->client));
	err = hash_sha256(l->data, strlen(l->data), sum);
	if (err != 0)
		return err;
	hex_encode(sum, 8, hex);
	snprintf(l->id, sizeof(l->id), "firnfs-data-%s", hex);
	return 0;
}

static void
lifecycle_release(struct lifecycle *l)
{
	s3_rules_release(&l->rules);
	buf_release(&l->doc);
}

static int
rules_check(struct s3_call *call, const struct s3_http_reply *rp,
    const char **why)
{
	struct lifecycle *l = call->ctx;
	int err;

	(void)rp;
	*why = "the answer is no list of lifecycle rules";
	s3_rules_release(&l->rules);
	err = s3_rules_parse(call->doc->data, call->doc->len, &l->rules);
	l->other = err == -EOPNOTSUPP;
	return err == 0 || l->other ? 0 : -EIO;
}

static int
refused(struct s3 *s, int err, const struct s3_refusal *no, const char *what)
{
	if (err == -ECANCELED)
		return err;
	return log_err(err, "cannot %s the lifecycle rules of the bucket of "
	    "'%s': %s%s", what, s->base.url, no->text[0] != '\0' ? no->text :
	    "the server's answer makes no sense", err == -EACCES ? RIGHTS :
	    "");
}

/* A bucket without rules has none.  Not logged; see *no. */
static int
rules_ask(struct s3 *s, struct lifecycle *l, struct s3_refusal *no)
{
	struct s3_call call = {
		.verb = STORE_GET, .method = S3_HTTP_GET, .query = &query,
		.nquery = 1, .doc = &l->doc, .check = rules_check, .ctx = l,
		.refusal = no,
	};
	struct s3_http_reply rp;
	int err;

	memset(no, 0, sizeof(*no));
	l->other = 0;
	err = s3_client_do(s->client, &call, &rp);
	if (err == 0 && l->other) {
		err = -EOPNOTSUPP;
		snprintf(no->text, sizeof(no->text), "the server has none (it "
		    "answers with something else)");
	}
	memcpy(l->minimum, rp.minimum, sizeof(l->minimum));
	if (err == -ENOENT) {
		s3_rules_release(&l->rules);
		buf_reset(&l->doc);
		l->minimum[0] = '\0';
		return 0;
	}
	return err;
}

static int
rules_read(struct s3 *s, struct lifecycle *l)
{
	struct s3_refusal no;
	int err = rules_ask(s, l, &no);

	return err == 0 ? 0 : refused(s, err, &no, "read");
}

/*
 * Once.  -EAGAIN, not logged: it may have been done or not, see *no.  Servers
 * differ in what they answer; what is read afterwards counts.
 */
static int
rules_put(struct s3 *s, const struct lifecycle *l, const struct buf *text,
    struct s3_refusal *no)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	struct s3_document d;
	struct s3_call call = {
		.verb = STORE_PUT, .method = text != NULL ? S3_HTTP_PUT :
		    S3_HTTP_DELETE,
		.query = &query, .nquery = 1, .doc = &doc, .refusal = no,
		.single = 1,
	};
	struct s3_http_reply rp;
	int err = 0;

	memset(no, 0, sizeof(*no));
	if (text != NULL)
		err = s3_document_add(&call, text->data, text->len, &d);
	if (l->minimum[0] != '\0' && text != NULL)
		call.header[call.nheaders++] = (struct sigv4_pair){ MINIMUM,
		    l->minimum };
	if (err == 0)
		err = s3_client_do(s->client, &call, &rp);
	buf_release(&doc);
	if (err != 0 && call.unsure && !store_is_canceled(&s->base))
		return -EAGAIN;
	return err == 0 ? 0 : refused(s, err, no, "write");
}

static void
describe(struct s3 *s, const struct lifecycle *l, struct store_lifecycle *out)
{
	const struct s3_rule *ours = s3_rules_find(&l->rules, l->id);
	struct store_rule harm;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (ours != NULL && ours->enabled && ours->to[0] != '\0') {
		out->set = 1;
		memcpy(out->class_name, ours->to, sizeof(out->class_name));
		out->days = ours->days;
	}
	for (i = 0; i < l->rules.n; i++) {
		/* Others may have changed ours, too. */
		out->others += &l->rules.rule[i] != ours;
		if (!s3_rule_harms(&l->rules.rule[i],
		    s3_client_prefix(s->client), &harm))
			continue;
		if (out->nharmful < STORE_RULES_HARMFUL)
			out->harmful[out->nharmful] = harm;
		out->nharmful++;
	}
}

int
s3_lifecycle_get(struct store *base, struct store_lifecycle *out)
{
	struct s3 *s = s3_of(base);
	struct lifecycle l;
	int err = lifecycle_init(s, &l);

	if (err == 0)
		err = rules_read(s, &l);
	if (err == 0)
		describe(s, &l, out);
	lifecycle_release(&l);
	return err;
}

int
s3_lifecycle_ask(struct s3 *s, struct store_lifecycle *out,
    struct s3_refusal *no)
{
	struct lifecycle l;
	int err = lifecycle_init(s, &l);

	memset(no, 0, sizeof(*no));
	if (err == 0)
		err = rules_ask(s, &l, no);
	if (err == 0)
		describe(s, &l, out);
	lifecycle_release(&l);
	return err;
}

static int
is_as_wished(const struct lifecycle *l, const char *class_name,
    unsigned days)
{
	const struct s3_rule *r = s3_rules_find(&l->rules, l->id);

	if (class_name == NULL)
		return r == NULL;
	return r != NULL && r->enabled && !r->more && r->moves == 1 &&
	    r->days == days &&
	    strcmp(r->to, class_name) == 0 && strcmp(r->prefix, l->data) == 0;
}

static int
pause_for(struct s3 *s, unsigned ms)
{
	const struct timespec slice = { 0, 50 * 1000 * 1000 };
	unsigned i;

	for (i = 0; i < ms / 50 && !store_is_canceled(&s->base); i++)
		nanosleep(&slice, NULL);
	return store_is_canceled(&s->base) ? -ECANCELED : 0;
}

static int
others_same(const struct lifecycle *a, const struct lifecycle *b)
{
	return s3_rules_same(&a->rules, &b->rules, a->id) &&
	    (a->minimum[0] == '\0' || b->minimum[0] == '\0' ||
	    strcmp(a->minimum, b->minimum) == 0);
}

/* Buckets' settings come into force with some delay, so the old rules may be
 * read for a while. */
static int
read_back(struct s3 *s, const struct lifecycle *before,
    const char *class_name, unsigned days, struct lifecycle *after)
{
	int err = 0, i;

	for (i = 0; i < READS && err == 0; i++) {
		if (i > 0)
			err = pause_for(s, PAUSE);
		if (err == 0)
			err = rules_read(s, after);
		if (err == 0 && is_as_wished(after, class_name, days))
			break;
	}
	if (err != 0)
		return err;
	if (!is_as_wished(after, class_name, days))
		return log_err(-EIO, "the lifecycle rules of the bucket of "
		    "'%s' are not what was put; look at them with the tools "
		    "of the provider", s->base.url);
	if (!others_same(before, after))
		return log_err(-EIO, "other lifecycle rules of the bucket of "
		    "'%s' have changed at the same time; look at them with "
		    "the tools of the provider", s->base.url);
	return 0;
}

static int
change(struct s3 *s, const struct lifecycle *l, const char *class_name,
    unsigned days, struct s3_refusal *no)
{
	struct buf text = BUF_INIT(S3_RULES_DOC + 8192);
	size_t n;
	int err = s3_rules_edit(l->doc.data, &l->rules, l->id, l->data,
	    class_name, days, &text, &n);

	if (err != 0)
		log_err(err, "cannot write the lifecycle rules of the bucket "
		    "of '%s'", s->base.url);
	else if (n > S3_RULES_MAX)
		err = log_err(-FIRN_ETOOBIG, "the bucket of '%s' has %u "
		    "lifecycle rules, and no room for another", s->base.url,
		    S3_RULES_MAX);
	else
		err = rules_put(s, l, n > 0 ? &text : NULL, no);
	buf_release(&text);
	return err;
}

/*
 * Reads, puts, and where that is not known to have been done or refused, reads
 * again, until it is as wished or the time is up.  1: a put was answered, and
 * *l is what was there before it; 0: *l is as wished.
 */
static int
set_rounds(struct s3 *s, struct lifecycle *l, const char *class_name,
    unsigned days)
{
	unsigned pause = PAUSE, waited = 0;
	unsigned most = s3_client_timeout(s->client) * 1000;
	struct s3_refusal no;
	int err;

	for (;;) {
		err = rules_read(s, l);
		if (err != 0 || is_as_wished(l, class_name, days))
			return err;
		err = change(s, l, class_name, days, &no);
		if (err != -EAGAIN)
			return err == 0 ? 1 : err;
		if (waited >= most)
			return refused(s, -EBUSY, &no, "write");
		err = pause_for(s, pause);
		if (err != 0)
			return err;
		waited += pause;
		pause = pause < PAUSE_MAX / 2 ? 2 * pause : PAUSE_MAX;
	}
}

int
s3_lifecycle_set(struct store *base, const char *class_name, unsigned days,
    struct store_lifecycle *out)
{
	struct s3 *s = s3_of(base);
	struct lifecycle before, after;
	int err;

	if (class_name != NULL && days < IA_DAYS &&
	    (strcmp(class_name, "STANDARD_IA") == 0 ||
	    strcmp(class_name, "ONEZONE_IA") == 0))
		return log_plain(-EINVAL, "S3 moves objects into %s after %d "
		    "days at the earliest", class_name, IA_DAYS);
	err = lifecycle_init(s, &before);
	if (lifecycle_init(s, &after) != 0 && err == 0)
		err = -ENOMEM;
	if (err != 0)
		log_err(err, "cannot change the lifecycle rules");
	else
		err = set_rounds(s, &before, class_name, days);
	if (err == 0) {
		describe(s, &before, out);
	} else if (err == 1) {
		err = read_back(s, &before, class_name, days, &after);
		if (err == 0)
			describe(s, &after, out);
	}
	lifecycle_release(&before);
	lifecycle_release(&after);
	return err;
}
