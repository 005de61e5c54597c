/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place that says which API of libfuse this is written for: 3.5, that
 * Debian 12 (3.14) and Ubuntu 22.04 (3.10) both have.
 */
#ifndef FIRN_FS_LOWLEVEL_H
#define FIRN_FS_LOWLEVEL_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#endif
