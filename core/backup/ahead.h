/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ahead of the walker: what it will look at next comes into the kernel's caches
 * while it is busy with what is before.
 *
 * The walker goes one name at a time, since packs and directories are in that
 * order.  On files that no cache has it would wait for the disk at each.  So a
 * few threads look at the same names a little ahead of it, in the order of
 * their inodes, and ask the kernel for them: their inodes, the beginnings of
 * their contents where those will be read, and the directories below with their
 * files.  Nothing comes of it but caches, so a failure here is none, and what
 * changes meanwhile does not matter.
 *
 * Where nothing has to be waited for, this would only cost.  So it rests as
 * long as neither the walker's thread reads from a device nor a look at one of
 * many directories had to wait; that one look notices what a device does not
 * account for (NFS).
 *
 * One thread calls all of this but ahead_settle(), and ahead_waits().
 */
#ifndef FIRN_BACKUP_AHEAD_H
#define FIRN_BACKUP_AHEAD_H

#include <stddef.h>
#include <stdint.h>

struct ahead;
struct ahead_dir;
struct exclude;

/* Far enough that a device has work for all threads, near enough that the
 * kernel does not drop what it read before the walker comes. */
#define AHEAD_NAMES	64		/* of a directory */
#define AHEAD_DIRS	8		/* of them directories */
#define AHEAD_DIR_FILES	256		/* looked at of each of those */
#define AHEAD_DIR_BYTES	(8u << 20)	/* and asked for */
#define AHEAD_FILE	(256u << 10)	/* bytes of a file */

struct ahead_conf {
	const struct exclude *exclude;	/* NULL: none */
	int exclude_caches;
	/* Directories never looked at, by device and inode. */
	const uint64_t *skip_dev, *skip_ino;
	unsigned nskips;
};

/* One name of a directory, as the directory tells it. */
struct ahead_name {
	const char *name;
	uint64_t ino;
	unsigned char type;		/* DT_* of readdir(3) */
};

/* A count of what this thread has had to wait for, on this device, and whether it
 * had to while it looked at so many names. */
long ahead_waits(uint64_t dev);
int ahead_waited(uint64_t dev, long before, size_t names);

int ahead_new(const struct ahead_conf *conf, struct ahead **out);
/* All directories have been left.  NULL is fine. */
void ahead_free(struct ahead *a);

/* Where the walker begins. */
struct ahead_place {
	int fd;				/* the directory, which is duplicated */
	const char *path;		/* absolute; "" is the root's */
	uint64_t dev;
	/* In the order in which the walker will take them. */
	const struct ahead_name *name;
	size_t n;
	int contents;			/* are read, not only looked at */
	const struct ahead_dir *up;	/* of which it is name `index`; or NULL */
	size_t index;
};

/* The walker begins with a directory, whose names stay until ahead_leave().
 * NULL when there is nothing to do here; the other calls take that. */
struct ahead_dir *ahead_enter(struct ahead *a, const struct ahead_place *p);
/* The walker has come to name i. */
void ahead_at(struct ahead_dir *d, size_t i);
/* Waits for those who are at a file of it. */
void ahead_leave(struct ahead_dir *d);

/* Until all is done that may be done where the walker stands.  For tests. */
void ahead_settle(struct ahead *a);

#endif
