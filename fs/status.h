/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text files of .firn/.
 *
 * The kernel opens no files here (fs/ops.c), so a text cannot belong to an
 * opener.  It is made when its attributes are asked for, which the kernel does
 * before each read since they time out at once, and kept for a second, so that
 * who reads a text in a few pieces reads one text; size and time go with it,
 * and a change of them makes the kernel drop the pages that it kept.  Blanks
 * behind counts keep the lines where they are when those grow, so that who is
 * slower than that still finds lines where he expects them, and their end.
 */
#ifndef FIRN_FS_STATUS_H
#define FIRN_FS_STATUS_H

#include <sys/stat.h>

#include "base/buf.h"
#include "format/format.h"
#include "fs/vtree.h"

struct firnfs;
struct status;

int status_new(struct status **out);
void status_free(struct status *s);

/* Fill in st_size and st_mtim for the text as it is now. */
void status_size(struct firnfs *fs, enum vnode_text text, struct stat *st);
/* Append [off, off + len) of it. */
int status_read(struct firnfs *fs, enum vnode_text text, uint64_t off,
    size_t len, struct buf *out);

/* For reader_conf.failed: remembers the block for the calling thread. */
void status_block_failed(void *fs, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], int err);
/* The block that failed this thread, "data block 0123456789abcdef", or "";
 * asking forgets it.  Valid until the thread's next call. */
const char *status_failed_block(void);
/* The id of the data block that failed this thread last: 1; 0 when that was
 * none of data, or was asked already. */
int status_failed_id(uint8_t id[BLOCK_ID_SIZE]);

/* What the refresh thread knows, for status. */
struct status_refresh {
	size_t generations;
	unsigned damaged;
	struct timespec last;		/* wall clock; 0 never */
	int err;			/* of the last try */
	struct timespec newest;
	uint64_t bytes, files;		/* of the newest generation */
};
void status_set_refresh(struct firnfs *fs, const struct status_refresh *r);
void status_get_refresh(struct firnfs *fs, struct status_refresh *r);

#endif
