/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocked Bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and
 * Space-Efficient Bloom Filters", 2007): an id sets six bits of one block of
 * 64 bytes, so a look-up touches one cache line, or one page on disk.  At ten
 * bits an entry one in eighty look-ups of an absent id passes.
 *
 * Ids are outputs of a keyed hash; mixing only protects speed from others.
 */
#include "index/index_internal.h"

#define FILTER_BITS	10	/* an entry */
#define FILTER_PROBES	6

uint32_t
filter_blocks(size_t n)
{
	return (uint32_t)((n * FILTER_BITS + 8 * FILTER_BLOCK - 1) /
	    (8 * FILTER_BLOCK));
}

static uint64_t
id_mix(const uint8_t id[BLOCK_ID_SHORT])
{
	uint64_t h = le64_load(id) ^ (le64_load(id + 8) * 0x9fb21c651e98df25u);

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 29;
}

/* Which block, from bits that filter_test does not use twice. */
static uint32_t
id_block(uint64_t h, uint32_t blocks)
{
	return (uint32_t)(((h * 0x2545f4914f6cdd1du) >> 32) * blocks >> 32);
}

const uint8_t *
filter_block(const uint8_t *filter, uint32_t blocks,
    const uint8_t id[BLOCK_ID_SHORT])
{
	return filter + (size_t)id_block(id_mix(id), blocks) * FILTER_BLOCK;
}

void
filter_add(uint8_t *filter, uint32_t blocks, const uint8_t id[BLOCK_ID_SHORT])
{
	uint64_t h = id_mix(id);
	uint8_t *block = filter + (size_t)id_block(h, blocks) * FILTER_BLOCK;
	unsigned i;

	for (i = 0; i < FILTER_PROBES; i++, h >>= 9)
		block[(h & 511) >> 3] |= (uint8_t)(1u << (h & 7));
}

int
filter_test(const uint8_t *block, const uint8_t id[BLOCK_ID_SHORT])
{
	uint64_t h = id_mix(id);
	unsigned i;

	for (i = 0; i < FILTER_PROBES; i++, h >>= 9) {
		if ((block[(h & 511) >> 3] >> (h & 7) & 1) == 0)
			return 0;
	}
	return 1;
}
