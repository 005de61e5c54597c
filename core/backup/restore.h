/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy a generation, or a path of one, out of the repository in bulk: what
 * `cp -a` from the mount gives.
 *
 * Hard links are made again, holes too; owners, modes, ACLs, xattrs and times
 * last, directories' after their contents.  Resumable: a file that is there
 * with the same size and mtime (and not partial: files are written under a
 * temporary name and renamed) is left, so running it again does the rest.
 * Nothing outside the target directory is ever written: names come from the
 * repository, symlinks in the target are not followed.
 */
#ifndef FIRN_BACKUP_RESTORE_H
#define FIRN_BACKUP_RESTORE_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"
#include "repo/tree_read.h"

enum { RESTORE_NOW, RESTORE_LATER, RESTORE_PAST };
enum restore_overwrite { RESTORE_IF_CHANGED, RESTORE_ALWAYS, RESTORE_NEVER };

struct restore_conf {
	enum restore_overwrite overwrite;
	int delete;		/* remove what the generation does not have */
	/*
	 * The source paths of the generation (its record has them).  With
	 * delete, nothing is removed from directories above them, of which
	 * the generation has only the way down.  None: from all.
	 */
	const char *const *sources;
	size_t nsources;
	/* Of the generation's root directory, or NULL. */
	const struct entry *root;
	int dry_run;
	int verify;		/* read each file back and compare */
	unsigned threads;	/* files written at once; 0: 4 */
	/*
	 * Asked of each regular file, in the order of the generation:
	 * RESTORE_NOW; RESTORE_LATER, it is left out and counted in `left`;
	 * RESTORE_PAST, it was dealt with in a run before this one; or
	 * -errno, logged, which ends the run.  `there`: what stands there
	 * would be left, and not be read, so its contents are not needed.
	 * NULL: all are restored now.  By the one thread that walks.
	 */
	int (*ready)(void *ctx, const struct entry *e, int there);
	/* A file that failed for being archived; one at a time.  Or NULL. */
	void (*cold)(void *ctx, const struct entry *e);
	/* Progress and reports, from any thread, may be NULL.  Paths are
	 * those below the target; e is NULL with "deleted". */
	void (*progress)(void *ctx, uint64_t files, uint64_t bytes);
	void (*file)(void *ctx, const char *path, const struct entry *e,
	    const char *what);	/* "restored", "unchanged", "deleted" */
	void *ctx;
	const volatile int *stop;	/* ends it with -ECANCELED when not 0 */
};

struct restore_result {
	uint64_t files, dirs, bytes;	/* restored */
	uint64_t unchanged;
	uint64_t failed;		/* each was logged; also files whose
					   contents are there and metadata
					   in part */
	uint64_t cold;			/* of failed: archived */
	uint64_t left;
	unsigned skipped_owners;
};

/*
 * Restore what lies at `path` ("" for the whole) of the generation with this
 * root into directory `target` (made when missing).  A directory's contents go
 * into target with their full source paths below it when path is "", and right
 * into target, with path's own attributes on it, when path is a directory; a
 * single file goes into target under its name.  For "" the root's attributes go
 * onto a target that this made, and onto one that was there only if "/" was
 * among the sources: else it is not what was backed up.
 *
 * Leftovers of a run that was killed (".firn-" and 8 digits, not in use by
 * another run) are removed from the directories that are restored.
 *
 * -ENOSPC, -EDQUOT and -EROFS of the target end the run, logged; -ECANCELED
 * by stop.  Running it again goes on from there.
 *
 * 0 also with files failed (see result); -errno when it could not be done;
 * -EINVAL for an empty target.
 */
int restore_run(struct tree *t, const uint8_t root[BLOCK_ID_SIZE],
    const char *path, const char *target, const struct restore_conf *conf,
    struct restore_result *result);

#endif
