/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the virtual part from a list of generations.
 *
 * An update collects a new list for each directory, finding the nodes that were
 * there before and making those that were not; only when all is there do the
 * new lists take the place of the old.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/timefmt.h"
#include "fs/vtree_internal.h"

#define ID_TEXT		(2 * GEN_ID_SIZE + 1)
#define NAME_SIZE	(TIMEFMT_SIZE + ID_TEXT)
#define TARGET_SIZE	(2 * 256 + NAME_SIZE + 32)

static int
same(const struct vnode *n, enum vnode_kind kind, const char *target,
    const uint8_t *gen)
{
	if (n->kind != kind)
		return 0;
	if (kind == VNODE_LINK)
		return strcmp(n->target, target) == 0;
	if (kind == VNODE_GEN)
		return memcmp(n->gen->id, gen, GEN_ID_SIZE) == 0;
	return 1;
}

/* 1 when this update has put the name into the directory. */
static int
taken(struct vtree *v, uint32_t dir, const char *name)
{
	struct vnode *n = *vtree_bucket(v, dir, name, strlen(name));

	while (n != NULL && !(n->live && n->parent == dir &&
	    strcmp(n->name, name) == 0))
		n = n->chain;
	return n != NULL;
}

static struct vgen *
gen_make(const struct generation *g)
{
	struct vgen *gen = calloc(1, sizeof(*gen) + g->rec.root_entrylen);
	struct rd r;

	if (gen == NULL)
		return NULL;
	if (g->rec.root_entrylen > 0) {
		memcpy(gen->bytes, g->rec.root_entry, g->rec.root_entrylen);
		r = rd_init(gen->bytes, g->rec.root_entrylen);
		gen->has_attr = entry_decode(&r, &gen->attr) == 0;
	}
	memcpy(gen->id, g->id, sizeof(gen->id));
	memcpy(gen->root, g->rec.root, sizeof(gen->root));
	gen->end = g->rec.end;
	ino_key_init(&gen->key, g->id, g->rec.root);
	return gen;
}

/* Put a thing into a directory; what is in it already stays.  target is for
 * links, g for generations. */
static struct vnode *
put(struct vtree *v, uint32_t dir, const char *name, enum vnode_kind kind,
    const char *target, const struct generation *g)
{
	struct vnode *n = *vtree_bucket(v, dir, name, strlen(name));
	struct vgen *gen = NULL;

	while (n != NULL && !(n->parent == dir && strcmp(n->name, name) == 0 &&
	    same(n, kind, target, g != NULL ? g->id : NULL)))
		n = n->chain;
	if (n == NULL) {
		if (g != NULL && (gen = gen_make(g)) == NULL)
			return NULL;
		n = vtree_make(v, dir, name, kind, target, gen);
		if (n == NULL)
			free(gen);
	}
	if (n != NULL && !n->live) {
		if (numbers_add(&v->node[dir]->fresh, n->number) != 0)
			return NULL;
		n->live = 1;
	}
	return n;
}

/* The name of a generation in a directory. */
static void
name_choose(struct vtree *v, uint32_t dir, const struct generation *g,
    char name[NAME_SIZE])
{
	char when[TIMEFMT_SIZE], id[ID_TEXT];

	timefmt_name(&g->rec.end, when);
	hex_encode(g->id, GEN_ID_SIZE, id);
	snprintf(name, NAME_SIZE, "%s", when);
	if (taken(v, dir, name))
		snprintf(name, NAME_SIZE, "%s-%s", when, id);
}

static int
put_tags(struct vtree *v, const struct generation_list *list,
    const struct generation *g, const char *path)
{
	char name[NAME_SIZE], target[TARGET_SIZE + 8];
	struct vnode *tag, *n;
	size_t i, j;

	snprintf(target, sizeof(target), "../../%s", path);
	for (i = 0; i < g->rec.ntags; i++) {
		for (j = 0; j < i; j++)
			if (strcmp(g->rec.tags[i], g->rec.tags[j]) == 0)
				break;
		if (j < i)
			continue;
		tag = put(v, V_TAGS, g->rec.tags[i], VNODE_DIR, NULL, NULL);
		if (tag == NULL)
			return -ENOMEM;
		name_choose(v, tag->number, g, name);
		n = put(v, tag->number, name, VNODE_LINK, target, NULL);
		if (n == NULL)
			return -ENOMEM;
		tag->newest = n->number;
		/* Nobody knows the tags of what cannot be read. */
		tag->hidden = generation_younger_unread(list, g, 0);
	}
	return 0;
}

/* path is filled in with where it is. */
static int
put_generation(struct vtree *v, const struct generation_list *list,
    const struct generation *g, char path[TARGET_SIZE])
{
	char name[NAME_SIZE], id[ID_TEXT], target[TARGET_SIZE + 8];
	struct vnode *host, *series, *n;

	host = put(v, V_HOSTS, g->rec.host, VNODE_DIR, NULL, NULL);
	if (host == NULL)
		return -ENOMEM;
	series = put(v, host->number, g->rec.series, VNODE_DIR, NULL, NULL);
	if (series == NULL)
		return -ENOMEM;
	name_choose(v, series->number, g, name);
	n = put(v, series->number, name, VNODE_GEN, NULL, g);
	if (n == NULL)
		return -ENOMEM;
	series->newest = n->number;
	series->hidden = generation_younger_unread(list, g, 1);
	snprintf(path, TARGET_SIZE, "hosts/%s/%s/%s", g->rec.host,
	    g->rec.series, name);
	snprintf(target, sizeof(target), "../%s", path);
	hex_encode(g->id, GEN_ID_SIZE, id);
	if (put(v, V_IDS, id, VNODE_LINK, target, NULL) == NULL)
		return -ENOMEM;
	return put_tags(v, list, g, path);
}

static int
put_fixed(struct vtree *v)
{
	uint32_t i;

	for (i = V_HOSTS; i < V_FIXED; i++) {
		v->node[i]->live = 1;
		if (numbers_add(&v->node[v->node[i]->parent]->fresh, i) != 0)
			return -ENOMEM;
	}
	return 0;
}

/*
 * A `latest`.  Where a record that cannot be read may be the newest, it leads
 * nowhere, by a name that says why: an older generation in its place would be
 * copied by somebody who never hears of it.
 */
static int
put_latest(struct vtree *v, uint32_t dir, const char *target,
    const struct generation_unread *hidden)
{
	char when[TIMEFMT_SIZE], text[TIMEFMT_SIZE + 16];

	if (hidden != NULL) {
		timefmt_name(&hidden->end, when);
		snprintf(text, sizeof(text), "%s-unreadable", when);
		target = text;
	}
	return put(v, dir, "latest", VNODE_LINK, target, NULL) == NULL ?
	    -ENOMEM : 0;
}

static int
put_all(struct vtree *v, const struct generation_list *list)
{
	char path[TARGET_SIZE];
	uint32_t i, newest, count;
	size_t g;
	int err;

	err = put_fixed(v);
	for (g = 0; g < list->n && err == 0; g++)
		err = put_generation(v, list, &list->v[g], path);
	if (err == 0 && list->n > 0)
		err = put_latest(v, V_ROOT, path, generation_younger_unread(
		    list, &list->v[list->n - 1], 0));
	count = v->nnodes;
	for (i = V_ROOT; i < count && err == 0; i++) {
		newest = v->node[i]->newest;
		if (newest != 0)
			err = put_latest(v, i, v->node[newest]->name,
			    v->node[i]->hidden);
	}
	return err;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * The new list takes the old one's place.  The time changes with it, always:
 * by it the kernel knows that the listing it keeps is out of date.
 */
static void
list_replace(struct vtree *v, struct vnode *n)
{
	struct numbers old = n->list;
	struct timespec now;
	size_t i;

	if (n->fresh.n > 0)
		qsort(n->fresh.v, n->fresh.n, sizeof(*n->fresh.v), by_number);
	if (old.n == n->fresh.n && (old.n == 0 || memcmp(old.v, n->fresh.v,
	    old.n * sizeof(*old.v)) == 0))
		return;
	n->list = n->fresh;
	n->fresh = old;
	n->subdirs = 0;
	for (i = 0; i < n->list.n; i++) {
		enum vnode_kind kind = v->node[n->list.v[i]]->kind;

		n->subdirs += kind == VNODE_DIR || kind == VNODE_GEN;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec == n->mtime.tv_sec && now.tv_nsec == n->mtime.tv_nsec)
		now.tv_nsec ^= 1;
	n->mtime = now;
}

/* Live is what the lists say. */
static void
roll_back(struct vtree *v)
{
	struct vnode *n;
	uint32_t i;
	size_t j;

	for (i = V_ROOT; i < v->nnodes; i++)
		v->node[i]->live = 0;
	for (i = V_ROOT; i < v->nnodes; i++) {
		n = v->node[i];
		for (j = 0; j < n->list.n; j++)
			v->node[n->list.v[j]]->live = 1;
	}
}

int
vtree_update(struct vtree *v, const struct generation_list *list)
{
	struct vnode *n;
	uint32_t i;
	int err;

	pthread_rwlock_wrlock(&v->lock);
	for (i = V_ROOT; i < v->nnodes; i++) {
		n = v->node[i];
		n->live = 0;
		n->newest = 0;
		n->hidden = NULL;
		n->fresh.n = 0;
	}
	err = put_all(v, list);
	if (err != 0)
		roll_back(v);
	for (i = V_ROOT; i < v->nnodes && err == 0; i++)
		if (v->node[i]->kind == VNODE_DIR)
			list_replace(v, v->node[i]);
	pthread_rwlock_unlock(&v->lock);
	return err;
}
