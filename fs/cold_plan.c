/* SPDX-License-Identifier: Apache-2.0 */
/* From files that are wanted to the packs that they need. */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/cold_internal.h"
#include "fs/resolve.h"
#include "repo/thaw_look.h"
#include "repo/thaw_plan.h"

static void
plan_one(struct cold *c, struct thaw_plan *plan, uint64_t node)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct dir_rec dir;
	int err;

	err = resolve_entry(c->fs, node, &pos, &dir);
	if (err == 0) {
		err = thaw_plan_entry(plan, c->fs->tree, tree_entry(&pos));
		tree_pos_release(c->fs->tree, &pos);
	}
	/* Its reader will hear of it when it reads again. */
	if (err != 0 && err != -ESTALE && err != -ECANCELED)
		log_warn(err, "cannot find out which packs a file needs");
}

static int
plan_all(struct cold *c, const struct cold_wants *w)
{
	struct thaw_plan *p = NULL;
	size_t i;
	int err;

	err = thaw_plan_new(c->fs->repo, &c->halt, &p);
	for (i = 0; i < w->n && err == 0 && !c->halt; i++)
		plan_one(c, p, w->node[i]);
	if (err == 0)
		err = thaw_look(c->fs->repo, thaw_plan_packs(p), 0);
	if (err == 0)
		err = thaw_plan_choose(p);
	if (err == 0)
		err = cold_job_add(c, thaw_plan_packs(p));
	thaw_plan_free(p);
	return err;
}

/* Files to be planned, and up to which want they go. */
static void
wants_take(struct cold *c, struct cold_wants *out, uint64_t *upto)
{
	pthread_mutex_lock(&c->lock);
	*out = c->wants;
	cold_wants_init(&c->wants);
	c->nplanning = out->n;
	*upto = c->wanted;
	pthread_mutex_unlock(&c->lock);
}

static void
wants_end(struct cold *c, struct cold_wants *w, int back)
{
	pthread_mutex_lock(&c->lock);
	if (back) {
		cold_wants_merge(w, &c->wants);
		c->wants = *w;
		cold_wants_init(w);
	} else {
		c->full = 0;
	}
	c->nplanning = 0;
	pthread_mutex_unlock(&c->lock);
	cold_wants_release(w);
}

int
cold_plan(struct cold *c)
{
	struct cold_wants wants;
	uint64_t upto;
	int err = 0;

	wants_take(c, &wants, &upto);
	if (wants.n > 0)
		err = plan_all(c, &wants);
	if (err == 0)
		c->planned = upto;
	wants_end(c, &wants, err != 0);
	return err;
}

void
cold_plan_nothing(struct cold *c)
{
	struct cold_wants wants;
	uint64_t upto;

	wants_take(c, &wants, &upto);
	c->planned = upto;
	wants_end(c, &wants, 0);
}
