/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of slots: threads fill those ahead, one reader empties them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/pool.h"
#include "repo/prefetch.h"

/* Answers of a store far away are waited for, not worked for. */
#define THREADS_MAX	16

struct slot {
	struct buf bytes;
	int done;
	int err;
	struct log_kept why;
};

struct prefetch {
	struct store *store;
	prefetch_name *name;
	void *ctx;
	size_t n;
	struct pool *pool;		/* NULL: the reader does it all */
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* what follows, or a slot's done */
	size_t begun;			/* protected by lock, as below */
	size_t taken;
	int stopping;
	struct slot slot[PREFETCH_AHEAD];
};

/* The next to load, when there is room for it; NULL at the end. */
static struct slot *
slot_begin(struct prefetch *p, size_t *i)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stopping && p->begun < p->n &&
	    p->begun == p->taken + PREFETCH_AHEAD)
		pthread_cond_wait(&p->changed, &p->lock);
	if (!p->stopping && p->begun < p->n) {
		*i = p->begun++;
		s = &p->slot[*i % PREFETCH_AHEAD];
	}
	pthread_mutex_unlock(&p->lock);
	return s;
}

static void
load(void *ctx)
{
	struct prefetch *p = ctx;
	char name[STORE_NAME_MAX + 1];
	struct slot *s;
	size_t i;

	while ((s = slot_begin(p, &i)) != NULL) {
		p->name(p->ctx, i, name);
		buf_reset(&s->bytes);
		log_keep(&s->why);
		s->err = store_load(p->store, name, &s->bytes);
		log_keep_end(&s->why);
		pthread_mutex_lock(&p->lock);
		s->done = 1;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
	}
}

/* Without threads it takes longer, and that is all. */
static void
threads_start(struct prefetch *p)
{
	unsigned i, n = p->n < THREADS_MAX ? (unsigned)p->n : THREADS_MAX;

	if (n < 2 || pool_new("firn-prefetch", n, n, &p->pool) != 0)
		return;
	for (i = 0; i < n && pool_submit(p->pool, load, p) == 0; i++)
		;
	if (i > 0)
		return;
	pool_free(p->pool);
	p->pool = NULL;
}

int
prefetch_new(struct store *store, prefetch_name *name, void *ctx, size_t n,
    struct prefetch **out)
{
	struct prefetch *p = calloc(1, sizeof(*p));
	size_t i;

	*out = NULL;
	if (p == NULL)
		return -ENOMEM;
	p->store = store;
	p->name = name;
	p->ctx = ctx;
	p->n = n;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	for (i = 0; i < PREFETCH_AHEAD; i++)
		buf_init(&p->slot[i].bytes, PREFETCH_SIZE);
	threads_start(p);
	*out = p;
	return 0;
}

static int
load_here(struct prefetch *p, size_t i, struct buf *out)
{
	char name[STORE_NAME_MAX + 1];

	p->name(p->ctx, i, name);
	return store_load(p->store, name, out);
}

int
prefetch_next(struct prefetch *p, struct buf *out)
{
	size_t i = p->taken;
	struct slot *s = &p->slot[i % PREFETCH_AHEAD];
	int err;

	if (p->pool == NULL) {
		p->taken++;
		return load_here(p, i, out);
	}
	pthread_mutex_lock(&p->lock);
	while (!s->done)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	err = s->err;
	if (err == -FIRN_ETOOBIG)
		err = load_here(p, i, out);
	else if (err != 0 && s->why.text[0] != '\0')
		log_plain(err, "%s", s->why.text);
	else if (err == 0)
		err = buf_add(out, s->bytes.data, s->bytes.len);
	pthread_mutex_lock(&p->lock);
	s->done = 0;
	p->taken++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return err;
}

void
prefetch_free(struct prefetch *p)
{
	size_t i;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = 1;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pool_free(p->pool);
	for (i = 0; i < PREFETCH_AHEAD; i++)
		buf_release(&p->slot[i].bytes);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
