/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thaws, states and classes of the store in a bucket, against the simulator;
 * see s3sim_test.h.
 */
#include "s3sim_test.h"

#include "base/err.h"
#include "crypto/hash.h"
#include "store/store_lifecycle.h"

/* All objects of the test, for the control. */
#define ALL	(((struct fixture *)*state)->prefix)

/* An object of this class. */
static void
put(struct store *s, const char *name, const char *class_name)
{
	assert_int_equal(store_put(s, name, "contents", 8, NULL, 0), 0);
	assert_int_equal(store_set_class(s, name, class_name), 0);
}

static void
assert_state(struct store *s, const char *name, enum store_state state,
    const char *class_name)
{
	struct store_stat st;

	assert_int_equal(store_stat(s, name, &st), 0);
	assert_int_equal(st.state, state);
	assert_string_equal(st.class_name, class_name);
	assert_int_equal(st.state_known, 1);
	assert_int_equal(st.expires != 0, state == STORE_THAWED);
	if (state == STORE_THAWED)
		assert_int_equal(st.expires % 86400, 0);
}

static int
get(struct store *s, const char *name)
{
	char b[8];
	size_t got;

	return store_get(s, name, 0, b, sizeof(b), &got);
}

static void
test_life(void **state)
{
	static const char *const cold[] = { "GLACIER", "DEEP_ARCHIVE" };
	struct store *s = store_of(state);
	struct store_counters n;
	char name[32];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "data/%d", i);
		put(s, name, cold[i]);
		assert_state(s, name, STORE_COLD, cold[i]);
		assert_int_equal(get(s, name), -FIRN_ECOLD);
		assert_int_equal(store_thaw(s, name, STORE_THAW_BULK, 1), 0);
		assert_state(s, name, STORE_THAWING, cold[i]);
		assert_int_equal(get(s, name), -FIRN_ECOLD);
		assert_int_equal(store_thaw(s, name, STORE_THAW_BULK, 1),
		    -EALREADY);
		/* Faster, and as many days. */
		assert_int_equal(store_thaw(s, name, STORE_THAW_STANDARD, 2),
		    -EALREADY);
		assert_int_equal(store_thaw(s, name, STORE_THAW_STANDARD, 1),
		    0);
		assert_int_equal(store_thaw(s, name, STORE_THAW_BULK, 1),
		    -EALREADY);
		assert_int_equal(store_set_class(s, name, "STANDARD"),
		    -FIRN_ECOLD);
		sim("POST", "ready", ALL);
		assert_state(s, name, STORE_THAWED, cold[i]);
		assert_int_equal(get(s, name), 0);
		assert_int_equal(store_thaw(s, name, STORE_THAW_BULK, 5), 1);
		sim("POST", "expire", ALL);
		assert_state(s, name, STORE_COLD, cold[i]);
		assert_int_equal(get(s, name), -FIRN_ECOLD);
	}
	store_count(s, &n);
	assert_int_equal(n.requests[STORE_COPY], 4);
	assert_int_equal(n.requests[STORE_THAW], 12);
	assert_int_equal(n.thaws[STORE_THAW_BULK], 4);
	assert_int_equal(n.thaws[STORE_THAW_STANDARD], 2);
	assert_int_equal(n.thaws[STORE_THAW_EXPEDITED], 0);
}

static void
test_answers(void **state)
{
	struct store *s = store_of(state);

	assert_int_equal(store_thaw(s, "none", STORE_THAW_BULK, 1), -ENOENT);
	put(s, "hot", "STANDARD_IA");
	assert_int_equal(store_thaw(s, "hot", STORE_THAW_BULK, 1), -EINVAL);
	put(s, "deep", "DEEP_ARCHIVE");
	assert_int_equal(store_thaw(s, "deep", STORE_THAW_EXPEDITED, 1),
	    -EOPNOTSUPP);
	put(s, "cold", "GLACIER");
	sim("POST", "quirks", "{\"add\": [\"no-expedited\"]}");
	assert_int_equal(store_thaw(s, "cold", STORE_THAW_EXPEDITED, 1),
	    -EAGAIN);
	sim("POST", "quirks", "{\"remove\": [\"no-expedited\"]}");
	fault("403", "RestoreObject", 1);
	assert_int_equal(store_thaw(s, "cold", STORE_THAW_BULK, 1), -EACCES);
	assert_non_null(strstr(((struct fixture *)*state)->last,
	    "s3:RestoreObject"));
	/* A server that says 200 for a thaw that it only begins. */
	sim("POST", "quirks", "{\"add\": [\"restore-200\"]}");
	assert_int_equal(store_thaw(s, "cold", STORE_THAW_BULK, 1), 0);
	sim("POST", "ready", ALL);
	assert_int_equal(store_thaw(s, "cold", STORE_THAW_BULK, 1), 1);
	sim("POST", "quirks", "{\"remove\": [\"restore-200\"]}");
}

/* The end of a thaw request whose first try met this. */
static void
thaw_after(struct store *s, unsigned i, const char *kind, int want)
{
	char name[32];
	struct store_counters n;

	print_message("thaw: %s\n", kind);
	snprintf(name, sizeof(name), "data/%u", i);
	put(s, name, "GLACIER");
	store_count(s, &n);
	fault(kind, "RestoreObject", 1);
	assert_int_equal(store_thaw(s, name, STORE_THAW_BULK, 1), want);
	assert_state(s, name, STORE_THAWING, "GLACIER");
}

static void
test_faults(void **state)
{
	struct store *s = store_of(state);
	struct store_counters n;

	thaw_after(s, 0, "500", 0);
	thaw_after(s, 1, "503-slowdown", 0);
	thaw_after(s, 2, "throttling", 0);
	thaw_after(s, 3, "200-error", 0);
	thaw_after(s, 4, "html", 0);
	thaw_after(s, 5, "reset-before", 0);
	thaw_after(s, 6, "lost-reply", 0);
	thaw_after(s, 7, "500-after-commit", 0);
	store_count(s, &n);
	assert_int_equal(n.throttled, 2);
}

/* What a listing said of each object. */
struct listed {
	struct store_stat st[8];
	unsigned n;
};

static int
list_one(void *ctx, const char *name, const struct store_stat *st)
{
	struct listed *l = ctx;

	(void)name;
	assert_true(l->n < 8);
	l->st[l->n++] = *st;
	return 0;
}

static void
assert_listed(struct store *s, int states, unsigned i, enum store_state state,
    int known, const char *class_name)
{
	struct listed l = { .n = 0 };

	assert_int_equal((states ? store_list_state : store_list)(s, "",
	    list_one, &l), 0);
	assert_true(i < l.n);
	assert_int_equal(l.st[i].state, state);
	assert_int_equal(l.st[i].state_known, known);
	assert_string_equal(l.st[i].class_name, class_name);
	assert_int_equal(l.st[i].expires != 0, state == STORE_THAWED);
}

static void
test_list(void **state)
{
	struct store *s = store_of(state);

	put(s, "a", "STANDARD_IA");
	put(s, "b", "GLACIER");
	put(s, "c", "DEEP_ARCHIVE");
	put(s, "d", "INTELLIGENT_TIERING");
	assert_int_equal(store_put(s, "e", "x", 1, NULL, 0), 0);
	assert_listed(s, 1, 0, STORE_HOT, 1, "STANDARD_IA");
	/* Nothing was restored yet: it may be a server that says nothing. */
	assert_listed(s, 1, 1, STORE_COLD, 0, "GLACIER");
	assert_int_equal(store_thaw(s, "c", STORE_THAW_BULK, 1), 0);
	assert_listed(s, 1, 1, STORE_COLD, 1, "GLACIER");
	assert_listed(s, 1, 2, STORE_THAWING, 1, "DEEP_ARCHIVE");
	sim("POST", "ready", ALL);
	assert_listed(s, 1, 2, STORE_THAWED, 1, "DEEP_ARCHIVE");
	assert_listed(s, 1, 3, STORE_HOT, 0, "INTELLIGENT_TIERING");
	assert_listed(s, 1, 4, STORE_HOT, 1, "STANDARD");
	/* Not asked for: not known. */
	assert_listed(s, 0, 2, STORE_COLD, 0, "DEEP_ARCHIVE");
	assert_listed(s, 0, 0, STORE_HOT, 1, "STANDARD_IA");
}

static void
test_list_ignored(void **state)
{
	struct store *s = store_of(state);

	sim("POST", "quirks", "{\"add\": [\"ignore-restore-status\"]}");
	put(s, "a", "GLACIER");
	assert_int_equal(store_thaw(s, "a", STORE_THAW_BULK, 1), 0);
	assert_listed(s, 1, 0, STORE_COLD, 0, "GLACIER");
	assert_state(s, "a", STORE_THAWING, "GLACIER");
	sim("POST", "quirks", "{\"remove\": [\"ignore-restore-status\"]}");
	assert_listed(s, 1, 0, STORE_THAWING, 1, "GLACIER");
}

static void
test_archive_tier(void **state)
{
	struct store *s = store_of(state);

	put(s, "a", "INTELLIGENT_TIERING");
	assert_state(s, "a", STORE_HOT, "INTELLIGENT_TIERING");
	assert_int_equal(store_thaw(s, "a", STORE_THAW_STANDARD, 0), -EINVAL);
	sim("POST", "archive", "{\"bucket\": \"bucket\", \"keys\": []}");
	assert_state(s, "a", STORE_HOT, "INTELLIGENT_TIERING");
	sim("POST", "archive", ALL);
	assert_state(s, "a", STORE_COLD, "INTELLIGENT_TIERING");
	assert_int_equal(get(s, "a"), -FIRN_ECOLD);
	assert_int_equal(store_thaw(s, "a", STORE_THAW_STANDARD, 0), 0);
	assert_state(s, "a", STORE_THAWING, "INTELLIGENT_TIERING");
	assert_listed(s, 1, 0, STORE_THAWING, 1, "INTELLIGENT_TIERING");
	assert_int_equal(store_thaw(s, "a", STORE_THAW_EXPEDITED, 0), 0);
	sim("POST", "ready", ALL);
	assert_state(s, "a", STORE_HOT, "INTELLIGENT_TIERING");
	assert_int_equal(get(s, "a"), 0);
}

static void
test_set_class(void **state)
{
	struct store *s = store_of(state);
	struct fixture *f = *state;
	struct store_counters n;
	struct store_stat st;
	uint8_t sha[HASH_SIZE];

	assert_int_equal(hash_sha256("contents", 8, sha), 0);
	put(s, "a", "ONEZONE_IA");
	assert_int_equal(store_stat(s, "a", &st), 0);
	assert_true(st.has_sha256 && st.size == 8);
	assert_memory_equal(st.sha256, sha, sizeof(sha));
	/* Once more is nothing. */
	store_count(s, &n);
	assert_int_equal(n.requests[STORE_COPY], 1);
	assert_int_equal(store_set_class(s, "a", "ONEZONE_IA"), 0);
	assert_int_equal(store_set_class(s, "a", "STANDARD"), 0);
	assert_state(s, "a", STORE_HOT, "STANDARD");
	store_count(s, &n);
	assert_int_equal(n.requests[STORE_COPY], 2);
	assert_int_equal(store_set_class(s, "none", "GLACIER"), -ENOENT);
	assert_int_equal(store_set_class(s, "a", "two words"), -EINVAL);
	assert_int_equal(store_set_class(s, "a", ""), -EINVAL);
	assert_int_equal(store_set_class(s, "a", "NO_SUCH_CLASS"), -EINVAL);
	assert_non_null(strstr(f->last, "no such storage class"));
	assert_state(s, "a", STORE_HOT, "STANDARD");
	assert_int_equal(get(s, "a"), 0);
}

static void
test_copy_faults(void **state)
{
	static const char *const kinds[] = { "500", "503-slowdown",
	    "200-error", "html", "garble", "reset-before", "lost-reply",
	    "500-after-commit", "shorten" };
	struct store *s = store_of(state);
	char name[32];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		print_message("copy: %s\n", kinds[i]);
		snprintf(name, sizeof(name), "data/%zu", i);
		assert_int_equal(store_put(s, name, "contents", 8, NULL, 0),
		    0);
		fault(kinds[i], "CopyObject", 1);
		assert_int_equal(store_set_class(s, name, "STANDARD_IA"), 0);
		assert_state(s, name, STORE_HOT, "STANDARD_IA");
		assert_int_equal(get(s, name), 0);
	}
	fault("403", "CopyObject", 1);
	assert_int_equal(store_set_class(s, name, "STANDARD"), -EACCES);
	assert_state(s, name, STORE_HOT, "STANDARD_IA");
}

static void
test_lifecycle(void **state)
{
	struct store *s = store_of(state), *other;
	struct store_lifecycle l;

	assert_int_equal(store_lifecycle_get(s, &l), 0);
	assert_int_equal(l.set + (int)l.others, 0);
	assert_int_equal(store_lifecycle_set(s, NULL, 0, &l), 0);
	assert_int_equal(store_lifecycle_set(s, "DEEP_ARCHIVE", 7, &l), 0);
	assert_int_equal(l.set, 1);
	/* That of another repository is another rule. */
	other = open_store(4);
	assert_int_equal(store_lifecycle_get(other, &l), 0);
	assert_int_equal(l.set, 0);
	assert_int_equal(l.others, 1);
	assert_int_equal(l.nharmful, 0);
	assert_int_equal(store_lifecycle_set(other, "GLACIER", 0, &l), 0);
	assert_int_equal(store_lifecycle_set(other, "STANDARD_IA", 7, &l),
	    -EINVAL);
	fault("200-error", "GetBucketLifecycle", 1);
	assert_int_equal(store_lifecycle_get(s, &l), 0);
	assert_true(l.set && l.days == 7 && l.others == 1);
	assert_string_equal(l.class_name, "DEEP_ARCHIVE");
	assert_int_equal(store_lifecycle_set(s, NULL, 0, &l), 0);
	assert_int_equal(l.set, 0);
	fault("403", "PutBucketLifecycle", 1);
	assert_int_equal(store_lifecycle_set(s, "GLACIER", 7, &l), -EACCES);
	assert_non_null(strstr(((struct fixture *)*state)->last,
	    "s3:PutLifecycleConfiguration"));
	assert_int_equal(store_lifecycle_get(other, &l), 0);
	assert_true(l.set && l.days == 0 && l.others == 0);
	assert_int_equal(store_lifecycle_set(other, NULL, 0, &l), 0);
	assert_int_equal(l.set + (int)l.others, 0);
	store_close(other);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_life),
		CASE(test_answers),
		CASE(test_faults),
		CASE(test_list),
		CASE(test_list_ignored),
		CASE(test_archive_tier),
		CASE(test_set_class),
		CASE(test_copy_faults),
		CASE(test_lifecycle),
	};

	return cmocka_run_group_tests_name("store_s3_cold", tests, NULL,
	    NULL) != 0;
}
