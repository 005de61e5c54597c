/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examine a store before it is trusted.  Needs no password, and no repository;
 * what it says of one comes from its config, which anybody can read.
 */
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "store/store_probe.h"
#include "tools/tool.h"

#define CONFIG_MAX	(1u << 20)
#define TIMEOUT		20	/* seconds, unless one is given */
#define TEXT_COLUMN	19	/* where the text of a finding begins */

enum { O_ROLE = 256, O_CLASSES };

static const struct option options[] = {
	{ "role", required_argument, NULL, O_ROLE },
	{ "classes", no_argument, NULL, O_CLASSES },
	{ NULL, 0, NULL, 0 }
};

static const char *const grade_name[] = { [STORE_OK] = "ok",
	[STORE_FACT] = "fact", [STORE_WARNING] = "warning",
	[STORE_MISSING] = "missing" };
static const char *const role_name[] = { [STORE_ROLE_OWNER] = "owner",
	[STORE_ROLE_READER] = "reader", [STORE_ROLE_WRITER] = "write-only" };

struct job {
	struct tool *t;
	enum store_role role;
	int classes;
	struct json *findings;
	unsigned count[4];	/* by grade */
};

static void
on_finding(void *ctx, const struct store_finding *f)
{
	struct job *j = ctx;
	struct json *o;

	j->count[f->grade]++;
	if (j->t->json) {
		o = json_object();
		json_set_str(o, "check", f->check);
		json_set_str(o, "grade", grade_name[f->grade]);
		json_set_bytes(o, "text", f->text, strlen(f->text));
		if (f->grant != NULL)
			json_set_str(o, "grant", f->grant);
		if (f->without != NULL)
			json_set_str(o, "without", f->without);
		if (f->unit != NULL) {
			json_set_real(o, "value", f->value);
			json_set_str(o, "unit", f->unit);
		}
		json_set(j->findings, NULL, o);
		return;
	}
	if (j->t->quiet && f->grade < STORE_WARNING)
		return;
	printf("%-8s %-15s ", grade_name[f->grade], f->check);
	tool_print_path(stdout, f->text, strlen(f->text));
	putchar('\n');
	if (f->grant != NULL)
		printf("%*s to have it: %s\n", TEXT_COLUMN + 5, "", f->grant);
	if (f->without != NULL)
		printf("%*s as it is: %s\n", TEXT_COLUMN + 5, "", f->without);
	fflush(stdout);
}

static void
found(struct job *j, const char *check, enum store_grade grade,
    const char *text, const char *without)
{
	const struct store_finding f = { .check = check, .grade = grade,
	    .text = text, .without = without };

	on_finding(j, &f);
}

/* What init found, and what is so now. */
static void
compare_conditional(struct job *j, struct store *s, const struct config *c)
{
	static const enum store_conditional then[] = {
		[CONFIG_COND_UNSAID] = STORE_COND_UNKNOWN,
		[CONFIG_COND_YES] = STORE_COND_YES,
		[CONFIG_COND_IGNORED] = STORE_COND_IGNORED,
		[CONFIG_COND_REFUSED] = STORE_COND_REFUSED,
	};
	enum store_conditional now = store_conditional_known(s);
	char text[160];

	if (c->conditional_writes == CONFIG_COND_UNSAID ||
	    now == STORE_COND_UNKNOWN || now == then[c->conditional_writes])
		return;
	snprintf(text, sizeof(text), "conditional writes were '%s' when the "
	    "repository was made, and are not now",
	    config_conditional_name(c->conditional_writes));
	found(j, "changed", STORE_FACT, text, "nothing depends on it any more; "
	    "versioning that was switched on or off, or a copy to another "
	    "server, may be why");
}

static void
repository_tell(struct job *j, struct store *s, const struct config *c,
    struct json *doc)
{
	char hex[2 * REPO_ID_SIZE + 1], text[128];
	struct json *o;

	hex_encode(c->repo_id, REPO_ID_SIZE, hex);
	snprintf(text, sizeof(text), "%s is there", hex);
	found(j, "repository", STORE_OK, text, NULL);
	compare_conditional(j, s, c);
	if (doc == NULL)
		return;
	o = json_object();
	json_set_str(o, "id", hex);
	if (c->conditional_writes != CONFIG_COND_UNSAID)
		json_set_str(o, "conditional_writes",
		    config_conditional_name(c->conditional_writes));
	json_set(doc, "repository", o);
}

/* Only asked where the store could be reached. */
static int
repository(struct job *j, struct store *s, struct json *doc)
{
	struct buf bytes = BUF_INIT(CONFIG_MAX);
	struct config c;
	int err = store_load(s, "config", &bytes);

	if (err == 0) {
		err = config_decode(bytes.data, bytes.len, &c);
		if (err == 0)
			repository_tell(j, s, &c, doc);
		else
			found(j, "repository", STORE_MISSING, "its config "
			    "cannot be read", "restore 'config' from a copy "
			    "of the repository");
	} else if (err == -ENOENT) {
		found(j, "repository", STORE_FACT, "there is none yet",
		    "make one with `firn init`");
	} else if (err != -EACCES && err != -ECANCELED) {
		found(j, "repository", STORE_MISSING, err_text(err), NULL);
	}
	buf_release(&bytes);
	return err == -ECANCELED ? err : 0;
}

static int
examine(struct job *j, struct json *doc)
{
	const struct store_probe_conf conf = { .role = j->role,
	    .classes = j->classes, .found = on_finding, .ctx = j };
	struct store *s;
	int readable = 0, err;

	err = store_open(j->t->conf.url, &j->t->conf.store, 0, &j->t->store);
	s = j->t->store;
	if (err != 0) {
		found(j, "reach", STORE_MISSING, err_text(err),
		    "nothing works");
		return 0;
	}
	if (tool_prices(j->t) != 0)
		return -EINVAL;
	err = store_probe(s, &conf, &readable);
	if (err == 0 && readable)
		err = repository(j, s, doc);
	return err;
}

static int
report(struct job *j, struct json *doc)
{
	if (doc != NULL) {
		json_set_str(doc, "url", j->t->conf.url);
		json_set_str(doc, "role", role_name[j->role]);
		json_set_bool(doc, "ok", j->count[STORE_MISSING] == 0);
		json_set_uint(doc, "missing", j->count[STORE_MISSING]);
		json_set_uint(doc, "warnings", j->count[STORE_WARNING]);
		json_set(doc, "findings", j->findings);
		tool_json_store(j->t, doc);
		return tool_print_json(doc);
	}
	if (!j->t->quiet)
		printf("%s: %s; %u missing, %u warnings\n", role_name[j->role],
		    j->count[STORE_MISSING] == 0 ? "all that is needed works" :
		    "not all that is needed works", j->count[STORE_MISSING],
		    j->count[STORE_WARNING]);
	return 0;
}

static int
role_option(struct job *j, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(role_name) / sizeof(role_name[0]); i++)
		if (strcmp(value, role_name[i]) == 0) {
			j->role = (enum store_role)i;
			return 0;
		}
	return tool_usage(j->t, "--role '%s': want owner, reader or write-only",
	    value);
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct job j = { .t = t };
	struct json *doc = NULL;
	int c, status = 0, err;

	while ((c = tool_option(t, argc, argv, "", options)) != -1) {
		if (c == O_ROLE)
			status = role_option(&j, optarg);
		else if (c == O_CLASSES)
			j.classes = 1;
		else
			return tool_usage_status(t);
		if (status != 0)
			return status;
	}
	if (optind < argc)
		return tool_usage(t, "unexpected '%s'", argv[optind]);
	status = tool_need_repo(t);
	if (status != 0)
		return status;
	if (t->conf.store.timeout == 0)
		t->conf.store.timeout = TIMEOUT;
	if (t->json) {
		doc = json_object();
		j.findings = json_array();
	}
	err = examine(&j, doc);
	if (err != 0) {
		json_free(j.findings);
		json_free(doc);
		return tool_exit(err);
	}
	err = report(&j, doc);
	return err == 0 && j.count[STORE_MISSING] > 0 ? EXIT_FAILED :
	    tool_exit(err);
}

const struct command command_doctor = { "doctor", run, "",
	"examine a store before it is trusted",
	"Try what firn will ask of the store, and say what works, what is "
	"missing, what\nwould grant it and what firn does without. Takes no "
	"password; there need be no\nrepository yet. What is put for it lies "
	"below probe/ and is deleted again\nwhere that is allowed.\n"
	"\n"
	"      --role ROLE    whose credentials these are: owner (the default), "
	"reader,\n"
	"                     or write-only for a host that may only add\n"
	"      --classes      put a tiny object in each storage class of S3; "
	"costs money,\n"
	"                     some classes for 30 to 180 days\n"
	"\n"
	"Each line begins with ok, fact, warning or missing. Exit status 1 when "
	"something\nis missing that the role needs." };
