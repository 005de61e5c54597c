/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primitives against published vectors, and what each promises on
 * failure.
 */
#include "format_test.h"

#include <openssl/crypto.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "golden/keys.h"

/* FIPS 180-4 examples. */
static void
test_sha256(void **state)
{
	uint8_t out[HASH_SIZE];
	char a[1000];
	struct hash *h;
	int i;

	(void)state;
	assert_int_equal(hash_sha256("", 0, out), 0);
	assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
	assert_int_equal(hash_sha256("abc", 3, out), 0);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(hash_sha256("abcdbcdecdefdefgefghfghighijhijk"
	    "ijkljklmklmnlmnomnopnopq", 56, out), 0);
	assert_hex(out, "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1");

	memset(a, 'a', sizeof(a));
	assert_int_equal(hash_new(&h), 0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(hash_update(h, a, sizeof(a)), 0);
	assert_int_equal(hash_final(h, out), 0);
	assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0");
	/* It starts afresh. */
	assert_int_equal(hash_update(h, "abc", 3), 0);
	assert_int_equal(hash_final(h, out), 0);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	hash_free(h);
	hash_free(NULL);
}

/* RFC 4231. */
static void
test_hmac(void **state)
{
	static const char larger[] =
	    "Test Using Larger Than Block-Size Key - Hash Key First";
	static const char larger_data[] = "This is a test using a larger than "
	    "block-size key and a larger than block-size data. The key needs "
	    "to be hashed before being used by the HMAC algorithm.";
	uint8_t key[131], data[50], out[HASH_SIZE];
	struct mac *m;
	int i;

	(void)state;
	memset(key, 0x0b, 20);
	assert_int_equal(hash_hmac(key, 20, "Hi There", 8, out), 0);
	assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	assert_int_equal(hash_hmac(key, 20, data, 50, out), 0);
	assert_hex(out, "773ea91e36800e46854db8ebd09181a7"
	    "2959098b3ef8c122d9635514ced565fe");
	assert_int_equal(hash_hmac(key, 131, larger, 54, out), 0);
	assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54");
	assert_int_equal(hash_hmac(key, 131, larger_data, 152, out), 0);
	assert_hex(out, "9b09ffa71b942fcb27635fbcd5b0e944"
	    "bfdc63644f0713938a7f51535c3a35e2");

	assert_int_equal(mac_new("Jefe", 4, &m), 0);
	for (i = 0; i < 3; i++) {
		memset(out, 0, sizeof(out));
		assert_int_equal(mac_compute(m, "what do ya ", 11,
		    "want for nothing?", 17, out), 0);
		assert_hex(out, "5bdcc146bf60754e6a042426089575c7"
		    "5a003f089d2739839dec58b964ec3843");
	}
	assert_int_equal(mac_compute(m, NULL, 0, NULL, 0, out), 0);
	mac_free(m);
	mac_free(NULL);

	/* No key and no data: the value that Python's hmac gives. */
	assert_int_equal(hash_hmac(NULL, 0, NULL, 0, out), 0);
	assert_hex(out, "b613679a0814d9ec772f95d778c35fc5"
	    "ff1697c493715653c6c712144292c5ad");
}

/* RFC 5869, cases 1 and 3. */
static void
test_hkdf(void **state)
{
	uint8_t key[22], salt[13], info[11], out[42];
	uint8_t large[255 * 32 + 1];
	int i;

	(void)state;
	memset(key, 0x0b, sizeof(key));
	for (i = 0; i < 13; i++)
		salt[i] = (uint8_t)i;
	for (i = 0; i < 10; i++)
		info[i] = (uint8_t)(0xf0 + i);
	info[10] = 0;
	assert_int_equal(kdf_hkdf(key, sizeof(key), salt, sizeof(salt),
	    (const char *)info, out, sizeof(out)), 0);
	assert_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db0"
	    "2d56ecc4c5bf34007208d5b887185865");
	assert_int_equal(kdf_hkdf(key, sizeof(key), NULL, 0, "", out,
	    sizeof(out)), 0);
	assert_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec345"
	    "4e5f3c738d2d9d201395faa4b61a96c8");
	assert_int_equal(kdf_hkdf(key, sizeof(key), NULL, 0, "", large,
	    sizeof(large) - 1), 0);
	assert_int_equal(kdf_hkdf(key, sizeof(key), NULL, 0, "", large,
	    sizeof(large)), -EINVAL);
}

/* RFC 7914 section 12, and the ranges. */
static void
test_scrypt(void **state)
{
	uint8_t out[64];

	(void)state;
	assert_int_equal(kdf_scrypt("password", 8, "NaCl", 4, 1024, 8, 16, out,
	    sizeof(out)), 0);
	assert_hex(out, "fdbabe1c9d3472007856e7190d01e9fe"
	    "7c6ad7cbc8237830e77376634b373162"
	    "2eaf30d92e22a3886ff109279d9830da"
	    "c727afb94a83ee6d8360cbdfa2cc0640");
	assert_int_equal(kdf_scrypt("pleaseletmein", 13, "SodiumChloride", 14,
	    16384, 8, 1, out, sizeof(out)), 0);
	assert_hex(out, "7023bdcb3afd7348461c06cd81fd38eb"
	    "fda8fbba904f8e3ea9b543f6545da1f2"
	    "d5432955613f0fcf62d49705242a9af9"
	    "e61e85dc0d651e40dfcf017b45575887");
	/* An empty password is one. */
	assert_int_equal(kdf_scrypt("", 0, "NaCl", 4, 1024, 1, 1, out,
	    sizeof(out)), 0);
	assert_int_equal(kdf_scrypt("x", 1, "", 0, 512, 8, 1, out, 32),
	    -EINVAL);
	assert_int_equal(kdf_scrypt("x", 1, "", 0, 1025, 8, 1, out, 32),
	    -EINVAL);
	assert_int_equal(kdf_scrypt("x", 1, "", 0, 1024, 0, 1, out, 32),
	    -EINVAL);
	assert_int_equal(kdf_scrypt("x", 1, "", 0, 1024, 33, 1, out, 32),
	    -EINVAL);
	assert_int_equal(kdf_scrypt("x", 1, "", 0, 1024, 8, 17, out, 32),
	    -EINVAL);
	assert_true(kdf_scrypt_valid(1u << 20, 8, 1));
	assert_false(kdf_scrypt_valid(1u << 20, 9, 1));
	assert_false(kdf_scrypt_valid(1u << 22, 8, 1));
	assert_false(kdf_scrypt_valid(UINT64_MAX / 2 + 1, 32, 16));
	assert_false(kdf_scrypt_valid(0, 8, 1));
}

/* OpenSSL takes its large buffers where a large page begins. */
static void
test_large_pages(void **state)
{
	char *p = OPENSSL_malloc(8u << 20);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % (2u << 20), 0);
	memset(p, 1, 8u << 20);
	p = OPENSSL_realloc(p, 16u << 20);
	assert_non_null(p);
	assert_int_equal(p[(8u << 20) - 1], 1);
	OPENSSL_clear_free(p, 16u << 20);
	p = OPENSSL_malloc(0);
	assert_null(p);
	p = OPENSSL_realloc(NULL, 10);
	assert_non_null(p);
	OPENSSL_free(p);
}

/* The specification of GCM (McGrew and Viega), cases 13 to 16. */
static const struct gcm_case {
	const char *key, *nonce, *aad, *plain, *sealed;
} gcm_cases[] = {
	{ "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "",
	  "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "00000000000000000000000000000000",
	  "cea7403d4d606b6e074ec5d3baf39d18"
	  "d0d1c8a799996bf0265b98b5d48ab919" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
	  "b094dac5d93471bdec1a502270e3cc6c" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	  "76fc6ece0f4e1768cddf8853bb2d551b" }
};

static void
gcm_check(struct aead *a, const struct gcm_case *c)
{
	uint8_t key[32], nonce[12], aad[32], plain[64], sealed[80], out[80];
	size_t aadlen, len, i;

	unhex(c->key, key);
	unhex(c->nonce, nonce);
	aadlen = unhex(c->aad, aad);
	len = unhex(c->plain, plain);
	assert_int_equal(unhex(c->sealed, sealed), len + AEAD_TAG_SIZE);
	assert_int_equal(aead_seal(a, key, nonce, aad, aadlen, plain, len, out),
	    0);
	assert_memory_equal(out, sealed, len + AEAD_TAG_SIZE);
	/* In place, both ways. */
	assert_int_equal(aead_open(a, key, nonce, aad, aadlen, out,
	    len + AEAD_TAG_SIZE, out), 0);
	assert_memory_equal(out, plain, len);
	assert_int_equal(aead_seal(a, key, nonce, aad, aadlen, out, len, out),
	    0);
	assert_memory_equal(out, sealed, len + AEAD_TAG_SIZE);

	for (i = 0; i < len + AEAD_TAG_SIZE; i++) {
		sealed[i] ^= 1;
		memset(out, 0xee, sizeof(out));
		assert_int_equal(aead_open(a, key, nonce, aad, aadlen, sealed,
		    len + AEAD_TAG_SIZE, out), -FIRN_ECORRUPT);
		sealed[i] ^= 1;
		memset(plain, 0, sizeof(plain));
		assert_memory_equal(out, plain, len);
	}
	assert_int_equal(aead_open(a, key, nonce, aad, aadlen, sealed,
	    AEAD_TAG_SIZE - 1, out), -FIRN_ECORRUPT);
}

static void
test_gcm(void **state)
{
	struct aead *a;
	unsigned i, turn;

	(void)state;
	assert_int_equal(aead_new(&a), 0);
	/* Twice over, so that keys change and come back. */
	for (turn = 0; turn < 2; turn++)
		for (i = 0; i < 4; i++)
			gcm_check(a, &gcm_cases[i]);
	aead_free(a);
	aead_free(NULL);
}

static void
test_nonce(void **state)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	(void)state;
	aead_nonce(0x0102030405060708, nonce);
	assert_hex(nonce, "080706050403020100000000");
}

/*
 * RFC 7748 section 6.1: the public keys by box_public(), the shared secret by
 * opening a box that is made here by hand from it.
 */
static void
test_x25519(void **state)
{
	uint8_t a[32], b[32], apk[32], bpk[32], shared[32], salt[64], key[32];
	uint8_t nonce[12], box[BOX_OVERHEAD + 5], out[5];
	struct aead *ad;

	(void)state;
	unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	    a);
	unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	    b);
	unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
	    shared);
	assert_int_equal(box_public(a, apk), 0);
	assert_hex(apk, "8520f0098930a754748b7ddcb43ef75a"
	    "0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_int_equal(box_public(b, bpk), 0);
	assert_hex(bpk, "de9edb7d7b7dc1b4d35b61c2ece43537"
	    "3f8343c85b78674dadfc7e146f882b4f");

	memcpy(salt, apk, 32);
	memcpy(salt + 32, bpk, 32);
	assert_int_equal(kdf_hkdf(shared, 32, salt, 64, "label", key, 32), 0);
	aead_nonce(0, nonce);
	assert_int_equal(aead_new(&ad), 0);
	memcpy(box, apk, 32);
	assert_int_equal(aead_seal(ad, key, nonce, "aad", 3, "hello", 5,
	    box + 32), 0);
	aead_free(ad);
	assert_int_equal(box_open(bpk, b, "label", "aad", 3, box, sizeof(box),
	    out), 0);
	assert_memory_equal(out, "hello", 5);
}

struct box_damage {
	uint8_t pk[32], sk[32];
};

static void
box_damaged(void *ctx, const uint8_t *data, size_t len)
{
	struct box_damage *d = ctx;
	uint8_t out[64];

	assert_int_equal(box_open(d->pk, d->sk, "l", "a", 1, data, len, out),
	    -FIRN_ECORRUPT);
}

static void
test_box(void **state)
{
	struct box_damage d;
	uint8_t box[2][BOX_OVERHEAD + 4], out[4], none[32], other[32];

	(void)state;
	assert_int_equal(box_keypair(d.pk, d.sk), 0);
	assert_int_equal(box_seal(d.pk, "l", "a", 1, "text", 4, box[0]), 0);
	assert_int_equal(box_seal(d.pk, "l", "a", 1, "text", 4, box[1]), 0);
	assert_memory_not_equal(box[0], box[1], 32);
	assert_int_equal(box_open(d.pk, d.sk, "l", "a", 1, box[0],
	    sizeof(box[0]), out), 0);
	assert_memory_equal(out, "text", 4);
	each_damage(box[0], sizeof(box[0]), box_damaged, &d);
	assert_int_equal(box_open(d.pk, d.sk, "L", "a", 1, box[0],
	    sizeof(box[0]), out), -FIRN_ECORRUPT);
	assert_int_equal(box_open(d.pk, d.sk, "l", "b", 1, box[0],
	    sizeof(box[0]), out), -FIRN_ECORRUPT);
	memcpy(other, d.sk, 32);
	other[5] ^= 1;
	assert_int_equal(box_open(d.pk, other, "l", "a", 1, box[0],
	    sizeof(box[0]), out), -FIRN_ECORRUPT);

	/* A point of small order makes no secret. */
	memset(none, 0, sizeof(none));
	assert_int_equal(box_seal(none, "l", "a", 1, "text", 4, box[1]),
	    -EINVAL);
	memset(box[0], 0, 32);
	assert_int_equal(box_open(d.pk, d.sk, "l", "a", 1, box[0],
	    sizeof(box[0]), out), -FIRN_ECORRUPT);
}

static void
test_keys(void **state)
{
	struct keys a, b, zero;

	(void)state;
	assert_int_equal(keys_generate(&a), 0);
	assert_int_equal(keys_generate(&b), 0);
	assert_memory_not_equal(a.repo_id, b.repo_id, REPO_ID_SIZE);
	assert_memory_not_equal(a.id, b.id, KEY_SIZE);
	assert_true(a.has_sk);
	b = a;
	assert_int_equal(keys_derive(&b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	/* The repository's id is the salt of every derived key. */
	b.repo_id[0] ^= 1;
	assert_int_equal(keys_derive(&b), 0);
	assert_memory_not_equal(a.block_id, b.block_id, KEY_SIZE);
	keys_wipe(&b);
	memset(&zero, 0, sizeof(zero));
	assert_memory_equal(&b, &zero, sizeof(b));
}

/* Derived keys never change: repositories hang on them. */
static void
test_keys_golden(void **state)
{
	struct keys k;

	(void)state;
	fixed_keys(&k);
	assert_hex(k.pk, GOLDEN_PK);
	assert_hex(k.block_id, GOLDEN_BLOCK_ID);
	assert_hex(k.chunker, GOLDEN_CHUNKER);
	assert_hex(k.tree_cut, GOLDEN_TREE_CUT);
	assert_hex(k.config_mac, GOLDEN_CONFIG_MAC);
	assert_hex(k.segment, GOLDEN_SEGMENT);
	assert_hex(k.footer, GOLDEN_FOOTER);
	assert_hex(k.generation, GOLDEN_GENERATION);
	assert_hex(k.series_tag, GOLDEN_SERIES_TAG);
	assert_hex(k.local, GOLDEN_LOCAL);
}

static void
test_random(void **state)
{
	uint8_t a[700], b[700];

	(void)state;
	kdf_random(a, sizeof(a));
	kdf_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	kdf_wipe(a, sizeof(a));
	memset(b, 0, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
	assert_true(hash_equal(a, b, sizeof(a)));
	b[699] = 1;
	assert_false(hash_equal(a, b, sizeof(a)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_scrypt),
		cmocka_unit_test(test_large_pages),
		cmocka_unit_test(test_gcm),
		cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_x25519),
		cmocka_unit_test(test_box),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_keys_golden),
		cmocka_unit_test(test_random)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
