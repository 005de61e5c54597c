/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting into the directory store.
 *
 * The order of durability: the bytes go to a new file in tmp/, then to disk,
 * then get their name (which either takes it or finds it taken, in one step),
 * then the directory goes to disk.  A crash leaves at worst a file in tmp/.
 * A writer holds a lock on its file there from its creation, so that the
 * removal of leftovers by another process never takes a live one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "store/store_local_internal.h"

#define CHUNK		(1u << 20)	/* written between looks at cancel */
#define DIRECT_CHUNK	(4u << 20)	/* the same where the disk is waited for */
#define DIRECT_MIN	(1u << 20)	/* smaller objects go by the page cache */
#define DIRECT_ALIGN	4096u
#define TMP_AGE		(24 * 3600)	/* seconds; younger ones are left */
#define TMP_SIZE	(sizeof(LOCAL_TMP) + 1 + 32)

int
local_mkdirs(int dirfd, const char *path)
{
	char part[PATH_MAX], parent[PATH_MAX] = ".";
	size_t len = strlen(path), i;
	int err;

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	if (path[0] == '/')
		strcpy(parent, "/");
	memcpy(part, path, len + 1);
	for (i = 1; i <= len; i++) {
		/* A component ends before a slash and at the end. */
		if ((part[i] != '/' && part[i] != '\0') || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		err = mkdirat(dirfd, part, 0700) == 0 ? 0 : -errno;
		if (err == 0)
			err = file_fsync_dir(dirfd, parent);
		if (err != 0 && err != -EEXIST)
			return err;
		memcpy(parent, part, i + 1);
		part[i] = path[i];
	}
	return 0;
}

/* The directory of an object, "." for the root. */
static void
dir_of(const char *name, char out[STORE_NAME_MAX + 1])
{
	const char *slash = strrchr(name, '/');

	snprintf(out, STORE_NAME_MAX + 1, "%.*s",
	    slash != NULL ? (int)(slash - name) : 1,
	    slash != NULL ? name : ".");
}

/* An fd of a new, locked file; its path from the root goes to tmp. */
static int
temp_open(struct local *l, char tmp[TMP_SIZE])
{
	unsigned long long r[2];
	int fd, tries;

	for (tries = 0; tries < 16; tries++) {
		if (getrandom(r, sizeof(r), 0) != sizeof(r))
			return -EIO;
		snprintf(tmp, TMP_SIZE, LOCAL_TMP "/%016llx%016llx", r[0],
		    r[1]);
		fd = openat(l->root, tmp, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC, 0600);
		if (fd >= 0) {
			/* Where locks do not work, age alone protects it. */
			(void)flock(fd, LOCK_EX | LOCK_NB);
			return fd;
		}
		if (errno == ENOENT && mkdirat(l->root, LOCAL_TMP, 0700) != 0 &&
		    errno != EEXIST)
			return -errno;
		if (errno != EEXIST && errno != ENOENT)
			return -errno;
	}
	return -EIO;
}

/* Write from now on past the page cache, or through it; 0 where the file system
 * cannot. */
static int
set_direct(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT :
	    flags & ~O_DIRECT) == 0;
}

static int
write_chunks(struct local *l, int fd, const char *data, size_t len,
    size_t chunk, size_t *done)
{
	size_t n;
	int err;

	for (; *done < len; *done += n) {
		if (store_is_canceled(&l->base))
			return -ECANCELED;
		n = len - *done < chunk ? len - *done : chunk;
		err = file_write_full(fd, data + *done, n);
		if (err != 0)
			return err;
	}
	return 0;
}

/*
 * What is waited for until it is on the disk gains nothing from the page cache,
 * and packs would push out what other programs have there, at the price of a
 * copy.  Not so trees, which the next run reads.  What direct I/O does not take,
 * whatever the error, is written as usual, and what is wrong with the disk is
 * said then.
 */
static int
write_all(struct local *l, int fd, const char *data, size_t len,
    unsigned flags)
{
	size_t done = 0;
	int err = 0;

	if (flags & STORE_DATA && len >= DIRECT_MIN &&
	    (uintptr_t)data % DIRECT_ALIGN == 0 &&
	    !atomic_load(&l->no_direct) && set_direct(fd, 1)) {
		err = write_chunks(l, fd, data, len & ~(size_t)
		    (DIRECT_ALIGN - 1), DIRECT_CHUNK, &done);
		set_direct(fd, 0);
		/* A part may have been written; it is written again. */
		if (err != 0 && err != -ECANCELED) {
			atomic_store(&l->no_direct, 1);
			done = 0;
			err = lseek(fd, 0, SEEK_SET) == 0 ? 0 : -errno;
		}
	}
	if (err == 0)
		err = write_chunks(l, fd, data, len, CHUNK, &done);
	if (err != 0)
		return err;
	return fsync(fd) == 0 ? 0 : -errno;
}

/* On a network file system the answer to a link that was made may get lost,
 * and its repetition finds the name taken: by this very file. */
static int
linked(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 2;
}

/* Give the file its name only if nothing has it; one step. */
static int
commit_absent(struct local *l, int fd, const char *tmp, const char *name)
{
	int err;

	if (linkat(l->root, tmp, l->root, name, 0) == 0 ||
	    (errno == EEXIST && linked(fd)))
		return unlinkat(l->root, tmp, 0) == 0 ? 0 : -errno;
	err = -errno;
	if (err != -EPERM && err != -EOPNOTSUPP && err != -ENOSYS &&
	    err != -EACCES && err != -EMLINK)
		return err;
	/* No links here: FAT, some network and FUSE file systems. */
	if (renameat2(l->root, tmp, l->root, name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? err : -errno;
}

static int
commit(struct local *l, int fd, const char *tmp, const char *name,
    unsigned flags)
{
	if (flags & (STORE_IF_ABSENT | STORE_UNIQUE))
		return commit_absent(l, fd, tmp, name);
	return renameat(l->root, tmp, l->root, name) == 0 ? 0 : -errno;
}

/*
 * The directory goes to disk also when the name was taken: the caller may rely
 * on that object now, and its writer may not have got so far.
 */
static int
publish(struct local *l, int fd, const char *tmp, const char *name,
    unsigned flags)
{
	char dir[STORE_NAME_MAX + 1];
	int err = commit(l, fd, tmp, name, flags), synced;

	dir_of(name, dir);
	if (err == -ENOENT && strcmp(dir, ".") != 0) {
		err = local_mkdirs(l->root, dir);
		if (err == 0)
			err = commit(l, fd, tmp, name, flags);
	}
	if (err != 0 && err != -EEXIST)
		return err;
	synced = file_fsync_dir(l->root, dir);
	return synced != 0 ? synced : err;
}

int
local_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha256, unsigned flags)
{
	struct local *l = local_of(s);
	char tmp[TMP_SIZE];
	int fd, err;

	(void)sha256;
	if (!atomic_exchange(&l->swept, 1))
		local_sweep(l);
	fd = temp_open(l, tmp);
	if (fd < 0) {
		store_note(s, STORE_PUT, fd, 0, 0);
		/* -ENOENT here would be the root itself. */
		return log_err(fd == -EDQUOT ? -ENOSPC : fd, "cannot write to "
		    "'%s/" LOCAL_TMP "'", s->local_path);
	}
	err = write_all(l, fd, data, len, flags);
	if (err == 0)
		err = publish(l, fd, tmp, name, flags);
	if (err != 0)
		unlinkat(l->root, tmp, 0);
	close(fd);
	local_forget(l, name);
	store_note(s, STORE_PUT, err, 0, err == 0 ? len : 0);
	if (err == -ENOENT)	/* for a put this is no answer */
		err = -EIO;
	return local_err(l, err, "write", name);
}

/* Old, and no writer has it locked. */
static int
is_leftover(int dirfd, const char *name, time_t now)
{
	struct stat st;
	int fd, free_now;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) || now - st.st_mtime < TMP_AGE)
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	free_now = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
	close(fd);
	return free_now;
}

void
local_sweep(struct local *l)
{
	int fd = openat(l->root, LOCAL_TMP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *dir;

	atomic_store(&l->swept, 1);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (is_leftover(fd, e->d_name, time(NULL)) &&
		    unlinkat(fd, e->d_name, 0) == 0)
			log_info("removed '%s/" LOCAL_TMP "/%s', left by an "
			    "interrupted write", l->base.local_path, e->d_name);
	closedir(dir);
}
