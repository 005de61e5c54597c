/* SPDX-License-Identifier: Apache-2.0 */
/* An array, and a table of its places by id; ids are uniform, so they are their
 * own hash. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "repo/packset.h"

void
packset_init(struct packset *s)
{
	memset(s, 0, sizeof(*s));
}

void
packset_release(struct packset *s)
{
	free(s->v);
	free(s->slot);
	packset_init(s);
}

/* The slot of id, or the empty one where it would go. */
static size_t
probe(const struct packset *s, const uint8_t *id)
{
	size_t i = le64_get(id) & (s->nslots - 1);

	while (s->slot[i] != 0 &&
	    memcmp(s->v[s->slot[i] - 1].id, id, OBJECT_ID_SIZE) != 0)
		i = (i + 1) & (s->nslots - 1);
	return i;
}

static int
grow(struct packset *s)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : 64, i;
	uint32_t *slot;
	void *v;

	v = cap < UINT32_MAX / 2 ? realloc(s->v, cap * sizeof(*s->v)) : NULL;
	if (v == NULL)
		return -ENOMEM;
	s->v = v;
	slot = calloc(2 * cap, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	free(s->slot);
	s->slot = slot;
	s->nslots = 2 * cap;
	s->cap = cap;
	for (i = 0; i < s->n; i++)
		slot[probe(s, s->v[i].id)] = (uint32_t)i + 1;
	return 0;
}

int
packset_add(struct packset *s, const uint8_t id[OBJECT_ID_SIZE], uint32_t size,
    size_t *number)
{
	struct pack_info *p;
	size_t i;

	if (s->n == s->cap && grow(s) != 0)
		return -ENOMEM;
	i = probe(s, id);
	if (s->slot[i] != 0) {
		*number = s->slot[i] - 1;
		return 0;
	}
	p = &s->v[s->n];
	memset(p, 0, sizeof(*p));
	memcpy(p->id, id, OBJECT_ID_SIZE);
	p->size = size;
	p->tier = STORE_THAW_TIERS;
	*number = s->n++;
	s->slot[i] = (uint32_t)s->n;
	return 1;
}

struct pack_info *
packset_find(const struct packset *s, const uint8_t id[OBJECT_ID_SIZE])
{
	uint32_t at;

	if (s->nslots == 0)
		return NULL;
	at = s->slot[probe(s, id)];
	return at != 0 ? &s->v[at - 1] : NULL;
}

uint8_t
packset_class(struct packset *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->nclasses; i++)
		if (strcmp(s->class_name[i], name) == 0)
			return (uint8_t)i;
	if (s->nclasses == PACKSET_CLASSES)
		return PACKSET_CLASSES - 1;
	snprintf(s->class_name[s->nclasses], STORE_CLASS_SIZE, "%s", name);
	return (uint8_t)s->nclasses++;
}

int
pack_is_readable(const struct pack_info *p)
{
	return (p->flags & PACK_SEEN) && !(p->flags & PACK_UNSURE) &&
	    (p->state == STORE_HOT || p->state == STORE_THAWED);
}
