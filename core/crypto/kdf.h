/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from keys, keys from passwords, and random bytes.
 * HKDF-SHA256: RFC 5869.  scrypt: RFC 7914.  Random: getrandom(2).
 *
 * A program that has this in it gives OpenSSL an allocator, as it starts: the
 * usual one, but what is large in large pages.
 */
#ifndef FIRN_CRYPTO_KDF_H
#define FIRN_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

/* Extract and expand; salt may be empty.  outlen <= 255 * 32. */
int kdf_hkdf(const void *key, size_t keylen, const void *salt, size_t saltlen,
    const char *label, uint8_t *out, size_t outlen);

/* n a power of two in 2^10 .. 2^22, r 1..32, p 1..16, memory 128*n*r at most
 * 1 GiB, else -EINVAL.  Takes about a second with the parameters that init
 * writes. */
int kdf_scrypt(const char *password, size_t passlen, const void *salt,
    size_t saltlen, uint64_t n, uint32_t r, uint32_t p, uint8_t *out,
    size_t outlen);
/* 1 when n, r and p are in these ranges: for parameters from outside. */
int kdf_scrypt_valid(uint64_t n, uint32_t r, uint32_t p);

/* Never fails once the system is up; blocks until then. */
void kdf_random(void *out, size_t len);
/* Overwrite so that the compiler cannot leave it out. */
void kdf_wipe(void *p, size_t len);

#endif
