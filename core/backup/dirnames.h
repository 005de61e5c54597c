/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one directory, in the order of a generation: that of their
 * bytes.
 */
#ifndef FIRN_BACKUP_DIRNAMES_H
#define FIRN_BACKUP_DIRNAMES_H

#include <stddef.h>

#include "backup/ahead.h"

struct buf;

struct dirnames {
	struct ahead_name *at;		/* behind them what they point to */
	size_t n;
	size_t bytes;			/* of memory that all of it takes */
};

/* All names but "." and "..", from where the directory's offset is, which moves.
 * -E2BIG when there are more than max; on failure (-errno, not logged) what could
 * be read is there.  Either way dirnames_release() takes it.  scratch is overwritten,
 * and has no ceiling. */
int dirnames_read(int fd, size_t max, struct buf *scratch,
    struct dirnames *out);
void dirnames_release(struct dirnames *d);
/* Leave only this name, or, with NULL, none. */
void dirnames_only(struct dirnames *d, const char *name);

#endif
