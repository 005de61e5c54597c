/* SPDX-License-Identifier: Apache-2.0 */
/* Directories entered and not left lie on a list, so that depth costs no stack;
 * each holds one page. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/block_walk.h"
#include "repo/idlossy.h"
#include "repo/list_read.h"
#include "repo/repo_internal.h"

#define SEEN_SLOTS	(1u << 17)	/* directories remembered */

struct level {
	struct level *up;
	uint8_t dir[BLOCK_ID_SIZE];
	struct tree_pos pos;
	int begun;
};

struct block_walk {
	struct tree *tree;
	struct block_visit visit;
	struct idlossy *seen;
	struct level *top;
};

int
block_walk_new(struct tree *t, const struct block_visit *visit,
    struct block_walk **out)
{
	struct block_walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->tree = t;
	w->visit = *visit;
	if (idlossy_new(SEEN_SLOTS, &w->seen) != 0) {
		free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void
block_walk_free(struct block_walk *w)
{
	if (w == NULL)
		return;
	idlossy_free(w->seen);
	free(w);
}

static int
is_stopped(const struct block_visit *v)
{
	return v->stop != NULL && *v->stop != 0;
}

static int
on_extent(void *ctx, const struct extent *x)
{
	const struct block_visit *v = ctx;

	if (x->hole)
		return 0;
	return is_stopped(v) ? -ECANCELED : v->block(v->ctx, x->id, x->len);
}

int
block_walk_file(struct reader *rd, const struct entry *e,
    const struct block_visit *visit)
{
	struct block_visit v = *visit;
	struct list_visit lists = { .extent = on_extent, .ctx = &v };
	struct extent x;
	struct rd r;
	uint32_t i;
	int err = 0;

	if (!S_ISREG(e->mode))
		return 0;
	if (e->flags & ENTRY_LIST)
		return list_walk(rd, e->list_id, &lists);
	if (!(e->flags & ENTRY_EXTENTS))
		return 0;
	r = rd_init(e->extents, e->extentslen);
	for (i = 0; i < e->nextents && err == 0; i++) {
		err = extent_decode(&r, &x);
		if (err == 0)
			err = on_extent(&v, &x);
	}
	return err;
}

static int
level_push(struct block_walk *w, const uint8_t *dir)
{
	struct level *l;

	if (idlossy_has(w->seen, dir))
		return 0;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	memcpy(l->dir, dir, BLOCK_ID_SIZE);
	l->up = w->top;
	w->top = l;
	return 0;
}

static void
level_pop(struct block_walk *w)
{
	struct level *l = w->top;

	tree_pos_release(w->tree, &l->pos);
	w->top = l->up;
	free(l);
}

static int
one_file(struct block_walk *w, const struct entry *e, unsigned *failed)
{
	int err = block_walk_file(tree_reader(w->tree), e, &w->visit);

	if (!repo_is_damage(err))
		return err;
	log_err(err, "cannot read what file '%.*s' consists of",
	    (int)e->namelen, e->name);
	(*failed)++;
	return 0;
}

/* One step of the directory on top: an entry of it, or its end. */
static int
step(struct block_walk *w, unsigned *failed)
{
	struct level *l = w->top;
	const struct entry *e;
	int ret;

	ret = l->begun ? tree_next(w->tree, l->dir, &l->pos) :
	    tree_at(w->tree, l->dir, 0, &l->pos);
	l->begun = 1;
	if (repo_is_damage(ret)) {
		log_err(ret, "cannot read a directory, or a part of it");
		(*failed)++;
		level_pop(w);
		return 0;
	}
	if (ret < 0)
		return ret;
	if (ret == 0) {
		idlossy_add(w->seen, l->dir);
		level_pop(w);
		return 0;
	}
	e = tree_entry(&l->pos);
	return e->flags & ENTRY_SUBTREE ? level_push(w, e->tree_id) :
	    one_file(w, e, failed);
}

static int
dir_walk(struct block_walk *w, const uint8_t *dir, unsigned *failed)
{
	int err;

	err = level_push(w, dir);
	while (err == 0 && w->top != NULL)
		err = is_stopped(&w->visit) ? -ECANCELED : step(w, failed);
	while (w->top != NULL)
		level_pop(w);
	return err;
}

int
block_walk_entry(struct block_walk *w, const struct entry *e, unsigned *failed)
{
	return e->flags & ENTRY_SUBTREE ? dir_walk(w, e->tree_id, failed) :
	    one_file(w, e, failed);
}

int
block_walk_path(struct block_walk *w, const uint8_t root[BLOCK_ID_SIZE],
    const char *path, unsigned *failed)
{
	struct tree_pos pos = TREE_POS_INIT;
	int err;

	err = tree_resolve(w->tree, root, path, &pos);
	if (err == -EISDIR)
		return dir_walk(w, root, failed);
	if (err != 0)
		return err;
	err = block_walk_entry(w, tree_entry(&pos), failed);
	tree_pos_release(w->tree, &pos);
	return err;
}
