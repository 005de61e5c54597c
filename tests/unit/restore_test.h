/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generation in memory for tests of restore: blocks in an array behind
 * reader_get(), and a builder of trees.  Damage is a flag on a block.
 */
#ifndef FIRN_TESTS_RESTORE_TEST_H
#define FIRN_TESTS_RESTORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/restore.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "repo/filemap.h"
#include "repo/reader_run.h"
#include "repo/tree_write.h"

struct reader {
	pthread_mutex_t lock;
	struct stored {
		uint8_t id[BLOCK_ID_SIZE];
		uint8_t *data;
		size_t len;
		int damaged;
	} *v;
	size_t n, cap;
	size_t table[1 << 16];	/* index + 1 by the first bytes of the id */
	unsigned gets;
};

static struct reader store;
static struct keys keys;
static struct tree *tree;
static char root[4096], target[4200];

static inline struct stored *
store_find(const uint8_t *id)
{
	size_t h = le16_get(id);

	for (; store.table[h] != 0; h = (h + 1) & 0xffff)
		if (memcmp(store.v[store.table[h] - 1].id, id,
		    BLOCK_ID_SIZE) == 0)
			return &store.v[store.table[h] - 1];
	return NULL;
}

static inline int
store_put(void *ctx, enum block_type type, const void *data, size_t len,
    uint8_t id[BLOCK_ID_SIZE])
{
	uint8_t *copy = malloc(len + 1);
	struct stored *s;
	size_t h;

	(void)ctx;
	copy[0] = (uint8_t)type;
	memcpy(copy + 1, data, len);
	assert_int_equal(hash_sha256(copy, len + 1, id), 0);
	if (store_find(id) != NULL) {
		free(copy);
		return 0;
	}
	memmove(copy, copy + 1, len);
	if (store.n == store.cap) {
		store.cap = store.cap * 2 + 64;
		store.v = realloc(store.v, store.cap * sizeof(*store.v));
	}
	s = &store.v[store.n++];
	memcpy(s->id, id, BLOCK_ID_SIZE);
	s->data = copy;
	s->len = len;
	s->damaged = 0;
	for (h = le16_get(id); store.table[h] != 0; h = (h + 1) & 0xffff)
		;
	store.table[h] = store.n;
	return 0;
}

int
reader_get(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	struct stored *s = store_find(id);

	(void)type;
	pthread_mutex_lock(&rd->lock);
	rd->gets++;
	pthread_mutex_unlock(&rd->lock);
	if (s == NULL)
		return -FIRN_EMISSING;
	if (s->damaged)
		return -FIRN_ECORRUPT;
	out->data = s->data;
	out->len = s->len;
	out->frame = NULL;
	return 0;
}

void
blockref_put(struct reader *rd, struct blockref *ref)
{
	(void)rd;
	ref->data = NULL;
}

/* All is in memory: there is nothing to fetch ahead. */
int
reader_get_alone(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return reader_get(rd, type, id, out);
}

int
reader_get_part(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return reader_get(rd, type, id, out);
}

int
reader_peek(struct reader *rd, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct blockref *out)
{
	return reader_get(rd, type, id, out) == 0;
}

enum run_answer
reader_run(struct reader *rd, struct reader_run *run, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE])
{
	(void)rd;
	(void)run;
	(void)type;
	(void)id;
	return RUN_TAKEN;
}

int
reader_run_end(struct reader *rd, struct reader_run *run)
{
	(void)rd;
	(void)run;
	return 1;
}

static const struct block_sink sink = { store_put, NULL };

/* A directory being built; names must ascend. */
struct dirb {
	struct tree_writer *w;
};

static inline struct dirb
dir_begin(void)
{
	struct dirb d;

	assert_int_equal(tree_writer_new(&keys, &sink, &d.w), 0);
	return d;
}

static inline void
dir_end(struct dirb *d, uint8_t id[BLOCK_ID_SIZE])
{
	assert_int_equal(tree_writer_finish(d->w, id), 0);
	tree_writer_free(d->w);
}

static inline struct entry
make_entry(const char *name, mode_t mode)
{
	struct entry e = { .name = name, .namelen = strlen(name),
	    .mode = mode, .uid = geteuid(), .gid = getegid(),
	    .mtime = { 1600000000, 123456789 }, .ino = 1 };

	return e;
}

static inline void
add_entry(struct dirb *d, const struct entry *e)
{
	assert_int_equal(tree_writer_add(d->w, e), 0);
}

static inline void
add_dir_entry(struct dirb *d, struct entry e, const uint8_t *id)
{
	e.flags |= ENTRY_SUBTREE;
	memcpy(e.tree_id, id, BLOCK_ID_SIZE);
	add_entry(d, &e);
}

static inline void
add_dir(struct dirb *d, const char *name, const uint8_t *id)
{
	add_dir_entry(d, make_entry(name, S_IFDIR | 0750), id);
}

static inline void
add_inline_entry(struct dirb *d, struct entry e, const char *text)
{
	e.flags |= ENTRY_SIZE | ENTRY_INLINE;
	e.size = strlen(text);
	e.inl = (const uint8_t *)text;
	add_entry(d, &e);
}

static inline void
add_text(struct dirb *d, const char *name, const char *text)
{
	add_inline_entry(d, make_entry(name, S_IFREG | 0644), text);
}

/* Blocks of `size` bytes of one value each; a blank is a hole.  Their ids go
 * to ids when it is not NULL. */
static inline void
add_blocks_entry(struct dirb *d, struct entry e, const char *values,
    size_t size, uint8_t (*ids)[BLOCK_ID_SIZE])
{
	struct buf few = BUF_INIT(1 << 20);
	struct list_writer *lw;
	struct extent x = { .len = size };
	uint8_t *data = malloc(size);

	assert_int_equal(list_writer_new(&sink, &lw), 0);
	for (; *values != '\0'; values++) {
		x.hole = *values == ' ';
		memset(data, *values, size);
		if (!x.hole)
			store_put(NULL, BLOCK_DATA, data, size, x.id);
		if (ids != NULL)
			memcpy(*ids++, x.id, BLOCK_ID_SIZE);
		assert_int_equal(list_writer_add(lw, &x), 0);
	}
	assert_int_equal(list_writer_finish(lw, &e, &few), 0);
	add_entry(d, &e);
	list_writer_free(lw);
	buf_release(&few);
	free(data);
}

static inline void
add_blocks(struct dirb *d, const char *name, const char *values, size_t size,
    uint8_t (*ids)[BLOCK_ID_SIZE])
{
	add_blocks_entry(d, make_entry(name, S_IFREG | 0600), values, size,
	    ids);
}

static inline int
rm(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static inline int
setup(void **state)
{
	const char *dir = getenv("TMPDIR");

	(void)state;
	memset(&store, 0, sizeof(store));
	pthread_mutex_init(&store.lock, NULL);
	snprintf(root, sizeof(root), "%s/test_restore.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	if (mkdtemp(root) == NULL || keys_generate(&keys) != 0)
		return -1;
	snprintf(target, sizeof(target), "%s/target", root);
	return tree_new(&store, 1 << 20, &tree);
}

static inline int
teardown(void **state)
{
	size_t i;

	(void)state;
	tree_free(tree);
	for (i = 0; i < store.n; i++)
		free(store.v[i].data);
	free(store.v);
	return nftw(root, rm, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path below the target; valid until the fourth call after. */
static inline const char *at(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static inline const char *
at(const char *fmt, ...)
{
	static char ring[4][8192];
	static int next;
	char *p = ring[next++ % 4];
	size_t n = (size_t)snprintf(p, 4200, "%s/", target);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p + n, 8192 - n, fmt, ap);
	va_end(ap);
	return p;
}

static inline void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		fail_msg("cannot write %s", path);
	fputs(text, f);
	fclose(f);
}

static inline void
assert_text(const char *path, const char *want)
{
	char have[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		fail_msg("cannot open %s", path);
	n = fread(have, 1, sizeof(have) - 1, f);
	have[n] = '\0';
	fclose(f);
	assert_string_equal(have, want);
}

static inline int
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline struct stat
stat_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		fail_msg("cannot stat %s", path);
	return st;
}

static inline void
assert_meta(const char *path, mode_t mode)
{
	struct stat st = stat_of(path);

	assert_int_equal(st.st_mode, mode);
	assert_int_equal(st.st_mtim.tv_sec, 1600000000);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
}

static int temps_seen;

static inline int
count_temp(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	temps_seen += strncmp(path + f->base, ".firn-", 6) == 0;
	return 0;
}

static inline int
count_temps(void)
{
	temps_seen = 0;
	nftw(target, count_temp, 16, FTW_PHYS);
	return temps_seen;
}

/* Run and expect this return value. */
static inline struct restore_result
run(const uint8_t *id, const char *path, const struct restore_conf *conf,
    int want)
{
	static const struct restore_conf plain;
	struct restore_result res;
	int err;

	err = restore_run(tree, id, path, target,
	    conf != NULL ? conf : &plain, &res);
	if (err != want)
		fail_msg("restore returned %d, not %d", err, want);
	return res;
}

static inline void
check_blocks(const char *path, const char *values, size_t size)
{
	char *buf = malloc(size);
	size_t i;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	for (; *values != '\0'; values++) {
		assert_int_equal(fread(buf, 1, size, f), size);
		for (i = 0; i < size; i++)
			if (buf[i] != (*values == ' ' ? 0 : *values))
				fail_msg("%s: wrong byte", path);
	}
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	free(buf);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
