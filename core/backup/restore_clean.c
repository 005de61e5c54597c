/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking out of a directory that was there before what it should not have:
 * temporaries that a killed run left, and with delete, what the generation
 * does not have.
 *
 * Nothing is removed unless the generation is known not to have it: not from
 * a directory of which the backup could not read all, not once a page of the
 * directory cannot be read, and not above the source paths, of which a
 * generation knows only the way down.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/log.h"

/* 1 when path lies above the source `src`; neither has a '/' at its end. */
static int
is_above(const char *path, const char *src)
{
	size_t len = strlen(path);

	while (*src == '/')
		src++;
	if (len == 0)
		return *src != '\0';
	return strncmp(path, src, len) == 0 && src[len] == '/' &&
	    src[len + strspn(src + len, "/")] != '\0';
}

/* 1 when the directory is only on the way to what was backed up. */
static int
above_sources(struct restore *r, const struct rdir *d, const char *path)
{
	const char *rel = strlen(path) > r->top_len ?
	    path + r->top_len + 1 : "";
	char *full;
	size_t i;
	int ret = 0;

	if (d->parent == NULL)
		rel = "";
	full = malloc(strlen(r->path) + strlen(rel) + 2);
	if (full == NULL)
		return 1;	/* rather remove too little */
	strcpy(full, r->path);
	if (full[0] != '\0' && rel[0] != '\0')
		strcat(full, "/");
	strcat(full, rel);
	for (i = 0; i < r->conf->nsources && !ret; i++)
		ret = is_above(full, r->conf->sources[i]);
	free(full);
	return ret;
}

/* A leftover, unless another run is writing it. */
static void
remove_temp(struct restore *r, struct rdir *d, const char *name)
{
	struct stat st;
	int fd;

	if (r->conf->dry_run || fstatat(d->fd, name, &st,
	    AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid())
		return;
	fd = openat(d->fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(d->fd, name, 0);
	close(fd);
}

static void
remove_extra(struct restore *r, struct rdir *d, const char *name)
{
	char *path;
	int err = 0;

	path = restore_path(d, name);
	if (path == NULL)
		err = log_err(-ENOMEM, "cannot remove '%s'", name);
	else if (!r->conf->dry_run)
		err = restore_remove(r, d->fd, name, path);
	if (err == 0)
		restore_report(r, path, NULL, "deleted");
	else if (err != -ECANCELED)
		restore_failed(r);
	free(path);
}

/* One name: 0, or -errno, not logged, when the generation cannot tell. */
static int
clean_name(struct restore *r, struct rdir *d, const char *name, int delete)
{
	struct tree_pos pos = TREE_POS_INIT;
	int temp = restore_is_temp(name), ret = 0;

	if (!delete && !temp)
		return 0;
	if (d->has_tree)
		ret = tree_find(r->tree, d->id, name, strlen(name), &pos);
	tree_pos_release(r->tree, &pos);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	if (temp)
		remove_temp(r, d, name);
	else
		remove_extra(r, d, name);
	return 0;
}

static int
clean_all(struct restore *r, struct rdir *d, int delete)
{
	const struct dirent *de;
	DIR *dir;
	int fd, err = 0;

	fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (err == 0 && !restore_stopping(r)) {
		errno = 0;
		de = readdir(dir);
		if (de == NULL) {
			err = -errno;
			break;
		}
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0)
			err = clean_name(r, d, de->d_name, delete);
	}
	closedir(dir);
	return err;
}

void
restore_clean(struct restore *r, struct rdir *d)
{
	char *path;
	int err, delete;

	if (d->fd < 0)
		return;
	path = restore_path(d, NULL);
	delete = r->conf->delete && d->has_tree && path != NULL &&
	    !(d->item != NULL && (d->item->e.flags & ENTRY_PARTIAL)) &&
	    !above_sources(r, d, path);
	err = clean_all(r, d, delete);
	if (err != 0 && !restore_stopping(r)) {
		log_err(err, "cannot tell what to remove from '%s'",
		    path != NULL ? path : "?");
		restore_failed(r);
	}
	free(path);
}
