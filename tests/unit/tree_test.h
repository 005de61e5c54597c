/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the tree format share: entries, random and plain.
 */
#ifndef FIRN_TESTS_TREE_TEST_H
#define FIRN_TESTS_TREE_TEST_H

#include "format_test.h"

#include <sys/stat.h>

#include "format/tree.h"

#define ROUNDS	2000

static inline void
assert_bytes(const void *a, size_t alen, const void *b, size_t blen)
{
	assert_int_equal(alen, blen);
	if (alen > 0)
		assert_memory_equal(a, b, alen);
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

static inline void
made_release(struct made *m)
{
	buf_release(&m->xattr);
	buf_release(&m->extents);
}

/* A regular file of one block, one hole and one block. */
static inline void
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

static inline int
setup(void **state)
{
	(void)state;
	rnd_seed();
	return 0;
}

#endif
