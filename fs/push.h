/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that a walk will read next, put into the kernel's page cache
 * before it asks for them (FUSE_NOTIFY_STORE): a file that is there costs it no
 * round trip.
 *
 * A walk is known by three files of a directory read in the order of their
 * places there, and from then on by fs/trails.h: where it is expected next, the
 * first files of a directory are pushed with the end of its list.  Only contents
 * that are in memory are pushed, so nothing is fetched that is not wanted
 * otherwise.
 *
 * The kernel makes whoever pushes a page wait for one who is just reading it,
 * whom another thread has to answer, and it does that deaf to signals: were
 * all others gone, killed or ended, the mount would hang until it is unmounted
 * by force.  So files are pushed before the read of the one before them, or the
 * end of the list, is answered, when who walks cannot be reading them; by one
 * thread at a time; none that another reads just now; and not any more once the
 * mount ends.
 * While somebody waits for archived data, which may be for hours, nothing is
 * pushed.
 */
#ifndef FIRN_FS_PUSH_H
#define FIRN_FS_PUSH_H

#include <stdint.h>

struct dir_rec;
struct firnfs;
struct push;

#define PUSH_FILE_MAX	(128u << 10)	/* bytes of a file */

int push_new(struct push **out);
void push_free(struct push *p);

/* A file is being read, until push_end(). */
void push_begin(struct push *p, uint64_t node);
void push_end(struct push *p, uint64_t node);
/* This file is about to be answered from its beginning; whole: to its end. */
void push_after(struct firnfs *fs, uint64_t node, uint64_t size, int whole);
/* The end of the list of a directory, which the caller holds, is about to be
 * told. */
void push_listed(struct firnfs *fs, const struct dir_rec *dir);
/* No more; waits for who is at it.  Before the threads that answer end. */
void push_stop(struct push *p);

/* Files pushed so far. */
uint64_t push_count(const struct push *p);

#endif
