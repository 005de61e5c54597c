/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's batches: items that do not fit what is begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/pipe.h"
#include "repo/repo.h"
#include "repo/writer.h"

#define LARGE	(3u << 20)	/* more than a batch has */

struct fixture {
	char dir[64], url[80], cache[80];
	struct repo *repo;
	struct writer *writer;
	struct pipe *pipe;
};

static int
password(void *ctx, int again, struct buf *out)
{
	(void)ctx;
	(void)again;
	return buf_add(out, "secret", 6);
}

static int
setup(void **ctx)
{
	const struct writer_conf wc = WRITER_CONF_DEFAULT;
	struct pipe_conf pc = { .threads = 2, .memory = 4u << 20,
	    .piece_max = 1u << 16 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct repo_conf rc = { .password = password,
	    .kdf_memory = REPO_KDF_MIN };
	struct config config;

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/firn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->url, sizeof(f->url), "%s/repo", f->dir);
	snprintf(f->cache, sizeof(f->cache), "%s/cache", f->dir);
	rc.url = f->url;
	rc.cache_dir = f->cache;
	config_default(&config);
	assert_int_equal(repo_init(&rc, &config, "t", &f->repo), 0);
	assert_int_equal(writer_new(f->repo, &wc, &f->writer), 0);
	pc.keys = repo_keys(f->repo);
	assert_int_equal(pipe_new(f->writer, &pc, &f->pipe), 0);
	*ctx = f;
	return 0;
}

static int
teardown(void **ctx)
{
	struct fixture *f = *ctx;
	char command[128];

	pipe_free(f->pipe);
	writer_free(f->writer);
	repo_close(f->repo);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/*
 * A piece was begun, and its file turned out to be empty: what comes next is
 * larger than the batch that stands there with nothing in it.
 */
static void
test_large_after_begun(void **ctx)
{
	struct fixture *f = *ctx;
	struct entry e = { .namelen = 1, .mode = S_IFREG | 0644,
	    .flags = ENTRY_SIZE };
	struct entry dir = { .name = "root", .namelen = 4,
	    .mode = S_IFDIR | 0755, .flags = ENTRY_SUBTREE }, root;
	uint8_t *large = calloc(LARGE + 20, 1);
	void *room;
	unsigned i;

	assert_non_null(large);
	assert_int_equal(pipe_dir_begin(f->pipe), 0);
	/* Until the batch that is being filled is empty once. */
	for (i = 0; i < 20; i++) {
		e.name = &"abcdefghijklmnopqrstuvwxyz"[i];
		assert_int_equal(pipe_data(f->pipe, large, LARGE), 0);
		assert_int_equal(pipe_piece_begin(f->pipe, 1000, &room), 0);
		memset(room, 'x', 1000);
		assert_int_equal(pipe_data(f->pipe, large, LARGE + i), 0);
		assert_int_equal(pipe_file_end(f->pipe, &e, NULL, 0), 0);
	}
	assert_int_equal(pipe_dir_end(f->pipe, &dir, NULL), 0);
	assert_int_equal(pipe_finish(f->pipe, &root), 0);
	assert_int_equal(root.files, 20);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_large_after_begun, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
