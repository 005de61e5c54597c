/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: find the parent, walk, flush, write the record.
 *
 * The order of durability: packs, the segments that name them, the record.  A
 * mark in the local state says that a run is under way; a run that finds the
 * mark of one that died reads back the packs that it uploaded and did not get
 * to index, so they are not uploaded again.  A run that fails in order puts
 * the segments itself, and takes its mark away when nothing is left to find.
 *
 * What is known is what the store has, not what the index says: packs are
 * compared with a listing before anything is believed to be stored.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/backup.h"
#include "backup/chunker.h"
#include "backup/walk.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/timefmt.h"
#include "repo/generation.h"
#include "repo/localmeta.h"
#include "repo/repo.h"
#include "repo/runfile.h"
#include "repo/writer.h"

#define RUN_MARK	"backup"
#define CONTENTS_MEMORY	(16u << 20)	/* pieces of files in flight */
#define PARENT_MEMORY	(16u << 20)	/* of the parent's frames and cells */
/* Of its pages, decoded: each is wanted once, in order, and held meanwhile; memory
 * that is used again costs less than memory that was never touched. */
#define PARENT_PAGES	(1u << 20)

struct run {
	struct repo *repo;
	const struct backup_conf *conf;
	struct backup_result *res;
	struct genrec rec;
	struct backup_start *start;	/* conf's, or our own */
	struct writer *writer;
	struct pipe *pipe;
	struct chunker *chunker;
	/* The parent generation, as far as there is one. */
	struct reader *reader;
	struct tree *tree;
	uint8_t parent_root[BLOCK_ID_SIZE];
	struct timespec parent_start;
	/* For a write-only key. */
	char tag[GEN_TAG_SIZE];
	struct localmeta *old, *fresh;
	atomic_int fresh_err;		/* why fresh cannot be used */
	struct repo_compared compared[3];	/* by kind */
	uint64_t epoch[3];		/* index_epoch() to begin with */
	int adopted;			/* all packs were looked through */
	struct runfile mark;
	int astray;			/* what a dead run stored is not
					   listed yet */
};

/* Local state that cannot be written costs the next run time, and this one
 * nothing.  From any thread. */
static int
meta_put(void *ctx, enum block_type type, const uint8_t id[BLOCK_ID_SIZE],
    const void *data, size_t len)
{
	struct run *r = ctx;
	int err, none = 0;

	if (atomic_load(&r->fresh_err) != 0)
		return 0;
	err = localmeta_put(r->fresh, type, id, data, len);
	if (err != 0)
		atomic_compare_exchange_strong(&r->fresh_err, &none, err);
	return 0;
}

static int
meta_get(void *ctx, enum block_type type, const uint8_t id[BLOCK_ID_SIZE],
    struct buf *out)
{
	return localmeta_get(ctx, type, id, out);
}

/* An owner finds the parent in the repository. */
static int
parent_from_repo(struct run *r)
{
	struct generation_list list;
	const struct generation *g;
	int err;

	err = generation_list(r->repo, &list);
	if (err != 0)
		return err;
	g = generation_newest(&list, r->conf->host, r->conf->series);
	if (g != NULL) {
		memcpy(r->parent_root, g->rec.root, BLOCK_ID_SIZE);
		r->parent_start = g->rec.start;
		memcpy(r->rec.parent, g->id, GEN_ID_SIZE);
		r->rec.has_parent = 1;
	}
	generation_list_release(&list);
	return 0;
}

/* A write-only key has what this host kept of its last run. */
static int
parent_from_state(struct run *r)
{
	const char *dir = repo_state_dir(r->repo);
	struct localmeta_head head;
	int err;

	err = genrec_tag(repo_keys(r->repo), r->conf->host, r->conf->series,
	    r->tag);
	if (err != 0 || dir == NULL)
		return err;
	if (localmeta_open(dir, repo_keys(r->repo), r->tag, &r->old,
	    &head) == 0) {
		memcpy(r->parent_root, head.root, BLOCK_ID_SIZE);
		r->parent_start = head.start;
		memcpy(r->rec.parent, head.gen, GEN_ID_SIZE);
		r->rec.has_parent = 1;
	}
	if (r->conf->dry_run)
		return 0;
	err = localmeta_begin(dir, repo_keys(r->repo), r->tag, &r->fresh);
	if (err != 0) {
		log_warn(err, "cannot keep the tree of this run in '%s'; the "
		    "next one will read all of the source", dir);
		r->fresh = NULL;
	}
	return 0;
}

static int
parent_find(struct run *r)
{
	struct reader_conf rc = { .memory = PARENT_MEMORY, .threads = 1 };
	int err;

	if (repo_keys(r->repo)->has_sk) {
		err = r->conf->force ? 0 : parent_from_repo(r);
	} else {
		err = parent_from_state(r);
		rc.local = r->old != NULL ? meta_get : NULL;
		rc.local_ctx = r->old;
	}
	if (err != 0 || !r->rec.has_parent)
		return err;
	r->res->has_parent = 1;
	memcpy(r->res->parent, r->rec.parent, GEN_ID_SIZE);
	err = reader_new(r->repo, &rc, &r->reader);
	if (err == 0)
		err = tree_new(r->reader, PARENT_PAGES, &r->tree);
	return err;
}

static int
rec_begin(struct run *r)
{
	const struct backup_conf *c = r->conf;
	size_t i;
	int err = 0;

	r->rec.start = r->start->time;
	r->rec.host = strdup(c->host);
	r->rec.series = strdup(c->series);
	r->rec.program = strdup(c->program);
	if (r->rec.host == NULL || r->rec.series == NULL ||
	    r->rec.program == NULL)
		return -ENOMEM;
	for (i = 0; i < c->ntags && err == 0; i++)
		err = genrec_add_tag(&r->rec, c->tags[i]);
	return err;
}

/* Say in one line what is missing. */
static void
missing_report(size_t data, size_t meta)
{
	if (data + meta > 0)
		log_warn(0, "%zu of the packs that the index names are missing "
		    "in the store or have the wrong size; what is met again of "
		    "their contents is stored again; `firn check` tells which "
		    "generations are hit", data + meta);
}

/* Believe the index as far as the store agrees. */
static int
packs_compare(struct run *r)
{
	struct repo_compared *c = r->compared;
	int ret;

	ret = repo_packs_compare(r->repo, PACK_DATA, &c[PACK_DATA]);
	if (ret >= 0)
		ret = repo_packs_compare(r->repo, PACK_META, &c[PACK_META]);
	if (ret == -EACCES) {
		log_warn(0, "the credentials do not allow to list packs, so "
		    "those that are missing are not noticed");
		ret = 0;
	}
	if (ret >= 0)
		missing_report(c[PACK_DATA].absent, c[PACK_META].absent);
	return ret < 0 ? ret : 0;
}

/*
 * Packs that no segment lists are of a run that died, or their segment is gone,
 * or another host is just putting them.  What could not be read back is not
 * tried again while it is all that there is, nor by a host that may only write.
 */
static int
unlisted_adopt(struct run *r, enum pack_kind kind)
{
	const struct repo_compared *c = &r->compared[kind];
	struct index *ix = repo_index(r->repo);
	struct buf before = BUF_INIT(1024);
	char name[32];
	unsigned n = 0;
	int err, same;

	if (c->unlisted == 0)
		return 0;
	snprintf(name, sizeof(name), "unlisted-%s", pack_kind_name(kind));
	same = index_state_get(ix, name, &before) == 0 &&
	    ((before.len == sizeof(c->sum) &&
	    memcmp(before.data, c->sum, sizeof(c->sum)) == 0) ||
	    (before.len == 6 && !repo_keys(r->repo)->has_sk));
	buf_release(&before);
	if (same)
		return 0;
	err = repo_adopt_unlisted(r->repo, kind, &n);
	if (err == -EACCES)
		index_state_put(ix, name, "denied", 6);
	else if (err == 0 && n == 0)
		index_state_put(ix, name, c->sum, sizeof(c->sum));
	return err == -EACCES ? 0 : err;
}

/* What no segment lists is listed before anything is stored anew. */
static int
unlisted_find(struct run *r)
{
	int err = 0;

	if (!r->adopted)
		err = unlisted_adopt(r, PACK_DATA);
	if (err == 0 && !r->adopted)
		err = unlisted_adopt(r, PACK_META);
	if (err == 0)
		err = index_epoch(repo_index(r->repo), PACK_DATA,
		    &r->epoch[PACK_DATA]);
	if (err == 0)
		err = index_epoch(repo_index(r->repo), PACK_META,
		    &r->epoch[PACK_META]);
	return err;
}

/* All that was found in the index, whoever brought it there, is listed in the
 * store. */
static int
relist(struct run *r)
{
	int err;

	err = repo_relist(r->repo, PACK_DATA, r->epoch[PACK_DATA]);
	if (err == 0)
		err = repo_relist(r->repo, PACK_META, r->epoch[PACK_META]);
	if (err == -EACCES) {
		log_warn(0, "this key of the store may not read packs; should "
		    "one be in no index segment, readers look for it");
		err = 0;
	}
	return err;
}

/* Did a run of this host die?  Then find what it had uploaded. */
static int
recover(struct run *r)
{
	const char *dir = repo_state_dir(r->repo);
	unsigned n, died = 0;
	int err;

	/* Without a directory nothing of it would be known here anyway. */
	if (dir == NULL)
		return 0;
	err = runfile_new(dir, RUN_MARK, &r->mark);
	if (err != 0) {
		log_warn(err, "cannot mark in '%s' that a backup runs; if it "
		    "is killed, some is uploaded again", dir);
		return 0;
	}
	/* From here on our own mark stands for what theirs said. */
	runfile_sweep(dir, RUN_MARK, &died);
	if (died == 0)
		return 0;
	r->astray = 1;
	log_info("the last backup did not end; looking for what it had "
	    "stored");
	r->adopted = 1;
	err = repo_adopt(r->repo, PACK_DATA, &n);
	if (err == 0)
		err = repo_adopt(r->repo, PACK_META, &n);
	if (err == -EACCES) {
		log_info("this key of the store may not read packs: what the "
		    "last backup had stored and not listed is stored again");
		err = 0;
	}
	if (err == 0)
		r->astray = 0;
	return err;
}

/* After a failure: what was stored is to be found again. */
static void
settle(struct run *r)
{
	int err = 0;

	/* Nobody adds to the writer any more. */
	pipe_free(r->pipe);
	r->pipe = NULL;
	if (r->conf->dry_run)
		return;
	tree_free(r->tree);
	r->tree = NULL;
	reader_free(r->reader);
	r->reader = NULL;
	/* No call may be in progress when the store takes calls again. */
	if (r->writer != NULL)
		writer_halt(r->writer);
	store_resume(repo_store(r->repo));
	if (r->writer != NULL)
		err = writer_settle(r->writer);
	if (err == 0 && !r->astray)
		runfile_remove(&r->mark);
}

static int
machinery(struct run *r)
{
	const struct config *config = repo_config(r->repo);
	struct writer_conf wc = { .level = r->conf->level,
	    .threads = r->conf->threads, .uploads = r->conf->uploads,
	    .dry_run = r->conf->dry_run };
	struct pipe_conf pc = { .keys = repo_keys(r->repo),
	    .threads = r->conf->threads > 0 ? r->conf->threads : pool_cpus(),
	    .memory = CONTENTS_MEMORY };
	int err;

	if (r->fresh != NULL) {
		pc.meta = meta_put;
		pc.meta_ctx = r;
	}
	err = chunker_new(repo_keys(r->repo)->chunker, config->block_target,
	    &r->chunker);
	if (err == 0)
		pc.piece_max = chunker_max(r->chunker);
	if (err == 0)
		err = writer_new(r->repo, &wc, &r->writer);
	if (err == 0)
		err = packs_compare(r);
	if (err == 0 && !r->conf->dry_run)
		err = recover(r);
	if (err == 0 && !r->conf->dry_run)
		err = unlisted_find(r);
	if (err == 0)
		err = pipe_new(r->writer, &pc, &r->pipe);
	return err;
}

static int
walk(struct run *r)
{
	struct walk_conf wc = { .conf = r->conf, .pipe = r->pipe,
	    .writer = r->writer, .chunker = r->chunker,
	    .inline_max = repo_config(r->repo)->inline_max, .tree = r->tree,
	    .parent_start = r->parent_start, .scan = r->start->scan,
	    .rec = &r->rec,
	    .p = &r->res->p };

	if (r->fresh != NULL) {
		wc.meta = meta_put;
		wc.meta_ctx = r;
	}
	memcpy(wc.parent_root, r->parent_root, BLOCK_ID_SIZE);
	wc.skip[0] = store_local_path(repo_store(r->repo));
	wc.skip[1] = repo_state_dir(r->repo);
	if (r->conf->stdin_name != NULL)
		return walk_stream(&wc);
	return walk_run(&wc, &r->start->want);
}

/* What the tree came to.  A stream has no directory that it lies in. */
static int
root_take(struct run *r)
{
	struct entry root;
	int err;

	err = pipe_finish(r->pipe, &root);
	if (err != 0)
		return err;
	memcpy(r->rec.root, root.tree_id, BLOCK_ID_SIZE);
	r->rec.totals = (struct gen_totals){ .files = root.files,
	    .dirs = root.dirs, .bytes = root.bytes };
	return r->conf->stdin_name != NULL ? 0 :
	    genrec_set_root_entry(&r->rec, &root);
}

/* All that the tree needs is durable; make the generation. */
static int
record(struct run *r)
{
	struct localmeta_head head = { .start = r->rec.start };
	struct generation g;
	int err;

	clock_gettime(CLOCK_REALTIME, &r->rec.end);
	writer_added(r->writer, &r->rec.added);
	err = generation_put(r->repo, &r->rec, &g);
	if (err != 0)
		return err;
	r->res->has_generation = 1;
	memcpy(r->res->id, g.id, GEN_ID_SIZE);
	timefmt_name(&r->rec.end, r->res->name);
	if (!r->astray)
		runfile_remove(&r->mark);
	if (r->fresh == NULL)
		return 0;
	memcpy(head.root, r->rec.root, BLOCK_ID_SIZE);
	memcpy(head.gen, g.id, GEN_ID_SIZE);
	err = atomic_load(&r->fresh_err);
	if (err == 0)
		err = localmeta_commit(r->fresh, &head);
	if (err != 0)
		log_warn(err, "cannot keep the tree of this run; the next "
		    "one will read all of the source");
	return 0;
}

static void
run_release(struct run *r)
{
	pipe_free(r->pipe);
	writer_free(r->writer);
	chunker_free(r->chunker);
	tree_free(r->tree);
	reader_free(r->reader);
	localmeta_close(r->old);
	localmeta_close(r->fresh);
	runfile_leave(&r->mark);
	if (r->start != r->conf->start)
		backup_forget(r->start);
	genrec_release(&r->rec);
}

int
backup_run(struct repo *repo, const struct backup_conf *conf,
    struct backup_result *result)
{
	struct run r = { .repo = repo, .conf = conf, .res = result,
	    .mark = RUNFILE_NONE, .start = conf->start };
	uint64_t missing = 0;
	int err;

	memset(result, 0, sizeof(*result));
	if (!conf->dry_run)
		repo_heals(repo);
	genrec_init(&r.rec);
	err = r.start != NULL ? 0 : backup_begin(conf, &r.start);
	if (err == 0)
		err = rec_begin(&r);
	if (err == 0 && conf->stdin_name == NULL)
		err = want_note(conf->paths, conf->npaths, r.start->path,
		    &r.rec, &missing);
	else if (err == 0)
		err = genrec_add_path(&r.rec, conf->stdin_name);
	result->p.errors = missing;
	if (err == 0)
		err = parent_find(&r);
	if (err == 0)
		err = machinery(&r);
	if (err == 0)
		err = walk(&r);
	if (err == 0)
		err = root_take(&r);
	if (err == 0)
		err = writer_flush(r.writer);
	if (r.writer != NULL)
		writer_added(r.writer, &result->p.added);
	if (err == 0 && !conf->dry_run)
		err = relist(&r);
	if (err == 0 && !conf->dry_run)
		err = record(&r);
	if (err != 0)
		settle(&r);
	run_release(&r);
	return err;
}
