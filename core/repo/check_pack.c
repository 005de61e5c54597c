/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: all that the index names are there with the right size and, where the
 * store knows it, the right SHA-256, which costs no reading.
 *
 * What is named is noted before the store is listed: a pack that a segment
 * brings later may have come after the listing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "repo/check_internal.h"

struct noting {
	struct check *c;
	enum pack_kind kind;
	size_t named;		/* the first of pack[], sorted */
};

static struct check_pack *
pack_new(struct check *c, enum pack_kind kind,
    const uint8_t id[OBJECT_ID_SIZE])
{
	struct check_pack *p;
	size_t cap;

	if (c->npacks == c->packs_cap) {
		cap = c->packs_cap > 0 ? 2 * c->packs_cap : 1024;
		p = realloc(c->pack, cap * sizeof(*p));
		if (p == NULL)
			return NULL;
		c->pack = p;
		c->packs_cap = cap;
	}
	p = &c->pack[c->npacks++];
	memset(p, 0, sizeof(*p));
	memcpy(p->id, id, OBJECT_ID_SIZE);
	p->kind = (uint8_t)kind;
	return p;
}

/* A pack that the index names. */
static int
on_named(void *ctx, const uint8_t id[OBJECT_ID_SIZE], uint32_t size)
{
	struct noting *n = ctx;
	struct check_pack *p = pack_new(n->c, n->kind, id);

	if (p == NULL)
		return -ENOMEM;
	p->want = size;
	return 0;
}

/* A pack that the store has. */
static int
on_listed(void *ctx, const char *name, const struct store_stat *st)
{
	struct noting *n = ctx;
	struct check *c = n->c;
	const char *base = strrchr(name, '/');
	struct check_pack key = { .kind = (uint8_t)n->kind }, *p = NULL;

	if (base == NULL || hex_decode(base + 1, key.id, OBJECT_ID_SIZE) != 0) {
		check_problem(c, name, "is not an object of firn");
		return 0;
	}
	if (n->named > 0)
		p = bsearch(&key, c->pack, n->named, sizeof(key), check_by_id);
	if (p == NULL)
		p = pack_new(c, n->kind, key.id);
	if (p == NULL)
		return -ENOMEM;
	p->present = 1;
	p->size = st->size;
	return 0;
}

static void
packs_sort(struct check *c)
{
	if (c->npacks > 0)
		qsort(c->pack, c->npacks, sizeof(*c->pack), check_by_id);
}

/* Ask the store for the SHA-256 that it has of a pack. */
static int
sha256_check(struct check *c, struct check_pack *p)
{
	char name[STORE_NAME_MAX + 1];
	struct store_stat st;
	int err;

	repo_pack_name(p->kind, p->id, name);
	err = store_stat(repo_store(c->repo), name, &st);
	if (err == -ECANCELED)
		return err;
	if (err != 0) {
		check_problem(c, name, "cannot be asked for: %s",
		    err_text(err));
	} else if (st.has_sha256 && memcmp(st.sha256, p->id,
	    OBJECT_ID_SIZE) != 0) {
		p->bad = 1;
		check_problem(c, name, "is damaged: the store's SHA-256 of it "
		    "is not its name");
	} else if (st.has_sha256) {
		c->res->packs_sha256++;
	}
	return 0;
}

static int
pack_check(struct check *c, struct check_pack *p)
{
	int has_ids = store_local_path(repo_store(c->repo)) == NULL;

	if (check_stopped(c))
		return -ECANCELED;
	if (p->want == 0) {
		c->res->unused_packs++;
		return 0;
	}
	c->res->packs++;
	if (check_is_lost(p)) {
		c->res->packs_lost++;
		p->bad = 1;
		return 0;
	}
	return has_ids && !c->conf->read_data ? sha256_check(c, p) : 0;
}

int
check_packs(struct check *c)
{
	struct noting data = { c, PACK_DATA, 0 }, meta = { c, PACK_META, 0 };
	struct store *s = repo_store(c->repo);
	struct index *ix = repo_index(c->repo);
	size_t i;
	int err;

	/* So that the index says of each block where it can be had. */
	err = repo_packs_compare(c->repo, PACK_DATA, NULL);
	if (err >= 0)
		err = repo_packs_compare(c->repo, PACK_META, NULL);
	if (err >= 0)
		err = index_each_pack(ix, PACK_DATA, on_named, &data);
	if (err == 0)
		err = index_each_pack(ix, PACK_META, on_named, &meta);
	packs_sort(c);
	data.named = meta.named = c->npacks;
	if (err == 0)
		err = store_list(s, "data/", on_listed, &data);
	if (err == 0)
		err = store_list(s, "meta/", on_listed, &meta);
	packs_sort(c);
	for (i = 0; i < c->npacks && err == 0; i++)
		err = pack_check(c, &c->pack[i]);
	return err;
}
