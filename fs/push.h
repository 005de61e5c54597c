/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that a walk will read next, put into the kernel's page cache
 * before it asks for them (FUSE_NOTIFY_STORE): a file that is there costs it no
 * round trip.
 *
 * A walk is known by three small files of a directory read in the order of
 * their places there.  Only what is in memory is pushed, so nothing is fetched,
 * and no disk read, that is not wanted otherwise; and only by one thread at a
 * time: the kernel makes it wait for a page that somebody is just reading, whom
 * another thread has to answer.
 */
#ifndef FIRN_FS_PUSH_H
#define FIRN_FS_PUSH_H

#include <stdint.h>

struct firnfs;
struct push;

#define PUSH_FILE_MAX	(128u << 10)	/* bytes of a file */

int push_new(struct push **out);
void push_free(struct push *p);

/* This file was read from its beginning to its end, and the answer is sent. */
void push_after(struct firnfs *fs, uint64_t node);

/* Files pushed so far. */
uint64_t push_count(const struct push *p);

#endif
