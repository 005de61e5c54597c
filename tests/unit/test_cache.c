/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache tier by one thread: what it keeps, and what makes room.
 */
#include "cache_test.h"
#include "slow.h"

static void
test_contract(void **state)
{
	struct cache_stats st;
	struct cache *c;

	(void)state;
	assert_int_equal(cache_open(dir, CACHE_LIMIT_MIN - 1, &c), -EINVAL);
	c = reopen(LIMIT, 1);
	assert_int_equal(has(c, 3), 0);
	assert_int_equal(get(c, 3, buf, want), 0);
	put(c, 3, buf);
	put(c, 3, buf);
	put(c, 4, buf);
	assert_int_equal(has(c, 3), 1);
	assert_int_equal(get(c, 3, buf, want), 1);
	assert_int_equal(get(c, 2, buf, want), 0);
	drop(c, 3);
	drop(c, 3);
	assert_int_equal(has(c, 3), 0);
	put(c, 3, buf);
	assert_int_equal(get(c, 3, buf, want), 1);
	cache_put(c, PACK_DATA, key_of(9).pack, 9, buf, 0);
	cache_put(c, PACK_DATA, key_of(9).pack, 9, buf, MIB + 1);
	assert_int_equal(cache_has(c, key_of(9).pack, 9), 0);
	cache_stats(c, &st);
	assert_int_equal(st.puts, 3);
	assert_int_equal(st.hits, 2);
	assert_int_equal(st.misses, 2);
	assert_int_equal(st.bad, 1);
	assert_int_equal(st.cells_meta, 2);
	assert_int_equal(st.used, du(dir));
	assert_int_equal(st.readonly, 0);
	cache_close(c);
	cache_close(NULL);
	c = reopen(LIMIT, 1);
	assert_int_equal(count_hits(c, 0, 9), 2);
	cache_close(c);
}

/* Every single damaged bit, and each pair of the same lane, is seen. */
static void
test_sum(void **state)
{
	uint8_t a[256];
	uint64_t sum;
	size_t i, j;

	(void)state;
	memset(a, 0, sizeof(a));
	sum = cache_sum(7, a, sizeof(a));
	for (i = 0; i < 8 * sizeof(a); i++) {
		a[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_true(cache_sum(7, a, sizeof(a)) != sum);
		for (j = 0; j < i; j++) {
			a[j / 8] ^= (uint8_t)(1 << j % 8);
			assert_true(cache_sum(7, a, sizeof(a)) != sum);
			a[j / 8] ^= (uint8_t)(1 << j % 8);
		}
		a[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < sizeof(a); i++)	/* zeroes of other lengths */
		assert_true(cache_sum(7, a, i) != sum);
}

#define MODEL 300

static void
run_model(int holes)
{
	uint64_t rng = seed;
	uint8_t there[MODEL] = { 0 };	/* put, and not dropped since */
	struct cache *c = reopen(LIMIT, holes);
	uint32_t n, i;
	int hit;

	for (i = 0; i < ROUNDS(3000); i++) {
		n = (uint32_t)(next(&rng) % MODEL);
		switch (next(&rng) % 40) {
		default:
			hit = has(c, n);
			assert_int_equal(get(c, n, buf, want), hit);
			assert_true(there[n] || !hit);
			if (hit)
				break;
			put(c, n, buf);
			there[n] = 1;
			assert_int_equal(has(c, n), 1);
			assert_true(du(dir) <= LIMIT);
			break;
		case 0:
			drop(c, n);
			there[n] = 0;
			assert_int_equal(has(c, n), 0);
			break;
		case 1:
			cache_table_check(&c->table);
			if (next(&rng) % 8 == 0) {
				cache_close(c);
				c = reopen(LIMIT, holes);
			}
		}
	}
	cache_table_check(&c->table);
	/* Not a cache that keeps to its limit by keeping nothing. */
	assert_true(du(dir) > LIMIT / 2);
	cache_close(c);
}

static void
test_model(void **state)
{
	(void)state;
	run_model(1);
}

static void
test_model_without_holes(void **state)
{
	struct cache *c;

	(void)state;
	run_model(0);
	/* Back and forth, and smaller. */
	c = reopen(LIMIT, 1);
	assert_true(count_hits(c, 0, MODEL) > 40);
	cache_close(c);
	c = reopen(2 * LIMIT, 0);
	count_hits(c, 0, MODEL);
	cache_close(c);
	c = reopen(LIMIT, 0);
	count_hits(c, 0, MODEL);
	cache_table_check(&c->table);
	cache_close(c);
}

/* Short cells: more slots than MiB of limit. */
static void
test_short_cells(void **state)
{
	struct key k = key_of(1);
	struct cache_stats st;
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n;

	(void)state;
	k.len = 65536;
	for (n = 0; n < 1200; n++) {
		k.cell = n;
		fill(&k, buf);
		cache_put(c, PACK_META, k.pack, n, buf, k.len);
		assert_true(du(dir) <= LIMIT);
	}
	cache_table_check(&c->table);
	cache_stats(c, &st);
	assert_true(st.cells_meta > 1000 && st.cells_meta <= 1024);
	cache_close(c);
	c = reopen(LIMIT, 1);
	cache_stats(c, &st);
	assert_true(st.cells_meta > 1000);
	/* Long ones in place of short ones. */
	for (n = 0; n < 200; n++) {
		put(c, n, buf);
		assert_true(du(dir) <= LIMIT);
	}
	cache_table_check(&c->table);
	cache_close(c);
}

static void
test_smaller_limit(void **state)
{
	struct cache *c = reopen(4 * LIMIT, 1);
	uint32_t n, kept;

	(void)state;
	for (n = 0; n < 250; n++)
		put(c, n, buf);
	assert_true(count_hits(c, 0, 250) > 240);
	cache_close(c);
	c = reopen(LIMIT, 1);		/* checks du */
	kept = count_hits(c, 0, 250);
	assert_true(kept > 50 && kept < 90);
	cache_table_check(&c->table);
	cache_close(c);
	c = reopen(4 * LIMIT, 1);
	assert_int_equal(count_hits(c, 0, 250), kept);
	cache_close(c);
}

/* ---------------------------------------------------------- policy */

static void
put_data(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);

	k.len = MIB;
	fill(&k, buf);
	cache_put(c, PACK_DATA, k.pack, k.cell, buf, k.len);
}

static uint32_t
get_data(struct cache *c, uint32_t n)
{
	struct key k = key_of(n);
	size_t len;

	return (uint32_t)cache_get(c, PACK_DATA, k.pack, k.cell, buf, &len);
}

/* 20 cells that are used, a scan of five times the limit between the uses. */
static void
test_scan(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n, round, hits = 0, asked = 0;

	(void)state;
	for (n = 0; n < 20; n++)
		put_data(c, n);
	for (round = 0; round < 2; round++)
		for (n = 0; n < 20; n++)
			assert_int_equal(get_data(c, n), 1);
	for (n = 0; n < 320; n++) {
		put_data(c, 1000 + n);
		if (n % 4 == 0) {
			hits += get_data(c, n / 4 % 20);
			asked++;
		}
	}
	print_message("hot set during the scan: %u of %u\n", hits, asked);
	assert_true(hits * 10 > asked * 8);
	/* It is known as hot after a reopen, and outlives a scan unused. */
	cache_close(c);
	c = reopen(LIMIT, 1);
	for (n = 0; n < 320; n++)
		put_data(c, 2000 + n);
	for (hits = n = 0; n < 20; n++)
		hits += get_data(c, n);
	print_message("hot set after another one: %u of 20\n", hits);
	assert_true(hits > 16);
	cache_table_check(&c->table);
	cache_close(c);
}

/* First in, first out, also when the order of slots is another one. */
static void
test_order_after_reopen(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	uint32_t n;

	(void)state;
	for (n = 0; n < 50; n++)
		put_data(c, n);
	drop(c, 0);
	put_data(c, 0);		/* the newest, in the first slot */
	cache_close(c);
	c = reopen(LIMIT, 1);
	for (n = 100; n < 130; n++)
		put_data(c, n);
	assert_int_equal(has(c, 1), 0);
	assert_int_equal(has(c, 0), 1);
	cache_close(c);
}

static void
test_meta_goes_last(void **state)
{
	struct cache *c = reopen(LIMIT, 1);
	struct cache_stats st;
	struct key k;
	uint32_t n, hits = 0;
	size_t len;

	(void)state;
	for (n = 0; n < 40; n++) {
		k = key_of(5000 + n);
		fill(&k, buf);
		cache_put(c, PACK_META, k.pack, k.cell, buf, MIB);
	}
	for (n = 0; n < 300; n++)
		put_data(c, n);
	for (n = 0; n < 40; n++) {
		k = key_of(5000 + n);
		hits += (uint32_t)cache_get(c, PACK_META, k.pack, k.cell, buf,
		    &len);
	}
	assert_int_equal(hits, 40);
	/* Data keeps a tenth, whatever meta comes. */
	for (n = 0; n < 200; n++) {
		k = key_of(6000 + n);
		cache_put(c, PACK_META, k.pack, k.cell, buf, MIB);
	}
	cache_stats(c, &st);
	assert_true(st.cells_data >= 5 && st.cells_data <= 7);
	cache_close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_contract, setup),
		cmocka_unit_test_setup(test_sum, setup),
		cmocka_unit_test_setup(test_model, setup),
		cmocka_unit_test_setup(test_model_without_holes, setup),
		cmocka_unit_test_setup(test_short_cells, setup),
		cmocka_unit_test_setup(test_smaller_limit, setup),
		cmocka_unit_test_setup(test_scan, setup),
		cmocka_unit_test_setup(test_order_after_reopen, setup),
		cmocka_unit_test_setup(test_meta_goes_last, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
