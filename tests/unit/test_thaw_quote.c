/* SPDX-License-Identifier: Apache-2.0 */
/* What packs need, and what that costs. */
#include "thaw_test.h"

#include "repo/thaw_quote.h"
#include "repo/thaw_send.h"

#define NOW	1800000000

static void
prices(struct price_table *t)
{
	char why[PRICE_WHY];

	assert_int_equal(price_decode(price_builtin, strlen(price_builtin), t,
	    why), 0);
}

static void
test_quote(void **ctx)
{
	static struct price_table t;
	struct thaw_wish wish = { .days = 3 };
	struct thaw_quote_tier *q;
	struct thaw_quote out;
	struct packset s;

	(void)ctx;
	prices(&t);
	packset_init(&s);
	put(&s, 1, "DEEP_ARCHIVE", STORE_COLD, 0);
	put(&s, 2, "DEEP_ARCHIVE", STORE_COLD, 0);
	put(&s, 3, "DEEP_ARCHIVE", STORE_THAWED, NOW + 86400);
	put(&s, 4, "DEEP_ARCHIVE", STORE_THAWED, NOW + 9 * 86400);
	put(&s, 5, "STANDARD", STORE_HOT, 0);
	put(&s, 6, "DEEP_ARCHIVE", STORE_THAWING, 0);
	put(&s, 7, "DEEP_ARCHIVE", STORE_COLD, 0);
	s.v[6].flags &= ~(unsigned)PACK_NEEDED;		/* of nobody's concern */
	thaw_quote(&s, &t, &wish, NOW, &out);
	assert_true(out.priced);
	assert_int_equal(out.all.packs, 6);
	assert_int_equal(out.need[THAW_ASK].packs, 2);
	assert_int_equal(out.need[THAW_ASK].bytes, 64 * MIB);
	assert_int_equal(out.need[THAW_RENEW].packs, 1);
	assert_int_equal(out.need[THAW_READY].packs, 2);
	assert_int_equal(out.need[THAW_RUNNING].packs, 1);
	q = &out.tier[STORE_THAW_STANDARD];
	assert_true(q->offered);
	assert_int_equal(q->seconds, 12 * 3600);
	/* 0.10 for 1,000 of three; 0.02 a GB of two; 0.023 a GB and month of
	 * two for three days, and of one for two days more; 0.0004 for 1,000
	 * of six times eight. */
	assert_int_equal(q->requests, 300000);
	assert_int_equal(q->retrieval, 20000000 / 16);
	assert_int_equal(q->copies, (23000000ull * 8 / 32 + 29) / 30);
	assert_int_equal(q->gets, 400 * 48);
	assert_int_equal(q->sum, q->requests + q->retrieval + q->copies +
	    q->gets);
	assert_int_equal(out.tier[STORE_THAW_BULK].seconds, 48 * 3600);
	assert_true(out.tier[STORE_THAW_BULK].sum < q->sum);
	assert_false(out.tier[STORE_THAW_EXPEDITED].offered);
	assert_int_equal(out.transfer, price_bytes(90000000, 6 * 32 * MIB));
	thaw_quote(&s, NULL, &wish, NOW, &out);
	assert_false(out.priced);
	assert_false(out.tier[STORE_THAW_EXPEDITED].offered);
	assert_int_equal(out.tier[STORE_THAW_BULK].seconds, 48 * 3600);
	packset_release(&s);
}

/* What is asked for again is not paid for twice. */
static void
test_price(void **ctx)
{
	static struct price_table t;
	struct thaw_wish wish = { .tier = STORE_THAW_STANDARD, .days = 3 };
	const uint64_t copy = 718750;	/* a month */
	struct thaw_price price;
	struct packset s;
	struct pack_info *p;

	(void)ctx;
	prices(&t);
	packset_init(&s);
	put(&s, 1, "GLACIER", STORE_COLD, 0);
	p = &s.v[0];
	thaw_price(&s, p, THAW_ASK, &t, &wish, NOW, &price);
	assert_int_equal(price.request, 50000);
	assert_int_equal(price.retrieval, 10000000 / 32);
	assert_int_equal(price.copy, copy / 10);
	p->expires = NOW + 86400;
	thaw_price(&s, p, THAW_RENEW, &t, &wish, NOW, &price);
	assert_int_equal(price.request, 50000);
	assert_int_equal(price.retrieval, 0);
	assert_int_equal(price.copy, (copy * 2 + 29) / 30);
	p->expires = NOW + 9 * 86400;
	thaw_price(&s, p, THAW_RENEW, &t, &wish, NOW, &price);
	assert_int_equal(price.copy, 0);
	p->expires = 0;
	thaw_price(&s, p, THAW_RENEW, &t, &wish, NOW, &price);
	assert_int_equal(price.copy, copy / 10);
	/* Faster: what it costs more, as far as that is known. */
	wish.tier = STORE_THAW_EXPEDITED;
	thaw_price(&s, p, THAW_HASTEN, &t, &wish, NOW, &price);
	assert_int_equal(price.request, 10000000);
	assert_int_equal(price.retrieval, 30000000 / 32);
	assert_int_equal(price.copy, 0);
	p->tier = STORE_THAW_STANDARD;
	thaw_price(&s, p, THAW_HASTEN, &t, &wish, NOW, &price);
	assert_int_equal(price.retrieval, 20000000 / 32);
	/* For nothing, or nobody knows. */
	p->class = packset_class(&s, "INTELLIGENT_TIERING");
	thaw_price(&s, p, THAW_ASK, &t, &wish, NOW, &price);
	assert_int_equal(price.request + price.retrieval + price.copy, 0);
	p->class = packset_class(&s, "FROZEN");
	thaw_price(&s, p, THAW_ASK, &t, &wish, NOW, &price);
	assert_int_equal(price.request + price.retrieval + price.copy, 0);
	p->class = packset_class(&s, "GLACIER");
	thaw_price(&s, p, THAW_ASK, NULL, &wish, NOW, &price);
	assert_int_equal(price.request + price.retrieval + price.copy, 0);
	packset_release(&s);
}

static void
test_need(void **ctx)
{
	struct thaw_wish wish = { .tier = STORE_THAW_STANDARD, .days = 2 };
	struct packset s;
	struct pack_info *p;

	(void)ctx;
	packset_init(&s);
	put(&s, 1, "GLACIER", STORE_THAWING, 0);
	p = &s.v[0];
	/* Nobody here knows how it was asked for. */
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_RUNNING);
	wish.hasten = 1;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_HASTEN);
	wish.hasten = 0;
	p->tier = STORE_THAW_BULK;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_HASTEN);
	p->tier = STORE_THAW_STANDARD;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_RUNNING);
	p->tier = STORE_THAW_EXPEDITED;
	wish.hasten = 1;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_RUNNING);
	p->state = STORE_THAWED;
	p->expires = NOW + 2 * 86400;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_READY);
	p->expires--;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_RENEW);
	wish.keep = 3600;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_READY);
	p->expires = NOW + 3599;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_RENEW);
	p->class = packset_class(&s, "INTELLIGENT_TIERING");
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_READY);
	p->flags &= ~(unsigned)PACK_SEEN;
	assert_int_equal(thaw_need(&s, p, &wish, NOW), THAW_GONE);
	assert_false(pack_is_readable(p));
	packset_release(&s);
}

/* What is unsure is not taken for readable. */
static void
test_unsure(void **ctx)
{
	struct packset s;

	(void)ctx;
	packset_init(&s);
	put(&s, 1, "INTELLIGENT_TIERING", STORE_HOT, 0);
	assert_true(pack_is_readable(&s.v[0]));
	s.v[0].flags |= PACK_UNSURE;
	assert_false(pack_is_readable(&s.v[0]));
	packset_release(&s);
}

static void
test_packset(void **ctx)
{
	uint8_t id[OBJECT_ID_SIZE] = { 0 };
	struct packset s;
	size_t n;
	unsigned i;

	(void)ctx;
	packset_init(&s);
	assert_null(packset_find(&s, id));
	for (i = 0; i < 1000; i++) {
		id[i % 8] = (uint8_t)i;
		id[8] = (uint8_t)(i >> 8);
		assert_int_equal(packset_add(&s, id, i, &n), 1);
		assert_int_equal(n, i);
		assert_int_equal(packset_add(&s, id, 7, &n), 0);
		assert_int_equal(n, i);
		assert_int_equal(packset_find(&s, id)->size, i);
	}
	for (i = 0; i < 100; i++) {
		char name[8];

		snprintf(name, sizeof(name), "C%u", i % 50);
		packset_class(&s, name);
	}
	assert_int_equal(s.nclasses, PACKSET_CLASSES);
	assert_int_equal(packset_class(&s, "C3"), 3);
	assert_int_equal(packset_class(&s, "other"), PACKSET_CLASSES - 1);
	packset_release(&s);
}

static void
test_interval(void **ctx)
{
	(void)ctx;
	assert_int_equal(thaw_interval(30, 0), 30);
	assert_int_equal(thaw_interval(30, -5), 30);
	assert_int_equal(thaw_interval(30, 800), 100);
	assert_int_equal(thaw_interval(30, 1000000), 900);
	assert_int_equal(thaw_interval(3600, 1000000), 3600);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_price),
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_unsure),
		cmocka_unit_test(test_packset),
		cmocka_unit_test(test_interval),
	};

	log_init("test", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
