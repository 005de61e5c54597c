/* SPDX-License-Identifier: Apache-2.0 */
/* Which packs a thaw needs, what it costs, and the files that note it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "repo/reader.h"
#include "repo/repo.h"
#include "repo/repo_internal.h"
#include "repo/thaw_job.h"
#include "repo/thaw_look.h"
#include "repo/thaw_plan.h"
#include "repo/thaw_quote.h"
#include "repo/thaw_send.h"
#include "repo/writer.h"
#include "store/store_fault.h"

#define WRITERS	3
#define LEN	3000
#define NOW	1800000000

static int
password(void *ctx, int again, struct buf *out)
{
	(void)ctx;
	(void)again;
	return buf_add(out, "secret", 6);
}

struct fixture {
	char dir[64];
	char url[80], cache[80];
	struct repo *repo;
	struct mac *mac;
	struct writer *writer[WRITERS];
	struct thaw_plan *plan;
};

static int
setup(void **ctx)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct repo_conf conf = { .password = password,
	    .kdf_memory = REPO_KDF_MIN, .cache_limit = CACHE_LIMIT_MIN };
	const struct writer_conf wc = WRITER_CONF_DEFAULT;
	struct config config;
	int i;

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/firn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->url, sizeof(f->url), "%s/repo", f->dir);
	snprintf(f->cache, sizeof(f->cache), "%s/cache", f->dir);
	conf.url = f->url;
	conf.cache_dir = f->cache;
	config_default(&config);
	assert_int_equal(repo_init(&conf, &config, "t", &f->repo), 0);
	assert_int_equal(mac_new(repo_keys(f->repo)->block_id, KEY_SIZE,
	    &f->mac), 0);
	for (i = 0; i < WRITERS; i++)
		assert_int_equal(writer_new(f->repo, &wc, &f->writer[i]), 0);
	*ctx = f;
	return 0;
}

static int
teardown(void **ctx)
{
	struct fixture *f = *ctx;
	char command[128];
	int i;

	thaw_plan_free(f->plan);
	for (i = 0; i < WRITERS; i++)
		writer_free(f->writer[i]);
	mac_free(f->mac);
	repo_close(f->repo);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void
contents(char name, uint8_t data[LEN])
{
	uint32_t i, x = (uint32_t)name * 2654435761u;

	for (i = 0; i < LEN; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (uint8_t)(x >> 24);
	}
}

static void
id_of(struct fixture *f, char name, uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t data[LEN];

	contents(name, data);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, LEN, id), 0);
}

/* A pack of writer w with these blocks, a letter each. */
static void
pack_of(struct fixture *f, int w, const char *blocks)
{
	uint8_t data[LEN], id[BLOCK_ID_SIZE];

	for (; *blocks != '\0'; blocks++) {
		contents(*blocks, data);
		id_of(f, *blocks, id);
		assert_int_equal(writer_add(f->writer[w], BLOCK_DATA, id, data,
		    LEN, NULL), 0);
	}
}

/* Until now no writer knows of what the others hold. */
static void
flush(struct fixture *f)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		assert_int_equal(writer_flush(f->writer[i]), 0);
}

static void
want(struct fixture *f, const char *blocks)
{
	uint8_t id[BLOCK_ID_SIZE];

	thaw_plan_free(f->plan);
	f->plan = NULL;
	assert_int_equal(thaw_plan_new(f->repo, NULL, &f->plan), 0);
	for (; *blocks != '\0'; blocks++) {
		id_of(f, *blocks, id);
		assert_int_equal(thaw_plan_block(f->plan, id, LEN), 0);
	}
	assert_int_equal(thaw_look(f->repo, thaw_plan_packs(f->plan), 0), 0);
}

/* The pack of a block that no other pack has. */
static struct pack_info *
pack_with(struct fixture *f, char block)
{
	uint8_t id[BLOCK_ID_SIZE];
	struct index_place at;
	struct pack_info *p;

	id_of(f, block, id);
	assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA, id,
	    &at, 1), 1);
	p = packset_find(thaw_plan_packs(f->plan), at.pack);
	assert_non_null(p);
	return p;
}

static void
all_cold(struct fixture *f)
{
	struct packset *s = thaw_plan_packs(f->plan);
	size_t i;

	for (i = 0; i < s->n; i++)
		s->v[i].state = STORE_COLD;
}

static unsigned
chosen(struct fixture *f)
{
	struct packset *s = thaw_plan_packs(f->plan);
	unsigned n = 0;
	size_t i;

	assert_int_equal(thaw_plan_choose(f->plan), 0);
	for (i = 0; i < s->n; i++)
		n += (s->v[i].flags & PACK_NEEDED) != 0;
	return n;
}

/* a and b lie in the pack of writer 0 alone, c in 0 and 1, d in 1 and 2, ... */
static void
three_packs(struct fixture *f)
{
	pack_of(f, 0, "abcx");
	pack_of(f, 1, "cdexyz");
	pack_of(f, 2, "defyz");
	flush(f);
}

static void
test_sole(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;

	three_packs(f);
	want(f, "ab");
	all_cold(f);
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.blocks, 2);
	assert_int_equal(t.bytes, 2 * LEN);
	assert_int_equal(t.cached + t.lost, 0);
}

static void
test_index_has_all_places(void **ctx)
{
	struct fixture *f = *ctx;
	struct index_place at[4], one;
	uint8_t id[BLOCK_ID_SIZE];
	static const struct { char block; int n; } want[] = {
	    { 'a', 1 }, { 'c', 2 }, { 'd', 2 }, { 'f', 1 } };
	size_t i;

	three_packs(f);
	for (i = 0; i < 4; i++) {
		id_of(f, want[i].block, id);
		assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA,
		    id, at, 4), want[i].n);
		assert_int_equal(index_find(repo_index(f->repo), PACK_DATA,
		    id, &one), 1);
		assert_memory_equal(&one, &at[0], sizeof(one));
		assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA,
		    id, at, 1), 1);
	}
	memset(id, 7, sizeof(id));
	assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA, id, at,
	    4), 0);
}

/* What is needed anyway serves for what lies elsewhere too. */
static void
test_needed_anyway(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "acx");
	all_cold(f);
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	/* f is the third's alone, and with it go d and e. */
	want(f, "acdef");
	all_cold(f);
	assert_int_equal(chosen(f), 2);
	assert_true(pack_with(f, 'a')->flags & PACK_NEEDED);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);
}

/* One pack that has all of them rather than two that have them together. */
static void
test_fewest(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "cdyz");
	assert_int_equal(thaw_plan_packs(f->plan)->n, 3);
	all_cold(f);
	assert_int_equal(chosen(f), 1);
}

static void
test_readable_first(void **ctx)
{
	struct fixture *f = *ctx;

	three_packs(f);
	want(f, "afcdyz");	/* so that the packs can be told */
	all_cold(f);
	/* c would be the first's anyway; d, y and z lie in the hot third. */
	pack_with(f, 'f')->state = STORE_THAWED;
	assert_int_equal(chosen(f), 2);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);

	/* c lies in two. */
	want(f, "c");
	all_cold(f);
	thaw_plan_packs(f->plan)->v[1].state = STORE_THAWING;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[1].flags & PACK_NEEDED);
	thaw_plan_packs(f->plan)->v[0].state = STORE_HOT;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[0].flags & PACK_NEEDED);
	/* One that is gone is no choice. */
	thaw_plan_packs(f->plan)->v[0].flags &= ~(unsigned)PACK_SEEN;
	assert_int_equal(chosen(f), 1);
	assert_true(thaw_plan_packs(f->plan)->v[1].flags & PACK_NEEDED);
}

static void
test_unknown_block(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;

	three_packs(f);
	want(f, "aQ");
	assert_int_equal(chosen(f), 1);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.lost, 1);
}

/* What the disk cache holds needs no pack. */
static void
test_cached(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_plan_totals t;
	uint8_t id[BLOCK_ID_SIZE];
	struct blockref ref;
	struct reader *rd;

	three_packs(f);
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	id_of(f, 'a', id);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), 0);
	blockref_put(rd, &ref);
	reader_free(rd);
	want(f, "abc");		/* one small pack is one cell */
	assert_int_equal(thaw_plan_packs(f->plan)->n, 0);
	thaw_plan_totals(f->plan, &t);
	assert_int_equal(t.cached, 3 * LEN);
	want(f, "abf");
	assert_int_equal(chosen(f), 1);
	assert_true(pack_with(f, 'f')->flags & PACK_NEEDED);
}

/* A reader takes the copy that can be read. */
static void
test_reader_elsewhere(void **ctx)
{
	struct fixture *f = *ctx;
	struct store_fault_conf fault = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = 1, .every = 1,
	    .err = -FIRN_ECOLD };
	char name[STORE_NAME_MAX + 1];
	uint8_t id[BLOCK_ID_SIZE];
	struct index_place at;
	struct blockref ref;
	struct reader *rd;
	struct store *wrapped;

	three_packs(f);
	id_of(f, 'd', id);
	assert_int_equal(index_find(repo_index(f->repo), PACK_DATA, id, &at),
	    1);
	repo_pack_name(PACK_DATA, at.pack, name);
	fault.prefix = name;
	assert_int_equal(store_fault_wrap(f->repo->store, &fault, &wrapped),
	    0);
	f->repo->store = wrapped;
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), 0);
	assert_int_equal(ref.len, LEN);
	blockref_put(rd, &ref);
	assert_true(store_fault_hits(wrapped) > 0);
	/* One that lies there alone is cold. */
	fault.prefix = "data/";
	store_fault_set(wrapped, &fault);
	id_of(f, 'a', id);
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), -FIRN_ECOLD);
	reader_free(rd);
}

/* --- quotes ------------------------------------------------------------- */

#define MIB	(1u << 20)

static void
put(struct packset *s, uint8_t n, const char *class, enum store_state state,
    time_t expires)
{
	uint8_t id[OBJECT_ID_SIZE] = { n };
	size_t number;

	assert_int_equal(packset_add(s, id, 32 * MIB, &number), 1);
	s->v[number].flags = PACK_SEEN | PACK_NEEDED;
	s->v[number].state = state;
	s->v[number].expires = expires;
	s->v[number].class = packset_class(s, class);
}

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

/* --- jobs --------------------------------------------------------------- */

static void
job_make(struct thaw_job *j, enum store_thaw_tier tier, unsigned packs)
{
	struct thaw_wish wish = { .tier = tier, .days = 5 };
	unsigned i;

	thaw_job_init(j, &wish, "latest /etc\nx");
	for (i = 0; i < packs; i++)
		put(&j->packs, (uint8_t)i, "GLACIER", STORE_COLD, 0);
}

static void
test_job_text(void **ctx)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX), again =
	    BUF_INIT(THAW_JOB_MAX);
	struct thaw_job j, k;
	size_t len;

	(void)ctx;
	job_make(&j, STORE_THAW_BULK, 4);
	j.packs.v[1].flags = PACK_SEEN;		/* was given up */
	j.agreed = 1000000;
	j.spent = UINT64_MAX;
	assert_string_equal(j.what, "latest /etc?x");
	assert_int_equal(strlen(j.name), THAW_JOB_NAME - 1);
	assert_int_equal(thaw_job_encode(&j, &text), 0);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k), 0);
	assert_int_equal(k.packs.n, 3);
	assert_int_equal(k.wish.tier, STORE_THAW_BULK);
	assert_int_equal(k.wish.days, 5);
	assert_int_equal(k.made, j.made);
	assert_int_equal(k.agreed, 1000000);
	assert_int_equal(k.spent, 999999999999999999);
	assert_true(k.budget == UINT64_MAX);
	assert_null(packset_find(&k.packs, j.packs.v[1].id));
	assert_int_equal(thaw_job_encode(&k, &again), 0);
	assert_int_equal(again.len, text.len);
	assert_memory_equal(again.data, text.data, text.len);
	thaw_job_release(&k);
	for (len = 0; len < text.len; len++)
		assert_int_equal(thaw_job_decode(text.data, len, &k),
		    -FIRN_ECORRUPT);
	thaw_job_release(&j);
	buf_release(&text);
	buf_release(&again);
}

/* A job whose only one is loaded. */
static int
on_only(void *ctx, struct thaw_job *j)
{
	struct thaw_job *out = ctx;

	*out = *j;
	packset_init(&j->packs);
	return 0;
}

/* Killed with requests under way: what they cost is known after a look. */
static void
test_job_notes(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_job j, k;
	unsigned i;
	int fd;

	job_make(&j, STORE_THAW_BULK, 4);
	j.spent = 1000;
	assert_int_equal(thaw_job_save(f->repo, &j), 0);
	assert_int_equal(thaw_job_open(f->repo, &j, &fd), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(thaw_job_note(fd, THAW_JOB_ASKS,
		    j.packs.v[i].id, 10), 0);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_PAID, j.packs.v[0].id, 12),
	    0);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_PAID, j.packs.v[3].id, 0),
	    0);
	assert_int_equal(write(fd, "paid 0", 6), 6);
	close(fd);
	assert_int_equal(thaw_job_each(f->repo, on_only, &k), 0);
	assert_int_equal(k.packs.n, 4);
	assert_int_equal(k.spent, 1012);
	assert_int_equal(k.ndoubts, 2);
	assert_int_equal(thaw_job_spent(&k), 1032);
	/* Written anew it says the same. */
	assert_int_equal(thaw_job_save(f->repo, &k), 0);
	thaw_job_release(&k);
	assert_int_equal(thaw_job_each(f->repo, on_only, &k), 0);
	assert_int_equal(k.spent, 1012);
	assert_int_equal(k.ndoubts, 2);
	for (i = 0; i < 4; i++)
		k.packs.v[i].state = i == 1 ? STORE_THAWING : STORE_COLD;
	thaw_job_settle(&k, &k.packs);
	assert_int_equal(k.spent, 1022);
	assert_int_equal(k.ndoubts, 0);
	/* One that was cancelled meanwhile is not made again. */
	assert_int_equal(thaw_job_remove(f->repo, k.name), 0);
	assert_int_equal(thaw_job_open(f->repo, &k, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(thaw_job_note(fd, THAW_JOB_ASKS, j.packs.v[0].id, 10),
	    0);
	assert_int_equal(thaw_job_exists(f->repo, &k), 0);
	thaw_job_release(&j);
	thaw_job_release(&k);
}

/* More in doubt than can be: the oldest count as spent. */
static void
test_job_doubts(void **ctx)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX);
	struct thaw_job j, k;
	unsigned i;

	(void)ctx;
	job_make(&j, STORE_THAW_BULK, 1);
	assert_int_equal(thaw_job_encode(&j, &text), 0);
	for (i = 0; i < THAW_DOUBTS + 3; i++)
		buf_printf(&text, "asks %064x 10\n", i);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k), 0);
	assert_int_equal(k.ndoubts, THAW_DOUBTS);
	assert_int_equal(k.spent, 30);
	thaw_job_settle(&k, &k.packs);
	assert_int_equal(k.spent, 10 * (THAW_DOUBTS + 3));
	thaw_job_release(&k);
	buf_printf(&text, "owes %064x 10\n", 1);
	assert_int_equal(thaw_job_decode(text.data, text.len, &k),
	    -FIRN_ECORRUPT);
	thaw_job_release(&j);
	buf_release(&text);
}

static int
on_job(void *ctx, struct thaw_job *j)
{
	unsigned *seen = ctx;

	seen[0]++;
	seen[1] += (unsigned)j->packs.n;
	return 0;
}

static void
test_job_files(void **ctx)
{
	struct fixture *f = *ctx;
	unsigned seen[2] = { 0 };
	struct thaw_job a, b;
	char path[256];
	struct packset s;
	FILE *bad;

	assert_int_equal(thaw_job_each(f->repo, on_job, seen), 0);
	job_make(&a, STORE_THAW_BULK, 3);
	job_make(&b, STORE_THAW_STANDARD, 2);
	assert_int_equal(thaw_job_exists(f->repo, &a), 0);
	assert_int_equal(thaw_job_save(f->repo, &a), 0);
	assert_int_equal(thaw_job_save(f->repo, &b), 0);
	assert_int_equal(thaw_job_exists(f->repo, &a), 1);
	snprintf(path, sizeof(path), "%s/thaw/0123456789abcdef",
	    repo_state_dir(f->repo));
	bad = fopen(path, "w");
	assert_non_null(bad);
	fputs("firn-thaw 1\ntier b", bad);
	fclose(bad);
	assert_int_equal(thaw_job_each(f->repo, on_job, seen), 0);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 5);
	assert_int_equal(access(path, F_OK), -1);
	/* The faster of two counts. */
	packset_init(&s);
	put(&s, 0, "GLACIER", STORE_THAWING, 0);
	put(&s, 2, "GLACIER", STORE_THAWING, 0);
	put(&s, 9, "GLACIER", STORE_THAWING, 0);
	assert_int_equal(thaw_job_recall(f->repo, &s), 0);
	assert_int_equal(s.v[0].tier, STORE_THAW_STANDARD);
	assert_int_equal(s.v[1].tier, STORE_THAW_BULK);
	assert_int_equal(s.v[1].days, 5);
	assert_int_equal(s.v[2].tier, STORE_THAW_TIERS);
	packset_release(&s);
	assert_int_equal(thaw_job_remove(f->repo, a.name), 0);
	assert_int_equal(thaw_job_remove(f->repo, a.name), 0);
	assert_int_equal(thaw_job_exists(f->repo, &a), 0);
	thaw_job_release(&a);
	thaw_job_release(&b);
}

static void
test_lock(void **ctx)
{
	struct fixture *f = *ctx;
	static const volatile int stop = 1;
	int a, b;

	assert_int_equal(thaw_lock(f->repo, NULL, &a), 0);
	assert_int_equal(thaw_lock(f->repo, &stop, &b), -ECANCELED);
	assert_int_equal(b, -1);
	thaw_unlock(a);
	assert_int_equal(thaw_lock(f->repo, &stop, &b), 0);
	thaw_unlock(b);
}

/* A store without an archive: nothing is cold, and nothing asked for. */
static void
test_send_local(void **ctx)
{
	struct fixture *f = *ctx;
	struct thaw_send_conf conf = { .wish = {
	    .tier = STORE_THAW_BULK, .days = 1 } };
	struct thaw_sent sent;

	three_packs(f);
	want(f, "af");
	assert_int_equal(chosen(f), 2);
	assert_true(pack_is_readable(pack_with(f, 'a')));
	assert_int_equal(thaw_send(f->repo, thaw_plan_packs(f->plan), &conf,
	    &sent), 0);
	assert_int_equal(sent.asked.packs + sent.failed + sent.running, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_has_all_places,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_needed_anyway, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_fewest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_readable_first, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unknown_block, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_cached, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_elsewhere, setup,
		    teardown),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_price),
		cmocka_unit_test(test_need),
		cmocka_unit_test(test_unsure),
		cmocka_unit_test(test_packset),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_job_text),
		cmocka_unit_test_setup_teardown(test_job_notes, setup,
		    teardown),
		cmocka_unit_test(test_job_doubts),
		cmocka_unit_test_setup_teardown(test_job_files, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_local, setup,
		    teardown),
	};

	log_init("test", LOG_LEVEL_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
