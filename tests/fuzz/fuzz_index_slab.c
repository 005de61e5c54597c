/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slabs of the block index, as a damaged database may hold them.  What opens
 * can be read and searched all over; where it is sorted, the search finds what
 * is there.
 */
#include <stdlib.h>
#include <string.h>

#include "index/index_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
is_sorted(const struct slab *s)
{
	struct segment_entry e, last;
	uint32_t i;

	slab_get(s, 0, &last);
	for (i = 1; i < s->n; i++, last = e) {
		slab_get(s, i, &e);
		if (id_cmp(last.id, e.id) >= 0)
			return 0;
	}
	return 1;
}

static void
search_all(const struct slab *s, int sorted)
{
	uint8_t first[BLOCK_ID_SHORT], id[BLOCK_ID_SHORT];
	uint32_t i, at, step = s->n / 64 + 1;
	uint64_t end;
	int equal;

	slab_id(s, 0, first);
	slab_id(s, s->n - 1, id);
	end = be64_load(id);
	for (i = 0; i < s->n; i += step) {
		slab_id(s, i, id);
		at = slab_search(s, id, be64_load(first), end, &equal);
		if (at > s->n || (equal && at == s->n) ||
		    (sorted && (!equal || at != i)))
			__builtin_trap();
		id[i % BLOCK_ID_SHORT] ^= 1;
		if (slab_search(s, id, 0, UINT64_MAX, &equal) > s->n)
			__builtin_trap();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slab s;
	uint8_t *p;

	if (size == 0)
		return 0;
	/* A copy, so that its end is guarded. */
	p = malloc(size);
	if (p == NULL)
		return 0;
	memcpy(p, data, size);
	if (slab_open(p, size, 0, &s) == 0) {
		(void)slab_check(p, size);
		search_all(&s, is_sorted(&s));
		if (s.filter > 0)
			(void)filter_test(filter_block(p + SLAB_HEADER,
			    s.filter, s.ids), s.prefix);
	}
	free(p);
	return 0;
}
