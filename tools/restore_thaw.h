/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restore of what is archived: first what can be read, and the rest in
 * passes, as it arrives.  A pass deals with the files that were passed over
 * before it, and what they alone need is kept from ending meanwhile.
 */
#ifndef FIRN_TOOLS_RESTORE_THAW_H
#define FIRN_TOOLS_RESTORE_THAW_H

#include "backup/restore.h"
#include "tools/cmd_thaw.h"

struct restore_thaw {
	struct thawing w;
	int then_cache;
	int again;		/* not the first pass */
};

/* Plan, quote, ask the person and the store: status. */
int restore_thaw_begin(struct restore_thaw *r, const struct generation *g,
    const char *path, int dry_run);
/* For restore_conf.ready. */
int restore_thaw_ready(struct restore_thaw *r, const struct entry *e);
/* After the first pass: wait and go on until nothing is left; adds to *sum:
 * status. */
int restore_thaw_rest(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *sum);

#endif
