/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thaws that were asked for on this host: one file each, in the directory
 * "thaw" of the local state, so that others of this host see what is under way,
 * and what was killed goes on.
 *
 * A job says which packs are wanted and how; never how far it is, which the
 * store knows.  So it is written once for each change of what is wanted, and
 * when it is lost, no more is lost than this host's memory of the wish: asking
 * again finds what is in progress, and pays for none of it again.  A job ends
 * when its file is removed: by who finds all its packs readable, or by who
 * cancels it.
 *
 *	firn-thaw 1
 *	tier bulk
 *	days 2
 *	made 1764302400		(seconds since 1970)
 *	agreed 2500000		(nano of the currency: somebody agreed to that)
 *	spent 2400000		(requests that the store has accepted)
 *	budget 5000000		(or "none")
 *	what 788218a0b1ce2eea /etc	(for people)
 *	packs 1
 *	64 hex digits, a space, the size; a line each
 *
 * What is paid for is added in lines, until the file is written anew: before a
 * batch of requests goes out all that it may cost, which is on the disk by
 * then, and after an answer what that one did.  A line that is not whole does
 * not count: what it was to say of an answer stays in doubt, and what was not
 * noted was not sent.
 *
 *	asks 64 hex digits, a space, nano
 *	paid 64 hex digits, a space, nano; 0 when it was refused
 */
#ifndef FIRN_REPO_THAW_JOB_H
#define FIRN_REPO_THAW_JOB_H

#include "base/buf.h"
#include "repo/packset.h"
#include "repo/thaw_quote.h"

struct repo;

#define THAW_JOB_NAME	17	/* 16 hex digits, a NUL */
#define THAW_JOB_WHAT	1024
#define THAW_JOB_MAX	(256u << 20)	/* bytes of a file */

#define THAW_DOUBTS	1024	/* more requests than a batch has */

/* A request of which it is not known whether it was accepted: it is about to be
 * sent or under way, who sent it was killed, or its answer was lost. */
struct thaw_doubt {
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t nano;
};

struct thaw_job {
	char name[THAW_JOB_NAME];	/* "": it has no file */
	struct thaw_wish wish;
	time_t made;
	/* Nano of the currency: what somebody agreed to pay for it, what was
	 * spent, and the budget, UINT64_MAX none. */
	uint64_t agreed, spent, budget;
	struct thaw_doubt doubt[THAW_DOUBTS];	/* not in `spent` */
	unsigned ndoubts;
	char what[THAW_JOB_WHAT];
	struct packset packs;		/* noted are those PACK_NEEDED */
};

/* A new one, by a random name, made now; `what` is cut and cleaned. */
void thaw_job_init(struct thaw_job *j, const struct thaw_wish *wish,
    const char *what);
void thaw_job_release(struct thaw_job *j);

/* Pure.  What is no job is -FIRN_ECORRUPT. */
int thaw_job_encode(const struct thaw_job *j, struct buf *out);
int thaw_job_decode(const void *data, size_t len, struct thaw_job *out);

/* What is asked for, and then, what it cost: 0 when it was refused. */
void thaw_job_asks(struct thaw_job *j, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano);
void thaw_job_paid(struct thaw_job *j, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano);
/* After a look at those of a set that are PACK_NEEDED: what is in doubt of them
 * was spent, but for thaws of what is archived still.  All else stays so. */
void thaw_job_settle(struct thaw_job *j, const struct packset *seen);
/* At most: with all that is in doubt. */
uint64_t thaw_job_spent(const struct thaw_job *j);

/* Write or replace its file, which survives a crash.  Without local state it
 * loses its name, and is known to this process alone: 0. */
int thaw_job_save(struct repo *r, struct thaw_job *j);
/*
 * To add what is paid for to its file: a descriptor, to be closed, or -1 where
 * there is none.  One thread at a time.  A note that cannot be written whole is
 * not written.
 */
int thaw_job_open(struct repo *r, const struct thaw_job *j, int *fd);
int thaw_job_note(int fd, const char *word, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano);
/* That the last n of its doubts are about to be asked for; on the disk when it
 * returns. */
int thaw_job_note_asks(int fd, const struct thaw_job *j, unsigned n);
#define THAW_JOB_ASKS	"asks"
#define THAW_JOB_PAID	"paid"
/* 0 also when there was none. */
int thaw_job_remove(struct repo *r, const char *name);
/* 1 while its file is there, and of one that has none. */
int thaw_job_exists(struct repo *r, const struct thaw_job *j);
/* One by its name, as it is now: 0, or 1 when none can be read. */
int thaw_job_load(struct repo *r, const char *name, struct thaw_job *out);

/*
 * Each job, oldest name first; fn may remove it.  One that cannot be read is
 * put aside as NAME.bad with a warning, as it may count what was spent.  What
 * fn returns but 0 ends it and is returned.
 */
int thaw_job_each(struct repo *r, int (*fn)(void *ctx, struct thaw_job *j),
    void *ctx);

/* Note for packs in progress which tier and days jobs of this host asked for;
 * of several the fastest. */
int thaw_job_recall(struct repo *r, struct packset *s);

/*
 * One of this host's processes asks for thaws at a time, so that none asks for
 * what another has just asked for.  Blocks; -ECANCELED by *stop, which may be
 * NULL.  *fd is -1 where there is no local state.
 */
int thaw_lock(struct repo *r, const volatile int *stop, int *fd);
/* The same, but -EBUSY when it was not free for so long; 0 is no bound. */
int thaw_lock_within(struct repo *r, unsigned ms, const volatile int *stop,
    int *fd);
void thaw_unlock(int fd);

#endif
