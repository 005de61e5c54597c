/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, HMAC and MD5 over OpenSSL's EVP.
 *
 * Looking an algorithm up in OpenSSL 3 costs more than hashing a small
 * message, so the first two are fetched once for the process and never freed:
 * after the first call they are constants.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/hash.h"

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void
fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

struct hash {
	EVP_MD_CTX *ctx;
};

int
hash_new(struct hash **out)
{
	struct hash *h;

	pthread_once(&fetch_once, fetch);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || sha256 == NULL ||
	    EVP_DigestInit_ex2(h->ctx, sha256, NULL) != 1) {
		hash_free(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void
hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int
hash_update(struct hash *h, const void *data, size_t len)
{
	return EVP_DigestUpdate(h->ctx, data, len) == 1 ? 0 : -ENOMEM;
}

int
hash_final(struct hash *h, uint8_t out[HASH_SIZE])
{
	if (EVP_DigestFinal_ex(h->ctx, out, NULL) != 1 ||
	    EVP_DigestInit_ex2(h->ctx, NULL, NULL) != 1)
		return -ENOMEM;
	return 0;
}

int
hash_md5(const void *data, size_t len, uint8_t out[HASH_MD5_SIZE])
{
	EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (md5 == NULL || ctx == NULL) {
		EVP_MD_CTX_free(ctx);
		EVP_MD_free(md5);
		return md5 == NULL ? -EOPNOTSUPP : -ENOMEM;
	}
	ok = EVP_DigestInit_ex2(ctx, md5, NULL) == 1 &&
	    EVP_DigestUpdate(ctx, data, len) == 1 &&
	    EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md5);
	return ok ? 0 : -ENOMEM;
}

int
hash_sha256(const void *data, size_t len, uint8_t out[HASH_SIZE])
{
	EVP_MD_CTX *ctx;
	int ok;

	pthread_once(&fetch_once, fetch);
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || sha256 == NULL) {
		EVP_MD_CTX_free(ctx);
		return -ENOMEM;
	}
	ok = EVP_DigestInit_ex2(ctx, sha256, NULL) == 1 &&
	    EVP_DigestUpdate(ctx, data, len) == 1 &&
	    EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -ENOMEM;
}

struct mac {
	EVP_MAC_CTX *ctx;
};

int
mac_new(const void *key, size_t keylen, struct mac **out)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1),
		OSSL_PARAM_END
	};
	struct mac *m;

	pthread_once(&fetch_once, fetch);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	/* A NULL key would mean "as before" to OpenSSL. */
	if (keylen == 0)
		key = "";
	if (hmac != NULL)
		m->ctx = EVP_MAC_CTX_new(hmac);
	if (m->ctx == NULL || EVP_MAC_init(m->ctx, key, keylen, params) != 1) {
		mac_free(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void
mac_free(struct mac *m)
{
	if (m == NULL)
		return;
	EVP_MAC_CTX_free(m->ctx);	/* wipes the key */
	free(m);
}

int
mac_compute(struct mac *m, const void *prefix, size_t prefixlen,
    const void *data, size_t len, uint8_t out[HASH_SIZE])
{
	size_t n;

	/* Without a key the one that is there stays and the state is reset. */
	if (EVP_MAC_init(m->ctx, NULL, 0, NULL) != 1 ||
	    (prefixlen > 0 && EVP_MAC_update(m->ctx, prefix, prefixlen) != 1) ||
	    (len > 0 && EVP_MAC_update(m->ctx, data, len) != 1) ||
	    EVP_MAC_final(m->ctx, out, &n, HASH_SIZE) != 1)
		return -ENOMEM;
	return 0;
}

int
hash_hmac(const void *key, size_t keylen, const void *data, size_t len,
    uint8_t out[HASH_SIZE])
{
	struct mac *m;
	int err;

	err = mac_new(key, keylen, &m);
	if (err != 0)
		return err;
	err = mac_compute(m, NULL, 0, data, len, out);
	mac_free(m);
	return err;
}

int
hash_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
