/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file's metadata into an entry, and making files.  fsmeta_apply.c
 * has the other direction.
 *
 * Nothing here follows a symlink in the last component, and no path longer
 * than "/proc/self/fd/N/NAME" is ever built, so that trees deeper than
 * PATH_MAX work.  Extended attributes can change between any two calls: sizes
 * are asked for again until they fit, and what is gone is left out.
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

#define TARGET_MAX 4095

/* A time this close to when it was asked for may hide a later change, since
 * clocks of file systems have grains: a tick of the kernel, or, where the
 * nanoseconds are zero, the 2 seconds of the coarsest. */
#define GRAIN_NS	20000000
#define GRAIN_COARSE_S	2

void
fsmeta_init(struct fsmeta *m)
{

	memset(m, 0, sizeof(*m));
	buf_init(&m->target, TARGET_MAX + 1);
	buf_init(&m->xattr, TREE_XATTR_MAX);
}

void
fsmeta_release(struct fsmeta *m)
{

	if (m == NULL)
		return;
	buf_release(&m->target);
	buf_release(&m->xattr);
}

int
fsmeta_look(int dirfd, const char *name, struct fsmeta_look *l)
{
	struct statx st;
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

	if (name[0] == '\0')
		flags |= AT_EMPTY_PATH;
	if (statx(dirfd, name, flags, STATX_BASIC_STATS | STATX_BTIME,
	    &st) != 0)
		return -errno;
	*l = (struct fsmeta_look){
		.ino = st.stx_ino, .size = st.stx_size,
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.mtime = st.stx_mtime.tv_sec, .mtime_ns = st.stx_mtime.tv_nsec,
		.ctime = st.stx_ctime.tv_sec, .ctime_ns = st.stx_ctime.tv_nsec,
		.btime = st.stx_btime.tv_sec, .btime_ns = st.stx_btime.tv_nsec,
		.mode = st.stx_mode, .uid = st.stx_uid, .gid = st.stx_gid,
		.nlink = st.stx_nlink, .rdev_major = st.stx_rdev_major,
		.rdev_minor = st.stx_rdev_minor,
		.has_btime = (st.stx_mask & STATX_BTIME) != 0,
	};
	return 0;
}

static struct timespec
look_time(int64_t s, uint32_t ns)
{
	struct timespec ts = { .tv_sec = s, .tv_nsec = ns };

	return ts;
}

void
fsmeta_take(const struct fsmeta_look *l, struct fsmeta *m)
{
	struct entry *e = &m->e;

	memset(e, 0, sizeof(*e));
	buf_reset(&m->target);
	buf_reset(&m->xattr);
	m->dev = l->dev;
	e->mode = l->mode;
	e->uid = l->uid;
	e->gid = l->gid;
	e->mtime = look_time(l->mtime, l->mtime_ns);
	e->ctime = look_time(l->ctime, l->ctime_ns);
	e->ino = l->ino;
	e->nlink = l->nlink;
	if (l->has_btime) {
		e->btime = look_time(l->btime, l->btime_ns);
		e->flags |= ENTRY_BTIME;
	}
	if (S_ISREG(e->mode)) {
		e->size = l->size;
		e->flags |= ENTRY_SIZE;
	}
	if (e->nlink > 1 && !S_ISDIR(e->mode))
		e->flags |= ENTRY_LINKS;
	if (S_ISBLK(e->mode) || S_ISCHR(e->mode)) {
		e->rdev_major = l->rdev_major;
		e->rdev_minor = l->rdev_minor;
		e->flags |= ENTRY_RDEV;
	}
}

int
fsmeta_settled(const struct timespec *t, const struct timespec *at)
{
	struct timespec s = *at;

	if (t->tv_nsec == 0) {
		s.tv_sec -= GRAIN_COARSE_S;
	} else if (s.tv_nsec >= GRAIN_NS) {
		s.tv_nsec -= GRAIN_NS;
	} else {
		s.tv_nsec += 1000000000 - GRAIN_NS;
		s.tv_sec--;
	}
	return t->tv_sec < s.tv_sec ||
	    (t->tv_sec == s.tv_sec && t->tv_nsec < s.tv_nsec);
}

int
fsmeta_stat(int dirfd, const char *name, struct fsmeta *m)
{
	struct fsmeta_look l;
	int err = fsmeta_look(dirfd, name, &l);

	if (err == 0) {
		fsmeta_take(&l, m);
		return 0;
	}
	memset(&m->e, 0, sizeof(m->e));
	buf_reset(&m->target);
	buf_reset(&m->xattr);
	return err;
}

static int
read_target(int dirfd, const char *name, struct fsmeta *m)
{
	uint8_t *p;
	ssize_t n;

	buf_reset(&m->target);
	p = buf_extend(&m->target, TARGET_MAX + 1);
	if (p == NULL)
		return buf_err(&m->target);
	n = readlinkat(dirfd, name, (char *)p, TARGET_MAX + 1);
	if (n < 0)
		return -errno;
	if (n > TARGET_MAX)
		return -ENAMETOOLONG;
	if (n == 0)	/* made by no system call; the format has no word
			   for it */
		return -EINVAL;
	m->target.len = (size_t)n;
	m->e.target = (const char *)p;
	m->e.targetlen = (size_t)n;
	m->e.flags |= ENTRY_SYMLINK;
	return 0;
}

/* Where xattr calls go: the open file, or the name by way of /proc. */
struct xattr_place {
	int fd;				/* used when >= 0 */
	char path[FSMETA_PROC_MAX];
};

static int
xattr_place(int dirfd, const char *name, int fd, struct xattr_place *xp)
{
	int n;

	xp->fd = fd;
	if (fd >= 0)
		return 0;
	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(xp->path, sizeof(xp->path), "%s", name);
	else
		n = snprintf(xp->path, sizeof(xp->path),
		    "/proc/self/fd/%d/%s", dirfd, name);
	return n < 0 || (size_t)n >= sizeof(xp->path) ? -ENAMETOOLONG : 0;
}

static ssize_t
place_list(const struct xattr_place *xp, char *list, size_t size)
{
	ssize_t n;

	n = xp->fd >= 0 ? flistxattr(xp->fd, list, size) :
	    llistxattr(xp->path, list, size);
	return n < 0 ? -errno : n;
}

static ssize_t
place_get(const struct xattr_place *xp, const char *name, void *value,
    size_t size)
{
	ssize_t n;

	n = xp->fd >= 0 ? fgetxattr(xp->fd, name, value, size) :
	    lgetxattr(xp->path, name, value, size);
	return n < 0 ? -errno : n;
}

static int
name_order(const void *a, const void *b)
{
	/* strcmp compares as unsigned bytes, which is the format's order. */
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/*
 * Sort the names of a list as the kernel gives it (each with its NUL).  The
 * array and the names in it are the caller's to free, and to leave.
 */
static int
sort_names(const char *list, size_t len, const char ***out, size_t *count)
{
	const char **v;
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += list[i] == '\0';
	v = calloc(n == 0 ? 1 : n, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (i = 0, n = 0; i < len; i += strlen(list + i) + 1)
		v[n++] = list + i;
	qsort(v, n, sizeof(*v), name_order);
	*out = v;
	*count = n;
	return 0;
}

/* One value into out; `value` has room for XATTR_SIZE_MAX.  0 also when it
 * has vanished. */
static int
read_one(const struct xattr_place *xp, const char *name, uint8_t *value,
    struct buf *out)
{
	struct xattr x = { .name = name, .namelen = strlen(name),
	    .value = value };
	ssize_t n;

	if (x.namelen == 0 || x.namelen > XATTR_NAME_MAX)
		return -EINVAL;
	n = place_get(xp, name, value, XATTR_SIZE_MAX);
	switch (n) {
	case -ENODATA:
	case -EPERM:
	case -EOPNOTSUPP:
		return 0;
	case -ERANGE:	/* no value may be larger, so a broken driver */
		return -FIRN_ETOOBIG;
	}
	if (n < 0)
		return (int)n;
	x.len = (size_t)n;
	return xattr_encode(&x, out);
}

static int
read_listed(const struct xattr_place *xp, const char *list, size_t len,
    const char *path, struct buf *out)
{
	const char **names = NULL;
	uint8_t *value;
	size_t i, n = 0, before;
	int err, first = 0;

	value = malloc(XATTR_SIZE_MAX);
	if (value == NULL)
		return log_err(-ENOMEM, "cannot read the xattrs of '%s'",
		    path);
	first = sort_names(list, len, &names, &n);
	for (i = 0; i < n; i++) {
		/* Two lists of one name would not be an ordered set. */
		if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
			continue;
		before = out->len;
		err = read_one(xp, names[i], value, out);
		if (err == 0)
			continue;
		out->len = before;
		out->err = 0;
		log_err(err, "cannot read xattr '%s' of '%s'", names[i],
		    path);
		if (first == 0)
			first = err;
	}
	free(names);
	free(value);
	return first;
}

/*
 * The list of names: in `small` when it fits, as for nearly every file, else
 * in memory that the caller frees.  Length or -errno.
 */
static ssize_t
list_names(const struct xattr_place *xp, char *small, size_t size,
    char **large)
{
	ssize_t n;

	*large = NULL;
	n = place_list(xp, small, size);
	if (n != -ERANGE)
		return n;
	/* The kernel's ceiling: it cannot grow out of this. */
	*large = malloc(XATTR_LIST_MAX);
	if (*large == NULL)
		return -ENOMEM;
	return place_list(xp, *large, XATTR_LIST_MAX);
}

static int
read_xattrs(int dirfd, const char *name, int fd, const char *path,
    struct buf *out)
{
	struct xattr_place xp;
	char small[1024], *large = NULL;
	ssize_t n;
	int err;

	err = xattr_place(dirfd, name, fd, &xp);
	n = err != 0 ? err : list_names(&xp, small, sizeof(small), &large);
	if (n == -EOPNOTSUPP)
		n = 0;
	if (n < 0)
		err = log_err((int)n, "cannot list the xattrs of '%s'", path);
	else if (n > 0)
		err = read_listed(&xp, large != NULL ? large : small,
		    (size_t)n, path, out);
	free(large);
	return err;
}

/* Inode flags; silent where the file system has none. */
static void
read_attrs(int fd, struct entry *e)
{
	int v = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &v) != 0)
		return;
	e->attrs = (uint32_t)v & FSMETA_ATTRS;
	if (e->attrs != 0)
		e->flags |= ENTRY_ATTRS;
}

int
fsmeta_read(int dirfd, const char *name, int fd, const char *path,
    struct fsmeta *m)
{
	int err;

	buf_reset(&m->xattr);
	if (S_ISLNK(m->e.mode)) {
		err = read_target(dirfd, name, m);
		if (err != 0)
			return log_err(err, "cannot read symlink '%s'", path);
	}
	/* On a device, these numbers would mean something else. */
	if (fd >= 0 && (S_ISREG(m->e.mode) || S_ISDIR(m->e.mode)))
		read_attrs(fd, &m->e);
	return read_xattrs(dirfd, name, fd, path, &m->xattr);
}

static int
make_symlink(int dirfd, const char *name, const struct entry *e)
{
	char target[TARGET_MAX + 1];

	if (e->target == NULL || e->targetlen == 0 ||
	    e->targetlen > TARGET_MAX ||
	    memchr(e->target, '\0', e->targetlen) != NULL)
		return -FIRN_ECORRUPT;
	memcpy(target, e->target, e->targetlen);
	target[e->targetlen] = '\0';
	return symlinkat(target, dirfd, name) == 0 ? 0 : -errno;
}

static int
make_file(int dirfd, const char *name)
{
	int fd;

	fd = openat(dirfd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return close(fd) == 0 ? 0 : -errno;
}

int
fsmeta_make(int dirfd, const char *name, const struct entry *e)
{
	mode_t type = e->mode & S_IFMT;
	dev_t dev = 0;

	switch (type) {
	case S_IFREG:
		return make_file(dirfd, name);
	case S_IFDIR:
		return mkdirat(dirfd, name, 0700) == 0 ? 0 : -errno;
	case S_IFLNK:
		return make_symlink(dirfd, name, e);
	case S_IFBLK:
	case S_IFCHR:
		dev = makedev(e->rdev_major, e->rdev_minor);
		break;
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -FIRN_ECORRUPT;
	}
	return mknodat(dirfd, name, type | 0600, dev) == 0 ? 0 : -errno;
}
