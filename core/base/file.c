/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes, and small files as one piece.  file_save() orders
 * data, then name, then directory: a crash at any point leaves the old file or
 * the new one, and at worst a stray ".firn-*.tmp" beside it.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

#define CHUNK	65536	/* one read of file_load(), bytes */
#define TRIES	16	/* temporary names before giving up */

int
file_wait(int fd, const volatile int *stop)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	/* No signal need interrupt the poll, nor come to this thread. */
	if (stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED))
		return -ECANCELED;
	n = poll(&p, 1, FILE_WAIT_MS);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

int
file_read_full(int fd, void *buf, size_t len, size_t *got)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = read(fd, (char *)buf + *got, len - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

int
file_pread_full(int fd, void *buf, size_t len, off_t off, size_t *got)
{
	*got = 0;
	while (*got < len) {
		ssize_t n = pread(fd, (char *)buf + *got, len - *got,
		    off + (off_t)*got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return 0;
}

int
file_write_full(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)	/* 0 would make this loop for ever */
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
file_pwrite_full(int fd, const void *buf, size_t len, off_t off)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The size a file claims is not believed: /proc says 0, and it may grow. */
static int
load_fd(int fd, struct buf *out)
{
	for (;;) {
		size_t room = out->max - out->len, got;
		size_t want = room < CHUNK ? room : CHUNK;
		uint8_t byte;
		int err;

		if (want == 0) {	/* full: is this also the end? */
			err = file_read_full(fd, &byte, 1, &got);
			return err || got == 0 ? err : buf_reserve(out, 1);
		}
		err = buf_reserve(out, want);
		if (!err)
			err = file_read_full(fd, out->data + out->len, want,
			    &got);
		if (err)
			return err;
		out->len += got;
		if (got < want)
			return 0;
	}
}

int
file_load(int dirfd, const char *path, struct buf *out)
{
	size_t start = out->len;
	int fd, err;

	if (out->err)
		return out->err;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = load_fd(fd, out);
	if (err)
		out->len = start;
	close(fd);
	return err;
}

/* The directory part of `path`, "." when it has none. */
static int
parent_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (slash == path)
		len = 1;	/* the root */
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, slash ? path : ".", len);
	out[len] = 0;
	return 0;
}

/* Makes a new file in `dir`; its path goes to tmp.  An fd, or -errno. */
static int
open_temp(int dirfd, const char *dir, mode_t mode, char tmp[PATH_MAX])
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t r;
		int n, fd;

		/* Up to 256 bytes come whole, without EINTR: getrandom(2). */
		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			return -EIO;
		n = snprintf(tmp, PATH_MAX, "%s/.firn-%016llx.tmp", dir,
		    (unsigned long long)r);
		if (n >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC | O_NOFOLLOW, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Closes fd, always. */
static int
write_and_close(int fd, const void *data, size_t len)
{
	int err = file_write_full(fd, data, len);

	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err && errno != EINTR)
		err = -errno;
	return err;
}

int
file_save(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode)
{
	char dir[PATH_MAX], tmp[PATH_MAX];
	int fd, err;

	err = parent_of(path, dir);
	if (err)
		return err;
	fd = open_temp(dirfd, dir, mode, tmp);
	if (fd < 0)
		return fd;
	err = write_and_close(fd, data, len);
	if (!err && renameat(dirfd, tmp, dirfd, path))
		err = -errno;
	if (err) {
		unlinkat(dirfd, tmp, 0);
		return err;
	}
	return file_fsync_dir(dirfd, dir);
}

int
file_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	struct stat st;
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		/* A part ends before a slash and at the end. */
		if ((part[i] && part[i] != '/') || part[i - 1] == '/')
			continue;
		part[i] = 0;
		if (mkdir(part, mode) && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	if (stat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int
file_fsync_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	/* EINVAL: this file system has no such thing; there is no more to be
	 * done for durability then. */
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}
