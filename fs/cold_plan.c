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

/* Into the job what a plan has chosen.  It failed to be read just now, so what
 * was known of it counts no more. */
int
cold_job_add(struct cold *c, const struct packset *chosen)
{
	const struct pack_info *p;
	size_t i, n;
	int ret;

	for (i = 0; i < chosen->n; i++) {
		p = &chosen->v[i];
		if (!(p->flags & PACK_NEEDED))
			continue;
		ret = packset_add(&c->job.packs, p->id, p->size, &n);
		if (ret < 0)
			return ret;
		c->job.packs.v[n].flags |= PACK_NEEDED;
		c->job.packs.v[n].flags &= ~(unsigned)(PACK_SEEN | PACK_GONE);
	}
	return 0;
}

int
cold_plan(struct cold *c, struct want *wants, uint64_t upto)
{
	struct thaw_plan *p = NULL;
	struct want *w;
	int err;

	err = thaw_plan_new(c->fs->repo, &c->halt, &p);
	for (w = wants; w != NULL && err == 0; w = w->next)
		plan_one(c, p, w->node);
	if (err == 0)
		err = thaw_look(c->fs->repo, thaw_plan_packs(p), 0);
	if (err == 0)
		err = thaw_plan_choose(p);
	if (err == 0)
		err = cold_job_add(c, thaw_plan_packs(p));
	thaw_plan_free(p);
	if (err == 0)
		c->planned = upto;
	return err;
}

struct want *
cold_wants_take(struct cold *c, uint64_t *upto)
{
	struct want *w;

	pthread_mutex_lock(&c->lock);
	w = c->wants;
	c->wants = NULL;
	*upto = c->wanted;
	pthread_mutex_unlock(&c->lock);
	return w;
}

void
cold_wants_back(struct cold *c, struct want *list)
{
	struct want **end;

	pthread_mutex_lock(&c->lock);
	for (end = &list; *end != NULL; end = &(*end)->next)
		continue;
	*end = c->wants;
	c->wants = list;
	pthread_mutex_unlock(&c->lock);
}

void
cold_wants_free(struct want *w)
{
	struct want *next;

	for (; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
}
