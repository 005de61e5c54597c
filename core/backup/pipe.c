/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items travel in batches, which go round: filled by the walker, hashed by a
 * thread of the pool, taken apart by the sequencer in the order in which they
 * were filled, and filled again.  There is a fixed number of them, so memory
 * is bounded and a full pipeline blocks the walker.  Entries travel encoded,
 * so that they are plain bytes behind their item.
 *
 * Locks: `lock` guards failure, the `hashed` flags and the idle macs; nothing
 * is taken inside it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backup/pipe_internal.h"
#include "base/err.h"
#include "base/log.h"
#include "base/pages.h"
#include "repo/repo.h"

#define BATCH_SIZE	((size_t)1 << 20)
#define BATCHES_MIN	3	/* one in each hand */

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

static struct item *
item_at(const struct batch *b, size_t off)
{
	return (struct item *)(void *)(b->mem + off);
}

static int
batch_hash_items(struct batch *b, struct mac *mac)
{
	struct item *it;
	size_t off;
	int err = 0;

	for (off = 0; off < b->used && err == 0; off += it->size) {
		it = item_at(b, off);
		if (it->type == ITEM_DATA)
			err = block_id(mac, BLOCK_DATA, it->bytes, it->len,
			    it->id);
	}
	return err;
}

/* A hashing thread's job. */
static void
batch_hash(void *ctx)
{
	struct batch *b = ctx;
	struct pipe *p = b->pipe;
	struct mac *mac;

	/* There are as many as threads. */
	pthread_mutex_lock(&p->lock);
	mac = p->macs[--p->nmacs];
	pthread_mutex_unlock(&p->lock);
	b->err = batch_hash_items(b, mac);
	pthread_mutex_lock(&p->lock);
	p->macs[p->nmacs++] = mac;
	b->hashed = 1;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Hand over what was filled. */
static int
batch_end(struct pipe *p)
{
	struct batch *b = p->filling;
	int err = 0;

	p->piece = NULL;
	if (b == NULL || b->used == 0)
		return 0;
	p->filling = NULL;
	b->hashed = b->pieces == 0;
	b->err = 0;
	if (!b->hashed)
		err = pool_submit(p->pool, batch_hash, b);
	if (err != 0) {
		b->err = err;
		b->hashed = 1;
	}
	/* The sequencer must get it in any case: it gives it back. */
	return queue_put(p->full, b);
}

/* Room for so many bytes in an empty batch: for any piece, for good.  More than
 * that is given back when it is not needed, so that one large item does not cost
 * its memory for the rest of the run. */
static int
batch_room(struct batch *b, size_t need)
{
	size_t keep = b->pipe->conf.piece_max + sizeof(struct item) +
	    BATCH_ALIGN;

	if (keep < BATCH_SIZE)
		keep = BATCH_SIZE;
	if (need < keep)
		need = keep;
	if (need <= b->cap && (b->cap == keep || need > keep))
		return 0;
	free(b->mem);
	b->mem = pages_alloc(need);
	b->cap = b->mem != NULL ? need : 0;
	return b->mem != NULL ? 0 : -ENOMEM;
}

/* An empty batch with room for so many bytes. */
static int
batch_begin(struct pipe *p, size_t need)
{
	struct batch *b;
	void *taken;
	int err;

	err = queue_take(p->empty, &taken);
	if (err != 0)
		return err;
	p->filling = b = taken;
	b->used = 0;
	b->pieces = 0;
	return batch_room(b, need);
}

/*
 * Room for an item with `extra` bytes behind it.  It becomes part of the batch
 * with item_commit().  NULL when the pipeline has failed.
 */
static struct item *
item_begin(struct pipe *p, enum item_type type, size_t extra)
{
	size_t need = sizeof(struct item) + extra + BATCH_ALIGN;
	struct item *it;
	int err = 0;

	p->piece = NULL;
	if (p->filling != NULL && (p->filling->used >= BATCH_SIZE ||
	    need > p->filling->cap - p->filling->used))
		/* A piece that was begun and not committed left it empty. */
		err = p->filling->used > 0 ? batch_end(p) :
		    batch_room(p->filling, need);
	if (err == 0 && p->filling == NULL) {
		err = pipe_error(p);
		if (err == 0)
			err = batch_begin(p, need);
	}
	if (err != 0) {
		pipe_fail(p, err);
		return NULL;
	}
	it = item_at(p->filling, p->filling->used);
	memset(it, 0, sizeof(*it));
	it->type = type;
	return it;
}

/* `extra` may be less than was begun with. */
static int
item_commit(struct pipe *p, struct item *it, size_t extra)
{
	it->size = (sizeof(*it) + extra + BATCH_ALIGN - 1) / BATCH_ALIGN *
	    BATCH_ALIGN;
	p->filling->used += it->size;
	p->filling->pieces += it->type == ITEM_DATA;
	return 0;
}

/* An item that has nothing but its type. */
static int
item_put(struct pipe *p, enum item_type type)
{
	struct item *it = item_begin(p, type, 0);

	return it != NULL ? item_commit(p, it, 0) : pipe_error(p);
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
	it = item_begin(p, type, p->scratch.len + xlen);
	if (it == NULL)
		return pipe_error(p);
	it->entrylen = p->scratch.len;
	it->xattrlen = xlen;
	it->link = link;
	memcpy(it->bytes, p->scratch.data, p->scratch.len);
	if (xlen > 0)
		memcpy(it->bytes + it->entrylen, xattr->data, xlen);
	return item_commit(p, it, it->entrylen + xlen);
}

int
pipe_dir_begin(struct pipe *p)
{
	return item_put(p, ITEM_DIR_BEGIN);
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
	return item_put(p, ITEM_FILE_ABORT);
}

int
pipe_hole(struct pipe *p, uint64_t len)
{
	struct item *it = item_begin(p, ITEM_HOLE, 0);

	if (it == NULL)
		return pipe_error(p);
	it->len = len;
	return item_commit(p, it, 0);
}

int
pipe_link(struct pipe *p, const char *name, size_t len, uint64_t link,
    int last)
{
	struct item *it = item_begin(p, ITEM_LINK, len);

	if (it == NULL)
		return pipe_error(p);
	it->entrylen = len;
	memcpy(it->bytes, name, len);
	it->link = link;
	it->last = last;
	return item_commit(p, it, len);
}

int
pipe_piece_begin(struct pipe *p, size_t max, void **room)
{
	struct item *it = item_begin(p, ITEM_DATA, max);

	p->piece = it;
	*room = it != NULL ? it->bytes : NULL;
	return it != NULL ? 0 : pipe_error(p);
}

int
pipe_piece_commit(struct pipe *p, size_t len)
{
	struct item *it = p->piece;

	assert(it != NULL && len > 0);
	p->piece = NULL;
	it->len = len;
	return item_commit(p, it, len);
}

int
pipe_data(struct pipe *p, const void *data, size_t len)
{
	void *room;
	int err = pipe_piece_begin(p, len, &room);

	if (err != 0)
		return err;
	memcpy(room, data, len);
	return pipe_piece_commit(p, len);
}

/* Take a batch apart; nothing is done with it once the pipeline has failed. */
static void
batch_step(struct pipe *p, const struct batch *b)
{
	const struct item *it;
	size_t off;
	int err;

	err = pipe_error(p);
	if (err == 0)
		err = b->err;
	for (off = 0; off < b->used && err == 0; off += it->size) {
		it = item_at(b, off);
		err = pipe_step(p, it);
	}
	if (err != 0)
		pipe_fail(p, err);
}

static void *
sequencer_main(void *ctx)
{
	struct pipe *p = ctx;
	struct batch *b;
	void *taken;

	while (queue_take(p->full, &taken) == 0) {
		b = taken;
		pthread_mutex_lock(&p->lock);
		while (!b->hashed)
			pthread_cond_wait(&p->changed, &p->lock);
		pthread_mutex_unlock(&p->lock);
		batch_step(p, b);
		queue_put(p->empty, b);
	}
	return NULL;
}

static int
batches_init(struct pipe *p)
{
	size_t size = p->conf.piece_max, n;
	int err;

	if (size < BATCH_SIZE)
		size = BATCH_SIZE;
	n = p->conf.memory / size;
	if (n < BATCHES_MIN)
		n = BATCHES_MIN;
	p->batch = calloc(n, sizeof(*p->batch));
	if (p->batch == NULL)
		return -ENOMEM;
	p->nbatches = (unsigned)n;
	err = queue_new(n, &p->empty);
	if (err == 0)
		err = queue_new(n, &p->full);
	/* A batch gets memory when it is first filled: most runs need few. */
	for (n = 0; n < p->nbatches && err == 0; n++) {
		p->batch[n].pipe = p;
		err = queue_put(p->empty, &p->batch[n]);
	}
	return err;
}

static int
macs_init(struct pipe *p)
{
	const struct keys *keys = p->conf.keys;
	int err = 0;

	p->macs = calloc(p->conf.threads, sizeof(struct mac *));
	if (p->macs == NULL)
		return -ENOMEM;
	while (err == 0 && p->nmacs < p->conf.threads) {
		err = mac_new(keys->block_id, sizeof(keys->block_id),
		    &p->macs[p->nmacs]);
		if (err == 0)
			p->nmacs++;
	}
	return err;
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
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	buf_init(&p->scratch, 2 * TREE_ENTRY_MAX);
	err = sequence_init(p);
	if (err == 0)
		err = batches_init(p);
	if (err == 0)
		err = macs_init(p);
	if (err == 0)
		err = pool_new("firn-hash", conf->threads, p->nbatches,
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
	batch_end(p);
	queue_close(p->full);
	pthread_join(p->thread, NULL);
	p->running = 0;
}

void
pipe_free(struct pipe *p)
{
	unsigned i;

	if (p == NULL)
		return;
	pipe_fail(p, -ECANCELED);
	pipe_stop(p);
	pool_free(p->pool);
	queue_free(p->empty);
	queue_free(p->full);
	sequence_release(p);
	for (i = 0; i < p->nbatches; i++)
		free(p->batch[i].mem);
	free(p->batch);
	while (p->nmacs > 0)
		mac_free(p->macs[--p->nmacs]);
	free(p->macs);
	buf_release(&p->scratch);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int
pipe_finish(struct pipe *p, struct entry *root)
{
	struct rd r;
	int err;

	pipe_stop(p);
	err = pipe_error(p);
	if (err != 0)
		return err;
	r = rd_init(p->root.data, p->root.len);
	return entry_decode(&r, root);
}
