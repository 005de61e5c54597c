/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c	documents, from text and to it
 * json_set.c	building them
 * json_get.c	reading them
 *
 * A struct json stands for one object or array.  A document is owned by its
 * caller; a child that a getter hands out is owned by the node it came from,
 * which keeps one node for each value (so asking twice costs nothing) and
 * frees it with itself.  A node holds a reference to its value, so a child
 * whose member was replaced is stale, not dangling.
 * A failure of a builder is kept in the node and in all above it.
 */
#ifndef FIRN_BASE_JSON_INTERNAL_H
#define FIRN_BASE_JSON_INTERNAL_H

#include <jansson.h>

#include "base/json.h"

/* Here these names are jansson's. */
#undef json_object
#undef json_array

struct json {
	json_t *v;		/* one reference */
	struct json *up;	/* whose child this is; NULL for a document */
	void *kids;		/* tsearch(3) tree of children, by v */
	void *iter;		/* member `iter_at`, or NULL; not across sets */
	size_t iter_at;
	int err;		/* first failure, 0 or -errno */
};

/* Takes over the reference `v`, also when it fails; v may be NULL. */
struct json *json_node_new(json_t *v, struct json *up);
/* With its children.  void *, for tdestroy(3). */
void json_node_free(void *p);

/* "NAME_base64", where the true bytes are; in b, NULL without memory. */
const char *json_beside(const char *name, struct buf *b);

#endif
