/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract suite: lists, and names.
 */
#include "store_contract_internal.h"

void
test_list_empty(void **state)
{
	struct store *s = ((struct fixture *)*state)->s;
	struct seen v = { NULL, 0, 0, 0 };

	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(store_list(s, "data/", see, &v), 0);
	assert_int_equal(store_list(s, "data/ab", see, &v), 0);
}

void
test_list_odd(void **state)
{
	static const char *const names[] = {
		"...", "..a/b", "-/-/-", "0", "T", "Z.T_-9", "_", "a-b", "a.",
		"a.b", "a/.x", "a/b/c/d/e/f/g", "a/b0", "a/tmp/x", "a0",
		"a_b", "tmp.x", "tmp0/x", "tmp-",
		"gen/2026-11-20T115739Z",
	};
	struct store *s = ((struct fixture *)*state)->s;
	char name[64][STORE_NAME_MAX + 1], longest[STORE_NAME_MAX + 1];
	size_t n = sizeof(names) / sizeof(names[0]), i;
	struct seen v = { name, 0, 64, 0 };

	memset(longest, 'z', STORE_NAME_MAX);
	longest[100] = '/';
	longest[STORE_NAME_MAX] = '\0';
	put_text(s, longest, "long");
	for (i = 0; i < n; i++)
		put_text(s, names[i], names[i]);
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, n + 1);
	assert_sorted(&v);
	for (i = 0; i < n; i++)
		assert_object(s, names[i], names[i], strlen(names[i]));
	/* Prefixes that end anywhere. */
	v.n = 0;
	assert_int_equal(store_list(s, "a", see, &v), 0);
	assert_int_equal(v.n, 9);
	v.n = 0;
	assert_int_equal(store_list(s, "a/b", see, &v), 0);
	assert_int_equal(v.n, 2);
	v.n = 0;
	assert_int_equal(store_list(s, "a/b/", see, &v), 0);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.name[0], "a/b/c/d/e/f/g");
	v.n = 0;
	assert_int_equal(store_list(s, "a/b0", see, &v), 0);
	assert_int_equal(v.n, 1);
	/* fn's answer ends it. */
	v.n = 0;
	v.max = 3;
	assert_int_equal(store_list(s, "", see, &v), 77);
}

static int
job_put_many(struct gang *g, size_t i)
{
	char name[64];

	snprintf(name, sizeof(name), "data/%02zx/%06zx", i * 7 % 13, i);
	return store_put(g->s, name, name, 7, NULL, 0);
}

static int
job_del_many(struct gang *g, size_t i)
{
	char name[64];

	snprintf(name, sizeof(name), "data/%02zx/%06zx", i * 7 % 13, i);
	return store_del(g->s, name);
}

void
test_list_many(void **state)
{
	static struct gang g;
	struct store *s = ((struct fixture *)*state)->s;
	struct seen v = { NULL, 0, MANY + 2, 0 };
	size_t i, n = takes_turns() ? MORE_THAN_A_PAGE : MANY;

	v.name = test_malloc(v.max * sizeof(*v.name));
	gang_run(&g, s, n, job_put_many);
	for (i = 0; i < n; i++)
		assert_int_equal(g.result[i], 0);
	put_text(s, "config", "c");
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, n + 1);
	assert_int_equal(v.bytes, n * 7 + 1);
	assert_sorted(&v);
	v.n = 0;
	assert_int_equal(store_list(s, "data/", see, &v), 0);
	assert_int_equal(v.n, n);
	gang_run(&g, s, n, job_del_many);
	for (i = 0; i < n; i++)
		assert_int_equal(g.result[i], 0);
	v.n = 0;
	assert_int_equal(store_list(s, "", see, &v), 0);
	assert_int_equal(v.n, 1);
	test_free(v.name);
}

void
test_names(void **state)
{
	static const char *const bad[] = {
		"", "/", "a/", "/a", "a//b", ".", "..", "./a", "a/.", "a/../b",
		"a b", "A", "a\n", "\xc3\xa9", "a%41", "a+b", "a\\b", "a:b",
		"tmp", "tmp/x", "*",
	};
	struct store *s = ((struct fixture *)*state)->s;
	char longest[STORE_NAME_MAX + 2];
	struct seen v = { NULL, 0, 0, 0 };
	struct store_stat st;
	size_t i, got;
	uint8_t b;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_put(s, bad[i], "", 0, NULL, 0),
		    -EINVAL);
		assert_int_equal(store_get(s, bad[i], 0, &b, 1, &got),
		    -EINVAL);
		assert_int_equal(store_stat(s, bad[i], &st), -EINVAL);
		assert_int_equal(store_del(s, bad[i]), -EINVAL);
	}
	memset(longest, 'z', sizeof(longest));
	longest[STORE_NAME_MAX + 1] = '\0';
	assert_int_equal(store_put(s, longest, "", 0, NULL, 0), -EINVAL);
	assert_int_equal(store_list(s, "../", see, &v), -EINVAL);
	assert_int_equal(store_list(s, "a//", see, &v), -EINVAL);
	assert_int_equal(store_list(s, "", see, &v), 0);
}
