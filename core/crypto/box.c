/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing to a public key, over OpenSSL's X25519 and our own HKDF and AEAD.
 */
#include <openssl/evp.h>
#include <string.h>

#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/box.h"
#include "crypto/kdf.h"

/* The shared secret.  -EINVAL for a public key of small order. */
static int
box_shared(const uint8_t sk[BOX_KEY_SIZE], const uint8_t pk[BOX_KEY_SIZE],
    uint8_t out[BOX_KEY_SIZE])
{
	EVP_PKEY *ours, *theirs;
	EVP_PKEY_CTX *ctx = NULL;
	size_t len = BOX_KEY_SIZE;
	int err = -ENOMEM;

	ours = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, sk,
	    BOX_KEY_SIZE);
	theirs = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, pk,
	    BOX_KEY_SIZE);
	if (ours == NULL || theirs == NULL)
		goto out;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, theirs) != 1)
		goto out;
	err = EVP_PKEY_derive(ctx, out, &len) == 1 && len == BOX_KEY_SIZE ?
	    0 : -EINVAL;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return err;
}

int
box_public(const uint8_t sk[BOX_KEY_SIZE], uint8_t pk[BOX_KEY_SIZE])
{
	EVP_PKEY *key;
	size_t len = BOX_KEY_SIZE;
	int ok;

	key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, sk,
	    BOX_KEY_SIZE);
	ok = key != NULL && EVP_PKEY_get_raw_public_key(key, pk, &len) == 1 &&
	    len == BOX_KEY_SIZE;
	EVP_PKEY_free(key);
	return ok ? 0 : -ENOMEM;
}

int
box_keypair(uint8_t pk[BOX_KEY_SIZE], uint8_t sk[BOX_KEY_SIZE])
{
	/* Any 32 bytes are a private key; X25519 clamps them itself. */
	kdf_random(sk, BOX_KEY_SIZE);
	return box_public(sk, pk);
}

/* The key that one sealed message is under. */
static int
box_key(const uint8_t sk[BOX_KEY_SIZE], const uint8_t theirs[BOX_KEY_SIZE],
    const uint8_t epk[BOX_KEY_SIZE], const uint8_t pk[BOX_KEY_SIZE],
    const char *label, uint8_t key[AEAD_KEY_SIZE])
{
	uint8_t shared[BOX_KEY_SIZE];
	uint8_t salt[2 * BOX_KEY_SIZE];
	int err;

	memcpy(salt, epk, BOX_KEY_SIZE);
	memcpy(salt + BOX_KEY_SIZE, pk, BOX_KEY_SIZE);
	err = box_shared(sk, theirs, shared);
	if (err == 0)
		err = kdf_hkdf(shared, sizeof(shared), salt, sizeof(salt),
		    label, key, AEAD_KEY_SIZE);
	kdf_wipe(shared, sizeof(shared));
	return err;
}

int
box_seal(const uint8_t pk[BOX_KEY_SIZE], const char *label,
    const void *aad, size_t aadlen, const void *in, size_t len, uint8_t *out)
{
	uint8_t esk[BOX_KEY_SIZE];
	uint8_t key[AEAD_KEY_SIZE];
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct aead *a = NULL;
	int err;

	err = box_keypair(out, esk);
	if (err == 0)
		err = box_key(esk, pk, out, pk, label, key);
	if (err == 0)
		err = aead_new(&a);
	if (err == 0) {
		aead_nonce(0, nonce);
		err = aead_seal(a, key, nonce, aad, aadlen, in, len,
		    out + BOX_KEY_SIZE);
	}
	aead_free(a);
	kdf_wipe(key, sizeof(key));
	kdf_wipe(esk, sizeof(esk));
	return err;
}

int
box_open(const uint8_t pk[BOX_KEY_SIZE], const uint8_t sk[BOX_KEY_SIZE],
    const char *label, const void *aad, size_t aadlen, const void *in,
    size_t len, uint8_t *out)
{
	const uint8_t *epk = in;
	uint8_t key[AEAD_KEY_SIZE];
	uint8_t nonce[AEAD_NONCE_SIZE];
	struct aead *a = NULL;
	int err;

	if (len < BOX_OVERHEAD)
		return -FIRN_ECORRUPT;
	err = box_key(sk, epk, epk, pk, label, key);
	if (err == -EINVAL)
		err = -FIRN_ECORRUPT;
	if (err == 0)
		err = aead_new(&a);
	if (err == 0) {
		aead_nonce(0, nonce);
		err = aead_open(a, key, nonce, aad, aadlen,
		    epk + BOX_KEY_SIZE, len - BOX_KEY_SIZE, out);
	}
	aead_free(a);
	kdf_wipe(key, sizeof(key));
	return err;
}
