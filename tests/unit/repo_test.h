/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of a repository share: one in a local directory, with a writer,
 * and random numbers whose seed is printed.
 */
#ifndef FIRN_TESTS_REPO_TEST_H
#define FIRN_TESTS_REPO_TEST_H

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
#include "repo/tree_write.h"
#include "repo/writer.h"

static uint64_t state;		/* of rnd() */

static inline uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1du;
}

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
	struct repo_conf conf;
	struct repo *repo;
	struct writer *writer;
	struct mac *mac;
	struct block_sink sink;
};

static inline int
sink_put(void *ctx, enum block_type type, const void *data, size_t len,
    uint8_t id[BLOCK_ID_SIZE])
{
	struct fixture *f = ctx;
	int err;

	err = block_id(f->mac, type, data, len, id);
	return err == 0 ? writer_add(f->writer, type, id, data, len, NULL) :
	    err;
}

static inline void
writer_again(struct fixture *f)
{
	const struct writer_conf wc = WRITER_CONF_DEFAULT;

	writer_free(f->writer);
	f->writer = NULL;
	assert_int_equal(writer_new(f->repo, &wc, &f->writer), 0);
}

static inline int
setup(void **ctx)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct config config;

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/firn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->url, sizeof(f->url), "%s/repo", f->dir);
	snprintf(f->cache, sizeof(f->cache), "%s/cache", f->dir);
	f->conf.url = f->url;
	f->conf.cache_dir = f->cache;
	f->conf.password = password;
	f->conf.kdf_memory = REPO_KDF_MIN;
	config_default(&config);
	assert_int_equal(repo_init(&f->conf, &config, "t", &f->repo), 0);
	assert_int_equal(mac_new(repo_keys(f->repo)->block_id, KEY_SIZE,
	    &f->mac), 0);
	f->sink.put = sink_put;
	f->sink.ctx = f;
	writer_again(f);
	*ctx = f;
	return 0;
}

static inline int
teardown(void **ctx)
{
	struct fixture *f = *ctx;
	char command[128];

	writer_free(f->writer);
	mac_free(f->mac);
	repo_close(f->repo);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* As another host: no local state. */
static inline void
reopen_fresh(struct fixture *f)
{
	writer_free(f->writer);
	f->writer = NULL;
	repo_close(f->repo);
	snprintf(f->cache, sizeof(f->cache), "%s/cache%llu", f->dir,
	    (unsigned long long)rnd());
	assert_int_equal(repo_open(&f->conf, &f->repo), 0);
}

static inline void
fill(uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t keep = state;
	size_t i;

	state = seed * 2 + 1;
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(rnd() >> 40);
	state = keep;
}

static inline int
group_setup(void **ctx)
{
	(void)ctx;
	state = (uint64_t)time(NULL) * 2 + 1;
	print_message("seed %llu\n", (unsigned long long)state);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
