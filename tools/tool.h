/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands of firn share: options that all take, opening the
 * repository, output, progress, exit statuses.
 */
#ifndef FIRN_TOOLS_TOOL_H
#define FIRN_TOOLS_TOOL_H

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "repo/generation.h"
#include "repo/password.h"
#include "repo/repo.h"
#include "store/price.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTIAL = 3,
    EXIT_NO_REPOSITORY = 10, EXIT_WRONG_KEY = 12, EXIT_INTERRUPTED = 130 };

/* One invocation. */
struct tool {
	const struct command *command;
	struct repo_conf conf;
	struct password_source password;
	const char *profile;
	const char *prices;		/* --prices, or NULL */
	struct price_table *price;	/* of the open repository's store, or
					   NULL: it costs nothing that we
					   know of */
	char *owned[32];		/* strings of the profile */
	unsigned nowned;
	int json;
	int quiet;
	int verbose;
	int asked_help;
	struct repo *repo;
	struct store *store;	/* of a command without a repository */
	struct progress *progress;	/* the one being drawn, or NULL */
};

struct command {
	const char *name;
	/* Returns an exit status. */
	int (*run)(struct tool *t, int argc, char **argv);
	const char *args;	/* "PATH..." */
	const char *summary;	/* one line */
	const char *help;	/* its options and what to know */
};

/* profile.c: read NAME's file into t->conf and t->password.  0 or an exit
 * status. */
int profile_load(struct tool *t, const char *name);
/* Set an option by its long name, as a profile does: 1 known, 0 not, or
 * -EINVAL, logged.  value stays the caller's and must outlive t. */
int tool_set(struct tool *t, const char *name, const char *value);

/* Set when SIGINT, SIGTERM or SIGHUP came.  The store is cancelled then, also
 * while it is being opened. */
extern volatile int tool_stop;

/*
 * The next option of a command, as getopt_long() with the options that all
 * commands take handled here.  own ends with a zero entry; its codes are from
 * 256 up or single letters.  -1 at the end (optind is the first argument), '?'
 * when the command must return EXIT_USAGE (or tool_usage_status()).
 */
int tool_option(struct tool *t, int argc, char **argv, const char *letters,
    const struct option *own);
/* Close what is open. */
void tool_close(struct tool *t);
/* What to return after '?': EXIT_DONE when help was asked for. */
int tool_usage_status(const struct tool *t);
/* Print "firn COMMAND: TEXT" and how to get help; EXIT_USAGE. */
int tool_usage(const struct tool *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "64M", "10G", "1.5T": bytes.  -EINVAL. */
int tool_parse_size(const char *text, uint64_t *bytes);
int tool_parse_uint(const char *text, uint64_t max, uint64_t *value);

/* --kdf-memory: 0, or EXIT_USAGE with a message. */
int tool_kdf_memory(struct tool *t, const char *value);
/* The same for the --label of a key. */
int tool_label(const struct tool *t, const char *value);

/* Open the repository of the options into t->repo, once.  0 or an exit
 * status. */
int tool_open(struct tool *t);
/* Is this the URL of a bucket? */
int tool_url_is_s3(const char *url);
/* A storage class that is none of AWS's is warned of, and taken. */
void tool_class_warn(const char *class_name);
/* The repository must be named: 0, or EXIT_USAGE with a message. */
int tool_need_repo(struct tool *t);
int tool_exit(int err);

/* cost.c: load t->price for the open repository.  0, or EXIT_USAGE. */
int tool_prices(struct tool *t);
/* What was asked of the store so far: as member "store" of a summary, and for
 * people, to stderr. */
void tool_json_store(struct tool *t, struct json *summary);
void tool_print_store(struct tool *t);
/* With --json, a last line {"store": ...} behind lines that are no summary. */
int tool_json_tail(struct tool *t);

/* Print one JSON document and a newline to stdout; frees it.  A full disk or
 * closed pipe is -errno, logged. */
int tool_print_json(struct json *j);
/* For what failed to be written to stdout: log err, or, when nobody reads there
 * any more, set tool_pipe_closed in silence.  Returns err. */
int tool_print_failed(int err);
extern int tool_pipe_closed;
/*
 * Before what costs money: 0 when --yes was given, or who sits at the terminal
 * says yes; else an exit status.  what: "a thaw is paid for".
 */
int tool_agree(struct tool *t, int yes, const char *what);
/* Flush stdout: 0, or -errno logged, as above. */
int tool_flush(void);
/* A path as people may see it: control bytes, bytes that are not UTF-8 and
 * backslashes as \xNN. */
void tool_print_path(FILE *f, const char *path, size_t len);
/* What was done with a path, or with dry_run would have been: a line, or with
 * --json an item. */
void tool_print_item(const struct tool *t, const char *what, const char *path,
    int dry_run);
/* "1.5 GiB". */
const char *tool_size(uint64_t bytes, char out[16]);

/* A line redrawn on a terminal, at most ten times a second; nothing when
 * stderr is none, or with -q, but for SIGUSR1, which prints it once. */
struct progress;
int progress_begin(struct tool *t, struct progress **out);
/* Draws when it is time. */
int progress_due(struct progress *p);
void progress_draw(struct progress *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
double progress_seconds(const struct progress *p);
/* Take it off the terminal, before anything else is printed there. */
void progress_clear(struct progress *p);
void progress_end(struct progress *p);

/* Open the repository, load the list of generations and find one of it, as
 * generation_find_path(): 0 or exit status. */
int tool_generation(struct tool *t, char *what, struct generation_list *list,
    const struct generation **out, const char **path);
/* A generation as JSON. */
struct json *tool_generation_json(const struct generation *g);

extern const struct command command_init, command_backup,
    command_generations, command_ls, command_cat, command_restore,
    command_thaw, command_mount, command_check, command_key,
    command_doctor, command_tier, command_cost;

#endif
