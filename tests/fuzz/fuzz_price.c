/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of prices.  One that decodes gives sums, which do not fall when there
 * is more of what they are of. */
#include <string.h>

#include "store/price.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct price_table *t, const struct price_class *c)
{
	struct store_counters few = { .requests = { 1, 2, 3, 4, 5 },
	    .bytes_in = 6, .bytes_out = 7 }, many;
	struct price_run a, b;
	uint64_t cost;
	int tier;

	memset(&many, 0xff, sizeof(many));
	price_run(t, c, &few, &a);
	price_run(t, c, &many, &b);
	if (a.requests > b.requests || a.transfer > b.transfer ||
	    price_month(t, c, 1, 1) > price_month(t, c, UINT64_MAX,
	    UINT64_MAX) || price_early(t, c, 1, 1, c->days) != 0)
		__builtin_trap();
	for (tier = 0; tier < PRICE_TIERS; tier++)
		if ((price_thaw(t, c, tier, UINT64_MAX, UINT64_MAX, UINT64_MAX,
		    &cost) == 0) != c->thaw[tier].offered)
			__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct price_table t;
	char why[PRICE_WHY];
	size_t i;

	if (price_decode(data, size, &t, why) != 0) {
		if (why[0] == '\0' || memchr(why, 0, sizeof(why)) == NULL)
			__builtin_trap();
		return 0;
	}
	for (i = 0; i < t.nclasses; i++)
		check(&t, &t.class[i]);
	return 0;
}
