/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From blocks to packs.  The adder's thread does what must be in order: frames
 * are closed, collected from the compressors, encrypted at their place and
 * appended; the rest is done by threads.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/writer_internal.h"

int
writer_fail(struct writer *w, int err)
{
	pthread_mutex_lock(&w->lock);
	if (w->err == 0)
		w->err = err;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return err;
}

int
writer_error(struct writer *w)
{
	int err;

	pthread_mutex_lock(&w->lock);
	err = w->err;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static void
wframe_free(struct wframe *f)
{
	if (f == NULL)
		return;
	buf_release(&f->plain);
	buf_release(&f->payload);
	free(f->blocks);
	free(f);
}

int
writer_new(struct repo *repo, const struct writer_conf *conf,
    struct writer **out)
{
	const struct config *c = repo_config(repo);
	struct writer *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->repo = repo;
	w->conf = *conf;
	if (w->conf.threads == 0)
		w->conf.threads = pool_cpus();
	w->max_frames = 2 * w->conf.threads + 2;
	if (w->max_frames > FRAMES_MAX)
		w->max_frames = FRAMES_MAX;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	idset_init(&w->pending);
	w->data.kind = PACK_DATA;
	w->data.pack_target = c->data_pack;
	w->meta.kind = PACK_META;
	w->meta.pack_target = c->meta_pack;
	err = conf->dry_run ? idlossy_new(COUNTED_SLOTS, &w->counted) :
	    repo_tier_use(repo);
	if (err == 0)
		err = repo_sync_once(repo, PACK_DATA);
	if (err == 0)
		err = repo_sync_once(repo, PACK_META);
	if (err == 0)
		err = pack_codec_new(&w->codec);
	if (err == 0)
		err = pool_new("firn-zstd", w->conf.threads, 2 * FRAMES_MAX,
		    &w->compressors);
	if (err == 0)
		err = writer_upload_start(w);
	if (err == 0)
		err = writer_follow_start(w);
	if (err != 0) {
		writer_free(w);
		return err;
	}
	*out = w;
	return 0;
}

static void
stream_release(struct wstream *s)
{
	wframe_free(s->frame);
	for (; s->count > 0; s->count--) {
		wframe_free(s->fifo[s->head]);
		s->head = (s->head + 1) % FRAMES_MAX;
	}
	wpack_free(s->pack);
}

static void
spares_free(struct writer *w)
{
	struct wframe *f;
	struct wpack *p;

	while ((f = w->spare) != NULL) {
		w->spare = f->next;
		wframe_free(f);
	}
	while ((p = w->spare_packs) != NULL) {
		w->spare_packs = p->next;
		wpack_free(p);
	}
}

void
writer_free(struct writer *w)
{
	if (w == NULL)
		return;
	writer_fail(w, -ECANCELED);
	writer_follow_stop(w);
	pool_free(w->compressors);
	writer_upload_stop(w);
	stream_release(&w->data);
	stream_release(&w->meta);
	spares_free(w);
	while (w->ncodecs > 0)
		pack_codec_free(w->codecs[--w->ncodecs]);
	pack_codec_free(w->codec);
	idset_release(&w->pending);
	idlossy_free(w->counted);
	free(w->seg[0].entries);
	free(w->seg[1].entries);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int
writer_has(struct writer *w, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE])
{
	enum pack_kind kind = block_pack_kind(type);
	int has;

	/*
	 * First what waits, then the index: a block leaves the one only after
	 * it has come into the other.
	 */
	pthread_mutex_lock(&w->lock);
	has = w->counted != NULL ? idlossy_has(w->counted, id) :
	    idset_has(&w->pending, id);
	pthread_mutex_unlock(&w->lock);
	if (has)
		return 1;
	has = index_has(repo_index(w->repo), kind, id);
	/* Another process may have emptied the index: then it knows nothing,
	 * and all would be stored again. */
	if (has == 0 && repo_sync_due(w->repo, kind)) {
		has = repo_sync_current(w->repo, kind);
		if (has == 0)
			has = index_has(repo_index(w->repo), kind, id);
	}
	return has;
}

/* A compressor's job. */
static void
frame_compress(void *ctx)
{
	struct wframe *f = ctx;
	struct writer *w = f->w;
	struct pack_codec *codec = NULL;
	int err = 0;

	pthread_mutex_lock(&w->lock);
	if (w->ncodecs > 0)
		codec = w->codecs[--w->ncodecs];
	pthread_mutex_unlock(&w->lock);
	if (codec == NULL)
		err = pack_codec_new(&codec);
	if (err == 0)
		err = pack_frame_compress(codec, w->conf.level, f->plain.data,
		    f->plain.len, &f->payload);
	pthread_mutex_lock(&w->lock);
	if (codec != NULL && w->ncodecs < 64) {
		w->codecs[w->ncodecs++] = codec;
		codec = NULL;
	}
	f->err = err;
	f->done = 1;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pack_codec_free(codec);
}

/* An empty pack.  Room at once: doubling would take twice the memory.  Untouched
 * pages cost nothing. */
static int
pack_new(struct writer *w, size_t room, struct wpack **out)
{
	struct wpack *p = wpack_reuse(w, room);
	int err;

	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return -ENOMEM;
		p->room = room;
		buf_init(&p->bytes, FORMAT_PACK_MAX);
		err = buf_reserve_pages(&p->bytes, room);
		if (err != 0) {
			wpack_free(p);
			return err;
		}
	}
	*out = p;
	return 0;
}

static int
pack_begin(struct writer *w, struct wstream *s)
{
	struct wpack *p;
	int err;

	err = pack_new(w, (size_t)s->pack_target + (8u << 20), &p);
	if (err != 0)
		return err;
	p->kind = s->kind;
	err = pack_header_encode(repo_keys(w->repo), s->kind, p->header,
	    p->key);
	if (err == 0)
		err = buf_add(&p->bytes, p->header, PACK_HEADER_SIZE);
	if (err != 0) {
		wpack_free(p);
		return err;
	}
	s->pack = p;
	return 0;
}

static int
array_grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap > 0 ? *cap : 64;
	void *p;

	if (need <= *cap)
		return 0;
	while (n < need)
		n *= 2;
	p = realloc(*array, n * size);
	if (p == NULL)
		return -ENOMEM;
	*array = p;
	*cap = n;
	return 0;
}

static int
pack_end(struct writer *w, struct wstream *s)
{
	struct wpack *p = s->pack;
	int err;

	if (p == NULL)
		return 0;
	s->pack = NULL;
	err = pack_finish(&p->bytes, repo_keys(w->repo), &p->footer);
	if (err != 0) {
		wpack_free(p);
		return log_err(err, "cannot finish a pack");
	}
	return writer_upload(w, p);
}

/* Append a compressed frame to the stream's pack. */
static int
pack_append(struct writer *w, struct wstream *s, struct wframe *f)
{
	struct pack_frame *pf;
	struct wpack *p;
	size_t i, off;
	int err = 0;

	if (s->pack == NULL)
		err = pack_begin(w, s);
	if (err != 0)
		return err;
	p = s->pack;
	off = p->bytes.len;
	err = array_grow((void **)&p->footer.frames, &p->frames_cap,
	    p->footer.nframes + 1, sizeof(*p->footer.frames));
	if (err == 0)
		err = array_grow((void **)&p->footer.blocks, &p->blocks_cap,
		    p->footer.nblocks + f->nblocks, sizeof(*f->blocks));
	if (err == 0)
		err = pack_frame_encrypt(w->codec, p->key, p->header,
		    (uint32_t)off, f->payload.data, f->payload.len, &p->bytes);
	if (err != 0)
		return err;
	for (i = 0; i < f->nblocks; i++) {
		f->blocks[i].frame = (uint32_t)p->footer.nframes;
		p->footer.blocks[p->footer.nblocks++] = f->blocks[i];
	}
	pf = &p->footer.frames[p->footer.nframes++];
	pf->off = (uint32_t)off;
	pf->sealed = (uint32_t)(p->bytes.len - off);
	pf->plain = (uint32_t)f->plain.len;
	if (p->bytes.len >= s->pack_target)
		return pack_end(w, s);
	return 0;
}

/* Take the oldest frame from the compressors; waits for it. */
static int
frame_collect(struct writer *w, struct wstream *s)
{
	struct wframe *f = s->fifo[s->head];
	int err;

	pthread_mutex_lock(&w->lock);
	while (!f->done)
		pthread_cond_wait(&w->changed, &w->lock);
	err = f->err != 0 ? f->err : w->err;
	pthread_mutex_unlock(&w->lock);
	s->head = (s->head + 1) % FRAMES_MAX;
	s->count--;
	if (err == 0)
		err = pack_append(w, s, f);
	if (f->plain.cap > f->room || f->payload.cap > 2 * f->room) {
		wframe_free(f);		/* a large block's */
		return err;
	}
	f->next = w->spare;
	w->spare = f;
	return err;
}

static struct wstream *
other(struct writer *w, const struct wstream *s)
{
	return s == &w->data ? &w->meta : &w->data;
}

/* Hand the frame being filled to the compressors. */
static int
frame_end(struct writer *w, struct wstream *s)
{
	struct wframe *f = s->frame;
	int err;

	if (f == NULL)
		return 0;
	while (w->data.count + w->meta.count >= w->max_frames) {
		err = frame_collect(w, s->count > 0 ? s : other(w, s));
		if (err != 0)
			return err;
	}
	s->frame = NULL;
	s->fifo[(s->head + s->count++) % FRAMES_MAX] = f;
	return pool_submit(w->compressors, frame_compress, f);
}

static int
frame_new(struct writer *w, struct wframe **out)
{
	size_t room = repo_config(w->repo)->frame_target;
	struct wframe *f = calloc(1, sizeof(*f));
	int err;

	if (f == NULL)
		return -ENOMEM;
	f->w = w;
	buf_init(&f->plain, FORMAT_FRAME_MAX);
	buf_init(&f->payload, FORMAT_FRAME_MAX + (1u << 20));
	/* A block may be larger than the target. */
	if (room >= FRAME_ROOM / 2 && room < FRAME_ROOM)
		room = FRAME_ROOM;
	f->room = room;
	err = buf_reserve_pages(&f->plain, room);
	/* No large pages: it is mostly a fraction of that.  But once, since to
	 * grow is to copy what was in it before. */
	if (err == 0)
		err = buf_reserve(&f->payload, 1 + room);
	if (err != 0) {
		wframe_free(f);
		return err;
	}
	*out = f;
	return 0;
}

static int
frame_begin(struct writer *w, struct wstream *s)
{
	struct wframe *f = w->spare;
	int err;

	if (f != NULL) {
		w->spare = f->next;
		buf_reset(&f->plain);
		buf_reset(&f->payload);
		f->nblocks = 0;
		f->done = 0;
		f->err = 0;
	} else {
		err = frame_new(w, &f);
		if (err != 0)
			return err;
	}
	s->frame = f;
	return 0;
}

static uint32_t
frame_target(const struct writer *w, const struct wstream *s)
{
	uint32_t target = repo_config(w->repo)->frame_target;

	return s->kind == PACK_DATA && w->fine && target > WRITER_FINE_FRAME ?
	    WRITER_FINE_FRAME : target;
}

void
writer_fine(struct writer *w, int fine)
{
	w->fine = fine;
}

static int
stream_add(struct writer *w, struct wstream *s, enum block_type type,
    const uint8_t *id, const void *data, size_t len)
{
	uint32_t target = frame_target(w, s);
	struct pack_block *b;
	struct wframe *f;
	int err = 0;

	if (s->frame != NULL && s->frame->plain.len + len > target)
		err = frame_end(w, s);
	if (err == 0 && s->frame == NULL)
		err = frame_begin(w, s);
	if (err != 0)
		return err;
	f = s->frame;
	err = array_grow((void **)&f->blocks, &f->blocks_cap, f->nblocks + 1,
	    sizeof(*f->blocks));
	if (err != 0)
		return err;
	b = &f->blocks[f->nblocks];
	memcpy(b->id, id, BLOCK_ID_SIZE);
	b->type = (uint8_t)type;
	b->frame = 0;
	b->off = (uint32_t)f->plain.len;
	b->len = (uint32_t)len;
	err = buf_add(&f->plain, data, len);
	if (err != 0)
		return err;
	f->nblocks++;
	return f->plain.len >= target ? frame_end(w, s) : 0;
}

int
writer_add(struct writer *w, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len, int *added)
{
	struct wstream *s = block_pack_kind(type) == PACK_DATA ? &w->data :
	    &w->meta;
	int ret;

	assert(len > 0 && len <= FORMAT_BLOCK_MAX);
	if (added != NULL)
		*added = 0;
	ret = writer_has(w, type, id);
	if (ret == 1)
		return writer_error(w);
	if (ret < 0)
		return writer_fail(w, ret);
	pthread_mutex_lock(&w->lock);
	ret = w->err;
	if (w->counted != NULL)
		idlossy_add(w->counted, id);
	else if (ret == 0 && idset_add(&w->pending, id) < 0)
		ret = -ENOMEM;
	if (s->kind == PACK_DATA) {
		w->added.data_blocks++;
		w->added.data_bytes += len;
	} else {
		w->added.meta_blocks++;
		w->added.meta_bytes += len;
	}
	pthread_mutex_unlock(&w->lock);
	if (added != NULL)
		*added = 1;
	if (ret == 0 && !w->conf.dry_run)
		ret = stream_add(w, s, type, id, data, len);
	return ret == 0 ? 0 : writer_fail(w, ret);
}

static int
stream_flush(struct writer *w, struct wstream *s)
{
	int err;

	err = frame_end(w, s);
	while (err == 0 && s->count > 0)
		err = frame_collect(w, s);
	if (err == 0)
		err = pack_end(w, s);
	return err;
}

int
writer_flush(struct writer *w)
{
	int err;

	err = writer_error(w);
	if (err == 0)
		err = stream_flush(w, &w->data);
	if (err == 0)
		err = stream_flush(w, &w->meta);
	if (err == 0)
		err = writer_upload_wait(w);
	if (err == 0)
		err = writer_segment(w, PACK_DATA, 1);
	if (err == 0)
		err = writer_segment(w, PACK_META, 1);
	return err == 0 ? 0 : writer_fail(w, err);
}

void
writer_halt(struct writer *w)
{
	writer_fail(w, -ECANCELED);
	writer_follow_stop(w);
	writer_upload_wait(w);
}

int
writer_settle(struct writer *w)
{
	int err, astray;

	writer_halt(w);
	err = writer_segment(w, PACK_DATA, 1);
	if (err == 0)
		err = writer_segment(w, PACK_META, 1);
	pthread_mutex_lock(&w->lock);
	astray = w->astray;
	pthread_mutex_unlock(&w->lock);
	return err == 0 && astray ? -EIO : err;
}

void
writer_added(struct writer *w, struct gen_added *out)
{
	pthread_mutex_lock(&w->lock);
	*out = w->added;
	pthread_mutex_unlock(&w->lock);
}
