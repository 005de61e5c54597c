/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lifecycle documents.
 *
 * The digest of an element is that of its name, its text when it has no
 * children, and the sum of its children's digests, which does not depend on
 * their order.  Sums are of 64-bit words, each by itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "store/s3_rules.h"

#define DEPTH		16	/* s3_xml.h: nothing nests deeper */
#define DATA		"data/"
#define ROOT		"LifecycleConfiguration"
#define TRANSITION	ROOT "/Rule/Transition/"

struct parser {
	struct s3_rules *out;
	uint64_t sum[DEPTH + 1][HASH_SIZE / 8];	/* of closed children */
	int children[DEPTH + 1];
	char text[S3_KEY_MAX + 1];	/* of the leaf, trimmed */
	int other;			/* another kind of document */
	/* The <Transition> that is open. */
	char to[STORE_CLASS_SIZE];
	unsigned days;
	size_t first;			/* where the first child begins */
};

static int
rule_add(struct s3_rules *r)
{
	struct s3_rule *grown;
	size_t cap;

	if (r->n == S3_RULES_MAX)
		return -FIRN_ECORRUPT;
	if (r->n == r->cap) {
		cap = r->cap > 0 ? 2 * r->cap : 8;
		grown = realloc(r->rule, cap * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		r->rule = grown;
		r->cap = cap;
	}
	memset(&r->rule[r->n++], 0, sizeof(*r->rule));
	return 0;
}

static int
on_open(void *ctx, const struct s3_xml_node *n)
{
	struct parser *p = ctx;

	p->children[n->depth] = 0;
	memset(p->sum[n->depth], 0, sizeof(p->sum[0]));
	if (n->depth == 1) {
		if (strcasecmp(n->name, "html") == 0)
			return -FIRN_ECORRUPT;	/* a portal's, or a proxy's */
		p->other = strcmp(n->name, ROOT) != 0;
		snprintf(p->out->space, sizeof(p->out->space), "%s",
		    n->space);
		return 0;
	}
	if (p->other)
		return 0;
	p->children[n->depth - 1] = 1;
	if (n->depth == 2 && p->first == 0)
		p->first = n->start;
	if (strcmp(n->path, ROOT "/Rule/Transition") == 0) {
		p->to[0] = '\0';
		p->days = 0;
	}
	return strcmp(n->path, ROOT "/Rule") == 0 ? rule_add(p->out) : 0;
}

static int
digest_add(struct parser *p, const struct s3_xml_node *n,
    const char *text, size_t len, uint8_t digest[HASH_SIZE])
{
	struct buf b = BUF_INIT(64u << 10);
	size_t i;
	int err;

	buf_add(&b, n->name, strlen(n->name) + 1);
	if (!p->children[n->depth])
		buf_add(&b, text, len);
	buf_add_u8(&b, 0);
	for (i = 0; i < HASH_SIZE / 8; i++)
		buf_add_u64(&b, p->sum[n->depth][i]);
	err = buf_err(&b);
	if (err == 0)
		err = hash_sha256(b.data, b.len, digest);
	for (i = 0; i < HASH_SIZE / 8 && err == 0; i++)
		p->sum[n->depth - 1][i] += le64_get(digest + 8 * i);
	buf_release(&b);
	return err == -FIRN_ETOOBIG ? -FIRN_ECORRUPT : err;
}

static void
print_copy(char *out, size_t size, const char *text)
{
	size_t i;

	snprintf(out, size, "%.*s", (int)size - 1, text);
	for (i = 0; out[i] != '\0'; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
}

/* Days beyond reason are as good as the largest. */
static unsigned
number_of(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n == 0 || n > 9 ? 0 : (unsigned)strtoul(text, NULL, 10);
}

static void
transition_note(struct parser *p, struct s3_rule *rule)
{
	memcpy(rule->to, p->to, sizeof(rule->to));
	rule->days = p->days;
	rule->moves++;
	if (p->to[0] != '\0' && !store_class_is_instant(p->to))
		memcpy(rule->cold, p->to, sizeof(rule->cold));
}

/* The texts that a rule of ours has. */
static int
is_of_ours(const char *in)
{
	static const char *const known[] = { "ID", "Status", "Prefix",
	    "Filter/Prefix", "Transition/Days", "Transition/StorageClass" };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(in, known[i]) == 0)
			return 1;
	return 0;
}

/* What a closed element in a rule says. */
static int
rule_note(struct parser *p, const struct s3_xml_node *n, struct s3_rule *rule)
{
	const char *in = n->path + strlen(ROOT "/Rule/");

	if (strcmp(in, "ID") == 0) {
		print_copy(rule->id, sizeof(rule->id), p->text);
	} else if (strcmp(in, "Status") == 0) {
		rule->enabled = strcmp(p->text, "Enabled") == 0;
	} else if (strcmp(in, "Prefix") == 0 ||
	    strcmp(in, "Filter/Prefix") == 0 ||
	    strcmp(in, "Filter/And/Prefix") == 0) {
		if (strlen(p->text) > S3_KEY_MAX)
			return -FIRN_ECORRUPT;
		memcpy(rule->prefix, p->text, strlen(p->text) + 1);
		rule->old_form |= in[0] == 'P';
	} else if (strcmp(in, "Filter/Tag") == 0 ||
	    strcmp(in, "Filter/And/Tag") == 0) {
		rule->tagged = 1;
	} else if (strcmp(in, "Expiration/Days") == 0 ||
	    strcmp(in, "Expiration/Date") == 0) {
		rule->expires = 1;
	} else if (strcmp(in, "Transition/StorageClass") == 0) {
		print_copy(p->to, sizeof(p->to), p->text);
	} else if (strcmp(in, "Transition/Days") == 0) {
		p->days = number_of(p->text);
	} else if (strcmp(in, "Transition") == 0) {
		transition_note(p, rule);
	}
	rule->more |= p->text[0] != '\0' && !is_of_ours(in);
	return 0;
}

static int
on_close(void *ctx, const struct s3_xml_node *n)
{
	struct parser *p = ctx;
	struct s3_rules *r = p->out;
	const char *text = n->text + strspn(n->text, " \t\r\n");
	size_t len = strlen(text);
	uint8_t digest[HASH_SIZE];
	struct s3_rule *rule;
	int err;

	if (p->other)
		return 0;
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	if (n->depth == 1) {
		r->inner = p->first;
		r->outer = n->empty ? n->start : n->end;
		return 0;
	}
	err = digest_add(p, n, text, len, digest);
	if (err != 0)
		return err;
	if (strncmp(n->path, ROOT "/Rule", strlen(ROOT "/Rule")) != 0 ||
	    (n->depth > 2 && n->path[strlen(ROOT "/Rule")] != '/') ||
	    r->n == 0)
		return 0;
	rule = &r->rule[r->n - 1];
	if (n->depth == 2 && strcmp(n->name, "Rule") != 0)
		return 0;
	if (n->depth == 2) {
		rule->start = n->start;
		rule->end = n->end;
		memcpy(rule->digest, digest, HASH_SIZE);
		return n->empty ? -FIRN_ECORRUPT : 0;
	}
	if (len >= sizeof(p->text))
		return -FIRN_ECORRUPT;
	memcpy(p->text, text, len);
	p->text[len] = '\0';
	return rule_note(p, n, rule);
}

int
s3_rules_parse(const void *text, size_t len, struct s3_rules *out)
{
	struct parser *p = calloc(1, sizeof(*p));
	int err;

	memset(out, 0, sizeof(*out));
	if (p == NULL)
		return -ENOMEM;
	p->out = out;
	err = len > S3_RULES_DOC ? -FIRN_ECORRUPT :
	    s3_xml_walk(text, len, on_open, on_close, p);
	if (err == 0 && p->other)
		err = -EOPNOTSUPP;
	free(p);
	return err;
}

void
s3_rules_release(struct s3_rules *r)
{
	free(r->rule);
	memset(r, 0, sizeof(*r));
}

const struct s3_rule *
s3_rules_find(const struct s3_rules *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->rule[i].id, id) == 0)
			return &r->rule[i];
	return NULL;
}

static void
text_add(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '&')
			buf_printf(out, "&amp;");
		else if (*text == '<')
			buf_printf(out, "&lt;");
		else if (*text == '>')
			buf_printf(out, "&gt;");
		else
			buf_add_u8(out, (uint8_t)*text);
}

/* S3 takes no rules of both forms in one document. */
static void
ours_add(struct buf *out, const char *space, int old_form, const char *id,
    const char *prefix, const char *class_name, unsigned days)
{
	char s[34] = "";

	if (space[0] != '\0')
		snprintf(s, sizeof(s), "%s:", space);
	buf_printf(out, "<%sRule><%sID>", s, s);
	text_add(out, id);
	buf_printf(out, "</%sID>", s);
	if (!old_form)
		buf_printf(out, "<%sFilter>", s);
	buf_printf(out, "<%sPrefix>", s);
	text_add(out, prefix);
	buf_printf(out, "</%sPrefix>", s);
	if (!old_form)
		buf_printf(out, "</%sFilter>", s);
	buf_printf(out, "<%sStatus>Enabled</%sStatus><%sTransition><%sDays>%u"
	    "</%sDays><%sStorageClass>", s, s, s, s, days, s, s);
	text_add(out, class_name);
	buf_printf(out, "</%sStorageClass></%sTransition></%sRule>", s, s, s);
}

int
s3_rules_edit(const void *text, const struct s3_rules *r, const char *id,
    const char *prefix, const char *class_name, unsigned days,
    struct buf *out, size_t *n)
{
	const char *t = text, *space = r->n > 0 ? r->space : "";
	int old_form = 0;
	size_t i, others = 0, at;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->rule[i].id, id) != 0) {
			old_form |= r->rule[i].old_form;
			others++;
		}
	*n = others + (class_name != NULL);
	/* All up to the first child, then what is not ours. */
	if (r->n > 0)
		buf_add(out, t, r->inner);
	else
		buf_printf(out, "<" ROOT " xmlns="
		    "\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (i = 0, at = r->inner; i < r->n; i++) {
		buf_add(out, t + at, r->rule[i].start - at);
		at = r->rule[i].end;
		if (strcmp(r->rule[i].id, id) != 0)
			buf_add(out, t + r->rule[i].start,
			    at - r->rule[i].start);
	}
	if (class_name != NULL)
		ours_add(out, space, old_form, id, prefix, class_name, days);
	if (r->n > 0)
		buf_add(out, t + at, r->outer - at);
	else
		buf_printf(out, "</" ROOT ">");
	return buf_err(out);
}

static int
digest_cmp(const void *a, const void *b)
{
	return memcmp(a, b, HASH_SIZE);
}

/* Sorted digests of the rules of others. */
static uint8_t (*
digests_of(const struct s3_rules *r, const char *id, size_t *n))[HASH_SIZE]
{
	uint8_t (*d)[HASH_SIZE] = calloc(r->n + 1, HASH_SIZE);
	size_t i;

	*n = 0;
	if (d == NULL)
		return NULL;
	for (i = 0; i < r->n; i++)
		if (strcmp(r->rule[i].id, id) != 0)
			memcpy(d[(*n)++], r->rule[i].digest, HASH_SIZE);
	qsort(d, *n, HASH_SIZE, digest_cmp);
	return d;
}

int
s3_rules_same(const struct s3_rules *a, const struct s3_rules *b,
    const char *id)
{
	size_t na, nb;
	uint8_t (*da)[HASH_SIZE] = digests_of(a, id, &na);
	uint8_t (*db)[HASH_SIZE] = digests_of(b, id, &nb);
	int same = da != NULL && db != NULL && na == nb &&
	    memcmp(da, db, na * HASH_SIZE) == 0;

	free(da);
	free(db);
	return same;
}

static int
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What a repository has below its prefix. */
static const char *const names[] = { "config", "keys/", "meta/", "index/",
	"gen/", "tier/", DATA };

/* Whether something by the name, or below it, may begin with `with`. */
static int
meets(const char *with, const char *prefix, const char *name)
{
	const char *rest = with + strlen(prefix);

	if (begins(prefix, with))
		return 1;
	return begins(with, prefix) && (begins(name, rest) ||
	    (strchr(name, '/') != NULL && begins(rest, name)));
}

int
s3_rule_harms(const struct s3_rule *r, const char *prefix,
    struct store_rule *out)
{
	int met = 0, beyond = 0;
	size_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (meets(r->prefix, prefix, names[i])) {
			met = 1;
			beyond |= strcmp(names[i], DATA) != 0;
		}
	if (!r->enabled || r->tagged || !met)
		return 0;
	memcpy(out->id, r->id, sizeof(out->id));
	out->expires = r->expires;
	if (beyond)
		memcpy(out->freezes, r->cold, sizeof(out->freezes));
	return out->expires || out->freezes[0] != '\0';
}
