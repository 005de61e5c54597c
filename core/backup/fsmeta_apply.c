/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a file the metadata of an entry.
 *
 * The name is opened once, O_PATH and without following it, and must be of the
 * entry's type; all that follows goes to that inode through its descriptor or
 * /proc/self/fd, whatever becomes of the name.  What is right already is not
 * touched, so that a second restore changes no ctime.
 *
 * Order, since each step may undo part of those before it:
 *
 *	immutable, append-only off	they forbid all that follows
 *	owner		drops set-id bits and security.capability
 *	xattrs		before mode: user.* needs permission to write
 *	mode		rewrites the mask of an ACL
 *	ACL xattrs	agree with the mode that came with them
 *	times
 *	inode flags	may forbid all of the above
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backup/fsmeta.h"
#include "backup/fsmeta_internal.h"
#include "base/err.h"
#include "base/log.h"

/* An inode in hand. */
struct target {
	int fd;				/* O_PATH */
	char proc[64];			/* /proc/self/fd/N */
	const char *path;		/* for messages */
	struct statx st;		/* kept up to date as we change it */
	int first;			/* first failure */
};

static void
failed(struct target *t, int err, const char *what)
{

	log_err(err, "cannot set the %s of '%s'", what, t->path);
	if (t->first == 0)
		t->first = err;
}

static int
target_stat(struct target *t)
{

	if (statx(t->fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW |
	    AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &t->st) != 0)
		return -errno;
	return 0;
}

static int
target_open(struct target *t, int dirfd, const char *name,
    const struct entry *e)
{
	int err;

	t->fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (t->fd < 0)
		return log_err(-errno, "cannot open '%s'", t->path);
	snprintf(t->proc, sizeof(t->proc), "/proc/self/fd/%d", t->fd);
	err = target_stat(t);
	if (err != 0)
		return log_err(err, "cannot stat '%s'", t->path);
	if ((t->st.stx_mode & S_IFMT) != (e->mode & S_IFMT))
		return log_err(-ESTALE,
		    "'%s' was replaced by something else meanwhile", t->path);
	return 0;
}

/* flags = (flags & ~clear) | set.  Files and directories only. */
static int
change_attrs(struct target *t, uint32_t clear, uint32_t set)
{
	int fd, v = 0, err = 0;
	uint32_t now;

	fd = open(t->proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, FS_IOC_GETFLAGS, &v) != 0) {
		err = -errno;
		goto out;
	}
	now = ((uint32_t)v & ~clear) | set;
	if (now == (uint32_t)v)
		goto out;
	v = (int)now;
	if (ioctl(fd, FS_IOC_SETFLAGS, &v) != 0)
		err = -errno;
out:
	close(fd);
	return err;
}

static int
has_attrs(const struct target *t)
{

	return S_ISREG(t->st.stx_mode) || S_ISDIR(t->st.stx_mode);
}

/* 1 when an immutable or append-only file is no longer. */
static int
unlock(struct target *t)
{
	int err;

	if (!has_attrs(t) || (t->st.stx_attributes &
	    (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) == 0)
		return 0;
	err = change_attrs(t, FS_IMMUTABLE_FL | FS_APPEND_FL, 0);
	return err == 0 ? 1 : err;
}

int
fsmeta_unlock(int dirfd, const char *name)
{
	struct target t = { .path = name };
	int err;

	t.fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (t.fd < 0)
		return -errno;
	snprintf(t.proc, sizeof(t.proc), "/proc/self/fd/%d", t.fd);
	err = target_stat(&t);
	if (err == 0)
		err = unlock(&t);
	close(t.fd);
	return err;
}

static void
apply_owner(struct target *t, const struct entry *e, unsigned *skipped)
{
	int err;

	if (t->st.stx_uid == e->uid && t->st.stx_gid == e->gid)
		return;
	if (fchownat(t->fd, "", e->uid, e->gid, AT_EMPTY_PATH) == 0)
		goto out;
	/* EINVAL: no such number in this user namespace. */
	if (errno != EPERM && errno != EINVAL) {
		failed(t, -errno, "owner");
		return;
	}
	if (skipped != NULL)
		(*skipped)++;
	/* A group that we are in may be given without root. */
	if (fchownat(t->fd, "", (uid_t)-1, e->gid, AT_EMPTY_PATH) != 0)
		return;
out:
	err = target_stat(t);
	if (err != 0)
		failed(t, err, "owner");
}

static void
apply_mode(struct target *t, const struct entry *e)
{
	mode_t mode = e->mode & 07777;

	if (S_ISLNK(e->mode))
		return;
	/* Never lend another owner's rights to this one. */
	if (t->st.stx_uid != e->uid)
		mode &= ~(mode_t)S_ISUID;
	if (t->st.stx_gid != e->gid && !S_ISDIR(e->mode))
		mode &= ~(mode_t)S_ISGID;
	if ((t->st.stx_mode & 07777) == mode)
		return;
	if (chmod(t->proc, mode) != 0)
		failed(t, -errno, "mode");
	else
		t->st.stx_mode = (uint16_t)((e->mode & S_IFMT) | mode);
}

static int
is_acl(const char *name)
{

	return strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0;
}

/* Ours to take away; a label of the system's security module is not. */
static int
is_removable(const char *name)
{

	return is_acl(name) || strncmp(name, "user.", 5) == 0 ||
	    strncmp(name, "trusted.", 8) == 0 ||
	    strcmp(name, "security.capability") == 0;
}

/* 1 when the file has just this value. */
static int
same_value(struct target *t, const char *name, const struct xattr *x)
{
	uint8_t small[512], *p = small;
	ssize_t n;
	int same = 0;

	if (x->len >= sizeof(small))
		p = malloc(x->len + 1);
	if (p == NULL)
		return 0;
	n = getxattr(t->proc, name, p, x->len + 1);
	if (n >= 0 && (size_t)n == x->len)
		same = memcmp(p, x->value, x->len) == 0;
	if (p != small)
		free(p);
	return same;
}

/*
 * user.* of a read-only file cannot be changed, its own owner's neither: let
 * the owner write until apply_mode() puts it right.  1 when that may help.
 */
static int
lend_write(struct target *t)
{
	mode_t now = t->st.stx_mode & 07777;

	if (!has_attrs(t) || (now & S_IWUSR) != 0 ||
	    chmod(t->proc, now | S_IWUSR) != 0)
		return 0;
	t->st.stx_mode |= S_IWUSR;
	return 1;
}

static void
set_xattr(struct target *t, const char *name, const struct xattr *x)
{
	int err;

	if (same_value(t, name, x))
		return;
	if (setxattr(t->proc, name, x->value, x->len, 0) == 0)
		return;
	err = -errno;
	if (err == -EACCES && lend_write(t)) {
		if (setxattr(t->proc, name, x->value, x->len, 0) == 0)
			return;
		err = -errno;
	}
	log_err(err, "cannot set xattr '%s' of '%s'", name, t->path);
	if (t->first == 0)
		t->first = err;
}

/* Set the ACLs, or all but the ACLs. */
static void
set_xattrs(struct target *t, const struct buf *xattr, int acl)
{
	char name[XATTR_NAME_MAX + 1];
	struct rd r;
	struct xattr x;

	if (xattr == NULL)
		return;
	r = rd_init(xattr->data, xattr->len);
	while (rd_left(&r) > 0) {
		if (xattr_decode(&r, &x) != 0 ||
		    x.namelen > XATTR_NAME_MAX) {
			failed(t, -FIRN_ECORRUPT, "xattrs");
			return;
		}
		memcpy(name, x.name, x.namelen);
		name[x.namelen] = '\0';
		if (is_acl(name) == acl)
			set_xattr(t, name, &x);
	}
}

static int
wanted(const struct buf *xattr, const char *name)
{
	size_t len = strlen(name);
	struct rd r;
	struct xattr x;

	r = rd_init(xattr->data, xattr->len);
	while (rd_left(&r) > 0 && xattr_decode(&r, &x) == 0)
		if (x.namelen == len && memcmp(x.name, name, len) == 0)
			return 1;
	return 0;
}

static void
remove_xattr(struct target *t, const char *name)
{
	int err;

	if (removexattr(t->proc, name) == 0 || errno == ENODATA)
		return;
	if (errno == EACCES && lend_write(t) &&
	    removexattr(t->proc, name) == 0)
		return;
	err = log_err(-errno, "cannot remove xattr '%s' of '%s'", name,
	    t->path);
	if (t->first == 0)
		t->first = err;
}

/*
 * Remove what the entry does not have: ACLs inherited from the directory, or
 * what an older version of the file had.
 */
static void
remove_xattrs(struct target *t, const struct buf *xattr)
{
	char small[1024], *list = small;
	ssize_t n, i;

	n = listxattr(t->proc, small, sizeof(small));
	if (n < 0 && errno == ERANGE) {
		list = malloc(XATTR_LIST_MAX);
		if (list == NULL) {
			failed(t, -ENOMEM, "xattrs");
			return;
		}
		n = listxattr(t->proc, list, XATTR_LIST_MAX);
	}
	if (n < 0 && errno != EOPNOTSUPP)
		failed(t, -errno, "xattrs");
	for (i = 0; i < n; i += (ssize_t)strlen(list + i) + 1) {
		if (!is_removable(list + i) || wanted(xattr, list + i))
			continue;
		remove_xattr(t, list + i);
	}
	if (list != small)
		free(list);
}

static void
apply_times(struct target *t, const struct entry *e)
{
	struct timespec ts[2] = { { 0, UTIME_OMIT }, e->mtime };
	int err;

	if (e->mtime.tv_nsec < 0 || e->mtime.tv_nsec > 999999999) {
		failed(t, -FIRN_ECORRUPT, "time");
		return;
	}
	/* Ask again: a stat from before the other steps may be old. */
	err = target_stat(t);
	if (err == 0 && t->st.stx_mtime.tv_sec == e->mtime.tv_sec &&
	    t->st.stx_mtime.tv_nsec == (uint32_t)e->mtime.tv_nsec)
		return;
	if (utimensat(AT_FDCWD, t->proc, ts, 0) != 0) {
		failed(t, -errno, "time");
		return;
	}
	/* Linux puts the nearest time that the file system can hold and does
	 * not say so.  Coarser fractions are no surprise, another century is.
	 */
	if (e->mtime.tv_sec >= INT32_MIN && e->mtime.tv_sec <= INT32_MAX)
		return;
	if (target_stat(t) == 0 && t->st.stx_mtime.tv_sec != e->mtime.tv_sec)
		failed(t, -ERANGE, "time");
}

static void
apply_attrs(struct target *t, const struct entry *e)
{
	uint32_t set = e->flags & ENTRY_ATTRS ? e->attrs & FSMETA_ATTRS : 0;
	int err;

	if (set == 0 || !has_attrs(t))
		return;
	err = change_attrs(t, 0, set);
	if (err == -ENOTTY)
		err = -EOPNOTSUPP;
	if (err != 0)
		failed(t, err, "inode flags");
}

int
fsmeta_apply(int dirfd, const char *name, const char *path,
    const struct entry *e, const struct buf *xattr, unsigned *skipped_owners)
{
	struct target t = { .fd = -1, .path = path };
	int err;

	err = target_open(&t, dirfd, name, e);
	if (err != 0)
		goto out;
	err = unlock(&t);
	if (err < 0)
		failed(&t, err, "inode flags");
	apply_owner(&t, e, skipped_owners);
	if (xattr != NULL)
		remove_xattrs(&t, xattr);
	set_xattrs(&t, xattr, 0);
	apply_mode(&t, e);
	set_xattrs(&t, xattr, 1);
	apply_times(&t, e);
	apply_attrs(&t, e);
	err = t.first;
out:
	if (t.fd >= 0)
		close(t.fd);
	return err;
}
