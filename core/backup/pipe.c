/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items travel as small heap objects through one queue; a piece of a file is
 * also given to the hashing pool, and the sequencer waits for its id when its
 * turn comes.  Entries travel encoded, so that one allocation holds all of
 * them.
 *
 * Locks: `lock` guards room, failure and the `hashed` flags; nothing is taken
 * inside it.
 */
#include <stdlib.h>
#include <string.h>

#include "backup/pipe_internal.h"
#include "base/err.h"
#include "base/log.h"
#include "repo/repo.h"

#define QUEUE_ITEMS 4096

static int
pipe_fail(struct pipe *p, int err)
{
	pthread_mutex_lock(&p->lock);
	if (p->err == 0)
		p->err = err;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return err;
}

int
pipe_error(struct pipe *p)
{
	int err;

	pthread_mutex_lock(&p->lock);
	err = p->err;
	pthread_mutex_unlock(&p->lock);
	return err;
}

int
pipe_failed(struct pipe *p)
{
	return pipe_error(p) != 0;
}

void
item_free(struct pipe *p, struct item *it)
{
	if (it->taken > 0) {
		pthread_mutex_lock(&p->lock);
		p->room += it->taken;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
	}
	free(it->data);
	free(it);
}

/* An item with room for `extra` bytes behind it. */
static struct item *
item_new(enum item_type type, size_t extra)
{
	struct item *it = calloc(1, sizeof(*it) + extra);

	if (it != NULL)
		it->type = type;
	return it;
}

static int
item_put(struct pipe *p, struct item *it)
{
	int err;

	if (it == NULL)
		return pipe_fail(p, -ENOMEM);
	err = pipe_error(p);
	if (err == 0)
		err = queue_put(p->queue, it);
	if (err != 0)
		item_free(p, it);
	return err;
}

/* An item that carries an encoded entry and xattrs. */
static int
entry_put(struct pipe *p, enum item_type type, const struct entry *e,
    const struct buf *xattr, uint64_t link)
{
	size_t xlen = xattr != NULL ? xattr->len : 0;
	struct item *it;
	int err;

	buf_reset(&p->scratch);
	err = entry_encode(e, &p->scratch);
	if (err != 0)
		return pipe_fail(p, log_err(err, "cannot encode '%.*s'",
		    (int)e->namelen, e->name));
	it = item_new(type, p->scratch.len + xlen);
	if (it != NULL) {
		it->entrylen = p->scratch.len;
		it->xattrlen = xlen;
		it->link = link;
		memcpy(it->bytes, p->scratch.data, p->scratch.len);
		if (xlen > 0)
			memcpy(it->bytes + it->entrylen, xattr->data, xlen);
	}
	return item_put(p, it);
}

int
pipe_dir_begin(struct pipe *p)
{
	return item_put(p, item_new(ITEM_DIR_BEGIN, 0));
}

int
pipe_dir_end(struct pipe *p, const struct entry *e, const struct buf *xattr)
{
	return entry_put(p, ITEM_DIR_END, e, xattr, 0);
}

int
pipe_entry(struct pipe *p, const struct entry *e, const struct buf *xattr)
{
	return entry_put(p, ITEM_ENTRY, e, xattr, 0);
}

int
pipe_file_end(struct pipe *p, const struct entry *e, const struct buf *xattr,
    uint64_t link)
{
	struct entry bare = *e;

	/* An entry with a size and no contents would not encode; the size is
	 * what its pieces add up to. */
	if (!(bare.flags & ENTRY_INLINE))
		bare.size = 0;
	return entry_put(p, ITEM_FILE_END, &bare, xattr, link);
}

int
pipe_file_abort(struct pipe *p)
{
	return item_put(p, item_new(ITEM_FILE_ABORT, 0));
}

int
pipe_hole(struct pipe *p, uint64_t len)
{
	struct item *it = item_new(ITEM_HOLE, 0);

	if (it != NULL)
		it->len = len;
	return item_put(p, it);
}

int
pipe_link(struct pipe *p, const char *name, size_t len, uint64_t link,
    int last)
{
	struct item *it = item_new(ITEM_LINK, len);

	if (it != NULL) {
		it->entrylen = len;
		memcpy(it->bytes, name, len);
		it->link = link;
		it->last = last;
	}
	return item_put(p, it);
}

/* A hashing thread's job. */
static void
item_hash(void *ctx)
{
	struct item *it = ctx;
	struct pipe *p = it->pipe;
	struct mac *mac = NULL;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (p->nmacs > 0)
		mac = p->macs[--p->nmacs];
	pthread_mutex_unlock(&p->lock);
	if (mac == NULL)
		err = mac_new(p->conf.keys->block_id,
		    sizeof(p->conf.keys->block_id), &mac);
	if (err == 0)
		err = block_id(mac, BLOCK_DATA, it->data, it->datalen, it->id);
	pthread_mutex_lock(&p->lock);
	if (mac != NULL && p->nmacs < MACS_MAX) {
		p->macs[p->nmacs++] = mac;
		mac = NULL;
	}
	it->err = err;
	it->hashed = 1;
	if (p->waiting == it)
		pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	mac_free(mac);
}

int
pipe_data(struct pipe *p, const void *data, size_t len)
{
	struct item *it = item_new(ITEM_DATA, 0);
	int err;

	if (it == NULL)
		return pipe_fail(p, -ENOMEM);
	pthread_mutex_lock(&p->lock);
	/* One piece may be more than all the room there is. */
	while (p->err == 0 && p->room < len && p->room < p->conf.memory)
		pthread_cond_wait(&p->changed, &p->lock);
	err = p->err;
	if (err == 0) {
		it->taken = p->room > len ? len : p->room;
		p->room -= it->taken;
	}
	pthread_mutex_unlock(&p->lock);
	if (err == 0 && (it->data = malloc(len)) == NULL)
		err = pipe_fail(p, -ENOMEM);
	if (err != 0) {
		item_free(p, it);
		return err;
	}
	memcpy(it->data, data, len);
	it->datalen = len;
	it->pipe = p;
	err = pool_submit(p->pool, item_hash, it);
	if (err != 0) {
		item_free(p, it);
		return pipe_fail(p, err);
	}
	/* From here on the hasher holds it too: it must reach the sequencer,
	 * which waits for the hash before it frees. */
	return queue_put(p->queue, it);
}

static void *
sequencer_main(void *ctx)
{
	struct pipe *p = ctx;
	struct item *it;
	void *taken;
	int err;

	while (queue_take(p->queue, &taken) == 0) {
		it = taken;
		if (it->type == ITEM_DATA) {
			pthread_mutex_lock(&p->lock);
			p->waiting = it;
			while (!it->hashed)
				pthread_cond_wait(&p->changed, &p->lock);
			p->waiting = NULL;
			pthread_mutex_unlock(&p->lock);
		}
		err = pipe_error(p);
		if (err == 0) {
			err = pipe_step(p, it);
			if (err != 0)
				pipe_fail(p, err);
		}
		item_free(p, it);
	}
	return NULL;
}

int
pipe_new(struct writer *w, const struct pipe_conf *conf, struct pipe **out)
{
	struct pipe *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL)
		return -ENOMEM;
	p->writer = w;
	p->conf = *conf;
	p->room = conf->memory;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	buf_init(&p->scratch, 2 * TREE_ENTRY_MAX);
	err = sequence_init(p);
	if (err == 0)
		err = queue_new(QUEUE_ITEMS, &p->queue);
	if (err == 0)
		err = pool_new("firn-hash", conf->threads, QUEUE_ITEMS,
		    &p->pool);
	if (err == 0)
		err = -pthread_create(&p->thread, NULL, sequencer_main, p);
	if (err == 0)
		p->running = 1;
	if (err != 0) {
		pipe_free(p);
		return err;
	}
	*out = p;
	return 0;
}

static void
pipe_stop(struct pipe *p)
{
	if (!p->running)
		return;
	queue_close(p->queue);
	pthread_join(p->thread, NULL);
	p->running = 0;
}

void
pipe_free(struct pipe *p)
{
	if (p == NULL)
		return;
	pipe_fail(p, -ECANCELED);
	pipe_stop(p);
	pool_free(p->pool);
	queue_free(p->queue);
	sequence_release(p);
	while (p->nmacs > 0)
		mac_free(p->macs[--p->nmacs]);
	buf_release(&p->scratch);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int
pipe_finish(struct pipe *p, uint8_t root[BLOCK_ID_SIZE], uint64_t *files,
    uint64_t *dirs, uint64_t *bytes)
{
	int err;

	pipe_stop(p);
	err = pipe_error(p);
	if (err != 0)
		return err;
	memcpy(root, p->root, BLOCK_ID_SIZE);
	*files = p->totals.files;
	*dirs = p->totals.dirs;
	*bytes = p->totals.bytes;
	return 0;
}
