/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `firn tier`.  What returns a status returns 0 or an exit status
 * and has said why.
 */
#ifndef FIRN_TOOLS_CMD_TIER_H
#define FIRN_TOOLS_CMD_TIER_H

#include "store/store_lifecycle.h"
#include "tools/census.h"
#include "tools/tool.h"

enum { TIER_OLDER = 256, TIER_YES };

struct tier_run {
	struct tool *t;
	int dry_run;
	int yes;
	unsigned older;		/* days */
	int older_given;
	struct census census;
};

/* May this be a class of this repository's store? */
int tier_class(struct tier_run *r, const char *text);

int tier_move(struct tier_run *r, const char *class_name);

/* NULL, NULL: no rule. */
int tier_rule(struct tier_run *r, const char *class_name, const char *days);
void tier_rule_print(const struct store_lifecycle *l);
/* As members of j. */
void tier_rule_json(const struct store_lifecycle *l, struct json *j);

#endif
