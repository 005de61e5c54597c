/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In front of the walker: a thread that lists directories and asks for the
 * attributes of their names, in the walker's order, so that the walker has only
 * to compare.  It can begin before there is a key or a parent generation.
 *
 * What it hands over is what the file system said a little earlier, and only
 * that: what it could not find out, the walker finds out itself, with the errors
 * that there are, so a failure here is none.  It stays on the file system of each
 * path, leaves out what the patterns do, and may look at more or at less than the
 * walker wants: each directory that will come is announced beside its name, and
 * what is not asked for is dropped.
 *
 * Where the device has to be waited for, it ends, since one thread that waits is
 * no help; there ahead.h is.
 *
 * Memory: `memory` bytes of what waits, what the walker holds of the directories
 * that it is in, and one directory.  One with many names is only listed once
 * nothing waits, so that there is one such in memory.
 */
#ifndef FIRN_BACKUP_SCAN_H
#define FIRN_BACKUP_SCAN_H

#include "backup/dirnames.h"
#include "backup/fsmeta.h"

struct exclude;
struct scan;
struct want;

#define SCAN_MEMORY	(16u << 20)
#define SCAN_RUN	256		/* names asked for at once */
#define SCAN_MANY	16384		/* names of a large directory */

enum scan_state {
	SCAN_UNSEEN,		/* nothing is known of it */
	SCAN_SEEN,
	SCAN_EXCLUDED,		/* seen; a pattern leaves it out */
	SCAN_BELOW		/* seen; a directory, which will come */
};

struct scan_name {
	struct fsmeta_look look;
	enum scan_state state;
};

struct scan_dir {
	struct dirnames names;	/* constant */
	uint64_t dev, ino;	/* of what was listed */
	int64_t ctime;		/* before it was */
	uint32_t ctime_ns;
	int settled;		/* a change since would show in that */
	int cachedir;		/* only its tag is in names */
	/* Private. */
	const struct want *root;
	struct scan_dir *up;
	size_t index;
	int failed;
	_Atomic unsigned refs;
};

/* Names [from, from + n) of a directory. */
struct scan_run {
	struct scan_dir *dir;
	size_t from, n;
	struct scan_name name[];
};

struct scan_conf {
	const struct exclude *exclude;	/* NULL: none */
	int exclude_caches;
	size_t memory;			/* 0: SCAN_MEMORY */
	const volatile int *stop;	/* ends it when not 0; may be NULL */
};

/* Begins.  What conf and want point to stays until scan_free(). */
int scan_new(const struct scan_conf *conf, const struct want *want,
    struct scan **out);
/* Ends the thread.  All that it gave has been released.  NULL is fine. */
void scan_free(struct scan *s);

/* Until it has ended, which must not take more memory than it has.  For tests,
 * before the walker asks. */
void scan_settle(struct scan *s);

/*
 * The walker's, one thread, in its order.  They wait for the scanner; NULL where
 * it knows nothing.  s may be NULL.
 */
/* A path that is wanted whole. */
struct scan_dir *scan_root(struct scan *s, const struct want *w);
/* Name `index` of up, which is SCAN_BELOW there. */
struct scan_dir *scan_below(struct scan *s, struct scan_dir *up, size_t index);
/* The run that begins with name `from`: the first, or what follows one.  For the
 * caller to free(). */
struct scan_run *scan_run(struct scan *s, struct scan_dir *d, size_t from);
/* NULL is fine. */
void scan_release(struct scan_dir *d);

#endif
