/* SPDX-License-Identifier: Apache-2.0 */
/* firn: the table of subcommands, and what happens before and after one. */
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/process.h"
#include "store/store.h"
#include "tools/tool.h"

static const struct command *const commands[] = {
	&command_init, &command_backup, &command_generations, &command_ls,
	&command_cat, &command_restore, &command_thaw, &command_mount,
	&command_check, &command_key, &command_doctor, &command_tier,
	&command_cost, NULL
};

volatile int tool_stop;
static struct store_stop stop_store;

/* The first signal ends the command in order; so does the second one, at
 * once. */
static void
on_signal(int sig)
{
	if (tool_stop) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	tool_stop = 1;
	store_stop_fire(&stop_store);
}

static void
signals_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal }, old;

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, &old);
	if (old.sa_handler == SIG_IGN)	/* as nohup(1) has it */
		sigaction(SIGHUP, &old, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
help(FILE *f)
{
	size_t i;

	fprintf(f,
"usage: firn [-r REPO | -p PROFILE] COMMAND [OPTION...] [ARGUMENT...]\n"
"\n"
"Backups kept in a directory or in S3, used as directories.\n"
"\n"
"Commands:\n");
	for (i = 0; commands[i] != NULL; i++)
		fprintf(f, "  %-12s %s\n", commands[i]->name,
		    commands[i]->summary);
	fprintf(f,
"\n"
"Options of every command:\n"
"  -r, --repo REPO           s3://BUCKET[/PREFIX] or a directory;\n"
"                            else FIRN_REPOSITORY\n"
"  -p, --profile NAME        options from NAME.conf in ~/.config/firn or\n"
"                            /etc/firn\n"
"      --password-file FILE  password in the first line of FILE; else\n"
"                            FIRN_PASSWORD_FILE\n"
"      --password-command COMMAND\n"
"                            password in the first line that COMMAND prints;\n"
"                            else FIRN_PASSWORD_COMMAND; else you are asked\n"
"      --cache-dir DIR       local index and cache; else FIRN_CACHE_DIR\n"
"      --cache-size SIZE     most room for the disk cache, e.g. 20G\n"
"      --no-cache            no disk cache\n"
"      --region REGION, --endpoint URL, --path-style\n"
"                            where S3 is\n"
"      --sse s3|kms|kms:KEYID\n"
"                            encryption of new objects by the server as well\n"
"      --meta-class CLASS    storage class of all that is not file contents\n"
"      --bucket-owner ID     account that the bucket must be of\n"
"      --requester-pays      pay for requests to another's bucket\n"
"      --timeout SECONDS     how long a request to the store is retried\n"
"      --prices FILE         what S3 asks for, for estimates; else FIRN_PRICES\n"
"      --json                one JSON document, or JSON lines, on stdout\n"
"  -q, --quiet               no progress, no summary\n"
"  -v, --verbose             more; at the end, requests to the store and their\n"
"                            cost\n"
"  -h, --help                help; `firn COMMAND --help` for a command's\n"
"      --version             print the version\n"
"\n"
"Begin with:\n"
"  export FIRN_REPOSITORY=/srv/backup\n"
"  firn init\n"
"  firn backup /home\n"
"  firn mount /mnt\n"
"\n"
"Credentials for S3 come from where AWS's tools have them: the environment, a\n"
"profile, a web identity, the role of a container or instance; see firn(1).\n"
"`firn doctor` tries a bucket before it is trusted.\n"
"\n"
"Exit status: 0 done; 1 failed; 2 usage; 3 done, but some source files could\n"
"not be read; 10 no repository there; 12 wrong password or key;\n"
"130 interrupted.\n");
	return f == stdout ? EXIT_DONE : EXIT_USAGE;
}

static const struct command *
find(const char *name)
{
	size_t i;

	for (i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* Does this option take the next word? */
static int
is_valued(const char *word)
{
	static const char *const valued[] = { "-r", "-p", "--repo",
	    "--profile", "--password-file", "--password-command",
	    "--cache-dir", "--cache-size", "--region", "--endpoint",
	    "--sse", "--meta-class", "--bucket-owner", "--timeout",
	    "--prices", NULL };
	size_t k;

	for (k = 0; valued[k] != NULL; k++)
		if (strcmp(word, valued[k]) == 0)
			return 1;
	return 0;
}

/* What to say of words without a command. */
static int
no_command(int argc, char **argv)
{
	if (argc < 2)
		return help(stderr);
	if (is_valued(argv[argc - 1]))
		log_err(0, "option '%s' needs a value; `firn --help` lists the "
		    "options", argv[argc - 1]);
	else
		log_err(0, "which command? `firn --help` lists them");
	return EXIT_USAGE;
}

/* The command's word: the first that is no option and no option's value. */
static int
command_at(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (argv[i][0] != '-' || argv[i][1] == '\0')
			return i;
		i += is_valued(argv[i]);
	}
	return argc;
}

/* Of what was printed before any command ran. */
static int
printed(int status)
{
	return tool_flush() != 0 ? EXIT_FAILED : status;
}

/* `firn help ...`: words behind it become --help of a command.  -1 to go on. */
static int
help_command(int argc, char **argv, int at)
{
	if (at + 2 < argc) {
		log_err(0, "unexpected '%s'; want `firn help [COMMAND]`",
		    argv[at + 2]);
		return EXIT_USAGE;
	}
	if (at + 1 >= argc || strcmp(argv[at + 1], "help") == 0 ||
	    strcmp(argv[at + 1], "--help") == 0 ||
	    strcmp(argv[at + 1], "-h") == 0)
		return printed(help(stdout));
	argv[at] = argv[at + 1];
	argv[at + 1] = (char *)"--help";
	return -1;
}

/* As a program that does not catch it ends when nobody reads what it says. */
static void
pipe_closed(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

int
main(int argc, char **argv)
{
	struct tool t = { .conf = { .store = STORE_CONF_DEFAULT },
	    .password = { .stop = &tool_stop } };
	int at, i, status;
	char *word;

	process_init();
	setlocale(LC_CTYPE, "");
	log_init("firn", LOG_LEVEL_INFO);
	signals_init();
	t.conf.store.stop = &stop_store;
	at = command_at(argc, argv);
	if (at >= argc) {
		for (i = 1; i < argc; i++) {
			if (strcmp(argv[i], "--version") == 0)
				return printed(printf("firn %s\n",
				    PACKAGE_VERSION) < 0);
			if (strcmp(argv[i], "-h") == 0 ||
			    strcmp(argv[i], "--help") == 0)
				return printed(help(stdout));
		}
		return no_command(argc, argv);
	}
	if (strcmp(argv[at], "help") == 0) {
		status = help_command(argc, argv, at);
		if (status >= 0)
			return status;
	}
	t.command = find(argv[at]);
	if (t.command == NULL) {
		log_err(0, "no command '%s'; `firn --help` lists them",
		    argv[at]);
		return EXIT_USAGE;
	}
	/* The command's word first, so that getopt sees all the options. */
	word = argv[at];
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
	argv[1] = word;
	status = t.command->run(&t, argc - 1, argv + 1);
	if (tool_flush() != 0 && status == EXIT_DONE)
		status = EXIT_FAILED;
	tool_close(&t);
	if (tool_pipe_closed)
		pipe_closed();
	return status;
}
