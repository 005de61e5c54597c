/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many packs to have in upload at once.
 *
 * More connections help where each is slow by itself: a long way, a window
 * that loss keeps small, a server that limits each.  They cost memory, and where
 * the line or the server is full they help nothing.  So while somebody waits to
 * upload one more is tried, and kept when the bytes stored in a second have
 * become more by a good part of what it could bring.  Now and then one more and
 * one less are tried again, since lines change and luck misleads; after twice as
 * long when the last try told nothing new.  A server that wants fewer requests
 * halves it.
 *
 * Arithmetic only: the caller says what has happened and when, so a test can play
 * any store.  Not thread-safe.
 */
#ifndef FIRN_REPO_WRITER_PACE_H
#define FIRN_REPO_WRITER_PACE_H

#include <stdint.h>

struct pace {
	unsigned first, most;
	unsigned limit;		/* packs at once, now: 1 to most */
	int trying;		/* one more: 1; one less: -1; neither: 0 */
	double before;		/* bytes/s before this try */
	int less_next;		/* the next try is of one less */
	unsigned hold;		/* spans until the next try */
	unsigned hold_next;	/* and after that, if it tells nothing new */
	/* The span that is being measured. */
	unsigned skip;		/* ends yet of what began before it */
	unsigned ends;		/* that it has seen */
	int64_t begin;		/* us; time of the end before its first */
	uint64_t bytes;
	uint64_t throttled;	/* as last told */
	unsigned deaf;		/* ends yet of what began before the last cut */
};

/* Begins with `first`, and goes below that only for a server that wants fewer.
 * throttled: how often it has said so up to now, for whatever else. */
void pace_init(struct pace *p, unsigned first, unsigned most,
    uint64_t throttled);

/*
 * An upload of so many bytes has ended at `now`, microseconds of any clock that
 * only goes on.  wanted: somebody waited for it to end, so another could have
 * been on its way.  throttled: how often by now, of all requests, the server
 * has said that it wants fewer.
 */
void pace_end(struct pace *p, int64_t now, uint64_t bytes, int wanted,
    uint64_t throttled);

#endif
