/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's job: what is wanted of the archive and not read yet, and what was
 * spent on it, in a file that outlives the mount if it is killed. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/cold_internal.h"
#include "repo/thaw_look.h"
#include "repo/thaw_owner.h"

void
cold_job_init(struct cold *c)
{
	/* Copies are not renewed: who waits does not wait for one that is
	 * there, and when it ends before it is read, the reader asks. */
	const struct thaw_wish wish = { .tier = c->fs->opt->thaw_tier,
	    .days = c->fs->opt->thaw_days, .once = 1 };
	char what[THAW_JOB_WHAT];
	uint64_t spent = thaw_job_spent(&c->job);

	thaw_owner_what(c->fs->opt->mountpoint, what);
	thaw_job_init(&c->job, &wish, what);
	c->job.budget = c->fs->opt->thaw_budget;
	c->job.spent = spent;
	c->begun = 0;
}

int
cold_job_save(struct cold *c)
{
	int err = 0;

	if (c->owner < 0)
		err = thaw_owner_take(c->fs->repo, &c->job, &c->owner);
	if (err == 0)
		err = thaw_job_save(c->fs->repo, &c->job);
	if (err != 0)
		return err;
	c->noted = 1;
	c->nnoted = c->job.packs.n;
	return 0;
}

void
cold_job_update(struct cold *c)
{
	if (c->noted && thaw_job_exists(c->fs->repo, &c->job))
		thaw_job_save(c->fs->repo, &c->job);
}

void
cold_job_end(struct cold *c)
{
	if (c->noted)
		thaw_job_remove(c->fs->repo, c->job.name);
	c->noted = 0;
	thaw_owner_drop(c->fs->repo, c->job.name, c->owner);
	c->owner = -1;
}

void
cold_job_reset(struct cold *c)
{
	if (c->noted && thaw_owner_counts(&c->job)) {
		/* Without packs it keeps the count. */
		packset_release(&c->job.packs);
		c->job.wish.tier = c->fs->opt->thaw_tier;
		c->begun = 0;
		c->nnoted = 0;
		cold_job_update(c);
		return;
	}
	cold_job_end(c);
	thaw_job_release(&c->job);
	cold_job_init(c);
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

/* What it wanted is followed as far as it is in progress.  Nobody may read the
 * rest any more, so who does has to ask anew. */
static int
adopt_job(struct cold *c, struct thaw_job *j)
{
	uint64_t before = c->job.spent;
	struct pack_info *p;
	size_t i;
	int err;

	err = thaw_look(c->fs->repo, &j->packs, 0);
	if (err == 0)
		thaw_job_settle(j, &j->packs);
	for (i = 0; i < j->packs.n; i++) {
		p = &j->packs.v[i];
		if (!(p->flags & PACK_SEEN) || p->state != STORE_THAWING)
			p->flags &= ~(unsigned)PACK_NEEDED;
	}
	if (err == 0)
		err = cold_job_add(c, &j->packs);
	if (err != 0)
		return err;
	c->job.spent = price_add(c->job.spent, thaw_job_spent(j));
	if (c->job.packs.n > 0 || thaw_owner_counts(&c->job))
		err = cold_job_save(c);
	if (err != 0)
		c->job.spent = before;	/* it is tried again */
	return err == 0 ? thaw_job_remove(c->fs->repo, j->name) : err;
}

static int
adopt_one(void *ctx, struct thaw_job *j)
{
	struct cold *c = ctx;
	char name[THAW_JOB_NAME];
	int owner, ret;

	if (strcmp(j->what, c->job.what) != 0 ||
	    strcmp(j->name, c->job.name) == 0)
		return 0;
	ret = thaw_owner_claim(c->fs->repo, j->name, &owner);
	if (ret == 0)
		c->adopted = 0;		/* when a command is done with it */
	if (ret <= 0)
		return ret;
	/* A command may have gone on with it meanwhile. */
	memcpy(name, j->name, sizeof(name));
	thaw_job_release(j);
	ret = thaw_job_load(c->fs->repo, name, j);
	if (ret == 0)
		ret = adopt_job(c, j);
	thaw_owner_drop(c->fs->repo, name, owner);
	return ret < 0 ? ret : 0;
}

int
cold_job_adopt(struct cold *c)
{
	int err;

	if (c->adopted)
		return 0;
	c->adopted = 1;
	err = thaw_job_each(c->fs->repo, adopt_one, c);
	if (err != 0)
		c->adopted = 0;
	return err;
}
