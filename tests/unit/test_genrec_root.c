/* SPDX-License-Identifier: Apache-2.0 */
/* The root's own entry in a generation record. */
#include "genrec_test.h"

#include "golden/genrec_root.h"

static void
test_golden_root(void **state)
{
	struct genrec want, got;
	struct buf b = BUF_INIT(GENREC_MAX);
	struct entry e;

	(void)state;
	golden_root_value(&want);
	assert_int_equal(genrec_write(&want, &b), 0);
	assert_int_equal(b.len, strlen(golden_genrec_root_json));
	assert_memory_equal(b.data, golden_genrec_root_json, b.len);
	assert_int_equal(genrec_decode(golden_genrec_root,
	    sizeof(golden_genrec_root), &owner, golden_genrec_root_name,
	    &got), 0);
	assert_record(&want, &got);
	assert_int_equal(genrec_root_entry(&got, &e), 1);
	assert_int_equal(e.mode, S_IFDIR | 01751);
	assert_int_equal(e.mtime.tv_sec, -1);
	assert_int_equal(e.xattrlen, 9);
	genrec_release(&want);
	genrec_release(&got);
	buf_release(&b);
}

/* What a root_entry may not be; *e is that of golden_root_value(). */
static void
refuse_root(void (*spoil)(struct genrec *g, struct entry *e))
{
	struct genrec g, got;
	struct buf b = BUF_INIT(GENREC_MAX);
	struct entry e;

	golden_root_value(&g);
	assert_int_equal(genrec_root_entry(&g, &e), 1);
	spoil(&g, &e);
	assert_int_equal(genrec_write(&g, &b), -EINVAL);
	buf_release(&b);
	genrec_release(&g);
	genrec_init(&got);
	assert_int_equal(genrec_root_entry(&got, &e), 0);
}

static void
reset_root(struct genrec *g, const struct entry *e)
{
	struct buf b = BUF_INIT(GENREC_MAX);

	/* e points into what is replaced. */
	assert_int_equal(entry_encode(e, &b), 0);
	free(g->root_entry);
	g->root_entry = b.data;
	g->root_entrylen = b.len;
}

static void
spoil_name(struct genrec *g, struct entry *e)
{
	e->name = "toor";
	reset_root(g, e);
}

static void
spoil_type(struct genrec *g, struct entry *e)
{
	e->mode = S_IFIFO | 0600;
	e->flags = 0;
	reset_root(g, e);
}

static void
spoil_id(struct genrec *g, struct entry *e)
{
	e->tree_id[31] ^= 1;
	reset_root(g, e);
}

static void
spoil_end(struct genrec *g, struct entry *e)
{
	(void)e;
	g->root_entrylen--;
}

static void
spoil_more(struct genrec *g, struct entry *e)
{
	(void)e;
	g->root_entry = realloc(g->root_entry, g->root_entrylen + 1);
	assert_non_null(g->root_entry);
	g->root_entry[g->root_entrylen++] = 0;
}

static void
test_root_rules(void **state)
{
	static const char *const bad[] = { "\"0\"", "\"0G\"", "\"\"", "7",
	    "\"04726f6f74\"" };
	char text[4096];
	struct genrec got;
	char *at;
	size_t i;

	(void)state;
	refuse_root(spoil_name);
	refuse_root(spoil_type);
	refuse_root(spoil_id);
	refuse_root(spoil_end);
	refuse_root(spoil_more);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		at = strstr(golden_genrec_root_json, "\"root_entry\":");
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s\"root_entry\":%s%s",
		    (int)(at - golden_genrec_root_json),
		    golden_genrec_root_json, bad[i], strchr(at, ','));
		assert_int_equal(genrec_parse(text, strlen(text), &got),
		    -FIRN_ECORRUPT);
		genrec_release(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_root),
		cmocka_unit_test(test_root_rules)
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
