/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From packs to the store and the index.  A pack's blocks enter the segment
 * being gathered only when its put has returned; a segment is put by one
 * thread at a time, then loaded into the local index, and only then do its
 * blocks leave the set of what is pending.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"
#include "repo/writer_internal.h"

void
wpack_free(struct wpack *p)
{
	if (p == NULL)
		return;
	kdf_wipe(p->key, sizeof(p->key));
	buf_release(&p->bytes);
	pack_footer_release(&p->footer);
	free(p);
}

void
wpack_recycle(struct writer *w, struct wpack *p)
{
	if (p->bytes.cap > p->room) {
		wpack_free(p);
		return;
	}
	kdf_wipe(p->key, sizeof(p->key));
	buf_reset(&p->bytes);
	p->footer.nframes = 0;
	p->footer.nblocks = 0;
	pthread_mutex_lock(&w->lock);
	p->next = w->spare_packs;
	w->spare_packs = p;
	pthread_mutex_unlock(&w->lock);
}

struct wpack *
wpack_reuse(struct writer *w, size_t size)
{
	struct wpack **at, *p;

	pthread_mutex_lock(&w->lock);
	for (at = &w->spare_packs; *at != NULL; at = &(*at)->next)
		if ((*at)->room == size)
			break;
	if (*at == NULL)
		at = &w->spare_packs;
	p = *at;
	if (p != NULL)
		*at = p->next;
	pthread_mutex_unlock(&w->lock);
	if (p == NULL || p->room == size)
		return p;
	wpack_free(p);
	return NULL;
}

static struct wsegment *
segment_of(struct writer *w, enum pack_kind kind)
{
	return &w->seg[kind == PACK_META];
}

static time_t
monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Note a durable pack for the next segment.  Under w->lock. */
static int
segment_note(struct wsegment *g, const struct wpack *p,
    const uint8_t id[OBJECT_ID_SIZE])
{
	struct segment_entry *e;
	const struct pack_block *b;
	const struct pack_frame *f;
	size_t i, n = g->nentries + p->footer.nblocks;

	if (n > g->entries_cap) {
		e = realloc(g->entries, n * 2 * sizeof(*e));
		if (e == NULL)
			return -ENOMEM;
		g->entries = e;
		g->entries_cap = n * 2;
	}
	if (g->npacks == 0)
		g->since = monotonic();
	memcpy(g->packs[g->npacks].id, id, OBJECT_ID_SIZE);
	g->packs[g->npacks].size = (uint32_t)p->bytes.len;
	memcpy(g->packs[g->npacks].header, p->header, PACK_HEADER_SIZE);
	for (i = 0; i < p->footer.nblocks; i++) {
		b = &p->footer.blocks[i];
		f = &p->footer.frames[b->frame];
		e = &g->entries[g->nentries++];
		memcpy(e->id, b->id, BLOCK_ID_SHORT);
		e->pack = (uint32_t)g->npacks;
		e->frame_off = f->off;
		e->frame_len = f->sealed;
		e->off = b->off;
		e->len = b->len;
	}
	g->npacks++;
	return 0;
}

static int
segment_due(const struct wsegment *g, int force)
{
	if (g->npacks == 0)
		return 0;
	return force || g->npacks >= SEGMENT_PACKS ||
	    g->nentries >= SEGMENT_ENTRIES ||
	    monotonic() - g->since >= SEGMENT_SECONDS;
}

/* Put a segment that nobody else sees any more, and load it. */
static int
segment_put(struct writer *w, enum pack_kind kind, struct wsegment *g)
{
	struct buf bytes = BUF_INIT(FORMAT_PACK_MAX);
	uint8_t id[OBJECT_ID_SIZE];
	char name[STORE_NAME_MAX + 1];
	int err;

	err = segment_encode(repo_keys(w->repo), kind, g->entries,
	    &g->nentries, g->packs, g->npacks, NULL, 0, &bytes);
	if (err == 0)
		err = hash_sha256(bytes.data, bytes.len, id);
	if (err == 0) {
		repo_segment_name(kind, id, name);
		err = store_put(repo_store(w->repo), name, bytes.data,
		    bytes.len, id, 0);
	}
	/* Encoding has sorted them and left each id once. */
	if (err == 0)
		err = index_add_segment(repo_index(w->repo), kind, id,
		    g->entries, g->nentries, g->packs, g->npacks);
	buf_release(&bytes);
	return err;
}

int
writer_segment(struct writer *w, enum pack_kind kind, int force)
{
	struct wsegment *g = segment_of(w, kind), mine;
	size_t i;
	int err;

	pthread_mutex_lock(&w->lock);
	while (force && w->flushing)
		pthread_cond_wait(&w->changed, &w->lock);
	if (w->flushing || !segment_due(g, force)) {
		pthread_mutex_unlock(&w->lock);
		return 0;
	}
	w->flushing = 1;
	mine = *g;
	memset(g, 0, sizeof(*g));
	pthread_mutex_unlock(&w->lock);

	err = segment_put(w, kind, &mine);

	pthread_mutex_lock(&w->lock);
	for (i = 0; i < mine.nentries && err == 0; i++)
		idset_del(&w->pending, mine.entries[i].id);
	w->astray |= err != 0;
	w->flushing = 0;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	free(mine.entries);
	return err;
}

/* What is stored is noted also when all else fails: a segment may yet list
 * it. */
static int
pack_stored(struct writer *w, const struct wpack *p,
    const uint8_t id[OBJECT_ID_SIZE])
{
	struct wsegment *g = segment_of(w, p->kind);
	int err = 0;

	pthread_mutex_lock(&w->lock);
	while (g->npacks == SEGMENT_PACKS && err == 0) {
		/* Somebody else is putting the one before. */
		pthread_mutex_unlock(&w->lock);
		err = writer_segment(w, p->kind, 1);
		pthread_mutex_lock(&w->lock);
	}
	w->added.stored_bytes += p->bytes.len;
	if (err == 0)
		err = segment_note(g, p, id);
	w->astray |= err != 0;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static int
pack_put(struct writer *w, struct wpack *p)
{
	uint8_t id[OBJECT_ID_SIZE];
	char name[STORE_NAME_MAX + 1];
	int err;

	err = writer_error(w);
	if (err == 0)
		err = hash_sha256(p->bytes.data, p->bytes.len, id);
	if (err != 0)
		return err;
	repo_pack_name(p->kind, id, name);
	err = store_put(repo_store(w->repo), name, p->bytes.data,
	    p->bytes.len, id, p->kind == PACK_DATA ? STORE_DATA : 0);
	if (err == 0)
		return pack_stored(w, p, id);
	/* It may be there all the same: only the answer may be lost. */
	pthread_mutex_lock(&w->lock);
	w->astray = 1;
	pthread_mutex_unlock(&w->lock);
	return err;
}

/* A place for another one. */
static void
pack_gone(struct writer *w, size_t len)
{
	struct store_counters c;
	struct timespec t;
	int64_t now;

	store_count(repo_store(w->repo), &c);
	pthread_mutex_lock(&w->lock);
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	pace_end(&w->pace, now, len, w->place_wanted, c.throttled);
	w->in_flight--;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void *
uploader_main(void *ctx)
{
	struct writer *w = ctx;
	enum pack_kind kind;
	struct wpack *p;
	void *item;
	size_t len;
	int err;

	while (queue_take(w->uploads, &item) == 0) {
		p = item;
		kind = p->kind;
		len = p->bytes.len;
		err = pack_put(w, p);
		wpack_recycle(w, p);
		if (err == 0)
			err = writer_segment(w, kind, 0);
		if (err != 0)
			writer_fail(w, err);
		pack_gone(w, len);
	}
	return NULL;
}

/* Memory bounds them by the larger packs. */
static void
places_init(struct writer *w)
{
	unsigned most = (UPLOADS_MEMORY - w->max_frames * FRAME_MEMORY) /
	    w->data.pack_target;
	struct store_counters c;

	store_count(repo_store(w->repo), &c);
	if (most > UPLOADS_MOST)
		most = UPLOADS_MOST;
	if (most < UPLOADS_FIRST)
		most = UPLOADS_FIRST;
	if (w->conf.uploads > 0)
		pace_init(&w->pace, w->conf.uploads, w->conf.uploads,
		    c.throttled);
	else
		pace_init(&w->pace, UPLOADS_FIRST, most, c.throttled);
}

int
writer_upload_start(struct writer *w)
{
	unsigned n;
	int err;

	places_init(w);
	n = w->pace.most;
	err = queue_new(n, &w->uploads);
	if (err != 0)
		return err;
	w->uploader = calloc(n, sizeof(*w->uploader));
	if (w->uploader == NULL)
		return -ENOMEM;
	for (; w->nuploaders < n; w->nuploaders++) {
		err = pthread_create(&w->uploader[w->nuploaders], NULL,
		    uploader_main, w);
		if (err != 0)
			return -err;
	}
	return 0;
}

void
writer_upload_stop(struct writer *w)
{
	if (w->uploads != NULL)
		queue_close(w->uploads);
	while (w->nuploaders > 0)
		pthread_join(w->uploader[--w->nuploaders], NULL);
	free(w->uploader);
	queue_free(w->uploads);
}

int
writer_upload(struct writer *w, struct wpack *p)
{
	int err;

	pthread_mutex_lock(&w->lock);
	while (w->in_flight >= w->pace.limit && w->err == 0) {
		w->place_wanted = 1;
		pthread_cond_wait(&w->changed, &w->lock);
	}
	w->place_wanted = 0;
	err = w->err;
	if (err == 0)
		w->in_flight++;
	pthread_mutex_unlock(&w->lock);
	if (err == 0)
		err = queue_put(w->uploads, p);
	if (err != 0)
		wpack_free(p);
	return err;
}

int
writer_upload_wait(struct writer *w)
{
	int err;

	pthread_mutex_lock(&w->lock);
	while (w->in_flight > 0)
		pthread_cond_wait(&w->changed, &w->lock);
	err = w->err;
	pthread_mutex_unlock(&w->lock);
	return err;
}
