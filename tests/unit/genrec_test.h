/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of generation records share: the record whose bytes are golden,
 * and comparison of any two.
 */
#ifndef FIRN_TESTS_GENREC_TEST_H
#define FIRN_TESTS_GENREC_TEST_H

#include "keys_test.h"

#include "format/genrec.h"
#include "format/genrec_internal.h"

static inline char *
copy_of(const char *text)
{
	char *s = strdup(text);

	assert_non_null(s);
	return s;
}

static inline void
add_name(struct gen_name **v, size_t *n, uint64_t number, const char *name)
{
	*v = realloc(*v, (*n + 1) * sizeof(**v));
	assert_non_null(*v);
	(*v)[*n].number = number;
	(*v)[(*n)++].name = copy_of(name);
}

static inline void
golden_value(struct genrec *g)
{
	genrec_init(g);
	g->host = copy_of("host.example");
	g->series = copy_of("home \xc3\xa9");
	g->program = copy_of("firn 1.0");
	assert_int_equal(genrec_add_path(g, "/home"), 0);
	assert_int_equal(genrec_add_path(g, "/bytes \xff\x01\n"), 0);
	assert_int_equal(genrec_add_path(g, "/"), 0);
	assert_int_equal(genrec_add_tag(g, "weekly"), 0);
	assert_int_equal(genrec_add_error(g, "cannot read '/x\xfe'"), 0);
	g->error_count = 5;
	g->start = (struct timespec){ 1763640000, 1 };
	g->end = (struct timespec){ 1763640059, 999999999 };
	memset(g->root, 0x77, sizeof(g->root));
	g->totals = (struct gen_totals){ 1, 2, UINT64_MAX };
	g->added = (struct gen_added){ 3, 4, 5, 6, 7 };
	memset(g->parent, 0x88, sizeof(g->parent));
	g->has_parent = 1;
	add_name(&g->users, &g->nusers, 0, "root");
	add_name(&g->users, &g->nusers, 4294967295u, "no\xff" "body");
	add_name(&g->groups, &g->ngroups, 100, "users");
	g->clock_grain_ns = 4000000;
}

/* The same with an entry of its root. */
static inline void
golden_root_value(struct genrec *g)
{
	static const uint8_t xattr[] = { 6, 'u', 's', 'e', 'r', '.', 'x', 1,
	    'y' };
	struct entry e = { .name = "root", .namelen = 4,
	    .flags = ENTRY_SUBTREE | ENTRY_XATTR | ENTRY_PARTIAL |
	    ENTRY_BTIME, .mode = S_IFDIR | 01751, .uid = 7,
	    .gid = UINT32_MAX, .mtime = { -1, 999999999 },
	    .ctime = { 1763640000, 2 }, .btime = { 1763639999, 3 }, .ino = 2,
	    .xattr = xattr, .xattrlen = sizeof(xattr), .subdirs = 1,
	    .files = 1, .dirs = 2, .bytes = UINT64_MAX };

	golden_value(g);
	memcpy(e.tree_id, g->root, sizeof(e.tree_id));
	assert_int_equal(genrec_set_root_entry(g, &e), 0);
}

static inline void
assert_strings(char **a, size_t an, char **b, size_t bn)
{
	size_t i;

	assert_int_equal(an, bn);
	for (i = 0; i < an; i++)
		assert_string_equal(a[i], b[i]);
}

static inline void
assert_names(const struct gen_name *a, size_t an, const struct gen_name *b,
    size_t bn)
{
	size_t i;

	assert_int_equal(an, bn);
	for (i = 0; i < an; i++) {
		assert_true(a[i].number == b[i].number);
		assert_string_equal(a[i].name, b[i].name);
	}
}

static inline void
assert_record(const struct genrec *a, const struct genrec *b)
{
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->series, b->series);
	assert_string_equal(a->program, b->program);
	assert_strings(a->paths, a->npaths, b->paths, b->npaths);
	assert_strings(a->tags, a->ntags, b->tags, b->ntags);
	assert_strings(a->errors, a->nerrors, b->errors, b->nerrors);
	assert_true(a->error_count == b->error_count);
	assert_memory_equal(&a->start, &b->start, sizeof(a->start));
	assert_memory_equal(&a->end, &b->end, sizeof(a->end));
	assert_memory_equal(a->root, b->root, sizeof(a->root));
	assert_int_equal(a->root_entrylen, b->root_entrylen);
	if (a->root_entrylen > 0)
		assert_memory_equal(a->root_entry, b->root_entry,
		    a->root_entrylen);
	assert_memory_equal(&a->totals, &b->totals, sizeof(a->totals));
	assert_memory_equal(&a->added, &b->added, sizeof(a->added));
	assert_int_equal(a->has_parent, b->has_parent);
	assert_memory_equal(a->parent, b->parent, sizeof(a->parent));
	assert_names(a->users, a->nusers, b->users, b->nusers);
	assert_names(a->groups, a->ngroups, b->groups, b->ngroups);
	assert_true(a->clock_grain_ns == b->clock_grain_ns);
}

static inline void
encode(const struct genrec *g, struct buf *b, char *name)
{
	buf_init(b, GENREC_MAX);
	assert_int_equal(genrec_encode(g, &writer, b, name), 0);
}

#endif
