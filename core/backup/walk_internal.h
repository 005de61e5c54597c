/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRN_BACKUP_WALK_INTERNAL_H
#define FIRN_BACKUP_WALK_INTERNAL_H

#include "backup/ahead.h"
#include "backup/dirnames.h"
#include "backup/fsmeta.h"
#include "backup/links.h"
#include "backup/scan.h"
#include "backup/walk.h"
#include "base/buf.h"

#define DEVS_MAX	4096
#define FDS_OPEN	256	/* directories kept open at once */
#define READ_SIZE	(1u << 20)

/* The fields of a stat that say whether a file is the one we knew. */
struct dir {
	struct dir *up;
	int fd;			/* -1: closed, to be opened again by ".." */
	uint64_t dev, ino;
	struct fsmeta meta;	/* of the directory itself */
	size_t pathlen;		/* of its path in walker->path */
	size_t namelen;
	char name[256];
	struct dirnames own;
	const struct ahead_name *name_at;	/* in own, or scan */
	struct scan_dir *scan;		/* what was found ahead; or NULL */
	size_t scan_at;			/* where in its names we are */
	struct scan_run *run;		/* of it, where i is; or NULL */
	int runs_ended;
	int announced;			/* to those who look ahead */
	size_t n, i;
	struct ahead_dir *ahead;	/* or NULL */
	const struct want *want;	/* NULL: all of it */
	int has_parent;
	uint8_t parent[BLOCK_ID_SIZE];
	struct tree_pos pos;	/* in the parent; merges with names */
	uint64_t path_dev;	/* of the wanted path, for one_file_system */
	int counted;		/* among the errors */
	unsigned depth;
};

struct walker {
	const struct walk_conf *wc;
	const struct backup_conf *conf;
	const struct want *want;	/* the root's */
	struct pipe *pipe;
	struct dir *top;
	struct buf path;	/* absolute, NUL behind */
	struct buf names;	/* for dirnames_read() */
	struct fsmeta meta;	/* of the entry at hand */
	enum scan_state state;	/* where that came from */
	int counted;		/* it is among the errors */
	struct links *links;
	struct ahead *ahead;
	uint64_t next_link;
	uint64_t dev[DEVS_MAX];	/* file systems in the order they were met */
	uint32_t ndevs;
	uint8_t *piece;		/* what the chunker has not cut yet */
	size_t piece_cap;
	uint64_t skip_dev[2], skip_ino[2];
	unsigned nskips;
	int looked, looked_firnfs;	/* the last answer of walk_is_firnfs() */
	uint64_t looked_dev;
	uint64_t tick;
};

/* walk.c */
/* Log that the entry at hand cannot be had whole; count and note it, once
 * however much there is to say of it.  0, since the walk goes on. */
int walk_error(struct walker *w, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for something that is not in the generation because of it: the
 * directory on top is marked as not complete. */
int walk_left_out(struct walker *w, int err, const char *what);
void walk_item(struct walker *w, const char *what);
void walk_progress(struct walker *w, int force);
int walk_stopped(const struct walker *w);
const char *walk_path(struct walker *w);

/* walk_dir.c */
int dir_push(struct walker *w, struct dir *up, const char *name,
    const struct want *want, const struct entry *parent);
int dir_pop(struct walker *w);
/* The entry of the parent generation of this name in d, or NULL. */
int dir_parent_entry(struct walker *w, struct dir *d, const char *name,
    const struct entry **out);
/* w->meta of name i of d, by whoever looked. */
int dir_look(struct walker *w, struct dir *d, size_t i);
/* What is in d will be looked at, from d->i on: where the scanner does not do it
 * already.  w->path is d's. */
void dir_announce(struct walker *w, struct dir *d);
/* Does it hold a CACHEDIR.TAG with the signature of the specification at
 * https://bford.info/cachedir/ ? */
int walk_is_cachedir(int fd);
/* Take the top off without ending it, after a failure. */
void dir_drop(struct walker *w);

/* walk_mount.c: is this device a mount of firnfs, of whichever repository? */
int walk_is_firnfs(struct walker *w, uint64_t dev);

/* walk_file.c */
/* For reading, no symlink followed, and without a trace where that may be; with
 * further flags of open(2).  A descriptor or -errno. */
int walk_open(int dirfd, const char *name, int flags);
int walk_regular(struct walker *w, struct dir *d, const char *name,
    const struct entry *parent);
/* May w->meta's file be taken over from this entry of the parent? */
int walk_unchanged(const struct walker *w, const struct entry *parent);
/* ... and has the store all blocks that the entry names? */
int walk_has_blocks(struct walker *w, const struct entry *parent);
int walk_take_over(struct walker *w, const struct entry *parent);
int walk_link(struct walker *w, const char *name, int *err);

/* walk_owner.c: note the names of owner and group in the record. */
int owner_note(struct genrec *rec, uint32_t uid, uint32_t gid);

#endif
