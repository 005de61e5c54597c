/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a job is (repo/thaw_job.h).  That of a mount, or of a command, is its
 * own as long as that lives: it knows what is wanted meanwhile, so nobody else
 * may write the job, or remove it because all of it is readable.  Who removes it
 * to cancel it may.  When its owner is dead, a job is anyone's.
 *
 * The owner holds a lock on a file beside the job's, which the kernel lets go of
 * with the last of the process: no number that another process may get.
 */
#ifndef FIRN_REPO_THAW_OWNER_H
#define FIRN_REPO_THAW_OWNER_H

#include "repo/thaw_job.h"

/* Make a new one ours, before it is saved first.  *fd stays open for as long,
 * and is -1 where it has no file. */
int thaw_owner_take(struct repo *r, const struct thaw_job *j, int *fd);
/* Make it ours if its owner is dead: 1, or 0 when that lives.  It may have been
 * written or removed since it was read: thaw_job_load() it again. */
int thaw_owner_claim(struct repo *r, const char *name, int *fd);
/* It is nobody's any more; after its file was removed, or is to be kept. */
void thaw_owner_drop(struct repo *r, const char *name, int fd);
/* Does its owner live: 1, or 0, then also when it never had one.  To show it
 * only: who means to do something to the job claims it. */
int thaw_owner_lives(struct repo *r, const char *name);
/* Remove what the dead have left of jobs that are no more, or never were. */
void thaw_owner_sweep(struct repo *r);

/*
 * What the job of a mount says that it is for.  It counts what was spent, so
 * when it had a budget it is kept after all is readable, until the next mount at
 * the same place takes it over.
 */
void thaw_owner_what(const char *mountpoint, char what[THAW_JOB_WHAT]);
/* Does this job have such a count? */
int thaw_owner_counts(const struct thaw_job *j);

#endif
