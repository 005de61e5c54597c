/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bucket does with what is put: conditions, overwriting, bodies and
 * checksums that are wrong, classes, reading back.
 */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/s3_probe_internal.h"

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

	trial_name(t, "a");
	err = s3_conditional_ask(t->s, t->name, &c, &t->no);
	if (err == 0 && c == STORE_COND_REFUSED)
		err = trial_put(t, t->name, "trial", 5, "trial", NULL);
	if (trial_is_fatal(err))
		return err;
	t->put = err == 0;
	if (t->put)
		found_conditional(t, c);
	else
		probe_found(t->p, "trial", STORE_FACT, "s3:PutObject on probe/",
		    "what takes an object of one's own is not looked into: "
		    "conditional writes, checksums, overwriting, throughput",
		    "this key may not put below probe/ (%s)", trial_reason(t));
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
		err = trial_ask(t, &call);
	if (trial_is_fatal(err))
		return err;
	if (err != 0)
		probe_found(t->p, "overwrite", STORE_OK, NULL, NULL,
		    "refused (%s)", trial_reason(t));
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
	return trial_clear(t, t->name);
}

/* Whether a put is refused whose body is another than was signed for. */
static int
body_hash(struct trial *t)
{
	int err;

	trial_name(t, "b");
	err = trial_put(t, t->name, "x", 1, "y", NULL);
	if (trial_is_fatal(err))
		return err;
	if (err != 0 && trial_is_body_refused(t)) {
		probe_found(t->p, "signed-body", STORE_OK, NULL, NULL,
		    "a body that was changed on its way is refused (%s)",
		    trial_reason(t));
		return 0;
	}
	probe_found(t->p, "signed-body", STORE_WARNING, NULL,
	    "firn notices when it reads; run `firn check --read-data` from "
	    "time to time", "a body that was changed on its way is %s",
	    err == 0 ? "stored" : trial_reason(t));
	return err == 0 ? trial_clear(t, t->name) : 0;
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
		err = header.value == NULL ? -ENOMEM : trial_put(t, t->name,
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

	trial_name(t, "c");
	err = checksum_put(t, "wrong");
	if (trial_is_fatal(err))
		return err;
	refused = err != 0 && t->no.status == 400;
	if (err == 0)
		err = trial_clear(t, t->name);
	trial_name(t, "d");
	err = checksum_put(t, "right");
	if (trial_is_fatal(err))
		return err;
	if (err == 0) {
		err = s3_head(t->s, t->name, &t->rp, &t->no);
		looked = err == 0;
		kept = looked && s3_checksum_parse(t->rp.checksum, sum);
	}
	if (trial_is_fatal(err))
		return err;
	found_checksums(t, refused, kept, looked);
	return trial_clear(t, t->name);
}

/* Leaves its object, if there is one. */
static int
get_back(struct trial *t)
{
	char back[16];
	int err;

	trial_name(t, "e");
	err = trial_put(t, t->name, "0123456789", 10, "0123456789", NULL);
	if (err == 0)
		err = trial_get(t, t->name, back, 4);
	if (trial_is_fatal(err))
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
		err = trial_put(t, name, "x", 1, "x", &header);
		if (trial_is_fatal(err))
			return err;
		out = err == 0 ? yes : no;
		snprintf(out + strlen(out), 256 - strlen(out), "%s%s",
		    out[0] != '\0' ? " " : "", class[i]);
		if (err == 0)
			err = trial_clear(t, name);
		if (err != 0 && trial_is_fatal(err))
			return err;
	}
	probe_found(t->p, "classes", STORE_FACT, NULL, NULL,
	    "taken: %s; refused: %s", yes[0] != '\0' ? yes : "none",
	    no[0] != '\0' ? no : "none");
	return 0;
}

int
s3_probe_put(struct trial *t)
{
	int err = conditional(t);

	if (err != 0 || !t->put)
		return err;
	err = overwrite(t);
	if (err == 0)
		err = body_hash(t);
	if (err == 0)
		err = checksums(t);
	if (err == 0 && t->p->conf->classes)
		err = classes(t);
	return err == 0 ? get_back(t) : err;
}
