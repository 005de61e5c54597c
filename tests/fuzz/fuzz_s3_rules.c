/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lifecycle documents: any bytes.  What could be read can be edited, and what
 * comes of that reads as the same rules but ours, which is as it was set.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store/s3_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
edit(const uint8_t *data, const struct s3_rules *r)
{
	struct buf out = BUF_INIT(S3_RULES_DOC + 8192);
	const struct s3_rule *ours;
	struct s3_rules after;
	size_t n;

	if (s3_rules_edit(data, r, "us", "a/data/", "GLACIER", 5, &out,
	    &n) != 0)
		__builtin_trap();
	if (n <= S3_RULES_MAX && out.len <= S3_RULES_DOC) {
		if (s3_rules_parse(out.data, out.len, &after) != 0)
			__builtin_trap();
		ours = s3_rules_find(&after, "us");
		if (after.n != n || ours == NULL || !ours->enabled ||
		    ours->days != 5 || strcmp(ours->to, "GLACIER") != 0 ||
		    !s3_rules_same(r, &after, "us"))
			__builtin_trap();
		s3_rules_release(&after);
	}
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_rule harm;
	struct s3_rules r;
	size_t i;

	if (s3_rules_parse(data, size, &r) == 0) {
		for (i = 0; i < r.n; i++)
			s3_rule_harms(&r.rule[i], "a/", &harm);
		edit(data, &r);
	}
	s3_rules_release(&r);
	return 0;
}
