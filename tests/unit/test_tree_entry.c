/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of trees: round trips, rules, damage.
 */
#include "tree_test.h"

static void
assert_time(const struct timespec *a, const struct timespec *b)
{
	assert_true(a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entry_round_trip),
		cmocka_unit_test(test_entry_damage),
		cmocka_unit_test(test_entry_rules),
		cmocka_unit_test(test_extent_rules),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
