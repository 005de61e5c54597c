/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the store for what the job wants, as far as the budget and the
 * permissions go. */
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "fs/cold_internal.h"
#include "fs/cold_known.h"
#include "repo/thaw_look.h"
#include "repo/thaw_send.h"

#define DEAF_SECONDS	5
#define REFUSED_SECONDS	300	/* somebody may have seen to it by then */
#define SAY_SECONDS	3600	/* between two messages of one refusal */
#define BATCH		1000	/* packs, which takes 4 seconds */
#define PATIENCE	1000	/* ms for another process that asks */

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
	cold_job_update(c);
}

void
cold_give_up(struct cold *c)
{
	give_up_class(c, -1);
}

void
cold_give_up_gone(struct cold *c)
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

/* For what is to be looked at now. */
static void
look_begin(struct cold *c)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < c->job.packs.n; i++) {
		p = &c->job.packs.v[i];
		p->flags &= ~(unsigned)PACK_LOOKED;
		if ((p->flags & PACK_NEEDED) && !pack_is_readable(p))
			p->flags |= PACK_LOOKED;
	}
}

int
cold_look(struct cold *c)
{
	time_t began = cold_clock();
	int err;

	look_begin(c);
	err = thaw_look(c->fs->repo, &c->job.packs, 1);
	if (err == 0)
		cold_known_note(c->known, &c->job.packs, began);
	return err;
}

static uint64_t
price_of_rest(struct cold *c, int *asks, int *priced)
{
	struct thaw_quote q;

	thaw_quote(&c->job.packs, c->fs->price, &c->job.wish, time(NULL), &q);
	*asks = q.need[THAW_ASK].packs + q.need[THAW_HASTEN].packs > 0;
	*priced = q.priced;
	return q.tier[c->job.wish.tier].sum - q.tier[c->job.wish.tier].gets;
}

/* What the budget does not allow is given up. */
static void
note_over(struct cold *c, int over)
{
	pthread_mutex_lock(&c->lock);
	if (over && !c->shown.over)
		log_warn(0, "thaw-budget is used up: archived data that is "
		    "read now is not asked for; remount with a larger one");
	c->shown.over = over;
	pthread_mutex_unlock(&c->lock);
	if (over)
		cold_give_up(c);
}

/* Is there something to be asked for that the budget allows? */
static int
may_ask(struct cold *c, uint64_t *sum)
{
	uint64_t budget = c->fs->opt->thaw_budget;
	int asks, priced, over;

	*sum = price_of_rest(c, &asks, &priced);
	if (!asks)
		return 0;
	over = budget != UINT64_MAX && (!priced ||
	    price_add(thaw_job_spent(&c->job), *sum) > budget);
	note_over(c, over);
	return !over;
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
		    (need == THAW_ASK || need == THAW_HASTEN)) {
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
	    .price = c->fs->price, .limit = c->fs->opt->thaw_budget,
	    .stop = &c->halt, .patience = PATIENCE };
	time_t began = cold_clock();
	struct thaw_sent sent;
	int err;

	look_begin(c);
	err = thaw_send(c->fs->repo, &c->job.packs, &conf, &sent);
	if (err == 0)
		cold_known_note(c->known, &c->job.packs, began);
	if (sent.asked.packs > 0)
		c->begun = cold_clock();
	all->no_capacity |= sent.no_capacity;
	all->cancelled |= sent.cancelled;
	all->over |= sent.over;
	return err;
}

/* Between two batches others are not kept waiting. */
static int
between(struct cold *c)
{
	int err = 0;

	if (cold_clock() - c->looked >= (time_t)cold_interval(c)) {
		err = cold_look(c);
		cold_note_look(c);
	}
	cold_show(c);
	cold_wake(c);
	return err;
}

/* Each read may meet with it again. */
static void
say_once(struct cold *c, const char *text)
{
	if (errors_fresh(c->fs->errors, text, SAY_SECONDS))
		log_err(0, "%s", text);
}

/* The store does not thaw this class at this tier; others it may. */
static void
class_refused(struct cold *c, unsigned class)
{
	char text[STORE_CLASS_SIZE + 128];

	snprintf(text, sizeof(text), "archived data of the class %s cannot be "
	    "thawed at the tier %s; remount with another thaw-tier",
	    c->job.packs.class_name[class],
	    store_thaw_tier_name(c->job.wish.tier));
	say_once(c, text);
	give_up_class(c, (int)class);
}

/* A command asks for thaws now, which may take long.  Who waits here for what
 * is in progress is not kept waiting with us; -EBUSY: for a new round, as more
 * is wanted. */
static int
others_ask(struct cold *c)
{
	int more;

	pthread_mutex_lock(&c->lock);
	more = c->wants.n > 0;
	pthread_mutex_unlock(&c->lock);
	return more ? -EBUSY : between(c);
}

static int
send_all(struct cold *c, struct thaw_sent *all)
{
	unsigned class;
	size_t from, begin;
	int err = 0;

	for (class = 0; class < c->job.packs.nclasses; class++)
		for (from = 0; from < c->job.packs.n;) {
			begin = from;
			if (batch_begin(c, class, &from) > 0)
				err = batch_send(c, all);
			batch_end(c);
			if (err == -EBUSY) {
				from = begin;
				err = others_ask(c);
				if (err != 0)
					return err;
				continue;
			}
			cold_job_update(c);	/* what was spent */
			if (err == -EOPNOTSUPP) {
				class_refused(c, class);
				err = 0;
				break;
			}
			if (err == 0 && from < c->job.packs.n)
				err = between(c);
			if (err != 0 || all->no_capacity || all->over)
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
	cold_give_up(c);
	return 0;
}


int
cold_ask(struct cold *c)
{
	struct thaw_sent sent = { 0 };
	uint64_t sum;
	int err;

	err = cold_look(c);
	if (err == 0)
		cold_give_up_gone(c);
	if (err != 0 || !may_ask(c, &sum))
		return err;
	if (is_cancelled(c))
		return cancelled(c);
	err = cold_job_save(c);
	if (err != 0)
		return err;
	err = send_all(c, &sent);
	if (err == 0 && sent.no_capacity) {
		log_warn(0, "S3 has no capacity for expedited retrievals now; "
		    "asking for the rest at the tier standard");
		c->job.wish.tier = STORE_THAW_STANDARD;
		cold_job_update(c);
		sent.no_capacity = 0;
		if (may_ask(c, &sum))
			err = send_all(c, &sent);
	}
	if (sent.over)
		note_over(c, 1);
	if (sent.cancelled)
		return cancelled(c);
	atomic_store(&c->refused, err == -EACCES ? cold_clock() +
	    REFUSED_SECONDS : 0);
	if (err != -EACCES)
		return err;
	say_once(c, "thaws need the permission s3:RestoreObject; see "
	    "firn-policy(7)");
	cold_give_up(c);
	return 0;
}
