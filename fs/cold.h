/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading archived data through the mount, as cold= says; see
 * repo/coldmode.h for the ways.
 *
 * One thread of the mount asks for thaws and follows them, for all readers
 * together: what they want meanwhile is planned and asked for at once, and
 * each look is one listing.  It sleeps while nothing is wanted.
 *
 * Who waits has no thread.  The request is parked with the packs that would do
 * for the block that it failed on, and is answered, by a small pool, when one
 * of them becomes readable; so as many can wait as the kernel lets, and others
 * are served beside them.  A parked request ends as well when its waiter is
 * killed (fs/watch.h), when the mode changes, when nobody can thaw its pack,
 * and with the mount.
 *
 * A file's packs are asked for together when it is first read: one after the
 * other would take a night each.
 *
 * What is wanted is a job of this host (repo/thaw_job.h), owned by the mount
 * (repo/thaw_owner.h), so what a mount had asked for that was killed is followed
 * when it is there again, and `firn thaw` shows and cancels it.  A mount pays for
 * nothing that an earlier one wanted, but counts on what that had spent.
 */
#ifndef FIRN_FS_COLD_H
#define FIRN_FS_COLD_H

#include "fs/firnfs.h"
#include "repo/coldmode.h"

struct request;
struct cold;

/* Starts the thread. */
int cold_new(struct firnfs *fs, struct cold **out);
/* Ends the threads and answers who is parked; nobody is parked from then on.
 * The store must have been cancelled. */
void cold_stop(struct cold *c);
/* Nobody may be in a call. */
void cold_free(struct cold *c);

/* Does somebody wait, or is about to be answered?  The kernel has locked the
 * pages that are read then. */
int cold_is_waited_for(struct cold *c);

enum cold_mode cold_mode(struct cold *c);
void cold_set_mode(struct cold *c, enum cold_mode mode);

/*
 * A read failed with -FIRN_ECOLD, in this thread.  Asks for a thaw if the mode
 * says so.  1: the request was taken over, and will be answered; r must not be
 * touched.  0: answer it with EAGAIN.
 */
int cold_read(struct firnfs *fs, struct request *r, uint64_t node,
    size_t size, uint64_t off);

/* What was done about it, for the message of a read that failed. */
void cold_advice(struct firnfs *fs, uint64_t node, struct buf *out);

/*
 * The attributes user.firn.tier, .cold-bytes and .thaw-quote of a file, or a
 * directory with all below it: 1 and the value appended, 0 when the name is
 * none of these, -errno.  Asks the store, unless it was asked just now
 * (fs/cold_known.h).
 */
int cold_xattr(struct firnfs *fs, uint64_t node, const char *name,
    struct buf *out);

/* The text of .firn/thaw. */
void cold_text(struct firnfs *fs, struct buf *out);

#endif
