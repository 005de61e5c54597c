/* SPDX-License-Identifier: Apache-2.0 */
/* A page above the leaves is held while those below it are visited: at most
 * TREE_LEVEL_MAX of them. */
#include "base/err.h"
#include "repo/list_read.h"
#include "repo/reader.h"

static int page_walk(struct reader *rd, const uint8_t *id, unsigned above,
    const struct list_visit *visit);

static int
leaf_walk(struct list *list, const struct list_visit *visit)
{
	struct extent x;
	uint64_t i;
	int err = 0;

	for (i = 0; i < list->count && err == 0; i++) {
		err = extent_decode(&list->r, &x);
		if (err == 0 && visit->extent != NULL)
			err = visit->extent(visit->ctx, &x);
	}
	return err;
}

static int
children_walk(struct reader *rd, struct list *list,
    const struct list_visit *visit)
{
	struct list_child c;
	uint64_t i;
	int err = 0;

	for (i = 0; i < list->count && err == 0; i++) {
		err = list_child_decode(&list->r, &c);
		if (err == 0)
			err = page_walk(rd, c.id, list->level, visit);
	}
	return err;
}

static int
page_walk(struct reader *rd, const uint8_t *id, unsigned above,
    const struct list_visit *visit)
{
	struct blockref ref;
	struct list list;
	int err;

	err = reader_get(rd, BLOCK_LIST, id, &ref);
	if (err != 0)
		return err;
	err = list_decode(ref.data, ref.len, &list);
	if (err == 0 && list.level >= above)
		err = -FIRN_ECORRUPT;
	if (err == 0 && visit->page != NULL)
		err = visit->page(visit->ctx, id, ref.data, ref.len);
	if (err == 0)
		err = list.level == 0 ? leaf_walk(&list, visit) :
		    children_walk(rd, &list, visit);
	blockref_put(rd, &ref);
	return err;
}

int
list_walk(struct reader *rd, const uint8_t root[BLOCK_ID_SIZE],
    const struct list_visit *visit)
{
	return page_walk(rd, root, TREE_LEVEL_MAX, visit);
}
