/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunker against its definition: where it cuts, and how that spreads.
 */
#include "chunker_test.h"
#include "slow.h"

/* FIPS 197, appendix A.1 and B. */
static const uint8_t fips_key[16] = { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2,
	0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };

static void
test_definition(void **state)
{
	static const size_t targets[] = { 4096, 5001, 16384, 65536 };
	uint8_t *data = rnd_new(MIB);

	(void)state;
	for (size_t t = 0; t < sizeof(targets) / sizeof(*targets); t++)
		check_cuts(targets[t], data + t, MIB - 3 * t);
	free(data);
}

static void
test_low_entropy(void **state)
{
	static const size_t periods[] = { 1, 2, 3, 7, 15, 16, 17, 32, 64,
		4096 };
	size_t len = 100000;
	uint8_t *data = bytes_new(len);

	(void)state;
	memset(data, 0, len);
	check_cuts(4096, data, len);
	for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++) {
		rnd_fill(data, periods[i]);
		for (size_t j = periods[i]; j < len; j++)
			data[j] = data[j - periods[i]];
		check_cuts(4096, data, len);
	}
	/* One period of a text as it occurs. */
	for (size_t j = 0; j < len; j++)
		data[j] = (uint8_t)"0123456789abcde\n"[j % 16];
	check_cuts(4096, data, len);
	free(data);
}

static void
test_lengths(void **state)
{
	static const size_t small[] = { 0, 1, 15, 16, 17, 31, 32, 33 };
	size_t target = 4096, min = target * 2 / 5, max = target * 4;
	uint8_t *data = rnd_new(max + 200);

	(void)state;
	for (int round = 0; round < ROUNDS(8); round++) {
		struct chunker *c = chunker(target);

		/* A random chunk hardly ever grows to max. */
		if (round % 2)
			memset(data, round, max + 200);
		for (size_t i = 0; i < sizeof(small) / sizeof(*small); i++)
			check_one(c, target, data, small[i]);
		for (size_t len = min - 5; len < min + 300;
		    len += len < min + 40 ? 1 : STEP)
			check_one(c, target, data, len);
		for (size_t len = max - 5; len < max + 140; len += 6)
			check_one(c, target, data, len);
		assert_int_equal(chunker_cut(c, NULL, 0, 0), 0);
		assert_int_equal(chunker_cut(c, NULL, 0, 1), 0);
		rnd_fill(data, max + 200);
		chunker_free(c);
	}
	free(data);
}

/* Feeds data in random pieces; returns the first cut. */
static size_t
cut_in_pieces(const struct chunker *c, const uint8_t *data, size_t len,
    size_t piece_max)
{
	size_t have = 0, scanned = 0, cut;

	do {
		scanned = have;
		have += rnd() % (piece_max + 1);
		if (have > len)
			have = len;
		cut = chunker_cut_from(c, data, have, scanned, have == len);
	} while (!cut);
	return cut;
}

static void
test_pieces(void **state)
{
	static const size_t pieces[] = { 1, 3, 40, 200, 5000, 40000 };
	size_t len = 300000;
	uint8_t *data = rnd_new(len);

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		for (int e = 0; e < engine_count; e++) {
			struct chunker *c = chunker(8192);
			size_t at, cut, stop = pieces[i] < 9 ? 50000 : len;

			c->engine = engines[e];
			for (at = 0; at < stop; at += cut) {
				cut = cut_in_pieces(
				    c, data + at, len - at, pieces[i]);
				assert_int_equal(cut,
				    chunker_cut(c, data + at, len - at, 1));
			}
			chunker_free(c);
		}
	}
	free(data);
}

/* However much was scanned before, the answer is the same. */
static void
test_cut_from(void **state)
{
	struct chunker *c = chunker(4096);
	uint8_t *data = rnd_new(16384);
	size_t cut = chunker_cut(c, data, 16384, 0);

	(void)state;
	for (int e = 0; e < engine_count; e++) {
		/* It takes its time. */
		size_t step = engines[e] == &chunker_soft ? 17 : 1;

		c->engine = engines[e];
		for (size_t scanned = 0; scanned < cut; scanned += step) {
			assert_int_equal(chunker_cut_from(
			    c, data, 16384, scanned, 0), cut);
			assert_int_equal(chunker_cut_from(
			    c, data, cut, scanned, 0), cut);
			assert_int_equal(chunker_cut_from(
			    c, data, cut - 1, scanned, 0), 0);
			assert_int_equal(chunker_cut_from(
			    c, data, cut - 1, scanned, 1), cut - 1);
		}
	}
	free(data);
	chunker_free(c);
}

/* Mean of min plus a geometric number of windows, cut off at max. */
static void
test_mean(void **state)
{
	size_t target = 65536, len = 256 * MIB, at = 0, n = 0, cut;
	struct chunker *c = chunker(target);
	uint8_t *data = rnd_new(len);
	double q = c->key.threshold / 4294967296.0;
	double range = (double)(c->max - c->min), want, mean;

	(void)state;
	while ((cut = chunker_cut(c, data + at, len - at, 0)) != 0) {
		assert_in_range(cut, c->min, c->max);
		at += cut;
		n++;
	}
	free(data);
	want = (double)c->min + (1 - q) * (1 - pow(1 - q, range)) / q;
	mean = (double)at / (double)n;
	print_message("mean of %zu chunks %.0f, expected %.0f\n", n, mean,
	    want);
	/* The deviation of the mean of 4096 is 0.9 %. */
	assert_true(fabs(mean / want - 1) < 0.05);
	assert_true(fabs(want / (double)target - 1) < 0.003);
	chunker_free(c);
}

/* One byte more in the middle, and soon the cuts are the same again. */
static void
test_insertion(void **state)
{
	size_t target = 4096, len = 4 * MIB, a = 0, b = 0;
	struct chunker *c = chunker(target);
	uint8_t *data = rnd_new(len), *more = bytes_new(len + 1);

	(void)state;
	memcpy(more, data, len / 2);
	more[len / 2] = 'x';
	memcpy(more + len / 2 + 1, data + len / 2, len / 2);
	/* Cuts of both up to the insertion, then until they fall together. */
	while (a <= len / 2 || a + 1 != b) {
		if (a < b || (a == b && a <= len / 2)) {
			if (a == b)
				b += chunker_cut(c, more + b, len + 1 - b, 1);
			a += chunker_cut(c, data + a, len - a, 1);
		} else {
			b += chunker_cut(c, more + b, len + 1 - b, 1);
		}
		if (a <= len / 2 && b <= len / 2)
			assert_int_equal(a, b);
	}
	print_message("together again after %zu bytes\n", a - len / 2);
	assert_true(a - len / 2 < 100 * target);
	for (; a < len; a += chunker_cut(c, data + a, len - a, 1), b = a + 1)
		assert_int_equal(chunker_cut(c, data + a, len - a, 1),
		    chunker_cut(c, more + b, len + 1 - b, 1));
	free(data);
	free(more);
	chunker_free(c);
}

/* Cuts that must never change: repositories hold what was cut so. */
static void
test_golden(void **state)
{
	static const size_t want[] = { 1992, 4474, 2296, 4675, 3740, 4162,
		11974, 3169 };
	uint64_t saved = rnd_state;
	struct chunker *c;
	uint8_t *data;

	(void)state;
	rnd_state = 0;
	data = rnd_new(MIB);
	rnd_state = saved;
	assert_int_equal(chunker_new(fips_key, 4096, &c), 0);
	for (int e = 0; e < engine_count; e++) {
		size_t at = 0;

		c->engine = engines[e];
		for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
			size_t cut = chunker_cut(c, data + at, MIB - at, 1);

			assert_int_equal(cut, want[i]);
			at += cut;
		}
	}
	free(data);
	chunker_free(c);
}

static void
test_interface(void **state)
{
	struct chunker *c;

	(void)state;
	assert_int_equal(
	    chunker_new(fips_key, CHUNKER_TARGET_MIN - 1, &c), -EINVAL);
	assert_null(c);
	assert_int_equal(
	    chunker_new(fips_key, CHUNKER_TARGET_MAX + 1, &c), -EINVAL);
	assert_int_equal(chunker_new(fips_key, CHUNKER_TARGET_MAX, &c), 0);
	assert_int_equal(chunker_max(c), CHUNKER_TARGET_MAX * 4);
	assert_int_equal(chunker_min(c), CHUNKER_TARGET_MAX * 2 / 5);
	assert_int_equal(chunker_select(c, "none"), -EINVAL);
	for (int i = 0; chunker_engines[i]; i++) {
		const char *name = chunker_engines[i]->name;

		if (!chunker_engines[i]->usable()) {
			assert_int_equal(chunker_select(c, name), -ENOTSUP);
			continue;
		}
		assert_int_equal(chunker_select(c, name), 0);
		assert_string_equal(chunker_impl(c), name);
	}
	chunker_free(c);
	chunker_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_low_entropy),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_cut_from),
		cmocka_unit_test(test_mean),
		cmocka_unit_test(test_insertion),
		cmocka_unit_test(test_interface),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
