/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of thaws share: a repository whose writers do not know of each
 * other, so that blocks lie in several packs, and sets of packs.
 */
#ifndef FIRN_TESTS_THAW_TEST_H
#define FIRN_TESTS_THAW_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "repo/repo.h"
#include "repo/repo_internal.h"
#include "repo/thaw_job.h"
#include "repo/thaw_look.h"
#include "repo/thaw_plan.h"
#include "repo/writer.h"

#define WRITERS	3
#define LEN	3000

static inline int
password(void *ctx, int again, struct buf *out)
{
	(void)ctx;
	(void)again;
	return buf_add(out, "secret", 6);
}

struct fixture {
	char dir[64];
	char url[80], cache[80];
	struct repo *repo;
	struct mac *mac;
	struct writer *writer[WRITERS];
	struct thaw_plan *plan;
};

static inline int
setup(void **ctx)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct repo_conf conf = { .password = password,
	    .kdf_memory = REPO_KDF_MIN, .cache_limit = CACHE_LIMIT_MIN };
	const struct writer_conf wc = WRITER_CONF_DEFAULT;
	struct config config;
	int i;

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/firn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->url, sizeof(f->url), "%s/repo", f->dir);
	snprintf(f->cache, sizeof(f->cache), "%s/cache", f->dir);
	conf.url = f->url;
	conf.cache_dir = f->cache;
	config_default(&config);
	assert_int_equal(repo_init(&conf, &config, "t", &f->repo), 0);
	assert_int_equal(mac_new(repo_keys(f->repo)->block_id, KEY_SIZE,
	    &f->mac), 0);
	for (i = 0; i < WRITERS; i++)
		assert_int_equal(writer_new(f->repo, &wc, &f->writer[i]), 0);
	*ctx = f;
	return 0;
}

static inline int
teardown(void **ctx)
{
	struct fixture *f = *ctx;
	char command[128];
	int i;

	thaw_plan_free(f->plan);
	for (i = 0; i < WRITERS; i++)
		writer_free(f->writer[i]);
	mac_free(f->mac);
	repo_close(f->repo);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static inline void
contents(char name, uint8_t data[LEN])
{
	uint32_t i, x = (uint32_t)name * 2654435761u;

	for (i = 0; i < LEN; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (uint8_t)(x >> 24);
	}
}

static inline void
id_of(struct fixture *f, char name, uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t data[LEN];

	contents(name, data);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, LEN, id), 0);
}

/* A pack of writer w with these blocks, a letter each. */
static inline void
pack_of(struct fixture *f, int w, const char *blocks)
{
	uint8_t data[LEN], id[BLOCK_ID_SIZE];

	for (; *blocks != '\0'; blocks++) {
		contents(*blocks, data);
		id_of(f, *blocks, id);
		assert_int_equal(writer_add(f->writer[w], BLOCK_DATA, id, data,
		    LEN, NULL), 0);
	}
}

/* Until now no writer knows of what the others hold. */
static inline void
flush(struct fixture *f)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		assert_int_equal(writer_flush(f->writer[i]), 0);
}

static inline void
want(struct fixture *f, const char *blocks)
{
	uint8_t id[BLOCK_ID_SIZE];

	thaw_plan_free(f->plan);
	f->plan = NULL;
	assert_int_equal(thaw_plan_new(f->repo, NULL, &f->plan), 0);
	for (; *blocks != '\0'; blocks++) {
		id_of(f, *blocks, id);
		assert_int_equal(thaw_plan_block(f->plan, id, LEN), 0);
	}
	assert_int_equal(thaw_look(f->repo, thaw_plan_packs(f->plan), 0), 0);
}

/* The pack of a block that no other pack has. */
static inline struct pack_info *
pack_with(struct fixture *f, char block)
{
	uint8_t id[BLOCK_ID_SIZE];
	struct index_place at;
	struct pack_info *p;

	id_of(f, block, id);
	assert_int_equal(index_find_all(repo_index(f->repo), PACK_DATA, id,
	    &at, 1), 1);
	p = packset_find(thaw_plan_packs(f->plan), at.pack);
	assert_non_null(p);
	return p;
}

static inline void
all_cold(struct fixture *f)
{
	struct packset *s = thaw_plan_packs(f->plan);
	size_t i;

	for (i = 0; i < s->n; i++)
		s->v[i].state = STORE_COLD;
}

static inline unsigned
chosen(struct fixture *f)
{
	struct packset *s = thaw_plan_packs(f->plan);
	unsigned n = 0;
	size_t i;

	assert_int_equal(thaw_plan_choose(f->plan), 0);
	for (i = 0; i < s->n; i++)
		n += (s->v[i].flags & PACK_NEEDED) != 0;
	return n;
}

/* a and b lie in the pack of writer 0 alone, c in 0 and 1, d in 1 and 2, ... */
static inline void
three_packs(struct fixture *f)
{
	pack_of(f, 0, "abcx");
	pack_of(f, 1, "cdexyz");
	pack_of(f, 2, "defyz");
	flush(f);
}

#define MIB	(1u << 20)

static inline void
put(struct packset *s, uint8_t n, const char *class, enum store_state state,
    time_t expires)
{
	uint8_t id[OBJECT_ID_SIZE] = { n };
	size_t number;

	assert_int_equal(packset_add(s, id, 32 * MIB, &number), 1);
	s->v[number].flags = PACK_SEEN | PACK_NEEDED;
	s->v[number].state = state;
	s->v[number].expires = expires;
	s->v[number].class = packset_class(s, class);
}

#endif
