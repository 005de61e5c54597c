/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From node ids to entries, attributes and paths.  May block on the store.
 */
#ifndef FIRN_FS_RESOLVE_H
#define FIRN_FS_RESOLVE_H

#include <sys/stat.h>

#include "fs/firnfs.h"

/*
 * The entry of a node outside of the virtual part, and the record of the
 * directory that it lies in.  0; -ESTALE when there is no such node.  pos is
 * to be released then.
 */
int resolve_entry(struct firnfs *fs, uint64_t node, struct tree_pos *pos,
    struct dir_rec *dir);

/*
 * The record of a directory of a generation (its root included), made where
 * there is none.  It is counted up by one: dirs_drop(rec->number, 1) after.
 * -ENOTDIR, -ESTALE.
 */
int resolve_dir(struct firnfs *fs, uint64_t node, struct dir_rec *rec);

/* What stat(2) says of an entry of this directory, and of a virtual node. */
void resolve_stat(const struct dir_rec *dir, const struct tree_pos *pos,
    struct stat *st);
void resolve_stat_virtual(struct firnfs *fs, const struct vnode_info *info,
    struct stat *st);
/* Of any node.  *is_virtual may be NULL. */
int resolve_stat_node(struct firnfs *fs, uint64_t node, struct stat *st,
    int *is_virtual);

/* Its path below the mount, for messages; a name that cannot be had is "?".
 * NUL-terminated. */
void resolve_path(struct firnfs *fs, uint64_t node, struct buf *out);

/* Its path in its generation, "/" for the root, NUL-terminated, and which that
 * is; NULL for what is in none. */
const struct vgen *resolve_inner(struct firnfs *fs, uint64_t node,
    struct buf *out);

/*
 * Note that a request failed: "cannot WHAT 'PATH': reason", once for a failure
 * that repeats.  Returns the errno for the kernel.  What is an answer (no such
 * entry, no data behind this offset) is not a failure and is not logged.
 */
int resolve_failed(struct firnfs *fs, uint64_t node, const char *what,
    int err);

#endif
