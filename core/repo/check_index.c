/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots and index segments.  Segments are small, so they are read whole
 * and compared with their names before they are decoded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "format/segment.h"
#include "repo/check_internal.h"
#include "repo/repo_internal.h"

struct walk {
	struct check *c;
	enum pack_kind kind;
};

static int
segment_decode_all(struct check *c, const struct buf *bytes,
    enum pack_kind kind)
{
	struct segment_entry *entries;
	struct segment_head head;
	uint64_t off;
	size_t len, n;
	uint32_t page;
	int err;

	err = segment_head_decode(repo_keys(c->repo), bytes->data, bytes->len,
	    bytes->len, &head);
	if (err != 0)
		return err;
	entries = calloc(SEGMENT_PAGE_ENTRIES, sizeof(*entries));
	if (entries == NULL)
		err = -ENOMEM;
	if (err == 0 && head.kind != kind)
		err = -FIRN_ECORRUPT;
	for (page = 0; page < head.npages && err == 0; page++) {
		segment_page_range(&head, page, &off, &len);
		if (off > bytes->len || len > bytes->len - off)
			err = -FIRN_ECORRUPT;
		else
			err = segment_page_decode(&head, page,
			    bytes->data + off, len, entries, &n);
	}
	free(entries);
	segment_head_release(&head);
	return err;
}

static int
segment_check(void *ctx, const char *name, const struct store_stat *st)
{
	struct walk *w = ctx;
	struct check *c = w->c;
	struct buf bytes = BUF_INIT(1u << 30);
	const char *base = strrchr(name, '/');
	uint8_t want[OBJECT_ID_SIZE];
	int err, same;

	(void)st;
	if (check_stopped(c))
		return -ECANCELED;
	if (base == NULL || hex_decode(base + 1, want, sizeof(want)) != 0) {
		check_problem(c, name, "is not an object of firn");
		return 0;
	}
	c->res->segments++;
	err = check_load(c, name, want, &bytes, &same);
	if (err == 0 && !same)
		check_problem(c, name, "is damaged: its SHA-256 is not its "
		    "name");
	else if (err == 0 && (err = segment_decode_all(c, &bytes, w->kind)) !=
	    0)
		check_problem(c, name, "is damaged: %s", err_text(err));
	else if (err != 0 && err != -ECANCELED)
		check_problem(c, name, "cannot be read: %s", err_text(err));
	buf_release(&bytes);
	return err == -ECANCELED ? err : 0;
}

static int
slot_check_once(struct check *c, const char *name)
{
	struct buf bytes = BUF_INIT(1u << 16);
	struct keyslot_info info;
	int err;

	err = store_load(repo_store(c->repo), name, &bytes);
	if (err == 0)
		err = keyslot_info(bytes.data, bytes.len, &info);
	buf_release(&bytes);
	if (err == 0 && (strcmp(info.name, name + strlen("keys/")) != 0 ||
	    memcmp(info.repo_id, repo_config(c->repo)->repo_id,
	    REPO_ID_SIZE) != 0))
		err = -FIRN_ECORRUPT;
	return err;
}

static int
slot_check(void *ctx, const char *name, const struct store_stat *st)
{
	struct check *c = ctx;
	int err = -FIRN_ECORRUPT, tries;

	(void)st;
	for (tries = 0; tries < READ_TRIES && err == -FIRN_ECORRUPT; tries++)
		err = slot_check_once(c, name);
	if (err == -ECANCELED)
		return err;
	if (err != 0)
		check_problem(c, name, "cannot be used: %s", err_text(err));
	return 0;
}

int
check_index(struct check *c)
{
	struct walk data = { c, PACK_DATA }, meta = { c, PACK_META };
	struct store *s = repo_store(c->repo);
	int err;

	err = store_list(s, "keys/", slot_check, c);
	if (err == 0)
		err = store_list(s, "index/meta/", segment_check, &meta);
	if (err == 0)
		err = store_list(s, "index/data/", segment_check, &data);
	if (err == 0)
		err = repo_sync(c->repo, PACK_META, NULL);
	if (err == 0)
		err = repo_sync(c->repo, PACK_DATA, NULL);
	return err;
}
