/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs that no index segment lists, read back from their own footers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "format/pack.h"
#include "format/segment.h"
#include "repo/repo_internal.h"
#include "repo/segment_read.h"

static int
footer_read_once(struct repo *r, const char *name, uint64_t size,
    uint8_t header[PACK_HEADER_SIZE], struct pack_footer *out)
{
	uint8_t trailer[PACK_TRAILER_SIZE];
	uint64_t off;
	uint32_t len;
	uint8_t *sealed;
	int err;

	if (size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE ||
	    size > FORMAT_PACK_MAX)
		return -FIRN_ECORRUPT;
	err = object_read(r, name, size - sizeof(trailer), sizeof(trailer),
	    trailer);
	if (err == 0)
		err = pack_trailer_decode(trailer, size, &off, &len);
	if (err == 0)
		err = object_read(r, name, 0, PACK_HEADER_SIZE, header);
	if (err == 0)
		err = pack_header_decode(&r->keys, header, 0, NULL);
	if (err != 0)
		return err;
	sealed = malloc(len);
	if (sealed == NULL)
		return -ENOMEM;
	err = object_read(r, name, off, len, sealed);
	if (err == 0)
		err = pack_footer_decode(&r->keys, header, sealed, len, off,
		    out);
	free(sealed);
	return err;
}

/* A pack's header and footer, read from its ends. */
static int
footer_read(struct repo *r, const char *name, uint64_t size,
    uint8_t header[PACK_HEADER_SIZE], struct pack_footer *out)
{
	int err = -FIRN_ECORRUPT, tries;

	for (tries = 0; tries < READ_TRIES && err == -FIRN_ECORRUPT; tries++)
		err = footer_read_once(r, name, size, header, out);
	return err;
}

/* What adoption gathers before it writes a segment. */
struct adoption {
	struct repo *r;
	enum pack_kind kind;
	struct segment_entry *entries;
	size_t nentries, entries_cap;
	struct segment_pack *packs;
	size_t npacks, packs_cap;
	unsigned adopted;
	unsigned denied;	/* packs that the store does not let us read */
	unsigned broken;	/* that it cannot read */
};

#define ADOPT_ENTRIES	(1u << 20)
#define ADOPT_DENIED	3	/* so many, and none read: it will be all */

/* Into the index of this host. */
static int
adopt_load(struct adoption *a, const uint8_t id[OBJECT_ID_SIZE])
{
	struct index_load *ld;
	int err;

	err = index_load_begin(a->r->index, a->kind, id, a->packs, a->npacks,
	    &ld);
	if (err != 0)
		return err;
	if (!a->r->heals)
		index_load_local(ld);
	err = index_load_add(ld, a->entries, a->nentries);
	if (err == 0)
		return index_load_commit(ld);
	index_load_abort(ld);
	return err;
}

static int
adopt_flush(struct adoption *a)
{
	struct buf bytes = BUF_INIT(FORMAT_PACK_MAX);
	uint8_t id[OBJECT_ID_SIZE];
	char name[STORE_NAME_MAX + 1];
	int err;

	if (a->npacks == 0)
		return 0;
	err = segment_encode(&a->r->keys, a->kind, a->entries, &a->nentries,
	    a->packs, a->npacks, NULL, 0, &bytes);
	if (err == 0)
		err = hash_sha256(bytes.data, bytes.len, id);
	if (err == 0) {
		repo_segment_name(a->kind, id, name);
		/* What a backup builds on must be listed for all. */
		if (a->r->heals)
			err = store_put(a->r->store, name, bytes.data,
			    bytes.len, id, 0);
	}
	if (err == 0)
		err = adopt_load(a, id);
	buf_release(&bytes);
	a->adopted += (unsigned)a->npacks;
	a->nentries = 0;
	a->npacks = 0;
	return err;
}

static int
adopt_note(struct adoption *a, const uint8_t id[OBJECT_ID_SIZE],
    uint64_t size, const uint8_t header[PACK_HEADER_SIZE],
    const struct pack_footer *f)
{
	struct segment_entry *e;
	const struct pack_block *b;
	size_t i;
	void *p;

	if (a->npacks == a->packs_cap) {
		a->packs_cap = a->packs_cap > 0 ? 2 * a->packs_cap : 64;
		p = realloc(a->packs, a->packs_cap * sizeof(*a->packs));
		if (p == NULL)
			return -ENOMEM;
		a->packs = p;
	}
	if (a->nentries + f->nblocks > a->entries_cap) {
		a->entries_cap = 2 * (a->nentries + f->nblocks);
		p = realloc(a->entries, a->entries_cap * sizeof(*a->entries));
		if (p == NULL)
			return -ENOMEM;
		a->entries = p;
	}
	memcpy(a->packs[a->npacks].id, id, OBJECT_ID_SIZE);
	a->packs[a->npacks].size = (uint32_t)size;
	memcpy(a->packs[a->npacks].header, header, PACK_HEADER_SIZE);
	for (i = 0; i < f->nblocks; i++) {
		b = &f->blocks[i];
		e = &a->entries[a->nentries++];
		memcpy(e->id, b->id, BLOCK_ID_SHORT);
		e->pack = (uint32_t)a->npacks;
		e->frame_off = f->frames[b->frame].off;
		e->frame_len = f->frames[b->frame].sealed;
		e->off = b->off;
		e->len = b->len;
	}
	a->npacks++;
	return a->nentries >= ADOPT_ENTRIES ? adopt_flush(a) : 0;
}

static int
adopt_pack(void *ctx, const char *name, const struct store_stat *st)
{
	struct adoption *a = ctx;
	struct pack_footer footer;
	uint8_t id[OBJECT_ID_SIZE], header[PACK_HEADER_SIZE];
	const char *base = strrchr(name, '/');
	int err;

	if (base == NULL || hex_decode(base + 1, id, OBJECT_ID_SIZE) != 0)
		return 0;
	err = index_has_pack(a->r->index, a->kind, id);
	if (err != 0)
		return err < 0 ? err : 0;
	err = footer_read(a->r, name, st->size, header, &footer);
	if (err == 0) {
		err = adopt_note(a, id, st->size, header, &footer);
		pack_footer_release(&footer);
	} else if (err == -EACCES && ++a->denied == ADOPT_DENIED &&
	    a->adopted + a->npacks == 0) {
		return err;
	} else if (repo_is_damage(err) || err == -FIRN_ECOLD ||
	    err == -EACCES ||
	    (err == -EIO && ++a->broken < FAULTS_MAX)) {
		/* Packs may well be archived, all of them. */
		log_warn(err, "cannot read back '%s'; left alone", name);
		err = 0;
	}
	return err;
}

static int
adopt_end(struct adoption *a, int err, unsigned *packs)
{
	if (err == 0)
		err = adopt_flush(a);
	if (err == 0 && a->adopted > 0)
		log_info("read back %u %s packs that no index listed",
		    a->adopted, pack_kind_name(a->kind));
	*packs = a->adopted;
	free(a->entries);
	free(a->packs);
	return err;
}

int
repo_adopt(struct repo *r, enum pack_kind kind, unsigned *packs)
{
	struct adoption a = { .r = r, .kind = kind };
	char prefix[8];
	int err;

	snprintf(prefix, sizeof(prefix), "%s/", pack_kind_name(kind));
	err = store_list(r->store, prefix, adopt_pack, &a);
	return adopt_end(&a, err, packs);
}

int
repo_adopt_unlisted(struct repo *r, enum pack_kind kind, unsigned *packs)
{
	struct adoption a = { .r = r, .kind = kind };
	struct names *s = &r->unlisted[kind];
	char name[STORE_NAME_MAX + 1];
	struct store_stat st = { 0 };
	size_t i;
	int err = 0;

	pthread_mutex_lock(&r->sync_lock);
	for (i = 0; i < s->n && err == 0; i++) {
		repo_pack_name(kind, s->id[i], name);
		st.size = s->size[i];
		err = adopt_pack(&a, name, &st);
	}
	err = adopt_end(&a, err, packs);
	pthread_mutex_unlock(&r->sync_lock);
	return err;
}
