/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount from its beginning to its end: repository, session, threads.
 */
#ifndef FIRN_FS_MOUNT_H
#define FIRN_FS_MOUNT_H

struct options;

/*
 * Mount and serve until unmounted, or asked to end (fs/stop.h), which before the
 * mount is ready is -ECANCELED, not logged, or another failure.
 * `ready` is called once the mount answers; when it returns non-zero, the
 * mount ends.  Starts threads, so no fork(2) after this.  0 or -errno, logged;
 * -FIRN_ENOREPO and -FIRN_EWRONGKEY as repo_open().
 */
int mount_run(const struct options *o, int (*ready)(void *ctx), void *ctx);

#endif
