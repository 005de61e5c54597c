/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config object and key slots: round trips, ranges, versions, damage,
 * golden vectors.
 */
#include "format_test.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "crypto/hash.h"
#include "format/config.h"
#include "format/config_internal.h"
#include "format/format.h"
#include "format/keyslot.h"
#include "format/tree.h"
#include "golden/config.h"
#include "golden/keyslot.h"

static struct keys keys;
/* The cheapest that there is. */
static const struct keyslot_kdf cheap = { 1024, 1, 1 };

static void
golden_config_value(struct config *c)
{
	memset(c, 0, sizeof(*c));
	memcpy(c->repo_id, keys.repo_id, REPO_ID_SIZE);
	c->created = (struct timespec){ 1763640000, 123456789 };
	c->block_target = 524288;
	c->frame_target = 1048576;
	c->data_pack = 33554432;
	c->meta_pack = 8388608;
	c->inline_max = 512;
}

static void
assert_config(const struct config *a, const struct config *b)
{
	assert_memory_equal(a->repo_id, b->repo_id, REPO_ID_SIZE);
	assert_true(a->created.tv_sec == b->created.tv_sec &&
	    a->created.tv_nsec == b->created.tv_nsec);
	assert_int_equal(a->block_target, b->block_target);
	assert_int_equal(a->frame_target, b->frame_target);
	assert_int_equal(a->data_pack, b->data_pack);
	assert_int_equal(a->meta_pack, b->meta_pack);
	assert_int_equal(a->inline_max, b->inline_max);
}

static void
test_config_default(void **state)
{
	struct config a, b;

	(void)state;
	config_default(&a);
	config_default(&b);
	assert_memory_not_equal(a.repo_id, b.repo_id, REPO_ID_SIZE);
	assert_int_equal(config_validate(&a), 0);
	assert_int_equal(a.block_target, 512 << 10);
	assert_int_equal(a.frame_target, 1 << 20);
	assert_int_equal(a.data_pack, 32 << 20);
	assert_int_equal(a.meta_pack, 8 << 20);
	assert_int_equal(a.inline_max, 512);
}

static void
test_config_round_trip(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct config c, got;
	struct keys other = keys;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		config_default(&c);
		memcpy(c.repo_id, keys.repo_id, REPO_ID_SIZE);
		c.block_target = 4096 + (uint32_t)rnd_below(10 << 20);
		c.frame_target = 4096 + (uint32_t)rnd_below(10 << 20);
		c.data_pack = 65536 + (uint32_t)rnd_below(100 << 20);
		c.meta_pack = 65536 + (uint32_t)rnd_below(100 << 20);
		c.inline_max = (uint32_t)rnd_below(TREE_INLINE_MAX + 1);
		buf_reset(&b);
		assert_int_equal(config_encode(&c, &keys, &b), 0);
		assert_int_equal(config_decode(b.data, b.len, &got), 0);
		assert_config(&c, &got);
		assert_int_equal(config_verify(b.data, b.len, &keys), 0);
	}
	other.config_mac[0] ^= 1;
	assert_int_equal(config_verify(b.data, b.len, &other),
	    -FIRN_ECORRUPT);
	buf_reset(&b);
	quiet(1);
	other.repo_id[0] ^= 1;
	i = config_encode(&c, &other, &b);
	quiet(0);
	assert_int_equal(i, -EINVAL);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void
damaged_config(void *ctx, const uint8_t *data, size_t len)
{
	struct config c;

	(void)ctx;
	/* The MAC finds what decoding does not. */
	if (config_decode(data, len, &c) == 0)
		assert_int_equal(config_verify(data, len, &keys),
		    -FIRN_ECORRUPT);
}

static void
test_config_damage(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct config c;

	(void)state;
	golden_config_value(&c);
	assert_int_equal(config_encode(&c, &keys, &b), 0);
	quiet(1);
	each_damage(b.data, b.len, damaged_config, NULL);
	quiet(0);
	buf_release(&b);
}

static void
test_config_ranges(void **state)
{
	static const struct {
		size_t off;
		uint32_t min, max;
	} ranges[] = {
		{ offsetof(struct config, block_target), 4096, 16u << 20 },
		{ offsetof(struct config, frame_target), 4096, 64u << 20 },
		{ offsetof(struct config, data_pack), 65536, 512u << 20 },
		{ offsetof(struct config, meta_pack), 65536, 512u << 20 },
		{ offsetof(struct config, inline_max), 0, 16384 }
	};
	struct config c;
	uint32_t *v;
	size_t i;

	(void)state;
	quiet(1);
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		golden_config_value(&c);
		v = (void *)((char *)&c + ranges[i].off);
		*v = ranges[i].min;
		assert_int_equal(config_validate(&c), 0);
		*v = ranges[i].max;
		assert_int_equal(config_validate(&c), 0);
		*v = ranges[i].max + 1;
		assert_int_equal(config_validate(&c), -EINVAL);
		*v = ranges[i].min - 1;
		assert_int_equal(config_validate(&c), -EINVAL);
	}
	quiet(0);
}

#define CONFIG_JSON(repository, created, features, more) \
	"{\"repository\":" repository ",\"created\":" created \
	",\"features\":" features ",\"block_target\":524288," \
	"\"frame_target\":1048576,\"data_pack\":33554432," \
	"\"meta_pack\":8388608" more "}"
#define ID "\"11111111111111111111111111111111\""
#define DATE "\"2025-11-20T12:00:00Z\""
#define MORE ",\"inline_max\":512"

static void
test_config_json(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ CONFIG_JSON(ID, DATE, "[]", MORE), 0 },
		{ CONFIG_JSON(ID, DATE, "[]", MORE ",\"new\":[1]"), 0 },
		{ CONFIG_JSON(ID, DATE, "[]", MORE
		  ",\"conditional_writes\":\"perhaps\""), 0 },
		{ CONFIG_JSON(ID, DATE, "[]", MORE
		  ",\"conditional_writes\":1"), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[\"zoned\"]", MORE), -FIRN_EVERSION },
		{ CONFIG_JSON("1", "2", "[\"zoned\"]", ""), -FIRN_EVERSION },
		{ CONFIG_JSON(ID, DATE, "[5]", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "{}", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "\"\"", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON("\"1111\"", DATE, "[]", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, "\"today\"", "[]", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, "5", "[]", MORE), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", ""), -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", ",\"inline_max\":-1"),
		  -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", ",\"inline_max\":16385"),
		  -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", ",\"inline_max\":4294967297"),
		  -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", ",\"inline_max\":1.5"),
		  -FIRN_ECORRUPT },
		{ CONFIG_JSON(ID, DATE, "[]", MORE MORE), -FIRN_ECORRUPT },
		{ "[]", -FIRN_ECORRUPT },
		{ "", -FIRN_ECORRUPT }
	};
	struct config c;
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		quiet(1);
		err = config_parse(cases[i].text, strlen(cases[i].text), &c);
		quiet(0);
		assert_int_equal(err, cases[i].err);
	}
}

static void
test_config_version(void **state)
{
	uint8_t data[sizeof(golden_config)];
	struct config c;
	int err;

	(void)state;
	memcpy(data, golden_config, sizeof(data));
	quiet(1);
	data[8] = 2;
	err = config_decode(data, sizeof(data), &c);
	quiet(0);
	assert_int_equal(err, -FIRN_EVERSION);
}

static void
test_config_golden(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct config c, got;

	(void)state;
	golden_config_value(&c);
	assert_int_equal(config_encode(&c, &keys, &b), 0);
	assert_int_equal(b.len, sizeof(golden_config));
	assert_memory_equal(b.data, golden_config, b.len);
	assert_int_equal(config_decode(golden_config, sizeof(golden_config),
	    &got), 0);
	assert_config(&c, &got);
	assert_int_equal(config_verify(golden_config, sizeof(golden_config),
	    &keys), 0);
	buf_release(&b);
}

/* With the member that says what the store makes of conditional writes. */
static void
test_config_conditional(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct config c, got;

	(void)state;
	golden_config_value(&c);
	c.conditional_writes = CONFIG_COND_IGNORED;
	assert_int_equal(config_encode(&c, &keys, &b), 0);
	assert_int_equal(b.len, sizeof(golden_config_ignored));
	assert_memory_equal(b.data, golden_config_ignored, b.len);
	assert_int_equal(config_decode(golden_config_ignored,
	    sizeof(golden_config_ignored), &got), 0);
	assert_int_equal(got.conditional_writes, CONFIG_COND_IGNORED);
	assert_config(&c, &got);
	assert_int_equal(config_verify(golden_config_ignored,
	    sizeof(golden_config_ignored), &keys), 0);
	assert_int_equal(config_decode(golden_config, sizeof(golden_config),
	    &got), 0);
	assert_int_equal(got.conditional_writes, CONFIG_COND_UNSAID);
	assert_null(config_conditional_name(CONFIG_COND_UNSAID));
	assert_string_equal(config_conditional_name(CONFIG_COND_REFUSED),
	    "refused");
	buf_release(&b);
}

static void
make_slot(enum key_role role, const char *label, struct buf *out,
    struct keyslot_info *info)
{
	memset(info, 0, sizeof(*info));
	info->role = role;
	strcpy(info->label, label);
	assert_int_equal(keyslot_encode(&keys, "secret", 6, &cheap, info, out),
	    0);
}

static void
assert_info(const struct keyslot_info *a, const struct keyslot_info *b)
{
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->role, b->role);
	assert_string_equal(a->label, b->label);
	assert_true(a->created.tv_sec == b->created.tv_sec &&
	    a->created.tv_nsec == b->created.tv_nsec);
	assert_memory_equal(a->repo_id, b->repo_id, REPO_ID_SIZE);
}

static void
test_slot_round_trip(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct keyslot_info info, got;
	struct keys k;

	(void)state;
	make_slot(KEY_OWNER, "my \xc3\xa4 \"label\"", &b, &info);
	assert_int_equal(strlen(info.name), 16);
	assert_int_equal(keyslot_info(b.data, b.len, &got), 0);
	assert_info(&info, &got);
	assert_int_equal(keyslot_open(b.data, b.len, "secret", 6, &k, &got),
	    0);
	assert_info(&info, &got);
	assert_memory_equal(&k, &keys, sizeof(k));

	assert_int_equal(keyslot_open(b.data, b.len, "Secret", 6, &k, NULL),
	    -FIRN_EWRONGKEY);
	assert_int_equal(keyslot_open(b.data, b.len, "secret", 5, &k, NULL),
	    -FIRN_EWRONGKEY);
	buf_release(&b);
}

static void
test_slot_write_only(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct keyslot_info info;
	struct keys k, zero;

	(void)state;
	make_slot(KEY_WRITE_ONLY, "", &b, &info);
	assert_int_equal(keyslot_open(b.data, b.len, "secret", 6, &k, NULL),
	    0);
	memset(&zero, 0, sizeof(zero));
	assert_false(k.has_sk);
	assert_memory_equal(k.sk, zero.sk, KEY_SIZE);
	assert_memory_equal(k.pk, keys.pk, KEY_SIZE);
	assert_memory_equal(k.block_id, keys.block_id, KEY_SIZE);
	assert_memory_equal(k.footer, keys.footer, KEY_SIZE);

	/* It cannot make an owner; it can make another of its kind. */
	buf_reset(&b);
	info.role = KEY_OWNER;
	assert_int_equal(keyslot_encode(&k, "x", 1, &cheap, &info, &b),
	    -FIRN_ENOKEY);
	info.role = KEY_WRITE_ONLY;
	assert_int_equal(keyslot_encode(&k, "x", 1, &cheap, &info, &b), 0);
	buf_release(&b);
}

#define SLOT_REFUSED(change) do { \
	struct keyslot_info info = { .role = KEY_OWNER }; \
	struct keyslot_kdf kdf = cheap; \
	struct buf b = BUF_INIT(100000); \
	change; \
	assert_int_equal(keyslot_encode(&keys, "x", 1, &kdf, &info, &b), \
	    -EINVAL); \
	assert_int_equal(b.len, 0); \
	buf_release(&b); \
} while (0)

static void
test_slot_rules(void **state)
{
	(void)state;
	SLOT_REFUSED(info.role = 0);
	SLOT_REFUSED(info.role = 3);
	SLOT_REFUSED(strcpy(info.name, "0123456789abcde"));
	SLOT_REFUSED(strcpy(info.name, "0123456789abcdeF"));
	SLOT_REFUSED(memset(info.name, 'a', sizeof(info.name)));
	SLOT_REFUSED(strcpy(info.label, "a\nb"));
	SLOT_REFUSED(strcpy(info.label, "\x7f"));
	SLOT_REFUSED(strcpy(info.label, "\xc2\x85"));
	SLOT_REFUSED(strcpy(info.label, "\xff"));
	SLOT_REFUSED(strcpy(info.label, "\xc3"));
	SLOT_REFUSED(memset(info.label, 'a', sizeof(info.label)));
	SLOT_REFUSED(kdf.n = 1023);
	SLOT_REFUSED(kdf.r = 0);
	SLOT_REFUSED(kdf.p = 17);
}

/* A slot as text with `from` replaced by `to`. */
static int
edited(const struct buf *slot, const char *from, const char *to, int *opened)
{
	struct buf b = BUF_INIT(100000);
	struct keyslot_info info;
	struct keys k;
	const char *at;
	int err;

	at = memmem(slot->data, slot->len, from, strlen(from));
	assert_non_null(at);
	buf_add(&b, slot->data, (size_t)(at - (const char *)slot->data));
	buf_add(&b, to, strlen(to));
	at += strlen(from);
	buf_add(&b, at, (size_t)((const char *)slot->data + slot->len - at));
	assert_int_equal(buf_err(&b), 0);
	quiet(1);
	err = keyslot_info(b.data, b.len, &info);
	*opened = keyslot_open(b.data, b.len, "secret", 6, &k, NULL);
	quiet(0);
	buf_release(&b);
	return err;
}

static void
test_slot_json(void **state)
{
	static const struct {
		const char *from, *to;
		int err;
	} cases[] = {
		{ "{", "{\"new\": [1],", 0 },
		{ "{", " {\n\n", 0 },
		{ "\"key\"", "\"lock\"", -FIRN_ECORRUPT },
		{ "\"version\": 1", "\"version\": 2", -FIRN_EVERSION },
		{ "\"version\": 1", "\"version\": 99", -FIRN_EVERSION },
		{ "\"owner\"", "\"write-only\"", -FIRN_ECORRUPT },
		{ "\"owner\"", "\"king\"", -FIRN_ECORRUPT },
		{ "\"label\": \"a\"", "\"label\": \"b\"", -FIRN_ECORRUPT },
		{ "\"label\": \"a\"", "\"label\": \"\\n\"", -FIRN_ECORRUPT },
		{ "\"label\": \"a\",", "", -FIRN_ECORRUPT },
		{ "\"n\": 1024", "\"n\": 2048", -FIRN_ECORRUPT },
		{ "\"n\": 1024", "\"n\": 4611686018427387904",
		  -FIRN_ECORRUPT },
		{ "\"r\": 1", "\"r\": 4294967297", -FIRN_ECORRUPT },
		{ "\"scrypt\"", "\"md5\"", -FIRN_ECORRUPT },
		{ "000Z\"", "0001Z\"", -FIRN_ECORRUPT },
		{ "\"sum\"", "\"Sum\"", -FIRN_ECORRUPT }
	};
	struct buf b = BUF_INIT(100000);
	size_t i;
	int opened;

	(void)state;
	assert_int_equal(buf_add(&b, golden_keyslot, sizeof(golden_keyslot)),
	    0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(edited(&b, cases[i].from, cases[i].to,
		    &opened), cases[i].err);
		assert_int_equal(opened, cases[i].err);
	}
	buf_release(&b);
}

static void
damaged_slot(void *ctx, const uint8_t *data, size_t len)
{
	const struct keyslot_info *want = ctx;
	struct keyslot_info info;
	struct keys k;

	/* White space is not covered; all else gives an error. */
	if (keyslot_info(data, len, &info) != 0)
		return;
	assert_info(want, &info);
	assert_int_equal(keyslot_open(data, len, "secret", 6, &k, NULL), 0);
	assert_memory_equal(&k, &keys, sizeof(k));
}

static void
test_slot_damage(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct keyslot_info info;

	(void)state;
	make_slot(KEY_OWNER, "a", &b, &info);
	quiet(1);
	each_damage(b.data, b.len, damaged_slot, &info);
	quiet(0);
	buf_release(&b);
}

static void
test_slot_golden(void **state)
{
	struct keyslot_info info;
	struct keys k;

	(void)state;
	assert_int_equal(keyslot_open(golden_keyslot, sizeof(golden_keyslot),
	    "secret", 6, &k, &info), 0);
	assert_memory_equal(&k, &keys, sizeof(k));
	assert_string_equal(info.name, "00112233445566aa");
	assert_string_equal(info.label, "a");
	assert_int_equal(info.role, KEY_OWNER);
	assert_int_equal(info.created.tv_sec, 1763640000);
	assert_int_equal(info.created.tv_nsec, 123000);
	assert_string_equal(key_role_name(KEY_OWNER), "owner");
	assert_string_equal(key_role_name(KEY_WRITE_ONLY), "write-only");
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
		cmocka_unit_test(test_config_default),
		cmocka_unit_test(test_config_round_trip),
		cmocka_unit_test(test_config_damage),
		cmocka_unit_test(test_config_ranges),
		cmocka_unit_test(test_config_json),
		cmocka_unit_test(test_config_version),
		cmocka_unit_test(test_config_golden),
		cmocka_unit_test(test_config_conditional),
		cmocka_unit_test(test_slot_round_trip),
		cmocka_unit_test(test_slot_write_only),
		cmocka_unit_test(test_slot_rules),
		cmocka_unit_test(test_slot_json),
		cmocka_unit_test(test_slot_damage),
		cmocka_unit_test(test_slot_golden)
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
