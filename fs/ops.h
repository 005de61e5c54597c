/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel asks, and the answers.
 *
 * Generations do not change: entries and attributes of them, and the knowledge
 * that a name is not there, are the kernel's to keep for ever; so are contents
 * and listings.  OPEN and OPENDIR are answered ENOSYS, once: from then on the
 * kernel does both alone, for all files of the mount.  The virtual part is so
 * made that it works without them too: names there time out after a second,
 * texts at once, listings when the time of the directory changes, which the
 * kernel looks at because AUTO_INVAL_DATA is on (where attributes do not time
 * out, that costs nothing, so EXPLICIT_INVAL_DATA would not gain anything).
 *
 * Modes and ACLs are enforced by the kernel (default_permissions, POSIX_ACL).
 */
#ifndef FIRN_FS_OPS_H
#define FIRN_FS_OPS_H

#include <stddef.h>

struct fuse_lowlevel_ops;

/* The session's user data is a struct firnfs. */
const struct fuse_lowlevel_ops *ops_table(void);

#endif
