/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index segments: round trips through ranged reads, every rule broken one by
 * one, damage, a golden segment.
 */
#include "format_test.h"

#include "base/bytes.h"
#include "format/segment.h"
#include "format/segment_internal.h"
#include "golden/segment.h"

static struct keys keys;

static void
make_entry(struct segment_entry *e, uint32_t npacks)
{
	memset(e, 0, sizeof(*e));
	rnd_fill(e->id, sizeof(e->id));
	e->pack = (uint32_t)rnd_below(npacks);
	e->frame_off = 112 + (uint32_t)rnd_below(30000);
	e->frame_len = 18 + (uint32_t)rnd_below(30000);
	e->off = (uint32_t)rnd_below(100000);
	e->len = 1 + (uint32_t)rnd_below(100000);
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK_ID_SHORT);
}

struct segment {
	struct buf data;
	struct segment_head head;
};

static void
segment_release(struct segment *s)
{
	segment_head_release(&s->head);
	buf_release(&s->data);
}

static void
make_segment(struct segment *s, struct segment_entry *e, size_t n)
{
	struct segment_pack packs[3] = { { { 1 }, 65536, { 7 } }, { { 2 }, 131072, { 7 } },
	    { { 3 }, FORMAT_PACK_MAX, { 7 } } };
	uint8_t replaced[2][OBJECT_ID_SIZE] = { { 4 }, { 5 } };
	size_t headlen;

	buf_init(&s->data, 1u << 30);
	assert_int_equal(segment_encode(&keys, PACK_DATA, e, &n, packs, 3,
	    (const uint8_t (*)[OBJECT_ID_SIZE])replaced, 2, &s->data), 0);
	assert_int_equal(segment_head_len(s->data.data, &headlen), 0);
	assert_int_equal(segment_head_decode(&keys, s->data.data, headlen,
	    s->data.len, &s->head), 0);
	assert_int_equal(s->head.kind, PACK_DATA);
	assert_int_equal(s->head.nreplaced, 2);
	assert_memory_equal(s->head.replaced, replaced, sizeof(replaced));
	assert_int_equal(s->head.npacks, 3);
	assert_memory_equal(s->head.packs, packs, sizeof(packs));
}

static int
page_of(const struct segment *s, uint32_t n, struct segment_entry *out,
    size_t *got)
{
	uint64_t off;
	size_t len;

	segment_page_range(&s->head, n, &off, &len);
	assert_true(off + len <= s->data.len);
	return segment_page_decode(&s->head, n, s->data.data + off, len, out,
	    got);
}

static void
check_segment(const struct segment *s, const struct segment_entry *e,
    size_t n)
{
	struct segment_entry page[SEGMENT_PAGE_ENTRIES];
	size_t i, got, done = 0;
	uint32_t p;

	assert_int_equal(s->head.nentries, n);
	for (p = 0; p < s->head.npages; p++) {
		assert_int_equal(page_of(s, p, page, &got), 0);
		assert_true(done + got <= n);
		assert_memory_equal(page, e + done, got * sizeof(*page));
		for (i = 0; i < got; i++)
			assert_int_equal(segment_page_find(&s->head,
			    page[i].id), p);
		done += got;
	}
	assert_int_equal(done, n);
}

static void
round_trip(size_t n)
{
	struct segment_entry *e = calloc(n + 1, sizeof(*e));
	struct segment_entry *sorted = calloc(n + 1, sizeof(*e));
	struct segment s;
	size_t i;

	assert_true(e != NULL && sorted != NULL);
	for (i = 0; i < n; i++)
		make_entry(&e[i], 3);
	memcpy(sorted, e, n * sizeof(*e));
	qsort(sorted, n, sizeof(*e), by_id);
	make_segment(&s, e, n);
	check_segment(&s, sorted, n);
	segment_release(&s);
	free(e);
	free(sorted);
}

static void
test_round_trip(void **state)
{
	int i;

	(void)state;
	round_trip(0);
	round_trip(1);
	round_trip(255);
	round_trip(256);
	round_trip(257);
	round_trip(512);
	round_trip(50000);
	for (i = 0; i < 50; i++)
		round_trip(rnd_below(3000));
}

/* Of equal ids the first is kept. */
static void
test_duplicates(void **state)
{
	struct segment_entry e[1000], kept[100];
	struct segment s;
	size_t i;

	(void)state;
	memset(kept, 0, sizeof(kept));
	for (i = 0; i < 1000; i++) {
		make_entry(&e[i], 3);
		memset(e[i].id, 0, sizeof(e[i].id));
		e[i].id[0] = (uint8_t)(i * 7 % 100);
		e[i].off = (uint32_t)i;
		if (i < 100)
			kept[e[i].id[0]] = e[i];
	}
	make_segment(&s, e, 1000);
	check_segment(&s, kept, 100);
	segment_release(&s);
}

static int
encode_one(struct segment_entry *e, size_t n, struct segment_pack *pack)
{
	struct buf b = BUF_INIT(1u << 20);
	int err;

	err = segment_encode(&keys, PACK_META, e, &n, pack, 1, NULL, 0, &b);
	if (err != 0)
		assert_int_equal(b.len, 0);
	buf_release(&b);
	return err;
}

#define REFUSED(change) do { \
	struct segment_pack pack = { { 9 }, 131072, { 7 } }; \
	struct segment_entry e = { { 7 }, 0, 112, 1000, 5, 500 }; \
	assert_int_equal(encode_one(&e, 1, &pack), 0); \
	change; \
	assert_int_equal(encode_one(&e, 1, &pack), -EINVAL); \
} while (0)

static void
test_encode_rules(void **state)
{
	(void)state;
	REFUSED(e.pack = 1);
	REFUSED(e.frame_off = 111);
	REFUSED(e.frame_off = 131072 - 999);
	REFUSED(e.frame_len = 17);
	REFUSED((e.frame_len = FORMAT_FRAME_MAX + 18,
	    pack.size = FORMAT_PACK_MAX));
	REFUSED(e.frame_off = UINT32_MAX);
	REFUSED(e.len = 0);
	REFUSED(e.len = FORMAT_BLOCK_MAX + 1);
	REFUSED(e.off = FORMAT_FRAME_MAX - 499);
	REFUSED(e.off = UINT32_MAX);
	REFUSED(pack.size = 0);
	REFUSED(pack.size = 131073);
	REFUSED(pack.size = FORMAT_PACK_MAX + FORMAT_PACK_ALIGN);
}

/* Two pages must differ in the first 8 bytes of their ids. */
static void
test_alike(void **state)
{
	struct segment_entry many[SEGMENT_PAGE_ENTRIES + 1];
	struct segment_pack pack = { { 9 }, 131072, { 7 } };
	size_t i;

	(void)state;
	for (i = 0; i <= SEGMENT_PAGE_ENTRIES; i++) {
		make_entry(&many[i], 1);
		memset(many[i].id, 0, sizeof(many[i].id));
		many[i].id[14] = (uint8_t)(i >> 8);
		many[i].id[15] = (uint8_t)i;
	}
	assert_int_equal(encode_one(many, SEGMENT_PAGE_ENTRIES, &pack), 0);
	assert_int_equal(encode_one(many, SEGMENT_PAGE_ENTRIES + 1, &pack),
	    -EINVAL);
}

static void
test_ceilings(void **state)
{
	static const struct segment_pack pack = { { 9 }, 131072, { 7 } };
	struct buf b = BUF_INIT(100);
	struct segment_entry e = { { 7 }, 0, 112, 1000, 5, 500 };
	size_t n = SEGMENT_ENTRIES_MAX + 1;

	(void)state;
	assert_int_equal(segment_encode(&keys, PACK_DATA, &e, &n, &pack, 1,
	    NULL, 0, &b), -FIRN_ETOOBIG);
	n = 1;
	assert_int_equal(segment_encode(&keys, PACK_DATA, &e, &n, &pack,
	    SEGMENT_PACKS_MAX + 1, NULL, 0, &b), -FIRN_ETOOBIG);
	assert_int_equal(segment_encode(&keys, PACK_DATA, &e, &n, &pack, 1,
	    NULL, SEGMENT_REPLACED_MAX + 1, &b), -FIRN_ETOOBIG);
	assert_int_equal(segment_encode(&keys, PACK_DATA, &e, &n, &pack, 1,
	    NULL, 0, &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

/* Plain heads, made by hand. */
struct plain_head {
	uint64_t nentries;
	uint32_t npages, nreplaced, npacks, pack_size;
	size_t fanouts;
	uint8_t fanout[2][8];
	size_t extra;
};

static int
head_parse(const struct plain_head *p)
{
	static const uint8_t id[OBJECT_ID_SIZE];
	static const uint8_t header[PACK_HEADER_SIZE];
	struct buf b = BUF_INIT(100000);
	struct segment_head h;
	size_t i;
	int err;

	buf_add_u64(&b, p->nentries);
	buf_add_u32(&b, p->npages);
	buf_add_u32(&b, p->nreplaced);
	for (i = 0; i < p->nreplaced && i < 2; i++)
		buf_add(&b, id, sizeof(id));
	buf_add_u32(&b, p->npacks);
	for (i = 0; i < p->npacks && i < 2; i++) {
		buf_add(&b, id, sizeof(id));
		buf_add_u32(&b, p->pack_size);
		buf_add(&b, header, sizeof(header));
	}
	for (i = 0; i < p->fanouts; i++)
		buf_add(&b, p->fanout[i], 8);
	for (i = 0; i < p->extra; i++)
		buf_add_u8(&b, 0);
	memset(&h, 0, sizeof(h));
	err = segment_head_parse(b.data, b.len, &h);
	segment_head_release(&h);
	buf_release(&b);
	return err;
}

#define HEAD_REFUSED(change) do { \
	struct plain_head p = { 257, 2, 1, 2, 65536, 2, \
	    { { 1 }, { 2 } }, 0 }; \
	assert_int_equal(head_parse(&p), 0); \
	change; \
	assert_int_equal(head_parse(&p), -FIRN_ECORRUPT); \
} while (0)

static void
test_head_rules(void **state)
{
	(void)state;
	HEAD_REFUSED(p.nentries = 256);
	HEAD_REFUSED(p.nentries = 513);
	HEAD_REFUSED(p.nentries = UINT64_MAX);
	HEAD_REFUSED((p.nentries = SEGMENT_ENTRIES_MAX + 1,
	    p.npages = SEGMENT_PAGES_MAX + 1));
	HEAD_REFUSED((p.nentries = SEGMENT_ENTRIES_MAX,
	    p.npages = SEGMENT_PAGES_MAX));
	HEAD_REFUSED(p.npages = 3);
	HEAD_REFUSED(p.nreplaced = 3);
	HEAD_REFUSED(p.nreplaced = UINT32_MAX);
	HEAD_REFUSED(p.npacks = 3);
	HEAD_REFUSED(p.npacks = UINT32_MAX);
	HEAD_REFUSED(p.pack_size = 65535);
	HEAD_REFUSED(p.pack_size = 0);
	HEAD_REFUSED(p.fanouts = 1);
	HEAD_REFUSED(p.fanout[1][0] = 1);
	HEAD_REFUSED(p.fanout[1][0] = 0);
	HEAD_REFUSED(p.extra = 1);
}

/* Plain pages, made by hand. */
#define PAGE_REFUSED(change) do { \
	struct segment_pack pack = { { 9 }, 131072, { 7 } }; \
	uint8_t fanout[2][8] = { { 1 }, { 9 } }; \
	struct segment_head h = { .nentries = SEGMENT_PAGE_ENTRIES + 3, \
	    .npages = 2, .packs = &pack, .npacks = 1, .fanout = fanout }; \
	uint8_t p[4 * SEGMENT_ENTRY_SIZE] = { 0 }; \
	struct segment_entry out[SEGMENT_PAGE_ENTRIES]; \
	size_t len = 3 * SEGMENT_ENTRY_SIZE, got; \
	uint32_t n = 1; \
	int i; \
	for (i = 0; i < 3; i++) { \
		p[i * SEGMENT_ENTRY_SIZE] = (uint8_t)(9 + i); \
		le32_put(p + i * SEGMENT_ENTRY_SIZE + 20, 112); \
		le32_put(p + i * SEGMENT_ENTRY_SIZE + 24, 1000); \
		le32_put(p + i * SEGMENT_ENTRY_SIZE + 32, 500); \
	} \
	assert_int_equal(segment_page_parse(&h, n, p, len, out, &got), 0); \
	assert_int_equal(got, 3); \
	change; \
	assert_int_equal(segment_page_parse(&h, n, p, len, out, &got), \
	    -FIRN_ECORRUPT); \
} while (0)

static void
test_page_rules(void **state)
{
	(void)state;
	PAGE_REFUSED(n = 2);
	PAGE_REFUSED(n = 0);
	PAGE_REFUSED(len--);
	PAGE_REFUSED(len += SEGMENT_ENTRY_SIZE);
	PAGE_REFUSED(len = 0);
	PAGE_REFUSED(p[0] = 8);
	PAGE_REFUSED(p[SEGMENT_ENTRY_SIZE] = 9);	/* an id twice */
	PAGE_REFUSED(p[SEGMENT_ENTRY_SIZE] = 12);
	PAGE_REFUSED(p[16] = 1);
	PAGE_REFUSED(p[20] = 111);
	PAGE_REFUSED(pack.size = 65536; le32_put(p + 24, 65536));
	PAGE_REFUSED(le32_put(p + 24, 17));
	PAGE_REFUSED(le32_put(p + 32, 0));
	PAGE_REFUSED(le32_put(p + 28, UINT32_MAX));
}

static void
test_page_bound(void **state)
{
	struct segment_entry e[SEGMENT_PAGE_ENTRIES + 1];
	struct segment_entry out[SEGMENT_PAGE_ENTRIES];
	struct segment s;
	size_t i, got;

	(void)state;
	for (i = 0; i <= SEGMENT_PAGE_ENTRIES; i++)
		make_entry(&e[i], 3);
	make_segment(&s, e, SEGMENT_PAGE_ENTRIES + 1);
	assert_int_equal(page_of(&s, 0, out, &got), 0);
	/* A fan-out that says that the second page begins earlier. */
	memcpy(s.head.fanout[1], out[SEGMENT_PAGE_ENTRIES - 1].id, 8);
	assert_int_equal(page_of(&s, 0, out, &got), -FIRN_ECORRUPT);
	assert_int_equal(page_of(&s, 1, out, &got), -FIRN_ECORRUPT);
	segment_release(&s);
}

static void
damaged_segment(void *ctx, const uint8_t *data, size_t len)
{
	struct segment_entry out[SEGMENT_PAGE_ENTRIES];
	struct segment s;
	size_t got, headlen;

	(void)ctx;
	if (len >= SEGMENT_PREFIX_SIZE)
		(void)segment_head_len(data, &headlen);
	if (segment_head_decode(&keys, data, len, len, &s.head) != 0)
		return;
	s.data.data = (uint8_t *)(uintptr_t)data;
	s.data.len = len;
	assert_int_equal(page_of(&s, 0, out, &got), -FIRN_ECORRUPT);
	segment_head_release(&s.head);
}

static void
test_damage(void **state)
{
	struct segment_entry e[5];
	struct segment s;
	struct segment_head h;
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		make_entry(&e[i], 3);
	make_segment(&s, e, 5);
	each_damage(s.data.data, s.data.len, damaged_segment, NULL);
	assert_int_equal(segment_head_decode(&keys, s.data.data, s.data.len,
	    s.data.len + 1, &h), -FIRN_ECORRUPT);
	assert_int_equal(segment_head_decode(&keys, s.data.data, s.data.len,
	    0, &h), -FIRN_ECORRUPT);
	s.data.data[8] = 2;
	assert_int_equal(segment_head_decode(&keys, s.data.data, s.data.len,
	    s.data.len, &h), -FIRN_EVERSION);
	segment_release(&s);
	segment_head_release(NULL);
}

static void
test_prefix(void **state)
{
	uint8_t p[SEGMENT_PREFIX_SIZE] = "firnindx";
	size_t len;

	(void)state;
	p[8] = FORMAT_VERSION;
	p[10] = PACK_META;
	le32_put(p + 12, 1000);
	assert_int_equal(segment_head_len(p, &len), 0);
	assert_int_equal(len, 1032);
	le32_put(p + 12, SEGMENT_HEAD_FIXED + AEAD_TAG_SIZE - 1);
	assert_int_equal(segment_head_len(p, &len), -FIRN_ECORRUPT);
	le32_put(p + 12, (uint32_t)(SEGMENT_HEAD_MAX + AEAD_TAG_SIZE));
	assert_int_equal(segment_head_len(p, &len), 0);
	le32_put(p + 12, (uint32_t)(SEGMENT_HEAD_MAX + AEAD_TAG_SIZE + 1));
	assert_int_equal(segment_head_len(p, &len), -FIRN_ECORRUPT);
	le32_put(p + 12, 1000);
	p[10] = 3;
	assert_int_equal(segment_head_len(p, &len), -FIRN_ECORRUPT);
	p[10] = PACK_DATA;
	p[11] = 1;
	assert_int_equal(segment_head_len(p, &len), -FIRN_ECORRUPT);
}

static void
test_find(void **state)
{
	uint8_t fanout[3][8] = { { 10 }, { 20 }, { 30 } };
	struct segment_head h = { .npages = 3, .fanout = fanout };
	uint8_t id[BLOCK_ID_SHORT] = { 0 };
	static const uint8_t want[][2] = { { 0, 0 }, { 9, 0 }, { 10, 0 },
	    { 19, 0 }, { 20, 1 }, { 29, 1 }, { 30, 2 }, { 255, 2 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		id[0] = want[i][0];
		assert_int_equal(segment_page_find(&h, id), want[i][1]);
	}
	h.npages = 0;
	assert_int_equal(segment_page_find(&h, id), 0);
}

static void
golden_entries(struct segment_entry e[3])
{
	memset(e, 0, 3 * sizeof(*e));
	memset(e[0].id, 0x10, BLOCK_ID_SHORT);
	e[0].frame_off = 112;
	e[0].frame_len = 1000;
	e[0].len = 700;
	memset(e[1].id, 0x20, BLOCK_ID_SHORT);
	e[1].frame_off = 112;
	e[1].frame_len = 1000;
	e[1].off = 700;
	e[1].len = 900;
	memset(e[2].id, 0x30, BLOCK_ID_SHORT);
	e[2].pack = 1;
	e[2].frame_off = 50000;
	e[2].frame_len = 18;
	e[2].len = 1;
}

static const struct segment_pack golden_packs[2] = {
	{ { 0xa1 }, 65536, { 7 } }, { { 0xa2 }, 1u << 25, { 7 } }
};

static void
test_golden(void **state)
{
	struct segment s;
	struct segment_entry e[3];

	(void)state;
	golden_entries(e);
	buf_init(&s.data, 100000);
	assert_int_equal(buf_add(&s.data, golden_segment,
	    sizeof(golden_segment)), 0);
	assert_int_equal(segment_head_decode(&keys, golden_segment,
	    sizeof(golden_segment), sizeof(golden_segment), &s.head), 0);
	assert_int_equal(s.head.kind, PACK_META);
	assert_int_equal(s.head.npacks, 2);
	assert_memory_equal(s.head.packs, golden_packs, sizeof(golden_packs));
	assert_int_equal(s.head.nreplaced, 1);
	assert_int_equal(s.head.replaced[0][31], 0xee);
	check_segment(&s, e, 3);
	segment_release(&s);
}

static int
setup(void **state)
{
	(void)state;
	rnd_seed();
	fixed_keys(&keys);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_encode_rules),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_head_rules),
		cmocka_unit_test(test_page_rules),
		cmocka_unit_test(test_page_bound),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_golden)
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
