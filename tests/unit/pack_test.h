/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of packs share: the keys, and plain bytes.
 */
#ifndef FIRN_TESTS_PACK_TEST_H
#define FIRN_TESTS_PACK_TEST_H

#include "keys_test.h"

#include "base/bytes.h"
#include "format/pack.h"
#include "format/pack_internal.h"

/* Text that compresses, or bytes that do not. */
static inline void
fill(uint8_t *p, size_t len, int random)
{
	size_t i;

	if (random)
		rnd_fill(p, len);
	else
		for (i = 0; i < len; i++)
			p[i] = (uint8_t)("some words "[i % 11] + (i / 4096));
}

#endif
