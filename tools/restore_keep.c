/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that would end while a pass reads, which may take longer than they
 * last: a thread looks from time to time, and prolongs those that end soon and
 * are needed by a file that has not been read yet.
 *
 * What is needed still is told by the order of the files: a pack whose last
 * file lies further behind the walker than files are in work is not.  The
 * thread has a set of its own of these packs, so that no lock is held while
 * the store is asked.
 */
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "tools/restore_thaw.h"

/* Files that were handed out and may not be done: more than a restore keeps
 * waiting for its threads, and those. */
#define BEHIND	1024

void
restore_keep_init(struct restore_thaw *r)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&r->keep.lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->keep.changed, &attr);
	pthread_condattr_destroy(&attr);
}

void
restore_keep_release(struct restore_thaw *r)
{
	pthread_cond_destroy(&r->keep.changed);
	pthread_mutex_destroy(&r->keep.lock);
}

static int
is_kept(const struct restore_thaw *r, const struct pack_info *p)
{
	return (p->flags & PACK_NEEDED) && p->state == STORE_THAWED &&
	    (uint64_t)p->last + BEHIND >= r->at;
}

/* What is known of a pack, from one set into another that has it. */
static void
copy_state(struct packset *to, struct pack_info *dst,
    const struct packset *from, const struct pack_info *src)
{
	const uint32_t seen = PACK_SEEN | PACK_UNSURE;

	dst->flags = (dst->flags & ~seen) | (src->flags & seen);
	dst->state = src->state;
	dst->expires = src->expires;
	dst->tier = src->tier;
	dst->days = src->days;
	dst->class = packset_class(to, from->class_name[src->class]);
}

/* The packs to look after: 0 or -ENOMEM. */
static int
take(struct restore_thaw *r, struct packset *out)
{
	const struct packset *s = thaw_plan_packs(r->w.plan);
	const struct pack_info *p;
	size_t i, n;
	int ret = 0;

	pthread_mutex_lock(&r->keep.lock);
	for (i = 0; i < s->n && ret >= 0; i++) {
		p = &s->v[i];
		if (!is_kept(r, p))
			continue;
		ret = packset_add(out, p->id, p->size, &n);
		if (ret < 0)
			break;
		out->v[n].flags = PACK_NEEDED;
		copy_state(out, &out->v[n], s, p);
	}
	pthread_mutex_unlock(&r->keep.lock);
	return ret < 0 ? ret : 0;
}

static void
give_back(struct restore_thaw *r, const struct packset *in)
{
	struct packset *s = thaw_plan_packs(r->w.plan);
	struct pack_info *p;
	size_t i;

	pthread_mutex_lock(&r->keep.lock);
	for (i = 0; i < in->n; i++) {
		p = packset_find(s, in->v[i].id);
		if (p != NULL)
			copy_state(s, p, in, &in->v[i]);
	}
	pthread_mutex_unlock(&r->keep.lock);
}

/* One look.  What goes wrong was said, and the pass goes on: what is archived
 * when it comes to be read is thawed for the next one. */
static void
look(struct restore_thaw *r)
{
	struct packset s, *all = r->w.set;

	packset_init(&s);
	if (take(r, &s) == 0 && s.n > 0) {
		r->w.set = &s;
		(void)thawing_look(&r->w);
		r->w.set = all;
		give_back(r, &s);
	}
	packset_release(&s);
}

static void *
keep_run(void *ctx)
{
	struct restore_thaw *r = ctx;
	struct restore_keep *k = &r->keep;
	struct timespec until;
	int rc;

	pthread_mutex_lock(&k->lock);
	while (!k->ending) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += (time_t)thawing_interval(&r->w);
		for (rc = 0; !k->ending && rc == 0;)
			rc = pthread_cond_timedwait(&k->changed, &k->lock,
			    &until);
		if (k->ending)
			break;
		pthread_mutex_unlock(&k->lock);
		look(r);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

void
restore_keep_begin(struct restore_thaw *r)
{
	const struct packset *s = thaw_plan_packs(r->w.plan);
	size_t i;
	int err;

	r->keep.ending = 0;
	for (i = 0; i < s->n && !is_kept(r, &s->v[i]); i++)
		continue;
	if (i == s->n)
		return;
	r->w.aside = 1;
	err = -pthread_create(&r->keep.thread, NULL, keep_run, r);
	r->keep.runs = err == 0;
	if (err != 0) {
		r->w.aside = 0;
		log_warn(err, "cannot start a thread, so copies may end while "
		    "files are restored");
	}
}

void
restore_keep_end(struct restore_thaw *r)
{
	if (!r->keep.runs)
		return;
	pthread_mutex_lock(&r->keep.lock);
	r->keep.ending = 1;
	pthread_cond_signal(&r->keep.changed);
	pthread_mutex_unlock(&r->keep.lock);
	pthread_join(r->keep.thread, NULL);
	r->keep.runs = 0;
	r->w.aside = 0;
}
