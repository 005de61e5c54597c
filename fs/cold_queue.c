/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that thaws for a mount.  A round: plan what became wanted, ask for
 * it, look how far all is, wake who can read.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/cold_internal.h"
#include "fs/resolve.h"
#include "repo/thaw_look.h"
#include "repo/thaw_plan.h"
#include "repo/thaw_send.h"

#define DEAF_SECONDS	5
#define REFUSED_SECONDS	300	/* somebody may have seen to it by then */
#define DEAD_SECONDS	10	/* between looks for waiters that died */
#define BATCH		1000	/* packs, which takes 4 seconds */
#define EXPEDITED_POLL	10	/* seconds; what takes minutes */

/* --- planning ----------------------------------------------------------- */

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
static int
job_add(struct cold *c, const struct packset *chosen)
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

/* All files that were wanted since. */
static int
plan(struct cold *c, struct want *wants, uint64_t upto)
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
		err = job_add(c, thaw_plan_packs(p));
	thaw_plan_free(p);
	if (err == 0)
		c->planned = upto;
	return err;
}

/* Files to be planned: a list, and up to which want it goes. */
static struct want *
wants_take(struct cold *c, uint64_t *upto)
{
	struct want *w;

	pthread_mutex_lock(&c->lock);
	w = c->wants;
	c->wants = NULL;
	*upto = c->wanted;
	pthread_mutex_unlock(&c->lock);
	return w;
}

/* What could not be planned is wanted still. */
static void
wants_back(struct cold *c, struct want *list)
{
	struct want **end;

	pthread_mutex_lock(&c->lock);
	for (end = &list; *end != NULL; end = &(*end)->next)
		continue;
	*end = c->wants;
	c->wants = list;
	pthread_mutex_unlock(&c->lock);
}

static void
wants_free(struct want *w)
{
	struct want *next;

	for (; w != NULL; w = next) {
		next = w->next;
		free(w);
	}
}

/* --- what is known ----------------------------------------------------- */

/* Count, for .firn/thaw; 1 when something is not readable yet. */
static int
show(struct cold *c)
{
	struct thaw_count n[3] = { { 0, 0 }, { 0, 0 }, { 0, 0 } }, *one;
	const struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if (!(p->flags & PACK_NEEDED))
			continue;
		one = pack_is_readable(p) ? &n[2] :
		    p->state == STORE_THAWING ? &n[1] : &n[0];
		one->packs++;
		one->bytes += p->size;
	}
	pthread_mutex_lock(&c->lock);
	c->shown.waiting = n[0];
	c->shown.thawing = n[1];
	c->shown.readable = n[2];
	c->shown.spent = c->spent;
	pthread_mutex_unlock(&c->lock);
	return n[0].packs + n[1].packs > 0;
}

static unsigned
interval(const struct cold *c)
{
	unsigned first = c->fs->opt->thaw_poll;

	if (c->job.wish.tier == STORE_THAW_EXPEDITED && first > EXPEDITED_POLL)
		first = EXPEDITED_POLL;
	return thaw_interval(first, c->looked - c->begun);
}

static void
note_look(struct cold *c)
{
	c->looked = cold_clock();
	if (c->begun == 0)
		c->begun = c->looked;
	pthread_mutex_lock(&c->lock);
	c->shown.looked = time(NULL);
	pthread_mutex_unlock(&c->lock);
}

/* --- asking ------------------------------------------------------------- */

/* Nobody will ask for these any more, of a class or of all (-1); who waits for
 * them is let go. */
static void
give_up_class(struct cold *c, int class)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if ((class < 0 || p->class == class) &&
		    !pack_is_readable(p) && p->state != STORE_THAWING)
			p->flags &= ~(unsigned)PACK_NEEDED;
	}
	if (c->noted && thaw_job_exists(c->fs->repo, &c->job))
		thaw_job_save(c->fs->repo, &c->job);
}

static void
give_up(struct cold *c)
{
	give_up_class(c, -1);
}

/* A look at all of them ended well: what it missed the store does not have.
 * Who waits for that reads again, and is told. */
static void
give_up_gone(struct cold *c)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if (!(p->flags & PACK_NEEDED) || (p->flags & PACK_SEEN))
			continue;
		p->flags &= ~(unsigned)PACK_NEEDED;
		p->flags |= PACK_GONE;
	}
}

static uint64_t
price_of_rest(struct cold *c, int *asks, int *priced)
{
	struct thaw_quote q;

	thaw_quote(&c->job.packs, c->fs->price, &c->job.wish, time(NULL), &q);
	*asks = q.need[THAW_ASK].packs + q.need[THAW_HASTEN].packs +
	    q.need[THAW_RENEW].packs > 0;
	*priced = q.priced;
	return q.tier[c->job.wish.tier].sum;
}

/* Is there something to be asked for that the budget allows? */
static int
may_ask(struct cold *c, uint64_t *sum)
{
	uint64_t budget = c->fs->opt->thaw_budget;
	int asks, priced, over;

	*sum = price_of_rest(c, &asks, &priced);
	over = asks && budget != UINT64_MAX &&
	    (!priced || price_add(c->spent, *sum) > budget);
	pthread_mutex_lock(&c->lock);
	if (over && !c->shown.over)
		log_warn(0, "thaw-budget is used up: archived data that is "
		    "read now is not asked for; remount with a larger one");
	c->shown.over = over;
	pthread_mutex_unlock(&c->lock);
	if (over)
		give_up(c);
	return asks && !over;
}

/* Leave up to BATCH of a class PACK_NEEDED, of those that are to be asked for,
 * from a number on; 0 when there are none. */
static size_t
batch_begin(struct cold *c, unsigned class, size_t *from)
{
	struct packset *s = &c->job.packs;
	time_t now = time(NULL);
	struct pack_info *p;
	enum thaw_need need;
	size_t i, n = 0;

	for (i = 0; i < s->n; i++) {
		p = &s->v[i];
		if (!(p->flags & PACK_NEEDED))
			continue;
		need = thaw_need(s, p, &c->job.wish, now);
		if (i >= *from && n < BATCH && p->class == class &&
		    (need == THAW_ASK || need == THAW_RENEW ||
		    need == THAW_HASTEN)) {
			if (++n == BATCH)
				*from = i + 1;
			continue;
		}
		p->flags &= ~(unsigned)PACK_NEEDED;
		p->flags |= PACK_HELD;
	}
	if (n < BATCH)
		*from = s->n;
	return n;
}

static void
batch_end(struct cold *c)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if (!(p->flags & PACK_HELD))
			continue;
		p->flags &= ~(unsigned)PACK_HELD;
		p->flags |= PACK_NEEDED;
	}
}

/* One batch, whose packs alone are PACK_NEEDED. */
static int
batch_send(struct cold *c, struct thaw_sent *all)
{
	struct thaw_send_conf conf = { .wish = c->job.wish, .job = &c->job,
	    .stop = &c->halt };
	struct thaw_sent sent;
	uint64_t before, after;
	int asks, priced, err;

	before = price_of_rest(c, &asks, &priced);
	err = thaw_send(c->fs->repo, &c->job.packs, &conf, &sent);
	after = price_of_rest(c, &asks, &priced);
	if (before > after)
		c->spent = price_add(c->spent, before - after);
	if (sent.asked.packs > 0)
		c->begun = cold_clock();
	all->no_capacity |= sent.no_capacity;
	all->cancelled |= sent.cancelled;
	return err;
}

/* Between two batches others are not kept waiting. */
static int
between(struct cold *c)
{
	int err = 0;

	if (cold_clock() - c->looked >= (time_t)interval(c)) {
		err = thaw_look(c->fs->repo, &c->job.packs, 1);
		note_look(c);
	}
	show(c);
	cold_wake(c);
	return err;
}

/* The store does not thaw this class at this tier; others it may. */
static void
class_refused(struct cold *c, unsigned class)
{
	log_err(0, "archived data of the class %s cannot be thawed at the tier "
	    "%s; remount with another thaw-tier",
	    c->job.packs.class_name[class],
	    store_thaw_tier_name(c->job.wish.tier));
	give_up_class(c, (int)class);
}

static int
send_all(struct cold *c, struct thaw_sent *all)
{
	unsigned class;
	size_t from;
	int err = 0;

	for (class = 0; class < c->job.packs.nclasses; class++)
		for (from = 0; from < c->job.packs.n;) {
			if (batch_begin(c, class, &from) > 0)
				err = batch_send(c, all);
			batch_end(c);
			if (err == -EOPNOTSUPP) {
				class_refused(c, class);
				err = 0;
				break;
			}
			if (err == 0 && from < c->job.packs.n)
				err = between(c);
			if (err != 0 || all->no_capacity)
				return err;
		}
	return 0;
}

/* The job's file is gone.  Who found all of it readable removes it as well,
 * which says nothing about what is wanted since. */
static int
is_cancelled(struct cold *c)
{
	const struct pack_info *p;
	size_t i;

	if (!c->noted || thaw_job_exists(c->fs->repo, &c->job))
		return 0;
	for (i = 0; i < c->nnoted && i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if ((p->flags & PACK_NEEDED) && !pack_is_readable(p))
			return 1;
	}
	return 0;
}

/* Somebody has removed the job's file. */
static int
cancelled(struct cold *c)
{
	log_warn(0, "the thaw of what is read through this mount was "
	    "cancelled");
	c->noted = 0;
	/* The kernel reads once more where it had read ahead in vain, which is
	 * no new wish. */
	atomic_store(&c->deaf, cold_clock() + DEAF_SECONDS);
	give_up(c);
	return 0;
}

/* cold=fail: what is in progress is followed, and nothing more is asked for. */
static int
follow(struct cold *c)
{
	int err;

	give_up(c);
	err = thaw_look(c->fs->repo, &c->job.packs, 1);
	if (err == 0) {
		give_up_gone(c);
		give_up(c);
	}
	return err;
}

static int
ask(struct cold *c)
{
	struct thaw_sent sent = { 0 };
	uint64_t sum;
	int err;

	err = thaw_look(c->fs->repo, &c->job.packs, 1);
	if (err == 0)
		give_up_gone(c);
	if (err != 0 || !may_ask(c, &sum))
		return err;
	if (is_cancelled(c))
		return cancelled(c);
	err = thaw_job_save(c->fs->repo, &c->job);
	if (err != 0)
		return err;
	c->noted = 1;
	c->nnoted = c->job.packs.n;
	err = send_all(c, &sent);
	if (err == 0 && sent.no_capacity) {
		log_warn(0, "S3 has no capacity for expedited retrievals now; "
		    "asking for the rest at the tier standard");
		c->job.wish.tier = STORE_THAW_STANDARD;
		thaw_job_save(c->fs->repo, &c->job);
		if (may_ask(c, &sum))
			err = send_all(c, &sent);
	}
	if (sent.cancelled)
		return cancelled(c);
	atomic_store(&c->refused, err == -EACCES ? cold_clock() +
	    REFUSED_SECONDS : 0);
	if (err != -EACCES)
		return err;
	log_err(0, "thaws need the permission s3:RestoreObject; see "
	    "firn-policy(7)");
	give_up(c);
	return 0;
}

/* --- rounds ------------------------------------------------------------- */

/* What another mount noted, and is readable as well by what is known here. */
static int
forget_done(void *ctx, struct thaw_job *j)
{
	struct cold *c = ctx;
	const struct pack_info *p;
	size_t i;

	if (strcmp(j->what, c->job.what) != 0)
		return 0;
	for (i = 0; i < j->packs.n; i++) {
		p = packset_find(&c->job.packs, j->packs.v[i].id);
		if (p == NULL || !pack_is_readable(p))
			return 0;
	}
	return thaw_job_remove(c->fs->repo, j->name);
}

/* All is readable, or given up: the job is done, and begins anew with the next
 * read. */
static void
job_reset(struct cold *c)
{
	thaw_job_each(c->fs->repo, forget_done, c);
	thaw_job_remove(c->fs->repo, c->job.name);
	thaw_job_release(&c->job);
	cold_job_init(c);
	c->begun = 0;
	c->noted = 0;
}

static int
is_anybody_parked(struct cold *c)
{
	int yes;

	pthread_mutex_lock(&c->lock);
	yes = c->parked != NULL;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* One round. */
static void
work(struct cold *c)
{
	uint64_t upto;
	struct want *wants = wants_take(c, &upto);
	int err = 0, pending;

	if (c->halt)
		c->planned = upto;
	else if (wants != NULL)
		err = plan(c, wants, upto);
	if (err == 0 && c->job.packs.n > 0)
		err = c->halt ? follow(c) : ask(c);
	note_look(c);
	if (err != 0 && err != -ECANCELED)
		log_warn(err, "cannot ask for thaws now; trying again");
	if (err != 0 && wants != NULL && c->planned < upto)
		wants_back(c, wants);
	else
		wants_free(wants);
	c->failed = err != 0;
	pending = show(c);
	cold_wake(c);
	if (!pending && c->job.packs.n > 0 && !is_anybody_parked(c))
		job_reset(c);
}

/* A mount that was killed left a job.  It may be that of another mount that is
 * there, so its file stays until all of it is readable. */
static int
take_over(void *ctx, struct thaw_job *j)
{
	struct cold *c = ctx;

	return strcmp(j->what, c->job.what) == 0 ? job_add(c, &j->packs) : 0;
}

/* What such jobs wanted is followed as far as it is in progress.  Nobody may
 * read the rest any more, so who does has to ask anew. */
static void
go_on(struct cold *c)
{
	struct pack_info *p;
	size_t i;
	int err;

	if (thaw_job_each(c->fs->repo, take_over, c) != 0 ||
	    c->job.packs.n == 0)
		return;
	err = thaw_look(c->fs->repo, &c->job.packs, 1);
	if (err != 0 && !c->ending)
		log_warn(err, "cannot look how far thaws are that an earlier "
		    "mount asked for");
	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		if (!(p->flags & PACK_SEEN) || p->state != STORE_THAWING)
			p->flags &= ~(unsigned)PACK_NEEDED;
	}
	work(c);
}

/* Until something is to be done: 1 for a round, 0 to look at who waits.  When
 * the mode has changed it is both. */
static int
sleep_until(struct cold *c)
{
	struct timespec until = { 0, 0 };
	time_t round, now = cold_clock();
	int rc = 0, due = 0;

	pthread_mutex_lock(&c->lock);
	round = c->looked + (time_t)interval(c);
	until.tv_sec = round;
	if (c->parked != NULL && until.tv_sec > now + DEAD_SECONDS)
		until.tv_sec = now + DEAD_SECONDS;
	/* After a failure what is wanted waits for the interval, too. */
	while (!c->ending && !c->stirred && rc == 0 &&
	    (c->wants == NULL || c->failed)) {
		if (c->job.packs.n == 0 && c->parked == NULL && !c->failed)
			pthread_cond_wait(&c->changed, &c->lock);
		else
			rc = pthread_cond_timedwait(&c->changed, &c->lock,
			    &until);
	}
	due = (rc == ETIMEDOUT && until.tv_sec >= round) || c->stirred ||
	    (c->wants != NULL && !c->failed);
	c->stirred = 0;
	pthread_mutex_unlock(&c->lock);
	return due;
}

void *
cold_run(void *ctx)
{
	struct cold *c = ctx;
	int due;

	if (cold_mode(c) != COLD_FAIL)
		go_on(c);
	while (!c->ending) {
		due = sleep_until(c);
		if (c->ending)
			break;
		cold_wake(c);	/* before a round, which may take long */
		if (due)
			work(c);
	}
	/* Nobody waits any more, and what is in progress goes on without. */
	if (c->noted)
		thaw_job_remove(c->fs->repo, c->job.name);
	return NULL;
}
