/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of a bucket's lifecycle rules: what each says, as far as it
 * concerns us, and the document with one rule changed.  Pure; total over any
 * bytes.
 *
 * docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration
 * .html.  Rules of others are carried over as bytes, so elements that we do not
 * know stay.  Whether two documents have the same rules is told by digests over
 * their elements, in whatever order these are: servers write them anew.
 */
#ifndef FIRN_STORE_S3_RULES_H
#define FIRN_STORE_S3_RULES_H

#include "base/buf.h"
#include "crypto/hash.h"
#include "store/s3_xml.h"
#include "store/store_lifecycle.h"

#define S3_RULES_DOC	(4u << 20)	/* bytes of a document */
#define S3_RULES_MAX	1000		/* by S3 */

struct s3_rule {
	size_t start, end;	/* in the document */
	uint8_t digest[HASH_SIZE];
	char id[STORE_RULE_ID];
	char prefix[S3_KEY_MAX + 1];
	int old_form;		/* the prefix stands in the rule itself */
	int enabled;
	int more;	/* it says what a rule of ours does not */
	unsigned moves;	/* transitions */
	int tagged;		/* only for objects with tags: none of ours */
	int expires;
	char to[STORE_CLASS_SIZE];	/* of its last transition, "" none */
	unsigned days;			/* of that */
	char cold[STORE_CLASS_SIZE];	/* of one that is not instant */
};

struct s3_rules {
	struct s3_rule *rule;
	size_t n, cap;
	char space[32];		/* prefix of the name space of the root */
	size_t inner, outer;	/* offsets: past its start tag; of its end */
};

/* -FIRN_ECORRUPT, -ENOMEM, or -EOPNOTSUPP: a document of another kind, and no
 * page for people.  Release in any case. */
int s3_rules_parse(const void *text, size_t len, struct s3_rules *out);
void s3_rules_release(struct s3_rules *r);

/* Our rule, or NULL. */
const struct s3_rule *s3_rules_find(const struct s3_rules *r, const char *id);

/*
 * The document anew, with the rule `id` for `prefix` changed, added, or with
 * class_name NULL taken away.  *n: how many rules it has; without any there is
 * no document.
 */
int s3_rules_edit(const void *text, const struct s3_rules *r, const char *id,
    const char *prefix, const char *class_name, unsigned days,
    struct buf *out, size_t *n);

/* Whether both have the same rules, `id` aside. */
int s3_rules_same(const struct s3_rules *a, const struct s3_rules *b,
    const char *id);

/* What an enabled rule would do to a repository below `prefix`: 1 and *out, or
 * 0 for no harm.  That data packs are archived is none. */
int s3_rule_harms(const struct s3_rule *r, const char *prefix,
    struct store_rule *out);

#endif
