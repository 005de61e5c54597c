/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a generation: walk the sources beside the parent generation, take
 * over what has not changed, read, cut and store what has, build the tree
 * bottom up, and write the record last.
 *
 * Threads: the caller walks and reads; a pool hashes; one thread takes
 * everything in walk order, stores blocks and builds directories; the writer
 * has its own (repo/writer.h).  Memory does not grow with the number of files
 * or their size; it does with the names of the largest single directory.
 */
#ifndef FIRN_BACKUP_BACKUP_H
#define FIRN_BACKUP_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "format/genrec.h"

struct repo;
struct exclude;

struct backup_progress {
	uint64_t files, dirs, bytes;	/* seen */
	uint64_t unchanged;		/* files taken over unread */
	uint64_t bytes_read;
	uint64_t errors;		/* files and directories that could not
					   be read whole, each once */
	struct gen_added added;
	const char *path;		/* now at; valid during the call */
};

struct backup_start;

struct backup_conf {
	struct backup_start *start;	/* of backup_begin(), or NULL */
	const char *const *paths;	/* as the user gave them */
	size_t npaths;
	const char *host;		/* genrec_name_ok() */
	const char *series;
	const char *const *tags;
	size_t ntags;
	const struct exclude *exclude;	/* NULL: nothing */
	int exclude_caches;
	int one_file_system;
	int dry_run;
	int force;			/* read all, believe no parent */
	int level;			/* zstd */
	unsigned threads, uploads;	/* 0: defaults */
	const char *stdin_name;		/* not NULL: one file from a stream */
	int stdin_fd;
	/* While the stream is read: now and then when nothing comes
	 * (silent), and when something does.  May be NULL. */
	void (*stdin_look)(void *ctx, int silent);
	/* After the stream ended: 0, or -errno to make no generation. */
	int (*stdin_done)(void *ctx);
	const char *program;
	void (*progress)(void *ctx, const struct backup_progress *p);
	/* Each entry as it is decided, for --dry-run and -v: what is "new",
	 * "changed", "unchanged" or "excluded".  May be NULL. */
	void (*item)(void *ctx, const char *path, const char *what);
	void *ctx;
	const volatile int *stop;	/* ends it with -ECANCELED when not 0 */
};

struct backup_result {
	struct backup_progress p;
	int has_generation;
	char name[256];			/* time in name form of the record */
	uint8_t id[GEN_ID_SIZE];
	int has_parent;
	uint8_t parent[GEN_ID_SIZE];
};

/*
 * Begin to look at the sources, in a thread, while there is no repository yet
 * (finding its key takes a while).  Says nothing: what is wrong with the paths,
 * backup_run() says.  conf is as for that, and stays until backup_forget().
 */
int backup_begin(const struct backup_conf *conf, struct backup_start **out);
/* Ends it.  NULL is fine. */
void backup_forget(struct backup_start *s);

/*
 * 0 with a generation (not with dry_run), also when some source files could
 * not be read: result.p.errors counts those, each was logged.  -ENOENT when
 * none of the paths exists.  Otherwise nothing was made, and what was stored
 * already is found again by the next run.
 */
int backup_run(struct repo *repo, const struct backup_conf *conf,
    struct backup_result *result);

#endif
