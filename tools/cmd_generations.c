/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/tool.h"

enum { O_HOST = 256, O_SERIES, O_TAG, O_SINCE, O_UNTIL, O_LATEST };

static const struct option options[] = {
	{ "host", required_argument, NULL, O_HOST },
	{ "series", required_argument, NULL, O_SERIES },
	{ "tag", required_argument, NULL, O_TAG },
	{ "since", required_argument, NULL, O_SINCE },
	{ "until", required_argument, NULL, O_UNTIL },
	{ "latest", required_argument, NULL, O_LATEST },
	{ NULL, 0, NULL, 0 }
};

struct filter {
	const char *host, *series, *tag;
	struct timespec since, until;
	int has_since, has_until;
	uint64_t latest;	/* 0: all */
};

static int
has_tag(const struct genrec *r, const char *tag)
{
	size_t i;

	for (i = 0; i < r->ntags; i++)
		if (strcmp(r->tags[i], tag) == 0)
			return 1;
	return 0;
}

static int
passes(const struct filter *f, const struct genrec *r)
{
	if (f->host != NULL && strcmp(r->host, f->host) != 0)
		return 0;
	if (f->series != NULL && strcmp(r->series, f->series) != 0)
		return 0;
	if (f->tag != NULL && !has_tag(r, f->tag))
		return 0;
	if (f->has_since && r->end.tv_sec < f->since.tv_sec)
		return 0;
	return !f->has_until || r->end.tv_sec <= f->until.tv_sec;
}

static void
print_one(const struct generation *g)
{
	char hex[2 * GEN_ID_SIZE + 1], time[TIMEFMT_SIZE], size[16], added[16];
	size_t i;

	hex_encode(g->id, GEN_ID_SIZE, hex);
	timefmt_name(&g->rec.end, time);
	printf("%s  %s  %s/%s  %llu files  %s  +%s", hex, time, g->rec.host,
	    g->rec.series, (unsigned long long)g->rec.totals.files,
	    tool_size(g->rec.totals.bytes, size),
	    tool_size(g->rec.added.stored_bytes, added));
	for (i = 0; i < g->rec.ntags; i++)
		printf("%s%s", i == 0 ? "  " : ",", g->rec.tags[i]);
	if (g->rec.error_count > 0)
		printf("  (%llu errors)",
		    (unsigned long long)g->rec.error_count);
	for (i = 0; i < g->rec.npaths; i++) {
		putchar(i == 0 ? '\t' : ' ');
		tool_print_path(stdout, g->rec.paths[i],
		    strlen(g->rec.paths[i]));
	}
	putchar('\n');
}

static int
list(struct tool *t, const struct filter *f)
{
	struct generation_list l;
	size_t i, n = 0, seen = 0;
	int err, damaged;

	err = generation_list(t->repo, &l);
	if (err != 0)
		return tool_exit(err);
	for (i = 0; i < l.n; i++)
		n += (size_t)passes(f, &l.v[i].rec);
	for (i = 0; i < l.n && err == 0; i++) {
		if (!passes(f, &l.v[i].rec))
			continue;
		seen++;
		if (f->latest > 0 && n - seen >= f->latest)
			continue;
		if (t->json)
			err = tool_print_json(tool_generation_json(&l.v[i]));
		else
			print_one(&l.v[i]);
	}
	if (n == 0 && !t->json && !t->quiet)
		log_info(l.n > 0 ? "no generation is of that host, series, tag "
		    "and time; `firn generations` lists all" :
		    "no generations; `firn backup PATH` makes one");
	if (err == 0)
		err = tool_json_tail(t);
	damaged = l.damaged > 0;
	generation_list_release(&l);
	return err != 0 || damaged ? EXIT_FAILED : EXIT_DONE;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct filter f = { 0 };
	int c, status;

	while ((c = tool_option(t, argc, argv, "", options)) != -1) {
		switch (c) {
		case O_HOST:
			f.host = optarg;
			break;
		case O_SERIES:
			f.series = optarg;
			break;
		case O_TAG:
			f.tag = optarg;
			break;
		case O_SINCE:
			f.has_since = 1;
			if (timefmt_parse(optarg, &f.since) != 0)
				return tool_usage(t, "--since '%s': want a "
				    "time such as 2026-11-20T115739Z", optarg);
			break;
		case O_UNTIL:
			f.has_until = 1;
			if (timefmt_parse(optarg, &f.until) != 0)
				return tool_usage(t, "--until '%s': want a "
				    "time such as 2026-11-20T115739Z", optarg);
			break;
		case O_LATEST:
			if (tool_parse_uint(optarg, INT32_MAX, &f.latest) != 0
			    || f.latest == 0)
				return tool_usage(t, "--latest '%s': want a "
				    "number, 1 or more", optarg);
			break;
		default:
			return tool_usage_status(t);
		}
	}
	if (optind < argc)
		return tool_usage(t, "unexpected '%s'", argv[optind]);
	status = tool_open(t);
	return status != 0 ? status : list(t, &f);
}

const struct command command_generations = { "generations", run, "",
	"list generations",
	"List generations, the newest last: id, time, host/series, files, "
	"size, what it\nadded to the store, tags, paths.\n"
	"\n"
	"      --host HOST, --series SERIES, --tag TAG\n"
	"      --since TIME, --until TIME    such as 2026-11-20T115739Z\n"
	"      --latest N                    only the last N of them\n"
	"\n"
	"With --json one line a generation, and a last one with the requests to the "
	"store." };
