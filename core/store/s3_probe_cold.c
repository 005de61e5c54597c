/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `firn doctor` asks about the cold tier: may this key thaw, and what do
 * the bucket's lifecycle rules do to the repository.
 *
 * A thaw is asked for of an object that is not there: rights are decided first,
 * so the answer tells them, and nothing is paid for.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/s3_probe_internal.h"

static int
thaws(struct trial *t)
{
	static const struct sigv4_pair query = { "restore", "" };
	static const char text[] = "<RestoreRequest xmlns="
	    "\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>1</Days>"
	    "</RestoreRequest>";
	struct buf doc = BUF_INIT(S3_DOC_MAX);
	char name[STORE_NAME_MAX + 1];
	struct s3_document d;
	struct s3_call call = {
		.verb = STORE_THAW, .method = S3_HTTP_POST, .name = name,
		.query = &query, .nquery = 1, .doc = &doc,
	};
	int err = s3_document_add(&call, text, strlen(text), &d);

	snprintf(name, sizeof(name), "data/%s", t->nonce);
	if (err == 0)
		err = trial_ask(t, &call);
	buf_release(&doc);
	if (trial_is_fatal(err))
		return err;
	if (err == -ENOENT)
		probe_found(t->p, "thaw", STORE_OK, NULL, NULL, "this key may "
		    "have archived contents restored");
	else if (err == -EACCES)
		probe_found(t->p, "thaw", STORE_FACT, "s3:RestoreObject on data/",
		    "contents in GLACIER or DEEP_ARCHIVE cannot be read with "
		    "this key", "this key may not have archived contents "
		    "restored (%s)", trial_reason(t));
	else
		probe_found(t->p, "thaw", STORE_FACT, NULL, "keep contents in a "
		    "class that is read at once", "the server does not restore "
		    "archived contents (%s)", trial_reason(t));
	return 0;
}

static void
found_rules(struct probe *p, const struct store_lifecycle *l)
{
	unsigned i;

	for (i = 0; i < l->nharmful && i < STORE_RULES_HARMFUL; i++)
		probe_found(p, "lifecycle", STORE_WARNING, "change that rule",
		    l->harmful[i].expires ? "backups will be lost" : "nothing "
		    "can be listed or backed up then", "the rule '%s' %s",
		    l->harmful[i].id, l->harmful[i].expires ?
		    "deletes objects of the repository" :
		    "archives what is not contents");
	if (l->nharmful > 0)
		return;
	if (l->set)
		probe_found(p, "lifecycle", STORE_OK, NULL, NULL,
		    "contents go to %s after %u days; no rule does harm",
		    l->class_name, l->days);
	else
		probe_found(p, "lifecycle", STORE_OK, NULL, NULL,
		    "no rule does harm here (%u rules)", l->others);
}

static int
rules(struct trial *t)
{
	struct store_lifecycle l;
	int err = s3_lifecycle_ask(t->s, &l, &t->no);

	if (trial_is_fatal(err))
		return err;
	if (err == 0)
		found_rules(t->p, &l);
	else
		probe_found(t->p, "lifecycle", STORE_FACT,
		    "s3:GetLifecycleConfiguration", NULL, "%s (%s)",
		    err == -EACCES ? "this key may not ask what the bucket's "
		    "rules do" : "the server does not say", trial_reason(t));
	return 0;
}

int
s3_probe_cold(struct trial *t)
{
	enum store_role role = t->p->conf->role;
	int err = 0;

	/* Who only adds reads nothing. */
	if (role != STORE_ROLE_WRITER)
		err = thaws(t);
	return err == 0 && role == STORE_ROLE_OWNER ? rules(t) : err;
}
