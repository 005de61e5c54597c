/* SPDX-License-Identifier: Apache-2.0 */
/* An array, and a table of its places by node. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "fs/cold_wants.h"

#define FIRST	64

void
cold_wants_init(struct cold_wants *w)
{
	memset(w, 0, sizeof(*w));
}

void
cold_wants_release(struct cold_wants *w)
{
	free(w->node);
	free(w->slot);
	cold_wants_init(w);
}

/* The slot of node, or the empty one where it would go.  Nodes count from 0 in
 * each directory; Fibonacci hashing spreads them. */
static size_t
probe(const struct cold_wants *w, uint64_t node)
{
	size_t i = (node * 0x9e3779b97f4a7c15u) >> 32 & (w->nslots - 1);

	while (w->slot[i] != 0 && w->node[w->slot[i] - 1] != node)
		i = (i + 1) & (w->nslots - 1);
	return i;
}

/* Half of the slots stay empty. */
static int
grow(struct cold_wants *w)
{
	size_t nslots = w->nslots > 0 ? 2 * w->nslots : 2 * FIRST, i;
	uint64_t *node = realloc(w->node, nslots / 2 * sizeof(*node));
	uint32_t *slot = calloc(nslots, sizeof(*slot));

	if (node != NULL)
		w->node = node;
	if (node == NULL || slot == NULL) {
		free(slot);
		return -ENOMEM;
	}
	free(w->slot);
	w->slot = slot;
	w->nslots = nslots;
	for (i = 0; i < w->n; i++)
		slot[probe(w, w->node[i])] = (uint32_t)i + 1;
	return 0;
}

int
cold_wants_add(struct cold_wants *w, uint64_t node, size_t max)
{
	size_t i;

	if (w->nslots > 0 && w->slot[probe(w, node)] != 0)
		return 0;
	if (w->n >= max || w->n >= COLD_WANTS_MAX)
		return -ENOSPC;
	if (w->n == w->nslots / 2 && grow(w) != 0)
		return -ENOMEM;
	i = probe(w, node);
	w->node[w->n++] = node;
	w->slot[i] = (uint32_t)w->n;
	return 1;
}

void
cold_wants_merge(struct cold_wants *w, struct cold_wants *more)
{
	size_t i;

	for (i = 0; i < more->n; i++)
		if (cold_wants_add(w, more->node[i], COLD_WANTS_MAX) < 0)
			break;
	cold_wants_release(more);
}
