/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets of four, the one used last in front: an id pushes out the one of its
 * bucket that was not asked for the longest.  An empty slot is all zeroes, and
 * the id of all zeroes is never remembered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/format.h"
#include "repo/idlossy.h"

#define WAYS 4

struct idlossy {
	size_t buckets;
	uint8_t (*slot)[BLOCK_ID_SHORT];
};

int
idlossy_new(size_t slots, struct idlossy **out)
{
	struct idlossy *s;

	if (slots < WAYS || (slots & (slots - 1)) != 0)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->buckets = slots / WAYS;
	s->slot = calloc(slots, sizeof(*s->slot));
	if (s->slot == NULL) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void
idlossy_free(struct idlossy *s)
{
	if (s == NULL)
		return;
	free(s->slot);
	free(s);
}

static uint8_t (*
bucket(const struct idlossy *s, const uint8_t *id))[BLOCK_ID_SHORT]
{
	return s->slot + (le64_get(id) & (s->buckets - 1)) * WAYS;
}

int
idlossy_has(const struct idlossy *s, const uint8_t *id)
{
	static const uint8_t zero[BLOCK_ID_SHORT];
	uint8_t (*b)[BLOCK_ID_SHORT] = bucket(s, id);
	unsigned i;

	for (i = 0; i < WAYS; i++)
		if (memcmp(b[i], id, BLOCK_ID_SHORT) == 0)
			return memcmp(id, zero, BLOCK_ID_SHORT) != 0;
	return 0;
}

void
idlossy_add(struct idlossy *s, const uint8_t *id)
{
	uint8_t (*b)[BLOCK_ID_SHORT] = bucket(s, id);
	unsigned i;

	for (i = 0; i < WAYS - 1; i++)
		if (memcmp(b[i], id, BLOCK_ID_SHORT) == 0)
			break;
	memmove(b + 1, b, i * sizeof(*b));
	memcpy(b[0], id, BLOCK_ID_SHORT);
}
