/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New generations: a thread that looks for them.
 *
 * It looks when somebody has looked at the virtual part of the mount since,
 * and at most once in an interval, so an idle mount asks nothing of the store.
 * No request waits for it: who looks first after a long time sees what was
 * there, and a moment later what is.  The index of what is new is brought up
 * to date before the generation shows.
 */
#ifndef FIRN_FS_REFRESH_H
#define FIRN_FS_REFRESH_H

#include <stdint.h>

struct firnfs;
struct refresh;

/* Lists the generations a first time, and blocks for that; then starts the
 * thread unless interval, in seconds, is 0. */
int refresh_new(struct firnfs *fs, uint32_t interval, struct refresh **out);
/* Ends the thread; what it waits for in the store must have been cancelled. */
void refresh_free(struct refresh *r);

/* Somebody looked.  Any thread; returns at once. */
void refresh_wanted(struct refresh *r);

#endif
