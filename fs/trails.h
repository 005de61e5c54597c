/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a walk will read next, opened before it asks.
 *
 * A walk over a tree (cp -r, tar, rsync) reads files in the order of their
 * places, and a directory's where it stands among them, which is the order of
 * the packs as well.  So a thread follows each walk in that order, some
 * megabytes ahead, reads the directories, and has the frames of small files
 * opened and their blocks compared: when the walk gets there it needs neither
 * the store nor the cost of opening.  Nothing is handed out here, and what fails
 * is left for who asks for it.
 *
 * Where a walk leaves that order it is followed anew from where it is; files
 * that are not small are where following stops until the walk has come to them.
 * None of these calls blocks but trails_free().
 */
#ifndef FIRN_FS_TRAILS_H
#define FIRN_FS_TRAILS_H

#include <stddef.h>
#include <stdint.h>

struct trails;
struct dir_rec;
struct firnfs;

/* bytes: how far at most, of contents. */
int trails_new(struct firnfs *fs, size_t bytes, struct trails **out);
/* No more is begun.  Before what it reads with ends. */
void trails_stop(struct trails *a);
void trails_free(struct trails *a);

/*
 * The file at this place is read: 1 when that is where a walk that is followed
 * was expected, 0 when not.
 */
int trails_step(struct trails *a, const struct dir_rec *dir, uint64_t place,
    uint64_t bytes);
/* A walk will not ask for the files up to this place, `bytes` in all. */
void trails_skip(struct trails *a, const struct dir_rec *dir, uint64_t place,
    uint64_t bytes);
/* A directory was listed to its end: 1 when its files are likely to be read
 * now, as those of the last one were.  Who only lists is not believed for
 * long. */
int trails_listed(struct trails *a, const struct dir_rec *dir);
/* That was a walk: follow it. */
void trails_begin(struct trails *a, const struct dir_rec *dir, uint64_t place);

/* Blocks opened ahead so far. */
uint64_t trails_count(const struct trails *a);

#endif
