/* SPDX-License-Identifier: Apache-2.0 */
/* Writer, reader, trees and lists over a repository in a local directory. */
#include "repo_test.h"

#include "repo/writer_internal.h"

#include <sys/stat.h>

#include "repo/filemap.h"
#include "repo/reader.h"
#include "repo/tree_read.h"
#include "store/store_fault.h"

#define BLOCKS 300

static size_t
block_len(uint64_t i)
{
	return 1 + (size_t)(i * 7919 % 300000);
}

static void
test_blocks(void **ctx)
{
	struct fixture *f = *ctx;
	uint8_t *data = malloc(400000), id[BLOCKS][BLOCK_ID_SIZE];
	struct gen_added added;
	struct reader *rd;
	struct blockref ref;
	uint64_t i;
	int new, round;

	for (i = 0; i < BLOCKS; i++) {
		fill(data, block_len(i), i);
		assert_int_equal(block_id(f->mac, BLOCK_DATA, data,
		    block_len(i), id[i]), 0);
		assert_int_equal(writer_add(f->writer, BLOCK_DATA, id[i],
		    data, block_len(i), &new), 0);
		assert_int_equal(new, 1);
		/* At once known, before anything is stored. */
		assert_int_equal(writer_add(f->writer, BLOCK_DATA, id[i],
		    data, block_len(i), &new), 0);
		assert_int_equal(new, 0);
	}
	assert_int_equal(writer_flush(f->writer), 0);
	writer_added(f->writer, &added);
	assert_int_equal(added.data_blocks, BLOCKS);
	assert_true(added.stored_bytes > added.data_bytes);
	for (round = 0; round < 2; round++) {
		if (round == 1)
			reopen_fresh(f);
		assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
		for (i = 0; i < BLOCKS; i++) {
			fill(data, block_len(i), i);
			assert_int_equal(reader_get(rd, BLOCK_DATA, id[i],
			    &ref), 0);
			assert_int_equal(ref.len, block_len(i));
			assert_memory_equal(ref.data, data, ref.len);
			blockref_put(rd, &ref);
		}
		/* The same content as another type is another block. */
		assert_int_equal(reader_get(rd, BLOCK_TREE, id[0], &ref),
		    -FIRN_EMISSING);
		reader_free(rd);
	}
	free(data);
}

/* Add the block of this number; was it new? */
static int
add_block(struct fixture *f, struct writer *w, uint64_t i)
{
	uint8_t data[1000], id[BLOCK_ID_SIZE];
	int new;

	fill(data, sizeof(data), i);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, sizeof(data), id),
	    0);
	assert_int_equal(writer_add(w, BLOCK_DATA, id, data, sizeof(data),
	    &new), 0);
	return new;
}

/* What another host has stored since a writer began is not stored again. */
static void
test_two_hosts(void **ctx)
{
	struct writer_conf wc = WRITER_CONF_DEFAULT;
	struct fixture *f = *ctx;
	struct writer *w;
	struct repo *other;
	char cache[80];
	uint8_t data[1000], id[BLOCK_ID_SIZE];
	time_t end = time(NULL) + 60;

	snprintf(cache, sizeof(cache), "%s/cache-other", f->dir);
	f->conf.cache_dir = cache;
	assert_int_equal(repo_open(&f->conf, &other), 0);
	f->conf.cache_dir = f->cache;
	wc.follow = 1;
	assert_int_equal(writer_new(other, &wc, &w), 0);
	assert_int_equal(add_block(f, f->writer, 1), 1);
	assert_int_equal(writer_flush(f->writer), 0);
	/* It looks again and again as long as there are new blocks. */
	fill(data, sizeof(data), 1);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, sizeof(data), id),
	    0);
	for (uint64_t i = 2; writer_has(w, BLOCK_DATA, id) == 0; i++) {
		assert_int_equal(add_block(f, w, i), 1);
		assert_true(time(NULL) < end);
	}
	assert_int_equal(add_block(f, w, 1), 0);
	assert_int_equal(writer_flush(w), 0);
	writer_free(w);
	repo_close(other);
}

/* Another process empties the index that it shares with us, in the middle of a
 * run: it is loaded again, and nothing is stored twice. */
static void
test_index_emptied(void **ctx)
{
	const uint8_t absent[1][OBJECT_ID_SIZE] = { { 1 } };
	struct fixture *f = *ctx;
	struct index *ix = repo_index(f->repo);
	uint8_t data[1000], id[BLOCK_ID_SIZE];
	uint64_t epoch;

	assert_int_equal(add_block(f, f->writer, 1), 1);
	assert_int_equal(writer_flush(f->writer), 0);
	writer_again(f);
	assert_int_equal(add_block(f, f->writer, 1), 0);
	assert_int_equal(index_epoch(ix, PACK_DATA, &epoch), 0);
	/* That other packs are absent than before empties it. */
	assert_int_equal(index_absent_set(ix, PACK_DATA, epoch, absent, 1), 1);
	fill(data, sizeof(data), 1);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, sizeof(data), id),
	    0);
	assert_int_equal(index_has(ix, PACK_DATA, id), 0);
	assert_int_equal(add_block(f, f->writer, 1), 0);
	assert_int_equal(add_block(f, f->writer, 2), 1);
}

static struct entry
file_entry(const char *name)
{
	struct entry e = { .name = name, .namelen = strlen(name),
	    .flags = ENTRY_SIZE, .mode = S_IFREG | 0644 };

	return e;
}

static void
test_directory(void **ctx)
{
	struct fixture *f = *ctx;
	const uint64_t counts[] = { 0, 1, 2, 300, 5000, 60000 };
	struct tree_writer *tw;
	struct tree_pos pos = TREE_POS_INIT;
	uint8_t id[6][BLOCK_ID_SIZE], again[BLOCK_ID_SIZE];
	struct reader *rd;
	struct tree *t;
	struct entry e;
	char name[32];
	uint64_t i;
	size_t c;
	int ret;

	assert_int_equal(tree_writer_new(repo_keys(f->repo), &f->sink, &tw),
	    0);
	for (c = 0; c < 6; c++) {
		for (i = 0; i < counts[c]; i++) {
			snprintf(name, sizeof(name), "n%07llu",
			    (unsigned long long)i * 3);
			e = file_entry(name);
			e.ino = i;
			assert_int_equal(tree_writer_add(tw, &e), 0);
		}
		if (c == 3)	/* the same name again */
			assert_int_equal(tree_writer_add(tw, &e), -EINVAL);
		assert_int_equal(tree_writer_finish(tw, id[c]), 0);
	}
	/* The same entries make the same directory. */
	for (i = 0; i < counts[4]; i++) {
		snprintf(name, sizeof(name), "n%07llu",
		    (unsigned long long)i * 3);
		e = file_entry(name);
		e.ino = i;
		assert_int_equal(tree_writer_add(tw, &e), 0);
	}
	assert_int_equal(tree_writer_finish(tw, again), 0);
	assert_memory_equal(again, id[4], BLOCK_ID_SIZE);
	tree_writer_free(tw);
	assert_int_equal(writer_flush(f->writer), 0);

	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(tree_new(rd, 4u << 20, &t), 0);
	for (c = 0; c < 6; c++) {
		ret = tree_at(t, id[c], 0, &pos);
		for (i = 0; i < counts[c]; i++) {
			assert_int_equal(ret, 1);
			assert_int_equal(tree_entry(&pos)->ino, i);
			assert_int_equal(pos.ordinal, i);
			ret = tree_next(t, id[c], &pos);
		}
		assert_int_equal(ret, 0);
		for (i = 0; i < counts[c] * 3; i += 1 + i / 50) {
			snprintf(name, sizeof(name), "n%07llu",
			    (unsigned long long)i);
			ret = tree_find(t, id[c], name, strlen(name), &pos);
			assert_int_equal(ret, i % 3 == 0);
			if (ret == 1)
				assert_int_equal(pos.ordinal, i / 3);
			if (i < counts[c])
				assert_int_equal(tree_at(t, id[c], i, &pos),
				    1);
		}
		assert_int_equal(tree_find(t, id[c], "a", 1, &pos), 0);
		assert_int_equal(tree_find(t, id[c], "z", 1, &pos), 0);
		assert_int_equal(tree_at(t, id[c], counts[c], &pos), 0);
	}
	tree_pos_release(t, &pos);
	tree_free(t);
	reader_free(rd);
}

/* A file of n extents, every third a hole; checks all of it. */
static void
list_round(struct fixture *f, uint64_t n)
{
	struct list_writer *lw;
	struct buf few = BUF_INIT(4096);
	struct extent x;
	struct entry e = file_entry("f");
	struct reader *rd;
	struct filemap *fm;
	uint8_t block[100], *have;
	uint64_t i, start, at, size = 0, pos;
	size_t got;

	assert_int_equal(list_writer_new(&f->sink, &lw), 0);
	for (i = 0; i < n; i++) {
		memset(&x, 0, sizeof(x));
		x.hole = i % 3 == 2;
		x.len = 1 + i % 100;
		size += x.len;
		fill(block, x.len, i + 77);
		if (!x.hole)
			assert_int_equal(sink_put(f, BLOCK_DATA, block,
			    x.len, x.id), 0);
		assert_int_equal(list_writer_add(lw, &x), 0);
	}
	assert_int_equal(list_writer_finish(lw, &e, &few), 0);
	list_writer_free(lw);
	assert_int_equal(e.size, size);
	assert_int_equal(!!(e.flags & ENTRY_LIST), n > TREE_EXTENTS_INLINE);
	assert_int_equal(writer_flush(f->writer), 0);

	assert_int_equal(reader_new(f->repo, NULL, &rd), 0);
	assert_int_equal(filemap_new(rd, &e, &fm), 0);
	have = malloc(size + 1);
	assert_int_equal(filemap_read(fm, 0, have, size + 1, &got), 0);
	assert_int_equal(got, size);
	for (i = 0, at = 0; i < n; at += 1 + i % 100, i++) {
		if (i % 3 == 2)
			memset(block, 0, sizeof(block));
		else
			fill(block, 1 + i % 100, i + 77);
		assert_memory_equal(have + at, block, 1 + i % 100);
		assert_int_equal(filemap_extent(fm, at, &x, &start), 1);
		assert_int_equal(start, at);
		assert_int_equal(x.hole, i % 3 == 2);
		if (i % 3 == 2) {
			assert_int_equal(filemap_seek(fm, at, 1, &pos), 0);
			assert_int_equal(pos, at);
		}
	}
	assert_int_equal(filemap_extent(fm, size, &x, &start), 0);
	assert_int_equal(filemap_seek(fm, size, 0, &pos), -ENXIO);
	free(have);
	filemap_free(fm);
	reader_free(rd);
	buf_release(&few);
}

static void
test_lists(void **ctx)
{
	const uint64_t n[] = { 1, 2, TREE_EXTENTS_INLINE,
	    TREE_EXTENTS_INLINE + 1, 127, 129, 3000, 20000 };
	size_t i;

	for (i = 0; i < sizeof(n) / sizeof(n[0]); i++)
		list_round(*ctx, n[i]);
}

/* A dry run counts each new block once, and what is known not at all. */
static void
test_dry_run(void **ctx)
{
	struct fixture *f = *ctx;
	const struct writer_conf wc = { .dry_run = 1 };
	uint8_t data[1000], id[100][BLOCK_ID_SIZE];
	struct gen_added added;
	unsigned i, round;

	for (i = 0; i < 100; i++) {
		fill(data, sizeof(data), i);
		assert_int_equal(block_id(f->mac, BLOCK_DATA, data,
		    sizeof(data), id[i]), 0);
		if (i < 30)
			assert_int_equal(writer_add(f->writer, BLOCK_DATA,
			    id[i], data, sizeof(data), NULL), 0);
	}
	assert_int_equal(writer_flush(f->writer), 0);
	writer_free(f->writer);
	assert_int_equal(writer_new(f->repo, &wc, &f->writer), 0);
	for (round = 0; round < 2; round++)
		for (i = 0; i < 100; i++)
			assert_int_equal(writer_add(f->writer, BLOCK_DATA,
			    id[i], data, sizeof(data), NULL), 0);
	assert_int_equal(writer_flush(f->writer), 0);
	writer_added(f->writer, &added);
	assert_int_equal(added.data_blocks, 70);
	assert_int_equal(added.stored_bytes, 0);
}

/* Settling lists what was stored, and says whether that is all. */
static void
test_settle(void **ctx)
{
	struct fixture *f = *ctx;
	uint8_t data[1000], id[BLOCK_ID_SIZE];
	unsigned n;

	fill(data, sizeof(data), 1);
	assert_int_equal(block_id(f->mac, BLOCK_DATA, data, sizeof(data), id),
	    0);
	assert_int_equal(writer_add(f->writer, BLOCK_DATA, id, data,
	    sizeof(data), NULL), 0);
	assert_int_equal(writer_settle(f->writer), 0);
	assert_int_not_equal(writer_flush(f->writer), 0);
	/* A put that fails may have arrived all the same. */
	writer_again(f);
	assert_int_equal(writer_add(f->writer, BLOCK_DATA, id, data,
	    sizeof(data), NULL), 0);
	store_cancel(repo_store(f->repo));
	assert_int_not_equal(writer_flush(f->writer), 0);
	store_resume(repo_store(f->repo));
	assert_int_not_equal(writer_settle(f->writer), 0);
	assert_int_equal(repo_adopt(f->repo, PACK_DATA, &n), 0);
	assert_int_equal(n, 0);
}

static void
test_keys(void **ctx)
{
	struct fixture *f = *ctx;
	struct keyslot_info info;
	struct config config;
	struct repo *other;

	assert_int_equal(repo_key_add(f->repo, KEY_WRITE_ONLY, "w", "pw", 2,
	    &info), 0);
	assert_int_equal(repo_key_remove(f->repo, info.name), 0);
	assert_int_equal(repo_key_remove(f->repo, info.name), -ENOENT);
	assert_int_equal(repo_key_remove(f->repo,
	    repo_slot(f->repo)->name), -EBUSY);
	config_default(&config);
	assert_int_equal(repo_init(&f->conf, &config, "t", &other), -EEXIST);
}

/* Memory that is used again is bounded: what has grown for a large block is
 * freed, and room for packs of one kind makes way for that of another. */
static void
test_spares(void **ctx)
{
	struct fixture *f = *ctx;
	struct writer *w = f->writer;
	const size_t len = 12u << 20;
	uint8_t *data = malloc(len), id[BLOCK_ID_SIZE];
	struct wframe *frame;
	struct wpack *p;
	size_t i, bytes = 0, packs = 0;
	int k;

	assert_non_null(data);
	w->data.pack_target = 1u << 20;
	for (k = 0; k < 10; k++) {
		for (i = 0; i + 8 <= len; i += 8) {
			uint64_t x = rnd();

			memcpy(data + i, &x, 8);
		}
		assert_int_equal(f->sink.put(f, k % 3 == 0 ? BLOCK_DATA :
		    BLOCK_TREE, data, k % 3 == 0 ? len : 1u << 20, id), 0);
		if (k % 2 == 1)
			assert_int_equal(writer_flush(w), 0);
	}
	for (p = w->spare_packs; p != NULL; p = p->next, packs++)
		assert_int_equal(p->bytes.cap, p->room);
	for (frame = w->spare; frame != NULL; frame = frame->next)
		bytes += frame->plain.cap + frame->payload.cap;
	assert_in_range(packs, 1, w->pace.most + 1);
	assert_true(bytes <= w->max_frames * 3 * (size_t)FRAME_ROOM);
	free(data);
}

/* Frames of blocks that are wanted one at a time are small; others are not, and
 * neither are those of directories. */
static void
test_fine_frames(void **ctx)
{
	struct fixture *f = *ctx;
	struct index_place at, before = { .frame_off = 0 };
	uint8_t data[5000], id[BLOCK_ID_SIZE], ids[60][BLOCK_ID_SIZE];
	uint32_t i, frames[3] = { 0 };

	for (i = 0; i < 60; i++) {
		writer_fine(f->writer, i >= 20 && i < 40);
		fill(data, sizeof(data), i);
		assert_int_equal(sink_put(f, BLOCK_DATA, data, sizeof(data),
		    ids[i]), 0);
	}
	writer_fine(f->writer, 1);
	for (i = 0; i < 20; i++) {
		fill(data, sizeof(data), i);
		assert_int_equal(sink_put(f, BLOCK_TREE, data, sizeof(data),
		    id), 0);
	}
	assert_int_equal(writer_flush(f->writer), 0);
	for (i = 0; i < 60; i++) {
		assert_int_equal(index_find(repo_index(f->repo), PACK_DATA,
		    ids[i], &at), 1);
		frames[i / 20] += at.frame_off != before.frame_off;
		before = at;
	}
	assert_int_equal(frames[0], 1);
	/* Three in each; the last one is filled on. */
	assert_int_equal(frames[1], 7);
	assert_int_equal(frames[2], 0);
	assert_int_equal(index_find(repo_index(f->repo), PACK_META, id, &at),
	    1);
	assert_true(at.frame_len > 20 * sizeof(data));
}

/* So many places that their packs stay within memory; a number that was asked
 * for is taken as it is.  What ends is told to what decides. */
static void
test_places(void **ctx)
{
	struct fixture *f = *ctx;
	struct config *c = &f->repo->config;
	const struct {
		uint32_t pack;
		unsigned threads, uploads, first, most;
	} t[] = {
		{ 32u << 20, 2, 0, 2, 4 }, { 32u << 20, 64, 0, 2, 3 },
		{ 1u << 20, 2, 0, 2, 16 }, { 512u << 20, 2, 0, 2, 2 },
		{ 32u << 20, 2, 1, 1, 1 }, { 32u << 20, 2, 64, 64, 64 },
	};
	struct writer_conf wc = WRITER_CONF_DEFAULT;
	uint8_t data[5000], id[BLOCK_ID_SIZE];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		writer_free(f->writer);
		f->writer = NULL;
		c->data_pack = t[i].pack;
		wc.threads = t[i].threads;
		wc.uploads = t[i].uploads;
		assert_int_equal(writer_new(f->repo, &wc, &f->writer), 0);
		assert_int_equal(f->writer->pace.limit, t[i].first);
		assert_int_equal(f->writer->pace.most, t[i].most);
		assert_int_equal(f->writer->nuploaders, t[i].most);
	}
	assert_int_equal(f->writer->pace.begin, 0);
	fill(data, sizeof(data), 77);
	assert_int_equal(f->sink.put(f, BLOCK_DATA, data, sizeof(data), id),
	    0);
	assert_int_equal(writer_flush(f->writer), 0);
	assert_true(f->writer->pace.begin > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_blocks),
		T(test_two_hosts),
		T(test_index_emptied),
		T(test_directory),
		T(test_lists),
		T(test_dry_run),
		T(test_settle),
		T(test_spares),
		T(test_fine_frames),
		T(test_places),
		T(test_keys),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
