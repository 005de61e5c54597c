/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over a generation, each over what the one before had to leave. */
#include "base/err.h"
#include "base/log.h"
#include "repo/block_walk.h"
#include "tools/restore_thaw.h"

#define PASS_PART	8	/* of what is left, or all, makes a pass */

int
restore_thaw_begin(struct restore_thaw *r, const struct generation *g,
    const char *path, int dry_run)
{
	const char *what = *path != '\0' ? path : "/";
	int status;

	status = thawing_begin(&r->w);
	if (status == 0)
		status = thawing_want(&r->w, g, path);
	if (status == 0)
		status = thawing_quote(&r->w);
	if (status == 0 && r->then_cache && !dry_run)
		status = thaw_cache_check(&r->w);
	if (status != 0)
		return status;
	thawing_show(&r->w, what);
	if (dry_run || !thawing_asks(&r->w))
		return 0;
	status = thawing_agree(&r->w);
	return status != 0 ? status : thawing_ask(&r->w, what);
}

/* --- one file ----------------------------------------------------------- */

struct file_look {
	struct thaw_plan *plan;
	int keep;
	int blocked;		/* a block of it cannot be read yet */
	int late;		/* it was passed over before */
};

static int
look_block(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len)
{
	struct file_look *l = ctx;
	int ret = thaw_plan_where(l->plan, id, l->keep);

	(void)len;
	if (ret < 0)
		return ret;
	l->blocked |= !(ret & THAW_BLOCK_READY);
	l->late |= ret & THAW_BLOCK_LATE;
	return 0;
}

int
restore_thaw_ready(struct restore_thaw *r, const struct entry *e)
{
	struct file_look l = { .plan = r->w.plan };
	struct block_visit v = { .block = look_block, .ctx = &l,
	    .stop = &tool_stop };
	int err;

	err = block_walk_file(r->w.rd, e, &v);
	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	/* What cannot be found out, the restore itself will fail on. */
	if (err != 0)
		return r->again ? RESTORE_PAST : RESTORE_NOW;
	/* First: what is done may have ended. */
	if (r->again && !l.late)
		return RESTORE_PAST;
	if (l.blocked) {
		l.keep = 1;
		err = block_walk_file(r->w.rd, e, &v);
		return err != 0 ? err : RESTORE_LATER;
	}
	return RESTORE_NOW;
}

/* --- passes ------------------------------------------------------------- */

/* What no file that is left needs is let go; unless some failed for having
 * ended: nobody knows which, so all are looked at again. */
static void
let_go(struct restore_thaw *r, const struct restore_result *pass)
{
	struct packset *s = r->w.set;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (pass->cold == 0 && !(s->v[i].flags & PACK_KEEP))
			s->v[i].flags &= ~(unsigned)PACK_NEEDED;
		s->v[i].flags &= ~(unsigned)(PACK_KEEP | PACK_LATE);
		if (pass->cold > 0 || !pack_is_readable(&s->v[i]))
			s->v[i].flags |= PACK_LATE;
	}
}

/* Until enough has arrived for another pass: status. */
static int
wait_for_some(struct restore_thaw *r)
{
	struct thaw_count before, left, gone;
	int status;

	thawing_left(&r->w, &before, &gone);
	left = before;
	while (left.packs > 0 && before.packs - left.packs <
	    before.packs / PASS_PART + (before.packs < PASS_PART)) {
		status = thawing_round(&r->w);
		if (status != 0)
			return status;
		thawing_left(&r->w, &left, &gone);
		if (left.packs > before.packs)
			before = left;		/* some have ended */
	}
	return 0;
}

static void
add(struct restore_result *sum, const struct restore_result *pass)
{
	sum->files += pass->files;
	sum->bytes += pass->bytes;
	sum->unchanged += pass->unchanged;
	/* What had ended comes again. */
	sum->failed += pass->failed - sum->cold;
	sum->cold = pass->cold;
	sum->left = pass->left;
	sum->skipped_owners += pass->skipped_owners;
}

int
restore_thaw_rest(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *sum)
{
	struct restore_result pass = *sum;
	int err = 0, status = 0;

	r->again = 1;
	while (status == 0 && pass.left + pass.cold > 0) {
		/* Some ended while it was read: which, a look tells. */
		if (pass.cold > 0)
			status = thawing_round(&r->w);
		let_go(r, &pass);
		if (status == 0)
			status = wait_for_some(r);
		if (status != 0)
			break;
		progress_clear(r->w.progress);
		err = restore_run(tree, g->rec.root, path, target, conf,
		    &pass);
		if (err != 0)
			return tool_exit(err);
		add(sum, &pass);
	}
	if (status == 0)
		thawing_done(&r->w);
	return status;
}
