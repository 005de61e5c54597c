/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of regular files: holes as the file system tells them, the rest cut
 * by the chunker.  A file is read up to the size it had when it was opened;
 * one that changes meanwhile is kept as it was read, marked, and reported.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/chunker.h"
#include "backup/walk_internal.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "repo/list_read.h"
#include "repo/writer.h"

static int
time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Was t safely before the last run looked? */
static int
is_settled(const struct walker *w, const struct timespec *t)
{
	return fsmeta_settled(t, &w->wc->parent_start);
}

int
walk_unchanged(const struct walker *w, const struct entry *p)
{
	const struct entry *e = &w->meta.e;

	return p != NULL && !w->conf->force && p->mode == e->mode &&
	    p->ino == e->ino && time_equal(&p->mtime, &e->mtime) &&
	    time_equal(&p->ctime, &e->ctime) &&
	    (!S_ISREG(e->mode) || p->size == e->size) &&
	    !(p->flags & ENTRY_PARTIAL) && is_settled(w, &e->mtime) &&
	    is_settled(w, &e->ctime);
}

static int
known(struct walker *w, enum block_type type, const uint8_t *id)
{
	return writer_has(w->wc->writer, type, id) == 1;
}

static int
page_known(void *ctx, const uint8_t id[BLOCK_ID_SIZE], const void *data,
    size_t len)
{
	struct walker *w = ctx;

	/* That it could be read does not say that the store has it: it may
	 * have come from a cache. */
	if (!known(w, BLOCK_LIST, id))
		return -FIRN_EMISSING;
	return w->wc->meta == NULL ? 0 : w->wc->meta(w->wc->meta_ctx,
	    BLOCK_LIST, id, data, len);
}

static int
extent_known(void *ctx, const struct extent *x)
{
	return x->hole || known(ctx, BLOCK_DATA, x->id) ? 0 : -FIRN_EMISSING;
}

/* Does the repository still know the blocks that this entry names? */
int
walk_has_blocks(struct walker *w, const struct entry *p)
{
	const struct list_visit visit = { page_known, extent_known, w };
	struct rd r = rd_init(p->extents, p->extentslen);
	struct extent x;
	uint32_t i;

	if (p->flags & ENTRY_XATTR_ID && !known(w, BLOCK_XATTR, p->xattr_id))
		return 0;
	if (p->flags & ENTRY_LIST)
		return list_walk(tree_reader(w->wc->tree), p->list_id,
		    &visit) == 0;
	if (!(p->flags & ENTRY_EXTENTS))
		return 1;
	for (i = 0; i < p->nextents; i++)
		if (extent_decode(&r, &x) != 0 || extent_known(w, &x) != 0)
			return 0;
	return 1;
}

/* Take contents and attributes over from the parent. */
int
walk_take_over(struct walker *w, const struct entry *p)
{
	struct entry e = *p;

	e.flags &= ~(uint32_t)ENTRY_LINKS;
	e.flags |= w->meta.e.flags & ENTRY_LINKS;
	e.nlink = w->meta.e.nlink;
	e.fsno = w->meta.e.fsno;
	w->wc->p->unchanged++;
	if (S_ISREG(e.mode))
		w->wc->p->bytes += e.size;
	walk_item(w, "unchanged");
	return pipe_entry(w->pipe, &e, NULL);
}

/* Cut [off, end) of a file.  *at is where reading stopped. */
static int
read_segment(struct walker *w, int fd, uint64_t off, uint64_t end,
    uint64_t *at)
{
	const struct chunker *ch = w->wc->chunker;
	size_t fill = 0, start, cut, scanned = 0, want, got;
	int err = 0, eof = 0;

	while (!eof) {
		want = w->piece_cap - fill;
		if (want > READ_SIZE)
			want = READ_SIZE;
		if (want > end - off)
			want = (size_t)(end - off);
		err = walk_stopped(w) ? -ECANCELED : file_pread_full(fd,
		    w->piece + fill, want, (off_t)off, &got);
		if (err != 0)
			break;
		fill += got;
		off += got;
		eof = got < want || off == end;
		w->wc->p->bytes_read += got;
		w->wc->p->bytes += got;
		for (start = 0; (cut = chunker_cut_from(ch, w->piece + start,
		    fill - start, scanned, eof)) > 0; start += cut) {
			scanned = 0;
			err = pipe_data(w->pipe, w->piece + start, cut);
			if (err != 0)
				return err;
		}
		scanned = fill - start;
		memmove(w->piece, w->piece + start, fill - start);
		fill -= start;
		walk_progress(w, 0);
	}
	*at = off;
	return err;
}

/* All of a file that is one block for certain; straight to where it goes. */
static int
read_small(struct walker *w, int fd, uint64_t size, uint64_t *end)
{
	size_t got = 0;
	void *room;
	int err = walk_stopped(w) ? -ECANCELED : 0;

	if (err == 0)
		err = pipe_piece_begin(w->pipe, (size_t)size, &room);
	if (err == 0)
		err = file_pread_full(fd, room, (size_t)size, 0, &got);
	*end = got;
	if (err != 0 || got == 0)
		return err;
	w->wc->p->bytes_read += got;
	w->wc->p->bytes += got;
	err = pipe_piece_commit(w->pipe, got);
	walk_progress(w, 0);
	return err;
}

/* All of a file of this size, holes kept.  *end is how far it got. */
static int
read_file(struct walker *w, int fd, uint64_t size, uint64_t *end)
{
	uint64_t pos = 0, at = 0;
	off_t data, hole;
	int err = 0;

	*end = 0;
	while (pos < size && err == 0) {
		data = lseek(fd, (off_t)pos, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			data = (off_t)size;	/* a hole to the end */
		else if (data < 0)
			data = (off_t)pos;	/* no such thing here */
		if ((uint64_t)data > size)
			data = (off_t)size;
		if ((uint64_t)data > pos) {
			err = pipe_hole(w->pipe, (uint64_t)data - pos);
			w->wc->p->bytes += (uint64_t)data - pos;
		}
		pos = (uint64_t)data;
		*end = pos;
		if (err != 0 || pos == size)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > size)
			hole = (off_t)size;
		err = read_segment(w, fd, pos, (uint64_t)hole, &at);
		*end = at;
		if (at < (uint64_t)hole)
			break;		/* shorter than it was */
		pos = at;
	}
	return err;
}

static int
has_hole(int fd, uint64_t size)
{
	off_t hole = lseek(fd, 0, SEEK_HOLE);

	return hole >= 0 && (uint64_t)hole < size;
}

/* Did the file change since `before` was taken of it? */
static int
has_changed(int fd, const struct entry *before)
{
	struct fsmeta now;
	int changed;

	fsmeta_init(&now);
	changed = fsmeta_stat(fd, "", &now) != 0 ||
	    now.e.size != before->size ||
	    !time_equal(&now.e.mtime, &before->mtime) ||
	    !time_equal(&now.e.ctime, &before->ctime);
	fsmeta_release(&now);
	return changed;
}

/* Remember this file for its further names; 0 when it has none. */
static uint64_t
link_remember(struct walker *w)
{
	struct { uint64_t number, left; struct timespec ctime; } l;
	size_t len;

	if (!(w->meta.e.flags & ENTRY_LINKS))
		return 0;
	l.number = w->next_link + 1;
	l.left = w->meta.e.nlink - 1;
	l.ctime = w->meta.e.ctime;
	if (links_add(w->links, w->meta.dev, w->meta.e.ino, &l,
	    sizeof(l)) != 0 || links_get(w->links, w->meta.dev,
	    w->meta.e.ino, &len) == NULL)
		return 0;
	return ++w->next_link;
}

/* 1 when this is a further name of a file that was just stored. */
int
walk_link(struct walker *w, const char *name, int *err)
{
	struct { uint64_t number, left; struct timespec ctime; } *l;
	size_t len;

	if (!(w->meta.e.flags & ENTRY_LINKS))
		return 0;
	l = links_get(w->links, w->meta.dev, w->meta.e.ino, &len);
	if (l == NULL || !time_equal(&l->ctime, &w->meta.e.ctime))
		return 0;
	l->left--;
	*err = pipe_link(w->pipe, name, strlen(name), l->number, l->left == 0);
	if (l->left == 0)
		links_del(w->links, w->meta.dev, w->meta.e.ino);
	w->wc->p->bytes += w->meta.e.size;
	return 1;
}

int
walk_open(int dirfd, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
	fd = openat(dirfd, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, flags);
	return fd < 0 ? -errno : fd;
}

/* The contents of an open file and its end, or its abortion. */
static int
store_contents(struct walker *w, int fd, const char *name)
{
	struct entry *e = &w->meta.e;
	struct buf *xattr = w->meta.xattr.len > 0 ? &w->meta.xattr : NULL;
	uint64_t end = 0, size = e->size;
	uint8_t small[4096];
	size_t got = 0;
	int whole = !has_hole(fd, size), err;

	if (size > 0 && size <= w->wc->inline_max && size <= sizeof(small) &&
	    whole) {
		err = file_pread_full(fd, small, size, 0, &got);
		end = got;
		e->flags |= ENTRY_INLINE;
		e->inl = small;
		e->size = got;
		w->wc->p->bytes += got;
		w->wc->p->bytes_read += got;
		if (got == 0)
			e->flags &= ~(uint32_t)ENTRY_INLINE;
	} else if (size > 0 && size <= chunker_min(w->wc->chunker) && whole) {
		err = read_small(w, fd, size, &end);
	} else {
		err = read_file(w, fd, size, &end);
	}
	if (err == -ECANCELED || (err != 0 && pipe_failed(w->pipe)))
		return err;
	if (err != 0) {
		err = walk_left_out(w, err, "cannot read");
		return err != 0 ? err : pipe_file_abort(w->pipe);
	}
	e->size = size;
	if (end != size || has_changed(fd, e)) {
		e->flags |= ENTRY_PARTIAL;
		walk_error(w, 0, "'%s' changed while it was read",
		    walk_path(w));
	}
	e->size = end;
	e->name = name;
	e->namelen = strlen(name);
	return pipe_file_end(w->pipe, e, xattr, link_remember(w));
}

int
walk_regular(struct walker *w, struct dir *d, const char *name,
    const struct entry *parent)
{
	uint32_t fsno = w->meta.e.fsno;
	int fd, err = 0;

	if (walk_link(w, name, &err))
		return err;
	if (walk_unchanged(w, parent) && walk_has_blocks(w, parent))
		return walk_take_over(w, parent);
	walk_item(w, parent != NULL ? "changed" : "new");
	fd = walk_open(d->fd, name, O_NONBLOCK);
	if (fd < 0)
		return walk_left_out(w, fd, "cannot open");
	/* From here on what is open counts, not what was listed. */
	err = fsmeta_stat(fd, "", &w->meta);
	if (err == 0 && !S_ISREG(w->meta.e.mode))
		err = -ESTALE;
	if (err == 0)
		err = owner_note(w->wc->rec, w->meta.e.uid, w->meta.e.gid);
	if (err != 0) {
		close(fd);
		return err == -ENOMEM ? err : walk_left_out(w, err,
		    "cannot read");
	}
	w->meta.e.fsno = fsno;
	err = fsmeta_read(d->fd, name, fd, walk_path(w), &w->meta);
	if (err != 0) {
		/* So that the next run looks again. */
		w->meta.e.flags |= ENTRY_PARTIAL;
		walk_error(w, 0, "attributes of '%s' are not complete",
		    walk_path(w));
	}
	err = store_contents(w, fd, name);
	close(fd);
	return err;
}
