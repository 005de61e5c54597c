/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of an examination, and the objects that are put for trial.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "store/s3_probe_internal.h"
#include "store/s3_xml.h"

int
trial_ask(struct trial *t, struct s3_call *call)
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

int
trial_is_fatal(int err)
{
	return err == -ECANCELED || err == -ENOMEM;
}

const char *
trial_reason(const struct trial *t)
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

int
trial_put(struct trial *t, const char *name, const void *body, size_t len,
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
	return err != 0 ? err : trial_ask(t, &call);
}

int
trial_del(struct trial *t, const char *name)
{
	struct s3_call call = {
		.verb = STORE_DEL, .method = S3_HTTP_DELETE, .name = name,
		.check = s3_bare_check,
	};
	int err = trial_ask(t, &call);

	return err == -ENOENT ? 0 : err;
}

int
trial_get(struct trial *t, const char *name, void *out, size_t len)
{
	char range[64];
	struct s3_call call = {
		.verb = STORE_GET, .method = S3_HTTP_GET, .name = name,
		.nheaders = 1, .header = { { "range", range } },
		.out = out, .outlen = len,
	};

	snprintf(range, sizeof(range), "bytes=0-%zu", len - 1);
	return trial_ask(t, &call);
}

int
trial_clear(struct trial *t, const char *name)
{
	int err = trial_del(t, name);

	if (trial_is_fatal(err))
		return err;
	if (err != 0 && t->nleft++ < LEFT_MAX)
		snprintf(t->left[t->nleft - 1], sizeof(t->left[0]), "%s",
		    name);
	return 0;
}

void
trial_name(struct trial *t, const char *step)
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

int
trial_list(struct trial *t, const char *part, char name[STORE_NAME_MAX + 1])
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
	err = trial_ask(t, &call);
	if (err == 0 && s3_xml_list(doc.data, doc.len, &l) != 0)
		err = -EIO;
	buf_release(&doc);
	snprintf(name, STORE_NAME_MAX + 1, "%s", err == 0 ? f.name : "");
	return err;
}

int
trial_is_body_refused(const struct trial *t)
{
	static const char *const code[] = { "XAmzContentSHA256Mismatch",
	    "XAmzContentChecksumMismatch", "BadDigest" };
	size_t i;

	for (i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		if (strcmp(t->no.code, code[i]) == 0)
			return 1;
	return 0;
}
