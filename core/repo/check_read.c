/* SPDX-License-Identifier: Apache-2.0 */
/* Reading packs: all bytes of all that are there, frame by frame. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "format/pack.h"
#include "repo/check_internal.h"

/* One worker's tools. */
struct worker {
	struct check *c;
	struct pack_codec *codec;
	struct mac *mac;
	struct buf bytes;
	struct buf plain;
	uint64_t blocks, whole, twice;	/* since they were last counted */
};

/* Where the index says that a block is must be where its pack has it. */
static int
block_check(struct worker *w, const struct check_pack *p, const char *name,
    const struct pack_frame *f, const struct pack_block *b)
{
	struct index *ix = repo_index(w->c->repo);
	struct index_place at;
	uint8_t id[BLOCK_ID_SIZE];
	int err;

	if (b->off > w->plain.len || b->len > w->plain.len - b->off)
		return -FIRN_ECORRUPT;
	err = block_id(w->mac, b->type, w->plain.data + b->off, b->len, id);
	if (err != 0)
		return err;
	if (memcmp(id, b->id, BLOCK_ID_SIZE) != 0)
		return -FIRN_ECORRUPT;
	w->blocks++;
	err = index_find(ix, p->kind, b->id, &at);
	if (err == 1 && memcmp(at.pack, p->id, OBJECT_ID_SIZE) != 0)
		w->twice += b->len;
	else if (err == 1 && (at.frame_off != f->off ||
	    at.frame_len != f->sealed ||
	    at.off != b->off || at.len != b->len))
		check_problem(w->c, name, "the index has a block of it at "
		    "another place");
	return err < 0 ? err : 0;
}

static int
frames_check(struct worker *w, const struct check_pack *p, const char *name,
    const uint8_t *key, const struct pack_footer *footer)
{
	const struct pack_frame *f;
	size_t i, b = 0;
	int err, bad = 0;

	for (i = 0; i < footer->nframes; i++) {
		f = &footer->frames[i];
		buf_reset(&w->plain);
		err = pack_frame_open(w->codec, key, w->bytes.data, f->off,
		    w->bytes.data + f->off, f->sealed, &w->plain);
		for (; b < footer->nblocks && footer->blocks[b].frame == i;
		    b++)
			if (err == 0)
				err = block_check(w, p, name, f,
				    &footer->blocks[b]);
		if (err != 0 && err != -FIRN_ECORRUPT)
			return err;
		bad |= err != 0;
	}
	return bad ? -FIRN_ECORRUPT : 0;
}

static int
pack_decode_all(struct worker *w, const struct check_pack *p,
    const char *name)
{
	const struct keys *keys = repo_keys(w->c->repo);
	uint8_t key[PACK_KEY_SIZE];
	struct pack_footer footer;
	uint64_t off;
	uint32_t len;
	int err;

	if (w->bytes.len < PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
		return -FIRN_ECORRUPT;
	err = pack_header_decode(keys, w->bytes.data, p->kind,
	    keys->has_sk ? key : NULL);
	if (err == 0)
		err = pack_trailer_decode(w->bytes.data + w->bytes.len -
		    PACK_TRAILER_SIZE, w->bytes.len, &off, &len);
	if (err == 0)
		err = pack_footer_decode(keys, w->bytes.data,
		    w->bytes.data + off, len, off, &footer);
	if (err != 0)
		return err;
	/* A write-only key can compare names and footers, no more. */
	if (keys->has_sk)
		err = frames_check(w, p, name, key, &footer);
	pack_footer_release(&footer);
	return err;
}

static int
pack_read(struct worker *w, struct check_pack *p)
{
	char name[STORE_NAME_MAX + 1];
	int err, decoded, same;

	repo_pack_name(p->kind, p->id, name);
	err = check_load(w->c, name, p->id, &w->bytes, &same);
	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	if (err != 0) {
		p->bad = 1;
		check_problem(w->c, name, "cannot be read: %s", err_text(err));
		return 0;
	}
	decoded = pack_decode_all(w, p, name);
	if (decoded != 0 && decoded != -FIRN_ECORRUPT &&
	    decoded != -FIRN_EVERSION)
		return decoded;
	if (!same) {
		p->bad = 1;
		check_problem(w->c, name, "is damaged: its SHA-256 is not its "
		    "name%s", decoded == 0 ? "; all of its blocks are whole" :
		    "");
	} else if (decoded != 0) {
		p->bad = 1;
		check_problem(w->c, name, "was written wrong: %s",
		    err_text(decoded));
	} else if (p->want != 0) {
		w->whole++;
	}
	return 0;
}

/* The next to be read; under the lock. */
static struct check_pack *
pack_next(struct check *c)
{
	struct check_pack *p;

	while (c->next < c->npacks) {
		p = &c->pack[c->next++];
		if (p->present && !check_is_lost(p))
			return p;
	}
	return NULL;
}

static void *
worker_main(void *ctx)
{
	struct worker w = { .c = ctx };
	struct check *c = ctx;
	struct check_pack *p;
	int err;

	buf_init(&w.bytes, FORMAT_PACK_MAX);
	buf_init(&w.plain, FORMAT_FRAME_MAX);
	err = pack_codec_new(&w.codec);
	if (err == 0)
		err = mac_new(repo_keys(c->repo)->block_id, KEY_SIZE, &w.mac);
	for (;;) {
		pthread_mutex_lock(&c->lock);
		if (err != 0 && c->err == 0)
			c->err = err;
		p = c->err == 0 ? pack_next(c) : NULL;
		c->res->bytes += w.bytes.len;
		c->res->blocks += w.blocks;
		c->res->packs_read += w.whole;
		c->res->twice += w.twice;
		w.blocks = w.whole = w.twice = 0;
		w.bytes.len = 0;
		if (c->conf->progress != NULL)
			c->conf->progress(c->conf->ctx, "packs", c->next,
			    c->npacks, c->res->bytes);
		pthread_mutex_unlock(&c->lock);
		if (p == NULL)
			break;
		err = check_stopped(c) ? -ECANCELED : pack_read(&w, p);
	}
	buf_release(&w.bytes);
	buf_release(&w.plain);
	pack_codec_free(w.codec);
	mac_free(w.mac);
	return NULL;
}

int
check_read(struct check *c)
{
	pthread_t thread[16];
	unsigned n = c->conf->threads > 0 ? c->conf->threads : 2, i;
	int err = 0;

	if (n > 16)
		n = 16;
	for (i = 0; i < n && err == 0; i++)
		err = -pthread_create(&thread[i], NULL, worker_main, c);
	n = err == 0 ? i : i - 1;
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	return err != 0 ? err : c->err;
}
