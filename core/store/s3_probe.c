/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examining a bucket: is there a server, what does the bucket keep, and the
 * order of all.  What is stored for trial lies below "probe/".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/s3_probe_internal.h"
#include "store/s3_xml.h"

#define SKEW_NOTED	60	/* seconds */

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
	int err = trial_list(t, "keys/", name);

	if (trial_is_fatal(err))
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
	int err = trial_ask(t, &call);

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

	if (trial_is_fatal(err))
		return err;
	if (err != 0) {
		probe_found(t->p, "versioning", STORE_FACT,
		    "s3:GetBucketVersioning", NULL, "%s (%s)%s",
		    t->no.status == 403 ? "this key may not ask" :
		    "the server does not say", trial_reason(t), t->versions == 1 ?
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

	if (trial_is_fatal(err))
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
		    "this key may not ask (%s)", trial_reason(t));
	else
		probe_found(t->p, "object-lock", STORE_FACT, NULL, NULL,
		    "none (%s)", err == 0 ? "off" : trial_reason(t));
	return 0;
}

/* All that takes an object of our own.  A reader has none. */
static int
with_object(struct trial *t)
{
	int err = s3_probe_put(t);

	if (err == 0)
		err = s3_probe_speed(t);
	return err == 0 && t->put ? trial_clear(t, t->name) : err;
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
		ret = s3_probe_rights(t);
	if (ret == 0)
		ret = s3_probe_cold(t);
	if (ret == 0)
		leftovers(t);
out:
	if (t != NULL)
		free(t->bytes);
	free(t);
	return ret;
}
