/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of one file.  Extents of a file without a list are decoded once into
 * an array; those of a list a page at a time, and the page used last is kept
 * decoded, since reads are mostly in order.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/filemap.h"
#include "repo/order.h"
#include "repo/reader_run.h"

/* A run of extents in memory: [start, start + len) of the file. */
struct span {
	uint64_t start;
	uint64_t len;
	size_t n;
	struct extent *x;
	uint64_t *at;		/* where each begins; n of them */
};

/* How blocks are got. */
enum how { AS_IT_COMES, IN_ORDER, HERE_AND_THERE, IF_THERE };

struct filemap {
	struct reader *rd;
	uint64_t size;
	uint8_t *inl;		/* contents, when inline */
	int has_list;
	uint8_t list_id[BLOCK_ID_SIZE];
	pthread_mutex_t lock;
	struct span span;	/* protected by lock with has_list, else
				   constant */
	struct orders orders;	/* protected by lock */
};

static const uint8_t zeros[128u << 10];

static void
span_release(struct span *s)
{
	free(s->x);
	free(s->at);
	memset(s, 0, sizeof(*s));
}

/* The extent of r that begins at *end, which is then where it ends. */
static int
extent_next(struct rd *r, struct extent *x, uint64_t *end)
{
	int err = extent_decode(r, x);

	if (err == 0 && x->len > UINT64_MAX - *end)
		err = -FIRN_ECORRUPT;
	if (err == 0)
		*end += x->len;
	return err;
}

/* count extents of r; all of them must be there and nothing behind. */
static int
span_decode(struct rd *r, uint64_t count, uint64_t start, struct span *out)
{
	struct span s = { .start = start };
	uint64_t i, end = start;
	int err;

	if (count > rd_left(r))
		return -FIRN_ECORRUPT;
	s.x = calloc(count + 1, sizeof(*s.x));
	s.at = calloc(count + 1, sizeof(*s.at));
	if (s.x == NULL || s.at == NULL) {
		span_release(&s);
		return -ENOMEM;
	}
	for (i = 0; i < count; i++) {
		s.at[i] = end;
		err = extent_next(r, &s.x[i], &end);
		if (err != 0) {
			span_release(&s);
			return err;
		}
	}
	s.len = end - start;
	s.n = count;
	if (rd_left(r) != 0) {
		span_release(&s);
		return -FIRN_ECORRUPT;
	}
	*out = s;
	return 0;
}

int
filemap_new(struct reader *rd, const struct entry *e, struct filemap **out)
{
	struct filemap *fm = calloc(1, sizeof(*fm));
	struct rd r;
	int err = 0;

	if (fm == NULL)
		return -ENOMEM;
	pthread_mutex_init(&fm->lock, NULL);
	fm->rd = rd;
	fm->size = e->flags & ENTRY_SIZE ? e->size : 0;
	if (e->flags & ENTRY_INLINE) {
		fm->inl = malloc(e->size + 1);
		if (fm->inl == NULL)
			err = -ENOMEM;
		else
			memcpy(fm->inl, e->inl, e->size);
	} else if (e->flags & ENTRY_LIST) {
		fm->has_list = 1;
		memcpy(fm->list_id, e->list_id, sizeof(fm->list_id));
	} else if (e->flags & ENTRY_EXTENTS) {
		r = rd_init(e->extents, e->extentslen);
		err = span_decode(&r, e->nextents, 0, &fm->span);
	}
	if (err == 0 && !fm->has_list && fm->inl == NULL &&
	    fm->span.len != fm->size)
		err = log_err(-FIRN_ECORRUPT,
		    "the extents of a file do not add up to its size");
	if (err != 0) {
		filemap_free(fm);
		return err;
	}
	*out = fm;
	return 0;
}

void
filemap_free(struct filemap *fm)
{
	if (fm == NULL)
		return;
	span_release(&fm->span);
	pthread_mutex_destroy(&fm->lock);
	free(fm->inl);
	free(fm);
}

uint64_t
filemap_size(const struct filemap *fm)
{
	return fm->size;
}

/* One step down a list: the child of a page above the leaves that holds off. */
static int
list_step(struct list *list, uint64_t off, uint64_t *start,
    uint8_t id[BLOCK_ID_SIZE])
{
	struct list_child c;
	uint64_t i;
	int err;

	for (i = 0; i < list->count; i++) {
		err = list_child_decode(&list->r, &c);
		if (err != 0)
			return err;
		if (c.len > UINT64_MAX - *start)
			return -FIRN_ECORRUPT;
		if (off < *start + c.len) {
			memcpy(id, c.id, BLOCK_ID_SIZE);
			return 0;
		}
		*start += c.len;
	}
	return -FIRN_ECORRUPT;
}

static int
list_failed(int err)
{
	return err != -FIRN_ECORRUPT ? err : log_err(err,
	    "cannot decode a list of blocks");
}

/* The page of extents around off, and where it begins; held. */
static int
list_leaf(struct filemap *fm, uint64_t off, struct list *list,
    uint64_t *start, struct blockref *ref)
{
	uint8_t id[BLOCK_ID_SIZE];
	unsigned above = TREE_LEVEL_MAX;
	int err;

	memcpy(id, fm->list_id, sizeof(id));
	for (*start = 0;; above = list->level) {
		err = reader_get(fm->rd, BLOCK_LIST, id, ref);
		if (err != 0)
			return err;
		err = list_decode(ref->data, ref->len, list);
		if (err == 0 && list->level >= above)
			err = -FIRN_ECORRUPT;
		if (err == 0 && list->level == 0)
			return 0;
		if (err == 0)
			err = list_step(list, off, start, id);
		blockref_put(fm->rd, ref);
		if (err != 0)
			return list_failed(err);
	}
}

static int
list_span(struct filemap *fm, uint64_t off, struct span *out)
{
	struct blockref ref;
	struct list list;
	uint64_t start;
	int err;

	err = list_leaf(fm, off, &list, &start, &ref);
	if (err != 0)
		return err;
	err = span_decode(&list.r, list.count, start, out);
	if (err == 0 && (off < out->start || off - out->start >= out->len)) {
		span_release(out);
		err = -FIRN_ECORRUPT;
	}
	blockref_put(fm->rd, &ref);
	return list_failed(err);
}

/* The extent around off and where it begins, for who wants no other one of this
 * page: decoding all of them takes longer than opening the block. */
static int
list_extent(struct filemap *fm, uint64_t off, struct extent *x,
    uint64_t *start)
{
	struct blockref ref;
	struct list list;
	uint64_t i, end;
	int err;

	err = list_leaf(fm, off, &list, &end, &ref);
	if (err != 0)
		return err;
	for (i = 0; err == 0 && end <= off; i++) {
		*start = end;
		err = i < list.count ? extent_next(&list.r, x, &end) :
		    -FIRN_ECORRUPT;
	}
	blockref_put(fm->rd, &ref);
	return list_failed(err);
}

/* The extent of a span around off, which lies in it. */
static size_t
span_find(const struct span *s, uint64_t off)
{
	size_t lo = 0, hi = s->n, mid;

	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (s->at[mid] <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int
filemap_extent(struct filemap *fm, uint64_t off, struct extent *x,
    uint64_t *start)
{
	struct span fresh;
	size_t i;
	int err;

	if (off >= fm->size)
		return 0;
	if (fm->inl != NULL) {
		memset(x, 0, sizeof(*x));
		x->len = fm->size;
		*start = 0;
		return 1;
	}
	if (!fm->has_list) {
		i = span_find(&fm->span, off);
		*x = fm->span.x[i];
		*start = fm->span.at[i];
		return 1;
	}
	pthread_mutex_lock(&fm->lock);
	while (off < fm->span.start ||
	    off - fm->span.start >= fm->span.len) {
		/* Not under the lock: it may have to be fetched. */
		pthread_mutex_unlock(&fm->lock);
		err = list_span(fm, off, &fresh);
		if (err != 0)
			return err;
		pthread_mutex_lock(&fm->lock);
		span_release(&fm->span);
		fm->span = fresh;
	}
	i = span_find(&fm->span, off);
	*x = fm->span.x[i];
	*start = fm->span.at[i];
	pthread_mutex_unlock(&fm->lock);
	return 1;
}

/* As filemap_extent(), and the page that is kept stays the one that it is. */
static int
extent_alone(struct filemap *fm, uint64_t off, struct extent *x,
    uint64_t *start)
{
	int kept, err;

	if (!fm->has_list || off >= fm->size)
		return filemap_extent(fm, off, x, start);
	pthread_mutex_lock(&fm->lock);
	kept = off >= fm->span.start && off - fm->span.start < fm->span.len;
	pthread_mutex_unlock(&fm->lock);
	if (kept)
		return filemap_extent(fm, off, x, start);
	err = list_extent(fm, off, x, start);
	return err == 0 ? 1 : err;
}

static void
fetch_ahead(struct filemap *fm, const struct outlook *o)
{
	struct reader_run run = { 0 };
	enum run_answer answer = RUN_TAKEN;
	uint64_t start, off = o->from, begun = o->from;
	struct extent x;

	if (o->to == 0)
		return;
	while (answer != RUN_FULL && off < o->to) {
		if (filemap_extent(fm, off, &x, &start) != 1) {
			/* Who reads there will be told; not again here. */
			off = o->to;
			break;
		}
		if (!x.hole)
			answer = reader_run(fm->rd, &run, BLOCK_DATA, x.id);
		if (!x.hole && answer == RUN_BEGUN)
			begun = start;
		off = start + x.len;
	}
	if (answer == RUN_FULL || !reader_run_end(fm->rd, &run))
		off = begun;
	pthread_mutex_lock(&fm->lock);
	orders_asked(&fm->orders, o, off);
	pthread_mutex_unlock(&fm->lock);
}

/*
 * What a read makes likely; to be called before each.  Files that are no larger
 * than what is looked ahead are left to the order in which their pack is read:
 * what comes behind them matters as much.
 */
static enum how
follow(struct filemap *fm, uint64_t off, size_t len, struct outlook *o)
{
	*o = (struct outlook){ ORDER_OPEN, 0, 0, 0 };
	if (fm->inl != NULL || fm->size <= READER_RUN_BYTES)
		return AS_IT_COMES;
	pthread_mutex_lock(&fm->lock);
	*o = orders_step(&fm->orders, off, len, fm->size);
	pthread_mutex_unlock(&fm->lock);
	return o->kind == ORDER_PROVEN ? IN_ORDER : o->kind == ORDER_NONE ?
	    HERE_AND_THERE : AS_IT_COMES;
}

static int
block_get(struct filemap *fm, const uint8_t id[BLOCK_ID_SIZE], enum how how,
    struct blockref *ref)
{
	switch (how) {
	case IN_ORDER:
		return reader_get_alone(fm->rd, BLOCK_DATA, id, ref);
	case HERE_AND_THERE:
		return reader_get_part(fm->rd, BLOCK_DATA, id, ref);
	case IF_THERE:
		return reader_peek(fm->rd, BLOCK_DATA, id, ref) ? 0 : -EAGAIN;
	default:
		return reader_get(fm->rd, BLOCK_DATA, id, ref);
	}
}

/* Some of what begins at off, which is below the size, at most len bytes. */
static int
piece_get(struct filemap *fm, uint64_t off, size_t len, enum how how,
    struct iovec *iov, struct blockref *ref)
{
	struct extent x;
	uint64_t start, skip;
	int ret;

	ref->frame = NULL;
	ret = how == HERE_AND_THERE ? extent_alone(fm, off, &x, &start) :
	    filemap_extent(fm, off, &x, &start);
	if (ret != 1)
		return ret < 0 ? ret : -FIRN_ECORRUPT;
	skip = off - start;
	iov->iov_len = len < x.len - skip ? len : (size_t)(x.len - skip);
	if (fm->inl != NULL) {
		iov->iov_base = fm->inl + skip;
		return 0;
	}
	if (x.hole) {
		iov->iov_base = (void *)(uintptr_t)zeros;
		if (iov->iov_len > sizeof(zeros))
			iov->iov_len = sizeof(zeros);
		return 0;
	}
	ret = block_get(fm, x.id, how, ref);
	if (ret == 0 && ref->len != x.len) {
		ret = log_err(-FIRN_ECORRUPT,
		    "a block has another length than its file says");
		blockref_put(fm->rd, ref);
	}
	if (ret == 0)
		iov->iov_base = (void *)(uintptr_t)(ref->data + skip);
	return ret;
}

int
filemap_read(struct filemap *fm, uint64_t off, void *buf, size_t len,
    size_t *got)
{
	struct blockref ref;
	struct iovec iov;
	uint8_t *out = buf;
	struct outlook o;
	enum how how;
	size_t done;
	int err = 0;

	*got = 0;
	if (off >= fm->size)
		return 0;
	if (len > fm->size - off)
		len = (size_t)(fm->size - off);
	how = follow(fm, off, len, &o);
	for (done = 0; done < len; done += iov.iov_len) {
		err = piece_get(fm, off + done, len - done, how, &iov, &ref);
		if (err != 0)
			break;
		memcpy(out + done, iov.iov_base, iov.iov_len);
		blockref_put(fm->rd, &ref);
	}
	fetch_ahead(fm, &o);
	if (err == 0)
		*got = done;
	return err;
}

static int
gather(struct filemap *fm, uint64_t off, size_t len, enum how how,
    struct filemap_pieces *out)
{
	size_t done;
	int err;

	out->n = 0;
	for (done = 0; done < len; done += out->iov[out->n++].iov_len) {
		err = out->n == FILEMAP_PIECES ? -E2BIG : piece_get(fm,
		    off + done, len - done, how, &out->iov[out->n],
		    &out->ref[out->n]);
		if (err != 0) {
			filemap_pieces_put(fm, out);
			return err;
		}
	}
	return 0;
}

int
filemap_pieces(struct filemap *fm, uint64_t off, size_t len,
    struct filemap_pieces *out)
{
	struct outlook o;
	enum how how;
	int err;

	out->n = 0;
	if (off >= fm->size)
		return 0;
	if (len > fm->size - off)
		len = (size_t)(fm->size - off);
	how = follow(fm, off, len, &o);
	err = gather(fm, off, len, how, out);
	fetch_ahead(fm, &o);
	return err;
}

int
filemap_peek(struct filemap *fm, struct filemap_pieces *out)
{
	return gather(fm, 0, (size_t)fm->size, IF_THERE, out) == 0;
}

void
filemap_pieces_put(struct filemap *fm, struct filemap_pieces *p)
{
	while (p->n > 0)
		blockref_put(fm->rd, &p->ref[--p->n]);
}

int
filemap_seek(struct filemap *fm, uint64_t off, int hole, uint64_t *out)
{
	struct extent x;
	uint64_t start;
	int ret;

	if (off >= fm->size)
		return -ENXIO;
	for (;;) {
		ret = filemap_extent(fm, off, &x, &start);
		if (ret < 0)
			return ret;
		if (ret == 0) {
			/* There is always a hole behind the end. */
			if (!hole)
				return -ENXIO;
			*out = fm->size;
			return 0;
		}
		if (x.hole == hole) {
			*out = off;
			return 0;
		}
		off = start + x.len;
	}
}
