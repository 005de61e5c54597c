/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/log.h"
#include "repo/check.h"
#include "tools/tool.h"

enum { O_READ_DATA = 256, O_THREADS };

static const struct option options[] = {
	{ "read-data", no_argument, NULL, O_READ_DATA },
	{ "threads", required_argument, NULL, O_THREADS },
	{ NULL, 0, NULL, 0 }
};

struct job {
	struct tool *t;
	struct progress *progress;
	int read_data;
};

static void
on_problem(void *ctx, const char *object, const char *text)
{
	struct job *j = ctx;
	struct json *o;

	if (j->t->json) {
		o = json_object();
		json_set_str(o, "type", "problem");
		json_set_bytes(o, "object", object, strlen(object));
		json_set_str(o, "text", text);
		tool_print_json(o);
		return;
	}
	tool_print_path(stdout, object, strlen(object));
	printf(" %s\n", text);
}

static void
on_progress(void *ctx, const char *what, uint64_t done, uint64_t of,
    uint64_t bytes)
{
	struct job *j = ctx;
	char size[16];

	if (!progress_due(j->progress))
		return;
	if (of > 0)
		progress_draw(j->progress, "%s: %llu of %llu, %s read", what,
		    (unsigned long long)done, (unsigned long long)of,
		    tool_size(bytes, size));
	else
		progress_draw(j->progress, "%s: %llu", what,
		    (unsigned long long)done);
}

/* What was done, so that nobody takes it for more. */
static void
report_packs(const struct job *j, const struct check_result *r)
{
	uint64_t better = r->packs_read + r->packs_sha256 + r->packs_lost;
	char size[16];

	printf("%llu generations, %llu packs, %llu index segments; %llu blocks "
	    "compared, %s of packs read in %.1f s\n",
	    (unsigned long long)r->generations, (unsigned long long)r->packs,
	    (unsigned long long)r->segments, (unsigned long long)r->blocks,
	    tool_size(r->bytes, size), progress_seconds(j->progress));
	if (r->twice > 0)
		printf("%s of blocks are stored more than once; that is not "
		    "wrong\n", tool_size(r->twice, size));
	if (r->packs_read > 0)
		printf("%llu packs read and found right\n",
		    (unsigned long long)r->packs_read);
	if (r->packs_sha256 > 0)
		printf("%llu packs compared by size and by the SHA-256 that "
		    "the store has of them\n",
		    (unsigned long long)r->packs_sha256);
	if (!j->read_data && r->packs > better)
		printf("%llu packs compared by size only; --read-data reads "
		    "them\n", (unsigned long long)(r->packs - better));
	if (r->packs_lost > 0)
		printf("%llu packs are missing or have the wrong size%s\n",
		    (unsigned long long)r->packs_lost, r->problems > 0 ? "" :
		    "; no generation needs them any more");
	if (r->unused_packs > 0)
		printf("%llu packs are not in the index: of a backup under "
		    "way, or of one that was killed; the next backup of its "
		    "host takes them up\n",
		    (unsigned long long)r->unused_packs);
}

static void
report(const struct job *j, const struct check_result *r)
{
	struct json *o;

	if (j->t->json) {
		o = json_object();
		json_set_str(o, "type", "summary");
		json_set_uint(o, "packs", r->packs);
		json_set_uint(o, "packs_read", r->packs_read);
		json_set_uint(o, "packs_sha256", r->packs_sha256);
		json_set_uint(o, "packs_lost", r->packs_lost);
		json_set_uint(o, "unused_packs", r->unused_packs);
		json_set_uint(o, "segments", r->segments);
		json_set_uint(o, "generations", r->generations);
		json_set_uint(o, "files", r->files);
		json_set_uint(o, "blocks_compared", r->blocks);
		json_set_uint(o, "bytes_read", r->bytes);
		json_set_uint(o, "bytes_stored_twice", r->twice);
		json_set_uint(o, "problems", r->problems);
		json_set_uint(o, "files_hit", r->files_hit);
		json_set_real(o, "seconds", progress_seconds(j->progress));
		tool_json_store(j->t, o);
		tool_print_json(o);
		return;
	}
	if (!j->t->quiet)
		report_packs(j, r);
	if (r->problems > 0)
		printf("%llu problems; %llu files or directories of "
		    "generations cannot be read whole\n",
		    (unsigned long long)r->problems,
		    (unsigned long long)r->files_hit);
	else if (!j->t->quiet)
		printf("no problems\n");
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct check_conf conf = { .problem = on_problem,
	    .progress = on_progress, .stop = &tool_stop };
	struct check_result r;
	struct job j = { .t = t };
	uint64_t n;
	int c, status, err;

	while ((c = tool_option(t, argc, argv, "", options)) != -1) {
		if (c == O_READ_DATA)
			conf.read_data = 1;
		else if (c == O_THREADS && tool_parse_uint(optarg, 16, &n) ==
		    0)
			conf.threads = (unsigned)n;
		else if (c == O_THREADS)
			return tool_usage(t, "--threads '%s': want a number "
			    "up to 16", optarg);
		else
			return tool_usage_status(t);
	}
	if (optind < argc)
		return tool_usage(t, "unexpected '%s'", argv[optind]);
	/* What the disk cache has says nothing of the store. */
	t->conf.no_cache = 1;
	status = tool_open(t);
	if (status != 0)
		return status;
	if (progress_begin(t, &j.progress) != 0)
		return EXIT_FAILED;
	conf.ctx = &j;
	j.read_data = conf.read_data;
	err = check_run(t->repo, &conf, &r);
	progress_clear(j.progress);
	if (err == 0)
		report(&j, &r);
	progress_end(j.progress);
	return err == 0 && r.problems > 0 ? EXIT_FAILED : tool_exit(err);
}

const struct command command_check = { "check", run, "",
	"verify the repository",
	"Walk every generation: read and decrypt keys, records, index segments "
	"and trees,\nand see that every pack with a block that a file needs is "
	"there with the right\nsize; on S3 also that the SHA-256 that the store "
	"keeps of it is its name. Says\nwhich objects are damaged and which files "
	"are hit. The contents of files are not\nread without --read-data. "
	"Changes nothing in the repository.\n"
	"\n"
	"      --read-data    read, decrypt and compare every byte of every pack"
	"\n"
	"      --threads N    packs read at once; default, and 0: 2\n"
	"\n"
	"Exit status 1 when anything is wrong." };
