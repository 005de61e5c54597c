/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing the packs that the index names with those that the store has.
 *
 * One listing; the index marks a bit for each pack that is seen, so memory is
 * a bit a pack, and 40 bytes for each that no segment lists.  Large halves are
 * listed in sixteen pieces by several threads, since a listing waits a round
 * trip for every 1000 names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/pool.h"
#include "repo/repo_internal.h"

#define PIECES		16
#define PIECES_FROM	16000	/* packs; fewer are one listing */
#define LIST_THREADS	8
#define ATTEMPTS	5	/* when the index is emptied meanwhile */

struct roll_call {
	struct repo *r;
	enum pack_kind kind;
	struct index_roll *roll;
	pthread_mutex_t lock;
	struct names cut;		/* protected by lock, as below */
	struct names unlisted;
	struct piece {
		struct roll_call *call;
		char prefix[8];
		int err;
	} piece[PIECES];
};

static int
on_pack(void *ctx, const char *name, const struct store_stat *st)
{
	struct piece *p = ctx;
	const char *base = strrchr(name, '/');
	uint8_t id[OBJECT_ID_SIZE];
	int ret;

	if (base == NULL || hex_decode(base + 1, id, OBJECT_ID_SIZE) != 0)
		return 0;
	ret = index_roll_seen(p->call->roll, id, st->size);
	if (ret == 0 || ret == 2) {
		pthread_mutex_lock(&p->call->lock);
		ret = names_add(ret == 2 ? &p->call->cut :
		    &p->call->unlisted, id, st->size);
		pthread_mutex_unlock(&p->call->lock);
	}
	return ret < 0 ? ret : 0;
}

static void
piece_list(void *ctx)
{
	struct piece *p = ctx;

	p->err = store_list(p->call->r->store, p->prefix, on_pack, p);
}

static int
pieces_list(struct roll_call *c)
{
	struct pool *pool = NULL;
	unsigned i;
	int err;

	err = pool_new("firn-list", LIST_THREADS, PIECES, &pool);
	for (i = 0; i < PIECES && err == 0; i++) {
		snprintf(c->piece[i].prefix, sizeof(c->piece[i].prefix),
		    "%s/%x", pack_kind_name(c->kind), i);
		err = pool_submit(pool, piece_list, &c->piece[i]);
	}
	pool_free(pool);	/* waits for all */
	for (i = 0; i < PIECES && err == 0; i++)
		err = c->piece[i].err;
	return err;
}

/* The listing, or its pieces. */
static int
packs_list(struct roll_call *c)
{
	struct index_stats st;
	int err;

	err = index_stats(c->r->index, c->kind, &st);
	if (err != 0)
		return err;
	if (st.packs >= PIECES_FROM)
		return pieces_list(c);
	snprintf(c->piece[0].prefix, sizeof(c->piece[0].prefix), "%s/",
	    pack_kind_name(c->kind));
	piece_list(&c->piece[0]);
	return c->piece[0].err;
}

/*
 * One attempt: 1 when other packs are absent than before.  -EAGAIN when the
 * index was emptied since it was loaded: what is half filled says nothing.
 */
static int
roll_call(struct repo *r, enum pack_kind kind, size_t *n)
{
	struct roll_call c = { .r = r, .kind = kind };
	uint8_t (*ids)[OBJECT_ID_SIZE] = NULL;
	unsigned i;
	int ret;

	pthread_mutex_init(&c.lock, NULL);
	for (i = 0; i < PIECES; i++)
		c.piece[i].call = &c;
	ret = index_roll_begin(r->index, kind, &c.roll);
	if (ret == 0 && index_roll_epoch(c.roll) !=
	    atomic_load(&r->epoch[kind]))
		ret = -EAGAIN;
	if (ret == 0)
		ret = packs_list(&c);
	if (ret == 0)
		ret = index_roll_absent(c.roll, &ids, n);
	if (ret == 0)
		ret = index_absent_set(r->index, kind,
		    index_roll_epoch(c.roll),
		    (const uint8_t (*)[OBJECT_ID_SIZE])ids, *n);
	index_roll_free(c.roll);
	free(ids);
	if (ret >= 0) {
		repo_salvage_from(r, kind, &c.cut);
		names_release(&r->unlisted[kind]);
		r->unlisted[kind] = c.unlisted;
	} else {
		names_release(&c.cut);
		names_release(&c.unlisted);
	}
	pthread_mutex_destroy(&c.lock);
	return ret;
}

static void
result(const struct repo *r, enum pack_kind kind, size_t absent,
    struct repo_compared *out)
{
	const struct names *u = &r->unlisted[kind];
	size_t i, k;

	memset(out, 0, sizeof(*out));
	out->absent = absent;
	out->unlisted = u->n;
	for (i = 0; i < u->n; i++)
		for (k = 0; k < OBJECT_ID_SIZE; k++)
			out->sum[k] ^= u->id[i][k];
}

int
repo_packs_compare(struct repo *r, enum pack_kind kind,
    struct repo_compared *out)
{
	size_t n = 0;
	int ret, i;

	pthread_mutex_lock(&r->sync_lock);
	ret = atomic_load(&r->synced[kind]) ? 0 :
	    repo_sync_locked(r, kind, NULL);
	if (ret == 0)
		ret = roll_call(r, kind, &n);
	for (i = 1; ret == -EAGAIN && i < ATTEMPTS; i++) {
		/* Whoever emptied it may have died before it was full. */
		ret = repo_sync_locked(r, kind, NULL);
		if (ret == 0)
			ret = roll_call(r, kind, &n);
	}
	if (ret == 1) {
		ret = repo_sync_locked(r, kind, NULL);
		ret = ret == 0 ? 1 : ret;
	}
	if (out != NULL)
		result(r, kind, n, out);
	pthread_mutex_unlock(&r->sync_lock);
	return ret;
}
