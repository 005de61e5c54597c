/* SPDX-License-Identifier: Apache-2.0 */
/* A chained hash table with a ceiling in bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backup/links.h"

#define BUCKETS (1u << 16)

struct node {
	struct node *next;
	uint64_t a, b;
	size_t len;
	uint8_t data[];
};

struct links {
	size_t memory;
	size_t used;
	struct node *bucket[BUCKETS];
};

int
links_new(size_t memory, struct links **out)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	(*out)->memory = memory;
	return 0;
}

void
links_free(struct links *l)
{
	struct node *n, *next;
	size_t i;

	for (i = 0; l != NULL && i < BUCKETS; i++)
		for (n = l->bucket[i]; n != NULL; n = next) {
			next = n->next;
			free(n);
		}
	free(l);
}

static struct node **
find(struct links *l, uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	struct node **n = &l->bucket[h >> 48];

	while (*n != NULL && ((*n)->a != a || (*n)->b != b))
		n = &(*n)->next;
	return n;
}

int
links_add(struct links *l, uint64_t a, uint64_t b, const void *data,
    size_t len)
{
	struct node *n;

	if (l->used + sizeof(*n) + len > l->memory)
		return 0;
	links_del(l, a, b);
	n = malloc(sizeof(*n) + len);
	if (n == NULL)
		return -ENOMEM;
	n->next = NULL;
	n->a = a;
	n->b = b;
	n->len = len;
	memcpy(n->data, data, len);
	*find(l, a, b) = n;
	l->used += sizeof(*n) + len;
	return 0;
}

void *
links_get(struct links *l, uint64_t a, uint64_t b, size_t *len)
{
	struct node *n = *find(l, a, b);

	if (n == NULL)
		return NULL;
	*len = n->len;
	return n->data;
}

void
links_del(struct links *l, uint64_t a, uint64_t b)
{
	struct node **at = find(l, a, b), *n = *at;

	if (n == NULL)
		return;
	*at = n->next;
	l->used -= sizeof(*n) + n->len;
	free(n);
}
