/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the block index share: a model.  Entry n has an id and a
 * place that follow from n, and a segment is a range of n; so the model is only
 * which segments are in.  TEST_SEED repeats a run, TEST_KILLS sets how often a
 * child is killed.
 */
#ifndef FIRN_TESTS_INDEX_TEST_H
#define FIRN_TESTS_INDEX_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "index/index.h"

#define PACK_ENTRIES 50

static const uint8_t repo[16] = "repository one";
static uint64_t seed;

/* --- the model ---------------------------------------------------------- */

static inline uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static inline uint32_t
rnd(uint32_t below)
{
	return (uint32_t)(mix(++seed * 0x9e3779b97f4a7c15u) >> 32) % below;
}

/* How ids are made; two ways are not as the index expects. */
enum ids { UNIFORM, COUNTED, CROWDED };

static inline void
make_id(enum ids how, uint64_t n, uint8_t id[BLOCK_ID_SIZE])
{
	uint64_t v[4] = { mix(n + 77), mix(n ^ 0x5555555555555555u), n, 0 };
	unsigned i;

	if (how != UNIFORM) {
		/* Big-endian n at the end of the part that is kept; before
		 * it zeroes, or little that differs. */
		memset(v, 0, sizeof(v));
		for (i = 0; i < 8; i++)
			((uint8_t *)v)[15 - i] = (uint8_t)(n >> 8 * i);
		if (how == CROWDED)
			((uint8_t *)v)[3] = (uint8_t)(n >> 15);
	}
	memcpy(id, v, BLOCK_ID_SIZE);
}

static inline void
make_name(uint64_t n, uint8_t name[OBJECT_ID_SIZE])
{
	uint64_t v[4] = { mix(n), mix(n + 1), mix(n + 2), n };

	memcpy(name, v, OBJECT_ID_SIZE);
}

static inline void
make_place(uint64_t n, struct index_place *at)
{
	uint64_t r = mix(n * 3 + 1);

	memset(at, 0, sizeof(*at));
	make_name(n / PACK_ENTRIES, at->pack);
	at->pack_size = (uint32_t)(n / PACK_ENTRIES) + 1;
	at->frame_off = (uint32_t)(r & 0x3fffffff);
	at->frame_len = (uint32_t)(r >> 34);
	at->off = n % 7 == 0 ? UINT32_MAX : (uint32_t)(r >> 40);
	at->len = n % 11 == 0 ? 0 : (uint32_t)(r >> 33 & 0xfffff);
}

struct segment {
	struct segment_entry *e;
	struct segment_pack *packs;
	uint32_t n, npacks;
	uint8_t name[OBJECT_ID_SIZE];
};

static inline int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

static inline void
make_segment(enum ids how, uint64_t name, uint64_t first, uint32_t n,
    struct segment *s)
{
	uint64_t pack0 = first / PACK_ENTRIES, i;
	struct index_place at;
	uint8_t id[BLOCK_ID_SIZE];

	s->n = n;
	s->npacks = (uint32_t)((first + n) / PACK_ENTRIES - pack0) + 1;
	s->e = calloc(n + 1, sizeof(*s->e));
	s->packs = calloc(s->npacks, sizeof(*s->packs));
	assert_non_null(s->e);
	assert_non_null(s->packs);
	make_name(name ^ UINT64_C(0xabcdef00000000), s->name);
	for (i = 0; i < s->npacks; i++) {
		make_name(pack0 + i, s->packs[i].id);
		s->packs[i].size = (uint32_t)(pack0 + i) + 1;
	}
	for (i = 0; i < n; i++) {
		make_id(how, first + i, id);
		memcpy(s->e[i].id, id, BLOCK_ID_SHORT);
		make_place(first + i, &at);
		s->e[i].pack = (uint32_t)((first + i) / PACK_ENTRIES - pack0);
		s->e[i].frame_off = at.frame_off;
		s->e[i].frame_len = at.frame_len;
		s->e[i].off = at.off;
		s->e[i].len = at.len;
	}
	qsort(s->e, n, sizeof(*s->e), by_id);
}

static inline void
free_segment(struct segment *s)
{
	free(s->e);
	free(s->packs);
}

static inline int
add(struct index *ix, enum pack_kind kind, enum ids how, uint64_t name,
    uint64_t first, uint32_t n)
{
	struct segment s;
	int err;

	make_segment(how, name, first, n, &s);
	err = index_add_segment(ix, kind, s.name, s.e, s.n, s.packs,
	    s.npacks);
	free_segment(&s);
	return err;
}

/* 1 when entry n is there and right, 0 when it is not there. */
static inline int
look(struct index *ix, enum pack_kind kind, enum ids how, uint64_t n)
{
	struct index_place at = { .pack_size = 0 }, want;
	uint8_t id[BLOCK_ID_SIZE];
	int ret;

	make_id(how, n, id);
	ret = index_find(ix, kind, id, &at);
	if (ret != 1)
		return ret;
	make_place(n, &want);
	if (memcmp(&at, &want, sizeof(at)) != 0)
		return -EBADMSG;
	return index_has(ix, kind, id);
}

static inline void
check_range(struct index *ix, enum ids how, uint64_t first, uint32_t n,
    uint32_t step, int want)
{
	uint64_t i;

	for (i = first; i < first + n; i += step)
		assert_int_equal(look(ix, PACK_DATA, how, i), want);
}

/* --- a directory each --------------------------------------------------- */

struct dir {
	char top[64];
	char path[80];
};

static inline int
setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));
	const char *tmp = getenv("TMPDIR");

	if (d == NULL)
		return -1;
	snprintf(d->top, sizeof(d->top), "%.40s/firn-index-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(d->top) == NULL)
		return -1;
	snprintf(d->path, sizeof(d->path), "%s/ix", d->top);
	*state = d;
	return 0;
}

static inline void
remove_files(const struct dir *d)
{
	static const char *const name[] = { "data.mdb", "lock.mdb", "lock" };
	char path[128];
	unsigned i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", d->path, name[i]);
		(void)unlink(path);
	}
	(void)rmdir(d->path);
}

static inline int
teardown(void **state)
{
	struct dir *d = *state;

	(void)umount2(d->path, MNT_DETACH);	/* of a test that failed */
	remove_files(d);
	(void)rmdir(d->top);
	free(d);
	return 0;
}

static inline struct index *
reopen(struct index *ix, const struct dir *d)
{
	index_close(ix);
	assert_int_equal(index_open(d->path, repo, &ix), 0);
	return ix;
}

static inline struct index_stats
stats(struct index *ix)
{
	struct index_stats st;

	assert_int_equal(index_stats(ix, PACK_DATA, &st), 0);
	return st;
}

/* A load large enough to be written ahead, in pieces. */
static inline int
load(struct index *ix, const struct segment *s, uint32_t upto,
    struct index_load **ld, void (*each)(void))
{
	uint32_t i, n;
	int err;

	err = index_load_begin(ix, PACK_DATA, s->name, s->packs, s->npacks,
	    ld);
	for (i = 0; i < upto && err == 0; i += n) {
		n = upto - i < 256 ? upto - i : 256;
		err = index_load_add(*ld, s->e + i, n);
		if (each != NULL && i % 25600 == 0)
			each();
	}
	return err;
}

static inline int
group_setup(void **state)
{
	const char *s = getenv("TEST_SEED");

	(void)state;
	seed = s != NULL ? strtoull(s, NULL, 0) : (uint64_t)time(NULL);
	print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
	log_init("test_index", LOG_LEVEL_ERR);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
