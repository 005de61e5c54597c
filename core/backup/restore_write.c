/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of regular files: write them, holes left out, and compare them
 * with what is there.
 *
 * A temporary file is locked while it is written, so that another run does
 * not take it for a leftover.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

static void
progress(struct restore *r, uint64_t bytes)
{
	uint64_t files;

	pthread_mutex_lock(&r->lock);
	r->written += bytes;
	bytes = r->written;
	files = r->result->files;
	pthread_mutex_unlock(&r->lock);
	if (r->conf->progress != NULL)
		r->conf->progress(r->conf->ctx, files, bytes);
}

static size_t
chunk_size(uint64_t left)
{

	return left < RESTORE_CHUNK ? (size_t)left : RESTORE_CHUNK;
}

static int
map_open(struct restore_job *j, const char *path, struct filemap **fm,
    uint8_t **buf)
{
	int err;

	err = filemap_new(tree_reader(j->r->tree), &j->item->e, fm);
	if (err == 0) {
		*buf = malloc(chunk_size(filemap_size(*fm)) + 1);
		if (*buf == NULL)
			err = -ENOMEM;
	}
	if (err != 0)
		log_err(err, "cannot read '%s' from the repository", path);
	return err;
}

static int
read_some(struct restore_job *j, struct filemap *fm, uint64_t off, void *buf,
    size_t len, const char *path)
{
	size_t got;
	int err;

	if (restore_stopping(j->r))
		return -ECANCELED;
	err = filemap_read(fm, off, buf, len, &got);
	if (err == 0 && got != len)
		err = -FIRN_ECORRUPT;
	if (err == -ECANCELED && restore_stopping(j->r))
		return err;
	if (err != 0)
		log_err(err, "cannot read '%s' from the repository", path);
	return err;
}

/* The run of data at or behind *off, up to *end: 1, or 0 when there is none. */
static int
next_data(struct filemap *fm, uint64_t *off, uint64_t *end)
{
	int err;

	err = filemap_seek(fm, *off, 0, off);
	if (err == 0)
		err = filemap_seek(fm, *off, 1, end);
	if (err == -ENXIO)
		return 0;
	return err != 0 ? err : 1;
}

static int
copy_data(struct restore_job *j, struct filemap *fm, int fd, uint8_t *buf,
    const char *path)
{
	uint64_t off = 0, end = 0;
	size_t len;
	int ret, err;

	for (;; off = end) {
		ret = next_data(fm, &off, &end);
		if (ret < 0)
			return log_err(ret,
			    "cannot read '%s' from the repository", path);
		if (ret == 0)
			return 0;
		for (; off < end; off += len) {
			len = chunk_size(end - off);
			err = read_some(j, fm, off, buf, len, path);
			if (err != 0)
				return err;
			err = file_pwrite_full(fd, buf, len, (off_t)off);
			if (err != 0)
				return restore_local_err(j->r, err, "write",
				    path);
			progress(j->r, len);
		}
	}
}

/* 1 when [off, end) of fd reads as zeroes. */
static int
is_zero(int fd, uint64_t off, uint64_t end, uint8_t *buf, size_t size)
{
	size_t len, got, i;
	off_t data;
	int err;

	while (off < end) {
		/* Holes there need not be read either. */
		data = lseek(fd, (off_t)off, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 1;
		if (data > (off_t)off)
			off = (uint64_t)data;
		if (off >= end)
			return 1;
		len = end - off < size ? (size_t)(end - off) : size;
		err = file_pread_full(fd, buf, len, (off_t)off, &got);
		if (err != 0)
			return err;
		for (i = 0; i < got; i++)
			if (buf[i] != 0)
				return 0;
		if (got != len)
			return 0;
		off += len;
	}
	return 1;
}

/* 1 when fd has these contents; a second buffer of the same size. */
static int
same_data(struct restore_job *j, struct filemap *fm, int fd, uint8_t *buf,
    uint8_t *have, const char *path)
{
	uint64_t size = filemap_size(fm), off = 0, data, end;
	size_t len, got;
	int ret, err;

	while (off < size) {
		data = off;
		end = size;
		ret = next_data(fm, &data, &end);
		if (ret < 0)
			return log_err(ret,
			    "cannot read '%s' from the repository", path);
		if (ret == 0)
			data = end = size;
		ret = is_zero(fd, off, data, have, chunk_size(size));
		for (off = data; ret == 1 && off < end; off += len) {
			len = chunk_size(end - off);
			err = read_some(j, fm, off, buf, len, path);
			if (err != 0)
				return err;
			ret = file_pread_full(fd, have, len, (off_t)off,
			    &got);
			if (ret == 0)
				ret = got == len && memcmp(buf, have, len) ==
				    0;
		}
		if (ret < 0)
			return log_err(ret, "cannot read back '%s'", path);
		if (ret == 0)
			return 0;
	}
	return 1;
}

static int
compare_fd(struct restore_job *j, struct filemap *fm, int fd, uint8_t *buf,
    const char *path)
{
	struct stat st;
	uint8_t *have;
	int ret;

	if (fstat(fd, &st) != 0)
		return log_err(-errno, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != filemap_size(fm))
		return 0;
	have = malloc(chunk_size(filemap_size(fm)) + 1);
	if (have == NULL)
		return log_err(-ENOMEM, "cannot read back '%s'", path);
	ret = same_data(j, fm, fd, buf, have, path);
	free(have);
	return ret;
}

int
restore_compare(struct restore_job *j, const char *name, const char *path)
{
	struct filemap *fm = NULL;
	uint8_t *buf = NULL;
	int fd = -1, ret;

	ret = map_open(j, path, &fm, &buf);
	if (ret != 0)
		goto out;
	fd = openat(j->dir->fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		ret = log_err(-errno, "cannot open '%s'", path);
	else
		ret = compare_fd(j, fm, fd, buf, path);
out:
	if (fd >= 0)
		close(fd);
	filemap_free(fm);
	free(buf);
	return ret;
}

/* What we wrote, from the disk and not from memory. */
static int
read_back(struct restore_job *j, struct filemap *fm, int fd, uint8_t *buf,
    const char *path)
{
	int ret;

	if (fdatasync(fd) != 0)
		return restore_local_err(j->r, -errno, "write", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ret = compare_fd(j, fm, fd, buf, path);
	if (ret == 0)
		return log_err(-EIO, "'%s' reads back other than written",
		    path);
	return ret < 0 ? ret : 0;
}

static int
fill(struct restore_job *j, struct filemap *fm, int fd, uint8_t *buf,
    const char *path)
{
	int err;

	if (filemap_size(fm) > INT64_MAX)
		return log_err(-FIRN_ECORRUPT, "cannot restore '%s'", path);
	/* First the size, so that what is not written is a hole. */
	if (filemap_size(fm) > 0 &&
	    ftruncate(fd, (off_t)filemap_size(fm)) != 0)
		return restore_local_err(j->r, -errno, "write", path);
	err = copy_data(j, fm, fd, buf, path);
	if (err == 0 && j->r->conf->verify)
		err = read_back(j, fm, fd, buf, path);
	return err;
}

int
restore_write(struct restore_job *j, const char *temp, const char *path)
{
	struct filemap *fm = NULL;
	uint8_t *buf = NULL;
	int fd, err;

	/* Before the file, so that damage leaves nothing behind. */
	err = map_open(j, path, &fm, &buf);
	if (err != 0)
		goto out;
	fd = openat(j->dir->fd, temp,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = restore_local_err(j->r, -errno, "create", path);
		goto out;
	}
	flock(fd, LOCK_EX | LOCK_NB);
	err = fill(j, fm, fd, buf, path);
	/* Some file systems only now say that there is no room. */
	if (close(fd) != 0 && err == 0)
		err = restore_local_err(j->r, -errno, "write", path);
	if (err != 0)
		unlinkat(j->dir->fd, temp, 0);
out:
	filemap_free(fm);
	free(buf);
	return err;
}
