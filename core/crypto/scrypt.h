/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrypt, RFC 7914; kdf_scrypt() is what others call.
 */
#ifndef FIRN_CRYPTO_SCRYPT_H
#define FIRN_CRYPTO_SCRYPT_H

#include <stddef.h>
#include <stdint.h>

/* n, r and p are such that kdf_scrypt_valid() says yes; the lengths fit an
 * int.  -ENOMEM when there is no memory, which takes 128 * n * r bytes. */
int scrypt(const char *password, size_t passlen, const void *salt,
    size_t saltlen, uint64_t n, uint32_t r, uint32_t p, uint8_t *out,
    size_t outlen);

#endif
