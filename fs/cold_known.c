/* SPDX-License-Identifier: Apache-2.0 */
/* A set of packs that is forgotten as a whole, so no pack has a time. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "fs/cold_internal.h"
#include "fs/cold_known.h"
#include "repo/thaw_look.h"

#define PACKS_MAX	65536u		/* about 6 MiB */

struct cold_known {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int asking;		/* somebody asks; protected by lock, as below */
	unsigned failures;	/* counts who asked in vain, */
	int err;		/* and with what, the last one */
	time_t since;		/* monotonic; the first was learnt */
	time_t began;		/* likewise; the latest look that was */
	struct packset packs;
};

int
cold_known_new(struct cold_known **out)
{
	struct cold_known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -ENOMEM;
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->changed, NULL);
	packset_init(&k->packs);
	*out = k;
	return 0;
}

void
cold_known_free(struct cold_known *k)
{
	if (k == NULL)
		return;
	packset_release(&k->packs);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Classes have other numbers in other sets. */
static void
copy_state(struct packset *to, struct pack_info *p, const struct packset *from,
    const struct pack_info *q)
{
	const unsigned known = PACK_SEEN | PACK_UNSURE;

	p->flags = (p->flags & ~known) | (q->flags & known);
	p->state = q->state;
	p->expires = q->expires;
	if (q->flags & PACK_SEEN)
		p->class = packset_class(to, from->class_name[q->class]);
}

/* Under lock, as the next ones. */
static void
forget_old(struct cold_known *k)
{
	if (k->packs.n > 0 && (cold_clock() - k->since >= KNOWN_SECONDS ||
	    k->packs.n >= PACKS_MAX))
		packset_release(&k->packs);
}

/* From a look that began then; what a later one has found out stays. */
static int
learn(struct cold_known *k, const struct packset *s, unsigned want,
    time_t began)
{
	int late = began < k->began, known;
	size_t i, n;

	if (k->packs.n == 0)
		k->since = cold_clock();
	if (!late)
		k->began = began;
	for (i = 0; i < s->n; i++) {
		if ((s->v[i].flags & want) != want ||
		    (s->v[i].flags & PACK_UNSURE))
			continue;
		known = packset_find(&k->packs, s->v[i].id) != NULL;
		if (known ? late : k->packs.n >= PACKS_MAX)
			continue;
		if (packset_add(&k->packs, s->v[i].id, s->v[i].size, &n) < 0)
			return -ENOMEM;
		copy_state(&k->packs, &k->packs.v[n], s, &s->v[i]);
	}
	return 0;
}

/* What is not known of s: into out, PACK_NEEDED. */
static int
missing(const struct cold_known *k, const struct packset *s,
    struct packset *out)
{
	size_t i, n;

	for (i = 0; i < s->n; i++) {
		if (packset_find(&k->packs, s->v[i].id) != NULL)
			continue;
		if (packset_add(out, s->v[i].id, s->v[i].size, &n) < 0)
			return -ENOMEM;
		out->v[n].flags |= PACK_NEEDED;
	}
	return 0;
}

static void
tell(const struct packset *from, struct packset *s)
{
	const struct pack_info *q;
	size_t i;

	for (i = 0; i < s->n; i++) {
		q = packset_find(from, s->v[i].id);
		if (q != NULL)
			copy_state(s, &s->v[i], from, q);
	}
}

/* Lets go of the lock meanwhile. */
static int
ask(struct cold_known *k, struct repo *r, struct packset *unknown)
{
	time_t began = cold_clock();
	int err;

	k->asking = 1;
	pthread_mutex_unlock(&k->lock);
	err = thaw_look_near(r, unknown);
	pthread_mutex_lock(&k->lock);
	k->asking = 0;
	pthread_cond_broadcast(&k->changed);
	if (err == 0)
		return learn(k, unknown, 0, began);
	k->failures++;
	return k->err = err;
}

int
cold_known_look(struct cold_known *k, struct repo *r, struct packset *s)
{
	struct packset unknown;
	unsigned failures;
	int err;

	packset_init(&unknown);
	pthread_mutex_lock(&k->lock);
	for (;;) {
		forget_old(k);
		err = missing(k, s, &unknown);
		if (err != 0 || unknown.n == 0 || !k->asking)
			break;
		packset_release(&unknown);
		failures = k->failures;
		pthread_cond_wait(&k->changed, &k->lock);
		/* Who has waited until the store was given up does not do so
		 * again, one after the other. */
		if (k->failures != failures) {
			err = k->err;
			break;
		}
	}
	if (err == 0)
		tell(&k->packs, s);
	if (err == 0 && unknown.n > 0)
		err = ask(k, r, &unknown);
	pthread_mutex_unlock(&k->lock);
	if (err == 0)
		tell(&unknown, s);
	packset_release(&unknown);
	return err;
}

void
cold_known_note(struct cold_known *k, const struct packset *s, time_t began)
{
	pthread_mutex_lock(&k->lock);
	forget_old(k);
	/* What cannot be noted is asked for. */
	(void)learn(k, s, PACK_LOOKED | PACK_SEEN, began);
	pthread_mutex_unlock(&k->lock);
}
