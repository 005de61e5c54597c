/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual part: nodes, and looking at them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vtree_internal.h"

struct vnode **
vtree_bucket(struct vtree *v, uint32_t parent, const char *name, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ parent;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3u;
	h ^= h >> 32;
	return &v->bucket[h & (v->nbuckets - 1)];
}

int
numbers_add(struct numbers *s, uint32_t number)
{
	size_t cap;
	void *p;

	if (s->n == s->cap) {
		cap = s->cap > 0 ? 2 * s->cap : 16;
		p = realloc(s->v, cap * sizeof(*s->v));
		if (p == NULL)
			return -ENOMEM;
		s->v = p;
		s->cap = cap;
	}
	s->v[s->n++] = number;
	return 0;
}

static void
node_free(struct vnode *n)
{
	if (n == NULL)
		return;
	free(n->name);
	free(n->target);
	free(n->gen);
	free(n->list.v);
	free(n->fresh.v);
	free(n);
}

/* Room for one more number, and for its place among the buckets. */
static int
node_room(struct vtree *v)
{
	struct vnode **old = v->bucket, **b, *n, *next;
	size_t i, count = v->nbuckets;
	void *p;

	if (v->nnodes == v->cap) {
		p = realloc(v->node, 2 * (size_t)v->cap * sizeof(*v->node));
		if (p == NULL)
			return -ENOMEM;
		v->node = p;
		v->cap *= 2;
	}
	if (v->nnodes < count ||
	    (b = calloc(2 * count, sizeof(*b))) == NULL)
		return 0;
	v->bucket = b;
	v->nbuckets = 2 * count;
	for (i = 0; i < count; i++)
		for (n = old[i]; n != NULL; n = next) {
			next = n->chain;
			b = vtree_bucket(v, n->parent, n->name,
			    strlen(n->name));
			n->chain = *b;
			*b = n;
		}
	free(old);
	return 0;
}

struct vnode *
vtree_make(struct vtree *v, uint32_t parent, const char *name,
    enum vnode_kind kind, const char *target, struct vgen *gen)
{
	struct vnode *n = calloc(1, sizeof(*n)), **b;

	if (n == NULL)
		return NULL;
	n->name = strdup(name);
	n->target = target != NULL ? strdup(target) : NULL;
	if (n->name == NULL || (target != NULL && n->target == NULL) ||
	    node_room(v) != 0) {
		node_free(n);
		return NULL;
	}
	n->parent = parent;
	n->kind = kind;
	n->gen = gen;
	if (gen != NULL)
		n->mtime = gen->end;
	else
		clock_gettime(CLOCK_REALTIME, &n->mtime);
	n->number = v->nnodes;
	v->node[v->nnodes++] = n;
	b = vtree_bucket(v, parent, name, strlen(name));
	n->chain = *b;
	*b = n;
	return n;
}

static int
fixed_make(struct vtree *v)
{
	static const struct {
		uint32_t parent;
		const char *name;
		enum vnode_kind kind;
		enum vnode_text text;
	} fixed[] = {
		{ V_ROOT, "", VNODE_DIR, 0 },
		{ V_ROOT, "hosts", VNODE_DIR, 0 },
		{ V_ROOT, "ids", VNODE_DIR, 0 },
		{ V_ROOT, "tags", VNODE_DIR, 0 },
		{ V_ROOT, ".firn", VNODE_DIR, 0 },
		{ V_FIRN, "status", VNODE_TEXT, VTEXT_STATUS },
		{ V_FIRN, "stats", VNODE_TEXT, VTEXT_STATS },
		{ V_FIRN, "errors", VNODE_TEXT, VTEXT_ERRORS },
		{ V_FIRN, "cold", VNODE_TEXT, VTEXT_COLD },
		{ V_FIRN, "thaw", VNODE_TEXT, VTEXT_THAW },
	};
	struct vnode *n;
	size_t i;

	v->nnodes = V_ROOT;
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		n = vtree_make(v, fixed[i].parent, fixed[i].name,
		    fixed[i].kind, NULL, NULL);
		if (n == NULL)
			return -ENOMEM;
		n->text = fixed[i].text;
	}
	return 0;
}

int
vtree_new(struct vtree **out)
{
	static const struct generation_list none;
	struct vtree *v = calloc(1, sizeof(*v));
	int err = -ENOMEM;

	if (v == NULL)
		return err;
	pthread_rwlock_init(&v->lock, NULL);
	v->cap = 64;
	v->nbuckets = 64;
	v->node = calloc(v->cap, sizeof(*v->node));
	v->bucket = calloc(v->nbuckets, sizeof(*v->bucket));
	if (v->node != NULL && v->bucket != NULL)
		err = fixed_make(v);
	if (err == 0)
		err = vtree_update(v, &none);
	if (err != 0) {
		vtree_free(v);
		return err;
	}
	*out = v;
	return 0;
}

void
vtree_free(struct vtree *v)
{
	uint32_t i;

	if (v == NULL)
		return;
	for (i = V_ROOT; i < v->nnodes; i++)
		node_free(v->node[i]);
	pthread_rwlock_destroy(&v->lock);
	free(v->node);
	free(v->bucket);
	free(v);
}

static struct vnode *
node_at(struct vtree *v, uint32_t number)
{
	return number >= V_ROOT && number < v->nnodes ? v->node[number] : NULL;
}

static void
info_fill(const struct vnode *n, struct vnode_info *out)
{
	out->number = n->number;
	out->parent = n->parent;
	out->kind = n->kind;
	out->mtime = n->mtime;
	out->subdirs = n->subdirs;
	out->len = n->target != NULL ? strlen(n->target) : 0;
	out->text = n->text;
	out->gen = n->gen;
}

int
vtree_info(struct vtree *v, uint32_t number, struct vnode_info *out)
{
	struct vnode *n;

	pthread_rwlock_rdlock(&v->lock);
	n = node_at(v, number);
	if (n != NULL)
		info_fill(n, out);
	pthread_rwlock_unlock(&v->lock);
	return n != NULL;
}

int
vtree_find(struct vtree *v, uint32_t dir, const char *name, size_t len,
    struct vnode_info *out)
{
	struct vnode *n;

	pthread_rwlock_rdlock(&v->lock);
	n = *vtree_bucket(v, dir, name, len);
	while (n != NULL && !(n->live && n->parent == dir &&
	    strncmp(n->name, name, len) == 0 && n->name[len] == '\0'))
		n = n->chain;
	if (n != NULL)
		info_fill(n, out);
	pthread_rwlock_unlock(&v->lock);
	return n != NULL;
}

int
vtree_next(struct vtree *v, uint32_t dir, uint32_t after, char *name,
    struct vnode_info *out)
{
	struct vnode *d, *n = NULL;
	size_t lo = 0, hi, mid;

	pthread_rwlock_rdlock(&v->lock);
	d = node_at(v, dir);
	hi = d != NULL ? d->list.n : 0;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (d->list.v[mid] <= after)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (d != NULL && lo < d->list.n) {
		n = v->node[d->list.v[lo]];
		info_fill(n, out);
		memcpy(name, n->name, strlen(n->name) + 1);
	}
	pthread_rwlock_unlock(&v->lock);
	return n != NULL;
}

int
vtree_target(struct vtree *v, uint32_t number, struct buf *out)
{
	struct vnode *n;
	int err = -EINVAL;

	pthread_rwlock_rdlock(&v->lock);
	n = node_at(v, number);
	if (n != NULL && n->kind == VNODE_LINK)
		err = buf_add(out, n->target, strlen(n->target) + 1);
	pthread_rwlock_unlock(&v->lock);
	return err;
}

int
vtree_path(struct vtree *v, uint32_t number, struct buf *out)
{
	const struct vnode *up[8];
	struct vnode *n;
	size_t depth = 0;

	pthread_rwlock_rdlock(&v->lock);
	n = node_at(v, number);
	while (n != NULL && n->number != V_ROOT &&
	    depth < sizeof(up) / sizeof(up[0])) {
		up[depth++] = n;
		n = node_at(v, n->parent);
	}
	while (depth > 0)
		buf_printf(out, "/%s", up[--depth]->name);
	pthread_rwlock_unlock(&v->lock);
	return buf_err(out);
}
