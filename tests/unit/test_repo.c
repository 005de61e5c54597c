/* SPDX-License-Identifier: Apache-2.0 */
/* Writer, reader, trees and lists over a repository in a local directory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "repo/filemap.h"
#include "repo/generation.h"
#include "repo/idlossy.h"
#include "repo/idset.h"
#include "repo/localmeta.h"
#include "repo/repo.h"
#include "repo/repo_internal.h"
#include "repo/runfile.h"
#include "repo/tree_read.h"
#include "repo/tree_write.h"
#include "repo/writer.h"
#include "store/store_fault.h"

static uint64_t state;

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1du;
}

static int
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

static int
sink_put(void *ctx, enum block_type type, const void *data, size_t len,
    uint8_t id[BLOCK_ID_SIZE])
{
	struct fixture *f = ctx;
	int err;

	err = block_id(f->mac, type, data, len, id);
	return err == 0 ? writer_add(f->writer, type, id, data, len, NULL) :
	    err;
}

static void
writer_again(struct fixture *f)
{
	const struct writer_conf wc = WRITER_CONF_DEFAULT;

	writer_free(f->writer);
	f->writer = NULL;
	assert_int_equal(writer_new(f->repo, &wc, &f->writer), 0);
}

static int
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

static int
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
static void
reopen_fresh(struct fixture *f)
{
	writer_free(f->writer);
	f->writer = NULL;
	repo_close(f->repo);
	snprintf(f->cache, sizeof(f->cache), "%s/cache%llu", f->dir,
	    (unsigned long long)rnd());
	assert_int_equal(repo_open(&f->conf, &f->repo), 0);
}

static void
fill(uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t keep = state;
	size_t i;

	state = seed * 2 + 1;
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(rnd() >> 40);
	state = keep;
}

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

static void
block_add(struct fixture *f, uint64_t seed, uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t data[1000];

	fill(data, sizeof(data), seed);
	assert_int_equal(sink_put(f, BLOCK_DATA, data, sizeof(data), id), 0);
	assert_int_equal(writer_flush(f->writer), 0);
}

/* As another host, whose store fails so. */
static void
reopen_faulty(struct fixture *f, const char *prefix, uint64_t nth, int every,
    int err)
{
	const struct store_fault_conf plan = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = nth, .every = every,
	    .err = err, .prefix = prefix };

	reopen_fresh(f);
	assert_int_equal(store_fault_wrap(f->repo->store, &plan,
	    &f->repo->store), 0);
}

/* A bad sector below one segment costs nothing; a store that is gone, or gives
 * nothing to this host, is an error. */
static void
test_segment_unreadable(void **ctx)
{
	static const int one[] = { -EIO, -EACCES, -FIRN_ECOLD };
	static const int all[] = { -ETIMEDOUT, -ECONNREFUSED, -EIO, -EACCES };
	struct fixture *f = *ctx;
	uint8_t id[4][BLOCK_ID_SIZE];
	unsigned i, k, n;

	for (i = 0; i < 4; i++)
		block_add(f, i, id[i]);
	for (k = 0; k < 3; k++) {
		reopen_faulty(f, "index/data/", 1, 0, one[k]);
		assert_int_equal(repo_sync(f->repo, PACK_DATA, &n), 0);
		assert_int_equal(n, 1);
		for (i = 0; i < 4; i++)
			assert_int_equal(index_has(repo_index(f->repo),
			    PACK_DATA, id[i]), 1);
		/* Nor does it end following. */
		reopen_faulty(f, "index/data/", 1, 0, one[k]);
		assert_int_equal(repo_follow(f->repo, PACK_DATA), 0);
		for (i = 0, n = 0; i < 4; i++)
			n += (unsigned)index_has(repo_index(f->repo),
			    PACK_DATA, id[i]);
		assert_int_equal(n, 3);
	}
	for (k = 0; k < 4; k++) {
		reopen_faulty(f, "index/data/", 1, 1, all[k]);
		assert_int_equal(repo_sync(f->repo, PACK_DATA, NULL), all[k]);
	}
}

static void
test_record_unreadable(void **ctx)
{
	struct fixture *f = *ctx;
	struct generation_list list;
	struct generation g;
	struct genrec rec;
	unsigned i;

	genrec_init(&rec);
	rec.host = strdup("host");
	rec.series = strdup("s");
	rec.program = strdup("test");
	for (i = 1; i <= 4; i++) {
		rec.start.tv_sec = rec.end.tv_sec = i;
		assert_int_equal(generation_put(f->repo, &rec, &g), 0);
	}
	genrec_release(&rec);
	reopen_faulty(f, "gen/", 1, 0, -EIO);
	assert_int_equal(generation_list(f->repo, &list), 0);
	assert_int_equal(list.n, 3);
	assert_int_equal(list.nunread, 1);
	generation_list_release(&list);
	reopen_faulty(f, "gen/", 1, 1, -EACCES);
	assert_int_equal(generation_list(f->repo, &list), -EACCES);
	reopen_faulty(f, "gen/", 2, 1, -ETIMEDOUT);
	assert_int_equal(generation_list(f->repo, &list), -ETIMEDOUT);
}

/* Whoever names two, one of which cannot be read, gets neither. */
static void
test_find_ambiguous(void **ctx)
{
	struct generation g = { .id = { 0xab, 0xcd, 0x01 } };
	struct generation_unread u = { .id = { 0xab, 0xcd, 0x02 },
	    .end = { .tv_sec = 5 }, .err = -FIRN_ECORRUPT };
	struct generation_list list = { .v = &g, .n = 1, .unread = &u,
	    .nunread = 1, .damaged = 1 };
	const struct generation *found;

	(void)ctx;
	g.rec.end.tv_sec = 7;
	g.rec.host = g.rec.series = (char *)"x";
	assert_int_equal(generation_find(&list, "abcd", &found), -EEXIST);
	assert_int_equal(generation_find(&list, "abcd01", &found), 0);
	assert_ptr_equal(found, &g);
	assert_int_equal(generation_find(&list, "abcd02", &found),
	    -FIRN_ECORRUPT);
	assert_int_equal(generation_find(&list, "1970-01-01T000007Z", &found),
	    0);
	u.end.tv_sec = 7;
	assert_int_equal(generation_find(&list, "1970-01-01T000007Z", &found),
	    -EEXIST);
}

/* One key slot that cannot be read does not lock out the others. */
static void
test_slot_unreadable(void **ctx)
{
	static struct store_fault_conf plan = { .kind = STORE_FAULT_FAIL,
	    .verbs = STORE_FAULT_VERB(STORE_GET), .nth = 1, .err = -EIO,
	    .prefix = "keys/" };
	struct fixture *f = *ctx;
	struct keyslot_info info;
	struct store *inner;

	assert_int_equal(repo_key_add(f->repo, KEY_OWNER, "b", "secret", 6,
	    &info), 0);
	inner = f->repo->store;
	assert_int_equal(store_fault_wrap(inner, &plan, &f->repo->store), 0);
	assert_int_equal(repo_unlock(f->repo, &f->conf), 0);
	plan.every = 1;
	store_fault_set(f->repo->store, &plan);
	assert_int_equal(repo_unlock(f->repo, &f->conf), -EIO);
	plan.err = -ETIMEDOUT;
	store_fault_set(f->repo->store, &plan);
	assert_int_equal(repo_unlock(f->repo, &f->conf), -ETIMEDOUT);
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_hosts, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_directory, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_segment_unreadable,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_unreadable, setup,
		    teardown),
		cmocka_unit_test(test_find_ambiguous),
		cmocka_unit_test_setup_teardown(test_slot_unreadable, setup,
		    teardown),
		cmocka_unit_test(test_idset),
		cmocka_unit_test_setup_teardown(test_compare, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compare_half_filled,
		    setup, teardown),
		cmocka_unit_test(test_idlossy),
		cmocka_unit_test_setup_teardown(test_dry_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runfile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_localmeta, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
	};

	state = (uint64_t)time(NULL) * 2 + 1;
	print_message("seed %llu\n", (unsigned long long)state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
