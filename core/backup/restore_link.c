/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hard links.  The first name of a group that comes is written, the others
 * are linked to it.
 *
 *	state of a group	next name of it
 *	unknown			leads: it is written; group is busy
 *	busy			waits in the leader's list, without a thread
 *	settled			is linked
 *
 * When the leader is there, the group is settled and its thread links those
 * that waited.  When it failed, the group is unknown again and its thread
 * runs them as if they came now.  A group whose names have all come is
 * forgotten.  A group takes 24 bytes here (48 with the table's slack), and
 * its first path stands in a nameless file in the target.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/fsmeta.h"
#include "backup/restore_internal.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

#define LINK_USED	(1u << 31)
#define LINK_BUSY	(1u << 30)
#define LINK_LEFT	(LINK_BUSY - 1)
#define SLOTS_MIN	1024
/* Longest path of a first name; longer ones are not linked to. */
#define SPOOL_PATH_MAX	(16u << 20)

enum role { ROLE_LEAD, ROLE_WAIT, ROLE_LINK };

void
restore_links_init(struct restore *r)
{
	struct restore_links *l = &r->links;
	char temp[TEMP_NAME_SIZE];

	l->fd = -1;
	if (r->conf->dry_run || r->top_fd < 0)
		return;
	l->fd = openat(r->top_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (l->fd >= 0)
		return;
	restore_temp_name(r, temp);
	l->fd = openat(r->top_fd, temp,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (l->fd >= 0)
		unlinkat(r->top_fd, temp, 0);
}

void
restore_links_release(struct restore *r)
{

	free(r->links.v);
	r->links.v = NULL;
	if (r->links.fd >= 0)
		close(r->links.fd);
	r->links.fd = -1;
}

static size_t
slot_home(const struct restore_links *l, uint32_t fsno, uint64_t ino)
{
	uint64_t h = (ino ^ (uint64_t)fsno << 40) * 0x9e3779b97f4a7c15ull;

	return (size_t)(h >> 20) & (l->cap - 1);
}

/* The slot of a group, or the empty one where it would go. */
static struct link_slot *
slot_find(struct restore_links *l, uint32_t fsno, uint64_t ino)
{
	size_t i = slot_home(l, fsno, ino);

	while ((l->v[i].state & LINK_USED) &&
	    (l->v[i].ino != ino || l->v[i].fsno != fsno))
		i = (i + 1) & (l->cap - 1);
	return &l->v[i];
}

static int
slots_grow(struct restore_links *l)
{
	struct restore_links bigger = *l;
	size_t i;

	if (l->cap != 0 && l->n < l->cap / 4 * 3)
		return 0;
	bigger.cap = l->cap == 0 ? SLOTS_MIN : l->cap * 2;
	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (bigger.v == NULL)
		return -ENOMEM;
	for (i = 0; i < l->cap; i++)
		if (l->v[i].state & LINK_USED)
			*slot_find(&bigger, l->v[i].fsno, l->v[i].ino) =
			    l->v[i];
	free(l->v);
	*l = bigger;
	return 0;
}

/* Empty a slot and move up those behind it that it kept from their home. */
static void
slot_remove(struct restore_links *l, struct link_slot *s)
{
	size_t mask = l->cap - 1, hole = (size_t)(s - l->v), i = hole, home;

	for (;;) {
		i = (i + 1) & mask;
		if (!(l->v[i].state & LINK_USED))
			break;
		home = slot_home(l, l->v[i].fsno, l->v[i].ino);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		l->v[hole] = l->v[i];
		hole = i;
	}
	memset(&l->v[hole], 0, sizeof(l->v[hole]));
	l->n--;
}

/* What this name is to its group; *where is the first one's, for ROLE_LINK.
 * Needs r->lock. */
static enum role
group_join(struct restore *r, const struct entry *e, struct restore_job *j,
    uint64_t *where)
{
	struct restore_links *l = &r->links;
	struct restore_job *lead;
	struct link_slot *s;

	/* Without memory, it is a group of its own. */
	if (slots_grow(l) != 0)
		return ROLE_LEAD;
	s = slot_find(l, e->fsno, e->ino);
	if (!(s->state & LINK_USED)) {
		s->ino = e->ino;
		s->fsno = e->fsno;
		s->state = LINK_USED | LINK_BUSY |
		    (e->nlink - 1 < LINK_LEFT ? e->nlink - 1 : LINK_LEFT);
		s->where = (uint64_t)(uintptr_t)j;
		l->n++;
		return ROLE_LEAD;
	}
	if (s->state & LINK_LEFT)
		s->state--;
	if (s->state & LINK_BUSY) {
		lead = (struct restore_job *)(uintptr_t)s->where;
		j->next = lead->next;
		lead->next = j;
		r->waiting++;
		return ROLE_WAIT;
	}
	*where = s->where;
	if (!(s->state & LINK_LEFT))
		slot_remove(l, s);
	return ROLE_LINK;
}

/* The leader is done; those that waited for it are returned. */
static struct restore_job *
group_settle(struct restore *r, struct restore_job *lead, int ok,
    uint64_t where)
{
	const struct entry *e = &lead->item->e;
	struct link_slot *s;
	struct restore_job *list, *j;

	pthread_mutex_lock(&r->lock);
	s = r->links.cap == 0 ? NULL :
	    slot_find(&r->links, e->fsno, e->ino);
	/* Without memory for it, the group is not known, or is another's. */
	if (s != NULL && (s->state & LINK_BUSY) &&
	    s->where == (uint64_t)(uintptr_t)lead) {
		s->state &= ~LINK_BUSY;
		s->where = where;
		/* Those in the list have been counted.  Without a leader
		 * they join, and are counted, anew. */
		if (!ok || !(s->state & LINK_LEFT))
			slot_remove(&r->links, s);
	}
	list = lead->next;
	lead->next = NULL;
	for (j = list; j != NULL; j = j->next)
		r->waiting--;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	return list;
}

int
restore_links_seen(struct restore *r, const struct entry *e)
{
	struct restore_job none = { 0 };
	struct link_slot *s;
	uint64_t where = 0;
	enum role role;

	pthread_mutex_lock(&r->lock);
	role = group_join(r, e, &none, &where);
	if (role == ROLE_LEAD && r->links.cap != 0) {
		s = slot_find(&r->links, e->fsno, e->ino);
		s->state &= ~LINK_BUSY;
		s->where = 0;
	}
	pthread_mutex_unlock(&r->lock);
	return role != ROLE_LEAD;
}

/* Note the path of a first name, as a length and the bytes. */
static int
spool_add(struct restore *r, const char *path, uint64_t *where)
{
	const char *rel = path + r->top_len + 1;
	size_t len = strlen(rel);
	uint8_t *p;
	int err;

	if (r->links.fd < 0 || len > SPOOL_PATH_MAX)
		return -FIRN_ETOOBIG;
	p = malloc(len + 4);
	if (p == NULL)
		return -ENOMEM;
	le32_put(p, (uint32_t)len);
	memcpy(p + 4, rel, len);
	pthread_mutex_lock(&r->lock);
	*where = r->links.end;
	r->links.end += len + 4;
	pthread_mutex_unlock(&r->lock);
	err = file_pwrite_full(r->links.fd, p, len + 4, (off_t)*where);
	free(p);
	return err;
}

static int
spool_get(struct restore *r, uint64_t where, char **out)
{
	uint8_t head[4];
	size_t len, got;
	char *p;
	int err;

	err = file_pread_full(r->links.fd, head, 4, (off_t)where, &got);
	if (err != 0 || got != 4)
		return err != 0 ? err : -EIO;
	len = le32_get(head);
	p = malloc(len + 1);
	if (p == NULL)
		return -ENOMEM;
	err = file_pread_full(r->links.fd, p, len, (off_t)where + 4, &got);
	if (err != 0 || got != len) {
		free(p);
		return err != 0 ? err : -EIO;
	}
	p[len] = '\0';
	*out = p;
	return 0;
}

/* Open the directory that holds a path of the target, one component at a
 * time, so that no symlink is followed.  base points into path. */
static int
open_parent(struct restore *r, char *path, const char **base)
{
	char *slash;
	int fd, next, err;

	fd = openat(r->top_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (;;) {
		if (fd < 0)
			return -errno;
		slash = strchr(path, '/');
		if (slash == NULL)
			break;
		*slash = '\0';
		next = openat(fd, path,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = errno;
		close(fd);
		errno = err;
		fd = next;
		path = slash + 1;
	}
	*base = path;
	return fd;
}

/* The name to link to, open as its directory and its name in that. */
struct first {
	char *path;
	const char *base;
	int fd;
	struct stat st;
};

static int
first_open(struct restore *r, uint64_t where, const struct entry *e,
    struct first *f)
{
	int err;

	f->fd = -1;
	f->path = NULL;
	err = spool_get(r, where, &f->path);
	if (err != 0)
		return err;
	f->fd = open_parent(r, f->path, &f->base);
	if (f->fd < 0)
		return f->fd;
	if (fstatat(f->fd, f->base, &f->st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if ((f->st.st_mode & S_IFMT) != (e->mode & S_IFMT))
		return -ESTALE;
	return 0;
}

static void
first_close(struct first *f)
{

	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
}

/* Make the link as `as`; *unlocked when the inode lost its flags for it. */
static int
make_link(struct restore_job *j, const struct first *f, const char *as,
    int *unlocked)
{
	int err;

	if (linkat(f->fd, f->base, j->dir->fd, as, 0) == 0)
		return 0;
	err = -errno;
	if (err != -EPERM || fsmeta_unlock(f->fd, f->base) != 1)
		return err;
	*unlocked = 1;
	return linkat(f->fd, f->base, j->dir->fd, as, 0) == 0 ? 0 : -errno;
}

/* Make or replace j's name: 0, OUTCOME_COPY, or -errno, logged. */
static int
put_link(struct restore_job *j, const struct first *f, int there,
    const char *path)
{
	char temp[TEMP_NAME_SIZE];
	int err, unlocked = 0;

	restore_temp_name(j->r, temp);
	err = make_link(j, f, there ? temp : j->item->name, &unlocked);
	if (err == -ENOSPC || err == -EDQUOT || err == -EROFS) {
		restore_local_err(j->r, err, "link", path);
	} else if (err != 0) {
		/* As many as it can have is nothing to worry about. */
		if (err != -EMLINK)
			log_warn(err, "cannot link '%s' to its other name "
			    "'%s', copying it", path, f->base);
		err = OUTCOME_COPY;
	} else if (there) {
		err = restore_file_rename(j, temp, path);
	}
	if (unlocked)
		restore_meta(j->r, f->fd, f->base, path, &j->item->e);
	return err;
}

/* Link j's name to f: enum outcome or -errno, logged. */
static int
link_to(struct restore_job *j, const struct first *f, const char *path)
{
	struct stat st;
	int there, locks, err;

	there = fstatat(j->dir->fd, j->item->name, &st,
	    AT_SYMLINK_NOFOLLOW) == 0;
	if (there && st.st_dev == f->st.st_dev && st.st_ino == f->st.st_ino)
		return OUTCOME_UNCHANGED;
	if (there && j->r->conf->overwrite == RESTORE_NEVER)
		return OUTCOME_KEPT;
	locks = j->item->e.flags & ENTRY_ATTRS;
	if (locks)
		pthread_mutex_lock(&j->r->flags_lock);
	err = put_link(j, f, there, path);
	if (locks)
		pthread_mutex_unlock(&j->r->flags_lock);
	return err;
}

/* Link a name to its group's first; a copy where that cannot be. */
static void
follow(struct restore_job *j, uint64_t where, const char *path)
{
	const struct entry *e = &j->item->e;
	struct link_slot *s;
	struct first f;
	uint64_t bytes = 0;
	int ret;

	ret = first_open(j->r, where, e, &f);
	if (ret == 0) {
		ret = link_to(j, &f, path);
	} else {
		log_warn(ret, "cannot find the other name of '%s', copying "
		    "it", path);
		ret = OUTCOME_COPY;
	}
	first_close(&f);
	if (ret == OUTCOME_COPY) {
		bytes = e->flags & ENTRY_SIZE ? e->size : 0;
		ret = restore_file_place(j, path);
		/* Further names go with this one: the other may have as
		 * many as it can. */
		if (ret == OUTCOME_RESTORED &&
		    spool_add(j->r, path, &where) == 0) {
			pthread_mutex_lock(&j->r->lock);
			s = slot_find(&j->r->links, e->fsno, e->ino);
			if ((s->state & (LINK_USED | LINK_BUSY)) == LINK_USED)
				s->where = where;
			pthread_mutex_unlock(&j->r->lock);
		}
	}
	restore_file_outcome(j, path, ret, bytes);
}

/* Run one name.  1 when it waits; those that waited for it go before *todo. */
static int
run_name(struct restore_job *j, const char *path, struct restore_job **todo)
{
	const struct entry *e = &j->item->e;
	struct restore_job *list, **end;
	uint64_t where = j->where;
	enum role role = ROLE_LINK;
	int ret, ok;

	if (!j->follows) {
		pthread_mutex_lock(&j->r->lock);
		role = group_join(j->r, e, j, &where);
		pthread_mutex_unlock(&j->r->lock);
	}
	if (role == ROLE_WAIT)
		return 1;
	if (role == ROLE_LINK) {
		follow(j, where, path);
		return 0;
	}
	ret = restore_file_place(j, path);
	ok = ret == OUTCOME_RESTORED || ret == OUTCOME_UNCHANGED;
	if (ok && spool_add(j->r, path, &where) != 0)
		ok = 0;
	list = group_settle(j->r, j, ok, where);
	restore_file_outcome(j, path, ret,
	    e->flags & ENTRY_SIZE ? e->size : 0);
	for (end = &list; *end != NULL; end = &(*end)->next) {
		(*end)->follows = ok;
		(*end)->where = where;
	}
	*end = *todo;
	*todo = list;
	return 0;
}

int
restore_link_run(struct restore_job *j, const char *path)
{
	struct restore_job *todo = NULL, *w;
	char *wpath;
	int waits;

	if (run_name(j, path, &todo))
		return 1;
	while ((w = todo) != NULL) {
		todo = w->next;
		w->next = NULL;
		waits = 0;
		wpath = restore_stopping(w->r) ? NULL :
		    restore_path(w->dir, w->item->name);
		if (wpath != NULL) {
			waits = run_name(w, wpath, &todo);
		} else if (!restore_stopping(w->r)) {
			log_err(-ENOMEM, "cannot restore '%s'",
			    w->item->name);
			restore_failed(w->r);
		}
		free(wpath);
		if (!waits)
			restore_job_done(w);
	}
	return 0;
}
