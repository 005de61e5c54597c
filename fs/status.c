/* SPDX-License-Identifier: Apache-2.0 */
/* The text files of .firn/. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/timefmt.h"
#include "fs/cold.h"
#include "fs/firnfs.h"
#include "fs/push.h"
#include "fs/status.h"
#include "fs/trails.h"
#include "store/price.h"

#define TEXT_MAX	(4u << 20)
#define KEEP_SECONDS	1
#define NUMBER_DIGITS	"20"	/* of the largest */

struct text {
	struct buf bytes;	/* protected by the status's lock, as all */
	struct timespec mtime;	/* wall clock */
	struct timespec made;	/* monotonic */
};

struct status {
	pthread_mutex_t lock;	/* of texts */
	struct text text[VTEXT_COUNT];
	pthread_mutex_t refresh_lock;
	struct status_refresh refresh;	/* protected by refresh_lock */
};

/* Set in reader_conf.failed, read where the request fails, by the same
 * thread. */
static _Thread_local char failed_block[80];
static _Thread_local uint8_t failed_id[BLOCK_ID_SIZE];
static _Thread_local int failed_is_data;

int
status_new(struct status **out)
{
	struct status *s = calloc(1, sizeof(*s));
	int i;

	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->refresh_lock, NULL);
	for (i = 0; i < VTEXT_COUNT; i++)
		buf_init(&s->text[i].bytes, TEXT_MAX);
	*out = s;
	return 0;
}

void
status_free(struct status *s)
{
	int i;

	if (s == NULL)
		return;
	for (i = 0; i < VTEXT_COUNT; i++)
		buf_release(&s->text[i].bytes);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->refresh_lock);
	free(s);
}

void
status_set_refresh(struct firnfs *fs, const struct status_refresh *r)
{
	pthread_mutex_lock(&fs->status->refresh_lock);
	fs->status->refresh = *r;
	pthread_mutex_unlock(&fs->status->refresh_lock);
}

void
status_get_refresh(struct firnfs *fs, struct status_refresh *r)
{
	pthread_mutex_lock(&fs->status->refresh_lock);
	*r = fs->status->refresh;
	pthread_mutex_unlock(&fs->status->refresh_lock);
}

void
status_block_failed(void *fs, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], int err)
{
	static const char *const names[] = { "", "data block", "tree block",
	    "list block", "xattr block" };
	char hex[2 * BLOCK_ID_SIZE + 1];

	(void)fs;
	(void)err;
	memcpy(failed_id, id, sizeof(failed_id));
	failed_is_data = type == BLOCK_DATA;
	hex_encode(id, BLOCK_ID_SIZE, hex);
	snprintf(failed_block, sizeof(failed_block), "%s %.16s",
	    type <= BLOCK_XATTR ? names[type] : "block", hex);
}

const char *
status_failed_block(void)
{
	static _Thread_local char text[sizeof(failed_block)];

	memcpy(text, failed_block, sizeof(text));
	failed_block[0] = '\0';
	return text;
}

int
status_failed_id(uint8_t id[BLOCK_ID_SIZE])
{
	int yes = failed_is_data;

	memcpy(id, failed_id, sizeof(failed_id));
	failed_is_data = 0;
	return yes;
}

__attribute__((format(printf, 3, 4)))
static void
line(struct buf *b, const char *name, const char *fmt, ...)
{
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	buf_printf(b, "%-24s%s\n", name, value);
}

static void
count(struct buf *b, const char *name, uint64_t n)
{
	line(b, name, "%-" NUMBER_DIGITS "llu", (unsigned long long)n);
}

static void
when(struct buf *b, const char *name, const struct timespec *t)
{
	char text[TIMEFMT_SIZE];

	timefmt_name(t, text);
	line(b, name, "%s", t->tv_sec != 0 ? text : "never");
}

static void
make_status(struct firnfs *fs, struct buf *b)
{
	const struct keyslot_info *slot = repo_slot(fs->repo);
	char id[2 * REPO_ID_SIZE + 1];
	const char *dir = repo_state_dir(fs->repo);
	struct status_refresh r;
	struct cache_stats cs;

	status_get_refresh(fs, &r);
	hex_encode(repo_config(fs->repo)->repo_id, REPO_ID_SIZE, id);
	line(b, "repository", "%s", store_url(repo_store(fs->repo)));
	line(b, "repository-id", "%s", id);
	line(b, "key", "%s", slot->name);
	line(b, "mountpoint", "%s", fs->opt->mountpoint);
	when(b, "mounted", &fs->since);
	count(b, "generations", r.generations);
	if (r.damaged > 0)
		count(b, "generations-damaged", r.damaged);
	when(b, "newest", &r.newest);
	when(b, "refreshed", &r.last);
	line(b, "refresh", "%s", r.err == 0 ? "ok" : err_text(r.err));
	line(b, "state", "%s", dir != NULL ? dir : "none");
	if (repo_cache(fs->repo) == NULL) {
		line(b, "cache", "none");
		return;
	}
	cache_stats(repo_cache(fs->repo), &cs);
	line(b, "cache", "%s", cs.readonly ? "read-only" : "ok");
	count(b, "cache-limit", cs.limit);
	count(b, "cache-used", cs.used);
}

/* Estimates: a mount only reads, and nobody says of which class. */
static void
make_cost(const struct price_table *t, const struct store_counters *c,
    struct buf *b)
{
	struct price_run cost;
	char text[PRICE_TEXT];

	price_run(t, price_standard(t), c, &cost);
	line(b, "cost-requests", "%s %s", price_text(cost.requests, text),
	    t->currency);
	line(b, "cost-transfer", "%s %s", price_text(cost.transfer, text),
	    t->currency);
	line(b, "prices", "%s, %s", t->name, t->date);
}

static void
make_store_stats(struct firnfs *fs, struct buf *b)
{
	struct store_counters c;
	char name[32];
	int i;

	store_count(repo_store(fs->repo), &c);
	for (i = 0; i < STORE_VERBS; i++) {
		if (c.requests[i] == 0)
			continue;
		snprintf(name, sizeof(name), "store-%s",
		    store_verb_name(i));
		count(b, name, c.requests[i]);
		snprintf(name, sizeof(name), "store-%s-errors",
		    store_verb_name(i));
		count(b, name, c.errors[i]);
	}
	count(b, "store-bytes-in", c.bytes_in);
	count(b, "store-bytes-out", c.bytes_out);
	count(b, "store-retries", c.retries);
	if (fs->price != NULL)
		make_cost(fs->price, &c, b);
	if (c.window == 0)
		return;		/* no S3 */
	count(b, "store-throttled", c.throttled);
	count(b, "store-window", c.window);
	count(b, "store-hedges", c.hedges);
	count(b, "store-hedges-won", c.hedges_won);
}

static void
make_stats(struct firnfs *fs, struct buf *b)
{
	struct reader_stats rs;
	struct cache_stats cs;
	size_t records;
	uint64_t made;

	reader_stats(fs->reader, &rs);
	count(b, "blocks", rs.blocks);
	count(b, "frames-opened", rs.frames_opened);
	count(b, "frame-hits", rs.frame_hits);
	count(b, "cells-from-cache", rs.cells_cache);
	count(b, "cells-from-store", rs.cells_store);
	count(b, "frames-from-store", rs.parts_store);
	count(b, "cells-bytes-peak", rs.bytes_peak);
	count(b, "bytes-from-store", rs.bytes_store);
	count(b, "corrupt", rs.corrupt);
	dirs_stats(fs->dirs, &records, &made);
	count(b, "directories-known", records);
	count(b, "directories-numbered", made);
	count(b, "directories-bytes", tree_used(fs->tree));
	count(b, "file-maps-bytes", lru_used(fs->maps));
	count(b, "files-pushed", push_count(fs->push));
	count(b, "blocks-opened-ahead", trails_count(fs->trails));
	make_store_stats(fs, b);
	if (repo_cache(fs->repo) == NULL)
		return;
	cache_stats(repo_cache(fs->repo), &cs);
	count(b, "cache-hits", cs.hits);
	count(b, "cache-misses", cs.misses);
	count(b, "cache-puts", cs.puts);
	count(b, "cache-evictions", cs.evictions);
	count(b, "cache-bad", cs.bad);
	count(b, "cache-cells-data", cs.cells_data);
	count(b, "cache-cells-meta", cs.cells_meta);
}

static int
same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len &&
	    (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* A new text where the old one is over its time; under the lock, which covers
 * nothing else, and nothing of this is slow. */
static void
text_update(struct firnfs *fs, enum vnode_text which)
{
	struct text *t = &fs->status->text[which];
	struct buf fresh = BUF_INIT(TEXT_MAX);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (t->made.tv_sec != 0 &&
	    now.tv_sec - t->made.tv_sec < KEEP_SECONDS + 1 &&
	    (now.tv_sec - t->made.tv_sec < KEEP_SECONDS ||
	    now.tv_nsec < t->made.tv_nsec))
		return;
	t->made = now;
	if (which == VTEXT_STATUS)
		make_status(fs, &fresh);
	else if (which == VTEXT_STATS)
		make_stats(fs, &fresh);
	else if (which == VTEXT_COLD)
		buf_printf(&fresh, "%s\n",
		    cold_mode_name(cold_mode(fs->cold)));
	else if (which == VTEXT_THAW)
		cold_text(fs, &fresh);
	else
		errors_text(fs->errors, &fresh);
	if (t->mtime.tv_sec != 0 && same_bytes(&t->bytes, &fresh)) {
		buf_release(&fresh);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &t->mtime);
	buf_release(&t->bytes);
	t->bytes = fresh;
}

void
status_size(struct firnfs *fs, enum vnode_text which, struct stat *st)
{
	struct status *s = fs->status;

	pthread_mutex_lock(&s->lock);
	text_update(fs, which);
	st->st_size = (off_t)s->text[which].bytes.len;
	st->st_mtim = s->text[which].mtime;
	pthread_mutex_unlock(&s->lock);
}

int
status_read(struct firnfs *fs, enum vnode_text which, uint64_t off, size_t len,
    struct buf *out)
{
	struct status *s = fs->status;
	struct text *t = &s->text[which];
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (t->made.tv_sec == 0)
		text_update(fs, which);
	if (off < t->bytes.len) {
		if (len > t->bytes.len - off)
			len = (size_t)(t->bytes.len - off);
		err = buf_add(out, t->bytes.data + off, len);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}
