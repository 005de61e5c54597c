/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring one file, of whatever type but a directory: what is there is left
 * when it is the same, else a temporary is made beside it, given its metadata
 * and renamed over it.  So a name holds the old or the new.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backup/fsmeta.h"
#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/log.h"

#define TEMP_TRIES 100

static int
same_target(int dirfd, const char *name, const struct entry *e)
{
	char have[4096];
	ssize_t n;

	n = readlinkat(dirfd, name, have, sizeof(have));
	if (n < 0)
		return 0;
	return (size_t)n == e->targetlen && memcmp(have, e->target,
	    e->targetlen) == 0;
}

/* 1 when the name holds what the entry says, as far as a stat tells. */
static int
looks_same(int dirfd, const char *name, const struct entry *e,
    const struct stat *st)
{
	if ((st->st_mode & S_IFMT) != (e->mode & S_IFMT))
		return 0;
	/* Other names of it, which the generation knows nothing of or as
	 * another file, must not get this file's metadata. */
	if (st->st_nlink > (e->flags & ENTRY_LINKS ? e->nlink : 1))
		return 0;
	switch (e->mode & S_IFMT) {
	case S_IFLNK:
		return same_target(dirfd, name, e);
	case S_IFBLK:
	case S_IFCHR:
		return st->st_rdev == makedev(e->rdev_major, e->rdev_minor);
	case S_IFREG:
		return (uint64_t)st->st_size == e->size &&
		    st->st_mtim.tv_sec == e->mtime.tv_sec &&
		    st->st_mtim.tv_nsec == e->mtime.tv_nsec;
	default:
		return 1;
	}
}

/* The same, and with verify, as far as reading it does. */
static int
is_same(struct restore_job *j, const struct stat *st, const char *path)
{
	const struct restore_conf *conf = j->r->conf;
	const struct entry *e = &j->item->e;
	int ret;

	if (!looks_same(j->dir->fd, j->item->name, e, st))
		return 0;
	if (!S_ISREG(e->mode) || !conf->verify ||
	    conf->overwrite != RESTORE_IF_CHANGED)
		return 1;
	ret = restore_compare(j, j->item->name, path);
	if (ret == 0)
		log_warn(0, "'%s' has the right size and time but other "
		    "contents, restoring it", path);
	return ret;
}

int
restore_file_there(struct restore *r, const struct rdir *d,
    const struct entry *e)
{
	char name[TREE_NAME_MAX + 1];
	struct stat st;

	if (d->fd < 0 || r->conf->overwrite == RESTORE_ALWAYS ||
	    (r->conf->overwrite == RESTORE_IF_CHANGED && r->conf->verify))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)e->namelen, e->name);
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return r->conf->overwrite == RESTORE_NEVER ||
	    looks_same(d->fd, name, e, &st);
}

/* Make the temporary; its name in temp. */
static int
make_temp(struct restore_job *j, char temp[TEMP_NAME_SIZE], const char *path)
{
	int err, i;

	if (S_ISREG(j->item->e.mode)) {
		restore_temp_name(j->r, temp);
		return restore_write(j, temp, path);
	}
	for (i = 0, err = -EEXIST; err == -EEXIST && i < TEMP_TRIES; i++) {
		restore_temp_name(j->r, temp);
		err = fsmeta_make(j->dir->fd, temp, &j->item->e);
	}
	if (err != 0)
		restore_local_err(j->r, err, "create", path);
	return err;
}

/* A directory stands where a file is to go. */
static int
clear_directory(struct restore_job *j, const char *path)
{
	const char *name = j->item->name;
	int err;

	if (unlinkat(j->dir->fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (!j->r->conf->delete)
		return log_err(-errno, "cannot replace directory '%s' by a "
		    "file without leave to delete", path);
	err = restore_remove(j->r, j->dir->fd, name, path);
	if (err == 0)
		restore_report(j->r, path, NULL, "deleted");
	return err;
}

int
restore_file_rename(struct restore_job *j, const char *temp, const char *path)
{
	const char *name = j->item->name;
	int fd = j->dir->fd, err = 0;

	if (renameat(fd, temp, fd, name) == 0)
		return 0;
	err = -errno;
	if (err == -EISDIR) {
		err = clear_directory(j, path);
		if (err == 0 && renameat(fd, temp, fd, name) != 0)
			err = restore_local_err(j->r, -errno, "rename to",
			    path);
	} else if (err == -EPERM && fsmeta_unlock(fd, name) == 1 &&
	    renameat(fd, temp, fd, name) == 0) {
		err = 0;
	} else {
		restore_local_err(j->r, err, "rename to", path);
	}
	if (err != 0)
		unlinkat(fd, temp, 0);
	return err;
}

/* Metadata and name for what was made as temp. */
static int
finish(struct restore_job *j, const char *temp, const char *path)
{
	struct entry e = j->item->e;
	int err;

	/* An immutable file could not be renamed. */
	e.flags &= ~(uint32_t)ENTRY_ATTRS;
	restore_meta(j->r, j->dir->fd, temp, path, &e);
	err = restore_file_rename(j, temp, path);
	if (err == 0 && (j->item->e.flags & ENTRY_ATTRS))
		restore_meta(j->r, j->dir->fd, j->item->name, path,
		    &j->item->e);
	if (err == 0 && (e.flags & ENTRY_PARTIAL))
		log_warn(0, "'%s' is what could be read of it when it was "
		    "backed up, and not complete", path);
	return err;
}

/* What stands at the name: 1, 0 nothing, or -errno, logged. */
static int
look(struct restore_job *j, struct stat *st, const char *path)
{

	if (j->dir->fd < 0)	/* a dry run's */
		return 0;
	if (fstatat(j->dir->fd, j->item->name, st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 :
	    restore_local_err(j->r, -errno, "stat", path);
}

int
restore_file_place(struct restore_job *j, const char *path)
{
	const struct restore_conf *conf = j->r->conf;
	char temp[TEMP_NAME_SIZE];
	struct stat st;
	int ret;

	ret = look(j, &st, path);
	if (ret == 1 && conf->overwrite != RESTORE_ALWAYS) {
		ret = is_same(j, &st, path);
		if (ret == 1 && !conf->dry_run &&
		    conf->overwrite != RESTORE_NEVER)
			restore_meta(j->r, j->dir->fd, j->item->name, path,
			    &j->item->e);
		if (ret == 1)
			return OUTCOME_UNCHANGED;
		if (ret == 0 && conf->overwrite == RESTORE_NEVER)
			return OUTCOME_KEPT;
	}
	if (ret < 0)
		return ret;
	if (conf->dry_run)
		return OUTCOME_RESTORED;
	ret = make_temp(j, temp, path);
	return ret != 0 ? ret : finish(j, temp, path);
}

void
restore_file_outcome(struct restore_job *j, const char *path, int outcome,
    uint64_t bytes)
{
	struct restore *r = j->r;

	if (outcome < 0) {
		if (outcome == -ECANCELED)
			return;
		restore_failed(r);
		if (outcome == -FIRN_ECOLD) {
			pthread_mutex_lock(&r->lock);
			r->result->cold++;
			if (r->conf->cold != NULL)
				r->conf->cold(r->conf->ctx, &j->item->e);
			pthread_mutex_unlock(&r->lock);
		}
		return;
	}
	pthread_mutex_lock(&r->lock);
	if (outcome == OUTCOME_RESTORED) {
		r->result->files++;
		r->result->bytes += bytes;
	} else {
		r->result->unchanged++;
	}
	pthread_mutex_unlock(&r->lock);
	restore_report(r, path, &j->item->e,
	    outcome == OUTCOME_RESTORED ? "restored" : "unchanged");
}

static uint64_t
size_of(const struct entry *e)
{

	return e->flags & ENTRY_SIZE ? e->size : 0;
}

/* 1 when the job waits and another will end it. */
static int
run_job(struct restore_job *j, const char *path)
{
	const struct entry *e = &j->item->e;
	uint64_t bytes = size_of(e);
	int ret;

	if ((e->flags & ENTRY_LINKS) && !j->r->conf->dry_run)
		return restore_link_run(j, path);
	ret = restore_file_place(j, path);
	if ((e->flags & ENTRY_LINKS) && restore_links_seen(j->r, e))
		bytes = 0;
	restore_file_outcome(j, path, ret, bytes);
	return 0;
}

static void
job_main(void *ctx)
{
	struct restore_job *j = ctx;
	char *path;
	int waits = 0;

	if (!restore_stopping(j->r)) {
		path = restore_path(j->dir, j->item->name);
		if (path == NULL) {
			log_err(-ENOMEM, "cannot restore '%s'",
			    j->item->name);
			restore_failed(j->r);
		} else {
			waits = run_job(j, path);
		}
		free(path);
	}
	if (!waits)
		restore_job_done(j);
}

void
restore_job_done(struct restore_job *j)
{
	struct restore *r = j->r;
	struct rdir *d = j->dir;

	free(j->item);
	free(j);
	rdir_unref_job(r, d);
}

void
restore_job_submit(struct restore *r, struct rdir *dir, const struct entry *e)
{
	struct restore_job *j;
	int err;

	j = calloc(1, sizeof(*j));
	err = j == NULL ? -ENOMEM : restore_item_new(e, &j->item);
	if (err != 0) {
		free(j);
		log_err(err, "cannot restore '%.*s'", (int)e->namelen,
		    e->name);
		restore_failed(r);
		return;
	}
	j->r = r;
	j->dir = dir;
	pthread_mutex_lock(&r->lock);
	while (r->waiting > RESTORE_WAITING_MAX)
		pthread_cond_wait(&r->change, &r->lock);
	dir->refs++;
	dir->jobs++;
	r->jobs++;
	pthread_mutex_unlock(&r->lock);
	if (r->pool == NULL) {
		job_main(j);
		return;
	}
	err = pool_submit(r->pool, job_main, j);
	if (err != 0) {
		log_err(err, "cannot restore '%s'", j->item->name);
		restore_failed(r);
		restore_job_done(j);
	}
}
