/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object "config": what a repository is.  Written once by init.
 *
 *	magic "firnconf"; u16 version; u16 zero; u32 length of the JSON;
 *	JSON; HMAC-SHA256(keys->config_mac, all before it)
 *
 * The JSON has: repository (32 hex digits), created (RFC 3339), features
 * (array of names; a name that the reader does not know is an error), the
 * numbers of struct config, and conditional_writes and data_class where they
 * are said.  It can be decoded without a key, since the repository id is needed
 * to open one; config_verify() comes after.
 * Members that the reader does not know are ignored (what may not be ignored
 * is a feature).  The JSON is at most 64 KiB.
 */
#ifndef FIRN_FORMAT_CONFIG_H
#define FIRN_FORMAT_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "crypto/keys.h"

/* What init found that the store makes of a put that asks for there being no
 * such object.  For people: versioning that is switched on may change it. */
enum config_conditional { CONFIG_COND_UNSAID, CONFIG_COND_YES,
    CONFIG_COND_IGNORED, CONFIG_COND_REFUSED };

#define CONFIG_CLASS_SIZE 64	/* of a storage class, with the NUL */

/* Ranges, both ends included: block_target 4 KiB to 16 MiB (the largest block
 * is four times that), frame_target 4 KiB to 64 MiB, data_pack and meta_pack
 * 64 KiB to 512 MiB, inline_max 0 to 16 KiB. */
struct config {
	uint8_t repo_id[REPO_ID_SIZE];
	struct timespec created;
	uint32_t block_target;	/* bytes; mean size of a block */
	uint32_t frame_target;	/* bytes; small blocks share a frame up to it */
	uint32_t data_pack;	/* bytes; target size of a data pack */
	uint32_t meta_pack;
	uint32_t inline_max;	/* bytes; a file up to this lies in its entry */
	enum config_conditional conditional_writes;
	/* Storage class of new data packs, unless a tier object (tier.h) says
	 * another; "" where none is said. */
	char data_class[CONFIG_CLASS_SIZE];
};

/* Defaults: 512 KiB, 1 MiB, 32 MiB, 8 MiB, 512; a new random id, now. */
void config_default(struct config *c);
/* -EINVAL, logged, naming the value and its range. */
int config_validate(const struct config *c);
/* "yes", "ignored", "refused"; NULL for unsaid. */
const char *config_conditional_name(enum config_conditional c);
/* Whether a text can stand as data_class: visible ASCII, 1 to 63 bytes. */
int config_class_valid(const char *text);
/* Appends.  -EINVAL, logged, also when config and keys do not have the same
 * repository id.  The same values give the same bytes. */
int config_encode(const struct config *c, const struct keys *keys,
    struct buf *out);
/* -FIRN_ECORRUPT, or -FIRN_EVERSION naming version or feature; both logged. */
int config_decode(const void *data, size_t len, struct config *out);
/* The MAC: -FIRN_ECORRUPT. */
int config_verify(const void *data, size_t len, const struct keys *keys);

#endif
