/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "repo/block_walk.h"
#include "repo/reader.h"
#include "repo/thaw_owner.h"
#include "tools/cmd_thaw.h"

enum { O_WAIT = 256, O_NO_WAIT, O_STATUS, O_LIST, O_CANCEL, O_CONTINUE,
    O_THEN_CACHE };

static const struct option options[] = {
	{ "tier", required_argument, NULL, THAWING_TIER },
	{ "days", required_argument, NULL, THAWING_DAYS_OPT },
	{ "budget", required_argument, NULL, THAWING_BUDGET },
	{ "yes", no_argument, NULL, THAWING_YES },
	{ "poll", required_argument, NULL, THAWING_POLL_OPT },
	{ "hasten", no_argument, NULL, THAWING_HASTEN },
	{ "wait", no_argument, NULL, O_WAIT },
	{ "no-wait", no_argument, NULL, O_NO_WAIT },
	{ "then-cache", no_argument, NULL, O_THEN_CACHE },
	{ "status", no_argument, NULL, O_STATUS },
	{ "list", no_argument, NULL, O_LIST },
	{ "cancel", no_argument, NULL, O_CANCEL },
	{ "continue", no_argument, NULL, O_CONTINUE },
	{ "dry-run", no_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 }
};

struct thaw_run {
	struct thawing w;
	int dry_run;
	int wait;
	int then_cache;
	int mode;		/* O_STATUS ...; 0: of a generation */
	int status;		/* the worst of several jobs */
};

/* Until all that is needed can be read. */
static int
follow(struct thaw_run *r)
{
	struct thaw_count left, gone;
	int status = 0;

	for (;;) {
		thawing_left(&r->w, &left, &gone);
		if (left.packs == 0)
			break;
		status = thawing_round(&r->w);
		if (status != 0)
			return status;
	}
	progress_clear(r->w.progress);
	thawing_done(&r->w);
	return gone.packs > 0 ? EXIT_FAILED : 0;
}

/* --- into the cache ----------------------------------------------------- */

static int
cache_block(void *ctx, const uint8_t id[BLOCK_ID_SIZE], uint64_t len)
{
	struct reader *rd = ctx;
	struct blockref ref;
	int err;

	(void)len;
	err = reader_get(rd, BLOCK_DATA, id, &ref);
	if (err == 0)
		blockref_put(rd, &ref);
	return err;
}

int
thaw_cache_check(const struct thawing *w)
{
	struct cache *cache = repo_cache(w->t->repo);
	struct thaw_count all = w->quote.all;
	struct cache_stats st = { .readonly = 0 };
	char size[16];

	if (cache == NULL) {
		log_err(0, "there is no disk cache to fill; leave out "
		    "--no-cache, or give a --cache-dir that can be written");
		return EXIT_FAILED;
	}
	cache_stats(cache, &st);
	if (st.readonly) {
		log_err(0, "the disk cache belongs to another process, such "
		    "as a mount, and cannot be filled; end that, or give "
		    "another --cache-dir");
		return EXIT_FAILED;
	}
	if (all.bytes > st.limit)
		log_warn(0, "the disk cache holds less than these packs, %s; "
		    "give a larger --cache-size", tool_size(all.bytes, size));
	return 0;
}

int
thaw_fill_cache(struct thawing *w, const struct generation *g,
    const char *const *paths, int npaths)
{
	struct block_visit v = { .block = cache_block, .ctx = w->rd,
	    .stop = &tool_stop };
	struct block_walk *walk = NULL;
	unsigned failed = 0;
	int err, i;

	err = block_walk_new(w->tree, &v, &walk);
	for (i = 0; i < npaths && err == 0; i++)
		err = block_walk_path(walk, g->rec.root, paths[i], &failed);
	block_walk_free(walk);
	return failed > 0 ? EXIT_FAILED : tool_exit(err);
}

/* --- of a generation ---------------------------------------------------- */

static void
summary(const struct thaw_run *r, int status)
{
	struct thaw_count left, gone;
	struct json *j;
	char text[PRICE_TEXT];

	thawing_left(&r->w, &left, &gone);
	if (r->w.t->json) {
		j = json_object();
		json_set_str(j, "type", "summary");
		if (r->dry_run)
			json_set_bool(j, "dry_run", 1);
		json_set_uint(j, "waiting", left.packs);
		json_set_uint(j, "missing", gone.packs);
		if (r->w.quote.priced)
			json_set_str(j, "spent", price_text(thawing_spent(&r->w),
			    text));
		if (r->w.job.name[0] != '\0' && left.packs > 0)
			json_set_str(j, "job", r->w.job.name);
		tool_json_store(r->w.t, j);
		tool_print_json(j);
		return;
	}
	/* What failed was said. */
	if (r->w.t->quiet || r->dry_run || (status != 0 &&
	    status != EXIT_INTERRUPTED && gone.packs == 0) || !r->w.looked)
		return;
	if (left.packs == 0)
		printf("everything that is there can be read now\n");
	else
		printf("%llu packs are on their way; `firn thaw --status` "
		    "tells how far they are\n",
		    (unsigned long long)left.packs);
}

static int
ask(struct thaw_run *r, const char *what)
{
	struct thaw_count left, gone;
	int status = 0;

	thawing_show(&r->w, what);
	if (r->dry_run)
		return 0;
	if (thawing_asks(&r->w)) {
		status = thawing_agree(&r->w);
		if (status == 0)
			status = thawing_ask(&r->w, what);
	}
	if (status == 0 && r->wait)
		status = follow(r);
	thawing_left(&r->w, &left, &gone);
	if (status == 0 && left.packs == 0)
		thawing_done(&r->w);
	return status == 0 && gone.packs > 0 ? EXIT_FAILED : status;
}

/* For people, and in the job's file. */
static void
describe(const struct generation *g, const char *const *paths, int npaths,
    struct buf *out)
{
	char hex[2 * GEN_ID_SIZE + 1];
	int i;

	hex_encode(g->id, GEN_ID_SIZE, hex);
	buf_printf(out, "%s", hex);
	for (i = 0; i < npaths && out->len < THAW_JOB_WHAT; i++)
		buf_printf(out, " %s", *paths[i] != '\0' ? paths[i] : "/");
	buf_cstr(out);
}

static int
of_paths(struct thaw_run *r, const struct generation *g,
    const char *const *paths, int npaths)
{
	struct buf what = BUF_INIT(1u << 20);
	struct thaw_plan_totals totals;
	int status, i;

	describe(g, paths, npaths, &what);
	status = thawing_begin(&r->w);
	for (i = 0; i < npaths && status == 0; i++)
		status = thawing_want(&r->w, g, paths[i]);
	if (status == 0)
		status = thawing_quote(&r->w);
	if (status == 0 && r->then_cache && !r->dry_run)
		status = thaw_cache_check(&r->w);
	if (status == 0)
		status = ask(r, what.data != NULL ? (char *)what.data : "");
	if (status == 0 && r->then_cache && !r->dry_run)
		status = thaw_fill_cache(&r->w, g, paths, npaths);
	if (r->w.set != NULL && status != EXIT_USAGE)
		summary(r, status);
	if (r->w.plan != NULL) {
		thaw_plan_totals(r->w.plan, &totals);
		if (totals.lost > 0)
			log_err(0, "%llu blocks of this are in no pack; `firn "
			    "check` tells which files they are missing in",
			    (unsigned long long)totals.lost);
		if (status == 0 && (totals.lost > 0 || totals.failed > 0))
			status = EXIT_FAILED;
	}
	thawing_end(&r->w);
	buf_release(&what);
	return status;
}

static int
of_generation(struct thaw_run *r, int argc, char **argv)
{
	struct generation_list gens;
	const struct generation *g;
	const char *path, *one[1];
	int status;

	status = tool_generation(r->w.t, argv[0], &gens, &g, &path);
	if (status != 0)
		return status;
	one[0] = path;
	if (argc > 1 && *path != '\0')
		status = tool_usage(r->w.t, "give GENERATION:PATH, or "
		    "GENERATION and PATHs");
	else if (argc > 1)
		status = of_paths(r, g, (const char *const *)argv + 1,
		    argc - 1);
	else
		status = of_paths(r, g, one, 1);
	generation_list_release(&gens);
	return status;
}

/* --- jobs that are there ------------------------------------------------ */

/* Make a job ours, as it is now: 1, or 0 with nothing to go on with. */
static int
job_claim(struct thaw_run *r, struct thaw_job *j, int *owner)
{
	struct repo *repo = r->w.t->repo;
	char name[THAW_JOB_NAME];
	int ret;

	ret = thaw_owner_claim(repo, j->name, owner);
	if (ret == 0)
		log_info("'%s' is of a mount or a command that is there, which "
		    "goes on with it", j->name);
	if (ret <= 0)
		return ret;
	/* Who had it may have written it meanwhile, or seen it done. */
	memcpy(name, j->name, sizeof(name));
	thaw_job_release(j);
	ret = thaw_job_load(repo, name, j);
	if (ret == 0 && (j->packs.n > 0 || !thaw_owner_counts(j)))
		return 1;
	thaw_owner_drop(repo, name, *owner);
	return ret < 0 ? ret : 0;
}

/* Trouble with one job is none of the next one's: the worst is kept.  What
 * somebody ended ends the walk; statuses are positive. */
static int
worse(struct thaw_run *conf, int status)
{
	if (status > conf->status)
		conf->status = status;
	return status == EXIT_INTERRUPTED ? status : 0;
}

static int
continue_one(void *ctx, struct thaw_job *j)
{
	struct thaw_run *conf = ctx, r = *conf;
	char what[THAW_JOB_WHAT];
	int status, owner;

	status = job_claim(&r, j, &owner);
	if (status <= 0)
		return worse(conf, tool_exit(status));
	memcpy(what, j->what, sizeof(what));
	status = thawing_take_job(&r.w, j, owner);
	if (status == 0)
		status = thawing_quote(&r.w);
	if (status == 0)
		status = ask(&r, what);
	if (status == 0)
		summary(&r, 0);
	conf->w.before = thawing_spent(&r.w);	/* the budget is for all jobs */
	thawing_end(&r.w);
	return worse(conf, status);
}

static int
run_jobs(struct thaw_run *r)
{
	int ret = tool_open(r->w.t);

	if (ret == 0)
		ret = thaw_job_each(r->w.t->repo, continue_one, r);
	return ret < 0 ? tool_exit(ret) : ret > 0 ? ret : r->status;
}

static int
run_mode(struct thaw_run *r, int argc, char **argv)
{
	switch (r->mode) {
	case O_STATUS:
		return thaw_status(r->w.t);
	case O_LIST:
		return thaw_list(r->w.t);
	case O_CANCEL:
		return thaw_cancel(r->w.t, argc, argv);
	default:
		return run_jobs(r);
	}
}

static int
check(struct thaw_run *r, int argc)
{
	if (r->mode == 0 && argc < 1)
		return tool_usage(r->w.t, "want GENERATION and perhaps PATHs, "
		    "or one of --status, --list, --cancel, --continue");
	if (r->mode != 0 && r->mode != O_CANCEL && argc > 0)
		return tool_usage(r->w.t, "--status, --list and --continue "
		    "take no GENERATION");
	if (r->then_cache && !r->wait)
		return tool_usage(r->w.t, "--then-cache has to --wait");
	if (r->then_cache && r->mode != 0)
		return tool_usage(r->w.t, "--then-cache needs a GENERATION");
	return 0;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct thaw_run r = { .w = THAWING_INIT(t) };
	int c, ret, status;

	while ((c = tool_option(t, argc, argv, "n", options)) != -1) {
		ret = thawing_option(&r.w, c, optarg);
		if (ret < 0)
			return EXIT_USAGE;
		if (ret == 1)
			continue;
		switch (c) {
		case O_WAIT:
			r.wait = 1;
			break;
		case O_NO_WAIT:
			r.wait = 0;
			break;
		case O_THEN_CACHE:
			r.then_cache = 1;
			break;
		case 'n':
			r.dry_run = 1;
			break;
		case O_STATUS:
		case O_LIST:
		case O_CANCEL:
		case O_CONTINUE:
			r.mode = c;
			break;
		default:
			return tool_usage_status(t);
		}
	}
	status = check(&r, argc - optind);
	if (status != 0)
		return status;
	return r.mode != 0 ? run_mode(&r, argc - optind, argv + optind) :
	    of_generation(&r, argc - optind, argv + optind);
}

const struct command command_thaw = { "thaw", run,
	"GENERATION [PATH...] | --status | --list | --cancel | --continue",
	"make archived data readable",
	"Ask S3 for readable copies of what a generation, or PATHs of it, needs "
	"of the\narchive (GLACIER, DEEP_ARCHIVE), and of nothing else.  First "
	"shows what each tier\nwould take and cost.\n"
	"\n"
	"      --tier expedited|standard|bulk\n"
	"                      how fast; default standard\n"
	"      --days N        that the copies last; default 2\n"
	"      --budget AMOUNT ask for nothing that would cost more, transfer "
	"aside\n"
	"      --yes           do not ask; needed where there is no terminal\n"
	"  -n, --dry-run       show the quote, ask for nothing\n"
	"      --wait          follow until all of it can be read; --no-wait is "
	"the default\n"
	"      --then-cache    then read it into the disk cache\n"
	"      --hasten        ask at this tier also for what is being thawed at "
	"one that is\n"
	"                      not known here\n"
	"      --poll SECONDS  between the first looks; default 30\n"
	"\n"
	"      --status        how far thaws are, of this host and of others\n"
	"      --list          what this host has asked for and not seen ready\n"
	"      --cancel [JOB...]\n"
	"                      ask for no more of it; what S3 has begun goes on, "
	"and is paid\n"
	"      --continue      go on with what was killed or interrupted\n"
	"\n"
	"The same command again asks for what is left, on any host: what is "
	"being thawed is\nnot asked or paid for twice.\n"
	"\n"
	"Example: firn thaw --tier bulk --wait latest /home/anna" };
