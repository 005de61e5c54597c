/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract suite.  Each test gets an empty place, and opens as many
 * handles onto it as it needs.
 */
#include "store_contract_internal.h"

static int
setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->c = *state;
	if (f->c->make(f->c->ctx) != 0)
		return -1;
	*state = f;
	return f->c->open(f->c->ctx, &f->s);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	f->c->unmake(f->c->ctx);
	*state = NULL;
	test_free(f);
	return 0;
}

static void
test_put_get(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t buf[16], sha[HASH_SIZE];
	size_t got = 99;

	assert_int_equal(store_get(s, "data/ab/none", 0, buf, 4, &got),
	    -ENOENT);
	assert_int_equal(got, 0);
	put_text(s, "data/ab/one", "0123456789");
	assert_int_equal(store_get(s, "data/ab/one", 0, buf, 10, &got), 0);
	assert_int_equal(got, 10);
	assert_memory_equal(buf, "0123456789", 10);
	/* The same again, with its hash. */
	assert_int_equal(hash_sha256("0123456789", 10, sha), 0);
	assert_int_equal(store_put(s, "data/ab/one", "0123456789", 10, sha, 0),
	    0);
	assert_object(s, "data/ab/one", "0123456789", 10);
	/* A directory is no object. */
	assert_int_equal(store_get(s, "data/ab", 0, buf, 4, &got), -ENOENT);
	assert_int_equal(store_get(s, "data/ab/one/x", 0, buf, 4, &got),
	    -ENOENT);
}

static void
test_ranges(void **state)
{
	static const struct { uint64_t off; size_t len, got; } r[] = {
		{ 0, 1, 1 }, { 0, 9, 9 }, { 0, 10, 10 }, { 0, 16, 10 },
		{ 3, 4, 4 }, { 9, 1, 1 }, { 9, 16, 1 }, { 10, 1, 0 },
		{ 11, 16, 0 }, { 1u << 31, 4, 0 }, { 1ull << 62, 16, 0 },
		{ UINT64_MAX, 16, 0 }, { 2, 0, 0 }, { 10, 0, 0 },
	};
	static const char digits[] = "0123456789";
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t buf[17];
	size_t i, got;

	put_text(s, "config", digits);
	for (i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
		memset(buf, '#', sizeof(buf));
		assert_int_equal(store_get(s, "config", r[i].off, buf, r[i].len,
		    &got), 0);
		assert_int_equal(got, r[i].got);
		if (got > 0)
			assert_memory_equal(buf, &digits[r[i].off], got);
		assert_int_equal(buf[r[i].len], '#');
	}
	assert_int_equal(store_get(s, "none", 0, buf, 0, &got), -ENOENT);
	assert_int_equal(store_get(s, "none", 1u << 20, buf, 1, &got),
	    -ENOENT);
}

static void
test_empty_object(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_stat st;
	uint8_t buf[4];
	size_t got = 1;

	assert_int_equal(store_put(s, "keys/empty", NULL, 0, NULL,
	    STORE_IF_ABSENT), 0);
	assert_int_equal(store_put(s, "keys/empty", NULL, 0, NULL,
	    STORE_IF_ABSENT), -EEXIST);
	assert_int_equal(store_get(s, "keys/empty", 0, buf, 4, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(store_get(s, "keys/empty", 3, buf, 4, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(store_stat(s, "keys/empty", &st), 0);
	assert_int_equal(st.size, 0);
	assert_object(s, "keys/empty", "", 0);
}

static void
test_stat(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	uint8_t sha[HASH_SIZE];
	struct store_stat st;
	time_t now = time(NULL);

	assert_int_equal(store_stat(s, "gen/none", &st), -ENOENT);
	put_text(s, "gen/one", "hello");
	assert_int_equal(store_stat(s, "gen/one", &st), 0);
	assert_int_equal(st.size, 5);
	assert_true(st.mtime.tv_sec > now - 600 && st.mtime.tv_sec < now + 600);
	assert_int_equal(hash_sha256("hello", 5, sha), 0);
	if (st.has_sha256)
		assert_memory_equal(st.sha256, sha, HASH_SIZE);
	assert_int_equal(store_stat(s, "gen", &st), -ENOENT);
}

/* Another class keeps all but the class.  FIRN_TEST_STORE_CLASS names one that
 * the server has and reads at once. */
static void
test_class(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	const char *class_name = getenv("FIRN_TEST_STORE_CLASS");
	struct store_stat before, after;
	int ret;

	put_text(s, "data/ab/one", "0123456789");
	assert_int_equal(store_stat(s, "data/ab/one", &before), 0);
	assert_int_equal(before.state, STORE_HOT);
	assert_int_equal(before.state_known, 1);
	assert_string_equal(before.class_name, store_local_path(s) != NULL ?
	    "" : "STANDARD");
	ret = store_thaw(s, "data/ab/one", STORE_THAW_BULK, 1);
	assert_true(ret == -EOPNOTSUPP || (ret == -EINVAL &&
	    store_local_path(s) == NULL));
	if (class_name == NULL)
		class_name = "STANDARD_IA";
	ret = store_set_class(s, "data/ab/one", class_name);
	assert_int_equal(ret, store_local_path(s) != NULL ? -EOPNOTSUPP : 0);
	assert_object(s, "data/ab/one", "0123456789", 10);
	assert_int_equal(store_stat(s, "data/ab/one", &after), 0);
	if (ret == 0)
		assert_string_equal(after.class_name, class_name);
	assert_int_equal(after.size, before.size);
	if (before.has_sha256 && after.has_sha256)
		assert_memory_equal(before.sha256, after.sha256, HASH_SIZE);
	assert_int_equal(store_set_class(s, "none", class_name), ret == 0 ?
	    -ENOENT : ret);
}

static void
test_del(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_stat st;
	uint8_t b;
	size_t got;

	assert_int_equal(store_del(s, "data/ab/none"), 0);
	put_text(s, "data/ab/one", "x");
	assert_object(s, "data/ab/one", "x", 1);
	assert_int_equal(store_del(s, "data/ab/one"), 0);
	assert_int_equal(store_get(s, "data/ab/one", 0, &b, 1, &got), -ENOENT);
	assert_int_equal(store_stat(s, "data/ab/one", &st), -ENOENT);
	assert_int_equal(store_del(s, "data/ab/one"), 0);
	assert_int_equal(store_del(s, "data/ab"), 0);
	put_text(s, "data/ab/one", "other");
	assert_object(s, "data/ab/one", "other", 5);
}

static void
test_load(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct buf b = BUF_INIT(100000 + 3);
	uint8_t *data = test_malloc(100001);

	fill(data, 100001, 1);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(store_load(s, "none", &b), -ENOENT);
	assert_int_equal(store_put(s, "fits", data, 100000, NULL, 0), 0);
	assert_int_equal(store_load(s, "fits", &b), 0);
	assert_int_equal(b.len, 100003);
	assert_memory_equal(b.data, "abc", 3);
	assert_memory_equal(b.data + 3, data, 100000);
	assert_int_equal(store_put(s, "over", data, 100001, NULL, 0), 0);
	buf_reset(&b);
	assert_int_equal(buf_add(&b, "abc", 3), 0);
	assert_int_equal(store_load(s, "over", &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 3);
	buf_release(&b);
	test_free(data);
}

static void
test_big(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = test_malloc(BIG), *back = test_malloc(BIG);
	struct store_stat st;
	struct store *other;
	size_t got;

	fill(data, BIG, 2);
	assert_int_equal(store_put(f->s, "data/ff/big", data, BIG, NULL, 0), 0);
	assert_int_equal(f->c->open(f->c->ctx, &other), 0);
	assert_int_equal(store_stat(other, "data/ff/big", &st), 0);
	assert_int_equal(st.size, BIG);
	assert_int_equal(store_get(other, "data/ff/big", 0, back, BIG, &got),
	    0);
	assert_int_equal(got, BIG);
	assert_memory_equal(back, data, BIG);
	assert_int_equal(store_get(other, "data/ff/big", BIG - 100, back, 4096,
	    &got), 0);
	assert_int_equal(got, 100);
	assert_memory_equal(back, data + BIG - 100, 100);
	store_close(other);
	test_free(data);
	test_free(back);
}

static void
test_counters(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct store_counters c;
	struct store_stat st;

	put_text(s, "a", "abc");
	assert_object(s, "a", "abc", 3);
	assert_int_equal(store_stat(s, "none", &st), -ENOENT);
	store_count(s, &c);
	assert_true(c.requests[STORE_PUT] >= 1 && c.requests[STORE_GET] >= 1);
	assert_true(c.requests[STORE_STAT] >= 1);
	assert_int_equal(c.errors[STORE_STAT], 0);
	assert_true(c.bytes_out >= 3 && c.bytes_in >= 3);
	assert_non_null(store_url(s));
}

static int
collect(void *ctx, const char *name, const struct store_stat *st)
{
	(void)st;
	return buf_add(ctx, name, strlen(name) + 1);
}

int
store_contract_empty(struct store *s)
{
	struct buf b = BUF_INIT(16u << 20);
	size_t at;
	int err = store_list(s, "", collect, &b);

	for (at = 0; err == 0 && at < b.len;
	    at += strlen((char *)b.data + at) + 1)
		err = store_del(s, (char *)b.data + at);
	buf_release(&b);
	return err;
}

#define CASE(f) { #f, f, setup, teardown, state }

int
store_contract_run(const char *name, const struct store_contract *c)
{
	void *state = (void *)(uintptr_t)c;
	const struct CMUnitTest tests[] = {
		CASE(test_put_get),
		CASE(test_ranges),
		CASE(test_empty_object),
		CASE(test_stat),
		CASE(test_class),
		CASE(test_del),
		CASE(test_list_empty),
		CASE(test_list_odd),
		CASE(test_list_many),
		CASE(test_if_absent),
		CASE(test_if_absent_equal),
		CASE(test_put_same),
		CASE(test_churn),
		CASE(test_load),
		CASE(test_big),
		CASE(test_names),
		CASE(test_cancel),
		CASE(test_counters),
	};

	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
