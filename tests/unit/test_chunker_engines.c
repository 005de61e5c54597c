/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The implementations of the chunker against each other and the standard.
 */
#include "chunker_test.h"

/* FIPS 197, appendix A.1 and B. */
static const uint8_t fips_key[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2,
	0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };

static void
test_fips_197(void **state)
{
	static const uint8_t last_round_key[16] = { 0xd0, 0x14, 0xf9, 0xa8,
		0xc9, 0xee, 0x25, 0x89, 0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63,
		0x0c, 0xa6 };
	static const uint8_t in[16] = { 0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a,
		0x30, 0x8d, 0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34 };
	static const uint8_t want[16] = { 0x39, 0x25, 0x84, 0x1d, 0x02, 0xdc,
		0x09, 0xfb, 0xdc, 0x11, 0x85, 0x97, 0x19, 0x6a, 0x0b, 0x32 };
	/* Appendix C.1: key 00 01 .. 0f, input 00 11 .. ff. */
	static const uint8_t want_c1[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a,
		0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5,
		0x5a };
	struct chunker *b, *c1;
	uint8_t key[16], plain[16], out[16];

	(void)state;
	for (int i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		plain[i] = (uint8_t)(i * 0x11);
	}
	assert_int_equal(chunker_new(fips_key, 4096, &b), 0);
	assert_int_equal(chunker_new(key, 4096, &c1), 0);
	assert_memory_equal(b->key.round[10], last_round_key, 16);
	for (int e = 0; e < engine_count; e++) {
		engines[e]->block(&b->key, in, out);
		assert_memory_equal(out, want, 16);
		engines[e]->block(&c1->key, plain, out);
		assert_memory_equal(out, want_c1, 16);
	}
	chunker_free(b);
	chunker_free(c1);
}

static void
test_blocks_agree(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct chunker *c = chunker(4096);
		uint8_t in[16], want[16], out[16];

		rnd_fill(in, sizeof(in));
		engines[0]->block(&c->key, in, want);
		for (int e = 1; e < engine_count; e++) {
			engines[e]->block(&c->key, in, out);
			assert_memory_equal(out, want, 16);
		}
		chunker_free(c);
	}
}

/* Every window is found, wherever it lies in a batch. */
static void
test_scan_finds_each(void **state)
{
	struct chunker *c = chunker(4096);
	size_t len = 512;
	uint8_t *data = rnd_new(len + CHUNKER_WINDOW - 1);

	(void)state;
	/* A cut every few windows. */
	c->key.threshold = UINT32_MAX / 23;
	for (size_t at = 0; at < len; at += c->engine->batch) {
		for (int e = 0; e < engine_count; e++) {
			size_t n = engines[e]->batch, want = 0;
			uint8_t out[16];
			uint32_t low;

			if (at + n > len)
				continue;
			for (; want < n; want++) {
				engines[0]->block(
				    &c->key, data + at + want, out);
				memcpy(&low, out, 4);
				if (low < c->key.threshold)
					break;
			}
			assert_int_equal(
			    engines[e]->scan(&c->key, data + at, n), want);
		}
	}
	free(data);

	/* Random positions, the same for all. */
	data = rnd_new(MIB);
	for (int i = 0; i < 20000; i++) {
		const uint8_t *p = data + rnd() % (MIB - 1024);
		size_t want;

		c->key.threshold = (uint32_t)rnd() >> rnd() % 12;
		want = engines[0]->scan(&c->key, p, 256);
		for (int e = 1; e < engine_count; e++)
			assert_int_equal(
			    engines[e]->scan(&c->key, p, 256), want);
	}
	free(data);
	chunker_free(c);
}

static void
test_alignments(void **state)
{
	size_t target = 4096, len = 4 * target;
	uint8_t *data = rnd_new(len), *copy = NULL;

	(void)state;
	assert_int_equal(posix_memalign((void **)&copy, 64, len + 64), 0);
	for (size_t shift = 0; shift < 64; shift++) {
		struct chunker *c = chunker(target);

		memcpy(copy + shift, data, len);
		check_one(c, target, copy + shift, len);
		check_one(c, target, copy + shift, len / 2 + shift);
		chunker_free(c);
	}
	free(copy);
	free(data);
}

static void
test_guard_pages(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 8 * page;
	size_t target = 4096, min = target * 2 / 5;
	uint8_t *map = mmap(NULL, room + 2 * page, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *low = map + page, *high = low + room;
	struct chunker *c = chunker(target);

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mprotect(low, room, PROT_READ | PROT_WRITE), 0);
	rnd_fill(low, room);
	for (size_t len = 0; len < 40; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	for (size_t len = min - 20; len < min + 400; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	for (size_t len = room - 200; len <= room; len++) {
		check_one(c, target, low, len);
		check_one(c, target, high - len, len);
	}
	munmap(map, room + 2 * page);
	chunker_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fips_197),
		cmocka_unit_test(test_blocks_agree),
		cmocka_unit_test(test_scan_finds_each),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_guard_pages),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
