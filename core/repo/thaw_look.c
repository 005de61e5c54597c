/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look is cut into pieces, each a listing of some prefix, and then into one
 * stat a pack; a few threads take them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/pool.h"
#include "repo/repo.h"
#include "repo/thaw_look.h"

#define LIST_PAGE	1000	/* names in an answer */
#define NEAR_MAX	700	/* to be expected of one; ids are random */
#define PIECES		16
#define PIECES_FROM	16000	/* packs; fewer are one listing */
#define THREADS		8

struct look {
	struct repo *repo;
	struct packset *set;
	int pending;
	pthread_mutex_t lock;
	int err;		/* the first; protected by lock, as the set */
	int stat;		/* jobs are stats, else listings */
	size_t njobs;
	atomic_size_t next;	/* job */
	uint32_t *pack;		/* numbers, a job each; NULL: PIECES or 1 */
};

static int
is_wanted(const struct look *l, const struct pack_info *p)
{
	return !l->pending || ((p->flags & PACK_NEEDED) &&
	    !pack_is_readable(p));
}

static void
note(struct look *l, struct pack_info *p, const struct store_stat *st,
    int known)
{
	p->flags |= PACK_SEEN;
	p->flags &= ~(unsigned)PACK_UNSURE;
	if (!known)
		p->flags |= PACK_UNSURE;
	p->state = st->state;
	p->expires = st->expires;
	p->class = packset_class(l->set, st->class_name);
}

static int
on_pack(void *ctx, const char *name, const struct store_stat *st)
{
	struct look *l = ctx;
	const char *base = strrchr(name, '/');
	uint8_t id[OBJECT_ID_SIZE];
	struct pack_info *p;

	if (base == NULL || hex_decode(base + 1, id, OBJECT_ID_SIZE) != 0)
		return 0;
	pthread_mutex_lock(&l->lock);
	p = packset_find(l->set, id);
	if (p != NULL && is_wanted(l, p))
		note(l, p, st, st->state_known);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

static void
pack_name(struct look *l, size_t job, char name[STORE_NAME_MAX + 1])
{
	pthread_mutex_lock(&l->lock);
	repo_pack_name(PACK_DATA, l->set->v[l->pack[job]].id, name);
	pthread_mutex_unlock(&l->lock);
}

static int
job_stat(struct look *l, size_t job)
{
	char name[STORE_NAME_MAX + 1];
	struct store_stat st;
	int err;

	pack_name(l, job, name);
	err = store_stat(repo_store(l->repo), name, &st);
	pthread_mutex_lock(&l->lock);
	if (err == 0)
		note(l, &l->set->v[l->pack[job]], &st, 1);
	else if (err == -ENOENT)
		l->set->v[l->pack[job]].flags &= ~(unsigned)PACK_SEEN;
	pthread_mutex_unlock(&l->lock);
	return err == -ENOENT ? 0 : err;
}

static int
job_list(struct look *l, size_t job)
{
	char prefix[STORE_NAME_MAX + 1];

	if (l->pack != NULL)
		pack_name(l, job, prefix);
	else if (l->njobs > 1)
		snprintf(prefix, sizeof(prefix), "%s/%x",
		    pack_kind_name(PACK_DATA), (unsigned)job);
	else
		snprintf(prefix, sizeof(prefix), "%s/",
		    pack_kind_name(PACK_DATA));
	return store_list_state(repo_store(l->repo), prefix, on_pack, l);
}

static int
failed(struct look *l, int err)
{
	int first;

	pthread_mutex_lock(&l->lock);
	if (l->err == 0)
		l->err = err;
	first = l->err;
	pthread_mutex_unlock(&l->lock);
	return first;
}

static void
look_run(void *ctx)
{
	struct look *l = ctx;
	size_t job;
	int err = 0;

	while (failed(l, err) == 0) {
		job = atomic_fetch_add(&l->next, 1);
		if (job >= l->njobs)
			break;
		err = l->stat ? job_stat(l, job) : job_list(l, job);
	}
}

/* All jobs, by a few threads. */
static int
jobs_run(struct look *l)
{
	struct pool *pool = NULL;
	size_t threads = l->njobs < THREADS ? l->njobs : THREADS, i;
	int err;

	atomic_store(&l->next, 0);
	if (threads <= 1) {
		look_run(l);
		return l->err;
	}
	err = pool_new("firn-look", (unsigned)threads, threads, &pool);
	for (i = 0; i < threads && err == 0; i++)
		err = pool_submit(pool, look_run, l);
	pool_free(pool);	/* waits for all */
	return err != 0 ? err : l->err;
}

/* The packs that `want` these flags; a job each. */
static int
jobs_each(struct look *l, unsigned want)
{
	size_t i;

	free(l->pack);
	l->njobs = 0;
	l->pack = malloc((l->set->n + 1) * sizeof(*l->pack));
	if (l->pack == NULL)
		return -ENOMEM;
	for (i = 0; i < l->set->n; i++)
		if ((l->set->v[i].flags & want) == want &&
		    is_wanted(l, &l->set->v[i]))
			l->pack[l->njobs++] = (uint32_t)i;
	return 0;
}

/* A listing of everything, or of each pack. */
static int
jobs_list(struct look *l)
{
	struct index_stats st;
	int err;

	err = index_stats(repo_index(l->repo), PACK_DATA, &st);
	if (err == 0)
		err = jobs_each(l, 0);
	if (err != 0 || l->njobs <= st.packs / LIST_PAGE + 1)
		return err;
	free(l->pack);
	l->pack = NULL;
	l->njobs = st.packs >= PIECES_FROM ? PIECES : 1;
	return 0;
}

int
thaw_look(struct repo *r, struct packset *s, int pending)
{
	struct look l = { .repo = r, .set = s, .pending = pending };
	uint32_t *before = malloc((s->n + 1) * sizeof(*before));
	size_t i;
	int err;

	if (before == NULL)
		return -ENOMEM;
	pthread_mutex_init(&l.lock, NULL);
	/* What the listing does not show is gone. */
	for (i = 0; i < s->n; i++) {
		before[i] = s->v[i].flags & (PACK_SEEN | PACK_UNSURE);
		if (is_wanted(&l, &s->v[i]))
			s->v[i].flags &= ~(unsigned)(PACK_SEEN | PACK_UNSURE);
	}
	err = jobs_list(&l);
	if (err == 0)
		err = jobs_run(&l);
	if (err == 0)
		err = jobs_each(&l, PACK_SEEN | PACK_UNSURE);
	l.stat = 1;
	if (err == 0)
		err = jobs_run(&l);
	/* A listing that did not come to its end tells of nothing that it is
	 * not there. */
	for (i = 0; i < s->n && err != 0; i++)
		if (!(s->v[i].flags & PACK_SEEN))
			s->v[i].flags |= before[i];
	free(before);
	free(l.pack);
	pthread_mutex_destroy(&l.lock);
	return err;
}

/* --- what lies about them ----------------------------------------------- */

static int
on_near(void *ctx, const char *name, const struct store_stat *st)
{
	struct look *l = ctx;
	const char *base = strrchr(name, '/');
	uint8_t id[OBJECT_ID_SIZE];
	size_t n;

	if (base == NULL || hex_decode(base + 1, id, OBJECT_ID_SIZE) != 0 ||
	    st->size > FORMAT_PACK_MAX)
		return 0;
	if (packset_add(l->set, id, (uint32_t)st->size, &n) < 0)
		return -ENOMEM;
	note(l, &l->set->v[n], st, st->state_known);
	return 0;
}

/* Of names that begin alike with so many digits one listing has an answer. */
static size_t
near_digits(uint64_t packs)
{
	size_t n = 0;

	for (; packs > NEAR_MAX; packs /= 16)
		n++;
	return n;
}

static int
list_near(struct look *l, size_t number, size_t digits)
{
	char prefix[STORE_NAME_MAX + 1];

	repo_pack_name(PACK_DATA, l->set->v[number].id, prefix);
	strrchr(prefix, '/')[1 + digits] = '\0';
	return store_list_state(repo_store(l->repo), prefix, on_near, l);
}

int
thaw_look_near(struct repo *r, struct packset *s)
{
	struct look l = { .repo = r, .set = s };
	struct index_stats st;
	size_t i, n = s->n;
	int err;

	err = index_stats(repo_index(r), PACK_DATA, &st);
	if (err == 0 && n > st.packs / LIST_PAGE + 1)
		return thaw_look(r, s, 0);
	pthread_mutex_init(&l.lock, NULL);
	for (i = 0; i < n && err == 0; i++)
		if (!(s->v[i].flags & PACK_SEEN))
			err = list_near(&l, i, near_digits(st.packs));
	if (err == 0)
		err = jobs_each(&l, PACK_NEEDED | PACK_SEEN | PACK_UNSURE);
	l.stat = 1;
	if (err == 0)
		err = jobs_run(&l);
	free(l.pack);
	pthread_mutex_destroy(&l.lock);
	return err;
}
