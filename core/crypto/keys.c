/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The derived keys: one table says which root, label and place each has.
 */
#include <string.h>

#include "crypto/box.h"
#include "crypto/kdf.h"
#include "crypto/keys.h"

int
keys_generate(struct keys *k)
{
	int err;

	memset(k, 0, sizeof(*k));
	kdf_random(k->repo_id, sizeof(k->repo_id));
	kdf_random(k->id, sizeof(k->id));
	kdf_random(k->index, sizeof(k->index));
	k->has_sk = 1;
	err = box_keypair(k->pk, k->sk);
	if (err == 0)
		err = keys_derive(k);
	if (err != 0)
		keys_wipe(k);
	return err;
}

int
keys_derive(struct keys *k)
{
	const struct {
		const uint8_t *root;
		const char *label;
		uint8_t *out;
		size_t len;
	} derived[] = {
		{ k->id, "firn block id", k->block_id, KEY_SIZE },
		{ k->id, "firn chunker", k->chunker, sizeof(k->chunker) },
		{ k->id, "firn tree cut", k->tree_cut, KEY_SIZE },
		{ k->index, "firn config", k->config_mac, KEY_SIZE },
		{ k->index, "firn segments", k->segment, KEY_SIZE },
		{ k->index, "firn pack footer", k->footer, KEY_SIZE },
		{ k->index, "firn generations", k->generation, KEY_SIZE },
		{ k->index, "firn series", k->series_tag, KEY_SIZE },
		{ k->index, "firn local", k->local, KEY_SIZE }
	};
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof(derived) / sizeof(derived[0]) && err == 0; i++)
		err = kdf_hkdf(derived[i].root, KEY_SIZE, k->repo_id,
		    REPO_ID_SIZE, derived[i].label, derived[i].out,
		    derived[i].len);
	return err;
}

void
keys_wipe(struct keys *k)
{
	kdf_wipe(k, sizeof(*k));
}
