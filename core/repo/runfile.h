/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in this host's local state that belong to a process while it runs:
 * "PREFIX.XXXXXX", locked with flock(2) as long as their owner lives.  So what
 * a killed process left is told from what is in use without process ids, which
 * are used again and mean nothing in another container.
 */
#ifndef FIRN_REPO_RUNFILE_H
#define FIRN_REPO_RUNFILE_H

#include <stddef.h>

struct runfile {
	int fd;			/* open for reading and writing; -1: none */
	char *path;
};
#define RUNFILE_NONE { -1, NULL }

/* Make one; the path survives a crash of the machine. */
int runfile_new(const char *dir, const char *prefix, struct runfile *out);
/* Give it its name for good: it is in no sweep any more. */
int runfile_rename(struct runfile *f, const char *path);
/* Remove it unless it was renamed, and let it go.  Also one that is none. */
void runfile_remove(struct runfile *f);
/* Let go and leave it, as if its owner had died. */
void runfile_leave(struct runfile *f);

/*
 * Remove the files whose names begin with prefix and have a '.' and something
 * behind it, and that nobody holds.  *n counts them.
 */
int runfile_sweep(const char *dir, const char *prefix, unsigned *n);

#endif
