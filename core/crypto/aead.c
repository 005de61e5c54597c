/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM over OpenSSL's EVP.
 *
 * Each direction has a cipher context of its own, and each remembers the key
 * that its schedule was made for: sealing or opening the frames of one pack
 * sets a nonce and no key.  The algorithm is fetched once for the process and
 * never freed, as in hash.c.
 */
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/kdf.h"

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *gcm;

static void
fetch(void)
{
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

struct side {
	EVP_CIPHER_CTX *ctx;
	int has_key;
	uint8_t key[AEAD_KEY_SIZE];
};

struct aead {
	struct side seal;
	struct side open;
};

int
aead_new(struct aead **out)
{
	struct aead *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	pthread_once(&fetch_once, fetch);
	a->seal.ctx = EVP_CIPHER_CTX_new();
	a->open.ctx = EVP_CIPHER_CTX_new();
	if (gcm == NULL || a->seal.ctx == NULL || a->open.ctx == NULL) {
		aead_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void
aead_free(struct aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->seal.ctx);
	EVP_CIPHER_CTX_free(a->open.ctx);
	kdf_wipe(a, sizeof(*a));
	free(a);
}

/* Ready for one message: key if it is another one, nonce, aad. */
static int
side_begin(struct side *s, int sealing, const uint8_t key[AEAD_KEY_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aadlen)
{
	int same, n;

	if (aadlen > INT_MAX)
		return -EINVAL;
	same = s->has_key && hash_equal(s->key, key, AEAD_KEY_SIZE);
	s->has_key = 0;
	if (EVP_CipherInit_ex2(s->ctx, same ? NULL : gcm,
	    same ? NULL : key, nonce, sealing, NULL) != 1)
		return -ENOMEM;
	if (!same)
		memcpy(s->key, key, AEAD_KEY_SIZE);
	s->has_key = 1;
	if (aadlen > 0 &&
	    EVP_CipherUpdate(s->ctx, NULL, &n, aad, (int)aadlen) != 1)
		return -ENOMEM;
	return 0;
}

static int
side_update(struct side *s, const void *in, size_t len, uint8_t *out)
{
	int n = 0;

	if (len > INT_MAX)
		return -EINVAL;
	if (len > 0 && (EVP_CipherUpdate(s->ctx, out, &n, in, (int)len) != 1 ||
	    (size_t)n != len))
		return -ENOMEM;
	return 0;
}

int
aead_seal(struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aadlen,
    const void *in, size_t len, uint8_t *out)
{
	uint8_t none[AEAD_TAG_SIZE];
	int err, n;

	err = side_begin(&a->seal, 1, key, nonce, aad, aadlen);
	if (err == 0)
		err = side_update(&a->seal, in, len, out);
	if (err != 0)
		return err;
	if (EVP_CipherFinal_ex(a->seal.ctx, none, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->seal.ctx, EVP_CTRL_AEAD_GET_TAG,
	    AEAD_TAG_SIZE, out + len) != 1)
		return -ENOMEM;
	return 0;
}

int
aead_open(struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aadlen,
    const void *in, size_t len, uint8_t *out)
{
	uint8_t tag[AEAD_TAG_SIZE];
	uint8_t none[AEAD_TAG_SIZE];
	int err, n;

	if (len < AEAD_TAG_SIZE)
		return -FIRN_ECORRUPT;
	len -= AEAD_TAG_SIZE;
	memcpy(tag, (const uint8_t *)in + len, sizeof(tag));
	err = side_begin(&a->open, 0, key, nonce, aad, aadlen);
	if (err == 0)
		err = side_update(&a->open, in, len, out);
	if (err == 0 && EVP_CIPHER_CTX_ctrl(a->open.ctx, EVP_CTRL_AEAD_SET_TAG,
	    AEAD_TAG_SIZE, tag) != 1)
		err = -ENOMEM;
	if (err == 0 && EVP_CipherFinal_ex(a->open.ctx, none, &n) != 1)
		err = -FIRN_ECORRUPT;
	if (err != 0 && len > 0)
		kdf_wipe(out, len);
	return err;
}

void
aead_nonce(uint64_t number, uint8_t nonce[AEAD_NONCE_SIZE])
{
	le64_put(nonce, number);
	memset(nonce + 8, 0, AEAD_NONCE_SIZE - 8);
}
