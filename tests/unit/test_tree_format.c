/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree pages, extent lists and xattrs: round trips, rules, damage, a golden
 * page.
 */
#include "tree_test.h"

#include "golden/page.h"

/* Entries "aa", "ab" ... of a leaf. */
static void
add_leaf(struct buf *b, unsigned count)
{
	char name[3];
	struct made m;
	unsigned i;

	assert_int_equal(page_header_encode(0, count, b), 0);
	for (i = 0; i < count; i++) {
		plain_entry(&m);
		snprintf(name, sizeof(name), "%c%c", 'a' + i / 26, 'a' + i % 26);
		m.e.name = name;
		m.e.namelen = 2;
		assert_int_equal(entry_encode(&m.e, b), 0);
		made_release(&m);
	}
}

static void
add_branch(struct buf *b, const char *const *names, size_t n,
    uint64_t entries)
{
	struct page_child c = { .entries = entries };
	size_t i;

	assert_int_equal(page_header_encode(1, n, b), 0);
	for (i = 0; i < n; i++) {
		c.name = names[i];
		c.namelen = strlen(names[i]);
		memset(c.id, (int)i, sizeof(c.id));
		assert_int_equal(page_child_encode(&c, b), 0);
	}
}

static void
test_page(void **state)
{
	static const char *const up[] = { "a", "a.", "a.b", "b", "\xff" };
	static const char *const down[] = { "b", "a" };
	static const char *const same[] = { "a", "a" };
	struct buf b = BUF_INIT(TREE_PAGE_MAX);
	struct page_child c;
	struct page p;

	(void)state;
	add_leaf(&b, 0);
	assert_int_equal(page_check(b.data, b.len), 0);
	buf_reset(&b);
	add_leaf(&b, 100);
	assert_int_equal(page_check(b.data, b.len), 0);
	assert_int_equal(page_check(b.data, b.len - 1), -FIRN_ECORRUPT);
	buf_add_u8(&b, 0);
	assert_int_equal(page_check(b.data, b.len), -FIRN_ECORRUPT);

	buf_reset(&b);
	add_branch(&b, up, 5, 3);
	assert_int_equal(page_check(b.data, b.len), 0);
	assert_int_equal(page_decode(b.data, b.len, &p), 0);
	assert_int_equal(p.level, 1);
	assert_int_equal(p.count, 5);
	assert_int_equal(page_child_decode(&p.r, &c), 0);
	assert_int_equal(page_child_decode(&p.r, &c), 0);
	assert_bytes(c.name, c.namelen, "a.", 2);
	assert_int_equal(c.id[31], 1);
	assert_int_equal(c.entries, 3);
	buf_reset(&b);
	add_branch(&b, down, 2, 3);
	assert_int_equal(page_check(b.data, b.len), -FIRN_ECORRUPT);
	buf_reset(&b);
	add_branch(&b, same, 2, 3);
	assert_int_equal(page_check(b.data, b.len), -FIRN_ECORRUPT);
	buf_reset(&b);
	add_branch(&b, up, 2, UINT64_MAX);
	assert_int_equal(page_check(b.data, b.len), -FIRN_ECORRUPT);
	buf_release(&b);
}

static void
test_page_rules(void **state)
{
	struct page_child c = { .name = "a", .namelen = 1, .entries = 0 };
	struct buf b = BUF_INIT(TREE_PAGE_MAX);

	(void)state;
	assert_int_equal(page_header_encode(TREE_LEVEL_MAX, 1, &b), -EINVAL);
	assert_int_equal(page_header_encode(1, 0, &b), -EINVAL);
	assert_int_equal(page_child_encode(&c, &b), -EINVAL);
	c.entries = 1;
	c.namelen = 0;
	assert_int_equal(page_child_encode(&c, &b), -EINVAL);
	assert_int_equal(page_check("", 0), -FIRN_ECORRUPT);
	assert_int_equal(page_check("\2\0\0", 3), -FIRN_EVERSION);
	assert_int_equal(page_check("\1\0\0", 3), 0);
	assert_int_equal(page_check("\1\0\x80\0", 4), -FIRN_ECORRUPT);
	assert_int_equal(page_check("\1\1\0", 3), -FIRN_ECORRUPT);
	assert_int_equal(page_check("\1\0\1", 3), -FIRN_ECORRUPT);
	/* A count that the bytes cannot hold. */
	assert_int_equal(page_check("\1\0\xff\xff\xff\xff\x0f", 7),
	    -FIRN_ECORRUPT);
	buf_release(&b);
}

static void
add_list(struct buf *b, unsigned n)
{
	struct extent x;
	unsigned i;

	assert_int_equal(list_header_encode(0, n, b), 0);
	for (i = 0; i < n; i++) {
		memset(&x, 0, sizeof(x));
		x.hole = i % 3 == 1;
		x.len = 1000 + i;
		assert_int_equal(extent_encode(&x, b), 0);
	}
}

static void
test_list(void **state)
{
	struct list_child c = { .len = 1ull << 62 }, got;
	struct buf b = BUF_INIT(1u << 20);
	struct extent hole = { .len = 5, .hole = 1 };
	struct list l;
	unsigned i;

	(void)state;
	add_list(&b, LIST_MAX);
	assert_int_equal(list_check(b.data, b.len), 0);
	assert_int_equal(list_check(b.data, b.len - 1), -FIRN_ECORRUPT);
	buf_add_u8(&b, 3);
	assert_int_equal(list_check(b.data, b.len), -FIRN_ECORRUPT);
	buf_reset(&b);
	assert_int_equal(list_header_encode(0, 0, &b), -EINVAL);
	assert_int_equal(list_header_encode(0, LIST_MAX + 1, &b), -EINVAL);
	assert_int_equal(list_header_encode(TREE_LEVEL_MAX, 1, &b), -EINVAL);

	/* Adjacent holes. */
	list_header_encode(0, 2, &b);
	extent_encode(&hole, &b);
	extent_encode(&hole, &b);
	assert_int_equal(list_check(b.data, b.len), -FIRN_ECORRUPT);

	/* Children; two of 2^62 are more than a file can have. */
	for (i = 1; i <= 2; i++) {
		buf_reset(&b);
		assert_int_equal(list_header_encode(3, i, &b), 0);
		assert_int_equal(list_child_encode(&c, &b), 0);
		if (i == 2)
			assert_int_equal(list_child_encode(&c, &b), 0);
		assert_int_equal(list_check(b.data, b.len),
		    i == 1 ? 0 : -FIRN_ECORRUPT);
		assert_int_equal(list_decode(b.data, b.len, &l), 0);
		assert_int_equal(l.level, 3);
		assert_int_equal(list_child_decode(&l.r, &got), 0);
		assert_true(got.len == c.len);
	}
	c.len = 0;
	assert_int_equal(list_child_encode(&c, &b), -EINVAL);
	assert_int_equal(list_check("", 0), -FIRN_ECORRUPT);
	assert_int_equal(list_check("\2\0\1\3", 4), -FIRN_EVERSION);
	assert_int_equal(list_check("\1\0\1\3", 4), 0);
	assert_int_equal(list_check("\1\0\1\1", 4), -FIRN_ECORRUPT);
	assert_int_equal(list_check("\1\0\0", 3), -FIRN_ECORRUPT);
	assert_int_equal(list_check("\1\x08\1\3", 4), -FIRN_ECORRUPT);
	buf_release(&b);
}

static int
add_xattr(struct buf *b, const char *name, size_t namelen, size_t len)
{
	static const uint8_t value[TREE_XATTR_VALUE_MAX + 1];
	struct xattr x = { name, namelen, value, len };

	return xattr_encode(&x, b);
}

static void
test_xattr(void **state)
{
	struct buf b = BUF_INIT(TREE_XATTR_MAX);
	struct xattr x;
	struct rd r;

	(void)state;
	assert_int_equal(add_xattr(&b, "a", 1, 0), 0);
	assert_int_equal(add_xattr(&b, "ab", 2, TREE_XATTR_VALUE_MAX), 0);
	assert_int_equal(xattr_check(b.data, b.len), 0);
	r = rd_init(b.data, b.len);
	assert_int_equal(xattr_decode(&r, &x), 0);
	assert_bytes(x.name, x.namelen, "a", 1);
	assert_int_equal(xattr_decode(&r, &x), 0);
	assert_int_equal(x.len, TREE_XATTR_VALUE_MAX);
	assert_int_equal(xattr_check(b.data, b.len - 1), -FIRN_ECORRUPT);
	assert_int_equal(xattr_check(NULL, 0), -FIRN_ECORRUPT);
	assert_int_equal(add_xattr(&b, "ab", 2, 1), 0);	/* twice */
	assert_int_equal(xattr_check(b.data, b.len), -FIRN_ECORRUPT);
	buf_reset(&b);
	assert_int_equal(add_xattr(&b, "b", 1, 1), 0);
	assert_int_equal(add_xattr(&b, "a", 1, 1), 0);
	assert_int_equal(xattr_check(b.data, b.len), -FIRN_ECORRUPT);
	assert_int_equal(add_xattr(&b, "", 0, 1), -EINVAL);
	assert_int_equal(add_xattr(&b, "a\0b", 3, 1), -EINVAL);
	assert_int_equal(add_xattr(&b, "a", 1, TREE_XATTR_VALUE_MAX + 1),
	    -EINVAL);
	buf_release(&b);
}

static void
test_order(void **state)
{
	(void)state;
	assert_true(tree_name_cmp("a", 1, "b", 1) < 0);
	assert_true(tree_name_cmp("b", 1, "a", 1) > 0);
	assert_true(tree_name_cmp("a", 1, "ab", 2) < 0);
	assert_true(tree_name_cmp("ab", 2, "a", 1) > 0);
	assert_true(tree_name_cmp("ab", 2, "ab", 2) == 0);
	assert_true(tree_name_cmp("\x7f", 1, "\x80", 1) < 0);
}

/* One of each kind, all optional parts somewhere. */
static void
golden_entries(struct made m[4])
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		plain_entry(&m[i]);
		m[i].e.uid = 1000;
		m[i].e.gid = 100;
		m[i].e.ino = 4711 + i;
		m[i].e.mtime = (struct timespec){ 1763640000, 123456789 };
		m[i].e.ctime = (struct timespec){ -1, 0 };
	}
	m[0].e.name = "blocks";
	m[0].e.namelen = 6;
	m[0].e.flags |= ENTRY_BTIME | ENTRY_XATTR_ID | ENTRY_ATTRS |
	    ENTRY_PARTIAL;
	m[0].e.btime = (struct timespec){ 1763630000, 1 };
	memset(m[0].e.xattr_id, 0xaa, BLOCK_ID_SIZE);
	m[0].e.attrs = 0x80000;
	m[1].e.name = "directory";
	m[1].e.namelen = 9;
	m[1].e.mode = S_IFDIR | 0755;
	m[1].e.flags = ENTRY_SUBTREE;
	memset(m[1].e.tree_id, 0xbb, BLOCK_ID_SIZE);
	m[1].e.subdirs = 2;
	m[1].e.files = 300;
	m[1].e.dirs = 5;
	m[1].e.bytes = 1u << 30;
	m[2].e.name = "inline";
	m[2].e.namelen = 6;
	m[2].e.flags = ENTRY_SIZE | ENTRY_INLINE | ENTRY_LINKS | ENTRY_XATTR;
	m[2].e.size = 5;
	m[2].e.inl = (const uint8_t *)"hello";
	m[2].e.nlink = 2;
	m[2].e.fsno = 1;
	assert_int_equal(xattr_encode(&(struct xattr){ "user.k", 6,
	    (const uint8_t *)"value", 5 }, &m[2].xattr), 0);
	m[2].e.xattr = m[2].xattr.data;
	m[2].e.xattrlen = m[2].xattr.len;
	m[3].e.name = "symlink";
	m[3].e.namelen = 7;
	m[3].e.mode = S_IFLNK | 0777;
	m[3].e.flags = ENTRY_SYMLINK;
}

static void
golden_page_make(struct buf *b)
{
	struct made m[4];
	unsigned i;

	golden_entries(m);
	assert_int_equal(page_header_encode(0, 4, b), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(entry_encode(&m[i].e, b), 0);
		made_release(&m[i]);
	}
}

static void
test_golden(void **state)
{
	struct buf b = BUF_INIT(TREE_PAGE_MAX);

	(void)state;
	golden_page_make(&b);
	assert_bytes(b.data, b.len, golden_page, sizeof(golden_page));
	assert_int_equal(page_check(golden_page, sizeof(golden_page)), 0);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_rules),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_xattr),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_golden),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
