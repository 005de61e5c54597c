/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Footers of packs and whole packs: round trips, rules, damage, golden bytes.
 */
#include "pack_test.h"

#include "golden/pack.h"

/* A pack of two frames and three blocks. */
struct sample {
	struct pack_frame frames[2];
	struct pack_block blocks[3];
	struct pack_footer footer;
};

static void
sample_init(struct sample *s)
{
	struct pack_block *b = s->blocks;

	memset(s, 0, sizeof(*s));
	s->frames[0] = (struct pack_frame){ 112, 50, 300 };
	s->frames[1] = (struct pack_frame){ 162, 77, 60 };
	b[0] = (struct pack_block){ .type = BLOCK_DATA, .len = 100 };
	b[1] = (struct pack_block){ .type = BLOCK_DATA, .off = 100,
	    .len = 200 };
	b[2] = (struct pack_block){ .type = BLOCK_DATA, .frame = 1,
	    .len = 60 };
	memset(b[0].id, 1, BLOCK_ID_SIZE);
	memset(b[1].id, 2, BLOCK_ID_SIZE);
	memset(b[2].id, 3, BLOCK_ID_SIZE);
	s->footer = (struct pack_footer){ s->frames, 2, s->blocks, 3 };
}

static int
sample_parse(const struct sample *s, size_t pad)
{
	struct buf b = BUF_INIT(100000);
	struct pack_footer got;
	uint64_t off;
	int err;

	pack_footer_write(&s->footer, &b);
	/* Where the footer of the whole lies; `pad` shifts it by packs'
	 * grains. */
	off = FORMAT_PACK_ALIGN + pad - PACK_TRAILER_SIZE -
	    PACK_FOOTER_OVERHEAD - b.len;
	err = pack_footer_parse(b.data, b.len, PACK_DATA, off, &got);
	if (err == 0) {
		assert_int_equal(got.nframes, s->footer.nframes);
		assert_memory_equal(got.frames, s->frames,
		    got.nframes * sizeof(*s->frames));
		assert_int_equal(got.nblocks, s->footer.nblocks);
		assert_memory_equal(got.blocks, s->blocks,
		    got.nblocks * sizeof(*s->blocks));
		pack_footer_release(&got);
	} else {
		assert_null(got.frames);
		assert_null(got.blocks);
	}
	buf_release(&b);
	return err;
}

/* Break one rule: neither valid nor decoded. */
#define REFUSED(change) do { \
	struct sample s; \
	uint64_t end_; \
	sample_init(&s); \
	change; \
	assert_false(pack_footer_valid(&s.footer, PACK_DATA, &end_) && \
	    end_ == 239); \
	assert_int_equal(sample_parse(&s, 0), -FIRN_ECORRUPT); \
} while (0)

static void
test_footer(void **state)
{
	struct sample s;
	uint64_t end;

	(void)state;
	sample_init(&s);
	assert_true(pack_footer_valid(&s.footer, PACK_DATA, &end));
	assert_int_equal(end, 239);
	assert_int_equal(sample_parse(&s, 0), 0);
	assert_int_equal(sample_parse(&s, 1), -FIRN_ECORRUPT);
	assert_int_equal(sample_parse(&s, FORMAT_PACK_ALIGN), -FIRN_ECORRUPT);
	assert_false(pack_footer_valid(&s.footer, PACK_META, &end));
}

static void
test_footer_rules(void **state)
{
	(void)state;
	REFUSED(s.footer.nframes = 0);
	REFUSED(s.footer.nblocks = 0);
	REFUSED(s.footer.nblocks = 2);
	REFUSED(s.footer.nframes = 1);
	REFUSED(s.frames[0].sealed = PACK_FRAME_OVERHEAD);
	REFUSED(s.frames[1].sealed = 60 + PACK_FRAME_OVERHEAD + 1);
	REFUSED(s.frames[1].plain = 0);
	REFUSED(s.frames[0].plain = 299);
	REFUSED(s.frames[0].plain = 301);
	REFUSED(s.frames[1].plain = 61);
	REFUSED((s.frames[1].plain = FORMAT_FRAME_MAX + 1));
	REFUSED(s.blocks[0].type = 0);
	REFUSED(s.blocks[0].type = 5);
	REFUSED(s.blocks[0].type = BLOCK_TREE);
	REFUSED(s.blocks[0].len = 0);
	REFUSED(s.blocks[0].len = 99);
	REFUSED(s.blocks[0].off = 1);
	REFUSED(s.blocks[1].off = 99);
	REFUSED(s.blocks[1].len = 201);
	REFUSED(s.blocks[1].frame = 1);
	REFUSED(s.blocks[2].frame = 0);
	REFUSED(s.blocks[2].frame = 2);
	REFUSED(s.blocks[2].len = 61);
	/* Frames past where the footer begins. */
	REFUSED((s.frames[0].plain = s.frames[0].sealed = 1u << 20,
	    s.blocks[1].len = (1u << 20) - 100, s.frames[1].off =
	    PACK_HEADER_SIZE + (1u << 20)));
	/* Past what a pack may be. */
	REFUSED(s.frames[0].sealed = FORMAT_FRAME_MAX + 17);
}

static void
damaged_footer(void *ctx, const uint8_t *data, size_t len)
{
	const uint64_t *footer_off = ctx;
	struct buf again = BUF_INIT(100000);
	struct pack_footer got;

	if (pack_footer_parse(data, len, PACK_DATA, *footer_off, &got) != 0)
		return;
	/* What decodes is what would be encoded. */
	pack_footer_write(&got, &again);
	assert_int_equal(again.len, len);
	assert_memory_equal(again.data, data, len);
	pack_footer_release(&got);
	buf_release(&again);
}

static void
test_footer_damage(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct sample s;
	uint64_t off;

	(void)state;
	sample_init(&s);
	pack_footer_write(&s.footer, &b);
	off = FORMAT_PACK_ALIGN - PACK_TRAILER_SIZE - PACK_FOOTER_OVERHEAD -
	    b.len;
	each_damage(b.data, b.len, damaged_footer, &off);
	buf_release(&b);
}

/* A pack of random blocks, as a writer makes it. */
struct whole {
	struct buf pack;
	uint8_t key[PACK_KEY_SIZE];
	struct pack_footer footer;
	uint8_t *plain;		/* all blocks */
};

static void
whole_add(struct whole *w, struct pack_codec *codec, uint8_t *plain,
    unsigned blocks)
{
	struct pack_frame *f = &w->footer.frames[w->footer.nframes];
	struct pack_block *b;
	uint32_t len = 0;

	for (; blocks > 0; blocks--) {
		b = &w->footer.blocks[w->footer.nblocks++];
		rnd_fill(b->id, BLOCK_ID_SIZE);
		b->type = BLOCK_TREE + (uint8_t)rnd_below(3);
		b->frame = (uint32_t)w->footer.nframes;
		b->off = len;
		b->len = 1 + (uint32_t)rnd_below(5000);
		len += b->len;
	}
	fill(plain, len, (int)rnd_below(2));
	f->off = (uint32_t)w->pack.len;
	f->plain = len;
	assert_int_equal(pack_frame_seal(codec, w->key, w->pack.data, f->off,
	    3, plain, len, &w->pack), 0);
	f->sealed = (uint32_t)w->pack.len - f->off;
	w->footer.nframes++;
}

static void
whole_make(struct whole *w, struct pack_codec *codec, unsigned frames)
{
	uint8_t header[PACK_HEADER_SIZE];
	size_t off = 0;
	unsigned i;

	memset(w, 0, sizeof(*w));
	buf_init(&w->pack, FORMAT_PACK_MAX);
	w->footer.frames = calloc(frames, sizeof(*w->footer.frames));
	w->footer.blocks = calloc(frames * 10, sizeof(*w->footer.blocks));
	w->plain = malloc((size_t)frames * 10 * 5000);
	assert_true(w->footer.frames && w->footer.blocks && w->plain);
	assert_int_equal(pack_header_encode(&writer, PACK_META, header,
	    w->key), 0);
	assert_int_equal(buf_add(&w->pack, header, sizeof(header)), 0);
	for (i = 0; i < frames; i++) {
		whole_add(w, codec, w->plain + off,
		    1 + (unsigned)rnd_below(10));
		off += w->footer.frames[i].plain;
	}
	assert_int_equal(pack_finish(&w->pack, &writer, &w->footer), 0);
}

static void
whole_release(struct whole *w)
{
	buf_release(&w->pack);
	pack_footer_release(&w->footer);
	free(w->plain);
}

/* Read a pack back from its own bytes, with the footer's words only. */
static void
whole_check(struct whole *w, struct pack_codec *codec)
{
	const uint8_t *data = w->pack.data;
	struct buf out = BUF_INIT(FORMAT_PACK_MAX);
	struct pack_footer got;
	uint8_t key[PACK_KEY_SIZE];
	uint64_t off;
	uint32_t len;
	size_t i;

	assert_int_equal(w->pack.len % FORMAT_PACK_ALIGN, 0);
	assert_int_equal(pack_trailer_decode(data + w->pack.len -
	    PACK_TRAILER_SIZE, w->pack.len, &off, &len), 0);
	assert_int_equal(pack_footer_decode(&writer, data, data + off, len,
	    off, &got), 0);
	assert_int_equal(got.nframes, w->footer.nframes);
	assert_memory_equal(got.frames, w->footer.frames,
	    got.nframes * sizeof(*got.frames));
	assert_int_equal(got.nblocks, w->footer.nblocks);
	for (i = 0; i < got.nblocks; i++)
		assert_memory_equal(got.blocks[i].id, w->footer.blocks[i].id,
		    BLOCK_ID_SIZE);
	assert_int_equal(pack_header_decode(&owner, data, PACK_META, key), 0);
	for (i = 0; i < got.nframes; i++)
		assert_int_equal(pack_frame_open(codec, key, data,
		    got.frames[i].off, data + got.frames[i].off,
		    got.frames[i].sealed, &out), 0);
	assert_memory_equal(out.data, w->plain, out.len);
	pack_footer_release(&got);
	buf_release(&out);
}

static void
test_whole(void **state)
{
	struct pack_codec *codec;
	struct pack_footer got;
	struct whole w;
	uint64_t off;
	uint32_t len;
	int i;

	(void)state;
	assert_int_equal(pack_codec_new(&codec), 0);
	for (i = 0; i < 50; i++) {
		whole_make(&w, codec, 1 + (unsigned)rnd_below(40));
		whole_check(&w, codec);
		whole_release(&w);
	}
	whole_make(&w, codec, 3);
	assert_int_equal(pack_trailer_decode(w.pack.data + w.pack.len -
	    PACK_TRAILER_SIZE, w.pack.len, &off, &len), 0);
	/* A seal that is damaged, a header of another pack. */
	w.pack.data[off + 20] ^= 1;
	assert_int_equal(pack_footer_decode(&owner, w.pack.data,
	    w.pack.data + off, len, off, &got), -FIRN_ECORRUPT);
	w.pack.data[off + 20] ^= 1;
	w.pack.data[20] ^= 1;
	assert_int_equal(pack_footer_decode(&owner, w.pack.data,
	    w.pack.data + off, len, off, &got), -FIRN_ECORRUPT);
	w.pack.data[20] ^= 1;
	assert_int_equal(pack_footer_decode(&owner, w.pack.data,
	    w.pack.data + off, len, off + 1, &got), -FIRN_ECORRUPT);
	assert_int_equal(pack_footer_decode(&owner, w.pack.data,
	    w.pack.data + off, 20, off, &got), -FIRN_ECORRUPT);
	whole_release(&w);
	pack_codec_free(codec);
	pack_footer_release(NULL);
}

static void
test_finish_rules(void **state)
{
	struct buf pack = BUF_INIT(FORMAT_PACK_MAX);
	uint8_t header[PACK_HEADER_SIZE], key[PACK_KEY_SIZE];
	struct sample s;

	(void)state;
	sample_init(&s);
	assert_int_equal(pack_finish(&pack, &owner, &s.footer), -EINVAL);
	assert_int_equal(pack_header_encode(&owner, PACK_DATA, header, key), 0);
	buf_add(&pack, header, sizeof(header));
	memset(buf_extend(&pack, 126), 0, 126);
	assert_int_equal(pack_finish(&pack, &owner, &s.footer), -EINVAL);
	buf_add_u8(&pack, 0);
	s.blocks[0].len--;
	assert_int_equal(pack_finish(&pack, &owner, &s.footer), -EINVAL);
	s.blocks[0].len++;
	pack.max = 1000;
	assert_int_equal(pack_finish(&pack, &owner, &s.footer),
	    -FIRN_ETOOBIG);
	assert_int_equal(pack.len, 239);
	pack.max = FORMAT_PACK_MAX;
	pack.err = 0;
	assert_int_equal(pack_finish(&pack, &owner, &s.footer), 0);
	assert_int_equal(pack.len, FORMAT_PACK_ALIGN);
	buf_release(&pack);
}

static void
test_trailer(void **state)
{
	uint8_t t[PACK_TRAILER_SIZE];
	uint64_t off;
	uint32_t len;

	(void)state;
	memcpy(t + 8, "firntail", 8);
	le32_put(t, 1000);
	le32_put(t + 4, FORMAT_VERSION);
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len), 0);
	assert_int_equal(len, 1000);
	assert_int_equal(off, 65536 - 1016);
	assert_int_equal(pack_trailer_decode(t, 65535, &off, &len),
	    -FIRN_ECORRUPT);
	assert_int_equal(pack_trailer_decode(t, 0, &off, &len),
	    -FIRN_ECORRUPT);
	assert_int_equal(pack_trailer_decode(t, FORMAT_PACK_MAX, &off, &len),
	    0);
	assert_int_equal(pack_trailer_decode(t, FORMAT_PACK_MAX + 65536ull,
	    &off, &len), -FIRN_ECORRUPT);
	le32_put(t, PACK_FOOTER_MIN - 1);
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_ECORRUPT);
	le32_put(t, 65536 - PACK_HEADER_SIZE - PACK_TRAILER_SIZE);
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len), 0);
	le32_put(t, 65536 - PACK_HEADER_SIZE - PACK_TRAILER_SIZE + 1);
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_ECORRUPT);
	le32_put(t, UINT32_MAX);
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_ECORRUPT);
	le32_put(t, 1000);
	t[6] = 1;
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_ECORRUPT);
	t[6] = 0;
	t[4] = 2;
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_EVERSION);
	t[15] = 'L';
	assert_int_equal(pack_trailer_decode(t, 65536, &off, &len),
	    -FIRN_ECORRUPT);
}

#define GOLDEN_PLAIN \
	"a block of data, of which the second half is alike: " \
	"a block of data, of which the second half is alike: " \
	"and another block"
#define GOLDEN_FIRST 104

static void
test_golden(void **state)
{
	const uint8_t *p = golden_pack_tail;
	size_t n = sizeof(golden_pack_tail);
	struct buf out = BUF_INIT(1000);
	uint8_t key[PACK_KEY_SIZE];
	struct pack_codec *codec;
	struct pack_footer got;
	uint64_t off;
	uint32_t len;

	(void)state;
	assert_int_equal(pack_trailer_decode(p + n - PACK_TRAILER_SIZE,
	    FORMAT_PACK_ALIGN, &off, &len), 0);
	assert_int_equal(len, n - PACK_TRAILER_SIZE);
	assert_int_equal(pack_footer_decode(&owner, golden_pack_head, p, len,
	    off, &got), 0);
	assert_int_equal(got.nframes, 1);
	assert_int_equal(got.frames[0].off, PACK_HEADER_SIZE);
	assert_int_equal(got.frames[0].sealed,
	    sizeof(golden_pack_head) - PACK_HEADER_SIZE);
	assert_int_equal(got.frames[0].plain, sizeof(GOLDEN_PLAIN) - 1);
	assert_int_equal(got.nblocks, 2);
	assert_int_equal(got.blocks[0].type, BLOCK_DATA);
	assert_int_equal(got.blocks[0].id[0], 0xc1);
	assert_int_equal(got.blocks[1].id[31], 0xc2);
	assert_int_equal(got.blocks[1].off, GOLDEN_FIRST);
	assert_int_equal(got.blocks[1].len,
	    sizeof(GOLDEN_PLAIN) - 1 - GOLDEN_FIRST);
	assert_int_equal(pack_header_decode(&owner, golden_pack_head,
	    PACK_DATA, key), 0);
	assert_int_equal(pack_codec_new(&codec), 0);
	assert_int_equal(pack_frame_open(codec, key, golden_pack_head,
	    got.frames[0].off, golden_pack_head + PACK_HEADER_SIZE,
	    got.frames[0].sealed, &out), 0);
	assert_int_equal(out.len, sizeof(GOLDEN_PLAIN) - 1);
	assert_memory_equal(out.data, GOLDEN_PLAIN, out.len);
	pack_codec_free(codec);
	pack_footer_release(&got);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_footer),
		cmocka_unit_test(test_footer_rules),
		cmocka_unit_test(test_footer_damage),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_finish_rules),
		cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_golden),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
