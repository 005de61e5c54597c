/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of packs in memory, with what is known of each: its size, its storage
 * class, whether it can be read.  A pack keeps its number, which counts from 0
 * in the order of adding, as long as the set lives.  About 80 bytes a pack.
 * Not thread-safe.
 */
#ifndef FIRN_REPO_PACKSET_H
#define FIRN_REPO_PACKSET_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "format/format.h"
#include "store/store.h"

#define PACKSET_CLASSES	32

enum pack_flag {
	PACK_SEEN	= 1u << 0,	/* the store has it, by the last look */
	PACK_NEEDED	= 1u << 1,	/* a plan counts on it */
	PACK_SOLE	= 1u << 2,	/* has a block that no other pack has */
	PACK_UNSURE	= 1u << 3,	/* the listing did not tell its state */
	PACK_ASKED	= 1u << 4,	/* its thaw was requested by us */
	PACK_KEEP	= 1u << 5,	/* files that were passed over need it */
	PACK_GONE	= 1u << 6,	/* a look at all there is missed it */
	PACK_HELD	= 1u << 7,	/* PACK_NEEDED, but not just now */
	PACK_LATER	= 1u << 8,	/* the same: in a send's later batch */
	PACK_LOOKED	= 1u << 9	/* the last look was for it, too */
};

struct pack_info {
	uint8_t id[OBJECT_ID_SIZE];
	uint32_t size;
	uint32_t flags;			/* enum pack_flag */
	enum store_state state;
	time_t expires;			/* of STORE_THAWED; 0 unknown */
	uint8_t class;			/* into class_name */
	/* Of a thaw in progress, as far as this host knows who asked for it:
	 * enum store_thaw_tier, STORE_THAW_TIERS unknown; and its days. */
	uint8_t tier;
	uint16_t days;
	uint32_t last;			/* that needs it, see thaw_plan_at() */
};

struct packset {
	struct pack_info *v;		/* n of them */
	size_t n, cap;
	uint32_t *slot;			/* number + 1, 0 empty */
	size_t nslots;			/* 0 or a power of two */
	char class_name[PACKSET_CLASSES][STORE_CLASS_SIZE];
	unsigned nclasses;
};

void packset_init(struct packset *s);
void packset_release(struct packset *s);
/* Add a pack, or find it: *number.  1 added, 0 was there, -ENOMEM. */
int packset_add(struct packset *s, const uint8_t id[OBJECT_ID_SIZE],
    uint32_t size, size_t *number);
/* NULL when it is not there; until the next pack is added. */
struct pack_info *packset_find(const struct packset *s,
    const uint8_t id[OBJECT_ID_SIZE]);
/* The number of a class; those past PACKSET_CLASSES share the last one. */
uint8_t packset_class(struct packset *s, const char *name);

/* By what is known of it, can it be read now?  0 also when nothing is. */
int pack_is_readable(const struct pack_info *p);

#endif
