/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backup/restore.h"
#include "base/err.h"
#include "base/log.h"
#include "tools/restore_thaw.h"

enum { O_OVERWRITE = 256, O_DELETE, O_VERIFY, O_THREADS, O_THAW,
    O_THEN_CACHE };

static const struct option options[] = {
	{ "overwrite", required_argument, NULL, O_OVERWRITE },
	{ "delete", no_argument, NULL, O_DELETE },
	{ "verify", no_argument, NULL, O_VERIFY },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "thaw", no_argument, NULL, O_THAW },
	{ "then-cache", no_argument, NULL, O_THEN_CACHE },
	{ "tier", required_argument, NULL, THAWING_TIER },
	{ "days", required_argument, NULL, THAWING_DAYS_OPT },
	{ "budget", required_argument, NULL, THAWING_BUDGET },
	{ "yes", no_argument, NULL, THAWING_YES },
	{ "poll", required_argument, NULL, THAWING_POLL_OPT },
	{ "hasten", no_argument, NULL, THAWING_HASTEN },
	{ NULL, 0, NULL, 0 }
};

static void
on_progress(void *ctx, uint64_t files, uint64_t bytes)
{
	struct progress *p = ctx;
	char size[16], rate[16];
	double s;

	if (p == NULL || !progress_due(p))
		return;
	s = progress_seconds(p);
	progress_draw(p, "%llu files, %s, %s/s", (unsigned long long)files,
	    tool_size(bytes, size), tool_size(s > 0 ? (uint64_t)((double)bytes
	    / s) : 0, rate));
}

struct job {
	struct tool *t;
	int dry_run;
	struct progress *progress;
	struct restore_thaw *thaw;	/* or NULL */
};

static int
job_ready(void *ctx, const struct entry *e, int there)
{
	return restore_thaw_ready(((struct job *)ctx)->thaw, e, there);
}

static void
job_cold(void *ctx, const struct entry *e)
{
	restore_thaw_cold(((struct job *)ctx)->thaw, e);
}

static void
job_progress(void *ctx, uint64_t files, uint64_t bytes)
{
	on_progress(((struct job *)ctx)->progress, files, bytes);
}

static void
job_file(void *ctx, const char *path, const struct entry *e, const char *what)
{
	struct job *j = ctx;

	(void)e;
	tool_print_item(j->t, what, path, j->dry_run);
}

static int
overwrite_option(const struct tool *t, const char *value,
    struct restore_conf *conf)
{
	if (strcmp(value, "if-changed") == 0)
		conf->overwrite = RESTORE_IF_CHANGED;
	else if (strcmp(value, "always") == 0)
		conf->overwrite = RESTORE_ALWAYS;
	else if (strcmp(value, "never") == 0)
		conf->overwrite = RESTORE_NEVER;
	else
		return tool_usage(t, "--overwrite '%s': want if-changed, "
		    "always or never", value);
	return 0;
}

static void
report(const struct job *j, const struct restore_result *r)
{
	char size[16];
	struct json *o;

	if (j->t->json) {
		o = json_object();
		json_set_str(o, "type", "summary");
		if (j->dry_run)
			json_set_bool(o, "dry_run", 1);
		json_set_uint(o, "files", r->files);
		json_set_uint(o, "dirs", r->dirs);
		json_set_uint(o, "bytes", r->bytes);
		json_set_uint(o, "unchanged", r->unchanged);
		json_set_uint(o, "failed", r->failed);
		json_set_real(o, "seconds", progress_seconds(j->progress));
		tool_json_store(j->t, o);
		tool_print_json(o);
	} else if (!j->t->quiet) {
		printf("%s%llu files and %llu directories, %s; %llu unchanged, "
		    "%llu failed; %.1f s\n", j->dry_run ? "would restore " : "",
		    (unsigned long long)r->files,
		    (unsigned long long)r->dirs, tool_size(r->bytes, size),
		    (unsigned long long)r->unchanged,
		    (unsigned long long)r->failed,
		    progress_seconds(j->progress));
	}
	if (r->cold > 0)
		log_err(0, "%llu files are archived; `firn restore --thaw` "
		    "makes them readable and restores them, `firn thaw "
		    "--dry-run` tells what that costs",
		    (unsigned long long)r->cold);
	if (r->skipped_owners > 0)
		log_warn(0, "%u files keep your owner and group: only root "
		    "can give files to others", r->skipped_owners);
}

static int
restore(struct tool *t, const struct generation *g, const char *path,
    const char *target, struct restore_conf *conf, struct restore_thaw *thaw)
{
	struct job j = { .t = t, .dry_run = conf->dry_run, .thaw = thaw };
	struct restore_result r = { 0 };
	struct reader *rd = NULL;
	int status = 0;
	struct tree *tree = NULL;
	struct entry root;
	int err;

	conf->root = genrec_root_entry(&g->rec, &root) == 1 ? &root : NULL;
	conf->progress = job_progress;
	conf->ctx = &j;
	if (thaw != NULL) {
		conf->ready = job_ready;
		conf->cold = job_cold;
	}
	if (conf->dry_run || t->verbose > 0)
		conf->file = job_file;
	err = progress_begin(t, &j.progress);
	if (err == 0)
		err = reader_new(t->repo, NULL, &rd);
	if (err == 0)
		err = tree_new(rd, 16u << 20, &tree);
	if (err == 0)
		err = thaw != NULL ? restore_thaw_pass(thaw, tree, g, path,
		    target, conf, &r) : restore_run(tree, g->rec.root, path,
		    target, conf, &r);
	if (err == 0 && thaw != NULL)
		status = restore_thaw_rest(thaw, tree, g, path, target, conf,
		    &r);
	if (err == 0)
		progress_clear(j.progress);
	if (err == 0)
		report(&j, &r);
	progress_end(j.progress);
	tree_free(tree);
	reader_free(rd);
	if (err == 0 && status != 0)
		return status;
	return err == 0 && r.failed > 0 ? EXIT_FAILED : tool_exit(err);
}

/* The same, and before it the thaw. */
static int
thaw_and_restore(struct tool *t, const struct generation *g, const char *path,
    const char *target, struct restore_conf *conf, struct restore_thaw *thaw)
{
	int status;

	status = restore_thaw_begin(thaw, g, path, target, conf);
	/* To compare, what is not thawed yet would have to be read. */
	if (conf->dry_run)
		conf->verify = 0;
	if (status == 0)
		status = restore(t, g, path, target, conf,
		    conf->dry_run ? NULL : thaw);
	if (status == 0 && thaw->then_cache && !conf->dry_run)
		status = thaw_fill_cache(&thaw->w, g, &path, 1);
	restore_thaw_end(thaw);
	return status;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct restore_conf conf = { 0 };
	struct restore_thaw thaw = { .w = THAWING_INIT(t) };
	struct generation_list gens;
	const struct generation *g;
	uint64_t n;
	const char *path;
	int c, status = 0, ret, thaws = 0, of_thaw = 0;

	while ((c = tool_option(t, argc, argv, "n", options)) != -1) {
		ret = thawing_option(&thaw.w, c, optarg);
		if (ret < 0)
			return EXIT_USAGE;
		of_thaw |= ret;
		if (ret == 1)
			continue;
		switch (c) {
		case O_THAW:
			thaws = 1;
			break;
		case O_THEN_CACHE:
			thaw.then_cache = 1;
			of_thaw = 1;
			break;
		case O_OVERWRITE:
			status = overwrite_option(t, optarg, &conf);
			break;
		case O_DELETE:
			conf.delete = 1;
			break;
		case O_VERIFY:
			conf.verify = 1;
			break;
		case 'n':
			conf.dry_run = 1;
			break;
		case O_THREADS:
			if (tool_parse_uint(optarg, 64, &n) != 0)
				return tool_usage(t, "--threads '%s': want a "
				    "number up to 64", optarg);
			conf.threads = (unsigned)n;
			break;
		default:
			return tool_usage_status(t);
		}
		if (status != 0)
			return status;
	}
	if (optind + 2 != argc)
		return tool_usage(t, "want GENERATION[:PATH] and DIR");
	if (*argv[optind + 1] == '\0')
		return tool_usage(t, "DIR is empty");
	if (of_thaw && !thaws)
		return tool_usage(t, "--tier, --days, --budget, --yes, --poll, "
		    "--hasten and --then-cache belong to --thaw");
	/* A directory is there by the second pass, and would be left as it was
	 * made by the first. */
	if (thaws && conf.overwrite == RESTORE_NEVER)
		return tool_usage(t, "--thaw and --overwrite never exclude "
		    "each other: files come in several passes; give if-changed "
		    "or a DIR that is empty");
	status = tool_generation(t, argv[optind], &gens, &g, &path);
	if (status != 0)
		return status;
	/* What lies above the sources is not the generation's to delete. */
	conf.sources = (const char *const *)g->rec.paths;
	conf.nsources = g->rec.npaths;
	conf.stop = &tool_stop;
	status = thaws ? thaw_and_restore(t, g, path, argv[optind + 1], &conf,
	    &thaw) : restore(t, g, path, argv[optind + 1], &conf, NULL);
	generation_list_release(&gens);
	return status;
}

const struct command command_restore = { "restore", run,
	"GENERATION[:PATH] DIR", "copy files out in bulk",
	"Copy a generation, or PATH of it, into DIR, as `cp -a` from the mount "
	"would.\nRunning it again does what is left.\n"
	"\n"
	"      --overwrite if-changed|always|never\n"
	"                      files that are there: by default those are "
	"replaced that\n"
	"                      differ in size or time\n"
	"      --delete        remove what the generation does not have\n"
	"      --verify        read every file back and compare\n"
	"  -n, --dry-run       show what would be done\n"
	"      --threads N     files written at once; default, and 0: 4\n"
	"\n"
	"      --thaw          of what is archived, ask S3 for readable copies, "
	"restore what\n"
	"                      can be read, and the rest as it arrives; takes "
	"--tier, --days,\n"
	"                      --budget, --yes, --hasten and --poll as `firn "
	"thaw` does\n"
	"      --then-cache    and leave it in the disk cache\n"
	"\n"
	"Without PATH the full source paths appear below DIR; with the PATH of "
	"a\ndirectory its contents do.\n"
	"\n"
	"Example: firn restore latest:/home/anna /tmp/anna" };
