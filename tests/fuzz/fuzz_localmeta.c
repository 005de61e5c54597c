/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's own copy of the trees that it wrote, as a damaged disk may hold it.
 *
 * An input that begins with 'f' is the file behind its magic; another one is
 * changes to a whole file: how many bytes to cut off its end (two), then two
 * of place and one of bits to flip, again and again.  What is read is what was
 * written, or an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "repo/localmeta.h"

#define BLOCKS	5
#define MAGIC	"firnmeta\1\0\0\0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], path[96];
static struct keys keys;
static struct buf whole = BUF_INIT(1u << 20);
static const struct localmeta_head head = {
	.root = "the root", .start = { 1700000000, 5 }, .gen = "gen"
};

static void
must(int ok)
{
	if (!ok) {
		perror("cannot prepare");
		abort();
	}
}

/* Block i: an id that shares its beginning with another's, and contents. */
static size_t
block(unsigned i, uint8_t id[BLOCK_ID_SIZE], uint8_t content[64])
{
	memset(id, (int)i / 2, BLOCK_ID_SIZE);
	id[BLOCK_ID_SIZE - 1] = (uint8_t)i;
	memset(content, (int)i + 'a', 64);
	return i * 16;
}

static void
at_end(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
whole_make(void)
{
	const char *tmp = getenv("TMPDIR");
	uint8_t id[BLOCK_ID_SIZE], content[64];
	struct localmeta *m;
	unsigned i;
	size_t len;
	FILE *f;

	log_init("fuzz", LOG_LEVEL_ERR);
	snprintf(dir, sizeof(dir), "%.40s/firn-fuzz-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	must(mkdtemp(dir) != NULL && atexit(at_end) == 0 &&
	    keys_derive(&keys) == 0);
	snprintf(path, sizeof(path), "%s/meta-tag", dir);
	must(localmeta_begin(dir, &keys, "tag", &m) == 0);
	for (i = 0; i < BLOCKS; i++) {
		len = block(i, id, content);
		must(localmeta_put(m, BLOCK_TREE, id, content, len) == 0);
	}
	must(localmeta_commit(m, &head) == 0);
	localmeta_close(m);
	f = fopen(path, "rb");
	must(f != NULL && buf_extend(&whole, 4096) != NULL);
	whole.len = fread(whole.data, 1, 4096, f);
	fclose(f);
}

static void
file_write(const void *a, size_t alen, const void *b, size_t blen)
{
	FILE *f = fopen(path, "wb");

	must(f != NULL && fwrite(a, 1, alen, f) == alen &&
	    fwrite(b, 1, blen, f) == blen && fclose(f) == 0);
}

/* The whole file with what the input changes in it. */
static void
file_change(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size);
	size_t cut = rd_u16(&r) % (whole.len + 1);
	uint8_t *copy = malloc(whole.len);
	uint16_t at;
	uint8_t bits;

	must(copy != NULL);
	memcpy(copy, whole.data, whole.len);
	while (rd_left(&r) >= 3) {
		at = rd_u16(&r);
		bits = rd_u8(&r);
		copy[at % whole.len] ^= bits;
	}
	file_write(copy, rd_bad(&r) ? 0 : whole.len - cut, "", 0);
	free(copy);
}

static void
read_all(void)
{
	uint8_t id[BLOCK_ID_SIZE], content[64];
	struct localmeta_head got = { .start = { 0, 0 } };
	struct buf out = BUF_INIT(FORMAT_BLOCK_MAX);
	struct localmeta *m;
	unsigned i;
	size_t len;

	if (localmeta_open(dir, &keys, "tag", &m, &got) != 0)
		return;
	if (memcmp(got.root, head.root, sizeof(got.root)) != 0 ||
	    got.start.tv_sec != head.start.tv_sec ||
	    got.start.tv_nsec != head.start.tv_nsec ||
	    memcmp(got.gen, head.gen, sizeof(got.gen)) != 0)
		__builtin_trap();
	for (i = 0; i < BLOCKS; i++) {
		buf_reset(&out);
		len = block(i, id, content);
		if (localmeta_get(m, BLOCK_TREE, id, &out) == 0 &&
		    (out.len != len || (len > 0 &&
		    memcmp(out.data, content, len) != 0)))
			__builtin_trap();
	}
	buf_release(&out);
	localmeta_close(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (whole.len == 0)
		whole_make();
	if (size > 0 && data[0] == 'f')
		file_write(MAGIC, sizeof(MAGIC) - 1, data + 1, size - 1);
	else if (size > 0)
		file_change(data + 1, size - 1);
	read_all();
	return 0;
}
