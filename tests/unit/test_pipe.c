/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's batches: items that do not fit what is begun. */
#include "repo_test.h"

#include <sys/stat.h>

#include "backup/pipe.h"

#define LARGE	(3u << 20)	/* more than a batch has */

static struct pipe *
begin(struct fixture *f)
{
	struct pipe_conf pc = { .threads = 2, .memory = 4u << 20,
	    .piece_max = 1u << 16 };
	struct pipe *p = NULL;

	pc.keys = repo_keys(f->repo);
	assert_int_equal(pipe_new(f->writer, &pc, &p), 0);
	return p;
}

/*
 * A piece was begun, and its file turned out to be empty: what comes next is
 * larger than the batch that stands there with nothing in it.
 */
static void
test_large_after_begun(void **ctx)
{
	struct pipe *p = begin(*ctx);
	struct entry e = { .namelen = 1, .mode = S_IFREG | 0644,
	    .flags = ENTRY_SIZE };
	struct entry dir = { .name = "root", .namelen = 4,
	    .mode = S_IFDIR | 0755, .flags = ENTRY_SUBTREE }, root;
	uint8_t *large = calloc(LARGE + 20, 1);
	void *room;
	unsigned i;

	assert_non_null(large);
	assert_int_equal(pipe_dir_begin(p), 0);
	/* Until the batch that is being filled is empty once. */
	for (i = 0; i < 20; i++) {
		e.name = &"abcdefghijklmnopqrstuvwxyz"[i];
		assert_int_equal(pipe_data(p, large, LARGE), 0);
		assert_int_equal(pipe_piece_begin(p, 1000, &room), 0);
		memset(room, 'x', 1000);
		assert_int_equal(pipe_data(p, large, LARGE + i), 0);
		assert_int_equal(pipe_file_end(p, &e, NULL, 0), 0);
	}
	assert_int_equal(pipe_dir_end(p, &dir, NULL), 0);
	assert_int_equal(pipe_finish(p, &root), 0);
	assert_int_equal(root.files, 20);
	pipe_free(p);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_large_after_begun),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
