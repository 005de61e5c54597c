/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers, by file: ops.c (nodes and INIT), ops_dir.c, ops_file.c. */
#ifndef FIRN_FS_OPS_INTERNAL_H
#define FIRN_FS_OPS_INTERNAL_H

#include "fs/firnfs.h"
#include "fs/lowlevel.h"
#include "fs/resolve.h"
#include "fs/watch.h"

/* Seconds that stand for ever; the kernel cuts them to what it can count. */
#define FOREVER		1e9
/* The virtual part. */
#define MOMENT		1.0

/* Reply to a request that was begun: the error, unless somebody did. */
void ops_reply_err(struct request *r, int error);

/* An entry of the virtual part, or of a directory of a generation, as LOOKUP
 * and READDIRPLUS hand it out. */
void ops_fill_virtual(struct firnfs *fs, const struct vnode_info *info,
    struct fuse_entry_param *out);
void ops_fill(const struct dir_rec *dir, const struct tree_pos *pos,
    struct fuse_entry_param *out);

void ops_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi);

void ops_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ops_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void ops_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t off,
    struct fuse_file_info *fi);
void ops_lseek(fuse_req_t req, fuse_ino_t node, off_t off, int whence,
    struct fuse_file_info *fi);
void ops_getxattr(fuse_req_t req, fuse_ino_t node, const char *name,
    size_t size);
void ops_ioctl(fuse_req_t req, fuse_ino_t node, unsigned cmd, void *arg,
    struct fuse_file_info *fi, unsigned flags, const void *in, size_t insize,
    size_t outsize);
void ops_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);

#endif
