/* SPDX-License-Identifier: Apache-2.0 */
/* What a host keeps of a repository for itself, and how it meets the store. */
#include "repo_test.h"

#include <sys/stat.h>

#include "repo/idlossy.h"
#include "repo/idset.h"
#include "repo/localmeta.h"
#include "repo/reader.h"
#include "repo/runfile.h"
#include "store/store_fault.h"

/* Packs whose segment is gone are found again by their footers. */
static void
test_adopt(void **ctx)
{
	struct fixture *f = *ctx;
	uint8_t id[BLOCK_ID_SIZE], data[1000];
	char command[200];
	struct blockref ref;
	struct reader *rd;
	uint64_t epoch;
	unsigned n;

	fill(data, sizeof(data), 1);
	assert_int_equal(sink_put(f, BLOCK_DATA, data, sizeof(data), id), 0);
	assert_int_equal(writer_flush(f->writer), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'/index", f->url);
	assert_int_equal(system(command), 0);
	reopen_fresh(f);
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(index_has(repo_index(f->repo), PACK_DATA, id), 0);
	assert_int_equal(repo_adopt(f->repo, PACK_META, &n), 0);
	assert_int_equal(n, 0);
	/* The reader looks for itself when it misses a block. */
	assert_int_equal(reader_get(rd, BLOCK_DATA, id, &ref), 0);
	assert_memory_equal(ref.data, data, sizeof(data));
	blockref_put(rd, &ref);
	reader_free(rd);
	/* It keeps that for itself, through the next look at the store. */
	assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(index_has(repo_index(f->repo), PACK_DATA, id), 1);
	assert_int_equal(index_has_local(repo_index(f->repo), PACK_DATA), 1);
	/* A backup that runs meanwhile lists what it may have built on. */
	repo_heals(f->repo);
	assert_int_equal(index_epoch(repo_index(f->repo), PACK_DATA, &epoch),
	    0);
	assert_int_equal(repo_relist(f->repo, PACK_DATA, epoch), 0);
	assert_int_equal(index_has_local(repo_index(f->repo), PACK_DATA), 0);
	reopen_fresh(f);
	assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(index_has(repo_index(f->repo), PACK_DATA, id), 1);
	assert_int_equal(system(command), 0);
	/* A reader writes nothing; a writer lists it for all again. */
	reopen_fresh(f);
	assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(index_has(repo_index(f->repo), PACK_DATA, id), 0);
	repo_heals(f->repo);
	assert_int_equal(repo_adopt(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(n, 1);
	reopen_fresh(f);
	assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(index_has(repo_index(f->repo), PACK_DATA, id), 1);
}

static void
test_idset(void **ctx)
{
	struct idset s;
	uint8_t id[5000][BLOCK_ID_SHORT];
	char in[5000] = { 0 };
	size_t i, k, n = 0;

	(void)ctx;
	idset_init(&s);
	for (i = 0; i < 5000; i++)
		fill(id[i], BLOCK_ID_SHORT, i);
	memset(id[0], 0, BLOCK_ID_SHORT);
	for (k = 0; k < 100000; k++) {
		i = rnd() % 5000;
		assert_int_equal(idset_has(&s, id[i]), in[i]);
		if (rnd() % 2) {
			assert_int_equal(idset_add(&s, id[i]), !in[i]);
			n += !in[i];
			in[i] = 1;
		} else {
			idset_del(&s, id[i]);
			n -= in[i];
			in[i] = 0;
		}
	}
	assert_int_equal(s.count + (size_t)s.has_zero, n);
	idset_release(&s);
}

#define MANY_PACKS	20000	/* so that they are listed in pieces */
#define PACKS_THERE	500

/* Of many packs that the index names, the store has some. */
static void
test_compare(void **ctx)
{
	struct fixture *f = *ctx;
	struct segment_pack *packs = calloc(MANY_PACKS, sizeof(*packs));
	char name[STORE_NAME_MAX + 1];
	uint8_t segment[OBJECT_ID_SIZE] = { 1 };
	struct repo_compared c;
	unsigned i;

	assert_non_null(packs);
	for (i = 0; i < MANY_PACKS; i++) {
		fill(packs[i].id, OBJECT_ID_SIZE, i);
		packs[i].size = 1 + i % 3;
	}
	assert_int_equal(index_add_segment(repo_index(f->repo), PACK_DATA,
	    segment, NULL, 0, packs, MANY_PACKS), 0);
	for (i = 0; i < PACKS_THERE; i++) {
		repo_pack_name(PACK_DATA, packs[i].id, name);
		/* Every tenth has another size. */
		assert_int_equal(store_put(repo_store(f->repo), name, "abcdef",
		    i % 10 == 0 ? 6 : packs[i].size, NULL, 0), 0);
	}
	assert_int_equal(repo_packs_compare(f->repo, PACK_DATA, &c), 1);
	assert_int_equal(c.absent, MANY_PACKS - PACKS_THERE + PACKS_THERE / 10);
	/* No segment in the store names them: they are nobody's now. */
	assert_int_equal(repo_packs_compare(f->repo, PACK_DATA, &c), 1);
	assert_int_equal(c.absent, 0);
	assert_int_equal(repo_packs_compare(f->repo, PACK_DATA, &c), 0);
	free(packs);
}

/* Another process empties the index that was loaded, and is not done with
 * loading it again: what is half filled hides nothing. */
static void
test_compare_half_filled(void **ctx)
{
	struct fixture *f = *ctx;
	struct index *ix = repo_index(f->repo);
	uint8_t data[1000], id[BLOCK_ID_SIZE];
	uint64_t mark;
	struct repo_compared c;
	char command[128];

	fill(data, sizeof(data), 1);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, sizeof(data), id),
	    0);
	assert_int_equal(writer_add(f->writer, BLOCK_DATA, id, data,
	    sizeof(data), NULL), 0);
	assert_int_equal(writer_flush(f->writer), 0);
	snprintf(command, sizeof(command), "rm -r '%s'/data/*/*", f->url);
	assert_int_equal(system(command), 0);
	assert_int_equal(repo_packs_compare(f->repo, PACK_DATA, &c), 1);
	assert_int_equal(c.absent, 1);
	assert_int_equal(index_has(ix, PACK_DATA, id), 0);
	assert_int_equal(index_mark(ix, PACK_DATA, &mark), 0);
	assert_int_equal(index_retain_since(ix, PACK_DATA, mark, 0, NULL,
	    0), 1);
	assert_int_equal(repo_packs_compare(f->repo, PACK_DATA, &c), 0);
	assert_int_equal(c.absent, 1);
	assert_int_equal(index_has(ix, PACK_DATA, id), 0);
}

static void
test_idlossy(void **ctx)
{
	struct idlossy *s;
	uint8_t id[5000][BLOCK_ID_SHORT];
	size_t i, kept = 0;

	(void)ctx;
	assert_int_equal(idlossy_new(6, &s), -EINVAL);
	assert_int_equal(idlossy_new(1024, &s), 0);
	for (i = 0; i < 5000; i++)
		fill(id[i], BLOCK_ID_SHORT, i);
	memset(id[0], 0, BLOCK_ID_SHORT);
	for (i = 0; i < 5000; i++) {
		assert_int_equal(idlossy_has(s, id[i]), 0);
		idlossy_add(s, id[i]);
		idlossy_add(s, id[i]);
		assert_int_equal(idlossy_has(s, id[i]), i > 0);
	}
	for (i = 0; i < 5000; i++)
		kept += (size_t)idlossy_has(s, id[i]);
	/* What came last; never more than there is room for. */
	assert_true(kept <= 1024 && kept > 900);
	idlossy_free(s);
}

static void
test_runfile(void **ctx)
{
	struct fixture *f = *ctx;
	struct runfile a, b, c;
	struct stat st;
	char path[128];
	unsigned n;

	assert_int_equal(runfile_new(f->dir, "run", &a), 0);
	assert_int_equal(runfile_new(f->dir, "run", &b), 0);
	assert_int_equal(runfile_new(f->dir, "run-other", &c), 0);
	assert_string_not_equal(a.path, b.path);
	/* What is held stays, also by who asks. */
	assert_int_equal(runfile_sweep(f->dir, "run", &n), 0);
	assert_int_equal(n, 0);
	snprintf(path, sizeof(path), "%s", b.path);
	runfile_leave(&b);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(runfile_sweep(f->dir, "run", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(stat(a.path, &st), 0);
	/* A name for good has no dot behind it, and stays. */
	snprintf(path, sizeof(path), "%s/run-kept", f->dir);
	assert_int_equal(runfile_rename(&c, path), 0);
	runfile_remove(&c);
	snprintf(path, sizeof(path), "%s", a.path);
	runfile_remove(&a);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(runfile_sweep(f->dir, "run", &n), 0);
	assert_int_equal(n, 0);
	snprintf(path, sizeof(path), "%s/run-kept", f->dir);
	assert_int_equal(stat(path, &st), 0);
	runfile_remove(&a);
	assert_true(runfile_sweep("/nowhere/at/all", "run", &n) < 0);
}

static void
test_localmeta(void **ctx)
{
	struct fixture *f = *ctx;
	struct localmeta_head head = { .start = { 12345, 678 } }, got;
	struct buf out = BUF_INIT(1u << 20);
	uint8_t id[BLOCK_ID_SIZE] = { 1, 2, 3 }, data[5000];
	struct localmeta *m;
	const char *dir = repo_state_dir(f->repo);
	char path[200];
	FILE *file;

	fill(data, sizeof(data), 3);
	assert_int_equal(localmeta_open(dir, repo_keys(f->repo), "tag", &m,
	    &got), -ENOENT);
	assert_int_equal(localmeta_begin(dir, repo_keys(f->repo), "tag", &m),
	    0);
	assert_int_equal(localmeta_put(m, BLOCK_TREE, id, data, sizeof(data)),
	    0);
	/* Not there until it is committed. */
	localmeta_close(m);
	assert_int_equal(localmeta_open(dir, repo_keys(f->repo), "tag", &m,
	    &got), -ENOENT);
	assert_int_equal(localmeta_begin(dir, repo_keys(f->repo), "tag", &m),
	    0);
	assert_int_equal(localmeta_put(m, BLOCK_TREE, id, data, sizeof(data)),
	    0);
	memset(head.root, 7, sizeof(head.root));
	assert_int_equal(localmeta_commit(m, &head), 0);
	localmeta_close(m);
	assert_int_equal(localmeta_open(dir, repo_keys(f->repo), "tag", &m,
	    &got), 0);
	assert_memory_equal(got.root, head.root, sizeof(head.root));
	assert_int_equal(got.start.tv_sec, 12345);
	assert_int_equal(localmeta_get(m, BLOCK_TREE, id, &out), 0);
	assert_int_equal(out.len, sizeof(data));
	assert_memory_equal(out.data, data, sizeof(data));
	assert_int_equal(localmeta_get(m, BLOCK_LIST, id, &out), -ENOENT);
	localmeta_close(m);
	/* Damaged: as if there were none. */
	snprintf(path, sizeof(path), "%s/meta-tag", dir);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, -3, SEEK_END), 0);
	fputc('x', file);
	fclose(file);
	assert_int_equal(localmeta_open(dir, repo_keys(f->repo), "tag", &m,
	    &got), -ENOENT);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_adopt),
		cmocka_unit_test(test_idset),
		T(test_compare),
		T(test_compare_half_filled),
		cmocka_unit_test(test_idlossy),
		T(test_runfile),
		T(test_localmeta),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
