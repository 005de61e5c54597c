/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `firn thaw`; each returns an exit status. */
#ifndef FIRN_TOOLS_CMD_THAW_H
#define FIRN_TOOLS_CMD_THAW_H

#include "tools/thawing.h"

/* thaw_jobs.c */
int thaw_status(struct tool *t);
int thaw_list(struct tool *t);
/* All jobs, or those whose names begin so. */
int thaw_cancel(struct tool *t, int argc, char **argv);

/* cmd_thaw.c: is there a disk cache that takes what is read?  To be asked before
 * anything is paid for. */
int thaw_cache_check(const struct thawing *w);
/* Read what lies at these paths, so that the disk cache has it. */
int thaw_fill_cache(struct thawing *w, const struct generation *g,
    const char *const *paths, int npaths);

#endif
