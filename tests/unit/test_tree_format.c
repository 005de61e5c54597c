/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree pages, extent lists and xattrs: round trips, rules, damage, a golden
 * page.
 */
#include "format_test.h"

#include <sys/stat.h>

#include "format/tree.h"
#include "golden/page.h"

#define ROUNDS	2000

static void
assert_time(const struct timespec *a, const struct timespec *b)
{
	assert_true(a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec);
}

static void
assert_bytes(const void *a, size_t alen, const void *b, size_t blen)
{
	assert_int_equal(alen, blen);
	if (alen > 0)
		assert_memory_equal(a, b, alen);
}

static void
assert_entry(const struct entry *a, const struct entry *b)
{
	assert_bytes(a->name, a->namelen, b->name, b->namelen);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_time(&a->mtime, &b->mtime);
	assert_time(&a->ctime, &b->ctime);
	assert_time(&a->btime, &b->btime);
	assert_true(a->ino == b->ino && a->size == b->size);
	assert_true(a->nlink == b->nlink && a->fsno == b->fsno);
	assert_int_equal(a->rdev_major, b->rdev_major);
	assert_int_equal(a->rdev_minor, b->rdev_minor);
	assert_bytes(a->target, a->targetlen, b->target, b->targetlen);
	assert_bytes(a->xattr, a->xattrlen, b->xattr, b->xattrlen);
	assert_memory_equal(a->xattr_id, b->xattr_id, BLOCK_ID_SIZE);
	if (a->flags & ENTRY_INLINE)
		assert_bytes(a->inl, a->size, b->inl, b->size);
	assert_int_equal(a->nextents, b->nextents);
	assert_bytes(a->extents, a->extentslen, b->extents, b->extentslen);
	assert_memory_equal(a->list_id, b->list_id, BLOCK_ID_SIZE);
	assert_memory_equal(a->tree_id, b->tree_id, BLOCK_ID_SIZE);
	assert_true(a->subdirs == b->subdirs && a->files == b->files &&
	    a->dirs == b->dirs && a->bytes == b->bytes);
	assert_true(a->attrs == b->attrs && a->holes == b->holes);
}

/* Memory that a made entry points into. */
struct made {
	struct entry e;
	char name[TREE_NAME_MAX];
	char target[TREE_TARGET_MAX];
	uint8_t inl[600];
	struct buf xattr;
	struct buf extents;
};

static void
made_release(struct made *m)
{
	buf_release(&m->xattr);
	buf_release(&m->extents);
}

/* Mostly small numbers, some of any size. */
static uint64_t
rnd_size(void)
{
	return rnd() >> rnd_below(64);
}

static void
rnd_text(char *out, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		do
			out[i] = (char)rnd();
		while (out[i] == '\0' || out[i] == '/');
}

static void
rnd_time(struct timespec *t)
{
	t->tv_sec = (time_t)rnd_size() * (rnd_below(4) == 0 ? -1 : 1);
	t->tv_nsec = (long)rnd_below(1000000000);
}

static void
make_xattrs(struct made *m)
{
	struct xattr x;
	char name[8] = "user.a";
	unsigned i, n = 1 + (unsigned)rnd_below(4);

	for (i = 0; i < n; i++) {
		name[5] = (char)('a' + i);
		x = (struct xattr){ name, 6, m->inl, rnd_below(100) };
		assert_int_equal(xattr_encode(&x, &m->xattr), 0);
	}
	m->e.xattr = m->xattr.data;
	m->e.xattrlen = m->xattr.len;
	m->e.flags |= ENTRY_XATTR;
}

static void
make_extents(struct made *m)
{
	struct extent x;
	uint32_t i, n = 1 + (uint32_t)rnd_below(TREE_EXTENTS_INLINE);
	int hole = 0;

	for (i = 0; i < n; i++) {
		memset(&x, 0, sizeof(x));
		hole = !hole && rnd_below(3) == 0;
		x.hole = hole;
		x.len = 1 + rnd_below(hole ? 1ull << 40 : FORMAT_BLOCK_MAX);
		rnd_fill(x.id, sizeof(x.id));
		assert_int_equal(extent_encode(&x, &m->extents), 0);
		m->e.size += x.len;
		m->e.holes += hole ? x.len : 0;
	}
	m->e.flags |= ENTRY_EXTENTS | (m->e.holes > 0 ? ENTRY_HOLES : 0);
	m->e.extents = m->extents.data;
	m->e.extentslen = m->extents.len;
	m->e.nextents = n;
}

static void
make_regular(struct made *m)
{
	m->e.flags |= ENTRY_SIZE | (rnd_below(9) == 0 ? ENTRY_PARTIAL : 0);
	switch (rnd_below(4)) {
	case 0:
		break;
	case 1:
		m->e.flags |= ENTRY_INLINE;
		m->e.size = rnd_below(sizeof(m->inl));
		m->e.inl = m->inl;
		break;
	case 2:
		make_extents(m);
		break;
	default:
		m->e.flags |= ENTRY_LIST;
		m->e.size = 1 + (rnd_size() >> 2);
		rnd_fill(m->e.list_id, BLOCK_ID_SIZE);
		if (rnd_below(2) == 0) {
			m->e.flags |= ENTRY_HOLES;
			m->e.holes = 1 + rnd_below(m->e.size);
		}
	}
}

static void
make_by_type(struct made *m)
{
	static const uint32_t types[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR,
	    S_IFBLK, S_IFIFO, S_IFSOCK };
	uint32_t type = types[rnd_below(7)];

	m->e.mode = type | (uint32_t)rnd_below(010000);
	if (type == S_IFREG)
		make_regular(m);
	if (type == S_IFDIR) {
		m->e.flags |= ENTRY_SUBTREE;
		rnd_fill(m->e.tree_id, BLOCK_ID_SIZE);
		m->e.files = rnd_size();
		m->e.dirs = 1 + rnd_size() / 2;
		m->e.subdirs = rnd_below(m->e.dirs + 1);
		m->e.bytes = rnd_size();
	}
	if (type == S_IFLNK) {
		m->e.flags |= ENTRY_SYMLINK;
		m->e.target = m->target;
		m->e.targetlen = 1 + rnd_below(sizeof(m->target));
		rnd_text(m->target, m->e.targetlen);
	}
	if (type == S_IFCHR || type == S_IFBLK) {
		m->e.flags |= ENTRY_RDEV;
		m->e.rdev_major = (uint32_t)rnd_size();
		m->e.rdev_minor = (uint32_t)rnd_size();
	}
	if (type != S_IFDIR && rnd_below(3) == 0) {
		m->e.flags |= ENTRY_LINKS;
		m->e.nlink = 2 + (uint32_t)rnd_below(UINT32_MAX - 1);
		m->e.fsno = (uint32_t)rnd_size();
	}
}

static void
make_entry(struct made *m)
{
	memset(m, 0, sizeof(*m));
	buf_init(&m->xattr, 1u << 20);
	buf_init(&m->extents, 1u << 20);
	rnd_fill(m->inl, sizeof(m->inl));
	m->e.name = m->name;
	m->e.namelen = 3 + rnd_below(TREE_NAME_MAX - 2);
	rnd_text(m->name, m->e.namelen);
	m->e.uid = (uint32_t)rnd_size();
	m->e.gid = (uint32_t)rnd_size();
	m->e.ino = rnd_size();
	rnd_time(&m->e.mtime);
	rnd_time(&m->e.ctime);
	if (rnd_below(2) == 0) {
		m->e.flags |= ENTRY_BTIME;
		rnd_time(&m->e.btime);
	}
	if (rnd_below(3) == 0)
		make_xattrs(m);
	else if (rnd_below(3) == 0) {
		m->e.flags |= ENTRY_XATTR_ID;
		rnd_fill(m->e.xattr_id, BLOCK_ID_SIZE);
	}
	if (rnd_below(3) == 0) {
		m->e.flags |= ENTRY_ATTRS;
		m->e.attrs = (uint32_t)rnd_size();
	}
	make_by_type(m);
}

static void
test_entry_round_trip(void **state)
{
	struct buf b = BUF_INIT(TREE_ENTRY_MAX);
	struct entry e;
	struct made m;
	struct rd r;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		make_entry(&m);
		buf_reset(&b);
		assert_int_equal(entry_encode(&m.e, &b), 0);
		r = rd_init(b.data, b.len);
		assert_int_equal(entry_decode(&r, &e), 0);
		assert_int_equal(rd_left(&r), 0);
		assert_entry(&m.e, &e);
		made_release(&m);
	}
	buf_release(&b);
}

static void
damaged_entry(void *ctx, const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct buf again = BUF_INIT(TREE_ENTRY_MAX);
	struct entry e;

	(void)ctx;
	/* An entry is covered by its block's id, not by itself: what still
	 * decodes must be what would be encoded, byte for byte. */
	if (entry_decode(&r, &e) == 0) {
		assert_int_equal(entry_encode(&e, &again), 0);
		assert_bytes(again.data, again.len, data,
		    len - rd_left(&r));
	} else {
		assert_true(rd_bad(&r));
	}
	buf_release(&again);
}

static void
test_entry_damage(void **state)
{
	struct buf b = BUF_INIT(TREE_ENTRY_MAX);
	struct made m;
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		make_entry(&m);
		buf_reset(&b);
		assert_int_equal(entry_encode(&m.e, &b), 0);
		each_damage(b.data, b.len, damaged_entry, NULL);
		made_release(&m);
	}
	buf_release(&b);
}

/* A regular file of one block, one hole and one block. */
static void
plain_entry(struct made *m)
{
	struct extent x = { .len = 100, .hole = 0 };

	memset(m, 0, sizeof(*m));
	buf_init(&m->xattr, 1u << 20);
	buf_init(&m->extents, 1u << 20);
	m->e.name = "name";
	m->e.namelen = 4;
	m->e.mode = S_IFREG | 0644;
	m->e.flags = ENTRY_SIZE | ENTRY_EXTENTS | ENTRY_HOLES;
	assert_int_equal(extent_encode(&x, &m->extents), 0);
	x.hole = 1;
	assert_int_equal(extent_encode(&x, &m->extents), 0);
	x.hole = 0;
	assert_int_equal(extent_encode(&x, &m->extents), 0);
	m->e.extents = m->extents.data;
	m->e.extentslen = m->extents.len;
	m->e.nextents = 3;
	m->e.size = 300;
	m->e.holes = 100;
	m->e.nlink = 1;
	m->e.target = "target";
	m->e.targetlen = 6;
	m->e.inl = m->inl;
}

/* Break one rule and see that the encoder minds. */
#define REFUSED(change) do { \
	struct buf b_ = BUF_INIT(TREE_ENTRY_MAX); \
	struct made m; \
	plain_entry(&m); \
	assert_int_equal(entry_encode(&m.e, &b_), 0); \
	buf_reset(&b_); \
	change; \
	assert_int_equal(entry_encode(&m.e, &b_), -EINVAL); \
	assert_int_equal(b_.len, 0); \
	buf_release(&b_); \
	made_release(&m); \
} while (0)

static void
test_entry_rules(void **state)
{
	static char many[TREE_TARGET_MAX + 1];

	(void)state;
	memset(many, 'x', sizeof(many));
	REFUSED(m.e.namelen = 0);
	REFUSED((m.e.name = many, m.e.namelen = 256));
	REFUSED((m.e.name = ".", m.e.namelen = 1));
	REFUSED((m.e.name = "..", m.e.namelen = 2));
	REFUSED((m.e.name = "a/b", m.e.namelen = 3));
	REFUSED((m.e.name = "a\0b", m.e.namelen = 3));
	REFUSED(m.e.flags |= ENTRY_FLAGS_KNOWN + 1);
	REFUSED(m.e.mode = 0644);
	REFUSED(m.e.mode |= 0200000);
	REFUSED(m.e.mtime.tv_nsec = 1000000000);
	REFUSED(m.e.ctime.tv_nsec = -1);
	REFUSED((m.e.flags |= ENTRY_BTIME, m.e.btime.tv_nsec = -1));
	REFUSED(m.e.flags &= ~(uint32_t)ENTRY_SIZE);
	REFUSED(m.e.size++);
	REFUSED(m.e.holes--);
	REFUSED(m.e.flags &= ~(uint32_t)ENTRY_HOLES);
	REFUSED(m.e.flags &= ~(uint32_t)ENTRY_EXTENTS);
	REFUSED(m.e.flags |= ENTRY_LIST);
	REFUSED(m.e.flags |= ENTRY_INLINE);
	REFUSED(m.e.flags |= ENTRY_LINKS);
	REFUSED(m.e.flags |= ENTRY_RDEV);
	REFUSED(m.e.flags |= ENTRY_SYMLINK);
	REFUSED(m.e.flags |= ENTRY_SUBTREE);
	REFUSED(m.e.flags |= ENTRY_XATTR);
	REFUSED((m.e.flags |= ENTRY_XATTR, m.e.xattr = m.inl,
	    m.e.xattrlen = 5));
	REFUSED((make_xattrs(&m), m.e.flags |= ENTRY_XATTR_ID));
	REFUSED(m.e.extentslen--);
	REFUSED(m.e.nextents--);
	REFUSED(m.e.nextents++);
	REFUSED(m.e.mode = S_IFDIR | 0755);
	REFUSED((m.e.mode = S_IFDIR, m.e.flags = 0));
	REFUSED((m.e.mode = S_IFDIR, m.e.flags = ENTRY_SUBTREE,
	    m.e.subdirs = 1));
	REFUSED((m.e.mode = S_IFDIR, m.e.nlink = 2,
	    m.e.flags = ENTRY_SUBTREE | ENTRY_LINKS));
	REFUSED((m.e.mode = S_IFCHR, m.e.flags = 0));
	REFUSED((m.e.mode = S_IFIFO, m.e.flags = ENTRY_PARTIAL));
	REFUSED((m.e.mode = S_IFLNK, m.e.flags = 0));
	REFUSED((m.e.mode = S_IFLNK, m.e.flags = ENTRY_SYMLINK,
	    m.e.targetlen = 0));
	REFUSED((m.e.mode = S_IFLNK, m.e.flags = ENTRY_SYMLINK,
	    m.e.target = many, m.e.targetlen = TREE_TARGET_MAX + 1));
	REFUSED((m.e.mode = S_IFLNK, m.e.flags = ENTRY_SYMLINK,
	    m.e.target = "a\0b", m.e.targetlen = 3));
	REFUSED((m.e.flags = ENTRY_SIZE | ENTRY_INLINE,
	    m.e.size = TREE_INLINE_MAX + 1));
	REFUSED((m.e.flags = ENTRY_SIZE | ENTRY_INLINE | ENTRY_HOLES,
	    m.e.size = 200));
	REFUSED((m.e.flags = ENTRY_SIZE | ENTRY_LIST, m.e.size = 0));
	REFUSED((m.e.flags = ENTRY_SIZE | ENTRY_LIST, m.e.size = 1ull << 63));
	REFUSED((m.e.flags = ENTRY_SIZE | ENTRY_LIST | ENTRY_HOLES,
	    m.e.holes = 301));
}

static void
add_extents(struct made *m, unsigned n, uint64_t len, int hole)
{
	struct extent x = { .len = len, .hole = hole };

	buf_reset(&m->extents);
	m->e.size = 0;
	m->e.holes = 0;
	m->e.nextents = n;
	for (; n > 0; n--) {
		assert_int_equal(extent_encode(&x, &m->extents), 0);
		m->e.size += len;
		m->e.holes += hole ? len : 0;
	}
	m->e.extents = m->extents.data;
	m->e.extentslen = m->extents.len;
}

static void
test_extent_rules(void **state)
{
	struct extent x = { .len = 0, .hole = 0 };
	struct buf b = BUF_INIT(1000);

	(void)state;
	REFUSED(add_extents(&m, 2, 7, 1));	/* adjacent holes */
	REFUSED((add_extents(&m, 9, 7, 0), m.e.flags &= ~ENTRY_HOLES));
	REFUSED((add_extents(&m, 0, 7, 0), m.e.flags &= ~ENTRY_HOLES));
	assert_int_equal(extent_encode(&x, &b), -EINVAL);
	x.hole = 1;
	assert_int_equal(extent_encode(&x, &b), -EINVAL);
	x.len = 1ull << 63;
	assert_int_equal(extent_encode(&x, &b), -EINVAL);
	x.len--;
	assert_int_equal(extent_encode(&x, &b), 0);
	x.hole = 0;
	x.len = FORMAT_BLOCK_MAX + 1;
	assert_int_equal(extent_encode(&x, &b), -EINVAL);
	buf_release(&b);
}

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

static int
setup(void **state)
{
	(void)state;
	rnd_seed();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_round_trip),
		cmocka_unit_test(test_entry_damage),
		cmocka_unit_test(test_entry_rules),
		cmocka_unit_test(test_extent_rules),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_rules),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_xattr),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_golden)
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
