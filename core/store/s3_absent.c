/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting an object only where there is none.
 *
 * Every put asks for it with If-None-Match, so that a bucket can be made to
 * refuse the others.  What comes of it depends on the server:
 *
 *	it honours the header	one of many wins, and knows
 *	it refuses the header	(501) it is left out from then on
 *	it ignores the header	every put succeeds; Ceph does so in a bucket
 *				with versions, so a bucket may begin to
 *
 * Most names are of the hash of their bytes or random, and need no more.  Where
 * one name is fought for (STORE_IF_ABSENT), which of the three it is is tried
 * in the bucket itself, and on the latter two servers writers exclude each
 * other with claims: small objects "probe/claim-HASH/NONCE", where HASH is of
 * the name.
 *
 *	put a claim, list the claims
 *	alone:		look whether the name is taken; put; read back; delete
 *			the claim
 *	not alone:	the smallest nonce waits until it is; the others take
 *			theirs back, wait, and look whether the name is taken
 *
 * Of two writers one lists after both claims are put, so they are never both
 * alone.  This needs what S3 and its like promise: what was put is listed.  A
 * claim of over 15 minutes, by the server's clock, is that of a writer that
 * died, and does not count.  What remains: a put that the server carries out
 * later than that.
 *
 * A conditional put carries a random nonce as user metadata: when a reply got
 * lost and the repetition finds the name taken, the nonce tells whether by
 * ourselves.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/store_s3_internal.h"

#define CLAIM_AGE	(15 * 60)	/* seconds */
#define CLAIM_LATE	(CLAIM_AGE / 2)	/* no put begins by then */
#define CLAIM_WAIT	30		/* seconds for others to be done */
#define CLAIMS_MAX	64		/* others at once */
#define YIELDS_MAX	5		/* after which pauses grow no more: 4 s */
#define PAUSE_SLICE	20000000	/* ns; as long as a stop may wait */
#define COMPARE_MAX	(1u << 20)

/* Never set, and goes on while the machine sleeps, as the claims' age does. */
static time_t
monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

int
s3_nonce(char out[S3_NONCE_SIZE])
{
	uint8_t r[(S3_NONCE_SIZE - 1) / 2];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return log_err(-EIO, "no random bytes");
	hex_encode(r, sizeof(r), out);
	return 0;
}

/* An answer that no server should give to a put. */
static int
senseless(struct s3 *s, const struct s3_call *call,
    const struct s3_http_reply *rp)
{
	return log_err(-EIO, "cannot write '%s' in '%s': the server's answer "
	    "makes no sense (status %d)", call->name, s->base.url, rp->status);
}

/* Did it fail because of the header?  B2 and Swift say 501. */
static int
is_refused(const struct s3_refusal *no)
{
	return no->status == 501 || (no->status == 400 &&
	    strcmp(no->code, "NotImplemented") == 0);
}

/* Logs why, but for what was logged where it failed before any request. */
static int
told(int err, const struct s3_refusal *no, const char *what)
{
	return no->text[0] == '\0' ? err : log_err(err, "%s%s", what, no->text);
}

/* One stray refusal does not undo what was tried and seen. */
static void
note_refused(struct s3 *s)
{
	int was = atomic_load(&s->conditional);

	if (was != STORE_COND_YES)
		atomic_compare_exchange_strong(&s->conditional, &was,
		    STORE_COND_REFUSED);
}

/*
 * Put, on the condition that there is nothing where the server takes that.
 * -EEXIST only where it does.  `must`: it is known to, others rely on it, and
 * a stray refusal is a failure like any other.
 */
static int
put_conditional(struct s3 *s, struct s3_call *call, struct s3_http_reply *rp,
    int must)
{
	struct s3_refusal no;
	size_t plain = call->nheaders;
	int err;

	if (must || atomic_load(&s->conditional) != STORE_COND_REFUSED) {
		call->header[call->nheaders++] =
		    (struct sigv4_pair){ "if-none-match", "*" };
		call->refusal = &no;
		err = s3_client_do(s->client, call, rp);
		call->refusal = NULL;
		call->nheaders = plain;
		if (err == -ENOENT || err == -ERANGE || err == -FIRN_ECOLD)
			return senseless(s, call, rp);
		if (err == 0 || err == -EEXIST || err == -ECANCELED)
			return err;
		if (must || !is_refused(&no))
			return told(err, &no, "");
	}
	err = s3_client_do(s->client, call, rp);
	if (err == 0)
		note_refused(s);
	return err == -ENOENT || err == -EEXIST || err == -ERANGE ||
	    err == -FIRN_ECOLD ? senseless(s, call, rp) : err;
}

/* Byte by byte, from a server that keeps neither metadata nor checksums. */
static int
has_bytes(struct s3 *s, const struct s3_call *call)
{
	struct buf b = BUF_INIT(COMPARE_MAX);
	int err;

	if (call->len > COMPARE_MAX)
		return 0;
	err = store_load(&s->base, call->name, &b);
	if (err == 0)
		err = b.len == call->len &&
		    (b.len == 0 || memcmp(b.data, call->body, b.len) == 0);
	buf_release(&b);
	return err == -ENOENT ? 0 : err;
}

/* Is what has the name what this call put?  1, 0, or -errno with *no. */
static int
is_ours(struct s3 *s, const struct s3_call *call, const char *nonce,
    struct s3_refusal *no)
{
	uint8_t stored[STORE_SHA256];
	struct s3_http_reply rp;
	int err = s3_head(s, call->name, &rp, no);

	if (err != 0)
		return err == -ENOENT ? 0 : err;
	if (rp.nonce[0] != '\0')
		return strcmp(rp.nonce, nonce) == 0;
	if (!rp.has_length || rp.length != call->len)
		return 0;
	if (s3_checksum_parse(rp.checksum, stored))
		return memcmp(stored, call->sha256, STORE_SHA256) == 0;
	return has_bytes(s, call);
}

/* The name is taken; by us, if only the reply was lost. */
static int
resolve_taken(struct s3 *s, const struct s3_call *call, const char *nonce,
    unsigned flags)
{
	struct s3_refusal no;
	int ret = is_ours(s, call, nonce, &no);

	/* A key that may only write cannot look.  Nobody else puts an object
	 * of a name that is ours alone. */
	if (ret == -EACCES && (flags & STORE_UNIQUE))
		return 0;
	if (ret < 0)
		return ret == -ECANCELED ? ret : told(ret, &no, "");
	return ret ? 0 : -EEXIST;
}

static int
put_guarded(struct s3 *s, struct s3_call *call, const char *nonce,
    unsigned flags, int must)
{
	struct s3_http_reply rp;
	int err;

	call->header[call->nheaders++] =
	    (struct sigv4_pair){ "x-amz-meta-firn-put", nonce };
	err = put_conditional(s, call, &rp, must);
	call->nheaders--;
	if (err == -EEXIST && rp.sent > 1)
		err = resolve_taken(s, call, nonce, flags);
	return err;
}

/* Trying what the bucket makes of the header. */

static int
trial_put(struct s3 *s, const char *name, const char *body,
    struct s3_http_reply *rp, struct s3_refusal *no)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	char checksum[S3_CHECKSUM_SIZE];
	uint8_t sum[HASH_SIZE];
	struct s3_call call = {
		.verb = STORE_PUT, .method = S3_HTTP_PUT, .name = name,
		.nheaders = 1, .header = { { "if-none-match", "*" } },
		.body = body, .len = strlen(body), .sha256 = sum, .doc = &doc,
		.check = s3_put_check, .refusal = no,
	};
	int err = hash_sha256(body, strlen(body), sum);

	call.nheaders += s3_put_conf_headers(&s->put, 0,
	    call.header + call.nheaders);
	if (err == 0)
		err = s3_checksum_add(&call, checksum);
	if (err == 0)
		err = s3_client_do(s->client, &call, rp);
	buf_release(&doc);
	return err;
}

/* The second put of a name says it, as does a first that had to be repeated
 * and then found itself. */
static int
trial(struct s3 *s, const char *name, enum store_conditional *out,
    struct s3_refusal *no)
{
	struct s3_http_reply rp;
	int err = trial_put(s, name, "first", &rp, no);

	if (err == 0)
		err = trial_put(s, name, "second", &rp, no);
	else if (err == -EEXIST && rp.sent < 2)
		return -EIO;
	if (err == 0)
		*out = STORE_COND_IGNORED;
	else if (err == -EEXIST)
		*out = STORE_COND_YES;
	else if (is_refused(no))
		*out = STORE_COND_REFUSED;
	else
		return err;
	return 0;
}

enum store_conditional
s3_conditional_known(struct store *base)
{
	return (enum store_conditional)atomic_load(&s3_of(base)->conditional);
}

int
s3_conditional_ask(struct s3 *s, const char *name,
    enum store_conditional *out, struct s3_refusal *no)
{
	int err;

	memset(no, 0, sizeof(*no));
	err = trial(s, name, out, no);
	if (err == 0)
		atomic_store(&s->conditional, *out);
	return err;
}

int
s3_conditional(struct store *base, enum store_conditional *out)
{
	struct s3 *s = s3_of(base);
	char nonce[S3_NONCE_SIZE], name[STORE_NAME_MAX + 1];
	struct s3_refusal no;
	int err;

	*out = s3_conditional_known(base);
	if (*out != STORE_COND_UNKNOWN)
		return 0;
	err = s3_nonce(nonce);
	if (err != 0)
		return err;
	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s", nonce);
	err = s3_conditional_ask(s, name, out, &no);
	/* Nothing was asked, and why has been said. */
	if (err != 0 && err != -EIO && no.text[0] == '\0')
		return err;
	if (err != 0)
		return err == -ECANCELED ? err : log_err(err, "cannot find out "
		    "whether '%s' honours conditional writes: %s", base->url,
		    no.text[0] != '\0' ? no.text : "the server's answers make "
		    "no sense");
	if (*out != STORE_COND_REFUSED)
		(void)s3_discard(s, name);
	return 0;
}

/* Claims. */

struct claim {
	struct s3 *s;
	const struct s3_call *call;
	char prefix[64];		/* "probe/claim-HASH/" */
	char nonce[S3_NONCE_SIZE];
	char name[STORE_NAME_MAX + 1];
	time_t since;			/* monotonic, of our present claim */
	unsigned yields;		/* times it stood back */
	/* What a listing of them showed. */
	unsigned n;
	struct {
		char nonce[S3_NONCE_SIZE];
		time_t mtime;
	} seen[CLAIMS_MAX];
};

static int
claim_init(struct claim *c, struct s3 *s, const struct s3_call *call)
{
	uint8_t sum[HASH_SIZE];
	char hex[2 * 16 + 1];
	int err;

	memset(c, 0, sizeof(*c));
	c->s = s;
	c->call = call;
	err = hash_sha256(call->name, strlen(call->name), sum);
	if (err != 0)
		return err;
	hex_encode(sum, 16, hex);
	snprintf(c->prefix, sizeof(c->prefix), STORE_PROBE_PREFIX "claim-%s/",
	    hex);
	return 0;
}

static int
claim_put(struct claim *c)
{
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	char checksum[S3_CHECKSUM_SIZE];
	uint8_t sum[HASH_SIZE];
	struct s3_call call = {
		.verb = STORE_PUT, .method = S3_HTTP_PUT, .name = c->name,
		.body = c->nonce, .sha256 = sum, .doc = &doc,
		.check = s3_put_check,
	};
	struct s3_http_reply rp;
	int err = s3_nonce(c->nonce);

	c->since = monotonic();
	snprintf(c->name, sizeof(c->name), "%s%s", c->prefix, c->nonce);
	call.len = strlen(c->nonce);
	call.nheaders += s3_put_conf_headers(&c->s->put, 0, call.header);
	if (err == 0)
		err = hash_sha256(c->nonce, call.len, sum);
	if (err == 0)
		err = s3_checksum_add(&call, checksum);
	if (err == 0)
		err = s3_client_do(c->s->client, &call, &rp);
	buf_release(&doc);
	return err;
}

static int
claim_see(void *ctx, const char *name, const struct store_stat *st)
{
	struct claim *c = ctx;
	const char *nonce = name + strlen(c->prefix);

	if (strlen(nonce) != S3_NONCE_SIZE - 1)
		return 0;
	if (c->n == CLAIMS_MAX)
		return 1;		/* more than enough */
	memcpy(c->seen[c->n].nonce, nonce, S3_NONCE_SIZE);
	c->seen[c->n++].mtime = st->mtime.tv_sec;
	return 0;
}

enum place { ALONE, FIRST, BEHIND, UNSEEN };

/* Where our claim stands; those of the dead are cleared away. */
static int
claim_place(struct claim *c, enum place *out)
{
	char dead[STORE_NAME_MAX + 1];
	unsigned i, own, others = 0, smaller = 0;
	int ret;

	c->n = 0;
	ret = store_list(&c->s->base, c->prefix, claim_see, c);
	if (ret < 0)
		return ret;
	for (own = 0; own < c->n; own++)
		if (strcmp(c->seen[own].nonce, c->nonce) == 0)
			break;
	*out = ret == 1 ? BEHIND : UNSEEN;
	if (own == c->n)
		return 0;
	for (i = 0; i < c->n; i++) {
		if (c->seen[own].mtime - c->seen[i].mtime > CLAIM_AGE) {
			snprintf(dead, sizeof(dead), "%s%s", c->prefix,
			    c->seen[i].nonce);
			(void)s3_discard(c->s, dead);
		} else if (i != own) {
			others++;
			smaller += strcmp(c->seen[i].nonce, c->nonce) < 0;
		}
	}
	*out = others == 0 && ret == 0 ? ALONE : smaller == 0 ? FIRST : BEHIND;
	return 0;
}

/* At least 20 ms, at random up to 131 ms more, doubled `doublings` times. */
static int
claim_pause(struct claim *c, unsigned doublings)
{
	struct timespec t = { 0, PAUSE_SLICE };
	uint16_t r = 0;
	long left = PAUSE_SLICE;

	if (getrandom(&r, sizeof(r), 0) == sizeof(r))
		left += (r * 2000l) << doublings;
	for (; left > 0; left -= PAUSE_SLICE) {
		if (store_is_canceled(&c->s->base))
			return -ECANCELED;
		nanosleep(&t, NULL);
	}
	return store_is_canceled(&c->s->base) ? -ECANCELED : 0;
}

static int
name_taken(struct claim *c)
{
	struct s3_http_reply rp;
	int err = s3_head(c->s, c->call->name, &rp, NULL);

	return err == 0 ? -EEXIST : err == -ENOENT ? 0 : err;
}

/* Stand back for those before us.  0: a claim is put again. */
static int
claim_yield(struct claim *c)
{
	int err;

	if (!s3_discard(c->s, c->name))
		return log_err(-EACCES, "cannot write '%s' in '%s': another "
		    "writer is at it, the server does not honour conditional "
		    "writes, and this key may not delete '%s', which keeps the "
		    "other waiting; try again in %d minutes", c->call->name,
		    c->s->base.url, c->name, CLAIM_AGE / 60 + 1);
	/* Longer each time: many who come again at once would keep the first
	 * of them from ever being alone. */
	err = claim_pause(c, c->yields);
	if (c->yields < YIELDS_MAX)
		c->yields++;
	if (err == 0)
		err = name_taken(c);
	return err == 0 ? claim_put(c) : err;
}

/* Until there is no other claim than ours: 0.  -EEXIST: too late. */
static int
claim_take(struct claim *c)
{
	time_t start = monotonic();
	enum place place = UNSEEN;
	int err = claim_put(c);

	while (err == 0) {
		err = claim_place(c, &place);
		if (err != 0 || place == ALONE)
			break;
		if (monotonic() - start > CLAIM_WAIT) {
			(void)s3_discard(c->s, c->name);
			return log_err(-EBUSY, "cannot write '%s' in '%s': %s",
			    c->call->name, c->s->base.url, place == UNSEEN ?
			    "the server does not list what was put" :
			    "another writer is at it, or died less than 15 "
			    "minutes ago; try again later");
		}
		err = place == BEHIND ? claim_yield(c) :
		    claim_pause(c, 0);
	}
	if (err == 0)
		err = name_taken(c);
	if (err != 0)
		(void)s3_discard(c->s, c->name);
	return err;
}

/* Under our claim. */
static int
put_claimed(struct claim *c, struct s3_call *call)
{
	char nonce[S3_NONCE_SIZE];
	struct s3_refusal no;
	int err = s3_nonce(nonce), ret;

	if (monotonic() - c->since >= CLAIM_LATE)
		return log_err(-EBUSY, "cannot write '%s' in '%s': our claim "
		    "is too old by now; try again", call->name,
		    c->s->base.url);
	if (err == 0)
		err = put_guarded(c->s, call, nonce, STORE_IF_ABSENT, 0);
	if (err != 0)
		return err;
	ret = is_ours(c->s, call, nonce, &no);
	if (ret < 0)
		return ret == -ECANCELED ? ret : told(ret, &no, "cannot read "
		    "back what was written: ");
	if (ret == 0)
		return -EEXIST;
	if (monotonic() - c->since >= CLAIM_AGE)
		return log_err(-ETIMEDOUT, "writing '%s' in '%s' took so long "
		    "that another may have written it as well", call->name,
		    c->s->base.url);
	return 0;
}

static int
put_with_claim(struct s3 *s, struct s3_call *call)
{
	struct claim c;
	int err = claim_init(&c, s, call);

	if (err == 0)
		err = name_taken(&c);
	if (err == 0)
		err = claim_take(&c);
	if (err != 0)
		return err;
	err = put_claimed(&c, call);
	(void)s3_discard(s, c.name);
	return err;
}

int
s3_absent_put(struct s3 *s, struct s3_call *call, unsigned flags)
{
	enum store_conditional mode;
	char nonce[S3_NONCE_SIZE];
	struct s3_http_reply rp;
	int err;

	if ((flags & (STORE_IF_ABSENT | STORE_UNIQUE)) == 0) {
		err = put_conditional(s, call, &rp, 0);
		return err == -EEXIST ? 0 : err;
	}
	if (flags & STORE_IF_ABSENT) {
		err = s3_conditional(&s->base, &mode);
		if (err != 0)
			return err;
		if (mode != STORE_COND_YES)
			return put_with_claim(s, call);
	}
	err = s3_nonce(nonce);
	return err != 0 ? err : put_guarded(s, call, nonce, flags,
	    (flags & STORE_IF_ABSENT) != 0);
}
