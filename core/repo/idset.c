/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing; deletion shifts back what followed, so there are no marks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "repo/idset.h"

static const uint8_t zero[BLOCK_ID_SHORT];

void
idset_init(struct idset *s)
{
	memset(s, 0, sizeof(*s));
}

void
idset_release(struct idset *s)
{
	free(s->slot);
	idset_init(s);
}

static size_t
home(const struct idset *s, const uint8_t *id)
{
	return le64_get(id) & (s->nslots - 1);
}

/* The slot of id, or the empty one where it would go. */
static size_t
probe(const struct idset *s, const uint8_t *id)
{
	size_t i = home(s, id);

	while (memcmp(s->slot[i], zero, BLOCK_ID_SHORT) != 0 &&
	    memcmp(s->slot[i], id, BLOCK_ID_SHORT) != 0)
		i = (i + 1) & (s->nslots - 1);
	return i;
}

int
idset_has(const struct idset *s, const uint8_t *id)
{
	if (memcmp(id, zero, BLOCK_ID_SHORT) == 0)
		return s->has_zero;
	return s->nslots > 0 &&
	    memcmp(s->slot[probe(s, id)], zero, BLOCK_ID_SHORT) != 0;
}

static int
grow(struct idset *s)
{
	struct idset bigger = { .nslots = s->nslots > 0 ? 2 * s->nslots : 1024,
	    .count = s->count, .has_zero = s->has_zero };
	size_t i;

	bigger.slot = calloc(bigger.nslots, BLOCK_ID_SHORT);
	if (bigger.slot == NULL)
		return -ENOMEM;
	for (i = 0; i < s->nslots; i++)
		if (memcmp(s->slot[i], zero, BLOCK_ID_SHORT) != 0)
			memcpy(bigger.slot[probe(&bigger, s->slot[i])],
			    s->slot[i], BLOCK_ID_SHORT);
	free(s->slot);
	*s = bigger;
	return 0;
}

int
idset_add(struct idset *s, const uint8_t *id)
{
	size_t i;

	if (memcmp(id, zero, BLOCK_ID_SHORT) == 0) {
		i = !s->has_zero;
		s->has_zero = 1;
		return (int)i;
	}
	if (s->count * 4 >= s->nslots * 3 && grow(s) != 0)
		return -ENOMEM;
	i = probe(s, id);
	if (memcmp(s->slot[i], zero, BLOCK_ID_SHORT) != 0)
		return 0;
	memcpy(s->slot[i], id, BLOCK_ID_SHORT);
	s->count++;
	return 1;
}

void
idset_del(struct idset *s, const uint8_t *id)
{
	size_t i, j, k, mask = s->nslots - 1;

	if (memcmp(id, zero, BLOCK_ID_SHORT) == 0) {
		s->has_zero = 0;
		return;
	}
	if (s->nslots == 0)
		return;
	i = probe(s, id);
	if (memcmp(s->slot[i], zero, BLOCK_ID_SHORT) == 0)
		return;
	for (j = (i + 1) & mask;
	    memcmp(s->slot[j], zero, BLOCK_ID_SHORT) != 0;
	    j = (j + 1) & mask) {
		k = home(s, s->slot[j]);
		/* May the one at j move to i without passing its home? */
		if (((j - k) & mask) >= ((j - i) & mask)) {
			memcpy(s->slot[i], s->slot[j], BLOCK_ID_SHORT);
			i = j;
		}
	}
	memset(s->slot[i], 0, BLOCK_ID_SHORT);
	s->count--;
}
