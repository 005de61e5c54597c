/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store: open, close, and the calls on one object that do not
 * write it.
 *
 * A mount reads one pack many times, so open files are kept in a small cache.
 * An entry may not outlive its name: who removes a name counts `dropped` up,
 * then drops the entry; who loads an entry compares `dropped` with what it was
 * before the open, and drops its own entry if that changed.  So one of the two
 * drops it, in whatever order they run.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/lru.h"
#include "crypto/hash.h"
#include "store/store_local_internal.h"

#define FDS_MAX		64

/* The value is the fd + 1: an lru takes NULL for no value. */
static void *
fd_value(int fd)
{
	return (void *)((intptr_t)fd + 1);
}

static int
value_fd(void *value)
{
	return (int)((intptr_t)value - 1);
}

static void
value_close(void *value)
{
	close(value_fd(value));
}

int
local_err(struct local *l, int err, const char *verb, const char *name)
{
	if (err == 0 || err == -ENOENT || err == -EEXIST || err == -ECANCELED)
		return err;
	if (err == -EDQUOT)
		err = -ENOSPC;
	return log_err(err, "cannot %s '%s/%s'", verb, l->base.local_path,
	    name);
}

/* An fd of a regular file, or -errno. */
static int
object_open(struct local *l, const char *name)
{
	struct stat st;
	int fd = openat(l->root, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = 0;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ENOENT;
	if (err != 0)
		close(fd);
	return err != 0 ? err : fd;
}

void
local_forget(struct local *l, const char *name)
{
	uint8_t key[HASH_SIZE];

	atomic_fetch_add(&l->dropped, 1);
	if (hash_sha256(name, strlen(name), key) == 0)
		lru_drop(l->fds, key);
}

/*
 * An fd to read the object from; *node is to be released, or NULL and the fd
 * is to be closed.  Another thread's failed load is not shared: it may have
 * looked before a put that our caller knows of.
 */
static int
object_hold(struct local *l, const char *name, struct lru_node **node)
{
	unsigned dropped = atomic_load(&l->dropped);
	uint8_t key[HASH_SIZE];
	int fd, have;

	*node = NULL;
	if (hash_sha256(name, strlen(name), key) != 0)
		return -ENOMEM;
	have = lru_acquire(l->fds, key, node);
	if (have == 1)
		return value_fd(lru_value(*node));
	fd = object_open(l, name);
	if (have < 0)
		return fd;
	if (fd < 0) {
		lru_failed(l->fds, *node, fd);
		*node = NULL;
		return fd;
	}
	lru_loaded(l->fds, *node, fd_value(fd), 1);
	if (atomic_load(&l->dropped) != dropped)
		lru_drop(l->fds, key);
	return fd;
}

static int
local_get(struct store *s, const char *name, uint64_t off, void *buf,
    size_t len, size_t *got)
{
	struct local *l = local_of(s);
	struct lru_node *node;
	int fd = object_hold(l, name, &node), err = fd < 0 ? fd : 0;

	if (err == 0) {
		err = file_pread_full(fd, buf, len, (off_t)off, got);
		if (node != NULL)
			lru_release(l->fds, node);
		else
			close(fd);
	}
	store_note(s, STORE_GET, err, *got, 0);
	return local_err(l, err, "read", name);
}

static int
local_stat(struct store *s, const char *name, struct store_stat *out)
{
	struct local *l = local_of(s);
	struct stat st;
	int err = 0;

	if (fstatat(l->root, name, &st, 0) != 0)
		err = errno == ENOTDIR ? -ENOENT : -errno;
	else if (!S_ISREG(st.st_mode))
		err = -ENOENT;
	if (err == 0) {
		out->size = (uint64_t)st.st_size;
		out->mtime = st.st_mtim;
		out->state_known = 1;
	}
	store_note(s, STORE_STAT, err, 0, 0);
	return local_err(l, err, "look at", name);
}

/* Not made durable: an object that comes back after a crash does no harm, and
 * thousands of deletions need not wait for the disk. */
static int
local_del(struct store *s, const char *name)
{
	struct local *l = local_of(s);
	int err = unlinkat(l->root, name, 0) == 0 ? 0 : -errno;

	if (err == -ENOTDIR || err == -EISDIR)
		err = -ENOENT;
	local_forget(l, name);
	store_note(s, STORE_DEL, err, 0, 0);
	return local_err(l, err, "delete", name);
}

static void
local_close(struct store *s)
{
	struct local *l = local_of(s);

	lru_free(l->fds);
	if (l->root >= 0)
		close(l->root);
	store_release(s);
	free(l);
}

static const struct store_ops local_ops = {
	.close = local_close,
	.put = local_put,
	.get = local_get,
	.stat = local_stat,
	.list = local_list,
	.del = local_del,
	.probe = local_probe,
};

static int
root_open(struct local *l, const char *path, int create)
{
	int err = create ? local_mkdirs(AT_FDCWD, path) : 0;

	if (err != 0)
		return log_err(err, "cannot make the directory '%s'", path);
	l->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->root < 0 && errno == ENOENT)
		return log_err(-ENOENT, "there is no directory '%s'; is the "
		    "disk mounted, the path right?", path);
	if (l->root < 0)
		return log_err(-errno, "cannot open the directory '%s'", path);
	l->base.local_path = realpath(path, NULL);
	return l->base.local_path != NULL ? 0 :
	    log_err(-errno, "cannot resolve '%s'", path);
}

int
store_local_open(const char *url, const char *path, int create,
    struct store **out)
{
	struct local *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return log_err(-ENOMEM, "cannot open '%s'", path);
	l->root = -1;
	err = store_init(&l->base, &local_ops, url);
	if (err == 0)
		err = lru_new(FDS_MAX, HASH_SIZE, value_close, &l->fds);
	if (err != 0)
		log_err(err, "cannot open '%s'", path);
	else
		err = root_open(l, path, create);
	if (err != 0) {
		local_close(&l->base);
		return err;
	}
	if (create)
		local_sweep(l);
	*out = &l->base;
	return 0;
}
