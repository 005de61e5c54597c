/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HKDF and scrypt over OpenSSL's EVP; random bytes from the kernel.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/pages.h"
#include "crypto/kdf.h"

#define SCRYPT_MEMORY	(1u << 30)	/* bytes; ceiling of 128 * n * r */

/*
 * scrypt's 32 MiB from OpenSSL's allocator, which takes them in pages of 4 KiB:
 * their first touch costs more than the mixing where pages are dear (see
 * base/pages.h).  So it is given one that takes large pages for what is large;
 * before anything else is allocated there, or OpenSSL keeps its own.
 */
static void *
large_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size == 0)
		return NULL;
	return size >= PAGES_LARGE ? pages_alloc(size) : malloc(size);
}

static void *
large_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size > 0)
		return realloc(p, size);
	free(p);
	return NULL;
}

static void
large_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

__attribute__((constructor)) static void
allocate_large_pages(void)
{
	/* Who allocated earlier keeps us from it, and nothing is lost but time. */
	(void)CRYPTO_set_mem_functions(large_malloc, large_realloc, large_free);
}

static int
kdf_run(const char *name, const OSSL_PARAM *params, uint8_t *out,
    size_t outlen)
{
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx = NULL;
	int ok;

	kdf = EVP_KDF_fetch(NULL, name, NULL);
	if (kdf != NULL)
		ctx = EVP_KDF_CTX_new(kdf);
	ok = ctx != NULL && EVP_KDF_derive(ctx, out, outlen, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -ENOMEM;
}

/* OSSL_PARAM has no const; OpenSSL copies from it and does not write. */
static OSSL_PARAM
param_bytes(const char *name, const void *data, size_t len)
{
	static char none[1];

	return (OSSL_PARAM)OSSL_PARAM_octet_string(name,
	    len == 0 ? none : (void *)(uintptr_t)data, len);
}

int
kdf_hkdf(const void *key, size_t keylen, const void *salt, size_t saltlen,
    const char *label, uint8_t *out, size_t outlen)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1),
		param_bytes("key", key, keylen),
		param_bytes("salt", salt, saltlen),
		param_bytes("info", label, strlen(label)),
		OSSL_PARAM_END
	};

	if (outlen == 0 || outlen > 255 * 32)
		return -EINVAL;
	return kdf_run("HKDF", params, out, outlen);
}

int
kdf_scrypt_valid(uint64_t n, uint32_t r, uint32_t p)
{
	return n >= 1u << 10 && n <= 1u << 22 && (n & (n - 1)) == 0 &&
	    r >= 1 && r <= 32 && p >= 1 && p <= 16 &&
	    128 * n * r <= SCRYPT_MEMORY;
}

int
kdf_scrypt(const char *password, size_t passlen, const void *salt,
    size_t saltlen, uint64_t n, uint32_t r, uint32_t p, uint8_t *out,
    size_t outlen)
{
	/* OpenSSL counts its other buffers too. */
	uint64_t maxmem = 2ull * SCRYPT_MEMORY;
	OSSL_PARAM params[] = {
		param_bytes("pass", password, passlen),
		param_bytes("salt", salt, saltlen),
		OSSL_PARAM_uint64("n", &n),
		OSSL_PARAM_uint32("r", &r),
		OSSL_PARAM_uint32("p", &p),
		OSSL_PARAM_uint64("maxmem_bytes", &maxmem),
		OSSL_PARAM_END
	};

	if (!kdf_scrypt_valid(n, r, p) || outlen == 0)
		return -EINVAL;
	return kdf_run("SCRYPT", params, out, outlen);
}

void
kdf_random(void *out, size_t len)
{
	uint8_t *p = out;
	ssize_t n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		/* No kernel that we run on refuses, and there is nothing safe
		 * to do without. */
		if (n <= 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

void
kdf_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
