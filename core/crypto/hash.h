/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), HMAC-SHA256 (RFC 2104) and MD5.  Wraps OpenSSL's EVP.
 * Allocation inside the library is the only way to fail: -ENOMEM.
 */
#ifndef FIRN_CRYPTO_HASH_H
#define FIRN_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 32

int hash_sha256(const void *data, size_t len, uint8_t out[HASH_SIZE]);
int hash_hmac(const void *key, size_t keylen, const void *data, size_t len,
    uint8_t out[HASH_SIZE]);

/* MD5 (RFC 1321), for Content-MD5 and nothing that has to withstand anybody;
 * not for small messages by the million.  -EOPNOTSUPP where the system's
 * OpenSSL has none (FIPS). */
#define HASH_MD5_SIZE 16
int hash_md5(const void *data, size_t len, uint8_t out[HASH_MD5_SIZE]);

/* SHA-256 in pieces.  One thread at a time. */
struct hash;
int hash_new(struct hash **out);
void hash_free(struct hash *h);
int hash_update(struct hash *h, const void *data, size_t len);
/* Writes the digest and starts afresh. */
int hash_final(struct hash *h, uint8_t out[HASH_SIZE]);

/* HMAC under one key, many messages.  One thread at a time; make one a
 * thread.  Wiped when freed. */
struct mac;
int mac_new(const void *key, size_t keylen, struct mac **out);
void mac_free(struct mac *m);
/* HMAC(prefix || data). */
int mac_compute(struct mac *m, const void *prefix, size_t prefixlen,
    const void *data, size_t len, uint8_t out[HASH_SIZE]);

/* 1 when equal, in time that does not depend on the bytes. */
int hash_equal(const void *a, const void *b, size_t len);

#endif
