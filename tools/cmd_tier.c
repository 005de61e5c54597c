/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where data packs live: show it, and say where new ones go.  What moves packs,
 * and the bucket's lifecycle rule, is in tier_move.c and tier_rule.c.
 */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/cmd_tier.h"

static const struct option options[] = {
	{ "older-than", required_argument, NULL, TIER_OLDER },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "yes", no_argument, NULL, TIER_YES },
	{ NULL, 0, NULL, 0 }
};

static void
show_people(const struct census *c, const struct repo_tier *t,
    const struct store_lifecycle *rule)
{
	const struct census_group *g;
	char size[16], time[TIMEFMT_SIZE];
	size_t i;

	printf("%-20s %-16s %10s %12s\n", "CLASS", "STATE", "PACKS", "BYTES");
	for (i = 0; i < c->n; i++) {
		g = &c->group[i];
		printf("%-20s %-16s %10llu %12s\n", g->class_name[0] != '\0' ?
		    g->class_name : "-", census_state(g),
		    (unsigned long long)g->objects, tool_size(g->bytes, size));
	}
	if (t == NULL) {
		printf("A directory has no storage classes.\n");
		return;
	}
	if (t->class_name[0] != '\0') {
		timefmt_name(&t->set, time);
		printf("New file contents go to %s (set %s).\n", t->class_name,
		    time);
	} else {
		printf("New file contents go to STANDARD, or where --tier says; "
		    "`firn tier set CLASS` changes it.\n");
	}
	if (rule != NULL)
		tier_rule_print(rule);
}

static struct json *
show_json(const struct census *c, const struct repo_tier *t,
    const struct store_lifecycle *rule)
{
	struct json *j = json_object(), *all = json_array(), *o;
	char time[TIMEFMT_SIZE];
	size_t i;

	for (i = 0; i < c->n; i++) {
		o = json_object();
		json_set_str(o, "class", c->group[i].class_name);
		json_set_str(o, "state", census_state(&c->group[i]));
		json_set_uint(o, "packs", c->group[i].objects);
		json_set_uint(o, "bytes", c->group[i].bytes);
		json_set(all, NULL, o);
	}
	json_set(j, "classes", all);
	if (t != NULL && t->class_name[0] != '\0') {
		o = json_object();
		timefmt_iso(&t->set, time);
		json_set_str(o, "class", t->class_name);
		json_set_str(o, "set", time);
		json_set(j, "default", o);
	}
	if (rule != NULL)
		tier_rule_json(rule, j);
	return j;
}

static int
show(struct tier_run *r)
{
	struct store *s = repo_store(r->t->repo);
	int local = store_local_path(s) != NULL, err, has_rule = 0;
	struct store_lifecycle rule;
	struct repo_tier tier = { .class_name = "" };
	struct census *c = &r->census;
	struct json *j;

	err = census_take(c, s, "data/");
	if (err == 0 && !local)
		err = repo_tier_get(r->t->repo, &tier);
	/* Who may not read the rules may still see the rest. */
	if (err == 0 && !local)
		has_rule = store_lifecycle_get(s, &rule) == 0;
	if (err != 0)
		return tool_exit(err);
	if (!r->t->json) {
		show_people(c, local ? NULL : &tier, has_rule ? &rule : NULL);
		return EXIT_DONE;
	}
	j = show_json(c, &tier, has_rule ? &rule : NULL);
	tool_json_store(r->t, j);
	return tool_exit(tool_print_json(j));
}

int
tier_class(struct tier_run *r, const char *text)
{
	if (!config_class_valid(text))
		return tool_usage(r->t, "'%s' is no storage class; want one "
		    "such as STANDARD, GLACIER_IR, GLACIER or DEEP_ARCHIVE",
		    text);
	if (store_local_path(repo_store(r->t->repo)) != NULL) {
		log_err(0, "'%s' is a directory and has no storage classes",
		    store_url(repo_store(r->t->repo)));
		return EXIT_FAILED;
	}
	tool_class_warn(text);
	return 0;
}

static int
set(struct tier_run *r, const char *class_name)
{
	int status = tier_class(r, class_name), err;
	struct json *j;

	if (status != 0)
		return status;
	err = r->dry_run ? 0 : repo_tier_set(r->t->repo, class_name);
	if (err != 0)
		return tool_exit(err);
	if (r->t->json) {
		j = json_object();
		json_set_str(j, "class", class_name);
		tool_json_store(r->t, j);
		return tool_exit(tool_print_json(j));
	}
	if (!r->t->quiet)
		printf("new file contents %s to %s; what is there stays where "
		    "it is, see `firn tier move`\n", r->dry_run ? "would go" :
		    "go", class_name);
	return EXIT_DONE;
}

static int
option(struct tier_run *r, int c, const char *arg)
{
	uint64_t v;

	if (c == 'n')
		r->dry_run = 1;
	else if (c == TIER_YES)
		r->yes = 1;
	else if (c != TIER_OLDER)
		return tool_usage_status(r->t);
	else if (tool_parse_uint(arg, 100000, &v) != 0)
		return tool_usage(r->t, "--older-than '%s': want days", arg);
	else {
		r->older = (unsigned)v;
		r->older_given = 1;
	}
	return -1;
}

/* The words behind the command, once the repository is open. */
static int
dispatch(struct tier_run *r, int n, char **word)
{
	if (n == 0 || (n == 1 && strcmp(word[0], "show") == 0))
		return show(r);
	if (n == 2 && strcmp(word[0], "set") == 0)
		return set(r, word[1]);
	if (n == 2 && strcmp(word[0], "move") == 0)
		return tier_move(r, word[1]);
	if (n == 2 && strcmp(word[0], "rule") == 0 &&
	    strcmp(word[1], "none") == 0)
		return tier_rule(r, NULL, NULL);
	return tier_rule(r, word[1], word[2]);
}

static int
words_ok(int n, char **word)
{
	if (n == 0)
		return 1;
	if (strcmp(word[0], "show") == 0)
		return n == 1;
	if (strcmp(word[0], "set") == 0 || strcmp(word[0], "move") == 0)
		return n == 2;
	if (strcmp(word[0], "rule") == 0)
		return n == 3 || (n == 2 && strcmp(word[1], "none") == 0);
	return 0;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct tier_run r = { .t = t };
	int c, status;

	while ((c = tool_option(t, argc, argv, "n", options)) != -1) {
		status = option(&r, c, optarg);
		if (status != -1)
			return status;
	}
	if (!words_ok(argc - optind, argv + optind))
		return tool_usage(t, "want nothing, or one of: set CLASS; "
		    "move CLASS; rule CLASS DAYS; rule none");
	if (r.older_given && (optind >= argc ||
	    strcmp(argv[optind], "move") != 0))
		return tool_usage(t, "--older-than goes with move");
	status = tool_open(t);
	return status != 0 ? status : dispatch(&r, argc - optind,
	    argv + optind);
}

const struct command command_tier = { "tier", run,
	"[set CLASS | move CLASS | rule CLASS DAYS | rule none]",
	"show and choose the storage classes of file contents",
	"Without words: how many data packs lie in which storage class, how many "
	"of them\nhave to be thawed before they are read, where new ones go, and "
	"the bucket's\nlifecycle rule for them. Only data packs (contents of "
	"files) are ever moved; names,\ntrees and indexes stay readable at once.\n"
	"\n"
	"  set CLASS              where new contents go, from all hosts, unless a "
	"backup\n"
	"                         names another class; moves nothing\n"
	"  move CLASS             have S3 copy what is readable into CLASS, pack by "
	"pack;\n"
	"                         can be stopped and run again\n"
	"  rule CLASS DAYS        have the bucket move data packs into CLASS when "
	"they are\n"
	"                         DAYS old; rules of others are not touched\n"
	"  rule none              take that rule away\n"
	"\n"
	"      --older-than DAYS  move: only packs at least so old\n"
	"  -n, --dry-run          say what would be done, and what it costs\n"
	"      --yes              do not ask before what costs money\n"
	"\n"
	"Classes: STANDARD, STANDARD_IA, ONEZONE_IA and GLACIER_IR are read at once;"
	"\nGLACIER and DEEP_ARCHIVE have to be thawed, for hours and a fee;\n"
	"INTELLIGENT_TIERING may archive by itself where the bucket says so. All but"
	"\nSTANDARD ask for more by request or by least duration: `firn cost`.\n"
	"In a bucket that keeps versions, a move leaves the old version behind." };
