/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a repository and what is derived from them.
 *
 * K_id makes block ids and cuts chunks; K_index seals what a write-only key
 * must be able to read; (pk, sk) seals what only an owner may read.  Every use
 * has a sub-key of its own: HKDF-SHA256(root key, salt = repository id, label).
 */
#ifndef FIRN_CRYPTO_KEYS_H
#define FIRN_CRYPTO_KEYS_H

#include <stdint.h>

#define KEY_SIZE	32
#define REPO_ID_SIZE	16

struct keys {
	uint8_t repo_id[REPO_ID_SIZE];
	uint8_t id[KEY_SIZE];		/* K_id */
	uint8_t index[KEY_SIZE];	/* K_index */
	uint8_t pk[KEY_SIZE];
	uint8_t sk[KEY_SIZE];		/* zero without has_sk */
	int has_sk;			/* an owner key */

	/*
	 * Derived by keys_derive(); with the label of each.  From K_id:
	 */
	uint8_t block_id[KEY_SIZE];	/* "firn block id": HMAC */
	uint8_t chunker[16];		/* "firn chunker": AES-128, cut points */
	uint8_t tree_cut[KEY_SIZE];	/* "firn tree cut": HMAC, cuts of
					   directories */
	/* From K_index: */
	uint8_t config_mac[KEY_SIZE];	/* "firn config": HMAC */
	uint8_t segment[KEY_SIZE];	/* "firn segments": root of a
					   segment's key */
	uint8_t footer[KEY_SIZE];	/* "firn pack footer": AES-256-GCM */
	uint8_t generation[KEY_SIZE];	/* "firn generations": AES-256-GCM,
					   outer layer of records */
	uint8_t series_tag[KEY_SIZE];	/* "firn series": HMAC, names under
					   gen/ */
	uint8_t local[KEY_SIZE];	/* "firn local": local state of this
					   host */
};

/* New random root keys for a new repository id, derived too. */
int keys_generate(struct keys *k);
/* Fill the derived part from the root part. */
int keys_derive(struct keys *k);
void keys_wipe(struct keys *k);

#endif
