/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prices: the table that is installed, worked examples, sums at their limits,
 * what a table may not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/price.h"

#define TIB	(1ull << 40)
#define PACKS	16384		/* of 64 MiB in a TiB */
#define HEAD	"[table]\nname = T\ndate = D\ncurrency = C\n"

static struct price_table aws;

/* nano of so many hundred-thousandths. */
#define E5(n)	((n) * 10000ull)

/* As in "$20.5": the amount, give or take half of its last digit. */
static void
assert_about(uint64_t nano, double amount, double half)
{
	double v = (double)nano / 1e9;

	if (v < amount - half || v > amount + half)
		fail_msg("%f is not about %f", v, amount);
}

static void
test_builtin(void **state)
{
	const struct price_class *c;
	char why[PRICE_WHY];

	(void)state;
	assert_int_equal(price_decode(price_builtin, strlen(price_builtin),
	    &aws, why), 0);
	assert_string_equal(aws.currency, "USD");
	assert_true(aws.egress == E5(9000));
	c = price_standard(&aws);
	assert_true(c->put == E5(500) && c->get == E5(40) &&
	    c->storage == E5(2300) && c->days == 0);
	assert_false(c->thaw[PRICE_BULK].offered);
	c = price_find(&aws, "DEEP_ARCHIVE");
	assert_true(c->put == E5(5000) && c->storage == E5(99) &&
	    c->days == 180 && c->overhead == 32768 &&
	    c->overhead_standard == 8192);
	assert_false(c->thaw[PRICE_EXPEDITED].offered);
	assert_true(c->thaw[PRICE_BULK].offered);
	assert_true(price_find(&aws, "GLACIER")->thaw[PRICE_BULK].offered);
	assert_true(price_find(&aws, "STANDARD_IA")->minimum == 128 * 1024);
	assert_true(price_find(&aws, "EXPRESS_ONEZONE")->get == E5(3));
	assert_null(price_find(&aws, "standard"));
}

/* A TiB in packs of 64 MiB, as others have worked it out. */
static void
test_tebibyte(void **state)
{
	const struct price_class *deep = price_find(&aws, "DEEP_ARCHIVE");
	const struct price_class *flexible = price_find(&aws, "GLACIER");
	uint64_t bulk, standard, one_day, zero;

	(void)state;
	assert_about(price_count(deep->put, PACKS), .82, .005);
	assert_about(price_month(&aws, deep, PACKS, TIB), 1.02, .005);
	assert_about(price_month(&aws, flexible, PACKS, TIB), 3.69, .01);
	assert_int_equal(price_thaw(&aws, deep, PRICE_BULK, PACKS, TIB, 0,
	    &bulk), 0);
	assert_about(bulk, 2.56 + .41, .01);
	assert_int_equal(price_thaw(&aws, deep, PRICE_STANDARD, PACKS, TIB, 0,
	    &standard), 0);
	assert_about(standard, 20.5 + 1.6, .05);
	assert_int_equal(price_thaw(&aws, deep, PRICE_BULK, PACKS, TIB, 7,
	    &one_day), 0);
	assert_about(one_day - bulk, 5.5, .05);
	assert_about(price_bytes(aws.egress, TIB), 92, .5);
	assert_int_equal(price_thaw(&aws, flexible, PRICE_BULK, PACKS, TIB, 0,
	    &zero), 0);
	assert_true(zero == 0);
	assert_int_equal(price_thaw(&aws, deep, PRICE_EXPEDITED, 1, 1, 1,
	    &zero), -ENOTSUP);
	assert_int_equal(price_thaw(&aws, price_standard(&aws), PRICE_BULK, 1,
	    1, 1, &zero), -ENOTSUP);
}

static void
test_run(void **state)
{
	struct store_counters done = { .requests = { [STORE_GET] = 3000,
	    [STORE_PUT] = 2000, [STORE_STAT] = 1000, [STORE_LIST] = 1000,
	    [STORE_DEL] = 999999 }, .bytes_in = 2ull << 30,
	    .bytes_out = 1ull << 30 };
	struct price_run run;

	(void)state;
	price_run(&aws, price_standard(&aws), &done, &run);
	assert_true(run.requests == E5(4 * 40 + 2 * 500 + 500));
	assert_true(run.transfer == E5(2 * 9000));
	/* LIST stays what it is in STANDARD; retrieval comes on top. */
	price_run(&aws, price_find(&aws, "STANDARD_IA"), &done, &run);
	assert_true(run.requests == E5(4 * 100 + 2 * 1000 + 500 + 2 * 1000));
	price_run(&aws, price_find(&aws, "EXPRESS_ONEZONE"), &done, &run);
	assert_true(run.requests == E5(4 * 3 + 2 * 113 + 500 + 320 + 2 * 60));
	/* Copies into an archive, and requests for thaws out of it. */
	done = (struct store_counters){ .requests = { [STORE_THAW] = 9000,
	    [STORE_COPY] = 3000 }, .thaws = { [STORE_THAW_STANDARD] = 2000,
	    [STORE_THAW_BULK] = 1000 } };
	price_run(&aws, price_find(&aws, "DEEP_ARCHIVE"), &done, &run);
	assert_true(run.requests == E5(3 * 5000 + 2 * 10000 + 2500));
}

static void
test_storage(void **state)
{
	const struct price_class *ia = price_find(&aws, "STANDARD_IA");
	const struct price_class *deep = price_find(&aws, "DEEP_ARCHIVE");
	uint64_t month;

	(void)state;
	assert_true(price_billable(ia, 1) == 131072);
	assert_true(price_billable(ia, 131073) == 131073);
	assert_true(price_billable(deep, 0) == 0);
	/* 2^25 objects: a TiB of overhead, and a quarter at STANDARD. */
	assert_true(price_month(&aws, deep, 1u << 25, 0) ==
	    1024 * E5(99) + 256 * E5(2300));
	month = price_month(&aws, ia, 1, TIB);
	assert_true(price_early(&aws, ia, 1, TIB, 0) == month);
	assert_true(price_early(&aws, ia, 1, TIB, 15) == month / 2);
	assert_true(price_early(&aws, ia, 1, TIB, 30) == 0);
	assert_true(price_early(&aws, ia, 1, TIB, UINT64_MAX) == 0);
	assert_true(price_early(&aws, deep, 1, TIB, 0) ==
	    6 * price_month(&aws, deep, 1, TIB));
	assert_true(price_month(&aws, price_find(&aws, "INTELLIGENT_TIERING"),
	    2000, 0) == E5(2 * 250));
}

static void
test_limits(void **state)
{
	struct store_counters all;
	struct price_run run;

	(void)state;
	assert_true(price_count(1, 1) == 1);	/* rounded up */
	assert_true(price_count(400000, 1) == 400);
	assert_true(price_count(0, UINT64_MAX) == 0);
	assert_true(price_count(1001, UINT64_MAX) == UINT64_MAX);
	assert_true(price_bytes(1, UINT64_MAX) == 1ull << 34);
	assert_true(price_bytes(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(price_add(UINT64_MAX, 1) == UINT64_MAX);
	memset(&all, 0xff, sizeof(all));
	price_run(&aws, price_standard(&aws), &all, &run);
	assert_true(run.requests == UINT64_MAX);
	assert_true(price_month(&aws, price_find(&aws, "DEEP_ARCHIVE"),
	    UINT64_MAX, UINT64_MAX) > 0);
}

static void
assert_text(uint64_t nano, const char *want)
{
	char text[PRICE_TEXT];

	assert_string_equal(price_text(nano, text), want);
}

static void
test_text(void **state)
{
	(void)state;
	assert_text(0, "0.00");
	assert_text(1, "0.000000001");
	assert_text(400, "0.0000004");
	assert_text(12300000000, "12.30");
	assert_text(1230000000000, "1230.00");
	assert_text(120000000, "0.12");
	assert_text(UINT64_MAX, "18446744073.709551615");
}

static void
refuse(const char *text, const char *says)
{
	struct price_table t;
	char why[PRICE_WHY];

	assert_int_equal(price_decode(text, strlen(text), &t, why), -EINVAL);
	if (strstr(why, says) == NULL)
		fail_msg("'%s' does not say '%s'", why, says);
}

static void
test_refused(void **state)
{
	static const char dear[] = HEAD
	    "[STANDARD]\nput = 1000000.000000001 ; dear\n";
	struct price_table t;
	char why[PRICE_WHY], *large, *at;
	int i;

	(void)state;
	refuse("", "[table]");
	refuse(HEAD, "STANDARD");
	refuse("[table]\nname = T\ncurrency = C\n[STANDARD]\nput = 1\n",
	    "[table]");
	refuse("put = 1\n" HEAD, "line 1: ");
	refuse(HEAD "[STANDARD]\nput = 1\nput = 1\n", "line 7: a second 'put'");
	refuse(HEAD "name = x\n", "line 5: a second 'name'");
	refuse(HEAD "colour = x\n", "'colour'");
	refuse(HEAD "[STANDARD]\nputt = 1\n", "line 6: no price is called");
	refuse(HEAD "[STANDARD]\nnothing\n", "line 6: ");
	refuse(HEAD "[STANDARD]\nput = -1\n", "'-1'");
	refuse(HEAD "[STANDARD]\nput = 1e3\n", "'1e3'");
	refuse(HEAD "[STANDARD]\nput = .5\n", "'.5'");
	refuse(HEAD "[STANDARD]\nput = 1.\n", "'1.'");
	refuse(HEAD "[STANDARD]\nput = 1,5\n", "'1,5'");
	refuse(HEAD "[STANDARD]\nput =\n", "''");
	refuse(HEAD "[STANDARD]\nput = 0.0000000001\n", "0.0000000001");
	refuse(HEAD "[STANDARD]\nput = 1000001\n", "1000001");
	refuse(HEAD "[STANDARD]\ndays = 36501\n", "36501");
	refuse(HEAD "[STANDARD]\ndays = 99999999999999999999999\n", "9999");
	refuse(HEAD "[STANDARD]\nminimum = 1.5\n", "1.5");
	refuse(HEAD "egress = x\n", "egress");
	refuse(HEAD "source = caf\xc3\xa9\n", "plain");
	large = malloc(2 * PRICE_FILE_MAX);
	assert_non_null(large);
	at = large + sprintf(large, HEAD);
	for (i = 0; i < PRICE_CLASSES + 1; i++)
		at += sprintf(at, "[C%d]\nput = 1\n", i);
	refuse(large, "too many");
	at = large + sprintf(large, HEAD "[STANDARD]\n");
	memset(at, 'x', 300);
	at[300] = '\0';
	refuse(large, "line 6: ");
	memset(large, '\n', PRICE_FILE_MAX + 1);
	large[PRICE_FILE_MAX + 1] = '\0';
	refuse(large, "bytes");
	free(large);
	assert_int_equal(price_decode("[table]\n\0", 9, &t, why), -EINVAL);
	assert_int_equal(price_decode(dear, sizeof(dear) - 1, &t, why), 0);
	assert_true(t.class[0].put == 1000000000000001ull);
}

/* Whose prices are they? */
static void
test_for(void **state)
{
	char path[] = "/tmp/test_price.XXXXXX";
	struct store_conf conf = STORE_CONF_DEFAULT;
	struct price_table t;
	struct store *s;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, HEAD "[STANDARD]\n", strlen(HEAD) + 11) > 0);
	assert_true(write(fd, "put = 2\n", 8) == 8);
	close(fd);
	unsetenv("FIRN_PRICES");
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_ENDPOINT_URL_S3");
	setenv("AWS_ACCESS_KEY_ID", "k", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_int_equal(store_open("/tmp", NULL, 0, &s), 0);
	assert_int_equal(store_is_aws(s), 0);
	assert_int_equal(price_for(s, path, &t), 0);
	store_close(s);
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), 0);
	assert_int_equal(store_is_aws(s), 1);
	assert_int_equal(price_for(s, NULL, &t), 1);
	assert_string_equal(t.currency, "USD");
	store_close(s);
	conf.endpoint = "https://elsewhere.example";
	assert_int_equal(store_open("s3://bucket", &conf, 0, &s), 0);
	assert_int_equal(store_is_aws(s), 0);
	assert_int_equal(price_for(s, NULL, &t), 0);
	assert_int_equal(price_for(s, path, &t), 1);
	assert_string_equal(t.name, "T");
	assert_int_equal(price_for(s, "/nonexistent", &t), -ENOENT);
	setenv("FIRN_PRICES", path, 1);
	assert_int_equal(price_for(s, NULL, &t), 1);
	assert_string_equal(t.name, "T");
	store_close(s);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_tebibyte),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_storage),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_for)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
