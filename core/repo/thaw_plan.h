/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packs must be readable so that files can be read: the fewest, as far as
 * that is known.
 *
 * First all that is wanted is added, which notes the packs that its blocks lie
 * in; blocks that the disk cache holds whole need none.  Then the states of the
 * packs are looked up (repo/thaw_look.h), and then packs are chosen.  A block
 * that lies in one pack alone decides for that pack.  One that hosts stored in
 * several packs at the same time is taken from a pack that is needed anyway,
 * else from one that is readable, else from one that is being thawed; for what
 * is left then, the pack is taken that has most of these blocks, and so on
 * until none is left: the greedy cover of sets, which is at most ln(n) times
 * the least (Chvatal, "A Greedy Heuristic for the Set-Covering Problem", 1979).
 *
 * Memory: for each pack, and for each combination of packs that have blocks in
 * common; nothing for a block.  Not thread-safe.
 */
#ifndef FIRN_REPO_THAW_PLAN_H
#define FIRN_REPO_THAW_PLAN_H

#include "repo/packset.h"
#include "repo/tree_read.h"

struct repo;
struct thaw_plan;

/* Loads the index where that is due.  *stop not 0 ends an add with
 * -ECANCELED; may be NULL. */
int thaw_plan_new(struct repo *r, const volatile int *stop,
    struct thaw_plan **out);
void thaw_plan_free(struct thaw_plan *p);

/* Want the contents of all that is at a path below a directory ("": all of it),
 * or of an entry.  As block_walk_path() (repo/block_walk.h). */
int thaw_plan_path(struct thaw_plan *p, struct tree *t,
    const uint8_t root[BLOCK_ID_SIZE], const char *path);
int thaw_plan_entry(struct thaw_plan *p, struct tree *t,
    const struct entry *e);
/* Want one block. */
int thaw_plan_block(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE],
    uint64_t len);

/*
 * Files are numbered by whoever plans them: what is added or looked up from now
 * on is of this one.  The highest is kept as `last` of all packs that have a
 * block of it, so it is known when one is needed no more.
 */
void thaw_plan_at(struct thaw_plan *p, uint32_t file);

/* What a plan knows of where a block lies, by the last look. */
enum thaw_block {
	THAW_BLOCK_READY	= 1u << 0,	/* in a pack that can be read,
						   the cache, or nowhere */
	THAW_BLOCK_NEW		= 1u << 1	/* none of its packs is needed:
						   the cache had it */
};
/* A sum of these, or -errno.  With `keep`, its packs become PACK_KEEP. */
int thaw_plan_where(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE],
    int keep);
/* Want one more block after the choice, of which nothing else changes: the best
 * of its packs, by the last look, becomes PACK_NEEDED and PACK_KEEP. */
int thaw_plan_more(struct thaw_plan *p, const uint8_t id[BLOCK_ID_SIZE]);

/* Those that come into question; the look goes here. */
struct packset *thaw_plan_packs(struct thaw_plan *p);
/* Sets PACK_NEEDED on those that are chosen, and takes it from all others; may
 * be called again after another look. */
int thaw_plan_choose(struct thaw_plan *p);

struct thaw_plan_totals {
	uint64_t blocks, bytes;		/* wanted; of blocks in several files
					   as often */
	uint64_t cached;		/* of these bytes, in the disk cache */
	uint64_t lost;			/* blocks that no pack has */
	unsigned failed;		/* files and directories, logged */
};
void thaw_plan_totals(const struct thaw_plan *p, struct thaw_plan_totals *out);

#endif
