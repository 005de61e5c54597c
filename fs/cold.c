/* SPDX-License-Identifier: Apache-2.0 */
/* Policy, and who waits.  Lock order: libfuse's, the watch's, ours; no answer
 * is sent with ours held. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "fs/cold_internal.h"
#include "fs/cold_known.h"
#include "fs/files.h"
#include "fs/lowlevel.h"
#include "fs/resolve.h"
#include "fs/status.h"

#define AGAIN_THREADS	4
#define AGAIN_BACKLOG	4096
#define WANT_MEMORY	8192	/* bytes of memory= for a file that is wanted */
#define FULL_SECONDS	3600	/* between warnings of it */

time_t
cold_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int
cold_new(struct firnfs *fs, struct cold **out)
{
	struct cold *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	int err;

	if (c == NULL)
		return -ENOMEM;
	c->fs = fs;
	atomic_init(&c->mode, (int)fs->opt->cold);
	c->halt = fs->opt->cold == COLD_FAIL;
	c->max_wants = (size_t)((fs->opt->memory > 0 ? fs->opt->memory :
	    OPTIONS_MEMORY) / WANT_MEMORY);
	if (c->max_wants > COLD_WANTS_MAX)
		c->max_wants = COLD_WANTS_MAX;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	c->owner = -1;
	cold_job_init(c);
	err = cold_known_new(&c->known);
	if (err == 0)
		err = pool_new("firn-thawed", AGAIN_THREADS, AGAIN_BACKLOG,
	    &c->again);
	if (err == 0)
		err = -pthread_create(&c->thread, NULL, cold_run, c);
	if (err != 0) {
		pool_free(c->again);
		cold_known_free(c->known);
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

static int
is_refused(struct cold *c)
{
	return cold_clock() < (time_t)atomic_load(&c->refused);
}

enum cold_mode
cold_mode(struct cold *c)
{
	return (enum cold_mode)atomic_load(&c->mode);
}

void
cold_set_mode(struct cold *c, enum cold_mode mode)
{
	atomic_store(&c->mode, (int)mode);
	atomic_store(&c->refused, 0);	/* somebody may have seen to that */
	log_info("archived data that is read: cold=%s", cold_mode_name(mode));
	pthread_mutex_lock(&c->lock);
	c->halt = c->ending || mode == COLD_FAIL;
	c->stirred = 1;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* --- parking ------------------------------------------------------------ */

/* Where the block is that failed this thread. */
static void
places(struct cold *c, struct parked *p)
{
	struct index_place at[COLD_PLACES];
	uint8_t id[BLOCK_ID_SIZE];
	int i;

	p->packs = 0;
	if (!status_failed_id(id))
		return;
	p->packs = index_find_all(repo_index(c->fs->repo), PACK_DATA, id, at,
	    COLD_PLACES);
	for (i = 0; i < p->packs; i++)
		memcpy(p->pack[i], at[i].pack, OBJECT_ID_SIZE);
	if (p->packs < 0)
		p->packs = 0;
}

/* More are wanted than can be noted. */
static void
say_full(struct cold *c)
{
	long long now = (long long)cold_clock();
	long long said = atomic_load(&c->full_said);

	/* Not by errors_fresh(): as many files as are refused here would push
	 * it out of there. */
	if ((said != 0 && now - said < FULL_SECONDS) ||
	    !atomic_compare_exchange_strong(&c->full_said, &said, now))
		return;
	log_warn(0, "more files of archived data are read at once than can be "
	    "noted, %zu: no thaw is asked for the others; read them again "
	    "later, or mount with a larger memory=", c->max_wants);
}

/* This file is wanted: the number of the want, 0 when there are too many.
 * Under lock. */
static uint64_t
want_locked(struct cold *c, uint64_t node)
{
	int ret = cold_wants_add(&c->wants, node, c->max_wants - c->nplanning);

	if (ret < 0) {
		c->full = 1;
		return 0;
	}
	pthread_cond_signal(&c->changed);
	return c->wanted += (uint64_t)ret;
}

/* Nobody waits for it. */
static void
want(struct cold *c, uint64_t node)
{
	uint64_t number;

	pthread_mutex_lock(&c->lock);
	number = want_locked(c, node);
	pthread_mutex_unlock(&c->lock);
	if (number == 0)
		say_full(c);
}

static void
parked_free(struct parked *p)
{
	atomic_fetch_sub(&p->cold->waiting, 1);
	free(p);
}

/*
 * Its file is wanted, and it is on the list.  Both at once: a round between
 * them might find the pack readable, and nobody who waits for it.  0,
 * -ECANCELED when the mount ends, -FIRN_ECOLD when too many are wanted.
 */
static int
park(struct cold *c, struct parked *p)
{
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (c->ending)
		err = -ECANCELED;
	else if ((p->wanted = want_locked(c, p->node)) == 0)
		err = -FIRN_ECOLD;
	if (err == 0) {
		p->next = c->parked;
		c->parked = p;
		c->nparked++;
	}
	pthread_mutex_unlock(&c->lock);
	if (err == -FIRN_ECOLD)
		say_full(c);
	return err;
}

static void
answer_err(struct parked *p, int error)
{
	if (request_end(&p->r))
		fuse_reply_err(p->r.req, error);
	parked_free(p);
}

/* It could not be parked. */
static void
answer_not_parked(struct parked *p, int err)
{
	answer_err(p, err == -ECANCELED ? EIO : resolve_failed(p->cold->fs,
	    p->node, "read", err));
}

int
cold_read(struct firnfs *fs, struct request *r, uint64_t node, size_t size,
    uint64_t off)
{
	struct cold *c = fs->cold;
	enum cold_mode mode = cold_mode(c);
	struct fuse_req *req = r->req;
	struct parked *p;
	int err;

	if (mode == COLD_FAIL || c->ending || is_refused(c) ||
	    cold_clock() < (time_t)atomic_load(&c->deaf))
		return 0;
	p = mode == COLD_WAIT ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL) {
		want(c, node);
		return 0;
	}
	p->cold = c;
	atomic_fetch_add(&c->waiting, 1);
	p->node = node;
	p->off = off;
	p->size = size;
	places(c, p);
	/* From the thread's stack to the list; a signal that comes in between
	 * is told of when it begins again. */
	if (!request_end(r)) {
		parked_free(p);
		return 1;
	}
	request_begin(&p->r, fs->watch, req);
	err = park(c, p);
	if (err != 0)
		answer_not_parked(p, err);
	return 1;
}

/* Its pack was seen readable: read again.  Runs in the pool. */
static void
read_again(void *ctx)
{
	struct parked *p = ctx;
	struct cold *c = p->cold;
	uint8_t before[OBJECT_ID_SIZE];
	char *buf = malloc(p->size);
	size_t got = 0;
	int err;

	memcpy(before, p->pack[0], sizeof(before));
	err = buf == NULL ? -ENOMEM : files_read(c->fs, p->node, p->off, buf,
	    p->size, &got);
	if (err == -FIRN_ECOLD && cold_mode(c) == COLD_WAIT) {
		places(c, p);
		/* What was to be readable is not: not again at once. */
		if (p->packs > 0 && memcmp(before, p->pack[0],
		    sizeof(before)) == 0)
			p->not_before = cold_clock() +
			    (time_t)c->fs->opt->thaw_poll;
		free(buf);
		err = park(c, p);
		if (err != 0)
			answer_not_parked(p, err);
		return;
	}
	if (err != 0)
		answer_err(p, resolve_failed(c->fs, p->node, "read", err));
	else if (request_end(&p->r)) {
		fuse_reply_buf(p->r.req, buf, got);
		parked_free(p);
	} else {
		parked_free(p);
	}
	free(buf);
}

/* --- waking ------------------------------------------------------------- */

/* For the thread alone, which owns the job. */
static enum fate
fate(struct cold *c, const struct parked *p)
{
	const struct pack_info *info;
	int i, hope = 0, gone = 0;

	if (atomic_load(&p->r.done))
		return FATE_GONE;
	if (request_is_dead(&p->r))
		return FATE_DEAD;
	if (cold_mode(c) != COLD_WAIT)
		return FATE_HOPELESS;
	if (p->wanted > c->planned || p->not_before > cold_clock())
		return FATE_WAITS;
	for (i = 0; i < p->packs; i++) {
		info = packset_find(&c->job.packs, p->pack[i]);
		if (info != NULL && pack_is_readable(info))
			return FATE_READABLE;
		hope |= info != NULL && (info->flags & PACK_NEEDED) != 0;
		gone |= info != NULL && (info->flags & PACK_GONE) != 0;
	}
	/* What the store lost, the read finds out, and says so. */
	return hope ? FATE_WAITS : gone ? FATE_READABLE : FATE_HOPELESS;
}

void
cold_wake(struct cold *c)
{
	struct parked *p, **at, *out = NULL;

	pthread_mutex_lock(&c->lock);
	for (at = &c->parked; (p = *at) != NULL;) {
		p->fate = c->ending ? FATE_HOPELESS : fate(c, p);
		if (p->fate == FATE_WAITS) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		c->nparked--;
		p->next = out;
		out = p;
	}
	pthread_mutex_unlock(&c->lock);
	while ((p = out) != NULL) {
		out = p->next;
		if (p->fate == FATE_GONE)
			parked_free(p);
		else if (p->fate == FATE_DEAD)
			answer_err(p, EINTR);
		else if (p->fate == FATE_HOPELESS)
			answer_err(p, c->ending ? EIO : resolve_failed(c->fs,
			    p->node, "read", -FIRN_ECOLD));
		else if (pool_submit(c->again, read_again, p) != 0)
			answer_err(p, ENOMEM);
	}
}

void
cold_stop(struct cold *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = 1;
	c->halt = 1;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pool_free(c->again);
	c->again = NULL;
	cold_wake(c);
}

void
cold_free(struct cold *c)
{
	if (c == NULL)
		return;
	cold_wants_release(&c->wants);
	cold_known_free(c->known);
	thaw_job_release(&c->job);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	free(c);
}

int
cold_is_waited_for(struct cold *c)
{
	return atomic_load(&c->waiting) > 0;
}

/* --- what people see ---------------------------------------------------- */

void
cold_advice(struct firnfs *fs, uint64_t node, struct buf *out)
{
	char hex[2 * GEN_ID_SIZE + 1];
	struct buf inner = BUF_INIT(16384);
	struct cold *c = fs->cold;
	const struct vgen *gen;
	int over;

	pthread_mutex_lock(&c->lock);
	over = c->shown.over || c->full;
	pthread_mutex_unlock(&c->lock);
	if (cold_mode(c) != COLD_FAIL && !is_refused(c) && !over) {
		buf_printf(out, "; its thaw has been asked for, .firn/thaw "
		    "tells how far it is");
		return;
	}
	gen = resolve_inner(fs, node, &inner);
	if (gen != NULL) {
		hex_encode(gen->id, GEN_ID_SIZE, hex);
		buf_printf(out, "; `firn thaw %s '%s'` makes it readable", hex,
		    inner.data != NULL ? (char *)inner.data : "/");
	}
	buf_release(&inner);
}

static void
text_count(struct buf *b, const char *name, const struct thaw_count *n)
{
	buf_printf(b, "%-24s%llu packs, %llu bytes\n", name,
	    (unsigned long long)n->packs, (unsigned long long)n->bytes);
}

void
cold_text(struct firnfs *fs, struct buf *out)
{
	struct cold *c = fs->cold;
	const struct options *o = fs->opt;
	char text[TIMEFMT_SIZE], money[PRICE_TEXT];
	struct timespec looked;

	pthread_mutex_lock(&c->lock);
	looked = (struct timespec){ c->shown.looked, 0 };
	buf_printf(out, "%-24s%s\n", "cold", cold_mode_name(cold_mode(c)));
	buf_printf(out, "%-24s%s\n%-24s%u\n", "tier",
	    store_thaw_tier_name(o->thaw_tier), "days", o->thaw_days);
	text_count(out, "asked-for", &c->shown.thawing);
	text_count(out, "to-be-asked-for", &c->shown.waiting);
	text_count(out, "readable", &c->shown.readable);
	buf_printf(out, "%-24s%u\n", "readers-waiting", c->nparked);
	timefmt_name(&looked, text);
	buf_printf(out, "%-24s%s\n", "looked", c->shown.looked != 0 ? text :
	    "never");
	if (fs->price != NULL)
		buf_printf(out, "%-24s%s %s\n", "spent",
		    price_text(c->shown.spent, money), fs->price->currency);
	if (c->shown.over)
		buf_printf(out, "%-24sused up\n", "budget");
	pthread_mutex_unlock(&c->lock);
}
