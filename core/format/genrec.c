/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generation records in memory, and their names.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/timefmt.h"
#include "crypto/hash.h"
#include "format/genrec_internal.h"
#include "format/text.h"

#define PREFIX		"gen/"
#define PREFIX_LEN	4
#define TAG_LEN		(GEN_TAG_SIZE - 1)
#define TIME_LEN	18	/* 2026-11-20T115739Z */

void
genrec_init(struct genrec *g)
{
	memset(g, 0, sizeof(*g));
}

static void
strings_release(char **v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static void
names_release(struct gen_name *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

void
genrec_release(struct genrec *g)
{
	if (g == NULL)
		return;
	free(g->host);
	free(g->series);
	strings_release(g->paths, g->npaths);
	strings_release(g->tags, g->ntags);
	names_release(g->users, g->nusers);
	names_release(g->groups, g->ngroups);
	free(g->program);
	free(g->root_entry);
	strings_release(g->errors, g->nerrors);
	genrec_init(g);
}

int
genrec_append(char ***v, size_t *n, const char *text)
{
	char **more, *copy;

	/* Grows where *n is a power of two, so no capacity need be kept. */
	if ((*n & (*n - 1)) == 0) {
		more = realloc(*v, (*n == 0 ? 1 : 2 * *n) * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		*v = more;
	}
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	(*v)[(*n)++] = copy;
	return 0;
}

int
genrec_add_path(struct genrec *g, const char *path)
{
	return genrec_append(&g->paths, &g->npaths, path);
}

int
genrec_add_tag(struct genrec *g, const char *tag)
{
	return genrec_append(&g->tags, &g->ntags, tag);
}

/* A copy of at most GEN_ERROR_TEXT bytes, cut between characters. */
static int
error_append(struct genrec *g, const char *text)
{
	char cut[GEN_ERROR_TEXT + 1];
	size_t len = strlen(text);

	if (len > GEN_ERROR_TEXT) {
		len = GEN_ERROR_TEXT;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(cut, text, len);
	cut[len] = '\0';
	return genrec_append(&g->errors, &g->nerrors, cut);
}

int
genrec_add_error(struct genrec *g, const char *text)
{
	int err = 0;

	if (g->nerrors < GEN_ERRORS_MAX)
		err = error_append(g, text);
	if (err == 0)
		g->error_count++;
	return err;
}

int
genrec_set_root_entry(struct genrec *g, const struct entry *e)
{
	struct buf b = BUF_INIT(2 * TREE_ENTRY_MAX);
	int err = entry_encode(e, &b);

	if (err == 0) {
		free(g->root_entry);
		g->root_entry = malloc(b.len);
		err = g->root_entry == NULL ? -ENOMEM : 0;
	}
	if (err == 0) {
		memcpy(g->root_entry, b.data, b.len);
		g->root_entrylen = b.len;
	}
	buf_release(&b);
	return err;
}

int
genrec_root_entry(const struct genrec *g, struct entry *out)
{
	struct rd r = rd_init(g->root_entry, g->root_entrylen);

	return g->root_entry != NULL && entry_decode(&r, out) == 0;
}

int
genrec_root_entry_valid(const struct genrec *g)
{
	struct rd r = rd_init(g->root_entry, g->root_entrylen);
	struct entry e;

	return entry_decode(&r, &e) == 0 && rd_left(&r) == 0 &&
	    S_ISDIR(e.mode) && e.namelen == 4 &&
	    memcmp(e.name, "root", 4) == 0 &&
	    memcmp(e.tree_id, g->root, BLOCK_ID_SIZE) == 0;
}

int
genrec_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= GEN_TEXT_MAX && text_plain(name) &&
	    strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0 && strcmp(name, "latest") != 0;
}

int
genrec_tag(const struct keys *keys, const char *host, const char *series,
    char tag[GEN_TAG_SIZE])
{
	uint8_t mac[HASH_SIZE];
	struct mac *m;
	int err;

	err = mac_new(keys->series_tag, KEY_SIZE, &m);
	if (err != 0)
		return err;
	/* The NUL between the two goes with the host. */
	err = mac_compute(m, host, strlen(host) + 1, series, strlen(series),
	    mac);
	mac_free(m);
	if (err == 0)
		hex_encode(mac, TAG_LEN / 2, tag);
	return err;
}

/* Exactly the name form of a time that the calendar has ('@' begins others). */
static int
time_parse(const char *text, struct timespec *out)
{
	char copy[TIME_LEN + 1], again[TIMEFMT_SIZE];

	memcpy(copy, text, TIME_LEN);
	copy[TIME_LEN] = '\0';
	if (copy[0] == '@' || timefmt_parse(copy, out) != 0)
		return -EINVAL;
	timefmt_name(out, again);
	return strcmp(copy, again) == 0 ? 0 : -EINVAL;
}

int
genrec_name_parse(const char *name, char tag[GEN_TAG_SIZE],
    struct timespec *end, uint8_t id[GEN_ID_SIZE])
{
	uint8_t bytes[TAG_LEN / 2];

	if (strlen(name) != GEN_OBJECT_NAME_LEN ||
	    strncmp(name, PREFIX, PREFIX_LEN) != 0)
		return -EINVAL;
	name += PREFIX_LEN;
	memcpy(tag, name, TAG_LEN);
	tag[TAG_LEN] = '\0';
	name += TAG_LEN;
	if (hex_decode(tag, bytes, sizeof(bytes)) != 0 || *name++ != '/' ||
	    time_parse(name, end) != 0)
		return -EINVAL;
	name += TIME_LEN;
	if (*name++ != '-' || hex_decode(name, id, GEN_ID_SIZE) != 0)
		return -EINVAL;
	return 0;
}
