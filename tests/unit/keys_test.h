/* SPDX-License-Identifier: Apache-2.0 */
/* The owner, and a host that may only write, of the same repository. */
#ifndef FIRN_KEYS_TEST_H
#define FIRN_KEYS_TEST_H

#include "format_test.h"

static struct keys owner, writer;

static inline int
setup(void **state)
{
	(void)state;
	rnd_seed();
	fixed_keys(&owner);
	writer = owner;
	memset(writer.sk, 0, sizeof(writer.sk));
	writer.has_sk = 0;
	return 0;
}

#endif
