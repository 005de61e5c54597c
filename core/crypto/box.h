/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing to a public key: anybody who has pk can seal, only sk opens.
 *
 * X25519 (RFC 7748) with an ephemeral key, then AES-256-GCM under
 * HKDF-SHA256(shared secret, salt = ephemeral pk || pk, label), zero nonce
 * (the key is used once).  Sealed form: ephemeral pk (32), ciphertext, tag.
 */
#ifndef FIRN_CRYPTO_BOX_H
#define FIRN_CRYPTO_BOX_H

#include <stddef.h>
#include <stdint.h>

#define BOX_KEY_SIZE	32
#define BOX_OVERHEAD	(32 + 16)

int box_keypair(uint8_t pk[BOX_KEY_SIZE], uint8_t sk[BOX_KEY_SIZE]);
/* pk from sk. */
int box_public(const uint8_t sk[BOX_KEY_SIZE], uint8_t pk[BOX_KEY_SIZE]);
/* out has room for len + BOX_OVERHEAD. */
int box_seal(const uint8_t pk[BOX_KEY_SIZE], const char *label,
    const void *aad, size_t aadlen, const void *in, size_t len, uint8_t *out);
/* len counts the overhead.  -FIRN_ECORRUPT when it does not open. */
int box_open(const uint8_t pk[BOX_KEY_SIZE], const uint8_t sk[BOX_KEY_SIZE],
    const char *label, const void *aad, size_t aadlen, const void *in,
    size_t len, uint8_t *out);

#endif
