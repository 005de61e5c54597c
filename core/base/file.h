/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes on file descriptors, and small files as one piece.
 * All retry EINTR and short counts.  0 or -errno; nothing is logged.
 */
#ifndef FIRN_BASE_FILE_H
#define FIRN_BASE_FILE_H

#include <sys/types.h>

#include "base/buf.h"

/*
 * Wait until fd can be read, or has ended: 1; 0 after FILE_WAIT_MS without,
 * for the caller to look around and call again; -ECANCELED once *stop is not
 * 0 (stop may be NULL), which a signal handler may set at any time.
 */
#define FILE_WAIT_MS	100
int file_wait(int fd, const volatile int *stop);

/* Reads until `len` or end of file; *got is what came. */
int file_read_full(int fd, void *buf, size_t len, size_t *got);
int file_pread_full(int fd, void *buf, size_t len, off_t off, size_t *got);
int file_write_full(int fd, const void *buf, size_t len);
int file_pwrite_full(int fd, const void *buf, size_t len, off_t off);
/* Appends a whole file to `out`, bounded by out's ceiling; nothing of it on
 * failure.  dirfd may be AT_FDCWD. */
int file_load(int dirfd, const char *path, struct buf *out);
/*
 * Replace a file so that a crash leaves the old or the new: write beside it,
 * fsync, rename, fsync the directory.  mode as in open(2).  On failure the
 * old file is as it was, save where only the directory's fsync failed; a crash
 * may leave a ".firn-*.tmp" beside it.
 */
int file_save(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode);
/* mkdir -p with this mode (less the umask) for what is missing. */
int file_mkdirs(const char *path, mode_t mode);
int file_fsync_dir(int dirfd, const char *path);

#endif
