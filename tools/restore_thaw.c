/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over a generation, each over what the one before had to leave. */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/block_walk.h"
#include "tools/restore_thaw.h"

#define PASS_PART	8	/* of what is left, or all, makes a pass */

/* For the walk that plans. */
static int
plan_file(void *ctx, const struct entry *e, int there)
{
	struct restore_thaw *r = ctx;
	int err;

	thaw_plan_at(r->w.plan, ++r->at);
	err = there ? 0 : thaw_plan_entry(r->w.plan, r->w.tree, e);
	/* Others are logged, and the restore fails on them. */
	return err == -ECANCELED || err == -ENOMEM ? err : RESTORE_PAST;
}

/* Plan what a restore would write: status. */
static int
plan(struct restore_thaw *r, const struct generation *g, const char *path,
    const char *target, const struct restore_conf *conf)
{
	struct restore_conf look = *conf;
	struct restore_result none;

	if (r->then_cache) {
		thaw_plan_at(r->w.plan, UINT32_MAX);	/* to the end */
		return thawing_want(&r->w, g, path);
	}
	look.dry_run = 1;
	look.delete = 0;
	look.ready = plan_file;
	look.progress = NULL;
	look.file = NULL;
	look.ctx = r;
	return tool_exit(restore_run(r->w.tree, g->rec.root, path, target,
	    &look, &none));
}

int
restore_thaw_begin(struct restore_thaw *r, const struct generation *g,
    const char *path, const char *target, const struct restore_conf *conf)
{
	const char *what = *path != '\0' ? path : "/";
	int status;

	r->what = what;
	restore_keep_init(r);
	status = thawing_begin(&r->w);
	if (status == 0)
		status = plan(r, g, path, target, conf);
	if (status == 0)
		status = thawing_quote(&r->w);
	if (status == 0 && r->then_cache && !conf->dry_run)
		status = thaw_cache_check(&r->w);
	if (status != 0)
		return status;
	thawing_show(&r->w, what);
	if (conf->dry_run || !thawing_asks(&r->w))
		return 0;
	status = thawing_agree(&r->w);
	return status != 0 ? status : thawing_ask(&r->w, what);
}

/* --- sets of files ------------------------------------------------------ */

static uint64_t
hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len-- > 0)
		h = (h ^ *p++) * 0x100000001b3u;
	return h;
}

/* The same for all names of a file. */
static uint64_t
file_key(const struct entry *e)
{
	uint64_t h = 0xcbf29ce484222325u;

	h = hash(h, &e->size, sizeof(e->size));
	h = hash(h, &e->ino, sizeof(e->ino));
	h = hash(h, e->list_id, sizeof(e->list_id));
	return e->extentslen > 0 ? hash(h, e->extents, e->extentslen) : h;
}

static int
fileset_add(struct fileset *s, uint64_t key)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : 64;
	uint64_t *v;

	if (s->n == s->cap) {
		v = realloc(s->v, cap * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = key;
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The set of this pass becomes that of the pass before. */
static void
fileset_turn(struct fileset *before, struct fileset *now)
{
	struct fileset old = *before;

	*before = *now;
	*now = old;
	now->n = 0;
	if (before->n > 0)
		qsort(before->v, before->n, sizeof(*before->v), by_key);
}

static int
fileset_has(const struct fileset *s, uint64_t key)
{
	return s->n > 0 && bsearch(&key, s->v, s->n, sizeof(*s->v), by_key) !=
	    NULL;
}

/* --- one file ----------------------------------------------------------- */

struct file_look {
	struct restore_thaw *r;
	int keep;
	int blocked;		/* a block of it cannot be read yet */
	int unplanned;		/* nor is it in the plan */
};

static int
look_block(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len)
{
	struct file_look *l = ctx;
	int ret;

	(void)len;
	pthread_mutex_lock(&l->r->keep.lock);
	ret = thaw_plan_where(l->r->w.plan, id, l->keep);
	pthread_mutex_unlock(&l->r->keep.lock);
	if (ret < 0)
		return ret;
	l->blocked |= !(ret & THAW_BLOCK_READY);
	l->unplanned |= ret & THAW_BLOCK_NEW;
	return 0;
}

static int
want_block(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len)
{
	const struct file_look *l = ctx;
	int err;

	(void)len;
	pthread_mutex_lock(&l->r->keep.lock);
	err = thaw_plan_more(l->r->w.plan, id);
	pthread_mutex_unlock(&l->r->keep.lock);
	return err;
}

/* It is left for another pass: what it needs is kept, and asked for where
 * nobody did. */
static int
leave(struct restore_thaw *r, const struct entry *e, struct file_look *l,
    int want)
{
	struct block_visit v = { .block = look_block, .ctx = l,
	    .stop = &tool_stop };
	int err;

	l->keep = 1;
	err = block_walk_file(r->w.rd, e, &v);
	v.block = want_block;
	if (err == 0 && want)
		err = block_walk_file(r->w.rd, e, &v);
	r->more |= want;
	if (err == 0)
		err = fileset_add(&r->now_left, file_key(e));
	if (err == 0)
		return RESTORE_LATER;
	return err == -ECANCELED || err == -ENOMEM ? err : RESTORE_NOW;
}

int
restore_thaw_ready(struct restore_thaw *r, const struct entry *e, int there)
{
	struct file_look l = { .r = r };
	struct block_visit v = { .block = look_block, .ctx = &l,
	    .stop = &tool_stop };
	int err, was_cold;

	pthread_mutex_lock(&r->keep.lock);
	thaw_plan_at(r->w.plan, ++r->at);
	pthread_mutex_unlock(&r->keep.lock);
	was_cold = r->again && fileset_has(&r->cold, file_key(e));
	if (r->again && !was_cold && !fileset_has(&r->left, file_key(e)))
		return RESTORE_PAST;
	if (there && !was_cold)
		return RESTORE_NOW;
	err = block_walk_file(r->w.rd, e, &v);
	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	/* What cannot be found out, the restore itself will fail on. */
	if (err != 0 || !(l.blocked || was_cold))
		return RESTORE_NOW;
	return leave(r, e, &l, l.unplanned || was_cold);
}

void
restore_thaw_cold(struct restore_thaw *r, const struct entry *e)
{
	int err = fileset_add(&r->now_cold, file_key(e));

	if (r->err == 0)
		r->err = err;
}

/* --- passes ------------------------------------------------------------- */

/* What no file that is left needs is let go. */
static void
let_go(struct restore_thaw *r)
{
	struct packset *s = r->w.set;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (!(s->v[i].flags & PACK_KEEP))
			s->v[i].flags &= ~(unsigned)PACK_NEEDED;
		s->v[i].flags &= ~(unsigned)PACK_KEEP;
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
	/* Those that were archived are tried again. */
	sum->failed += pass->failed - pass->cold;
	sum->skipped_owners += pass->skipped_owners;
}

/* Between two passes: status. */
static int
prepare(struct restore_thaw *r, const struct restore_result *pass)
{
	int status = tool_exit(r->err);

	let_go(r);
	/* Some ended while it was read: which, a look tells. */
	if (status == 0 && pass->cold > 0)
		status = thawing_round(&r->w);
	if (status == 0 && r->more)
		status = thawing_more(&r->w, r->what);
	r->more = 0;
	return status == 0 ? wait_for_some(r) : status;
}

/* All that was asked for is there: what a pass leaves now must be asked for. */
static int
is_idle(const struct restore_thaw *r)
{
	struct thaw_count left, gone;

	thawing_left(&r->w, &left, &gone);
	return left.packs == 0;
}

int
restore_thaw_pass(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *pass)
{
	int err;

	r->at = 0;
	restore_keep_begin(r);
	err = restore_run(tree, g->rec.root, path, target, conf, pass);
	restore_keep_end(r);
	return err;
}

int
restore_thaw_rest(struct restore_thaw *r, struct tree *tree,
    const struct generation *g, const char *path, const char *target,
    const struct restore_conf *conf, struct restore_result *sum)
{
	struct restore_result pass = *sum;
	uint64_t left;
	int err = 0, status = 0, idle;

	sum->failed -= pass.cold;
	r->again = 1;
	while (pass.left + pass.cold > 0) {
		status = prepare(r, &pass);
		if (status != 0)
			break;
		left = pass.left;
		idle = pass.cold == 0 && is_idle(r);
		fileset_turn(&r->left, &r->now_left);
		fileset_turn(&r->cold, &r->now_cold);
		progress_clear(r->w.progress);
		err = restore_thaw_pass(r, tree, g, path, target, conf, &pass);
		if (err != 0)
			return tool_exit(err);
		add(sum, &pass);
		if (idle && pass.left >= left && pass.cold == 0 && !r->more &&
		    is_idle(r)) {
			log_err(0, "%llu files wait for archived data that "
			    "nothing was asked for; run the same command again",
			    (unsigned long long)pass.left);
			status = EXIT_FAILED;
			break;
		}
	}
	/* Of those, none came in a later pass. */
	sum->cold = sum->left = pass.left + pass.cold;
	sum->failed += sum->cold;
	if (status == 0)
		thawing_done(&r->w);
	return status;
}

void
restore_thaw_end(struct restore_thaw *r)
{
	thawing_end(&r->w);
	restore_keep_release(r);
	free(r->left.v);
	free(r->cold.v);
	free(r->now_left.v);
	free(r->now_cold.v);
}
