/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restore of what is archived: first what can be read, and the rest in
 * passes, as it arrives.  What is in the target already needs no thaw, but to
 * fill the disk cache.  A pass deals with the files that were passed over
 * before it, and what they alone need is kept from ending meanwhile; so is,
 * during the pass, what it has yet to read.  What was
 * to come from the disk cache and is gone from there when it comes to be read
 * is thawed then, after the same questions.
 */
#ifndef FIRN_TOOLS_RESTORE_THAW_H
#define FIRN_TOOLS_RESTORE_THAW_H

#include <pthread.h>

#include "backup/restore.h"
#include "tools/cmd_thaw.h"

/* Files by what they contain; a few that are not in it may be taken for some
 * that are, which are then looked at once more. */
struct fileset {
	uint64_t *v;
	size_t n, cap;
};

/* restore_keep.c: the thread that looks after copies while a pass reads.  It
 * alone has the parts of `w` that ask and reckon, as long as it runs. */
struct restore_keep {
	pthread_t thread;
	int runs;
	pthread_mutex_t lock;	/* of what is below, of the packs in the plan,
				   and of `at` */
	pthread_cond_t changed;
	int ending;
};

struct restore_thaw {
	struct thawing w;
	int then_cache;
	int again;		/* not the first pass */
	int more;		/* packs came into the plan in this pass */
	const char *what;	/* for people */
	/* Files of the pass before: left out, and archived when they came to
	 * be read.  And of this pass. */
	struct fileset left, cold, now_left, now_cold;
	int err;		/* of on_cold */
	uint32_t at;		/* the file that the pass has come to, from 1 */
	struct restore_keep keep;
};

/* Plan, quote, ask the person and the store: status.  What lies in the target
 * as it should, by conf, is not planned. */
int restore_thaw_begin(struct restore_thaw *r, const struct generation *g,
    const char *path, const char *target, const struct restore_conf *conf);
/* For restore_conf.ready. */
int restore_thaw_ready(struct restore_thaw *r, const struct entry *e,
    int there);
/* For restore_conf.cold. */
void restore_thaw_cold(struct restore_thaw *r, const struct entry *e);
/* One pass: restore_run(), and what its files need is kept from ending
 * meanwhile. */
int restore_thaw_pass(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *pass);
/* After the first pass: wait and go on until nothing is left; adds to *sum:
 * status. */
int restore_thaw_rest(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *sum);
void restore_keep_init(struct restore_thaw *r);
void restore_keep_release(struct restore_thaw *r);
/* For the pass.  Does without a thread where there is nothing to be kept. */
void restore_keep_begin(struct restore_thaw *r);
void restore_keep_end(struct restore_thaw *r);
/* Instead of thawing_end(). */
void restore_thaw_end(struct restore_thaw *r);

#endif
