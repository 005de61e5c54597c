/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a tree of any depth with three descriptors.
 *
 * Only the directory at hand is open.  The way back up is "..", which counts
 * only when it is the directory that we came from by device and inode number;
 * so somebody who moves directories meanwhile can stop us but not lead us
 * elsewhere.  After a subdirectory is gone its parent is read from the start
 * again, which costs nothing, since all before it is gone too.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/log.h"

struct level {
	dev_t dev;		/* of the directory that holds name */
	ino_t ino;
	char name[TREE_NAME_MAX + 1];	/* the one we went into */
};

struct removal {
	int fd;			/* the directory at hand */
	struct stat st;		/* of it */
	struct level *v;
	size_t n, cap;
};

static int
push(struct removal *m, const char *name)
{
	struct level *v;
	size_t cap;

	if (m->n == m->cap) {
		cap = m->cap * 2 + 16;
		v = realloc(m->v, cap * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		m->v = v;
		m->cap = cap;
	}
	m->v[m->n].dev = m->st.st_dev;
	m->v[m->n].ino = m->st.st_ino;
	if (strlen(name) > TREE_NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(m->v[m->n].name, name);
	m->n++;
	return 0;
}

static int
go_down(struct removal *m, const char *name)
{
	struct stat st;
	int fd, err;

	fd = openat(m->fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) != 0 ? -errno : 0;
	if (err == 0 && st.st_dev != m->st.st_dev)
		err = -EXDEV;
	if (err == 0)
		err = push(m, name);
	if (err != 0) {
		close(fd);
		return err;
	}
	close(m->fd);
	m->fd = fd;
	m->st = st;
	return 0;
}

/* To the parent, and remove what we come from. */
static int
go_up(struct removal *m)
{
	struct level *l = &m->v[m->n - 1];
	struct stat st;
	int fd;

	fd = openat(m->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(m->fd);
	m->fd = fd;
	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_dev != l->dev || st.st_ino != l->ino)
		return -ESTALE;
	m->st = st;
	m->n--;
	return unlinkat(fd, l->name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

/* Remove one name: 0, or 1 when it is a directory that is not empty. */
static int
remove_name(int dirfd, const char *name)
{

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return 1;
	/* EPERM of a file that may not be removed. */
	return errno == ENOTDIR ? -EPERM : -errno;
}

static int
is_dots(const char *name)
{

	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empty the directory at hand: 1 when it stands in another one now. */
static int
empty(struct removal *m)
{
	const struct dirent *de;
	DIR *dir;
	int fd, ret = 0;

	fd = openat(m->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	for (;;) {
		errno = 0;
		de = readdir(dir);
		if (de == NULL) {
			ret = -errno;
			break;
		}
		if (is_dots(de->d_name))
			continue;
		ret = remove_name(m->fd, de->d_name);
		if (ret == 1) {
			ret = go_down(m, de->d_name);
			if (ret == 0)
				ret = 1;
		}
		if (ret != 0)
			break;
	}
	closedir(dir);
	return ret;
}

int
restore_remove(struct restore *r, int dirfd, const char *name,
    const char *path)
{
	struct removal m = { .fd = -1 };
	int err;

	err = remove_name(dirfd, name);
	if (err == 1) {
		m.fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = m.fd < 0 || fstat(m.fd, &m.st) != 0 ? -errno :
		    go_down(&m, name);
		while (err == 0 && m.n > 0) {
			if (restore_stopping(r))
				err = -ECANCELED;
			else if ((err = empty(&m)) == 1)
				err = 0;
			else if (err == 0)
				err = go_up(&m);
		}
		if (m.fd >= 0)
			close(m.fd);
		free(m.v);
	}
	if (err == -EXDEV)
		return log_err(-EBUSY, "cannot remove '%s': another file "
		    "system is mounted in it", path);
	if (err != 0 && err != -ECANCELED)
		log_err(err, "cannot remove '%s'", path);
	return err;
}
