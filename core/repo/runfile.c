/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever has the lock owns the file, provided that the name still leads to it:
 * a sweep may come between making and locking, so the maker looks, and the
 * sweep removes under the lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/runfile.h"

#define ATTEMPTS 100

static void
drop(struct runfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct runfile)RUNFILE_NONE;
}

/* Lock what was opened: 1, 0 when another holds it or the name is gone. */
static int
take(int dirfd, const char *name, int fd)
{
	struct stat mine, now;

	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? 0 : -errno;
	if (fstat(fd, &mine) != 0)
		return -errno;
	if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	return mine.st_dev == now.st_dev && mine.st_ino == now.st_ino;
}

int
runfile_new(const char *dir, const char *prefix, struct runfile *out)
{
	struct runfile f;
	int i, ret = 0;

	*out = (struct runfile)RUNFILE_NONE;
	for (i = 0; i < ATTEMPTS && ret == 0; i++) {
		if (asprintf(&f.path, "%s/%s.XXXXXX", dir, prefix) < 0)
			return -ENOMEM;
		f.fd = mkostemp(f.path, O_CLOEXEC);
		ret = f.fd < 0 ? -errno : take(AT_FDCWD, f.path, f.fd);
		if (ret == 1)
			ret = file_fsync_dir(AT_FDCWD, dir) == 0 ? 1 : -EIO;
		/* Where there are no locks, none of ours may be left; but one
		 * that is another's by now, or gone, is not for us to take. */
		if (ret < 0 && f.fd >= 0)
			unlink(f.path);
		if (ret != 1)
			drop(&f);
	}
	if (ret != 1)
		return ret < 0 ? ret : -EBUSY;
	*out = f;
	return 0;
}

int
runfile_rename(struct runfile *f, const char *path)
{
	if (rename(f->path, path) != 0)
		return -errno;
	free(f->path);
	f->path = NULL;
	return 0;
}

void
runfile_remove(struct runfile *f)
{
	if (f->path != NULL)
		unlink(f->path);
	drop(f);
}

void
runfile_leave(struct runfile *f)
{
	drop(f);
}

/* 1 when it was removed. */
static int
sweep_one(int dirfd, const char *name)
{
	int fd, ret;

	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	if (fd < 0)
		return 0;
	ret = take(dirfd, name, fd);
	if (ret == 1)
		ret = unlinkat(dirfd, name, 0) == 0;
	close(fd);
	return ret == 1;
}

int
runfile_sweep(const char *dir, const char *prefix, unsigned *n)
{
	size_t len = strlen(prefix);
	DIR *d = opendir(dir);
	struct dirent *e;
	const char *dot;

	*n = 0;
	if (d == NULL)
		return -errno;
	while ((e = readdir(d)) != NULL) {
		dot = strrchr(e->d_name, '.');
		if (strncmp(e->d_name, prefix, len) == 0 && dot != NULL &&
		    dot >= e->d_name + len && dot[1] != '\0')
			*n += (unsigned)sweep_one(dirfd(d), e->d_name);
	}
	closedir(d);
	return 0;
}
