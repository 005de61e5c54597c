/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a pack, its frames and their payloads: round trips, damage.
 */
#include "pack_test.h"

static void
test_header(void **state)
{
	uint8_t header[PACK_HEADER_SIZE], key[PACK_KEY_SIZE], got[PACK_KEY_SIZE];
	struct keys other = owner;

	(void)state;
	assert_int_equal(pack_header_encode(&writer, PACK_META, header, key), 0);
	assert_int_equal(pack_header_decode(&owner, header, 0, got), 0);
	assert_memory_equal(got, key, sizeof(key));
	assert_int_equal(pack_header_decode(&owner, header, PACK_META, got), 0);
	assert_int_equal(pack_header_decode(&owner, header, PACK_DATA, got),
	    -FIRN_ECORRUPT);
	assert_int_equal(pack_header_decode(&writer, header, 0, got),
	    -FIRN_ENOKEY);
	assert_int_equal(pack_header_decode(&writer, header, 0, NULL), 0);
	assert_int_equal(pack_header_decode(NULL, header, 0, NULL), 0);
	other.sk[3] ^= 8;
	assert_int_equal(pack_header_decode(&other, header, 0, got),
	    -FIRN_ECORRUPT);
	header[8]++;
	assert_int_equal(pack_header_decode(&owner, header, 0, got),
	    -FIRN_EVERSION);
	header[8]--;
	header[10] = 3;
	assert_int_equal(pack_header_decode(NULL, header, 0, NULL),
	    -FIRN_ECORRUPT);
}

static void
damaged_header(void *ctx, const uint8_t *data, size_t len)
{
	uint8_t got[PACK_KEY_SIZE];

	(void)ctx;
	if (len == PACK_HEADER_SIZE)
		assert_int_not_equal(pack_header_decode(&owner, data, 0, got),
		    0);
}

static void
test_header_damage(void **state)
{
	uint8_t header[PACK_HEADER_SIZE], key[PACK_KEY_SIZE];

	(void)state;
	assert_int_equal(pack_header_encode(&owner, PACK_DATA, header, key), 0);
	each_damage(header, sizeof(header), damaged_header, NULL);
}

struct frames {
	struct pack_codec *codec;
	uint8_t header[PACK_HEADER_SIZE];
	uint8_t key[PACK_KEY_SIZE];
	struct buf out;
};

static void
frames_init(struct frames *f)
{
	assert_int_equal(pack_codec_new(&f->codec), 0);
	assert_int_equal(pack_header_encode(&owner, PACK_DATA, f->header,
	    f->key), 0);
	buf_init(&f->out, FORMAT_FRAME_MAX);
}

static void
frames_release(struct frames *f)
{
	pack_codec_free(f->codec);
	buf_release(&f->out);
}

/* What was in out is replaced, whatever memory it had. */
static void
take(struct frames *f, const struct buf *sealed, const uint8_t *plain,
    size_t len)
{
	struct buf out = BUF_INIT(FORMAT_FRAME_MAX);
	struct buf small = BUF_INIT(len - 1);
	size_t skip;
	int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(pack_frame_take(f->codec, f->key, f->header,
		    112, sealed->data, sealed->len, &out, &skip), 0);
		assert_int_equal(out.len - skip, len);
		assert_memory_equal(out.data + skip, plain, len);
	}
	assert_int_equal(pack_frame_take(f->codec, f->key, f->header, 112,
	    sealed->data, sealed->len, &small, &skip), -FIRN_ECORRUPT);
	buf_release(&out);
	buf_release(&small);
}

static void
round_trip(struct frames *f, size_t len, int level, int random)
{
	struct buf sealed = BUF_INIT(FORMAT_FRAME_MAX);
	struct buf parts = BUF_INIT(FORMAT_FRAME_MAX);
	struct buf both = BUF_INIT(FORMAT_FRAME_MAX);
	uint8_t *plain = malloc(len);

	assert_non_null(plain);
	fill(plain, len, random);
	assert_int_equal(pack_frame_seal(f->codec, f->key, f->header, 112,
	    level, plain, len, &sealed), 0);
	assert_int_equal(pack_frame_compress(f->codec, level, plain, len,
	    &parts), 0);
	assert_int_equal(pack_frame_encrypt(f->codec, f->key, f->header, 112,
	    parts.data, parts.len, &both), 0);
	assert_int_equal(sealed.len, both.len);
	assert_memory_equal(sealed.data, both.data, both.len);
	assert_true(sealed.len <= len + PACK_FRAME_OVERHEAD);
	if (level == 0 || random)
		assert_int_equal(parts.data[0], PACK_STORED);
	else if (len > 100)	/* shorter ones may go either way */
		assert_int_equal(parts.data[0], PACK_ZSTD);
	if (parts.data[0] == PACK_ZSTD)
		assert_true(parts.len - 1 <= len - len / 64);
	else
		assert_int_equal(parts.len, len + 1);
	buf_reset(&f->out);
	assert_int_equal(pack_frame_open(f->codec, f->key, f->header, 112,
	    sealed.data, sealed.len, &f->out), 0);
	assert_int_equal(f->out.len, len);
	assert_memory_equal(f->out.data, plain, len);
	take(f, &sealed, plain, len);
	free(plain);
	buf_release(&sealed);
	buf_release(&parts);
	buf_release(&both);
}

static void
test_frame(void **state)
{
	struct frames f;
	int i;

	(void)state;
	frames_init(&f);
	round_trip(&f, 1, 3, 0);
	round_trip(&f, 1, 0, 0);
	round_trip(&f, 2, 3, 1);
	round_trip(&f, 1u << 20, 3, 0);
	round_trip(&f, 1u << 20, 0, 0);
	round_trip(&f, 1u << 20, 3, 1);
	round_trip(&f, 1u << 20, -5, 0);
	round_trip(&f, 300000, 19, 0);
	for (i = 0; i < 100; i++)
		round_trip(&f, 1 + rnd_below(30000), (int)rnd_below(6),
		    (int)rnd_below(2));
	assert_int_equal(pack_frame_seal(f.codec, f.key, f.header, 112, 3, "",
	    0, &f.out), -EINVAL);
	assert_int_equal(pack_frame_seal(f.codec, f.key, f.header, 111, 3,
	    "x", 1, &f.out), -EINVAL);
	frames_release(&f);
	pack_codec_free(NULL);
}

static void
damaged_frame(void *ctx, const uint8_t *data, size_t len)
{
	struct frames *f = ctx;
	size_t skip;

	buf_reset(&f->out);
	assert_int_equal(pack_frame_open(f->codec, f->key, f->header, 500,
	    data, len, &f->out), -FIRN_ECORRUPT);
	assert_int_equal(f->out.len, 0);
	assert_int_equal(pack_frame_take(f->codec, f->key, f->header, 500,
	    data, len, &f->out, &skip), -FIRN_ECORRUPT);
}

static void
test_frame_damage(void **state)
{
	struct buf sealed = BUF_INIT(100000);
	struct frames f;
	uint8_t plain[4000];

	(void)state;
	frames_init(&f);
	fill(plain, sizeof(plain), 0);
	assert_int_equal(pack_frame_seal(f.codec, f.key, f.header, 500, 3,
	    plain, sizeof(plain), &sealed), 0);
	each_damage(sealed.data, sealed.len, damaged_frame, &f);
	/* At another offset, in another pack. */
	assert_int_equal(pack_frame_open(f.codec, f.key, f.header, 501,
	    sealed.data, sealed.len, &f.out), -FIRN_ECORRUPT);
	f.header[20] ^= 1;
	assert_int_equal(pack_frame_open(f.codec, f.key, f.header, 500,
	    sealed.data, sealed.len, &f.out), -FIRN_ECORRUPT);
	frames_release(&f);
	buf_release(&sealed);
}

static void
damaged_payload(void *ctx, const uint8_t *data, size_t len)
{
	struct frames *f = ctx;

	/* Under the seal nothing is checked: an outcome within the ceiling. */
	buf_reset(&f->out);
	if (pack_frame_expand(f->codec, data, len, &f->out) != 0)
		assert_int_equal(f->out.len, 0);
	assert_true(f->out.len <= f->out.max);
}

static void
test_payload(void **state)
{
	struct buf payload = BUF_INIT(100000);
	struct frames f;
	uint8_t plain[4000];

	(void)state;
	frames_init(&f);
	fill(plain, sizeof(plain), 0);
	assert_int_equal(pack_frame_compress(f.codec, 3, plain, sizeof(plain),
	    &payload), 0);
	assert_int_equal(payload.data[0], PACK_ZSTD);
	f.out.max = 10000;
	each_damage(payload.data, payload.len, damaged_payload, &f);

	/* The ceiling of out bounds what comes out. */
	buf_reset(&f.out);
	f.out.max = 3999;
	assert_int_equal(pack_frame_expand(f.codec, payload.data, payload.len,
	    &f.out), -FIRN_ECORRUPT);
	f.out.max = 4001;
	buf_add_u8(&f.out, 0);
	assert_int_equal(pack_frame_expand(f.codec, payload.data, payload.len,
	    &f.out), 0);
	assert_memory_equal(f.out.data + 1, plain, sizeof(plain));
	buf_reset(&f.out);
	f.out.max = 2;
	assert_int_equal(pack_frame_expand(f.codec, "\0abc", 4, &f.out),
	    -FIRN_ECORRUPT);
	f.out.max = 3;
	assert_int_equal(pack_frame_expand(f.codec, "\0abc", 4, &f.out), 0);

	/* A second frame behind the first, an unknown compression, nothing. */
	buf_reset(&f.out);
	f.out.max = 10000;
	assert_int_equal(buf_add(&payload, payload.data + 1, 4), 0);
	assert_int_equal(pack_frame_expand(f.codec, payload.data, payload.len,
	    &f.out), -FIRN_ECORRUPT);
	assert_int_equal(pack_frame_expand(f.codec, "\2abc", 4, &f.out),
	    -FIRN_ECORRUPT);
	assert_int_equal(pack_frame_expand(f.codec, "\0", 1, &f.out),
	    -FIRN_ECORRUPT);
	/* A skippable frame of zstd has no contents. */
	assert_int_equal(pack_frame_expand(f.codec,
	    "\1\x50\x2a\x4d\x18\1\0\0\0x", 10, &f.out), -FIRN_ECORRUPT);
	assert_int_equal(f.out.len, 0);
	frames_release(&f);
	buf_release(&payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_damage),
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_frame_damage),
		cmocka_unit_test(test_payload),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
