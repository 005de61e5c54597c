/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of fsmeta share. */
#ifndef FIRN_BACKUP_FSMETA_INTERNAL_H
#define FIRN_BACKUP_FSMETA_INTERNAL_H

#include <limits.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdint.h>

/* "/proc/self/fd/N/NAME", or a path from the root or working directory. */
#define FSMETA_PROC_MAX (PATH_MAX + 32)

/* Inode flags that a person sets, as against those that tell how a file
 * system happens to store the file. */
#define FSMETA_ATTRS ((uint32_t)(FS_COMPR_FL | FS_SYNC_FL | \
	FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | \
	FS_NOCOMP_FL | FS_JOURNAL_DATA_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | \
	FS_NOCOW_FL))

#endif
