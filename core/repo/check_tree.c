/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations: records from the store, then every directory.  A directory
 * whose subtree was found whole is not walked again in another generation;
 * what is remembered of that is bounded and may be forgotten, which costs time
 * only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "repo/check_internal.h"
#include "repo/filemap.h"
#include "repo/idlossy.h"
#include "repo/repo_internal.h"
#include "repo/tree_read.h"

#define SEEN_SLOTS (1u << 19)	/* directories remembered */

struct level {
	struct level *up;
	uint8_t dir[BLOCK_ID_SIZE];
	struct tree_pos pos;
	size_t pathlen;
	int begun;
	int hit;		/* something below is not whole */
};

struct treecheck {
	struct check *c;
	struct reader *rd;
	struct tree *tree;
	struct idlossy *seen;		/* directories found whole */
	struct level *top;
	struct buf path;
	char gen[2 * GEN_ID_SIZE + 1];
};

static int
level_push(struct treecheck *tc, const uint8_t *dir)
{
	struct level *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	memcpy(l->dir, dir, BLOCK_ID_SIZE);
	l->pathlen = tc->path.len;
	l->up = tc->top;
	tc->top = l;
	return 0;
}

static void
level_pop(struct treecheck *tc)
{
	struct level *l = tc->top;

	if (!l->hit)
		idlossy_add(tc->seen, l->dir);
	else if (l->up != NULL)
		l->up->hit = 1;
	tree_pos_release(tc->tree, &l->pos);
	tc->top = l->up;
	free(l);
}

static void
hit(struct treecheck *tc, const char *what, int err)
{
	struct buf object = BUF_INIT(1u << 20);

	tc->c->res->files_hit++;
	tc->top->hit = 1;
	buf_printf(&object, "%s:%s", tc->gen, tc->path.len > 0 ?
	    buf_cstr(&tc->path) : "/");
	check_problem(tc->c, buf_cstr(&object) != NULL ?
	    (char *)object.data : tc->gen, "cannot be %s whole: %s", what,
	    err_text(err));
	buf_release(&object);
}

/* Is this block known, and where its pack is bad, can it be had all the
 * same? */
static int
block_known(struct treecheck *tc, enum block_type type, const uint8_t *id)
{
	struct index_place at;
	struct check_pack *p;
	struct blockref ref;
	int ret;

	ret = index_find(repo_index(tc->c->repo), block_pack_kind(type), id,
	    &at);
	if (ret < 0)
		return ret;
	p = ret == 1 ? check_find(tc->c, block_pack_kind(type), at.pack) :
	    NULL;
	if (p != NULL && p->present && !p->bad)
		return 0;
	/* It may be had all the same: whole in a damaged pack, or in one that
	 * no segment lists. */
	ret = reader_get(tc->rd, type, id, &ref);
	if (ret == 0)
		blockref_put(tc->rd, &ref);
	return ret;
}

static int
contents_check(struct treecheck *tc, const struct entry *e)
{
	struct filemap *fm;
	struct extent x;
	uint64_t off = 0, start;
	int ret;

	if (!(e->flags & (ENTRY_EXTENTS | ENTRY_LIST)))
		return 0;
	ret = filemap_new(tc->rd, e, &fm);
	if (ret != 0)
		return ret;
	while ((ret = filemap_extent(fm, off, &x, &start)) == 1) {
		off = start + x.len;
		ret = x.hole ? 0 : block_known(tc, BLOCK_DATA, x.id);
		if (ret != 0)
			break;
	}
	filemap_free(fm);
	return ret;
}

static int
entry_check(struct treecheck *tc, const struct entry *e)
{
	struct buf xattr = BUF_INIT(TREE_XATTR_MAX);
	int err;

	tc->c->res->files++;
	err = contents_check(tc, e);
	if (err == 0 && e->flags & ENTRY_XATTR_ID)
		err = tree_xattrs(tc->tree, e, &xattr);
	buf_release(&xattr);
	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	if (err != 0)
		hit(tc, "read", err);
	return 0;
}

/* The attributes of the root itself; its level is on top. */
static int
root_check(struct treecheck *tc, const struct genrec *rec)
{
	struct entry e;

	return genrec_root_entry(rec, &e) == 1 ? entry_check(tc, &e) : 0;
}

static int
walk(struct treecheck *tc, const struct genrec *rec)
{
	const struct entry *e;
	struct level *l;
	int ret;

	tc->path.len = 0;
	ret = level_push(tc, rec->root);
	if (ret >= 0)
		ret = root_check(tc, rec);
	while (ret >= 0 && (l = tc->top) != NULL) {
		if (check_stopped(tc->c))
			return -ECANCELED;
		tc->path.len = l->pathlen;
		ret = l->begun ? tree_next(tc->tree, l->dir, &l->pos) :
		    tree_at(tc->tree, l->dir, 0, &l->pos);
		l->begun = 1;
		if (ret == -ECANCELED || ret == -ENOMEM)
			break;
		if (ret < 0)
			hit(tc, "listed", ret);
		if (ret <= 0) {
			level_pop(tc);
			ret = 0;
			continue;
		}
		e = tree_entry(&l->pos);
		buf_add(&tc->path, "/", 1);
		ret = buf_add(&tc->path, e->name, e->namelen);
		if (ret == 0)
			ret = entry_check(tc, e);
		if (ret == 0 && e->flags & ENTRY_SUBTREE &&
		    !idlossy_has(tc->seen, e->tree_id))
			ret = level_push(tc, e->tree_id);
	}
	return ret;
}

static int
record_load(struct check *c, const char *name, uint8_t id[GEN_ID_SIZE],
    struct genrec *rec)
{
	struct buf bytes = BUF_INIT(GENREC_MAX);
	struct timespec end;
	char tag[GEN_TAG_SIZE];
	int err = -FIRN_ECORRUPT, tries;

	if (genrec_name_parse(name, tag, &end, id) != 0)
		return -FIRN_ECORRUPT;
	for (tries = 0; tries < READ_TRIES && err == -FIRN_ECORRUPT;
	    tries++) {
		buf_reset(&bytes);
		err = store_load(repo_store(c->repo), name, &bytes);
		if (err != 0)
			break;
		genrec_init(rec);
		err = genrec_decode(bytes.data, bytes.len, repo_keys(c->repo),
		    name, rec);
	}
	buf_release(&bytes);
	return err;
}

static int
record_check(struct treecheck *tc, const char *name)
{
	struct check *c = tc->c;
	struct genrec rec;
	uint8_t id[GEN_ID_SIZE];
	int err;

	c->res->generations++;
	genrec_init(&rec);
	err = record_load(c, name, id, &rec);
	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	if (err == -ENOENT) {		/* forgotten just now */
		c->res->generations--;
		return 0;
	}
	if (err != 0) {
		check_problem(c, name, "cannot be read: %s", err_text(err));
		return 0;
	}
	hex_encode(id, GEN_ID_SIZE, tc->gen);
	err = walk(tc, &rec);
	while (tc->top != NULL)
		level_pop(tc);
	genrec_release(&rec);
	if (c->conf->progress != NULL)
		c->conf->progress(c->conf->ctx, "generations",
		    c->res->generations, c->nrecords, c->res->bytes);
	return err;
}

static int
on_record(void *ctx, const char *name, const struct store_stat *st)
{
	struct check *c = ctx;
	size_t cap;
	void *p;

	(void)st;
	if (c->nrecords == c->records_cap) {
		cap = c->records_cap > 0 ? 2 * c->records_cap : 64;
		p = realloc(c->record, cap * sizeof(*c->record));
		if (p == NULL)
			return -ENOMEM;
		c->record = p;
		c->records_cap = cap;
	}
	snprintf(c->record[c->nrecords++], sizeof(*c->record), "%s", name);
	return 0;
}

int
check_records(struct check *c)
{
	return store_list(repo_store(c->repo), "gen/", on_record, c);
}

int
check_generations(struct check *c)
{
	struct treecheck tc = { .c = c };
	struct reader_stats st = { 0 };
	size_t i;
	int err;

	if (!repo_keys(c->repo)->has_sk) {
		log_warn(0, "a write-only key cannot look into generations; "
		    "objects were checked, trees were not");
		return 0;
	}
	buf_init(&tc.path, 1u << 24);
	err = idlossy_new(SEEN_SLOTS, &tc.seen);
	if (err == 0)
		err = reader_new(c->repo, NULL, &tc.rd);
	if (err == 0)
		err = tree_new(tc.rd, 16u << 20, &tc.tree);
	for (i = 0; i < c->nrecords && err == 0; i++)
		err = record_check(&tc, c->record[i]);
	if (tc.rd != NULL)
		reader_stats(tc.rd, &st);
	c->salvaged = st.salvaged > 0;
	tree_free(tc.tree);
	reader_free(tc.rd);
	idlossy_free(tc.seen);
	buf_release(&tc.path);
	return err;
}
