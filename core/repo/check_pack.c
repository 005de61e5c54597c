/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: all that the index names are there with the right size (and, where
 * the store knows it, the right SHA-256, which costs no reading); with
 * read_data all bytes of all packs, frame by frame.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "format/pack.h"
#include "repo/check_internal.h"

static int
pack_note(struct check *c, enum pack_kind kind, const char *name,
    const struct store_stat *st)
{
	const char *base = strrchr(name, '/');
	struct check_pack *p;
	size_t cap;

	if (c->npacks == c->packs_cap) {
		cap = c->packs_cap > 0 ? 2 * c->packs_cap : 1024;
		p = realloc(c->pack, cap * sizeof(*p));
		if (p == NULL)
			return -ENOMEM;
		c->pack = p;
		c->packs_cap = cap;
	}
	p = &c->pack[c->npacks];
	memset(p, 0, sizeof(*p));
	if (base == NULL || hex_decode(base + 1, p->id, OBJECT_ID_SIZE) != 0) {
		check_problem(c, name, "is not an object of firn");
		return 0;
	}
	p->kind = (uint8_t)kind;
	p->size = st->size;
	c->npacks++;
	return 0;
}

static int
data_note(void *ctx, const char *name, const struct store_stat *st)
{
	return pack_note(ctx, PACK_DATA, name, st);
}

static int
meta_note(void *ctx, const char *name, const struct store_stat *st)
{
	return pack_note(ctx, PACK_META, name, st);
}

struct named {
	struct check *c;
	enum pack_kind kind;
};

/* A pack that the index names. */
static int
named_check(void *ctx, const uint8_t id[OBJECT_ID_SIZE], uint32_t size)
{
	struct named *n = ctx;
	struct check *c = n->c;
	struct check_pack *p = check_find(c, n->kind, id);
	char name[STORE_NAME_MAX + 1];
	struct store_stat st;
	int err;

	if (check_stopped(c))
		return -ECANCELED;
	c->res->packs++;
	repo_pack_name(n->kind, id, name);
	if (p == NULL) {
		check_problem(c, name, "is missing");
		return 0;
	}
	if (p->size != size) {
		p->bad = 1;
		check_problem(c, name, "has %llu bytes, not %u",
		    (unsigned long long)p->size, size);
		return 0;
	}
	if (store_local_path(repo_store(c->repo)) != NULL || c->conf->read_data)
		return 0;
	err = store_stat(repo_store(c->repo), name, &st);
	if (err == -ECANCELED)
		return err;
	if (err != 0)
		check_problem(c, name, "cannot be asked for: %s",
		    err_text(err));
	else if (st.has_sha256 && memcmp(st.sha256, id,
	    OBJECT_ID_SIZE) != 0) {
		p->bad = 1;
		check_problem(c, name, "is damaged: the store's SHA-256 of it "
		    "is not its name");
	}
	return 0;
}

/* One worker's tools. */
struct worker {
	struct check *c;
	struct pack_codec *codec;
	struct mac *mac;
	struct buf bytes;
	struct buf plain;
	uint64_t blocks;
	uint64_t twice;
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
	else if (err == 1 && (at.frame_off != f->off || at.frame_len != f->sealed ||
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
	}
	return 0;
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
		p = c->err == 0 && c->next < c->npacks ? &c->pack[c->next++] :
		    NULL;
		c->res->bytes += w.bytes.len;
		c->res->blocks += w.blocks;
		c->res->twice += w.twice;
		w.blocks = w.twice = 0;
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

static int
packs_read(struct check *c)
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

int
check_packs(struct check *c)
{
	struct named data = { c, PACK_DATA }, meta = { c, PACK_META };
	struct store *s = repo_store(c->repo);
	struct index *ix = repo_index(c->repo);
	size_t i;
	int err;

	/* Data before meta, each listed in order: sorted as check_find()
	 * wants it. */
	err = store_list(s, "data/", data_note, c);
	if (err == 0)
		err = store_list(s, "meta/", meta_note, c);
	if (err == 0)
		err = repo_sync(c->repo, PACK_META, NULL);
	if (err == 0)
		err = repo_sync(c->repo, PACK_DATA, NULL);
	if (err == 0)
		err = index_each_pack(ix, PACK_DATA, named_check, &data);
	if (err == 0)
		err = index_each_pack(ix, PACK_META, named_check, &meta);
	for (i = 0; i < c->npacks && err == 0; i++) {
		err = index_has_pack(ix, c->pack[i].kind, c->pack[i].id);
		if (err == 0) {
			c->pack[i].unlisted = 1;
			c->res->unused_packs++;
		}
		err = err < 0 ? err : 0;
	}
	if (err == 0 && c->conf->read_data)
		err = packs_read(c);
	return err;
}
