/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM (NIST SP 800-38D): seal and open.  Wraps OpenSSL.
 *
 * Output of seal is ciphertext followed by the 16-byte tag.  A nonce must
 * never be used twice under one key; every use in the format says why it
 * cannot be.  Contexts are per thread: one thread at a time in each.
 */
#ifndef FIRN_CRYPTO_AEAD_H
#define FIRN_CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_SIZE	32
#define AEAD_NONCE_SIZE	12
#define AEAD_TAG_SIZE	16

struct aead;

int aead_new(struct aead **out);
void aead_free(struct aead *a);
/* Keys may change between calls; the last one is remembered so that the same
 * key again costs no key schedule.  out has room for len + AEAD_TAG_SIZE and
 * may be in itself. */
int aead_seal(struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aadlen,
    const void *in, size_t len, uint8_t *out);
/* len counts the tag; out gets len - AEAD_TAG_SIZE bytes.  -FIRN_ECORRUPT
 * when it does not authenticate; out is then wiped.  May work in place. */
int aead_open(struct aead *a, const uint8_t key[AEAD_KEY_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aadlen,
    const void *in, size_t len, uint8_t *out);

/* Nonce made of a 64-bit number, little-endian, and four zero bytes. */
void aead_nonce(uint64_t number, uint8_t nonce[AEAD_NONCE_SIZE]);

#endif
