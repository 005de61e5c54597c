/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of files: read it from a source into an entry, and give a restored
 * file what an entry says.
 */
#ifndef FIRN_BACKUP_FSMETA_H
#define FIRN_BACKUP_FSMETA_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "format/tree.h"

struct fsmeta {
	struct entry e;		/* all but name, contents and subtree */
	uint64_t dev;		/* of the source */
	struct buf target;	/* of a symlink; e points into it */
	struct buf xattr;	/* encoded, ordered; e does not point to it */
};

void fsmeta_init(struct fsmeta *m);
void fsmeta_release(struct fsmeta *m);

/* What statx(2) tells, in a third of the bytes: there may be many. */
struct fsmeta_look {
	uint64_t ino, dev, size;
	int64_t mtime, ctime, btime;	/* seconds */
	uint32_t mtime_ns, ctime_ns, btime_ns;
	uint32_t mode, uid, gid, nlink;
	uint32_t rdev_major, rdev_minor;
	int has_btime;
};

/* statx(2) of one name, "" for dirfd itself; no symlink followed.  -errno, not
 * logged. */
int fsmeta_look(int dirfd, const char *name, struct fsmeta_look *l);
/* Begin m anew with it: e's mode, owner, times, ino, size (of regular files),
 * nlink, rdev, and dev. */
void fsmeta_take(const struct fsmeta_look *l, struct fsmeta *m);
/* Both. */
int fsmeta_stat(int dirfd, const char *name, struct fsmeta *m);
/* Is a file's time so long before this one that a change from then on would have
 * given it another? */
int fsmeta_settled(const struct timespec *t, const struct timespec *at);
/* The rest, after fsmeta_stat(): symlink target, xattrs of all namespaces that
 * we may read (ACLs and capabilities are xattrs), inode flags where `fd` >= 0
 * (the file, open for reading).  path is for messages.  An xattr that cannot
 * be read is -errno, logged; what could be read stands in m. */
int fsmeta_read(int dirfd, const char *name, int fd, const char *path,
    struct fsmeta *m);

/*
 * Give `name` in dirfd ("." is dirfd) the owner, mode, xattrs, times (each at
 * its turn; one undoes part of another otherwise) and inode flags of e.  What
 * is right already is left, so that ctime stays; xattrs that e does not have
 * are removed, but for labels of security modules.  -ESTALE when name is of
 * another type than e.  xattr holds the encoded xattrs; NULL leaves those of
 * the file alone.  Without root, owners that are not ours are left and
 * reported once by the caller's count; set-id bits are then not set.  Returns
 * 0, or the first failure after trying all; each is logged with path.
 */
int fsmeta_apply(int dirfd, const char *name, const char *path,
    const struct entry *e, const struct buf *xattr, unsigned *skipped_owners);

/* Take away the flags immutable and append-only.  1 when there was one, 0, or
 * -errno, not logged. */
int fsmeta_unlock(int dirfd, const char *name);

/* Make a special file, symlink or empty directory or regular file as e says,
 * with safe mode 0600/0700 until fsmeta_apply.  -EEXIST as usual. */
int fsmeta_make(int dirfd, const char *name, const struct entry *e);

#endif
