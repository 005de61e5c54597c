/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/backup.h"
#include "backup/exclude.h"
#include "base/child.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "tools/tool.h"

enum { O_SERIES = 256, O_HOST, O_TAG, O_EXCLUDE, O_EXCLUDE_FROM,
    O_EXCLUDE_CACHES, O_FILES_FROM, O_FILES_FROM0, O_STDIN, O_STDIN_COMMAND,
    O_DRY_RUN, O_FORCE, O_LEVEL, O_THREADS, O_UPLOADS,
    O_TIER };

static const struct option options[] = {
	{ "series", required_argument, NULL, O_SERIES },
	{ "host", required_argument, NULL, O_HOST },
	{ "tag", required_argument, NULL, O_TAG },
	{ "exclude", required_argument, NULL, O_EXCLUDE },
	{ "exclude-from", required_argument, NULL, O_EXCLUDE_FROM },
	{ "exclude-caches", no_argument, NULL, O_EXCLUDE_CACHES },
	{ "one-file-system", no_argument, NULL, 'x' },
	{ "files-from", required_argument, NULL, O_FILES_FROM },
	{ "files-from0", required_argument, NULL, O_FILES_FROM0 },
	{ "stdin", required_argument, NULL, O_STDIN },
	{ "stdin-from-command", no_argument, NULL, O_STDIN_COMMAND },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "force", no_argument, NULL, O_FORCE },
	{ "level", required_argument, NULL, O_LEVEL },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "uploads", required_argument, NULL, O_UPLOADS },
	{ "tier", required_argument, NULL, O_TIER },
	{ NULL, 0, NULL, 0 }
};

struct job {
	struct tool *t;
	struct backup_conf conf;
	struct exclude *exclude;
	const char **paths;
	size_t npaths, paths_cap;
	struct buf lists[8];		/* contents of --files-from */
	unsigned nlists;
	const char *tags[64];
	size_t ntags;
	char host[256];
	char *series;
	int from_command;
	const char *command;
	struct child child;
	struct progress *progress;
};

static int
path_add(struct job *j, const char *path)
{
	const char **p;

	if (*path == '\0')
		return 0;
	if (j->npaths == j->paths_cap) {
		j->paths_cap = j->paths_cap > 0 ? 2 * j->paths_cap : 16;
		p = realloc(j->paths, j->paths_cap * sizeof(*p));
		if (p == NULL)
			return -ENOMEM;
		j->paths = p;
	}
	j->paths[j->npaths++] = path;
	return 0;
}

/* Paths from a file ("-": stdin), one a line or one a NUL. */
static int
files_from(struct job *j, const char *name, char end)
{
	struct buf *b;
	char *p, *next;
	int err;

	if (j->nlists == sizeof(j->lists) / sizeof(j->lists[0]))
		return log_plain(-EINVAL, "too many --files-from");
	b = &j->lists[j->nlists++];
	buf_init(b, 1u << 30);
	err = file_load(AT_FDCWD, strcmp(name, "-") == 0 ? "/dev/stdin" : name,
	    b);
	if (err == 0 && buf_cstr(b) == NULL)
		err = -ENOMEM;
	if (err != 0)
		return log_err(err, "cannot read the list '%s'", name);
	for (p = (char *)b->data; err == 0 && p < (char *)b->data + b->len;
	    p = next + 1) {
		next = memchr(p, end, b->len - (size_t)(p - (char *)b->data));
		if (next == NULL)
			next = (char *)b->data + b->len;
		*next = '\0';
		err = path_add(j, p);
	}
	return err;
}

static int
name_option(const struct tool *t, const char *option, const char *value)
{
	if (genrec_name_ok(value))
		return 0;
	return tool_usage(t, "--%s '%s': want 1 to 255 bytes of UTF-8 without '/' "
	    "and control characters, not '.', '..' or 'latest'", option, value);
}

static int
number_option(const struct tool *t, const char *option, const char *value,
    unsigned max, unsigned *out)
{
	uint64_t v;

	if (tool_parse_uint(value, max, &v) != 0)
		return tool_usage(t, "--%s '%s': want a number up to %u",
		    option, value, max);
	*out = (unsigned)v;
	return 0;
}

/* 0, or an exit status. */
static int
option(struct job *j, int c, char *arg)
{
	struct tool *t = j->t;
	unsigned v = 0;
	int status;

	switch (c) {
	case O_SERIES:
		j->conf.series = arg;
		return name_option(t, "series", arg);
	case O_HOST:
		j->conf.host = arg;
		return name_option(t, "host", arg);
	case O_TAG:
		if (j->ntags == sizeof(j->tags) / sizeof(j->tags[0]))
			return tool_usage(t, "too many tags");
		j->tags[j->ntags++] = arg;
		return name_option(t, "tag", arg);
	case O_EXCLUDE:
		return exclude_add(j->exclude, arg) != 0 ? EXIT_USAGE : 0;
	case O_EXCLUDE_FROM:
		return exclude_add_file(j->exclude, arg) != 0 ? EXIT_USAGE : 0;
	case O_EXCLUDE_CACHES:
		j->conf.exclude_caches = 1;
		return 0;
	case 'x':
		j->conf.one_file_system = 1;
		return 0;
	case O_FILES_FROM:
	case O_FILES_FROM0:
		return files_from(j, arg, c == O_FILES_FROM ? '\n' : '\0') !=
		    0 ? EXIT_USAGE : 0;
	case O_STDIN:
		j->conf.stdin_name = arg;
		if (*arg == '\0' || strlen(arg) > 255 || strchr(arg, '/') ||
		    strcmp(arg, ".") == 0 || strcmp(arg, "..") == 0)
			return tool_usage(t, "--stdin '%s': want the name of "
			    "a file, without '/'", arg);
		return 0;
	case O_STDIN_COMMAND:
		j->from_command = 1;
		return 0;
	case 'n':
		j->conf.dry_run = 1;
		return 0;
	case O_FORCE:
		j->conf.force = 1;
		return 0;
	case O_LEVEL:
		status = number_option(t, "level", arg, 19, &v);
		j->conf.level = (int)v;
		return status;
	case O_THREADS:
		return number_option(t, "threads", arg, 256, &j->conf.threads);
	case O_UPLOADS:
		return number_option(t, "uploads", arg, 64, &j->conf.uploads);
	case O_TIER:
		tool_class_warn(arg);
		return tool_set(t, "tier", arg) != 1 ? EXIT_USAGE : 0;
	}
	return tool_usage_status(t);
}

/* What a series is called when nobody says: its path, '/' as '-'. */
static int
series_default(struct job *j)
{
	const char *path = j->npaths > 0 ? j->paths[0] : j->conf.stdin_name;
	const char *from;
	char *real, *p;

	real = j->npaths > 0 ? realpath(path, NULL) : NULL;
	from = real != NULL ? real : path;
	while (*from == '/')
		from++;
	if (j->npaths > 1)
		from = "files";
	else if (*from == '\0')
		from = "root";
	j->series = strdup(from);
	free(real);
	if (j->series == NULL)
		return -ENOMEM;
	for (p = j->series; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	j->conf.series = j->series;
	return genrec_name_ok(j->series) ? 0 : log_plain(-EINVAL,
	    "no series can be named after '%s'; give --series NAME", path);
}

static void
on_progress(void *ctx, const struct backup_progress *p)
{
	struct job *j = ctx;
	char bytes[16], read[16], rate[16];
	double s;

	if (!progress_due(j->progress))
		return;
	s = progress_seconds(j->progress);
	progress_draw(j->progress, "%llu files, %s; read %s, %s/s%s%s",
	    (unsigned long long)p->files, tool_size(p->bytes, bytes),
	    tool_size(p->bytes_read, read),
	    tool_size(s > 0 ? (uint64_t)((double)p->bytes_read / s) : 0, rate),
	    p->path != NULL ? "  " : "", p->path != NULL ? p->path : "");
}

static void
on_item(void *ctx, const char *path, const char *what)
{
	struct job *j = ctx;

	tool_print_item(j->t, what, path, 0);
}

/* Whoever writes the stream may want the terminal. */
static void
on_stdin_look(void *ctx, int silent)
{
	struct job *j = ctx;

	child_look(&j->child, silent);
}

/* The command's status decides whether there is a generation. */
static int
on_stdin_done(void *ctx)
{
	struct job *j = ctx;
	char why[CHILD_WHY];
	int err;

	err = child_wait(&j->child, &tool_stop, 0, why);
	if (err == -EIO)
		return log_plain(err, "command '%s' %s; no generation was made",
		    j->command, why);
	if (err == -ECANCELED)
		tool_stop = 1;	/* also when only the command heard of it */
	else if (err != 0)
		log_err(err, "cannot wait for command '%s'", j->command);
	return err;
}

static int
command_start(struct job *j, char **argv)
{
	j->command = argv[0];
	if (child_start(&j->child, argv, -1, NULL) != 0)
		return EXIT_FAILED;
	j->conf.stdin_fd = j->child.out;
	return 0;
}

static int
arguments(struct job *j, int argc, char **argv)
{
	struct tool *t = j->t;
	int i;

	if (j->from_command && j->conf.stdin_name == NULL)
		return tool_usage(t, "--stdin-from-command needs --stdin NAME "
		    "for the file that it makes");
	if (j->conf.stdin_name != NULL && j->npaths > 0)
		return tool_usage(t, "--stdin and --files-from exclude each "
		    "other");
	if (j->from_command)
		return optind < argc ? 0 : tool_usage(t,
		    "which command? give it after the options");
	if (j->conf.stdin_name != NULL)
		return optind == argc ? 0 : tool_usage(t,
		    "--stdin takes no paths");
	for (i = optind; i < argc; i++) {
		if (*argv[i] == '\0')
			return tool_usage(t, "a path is empty");
		if (path_add(j, argv[i]) != 0)
			return EXIT_FAILED;
	}
	return j->npaths > 0 ? 0 : tool_usage(t, "back up what? give paths");
}

static void
report(struct job *j, const struct backup_result *r)
{
	char hex[2 * GEN_ID_SIZE + 1], size[16], added[16], read[16];
	double s = progress_seconds(j->progress);
	struct json *o;

	hex_encode(r->id, GEN_ID_SIZE, hex);
	if (j->t->json) {
		o = json_object();
		json_set_str(o, "type", "summary");
		if (r->has_generation) {
			json_set_str(o, "generation", hex);
			json_set_str(o, "time", r->name);
		}
		json_set_str(o, "host", j->conf.host);
		json_set_str(o, "series", j->conf.series);
		if (r->has_parent) {
			hex_encode(r->parent, GEN_ID_SIZE, hex);
			json_set_str(o, "parent", hex);
		}
		json_set_uint(o, "files", r->p.files);
		json_set_uint(o, "dirs", r->p.dirs);
		json_set_uint(o, "bytes", r->p.bytes);
		json_set_uint(o, "unchanged", r->p.unchanged);
		json_set_uint(o, "bytes_read", r->p.bytes_read);
		json_set_uint(o, "data_blocks", r->p.added.data_blocks);
		json_set_uint(o, "data_added", r->p.added.data_bytes);
		json_set_uint(o, "meta_blocks", r->p.added.meta_blocks);
		json_set_uint(o, "meta_added", r->p.added.meta_bytes);
		json_set_uint(o, "stored", r->p.added.stored_bytes);
		json_set_uint(o, "errors", r->p.errors);
		json_set_real(o, "seconds", s);
		tool_json_store(j->t, o);
		tool_print_json(o);
		return;
	}
	if (j->t->quiet)
		return;
	printf("%s%s%s/%s/%s: %llu files, %s (%llu unchanged); read %s, "
	    "stored %s in %.1f s\n", r->has_generation ? hex : "dry run",
	    r->has_generation ? "  " : ": ", j->conf.host, j->conf.series,
	    r->has_generation ? r->name : "-", (unsigned long long)r->p.files,
	    tool_size(r->p.bytes, size), (unsigned long long)r->p.unchanged,
	    tool_size(r->p.bytes_read, read), tool_size(r->has_generation ?
	    r->p.added.stored_bytes : r->p.added.data_bytes +
	    r->p.added.meta_bytes, added), s);
	if (r->p.errors > 0)
		printf("%llu file%s could not be read whole; the messages "
		    "above say why\n", (unsigned long long)r->p.errors,
		    r->p.errors == 1 ? "" : "s");
}

/* Whether the password is right takes a while to find out.  Meanwhile the
 * sources are looked at; not before, since somebody may be typing. */
static int
password_then_begin(void *ctx, int again, struct buf *out)
{
	struct job *j = ctx;
	int err = password_get(&j->t->password, again, out);

	if (err == 0 && j->conf.start == NULL)
		err = backup_begin(&j->conf, &j->conf.start);
	return err;
}

static int
go(struct job *j, char **argv)
{
	struct backup_result r;
	int status, err;

	j->t->conf.password = password_then_begin;
	j->t->conf.password_ctx = j;
	status = tool_open(j->t);
	if (status != 0)
		return status;
	if (progress_begin(j->t, &j->progress) != 0)
		return EXIT_FAILED;
	if (j->from_command)
		status = command_start(j, argv);
	if (status != 0) {
		progress_end(j->progress);
		return status;
	}
	if (j->conf.dry_run || j->t->verbose > 0)
		j->conf.item = on_item;
	err = backup_run(j->t->repo, &j->conf, &r);
	child_end(&j->child);
	status = tool_exit(err);
	progress_clear(j->progress);
	if (err == 0)
		report(j, &r);
	else if (tool_stop)
		log_info("interrupted; what was stored is found again by the "
		    "next backup");
	else if (err == -ENOSPC)
		log_info("make room and run it again; what was stored is found "
		    "again");
	progress_end(j->progress);
	return status == EXIT_DONE && r.p.errors > 0 ? EXIT_PARTIAL : status;
}

static void
job_release(struct job *j)
{
	backup_forget(j->conf.start);
	while (j->nlists > 0)
		buf_release(&j->lists[--j->nlists]);
	exclude_free(j->exclude);
	free(j->paths);
	free(j->series);
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct job j = { .t = t, .conf = { .level = 3,
	    .program = "firn " PACKAGE_VERSION, .progress = on_progress,
	    .stdin_look = on_stdin_look, .stdin_done = on_stdin_done,
	    .stop = &tool_stop, .stdin_fd = STDIN_FILENO },
	    .child = CHILD_INIT };
	int c, status = 0;

	if (exclude_new(&j.exclude) != 0)
		return EXIT_FAILED;
	if (gethostname(j.host, sizeof(j.host) - 1) != 0 ||
	    !genrec_name_ok(j.host))
		strcpy(j.host, "localhost");
	j.conf.host = j.host;
	while (status == 0 && (c = tool_option(t, argc, argv, "xn",
	    options)) != -1) {
		status = option(&j, c, optarg);
		if (c == '?') {
			job_release(&j);
			return status;
		}
	}
	if (status == 0)
		status = arguments(&j, argc, argv);
	if (status == 0 && j.conf.series == NULL && series_default(&j) != 0)
		status = EXIT_USAGE;
	j.conf.paths = j.paths;
	j.conf.npaths = j.npaths;
	j.conf.tags = j.tags;
	j.conf.ntags = j.ntags;
	j.conf.exclude = j.exclude;
	j.conf.ctx = &j;
	if (status == 0)
		status = go(&j, argv + optind);
	job_release(&j);
	return status;
}

const struct command command_backup = { "backup", run, "PATH...",
	"add a generation of these paths",
	"Back up files and directories. What has not changed since the last "
	"generation\nof the same host and series is taken over unread.\n"
	"\n"
	"      --series NAME         what is backed up; by default named after "
	"the path\n"
	"      --host NAME           by default this host's name\n"
	"      --tag TAG             may be given more than once\n"
	"      --exclude PATTERN     leave out; NAME anywhere, or /PATH; * ? [] "
	"and **;\n"
	"                            !PATTERN takes back\n"
	"      --exclude-from FILE   patterns, one a line\n"
	"      --exclude-caches      leave out what lies beside a CACHEDIR.TAG"
	"\n"
	"  -x, --one-file-system     stay on the file systems of the paths\n"
	"      --files-from FILE     paths from FILE, one a line ('-': stdin)\n"
	"      --files-from0 FILE    the same, each ended by a NUL\n"
	"      --stdin NAME          one file NAME from standard input\n"
	"      --stdin-from-command  with --stdin: run the arguments behind '--' "
	"as a\n"
	"                            command and take its output; no generation "
	"when it\n"
	"                            fails\n"
	"  -n, --dry-run             show what would be done, store nothing;\n"
	"                            what would be added is an upper bound\n"
	"      --force               read all, take nothing over\n"
	"      --level N             zstd level, 0 (store) to 19; default 3\n"
	"      --threads N           that hash and compress; default, and 0: one a\n"
	"                            processor\n"
	"      --uploads N           packs in upload at once; default, and 0: as\n"
	"                            many as make it faster\n"
	"      --tier CLASS          storage class of new file contents in S3; "
	"default:\n"
	"                            what `firn tier` shows\n"
	"\n"
	"Example: firn backup -x --exclude '*.o' /home /etc --series homes" };
