/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose fault a failure is, one object's or the store's; and lists of
 * objects.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "repo/repo_internal.h"

int
repo_is_damage(int err)
{
	return err == -FIRN_ECORRUPT || err == -ENOENT ||
	    err == -FIRN_EMISSING || err == -FIRN_EVERSION;
}

int
repo_passes(int err, unsigned *row)
{
	/* A bad sector, a file of somebody else's, an archived object; or a
	 * disk that dies, a policy, an archived repository. */
	if (err == -EIO || err == -EACCES || err == -FIRN_ECOLD)
		return ++*row < FAULTS_MAX;
	*row = 0;
	return repo_is_damage(err);
}

int
pack_ids_add(struct pack_ids *l, const uint8_t id[OBJECT_ID_SIZE])
{
	void *p;

	/* At each power of two. */
	if ((l->n & (l->n - 1)) == 0) {
		p = realloc(l->id, (l->n > 0 ? 2 * l->n : 1) *
		    sizeof(*l->id));
		if (p == NULL)
			return -ENOMEM;
		l->id = p;
	}
	memcpy(l->id[l->n++], id, OBJECT_ID_SIZE);
	return 0;
}

int
pack_ids_has(const struct pack_ids *l, const uint8_t id[OBJECT_ID_SIZE])
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (memcmp(l->id[i], id, OBJECT_ID_SIZE) == 0)
			return 1;
	return 0;
}

int
names_add(struct names *s, const uint8_t id[OBJECT_ID_SIZE], uint64_t size)
{
	size_t cap = s->cap > 0 ? 2 * s->cap : 256;
	void *p;

	if (s->n == s->cap) {
		p = realloc(s->id, cap * sizeof(*s->id));
		if (p == NULL)
			return -ENOMEM;
		s->id = p;
		p = realloc(s->size, cap * sizeof(*s->size));
		if (p == NULL)
			return -ENOMEM;
		s->size = p;
		s->cap = cap;
	}
	memcpy(s->id[s->n], id, OBJECT_ID_SIZE);
	s->size[s->n++] = size;
	return 0;
}

void
names_release(struct names *s)
{
	free(s->id);
	free(s->size);
	memset(s, 0, sizeof(*s));
}
