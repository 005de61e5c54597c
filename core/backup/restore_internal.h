/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of restore share.
 *
 * restore.c	the run and the walk: one thread, the walker
 * restore_dir.c	directories: enter, leave, finish
 * restore_file.c	everything else: jobs, run by a pool
 * restore_write.c	contents of regular files
 * restore_link.c	hard links
 * restore_clean.c	what a directory should not have
 * restore_remove.c	removing what is in the way
 *
 * A directory is alive while the walker is in it or a job or directory below
 * it is; whoever lets it go last gives it its metadata and closes it.  Its
 * descriptor may be closed meanwhile only while it has no jobs, and only by
 * the walker, which opens it again before it goes on there.  So the number of
 * open directories is bounded, however deep the tree.
 *
 * There is one lock, never held across a system call on the target or a read
 * from the repository; and one more for immutable files, which are rare.
 */
#ifndef FIRN_BACKUP_RESTORE_INTERNAL_H
#define FIRN_BACKUP_RESTORE_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "backup/restore.h"
#include "base/pool.h"
#include "format/tree.h"
#include "repo/filemap.h"
#include "repo/tree_read.h"

/* Directories open at once, unless RLIMIT_NOFILE allows only fewer. */
#define RESTORE_DIRS_OPEN	400
/* Hard links that wait for their first one to be written. */
#define RESTORE_WAITING_MAX	4096
/* Bytes read and written at once. */
#define RESTORE_CHUNK		(1u << 20)
/* ".firn-" and 8 digits. */
#define TEMP_NAME_SIZE		15

/* A copy of an entry, its pointers into itself. */
struct item {
	struct entry e;
	char *name;		/* with its NUL */
	char bytes[];
};
int restore_item_new(const struct entry *e, struct item **out);

struct rdir {
	struct rdir *parent;	/* alive as long as this is */
	struct item *item;	/* NULL at the top, when it has no entry */
	int bare;		/* its metadata is not to be touched */
	char *top;		/* at the top, its path; else NULL */
	int fd;			/* -1: shut for now, lost, or a dry run's */
	int existed;		/* before this run */
	int shut;		/* fd was closed, to be opened again */
	int lost;		/* moved away under us */
	dev_t dev;
	ino_t ino;
	int has_tree;
	uint8_t id[BLOCK_ID_SIZE];
	uint64_t next;		/* ordinal to go on from; the walker's */
	unsigned refs;		/* protected by restore->lock */
	unsigned jobs;		/* of refs; protected by restore->lock */
};

struct restore_job {
	struct restore *r;
	struct rdir *dir;
	struct item *item;
	struct restore_job *next;	/* waiting links; protected by
					   restore->lock until they run */
	int follows;		/* its group's first is there, at where */
	uint64_t where;
};

struct link_slot {
	uint64_t ino;
	uint32_t fsno;
	uint32_t state;		/* LINK_USED, LINK_BUSY, names left */
	uint64_t where;		/* busy: the struct restore_job that writes the
				   first; else offset of its path in the
				   spool */
};

/* Link groups of which not all names have been seen. */
struct restore_links {
	struct link_slot *v;	/* linear probing; a power of two */
	size_t n, cap;
	int fd;			/* the spool of paths: nameless, in the
				   target; -1 until needed */
	uint64_t end;		/* of the spool */
};

struct restore {
	struct tree *tree;
	const struct restore_conf *conf;
	const char *path;	/* in the generation, of the top; no '/' at
				   either end */
	int top_fd;		/* of the target; -1 in a dry run without */
	size_t top_len;		/* bytes of the target's path */
	struct pool *pool;
	struct rdir **stack;	/* the walker's way down */
	size_t depth, cap;
	size_t shut;		/* of stack, closed from the top on */
	unsigned open_max;
	uint32_t temp;		/* next temporary name; atomic */

	/* Held, before `lock` and across system calls, while an immutable
	 * file gets another name, which takes its flag off and on again. */
	pthread_mutex_t flags_lock;
	pthread_mutex_t lock;
	pthread_cond_t change;	/* a job or directory is done */
	/* all below protected by lock */
	struct restore_result *result;
	uint64_t written;	/* bytes, for progress */
	unsigned open_dirs;
	unsigned jobs;
	unsigned waiting;
	int fatal;		/* ends the run: 0 or -errno, logged */
	struct restore_links links;
};

/* 1 when the run is to end. */
int restore_stopping(struct restore *r);
/* One more failure; it was logged. */
void restore_failed(struct restore *r);
/*
 * Something in the target failed: log it.  One that will fail for everything
 * that follows (no room) ends the run.  Returns err.
 */
int restore_local_err(struct restore *r, int err, const char *what,
    const char *path);
void restore_report(struct restore *r, const char *path,
    const struct entry *e, const char *what);
/* Path of a name in d (NULL: of d itself) with the target's in front, malloc'd;
 * for messages and for links, not for system calls: it may be too long. */
char *restore_path(const struct rdir *d, const char *name);
void restore_temp_name(struct restore *r, char out[TEMP_NAME_SIZE]);
int restore_is_temp(const char *name);
/* Metadata on what stands at name; counts failures and skipped owners. */
void restore_meta(struct restore *r, int dirfd, const char *name,
    const char *path, const struct entry *e);

/* Begin the stack with the target, open as fd (or -1), which this takes; e
 * and id may be NULL.  bare: e is not for its metadata. */
int rdir_top(struct restore *r, const char *target, int fd, int existed,
    int bare, const struct entry *e, const uint8_t *id);
/* Make or open a subdirectory of the stack's last, which then is the stack's
 * last.  Failures are logged and counted, and it is not entered. */
void rdir_enter(struct restore *r, const struct entry *e);
/* Take out what is not in the generation, and leftovers.  restore_clean.c */
void restore_clean(struct restore *r, struct rdir *d);
/* The walker is done with the last of the stack; opens the one above it again
 * if it was shut. */
void rdir_leave(struct restore *r);
/* A job of d is done. */
void rdir_unref_job(struct restore *r, struct rdir *d);

/* Takes over nothing: e is copied. */
void restore_job_submit(struct restore *r, struct rdir *dir,
    const struct entry *e);
void restore_job_done(struct restore_job *j);
enum outcome {
	OUTCOME_RESTORED = 0,
	OUTCOME_UNCHANGED = 1,
	OUTCOME_KEPT = 2,	/* something else is there and was to stay */
	OUTCOME_COPY = 3	/* no link can be made; only within
				   restore_link.c */
};
/* 1 when what stands at the name would be left, and not be read. */
int restore_file_there(struct restore *r, const struct rdir *d,
    const struct entry *e);
/* Put the file itself there.  enum outcome, or -errno, logged. */
int restore_file_place(struct restore_job *j, const char *path);
void restore_file_outcome(struct restore_job *j, const char *path, int outcome,
    uint64_t bytes);
/* Rename a finished temporary over name; removes it on failure. */
int restore_file_rename(struct restore_job *j, const char *temp,
    const char *path);

/* Write the contents under the name temp.  -errno, logged; temp is gone
 * then. */
int restore_write(struct restore_job *j, const char *temp, const char *path);
/* 1 when what stands at name has these contents, 0, or -errno, logged. */
int restore_compare(struct restore_job *j, const char *name, const char *path);

/* Needs r->top_fd. */
void restore_links_init(struct restore *r);
void restore_links_release(struct restore *r);
/* A file with ENTRY_LINKS: write it, wait for the first, or link it.  1 when
 * the job waits and is no longer the caller's. */
int restore_link_run(struct restore_job *j, const char *path);
/* For a dry run: 1 when a name of the group has been seen before. */
int restore_links_seen(struct restore *r, const struct entry *e);

/*
 * Remove name and all below it.  Follows no symlink and crosses into no other
 * file system.  -errno, logged with path.
 */
int restore_remove(struct restore *r, int dirfd, const char *name,
    const char *path);

#endif
