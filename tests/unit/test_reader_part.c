/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a large file that is read here and there costs, and when its cells are
 * fetched after all.  The store is counted, and fails on order.
 */
#include "repo_test.h"
#include "slow.h"

#include <pthread.h>
#include <sys/stat.h>

#include "repo/filemap.h"
#include "repo/order.h"
#include "repo/reader_internal.h"
#include "repo/reader_run.h"
#include "repo/writer_internal.h"
#include "store/store_fault.h"

#define KIB		(1u << 10)
#define MIB		(1u << 20)
#define GRAIN		(4 * KIB)
#define BLOCKS		1500u
#define BLOCK_LEN	(20u * KIB)	/* 30 MiB together */
#define READERS		8

struct file {
	struct fixture *f;
	struct store *store;
	struct entry e;
	struct buf few;
	uint8_t id[BLOCKS][BLOCK_ID_SIZE];
};

static const struct store_fault_conf count_gets = {
	STORE_FAULT_NONE, STORE_FAULT_VERB(STORE_GET), 0, 0, 0, "data/"
};

static void
block_fill(uint8_t data[BLOCK_LEN], uint32_t i)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	/* It keeps its state between calls. */
	pthread_mutex_lock(&lock);
	fill(data, BLOCK_LEN, i + 1000);
	pthread_mutex_unlock(&lock);
}

/* A file without structure in packs of some cells, on another host. */
static void
file_make(struct fixture *f, struct file *out)
{
	struct list_writer *lw;
	struct extent x = { .len = BLOCK_LEN };
	uint8_t data[BLOCK_LEN];
	uint32_t i;

	memset(out, 0, sizeof(*out));
	out->f = f;
	out->few = (struct buf)BUF_INIT(4096);
	out->e.mode = S_IFREG;
	f->writer->data.pack_target = 6 * MIB;
	assert_int_equal(list_writer_new(&f->sink, &lw), 0);
	writer_fine(f->writer, 1);
	for (i = 0; i < BLOCKS; i++) {
		block_fill(data, i);
		assert_int_equal(sink_put(f, BLOCK_DATA, data, BLOCK_LEN,
		    x.id), 0);
		memcpy(out->id[i], x.id, BLOCK_ID_SIZE);
		assert_int_equal(list_writer_add(lw, &x), 0);
	}
	assert_int_equal(list_writer_finish(lw, &out->e, &out->few), 0);
	list_writer_free(lw);
	assert_int_equal(writer_flush(f->writer), 0);
	f->conf.cache_limit = CACHE_LIMIT_MIN;
	reopen_fresh(f);
	assert_non_null(repo_cache(f->repo));
	assert_int_equal(repo_sync_once(f->repo, PACK_DATA), 0);
	assert_int_equal(repo_sync_once(f->repo, PACK_META), 0);
	assert_int_equal(store_fault_wrap(f->repo->store, &count_gets,
	    &f->repo->store), 0);
	out->store = f->repo->store;
}

static struct index_place
place(struct file *file, uint32_t i)
{
	struct index_place at;

	assert_int_equal(index_find(repo_index(file->f->repo), PACK_DATA,
	    file->id[i], &at), 1);
	return at;
}

/* How many cells that block's frame lies in, and the first of them. */
static uint32_t
cells_of(struct file *file, uint32_t i, uint32_t *first)
{
	struct index_place at = place(file, i);

	*first = at.frame_off / FORMAT_GRID;
	return (at.frame_off + at.frame_len - 1) / FORMAT_GRID - *first + 1;
}

/* A block in the middle of a cell that has enough around it. */
static uint32_t
inner_block(struct file *file, uint32_t from)
{
	struct index_place at;

	for (;; from++) {
		at = place(file, from);
		if (at.frame_off % FORMAT_GRID > FORMAT_GRID / 4 &&
		    at.frame_off % FORMAT_GRID < FORMAT_GRID / 2)
			return from;
	}
}

enum far_is { FAR_NEVER, FAR_ALWAYS };

/* Memory for some frames only; the store is as near or far as the test wants. */
static struct reader *
reader_make(struct file *file, size_t memory, enum far_is far)
{
	const struct reader_conf conf = { .memory = memory };
	struct reader *rd;

	assert_int_equal(reader_new(file->f->repo, &conf, &rd), 0);
	rd->cells.cost.wait = far == FAR_ALWAYS ? 1ull << 50 : 1;
	rd->cells.cost.transfer = far == FAR_ALWAYS ? 1 : 1ull << 50;
	rd->cells.cost.transfers = 100;
	rd->cells.cost.again = 0;
	return rd;
}

static int
block_read(struct file *file, struct reader *rd, uint32_t i)
{
	uint8_t data[BLOCK_LEN];
	struct blockref ref;
	int err;

	err = reader_get_part(rd, BLOCK_DATA, file->id[i], &ref);
	if (err != 0)
		return err;
	block_fill(data, i);
	assert_int_equal(ref.len, BLOCK_LEN);
	assert_memory_equal(ref.data, data, BLOCK_LEN);
	blockref_put(rd, &ref);
	return 0;
}

static struct reader_stats
stats(struct reader *rd)
{
	struct reader_stats st;

	reader_stats(rd, &st);
	return st;
}

/* Reads all over a file fetch the frames that they are in. */
static void
test_bytes(void **ctx)
{
	struct file file;
	struct filemap *fm;
	struct reader *rd;
	uint8_t have[GRAIN], data[BLOCK_LEN];
	uint64_t bytes = 0, off;
	uint32_t i, n = 0;
	size_t got;

	file_make(*ctx, &file);
	rd = reader_make(&file, 8 * MIB, FAR_NEVER);
	assert_int_equal(filemap_new(rd, &file.e, &fm), 0);
	/* Steps of more than a cell; never one behind the other. */
	for (i = 700; n < 20; i = (i + 607) % BLOCKS, n++) {
		off = (uint64_t)i * BLOCK_LEN + GRAIN;
		assert_int_equal(filemap_read(fm, off, have, sizeof(have),
		    &got), 0);
		assert_int_equal(got, sizeof(have));
		block_fill(data, i);
		assert_memory_equal(have, data + GRAIN, sizeof(have));
		bytes += place(&file, i).frame_len + 2 * GRAIN;
	}
	assert_int_equal(stats(rd).parts_store, n);
	assert_int_equal(store_fault_calls(file.store), n);
	/* Of the list: one pack. */
	bytes += (stats(rd).cells_store) * FORMAT_GRID;
	assert_in_range(stats(rd).cells_store, 1, 2);
	assert_in_range(stats(rd).bytes_store, n * BLOCK_LEN, bytes);
	filemap_free(fm);
	reader_free(rd);
	buf_release(&file.few);
}

/* Of a sparse file, every read gives what is there, whatever extents it meets. */
static void
test_sparse(void **ctx)
{
	struct fixture *f = *ctx;
	const uint64_t each = 4 * BLOCK_LEN;	/* a block, three holes */
	struct extent x = { .len = BLOCK_LEN }, hole = { .len = 3 * BLOCK_LEN,
	    .hole = 1 };
	struct buf few = BUF_INIT(4096);
	struct entry e = { .mode = S_IFREG };
	struct list_writer *lw;
	struct filemap *fm;
	struct reader *rd;
	uint8_t data[BLOCK_LEN], have[2 * BLOCK_LEN];
	uint64_t off, at;
	uint32_t i, n;
	size_t got;

	assert_int_equal(list_writer_new(&f->sink, &lw), 0);
	for (i = 0; i < BLOCKS; i++) {
		block_fill(data, i);
		assert_int_equal(sink_put(f, BLOCK_DATA, data, BLOCK_LEN,
		    x.id), 0);
		assert_int_equal(list_writer_add(lw, &x), 0);
		assert_int_equal(list_writer_add(lw, &hole), 0);
	}
	assert_int_equal(list_writer_finish(lw, &e, &few), 0);
	list_writer_free(lw);
	assert_int_equal(e.size, BLOCKS * each);
	assert_int_equal(writer_flush(f->writer), 0);
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(filemap_new(rd, &e, &fm), 0);
	for (n = 0; n < ROUNDS(3000); n++) {
		off = rnd() % (e.size - sizeof(have));
		assert_int_equal(filemap_read(fm, off, have, sizeof(have),
		    &got), 0);
		assert_int_equal(got, sizeof(have));
		for (i = 0; i < got; i++) {
			at = off + i;
			if (i == 0 || at % each == 0)
				block_fill(data, (uint32_t)(at / each));
			if (have[i] != (at % each < BLOCK_LEN ?
			    data[at % each] : 0))
				fail_msg("byte %llu", (unsigned long long)at);
		}
	}
	assert_true(stats(rd).parts_store > ROUNDS(100));
	filemap_free(fm);
	reader_free(rd);
	buf_release(&few);
}

/* In order it is as ever: whole cells, each once. */
static void
test_in_order(void **ctx)
{
	struct file file;
	struct filemap *fm;
	struct reader *rd;
	uint8_t *have = malloc(MIB), data[BLOCK_LEN];
	uint64_t off;
	size_t got, i;

	file_make(*ctx, &file);
	rd = reader_make(&file, 16 * MIB, FAR_NEVER);
	assert_int_equal(filemap_new(rd, &file.e, &fm), 0);
	for (off = 0; off < file.e.size; off += got) {
		assert_int_equal(filemap_read(fm, off, have, 8 * BLOCK_LEN,
		    &got), 0);
		for (i = 0; i < got; i += BLOCK_LEN) {
			block_fill(data, (uint32_t)((off + i) / BLOCK_LEN));
			assert_memory_equal(have + i, data, BLOCK_LEN);
		}
	}
	assert_int_equal(stats(rd).parts_store, 0);
	assert_in_range(stats(rd).bytes_store, file.e.size, file.e.size +
	    3 * MIB);
	filemap_free(fm);
	reader_free(rd);
	buf_release(&file.few);
	free(have);
}

/* A frame that is wanted again, out of memory meanwhile, brings its cell to the
 * disk. */
static void
test_again(void **ctx)
{
	struct file file;
	struct index_place at;
	struct reader_stats st;
	struct reader *rd;
	uint32_t a, i, first;

	file_make(*ctx, &file);
	rd = reader_make(&file, 2 * MIB, FAR_NEVER);
	a = inner_block(&file, 100);
	assert_int_equal(cells_of(&file, a, &first), 1);
	at = place(&file, a);
	assert_int_equal(block_read(&file, rd, a), 0);
	/* At once it is in memory. */
	assert_int_equal(block_read(&file, rd, a), 0);
	assert_int_equal(store_fault_calls(file.store), 1);
	for (i = 300; i < BLOCKS; i += 12)
		assert_int_equal(block_read(&file, rd, i), 0);
	assert_int_equal(stats(rd).cells_store, 0);
	assert_int_equal(block_read(&file, rd, a), 0);
	assert_int_equal(stats(rd).cells_store, 1);
	reader_free(rd);
	assert_int_equal(cache_has(repo_cache(file.f->repo), at.pack, first),
	    1);
	/* And what lies beside it comes from there. */
	rd = reader_make(&file, 2 * MIB, FAR_NEVER);
	assert_int_equal(block_read(&file, rd, a - 1), 0);
	st = stats(rd);
	assert_int_equal(st.cells_cache, 1);
	assert_int_equal(st.bytes_store, 0);
	reader_free(rd);
	buf_release(&file.few);
}

/* Reading all of a cell, in whatever order, fetches no byte more than twice. */
static void
test_half(void **ctx)
{
	struct file file;
	struct reader *rd;
	uint32_t k, i, n = FORMAT_GRID / BLOCK_LEN - 1, a, first, cell;

	file_make(*ctx, &file);
	rd = reader_make(&file, 8 * MIB, FAR_NEVER);
	a = inner_block(&file, 400) - n / 2 + 2;
	cells_of(&file, a + n / 2, &cell);
	for (k = 0; k < n; k++) {
		i = a + k * 7 % n;
		if (cells_of(&file, i, &first) == 1 && first == cell)
			assert_int_equal(block_read(&file, rd, i), 0);
	}
	assert_int_equal(stats(rd).cells_store, 1);
	assert_in_range(stats(rd).parts_store, 5, n / 2 + 1);
	assert_true(stats(rd).bytes_store <= 2 * FORMAT_GRID);
	reader_free(rd);
	buf_release(&file.few);
}

/* Where the store is far, the second frame of a cell brings it. */
static void
test_far(void **ctx)
{
	struct file file;
	struct reader *rd;
	uint32_t a;

	file_make(*ctx, &file);
	rd = reader_make(&file, 8 * MIB, FAR_ALWAYS);
	a = inner_block(&file, 800);
	assert_int_equal(block_read(&file, rd, a), 0);
	assert_int_equal(stats(rd).parts_store, 1);
	assert_int_equal(stats(rd).cells_store, 0);
	/* What was measured meanwhile is how near it is. */
	rd->cells.cost.wait = 1ull << 50;
	assert_int_equal(block_read(&file, rd, a + 2), 0);
	assert_int_equal(block_read(&file, rd, a + 4), 0);
	assert_int_equal(stats(rd).parts_store, 1);
	assert_int_equal(stats(rd).cells_store, 1);
	assert_int_equal(store_fault_calls(file.store), 2);
	reader_free(rd);
	buf_release(&file.few);
}

/* Readers tell what they see. */
static void
test_seen(void **ctx)
{
	struct file file;
	struct reader *rd;
	double first;
	unsigned i;

	file_make(*ctx, &file);
	assert_int_equal(reader_new(file.f->repo, NULL, &rd), 0);
	first = rd->cells.cost.again;
	rd->cells.cost.wait = 1;
	rd->cells.cost.transfer = 1ull << 50;
	rd->cells.cost.transfers = 100;
	for (i = 0; i < 100; i++)
		assert_int_equal(block_read(&file, rd, i * 607 % BLOCKS), 0);
	assert_true(rd->cells.cost.again != first);
	reader_free(rd);
	buf_release(&file.few);
}

/* One request for a frame that crosses the grid. */
static void
test_across(void **ctx)
{
	struct file file;
	struct reader *rd;
	uint32_t i, first;

	file_make(*ctx, &file);
	rd = reader_make(&file, 8 * MIB, FAR_NEVER);
	for (i = 0; cells_of(&file, i, &first) == 1; i++)
		;
	assert_int_equal(block_read(&file, rd, i), 0);
	assert_int_equal(store_fault_calls(file.store), 1);
	assert_int_equal(stats(rd).parts_store, 1);
	assert_true(stats(rd).bytes_store <= BLOCK_LEN + 3 * GRAIN);
	/* Two cells came on as few requests as they would have. */
	assert_int_equal(block_read(&file, rd, i + 1), 0);
	assert_int_equal(store_fault_calls(file.store), 2);
	reader_free(rd);
	buf_release(&file.few);
}

struct one {
	struct file *file;
	struct reader *rd;
	uint32_t block;
	pthread_barrier_t *begin;
};

static void *
one_reads(void *ctx)
{
	struct one *one = ctx;

	pthread_barrier_wait(one->begin);
	return (void *)(intptr_t)block_read(one->file, one->rd, one->block);
}

/* Those who want a frame at the same time share its request. */
static void
test_together(void **ctx)
{
	pthread_t thread[READERS];
	pthread_barrier_t begin;
	struct file file;
	struct one one;
	void *err;
	unsigned i, round;

	file_make(*ctx, &file);
	one.file = &file;
	one.rd = reader_make(&file, 8 * MIB, FAR_NEVER);
	one.begin = &begin;
	pthread_barrier_init(&begin, NULL, READERS);
	for (round = 0; round < 20; round++) {
		one.block = round * 70 + 11;
		for (i = 0; i < READERS; i++)
			assert_int_equal(pthread_create(&thread[i], NULL,
			    one_reads, &one), 0);
		for (i = 0; i < READERS; i++) {
			assert_int_equal(pthread_join(thread[i], &err), 0);
			assert_null(err);
		}
		assert_int_equal(store_fault_calls(file.store), round + 1);
	}
	pthread_barrier_destroy(&begin);
	reader_free(one.rd);
	buf_release(&file.few);
}

static void
failing(struct file *file, struct reader *rd, uint32_t block,
    enum store_fault_kind kind, int every, int err, int want)
{
	struct store_fault_conf conf = count_gets;

	conf.kind = kind;
	conf.nth = 1;
	conf.every = every;
	conf.err = err;
	store_fault_set(file->store, &conf);
	assert_int_equal(block_read(file, rd, block), want);
	store_fault_set(file->store, &count_gets);
	/* Whatever it was, it is no more. */
	assert_int_equal(block_read(file, rd, block), 0);
}

/* The right bytes, or an error, as from cells. */
static void
test_failures(void **ctx)
{
	struct file file;
	struct reader *rd;

	file_make(*ctx, &file);
	rd = reader_make(&file, 8 * MIB, FAR_NEVER);
	failing(&file, rd, 10, STORE_FAULT_FAIL, 0, -EIO, -EIO);
	failing(&file, rd, 110, STORE_FAULT_FAIL, 1, -FIRN_ECOLD, -FIRN_ECOLD);
	failing(&file, rd, 210, STORE_FAULT_FAIL, 0, -ECANCELED, -ECANCELED);
	/* Damage on the way is read again, past all that has it. */
	failing(&file, rd, 310, STORE_FAULT_CORRUPT, 0, 0, 0);
	failing(&file, rd, 410, STORE_FAULT_SHORT, 0, 0, 0);
	assert_int_equal(stats(rd).corrupt, 0);
	failing(&file, rd, 510, STORE_FAULT_SHORT, 1, 0, -FIRN_ECORRUPT);
	assert_true(stats(rd).corrupt > 0);
	reader_free(rd);
	buf_release(&file.few);
}

/* A block, alone in its frame, without structure. */
static void
large_add(struct fixture *f, size_t len, uint64_t seed, uint8_t *data,
    uint8_t id[BLOCK_ID_SIZE])
{
	fill(data, len, seed);
	assert_int_equal(sink_put(f, BLOCK_DATA, data, len, id), 0);
}

/* What is longer than cells is fetched alone as far as that is one request. */
static void
test_long_frames(void **ctx)
{
	struct fixture *f = *ctx;
	const size_t len[] = { 700 * KIB, 3 * MIB, 6 * MIB };
	uint8_t *data = malloc(6 * MIB), id[3][BLOCK_ID_SIZE];
	struct blockref ref;
	struct reader *rd;
	uint64_t bytes;
	unsigned i;

	f->writer->data.pack_target = 16 * MIB;
	for (i = 0; i < 3; i++)
		large_add(f, len[i], i, data, id[i]);
	assert_int_equal(writer_flush(f->writer), 0);
	reopen_fresh(f);
	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	for (i = 0; i < 3; i++) {
		bytes = stats(rd).bytes_store;
		fill(data, len[i], i);
		assert_int_equal(reader_get_part(rd, BLOCK_DATA, id[i], &ref),
		    0);
		assert_int_equal(ref.len, len[i]);
		assert_memory_equal(ref.data, data, len[i]);
		blockref_put(rd, &ref);
		assert_int_equal(stats(rd).parts_store, i < 2 ? i + 1 : 2);
		if (i < 2)
			assert_in_range(stats(rd).bytes_store - bytes, len[i],
			    len[i] + 3 * GRAIN);
	}
	reader_free(rd);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bytes),
		T(test_sparse),
		T(test_in_order),
		T(test_again),
		T(test_half),
		T(test_far),
		T(test_seen),
		T(test_across),
		T(test_together),
		T(test_failures),
		T(test_long_frames),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
