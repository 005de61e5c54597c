/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node ids: what the kernel calls the files of generations by.
 *
 *	node = number of the directory << 32 | place in it + 1
 *
 * The place is the entry's ordinal in its directory, which never changes, so
 * a node id says where its entry is, and files need no memory here: a walk
 * over a million of them costs nothing a file.  Directory number 0 is the
 * virtual part of the mount (fs/vtree.h).
 *
 * A directory has a node id like any file, by its place in its parent, and
 * besides a number, and a record of what must be known to find its entries,
 * while there is somebody who may come back with the node id of one of them.
 * That is what a record counts: entries of it that the kernel was told of and
 * has not forgotten, records of directories in it, and requests under way.  At
 * 0 it is freed.  When the kernel comes back to a directory without a record
 * (it may remember the directory longer than all entries of it), it gets a new
 * one, under a new number; no node id with the old one can be out there.
 *
 * Numbers go up to 2^31 - 1 and then start again with those that are free, in
 * a new epoch; the epoch makes the kernel's "generation" of a node, and
 * whoever keeps things by node id keeps them by epoch, too.  Thread-safe;
 * nothing blocks.
 */
#ifndef FIRN_FS_NODE_H
#define FIRN_FS_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

#define NODE_DIR_MAX	0x7fffffffu

struct dirs;
struct vgen;

static inline uint32_t
node_dir(uint64_t node)
{
	return (uint32_t)(node >> 32);
}

/* Of a node with node_dir() != 0. */
static inline uint64_t
node_ordinal(uint64_t node)
{
	return (node & UINT32_MAX) - 1;
}

/* Ordinals are below UINT32_MAX. */
static inline uint64_t
node_make(uint32_t dir, uint64_t ordinal)
{
	return (uint64_t)dir << 32 | (ordinal + 1);
}

struct dir_rec {
	uint64_t node;			/* its own */
	uint64_t ino;			/* its st_ino */
	uint8_t tree[BLOCK_ID_SIZE];
	const struct vgen *gen;		/* lives as long as the mount */
	uint32_t number;
	uint32_t epoch;
};

int dirs_new(struct dirs **out);
/* Whatever is still counted. */
void dirs_free(struct dirs *d);

/* The record of a number: 1 and a copy, or 0 when there is none. */
int dirs_get(struct dirs *d, uint32_t number, struct dir_rec *out);
/* The record of the directory of this node id, counted up by one: 1 and a
 * copy, or 0. */
int dirs_hold(struct dirs *d, uint64_t node, struct dir_rec *out);
/*
 * As dirs_hold, and makes the record from *rec (node, ino, tree, gen) when
 * there is none.  Its parent has a record, or is the virtual part.  Fills in
 * number and epoch.  -ENOMEM, or -ENFILE when all numbers are taken.
 */
int dirs_make(struct dirs *d, struct dir_rec *rec);

/* Count n up, or down, on a number that is counted. */
void dirs_count(struct dirs *d, uint32_t number, uint64_t n);
void dirs_drop(struct dirs *d, uint32_t number, uint64_t n);

/* Records there are, and numbers given out so far. */
void dirs_stats(struct dirs *d, size_t *records, uint64_t *made);

/* For tests: the next number to be tried. */
void dirs_set_next(struct dirs *d, uint32_t next);

#endif
