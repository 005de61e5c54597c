/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk itself: one name at a time from the directory on top of the stack.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/chunker.h"
#include "backup/exclude.h"
#include "backup/walk_internal.h"
#include "base/err.h"
#include "base/log.h"
#include "base/pages.h"

const char *
walk_path(struct walker *w)
{
	const char *path = buf_cstr(&w->path);

	return path == NULL || *path == '\0' ? "/" : path;
}

int
walk_stopped(const struct walker *w)
{
	return w->conf->stop != NULL && *w->conf->stop;
}

void
walk_progress(struct walker *w, int force)
{
	if (w->conf->progress == NULL || (!force && ++w->tick % 64 != 0))
		return;
	w->wc->p->path = w->path.len > 0 ? walk_path(w) : NULL;
	w->conf->progress(w->conf->ctx, w->wc->p);
	w->wc->p->path = NULL;
}

void
walk_item(struct walker *w, const char *what)
{
	if (w->conf->item != NULL)
		w->conf->item(w->conf->ctx, walk_path(w), what);
}

int
walk_error(struct walker *w, int err, const char *fmt, ...)
{
	char text[8192], line[8300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn(err, "%s", text);
	if (w->counted)
		return 0;
	w->counted = 1;
	w->wc->p->errors++;
	snprintf(line, sizeof(line), err != 0 ? "%s: %s" : "%s", text,
	    err_text(err));
	return genrec_add_error(w->wc->rec, line);
}

int
walk_left_out(struct walker *w, int err, const char *what)
{
	/* What vanished is rightly not there. */
	if (err != -ENOENT)
		w->top->meta.e.flags |= ENTRY_PARTIAL;
	return walk_error(w, err, "%s '%s'", what, walk_path(w));
}

/* The order number of a file system. */
static uint32_t
file_system(struct walker *w, uint64_t dev)
{
	uint32_t i;

	for (i = 0; i < w->ndevs; i++)
		if (w->dev[i] == dev)
			return i;
	if (w->ndevs < DEVS_MAX)
		w->dev[w->ndevs++] = dev;
	return i;
}

/* What was looked at a while ago, anew, since the rest of it is now read; the two
 * must be of one file. */
static int
look_again(struct walker *w, struct dir *d, const char *name)
{
	uint32_t type = w->meta.e.mode & S_IFMT;
	int err;

	if (w->state == SCAN_UNSEEN)
		return 0;
	err = fsmeta_stat(d->fd, name, &w->meta);
	if (err == 0 && (w->meta.e.mode & S_IFMT) != type)
		err = -ESTALE;
	if (err != 0)
		return err;
	w->meta.e.fsno = file_system(w, w->meta.dev);
	return owner_note(w->wc->rec, w->meta.e.uid, w->meta.e.gid);
}

/* Anything but a regular file or directory; empty, so quickly read. */
static int
walk_special(struct walker *w, struct dir *d, const char *name,
    const struct entry *parent)
{
	struct entry *e = &w->meta.e;
	int err;

	if (walk_unchanged(w, parent) && walk_has_blocks(w, parent))
		return walk_take_over(w, parent);
	walk_item(w, parent != NULL ? "changed" : "new");
	err = look_again(w, d, name);
	if (err != 0)
		return err == -ENOMEM ? err : walk_left_out(w, err,
		    "cannot read");
	err = fsmeta_read(d->fd, name, -1, walk_path(w), &w->meta);
	if (err != 0 && S_ISLNK(e->mode) && !(e->flags & ENTRY_SYMLINK))
		return walk_left_out(w, err, "cannot read");
	if (err != 0)
		walk_error(w, 0, "attributes of '%s' are not complete",
		    walk_path(w));
	e->name = name;
	e->namelen = strlen(name);
	return pipe_entry(w->pipe, e, w->meta.xattr.len > 0 ? &w->meta.xattr :
	    NULL);
}

static int
walk_directory(struct walker *w, struct dir *d, const char *name,
    const struct want *want, const struct entry *parent)
{
	int err = look_again(w, d, name);

	if (err != 0)
		return err == -ENOMEM ? err : walk_left_out(w, err,
		    "cannot read");
	err = -ENOENT;
	if (walk_unchanged(w, parent))
		err = tree_xattrs(w->wc->tree, parent, &w->meta.xattr);
	/* Also where the generation before cannot be read any more. */
	if (err != 0)
		err = fsmeta_read(d->fd, name, -1, walk_path(w), &w->meta);
	if (err != 0) {
		w->meta.e.flags |= ENTRY_PARTIAL;
		walk_error(w, 0, "attributes of '%s' are not complete",
		    walk_path(w));
	}
	return dir_push(w, d, name, want, parent);
}

/* Step into the path of one name of d. */
static int
path_enter(struct walker *w, const struct dir *d, const char *name)
{
	int err;

	w->path.len = d->pathlen;
	err = buf_add(&w->path, "/", 1);
	return err != 0 ? err : buf_add(&w->path, name, strlen(name));
}

/* Who looked at it ahead has asked the patterns too. */
static int
is_excluded(struct walker *w, int is_dir)
{
	if (w->state != SCAN_UNSEEN)
		return w->state == SCAN_EXCLUDED;
	return w->conf->exclude != NULL &&
	    exclude_match(w->conf->exclude, walk_path(w), is_dir);
}

static int
walk_name(struct walker *w, struct dir *d)
{
	const struct want *want = d->want != NULL ? &d->want->child[d->i] :
	    NULL;
	const char *name = d->name_at[d->i].name;
	const struct entry *parent;
	size_t i = d->i;
	int err, is_dir;

	if (d->runs_ended && !d->announced) {
		w->path.len = d->pathlen;
		dir_announce(w, d);
	}
	ahead_at(d->ahead, i);
	d->i++;
	w->counted = 0;
	err = path_enter(w, d, name);
	if (err != 0)
		return err;
	if (strlen(name) > TREE_NAME_MAX)
		return walk_left_out(w, -ENAMETOOLONG, "cannot keep");
	err = dir_look(w, d, i);
	if (err != 0)
		return walk_left_out(w, err, "cannot read");
	is_dir = S_ISDIR(w->meta.e.mode);
	/* What was named is taken, whatever the patterns say. */
	if (want == NULL && is_excluded(w, is_dir)) {
		walk_item(w, "excluded");
		return 0;
	}
	w->meta.e.fsno = file_system(w, w->meta.dev);
	err = owner_note(w->wc->rec, w->meta.e.uid, w->meta.e.gid);
	if (err == 0)
		err = dir_parent_entry(w, d, name, &parent);
	if (err != 0) {
		if (err == -ENOMEM || err == -ECANCELED)
			return err;
		/* A damaged parent costs speed, nothing else. */
		log_warn(err, "cannot use the generation before for '%s'",
		    walk_path(w));
		d->has_parent = 0;
		parent = NULL;
	}
	if (parent != NULL && (parent->mode & S_IFMT) !=
	    (w->meta.e.mode & S_IFMT))
		parent = NULL;
	if (is_dir)
		return walk_directory(w, d, name,
		    want != NULL && !want->whole ? want : NULL, parent);
	w->wc->p->files++;
	if (S_ISREG(w->meta.e.mode))
		return walk_regular(w, d, name, parent);
	return walk_special(w, d, name, parent);
}

/* The root has no name in a directory, but attributes like any. */
static int
walk_root(struct walker *w, const struct want *root)
{
	int err;

	err = fsmeta_stat(AT_FDCWD, "/", &w->meta);
	if (err != 0)
		return log_err(err, "cannot read '/'");
	err = owner_note(w->wc->rec, w->meta.e.uid, w->meta.e.gid);
	if (err == 0 && fsmeta_read(AT_FDCWD, "/", -1, "/", &w->meta) != 0) {
		w->meta.e.flags |= ENTRY_PARTIAL;
		err = walk_error(w, 0, "attributes of '/' are not complete");
	}
	return err == 0 ? dir_push(w, NULL, "", root->whole ? NULL : root,
	    NULL) : err;
}

static void
skips_find(struct walker *w)
{
	struct fsmeta m;
	unsigned i;

	fsmeta_init(&m);
	for (i = 0; i < 2; i++) {
		if (w->wc->skip[i] == NULL ||
		    fsmeta_stat(AT_FDCWD, w->wc->skip[i], &m) != 0)
			continue;
		w->skip_dev[w->nskips] = m.dev;
		w->skip_ino[w->nskips++] = m.e.ino;
	}
	fsmeta_release(&m);
}

static int
ahead_begin(struct walker *w)
{
	struct ahead_conf c = { w->conf->exclude, w->conf->exclude_caches,
	    w->skip_dev, w->skip_ino, w->nskips };

	return ahead_new(&c, &w->ahead);
}

int
walk_run(const struct walk_conf *wc, const struct want *root)
{
	struct walker *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return -ENOMEM;
	w->wc = wc;
	w->conf = wc->conf;
	w->pipe = wc->pipe;
	w->want = root;
	buf_init(&w->path, SIZE_MAX / 4);
	buf_init(&w->names, SIZE_MAX / 4);
	fsmeta_init(&w->meta);
	skips_find(w);
	w->piece_cap = chunker_max(wc->chunker) + READ_SIZE;
	w->piece = pages_alloc(w->piece_cap);
	err = w->piece == NULL ? -ENOMEM : links_new(LINKS_MEMORY, &w->links);
	if (err == 0)
		err = ahead_begin(w);
	if (err == 0)
		err = walk_root(w, root);
	while (err == 0 && w->top != NULL) {
		walk_progress(w, 0);
		if (walk_stopped(w))
			err = -ECANCELED;
		else if (w->top->i < w->top->n)
			err = walk_name(w, w->top);
		else
			err = dir_pop(w);
	}
	walk_progress(w, 1);
	while (w->top != NULL)
		dir_drop(w);
	ahead_free(w->ahead);
	links_free(w->links);
	fsmeta_release(&w->meta);
	buf_release(&w->path);
	buf_release(&w->names);
	free(w->piece);
	free(w);
	return err;
}
