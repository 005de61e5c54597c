/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects "tier/TIME-RANDOM": into which storage class new data packs go.
 * The one whose name is last counts; objects are never changed, and so is a
 * setting: the next one is another object.  Without any it is config's.
 *
 *	magic "firntier", and the rest as config has it (config.h): JSON under
 *	a MAC with keys->config_mac, for config_verify()
 *
 * The JSON has: repository (32 hex digits), set (RFC 3339), class (text as of
 * config's data_class).  TIME is in the form of names, RANDOM 16 hex digits.
 * Pure.
 */
#ifndef FIRN_FORMAT_TIER_H
#define FIRN_FORMAT_TIER_H

#include "format/config.h"

#define TIER_PREFIX	"tier/"
#define TIER_MAX	(4u << 10)	/* bytes of an object */

struct tier {
	uint8_t repo_id[REPO_ID_SIZE];
	struct timespec set;
	char class_name[CONFIG_CLASS_SIZE];
};

/* Appends.  -EINVAL for what is no class, or keys of another repository;
 * logged. */
int tier_encode(const struct tier *t, const struct keys *keys,
    struct buf *out);
/* -FIRN_ECORRUPT, -FIRN_EVERSION; logged. */
int tier_decode(const void *data, size_t len, struct tier *out);

#endif
