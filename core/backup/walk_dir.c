/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the walk: a stack on the heap, so that depth costs no C
 * stack, of which the deepest FDS_OPEN are open; what is above is opened again
 * through ".." on the way back, and checked to be the same directory.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backup/exclude.h"
#include "backup/walk_internal.h"
#include "base/err.h"
#include "base/log.h"

static int
names_wanted(struct dir *d)
{
	size_t i;

	d->own.at = calloc(d->want->n + 1, sizeof(*d->own.at));
	if (d->own.at == NULL)
		return -ENOMEM;
	for (i = 0; i < d->want->n; i++)
		d->own.at[i].name = d->want->child[i].name;
	d->own.n = d->want->n;
	d->name_at = d->own.at;
	d->n = d->own.n;
	return 0;
}

int
walk_is_cachedir(int fd)
{
	static const char sig[] =
	    "Signature: 8a477f597d28d172789f06886806bc55";
	char have[sizeof(sig) - 1];
	ssize_t n;
	int tag;

	tag = openat(fd, "CACHEDIR.TAG", O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK);
	if (tag < 0)
		return 0;
	n = pread(tag, have, sizeof(have), 0);
	close(tag);
	return n == (ssize_t)sizeof(have) && memcmp(have, sig, sizeof(have)) ==
	    0;
}

/* Should the contents of this directory be left out? */
static int
is_skipped(struct walker *w, const struct dir *d)
{
	unsigned i;

	for (i = 0; i < w->nskips; i++)
		if (w->skip_dev[i] == d->dev && w->skip_ino[i] == d->ino)
			return 1;
	if (d->dev == d->path_dev)
		return 0;
	if (w->conf->one_file_system)
		return 1;
	if (!walk_is_firnfs(w, d->dev))
		return 0;
	log_info("what is below '%s' is left out: it is a mount of firnfs; "
	    "back it up by a path of its own to have it", walk_path(w));
	walk_item(w, "excluded");
	return 1;
}

/* All names of an open directory. */
static int
names_read(struct walker *w, struct dir *d)
{
	int err = dirnames_read(d->fd, SIZE_MAX, &w->names, &d->own);

	if (err == 0 && w->conf->exclude_caches && walk_is_cachedir(d->fd)) {
		dirnames_only(&d->own, "CACHEDIR.TAG");
		walk_item(w, "excluded");
	}
	d->name_at = d->own.at;
	d->n = d->own.n;
	return err;
}

/* What was found ahead in this very directory.  Where names came or went since,
 * or may have, they are read anew, and what is known of those that stayed is kept; 0 then. */
static int
dir_take_scan(struct walker *w, struct dir *d, struct scan_dir *scan)
{
	struct fsmeta_look l;

	if (scan == NULL || fsmeta_look(d->fd, "", &l) != 0 ||
	    l.dev != scan->dev || l.ino != scan->ino)
		return 0;
	d->scan = scan;
	if (!scan->settled || l.ctime != scan->ctime ||
	    l.ctime_ns != scan->ctime_ns)
		return 0;
	d->name_at = scan->names.at;
	d->n = scan->names.n;
	if (scan->cachedir)
		walk_item(w, "excluded");
	return 1;
}

static int
dir_open(struct walker *w, struct dir *d, int up_fd, const char *name,
    struct scan_dir *scan)
{
	int err = 0;

	if (d->want != NULL) {
		d->fd = openat(up_fd, name, O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC | O_PATH);
		return d->fd < 0 ? -errno : names_wanted(d);
	}
	d->fd = walk_open(up_fd, name, O_DIRECTORY);
	if (d->fd < 0)
		err = d->fd;
	else if (!is_skipped(w, d) && !dir_take_scan(w, d, scan))
		err = names_read(w, d);
	if (d->scan == NULL)
		scan_release(scan);
	return err;
}

/* What the scanner has for the directory that is being entered. */
static struct scan_dir *
dir_scanned(struct walker *w, const struct dir *up, const struct want *want)
{
	if (want != NULL)
		return NULL;
	if (up == NULL)
		return scan_root(w->wc->scan, w->want);
	if (up->want != NULL)
		return scan_root(w->wc->scan, &up->want->child[up->i - 1]);
	return w->state == SCAN_BELOW ? scan_below(w->wc->scan, up->scan,
	    up->scan_at) : NULL;
}

/* Go to name i of d in what was scanned; 0 when it, or what it named, was not
 * there. */
static int
scan_find(struct dir *d, size_t i)
{
	const struct ahead_name *n = &d->name_at[i], *s = d->scan->names.at;
	int cmp = 1;

	if (n == &s[i]) {
		d->scan_at = i;
		return 1;
	}
	while (d->scan_at < d->scan->names.n &&
	    (cmp = strcmp(s[d->scan_at].name, n->name)) < 0)
		d->scan_at++;
	return cmp == 0 && s[d->scan_at].ino == n->ino;
}

/* The run that has name i of what was scanned; NULL when there is none. */
static const struct scan_run *
run_at(struct walker *w, struct dir *d, size_t i)
{
	const struct scan_run *r = d->run;

	if (r != NULL && i - r->from < r->n)
		return r;
	free(d->run);
	d->run = d->runs_ended ? NULL :
	    scan_run(w->wc->scan, d->scan, i - i % SCAN_RUN);
	d->runs_ended = d->run == NULL;
	return d->run;
}

int
dir_look(struct walker *w, struct dir *d, size_t i)
{
	const struct scan_run *r = NULL;
	const struct scan_name *n = NULL;

	if (d->scan == NULL)
		d->runs_ended = 1;
	else if (scan_find(d, i))
		r = run_at(w, d, d->scan_at);
	if (r != NULL)
		n = &r->name[d->scan_at - r->from];
	w->state = n != NULL ? n->state : SCAN_UNSEEN;
	if (w->state == SCAN_UNSEEN)
		return fsmeta_stat(d->fd, d->name_at[i].name, &w->meta);
	fsmeta_take(&n->look, &w->meta);
	return 0;
}

void
dir_announce(struct walker *w, struct dir *d)
{
	struct ahead_place p = { .fd = d->fd, .path = buf_cstr(&w->path),
	    .dev = d->dev, .name = d->name_at, .n = d->n,
	    .contents = !d->has_parent || w->conf->force };

	/* Where the scanner is, only contents have to be waited for. */
	if (d->want != NULL || p.path == NULL || d->announced ||
	    (d->scan != NULL && !d->runs_ended && !p.contents))
		return;
	d->announced = 1;
	if (d->up != NULL && d->up->ahead != NULL) {
		p.up = d->up->ahead;
		p.index = d->up->i - 1;
	}
	d->ahead = ahead_enter(w->ahead, &p);
}

static void
dir_free(struct walker *w, struct dir *d)
{
	ahead_leave(d->ahead);
	if (d->fd >= 0)
		close(d->fd);
	if (w->wc->tree != NULL)
		tree_pos_release(w->wc->tree, &d->pos);
	fsmeta_release(&d->meta);
	free(d->run);
	scan_release(d->scan);
	dirnames_release(&d->own);
	free(d);
}

/*
 * Enter directory `name` of up (NULL: the root), whose metadata stands in
 * w->meta and whose path in w->path.  parent is its entry in the parent
 * generation, or NULL.
 */
int
dir_push(struct walker *w, struct dir *up, const char *name,
    const struct want *want, const struct entry *parent)
{
	struct dir *d = calloc(1, sizeof(*d)), *far;
	unsigned i;
	int err;

	if (d == NULL)
		return -ENOMEM;
	d->up = up;
	d->fd = -1;
	d->depth = up != NULL ? up->depth + 1 : 0;
	d->want = want;
	d->namelen = strlen(name);
	memcpy(d->name, name, d->namelen + 1);
	d->meta = w->meta;		/* takes over its buffers */
	fsmeta_init(&w->meta);
	d->dev = d->meta.dev;
	d->ino = d->meta.e.ino;
	d->pathlen = w->path.len;
	d->path_dev = up != NULL && up->want == NULL ? up->path_dev : d->dev;
	if (up == NULL && w->wc->tree != NULL) {
		d->has_parent = 1;
		memcpy(d->parent, w->wc->parent_root, BLOCK_ID_SIZE);
	} else if (parent != NULL && parent->flags & ENTRY_SUBTREE) {
		d->has_parent = 1;
		memcpy(d->parent, parent->tree_id, BLOCK_ID_SIZE);
	}
	err = dir_open(w, d, up != NULL ? up->fd : AT_FDCWD,
	    up != NULL ? name : "/", dir_scanned(w, up, want));
	if (err != 0) {
		/* It stays in the generation, empty. */
		walk_error(w, err, "cannot read directory '%s'", walk_path(w));
		d->n = 0;
		d->meta.e.flags |= ENTRY_PARTIAL;
	}
	d->counted = w->counted;
	err = pipe_dir_begin(w->pipe);
	if (err != 0) {
		dir_free(w, d);
		return err;
	}
	for (i = 0, far = up; far != NULL && i < FDS_OPEN; i++)
		far = far->up;
	if (far != NULL && far->fd >= 0) {
		close(far->fd);
		far->fd = -1;
	}
	w->top = d;
	w->wc->p->dirs++;
	dir_announce(w, d);
	return 0;
}

/* Back from d to the one above, which may have been closed. */
static int
dir_reopen(struct walker *w, struct dir *d)
{
	struct dir *up = d->up;
	struct stat st;

	if (up == NULL || up->fd >= 0)
		return 0;
	if (d->fd >= 0)
		up->fd = openat(d->fd, "..", O_DIRECTORY | O_CLOEXEC |
		    (up->want != NULL ? O_PATH : O_RDONLY));
	if (up->fd >= 0 && fstat(up->fd, &st) == 0 &&
	    st.st_ino == up->ino && makedev(major(st.st_dev),
	    minor(st.st_dev)) == up->dev)
		return 0;
	if (up->fd >= 0)
		close(up->fd);
	up->fd = -1;
	ahead_leave(up->ahead);
	up->ahead = NULL;
	up->n = 0;
	up->i = 0;
	up->meta.e.flags |= ENTRY_PARTIAL;
	w->counted = up->counted;
	up->counted = 1;
	return walk_error(w, -ESTALE, "a directory above '%s' was moved while "
	    "it was read; the rest of it is left out", walk_path(w));
}

void
dir_drop(struct walker *w)
{
	struct dir *d = w->top;

	w->top = d->up;
	dir_free(w, d);
}

int
dir_pop(struct walker *w)
{
	struct dir *d = w->top;
	struct entry *e = &d->meta.e;
	int err;

	e->name = d->up != NULL ? d->name : "root";
	e->namelen = d->up != NULL ? d->namelen : 4;
	e->flags &= ~(uint32_t)ENTRY_LINKS;
	/* Without the subtree, which the pipe adds, the encoding of a
	 * directory would not be complete. */
	e->flags |= ENTRY_SUBTREE;
	err = pipe_dir_end(w->pipe, e, d->meta.xattr.len > 0 ? &d->meta.xattr :
	    NULL);
	if (err == 0)
		err = dir_reopen(w, d);
	if (d->up != NULL)
		w->path.len = d->up->pathlen;
	dir_drop(w);
	return err;
}

int
dir_parent_entry(struct walker *w, struct dir *d, const char *name,
    const struct entry **out)
{
	struct tree *t = w->wc->tree;
	const struct entry *e;
	size_t len = strlen(name);
	int ret, cmp;

	*out = NULL;
	if (!d->has_parent)
		return 0;
	if (d->pos.leaf == NULL) {
		/* First use, or a jump far ahead: go there by name. */
		ret = tree_find(t, d->parent, name, len, &d->pos);
		if (ret == 1)
			*out = tree_entry(&d->pos);
		return ret < 0 ? ret : 0;
	}
	for (;;) {
		e = tree_entry(&d->pos);
		cmp = tree_name_cmp(e->name, e->namelen, name, len);
		if (cmp == 0)
			*out = e;
		if (cmp >= 0)
			return 0;
		ret = tree_next(t, d->parent, &d->pos);
		if (ret <= 0) {
			d->has_parent = ret == 0 ? 0 : d->has_parent;
			return ret;
		}
	}
}
