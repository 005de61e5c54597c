/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lifecycle rules of a bucket: the one rule by which S3 itself moves data packs
 * of this repository into another class after some days, and what the rules of
 * others would do to the repository.
 *
 * A bucket has one document for all its rules, which is replaced as a whole.
 * So it is read, the rules of others are put back as they were written, to the
 * byte, and what is there in the end is read and compared.  A document is sent
 * once; where its answer is lost or asks to come again, all is read again first.
 * S3 has no condition for it: what others put between our reading and our
 * putting, an instant, is lost, and nobody can tell.
 */
#ifndef FIRN_STORE_STORE_LIFECYCLE_H
#define FIRN_STORE_STORE_LIFECYCLE_H

#include "store/store.h"

#define STORE_RULE_ID		256
#define STORE_RULES_HARMFUL	8

struct store_rule {
	char id[STORE_RULE_ID];	/* printable; "" for none */
	int expires;		/* it deletes objects of the repository */
	/* Objects that are not data packs go into this class, which cannot be
	 * read at once; or "". */
	char freezes[STORE_CLASS_SIZE];
};

struct store_lifecycle {
	int set;		/* our rule is there and enabled: */
	char class_name[STORE_CLASS_SIZE];
	unsigned days;
	unsigned others;	/* rules that are not ours */
	/* Those of them, enabled, that do harm; nharmful may be more than are
	 * kept. */
	unsigned nharmful;
	struct store_rule harmful[STORE_RULES_HARMFUL];
};

/* -EOPNOTSUPP: no bucket, or a server without rules.  -EACCES: it takes
 * s3:GetLifecycleConfiguration.  Logged, but for a store that is no bucket. */
int store_lifecycle_get(struct store *s, struct store_lifecycle *out);
/*
 * Move data packs into this class when they are so old; class_name NULL: take
 * our rule away.  *out is what is there then.  It takes
 * s3:PutLifecycleConfiguration too.  -EINVAL: what S3 would refuse.
 * -EIO: what is there afterwards is not what was put.  Logged.
 */
int store_lifecycle_set(struct store *s, const char *class_name,
    unsigned days, struct store_lifecycle *out);

#endif
