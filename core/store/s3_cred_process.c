/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that a command prints: credential_process.
 *
 * docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
 *
 * Run without a shell.  Its standard input is empty, since ours may be what is
 * being backed up, and its standard error is ours.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define COMMAND_MAX	(64u << 10)
#define SECONDS		120	/* somebody may have to touch a token */
#define SLICE		50	/* ms between looks at cancel */
#define GRACE		1000	/* ms from SIGTERM to SIGKILL */

extern char **environ;

struct child {
	pid_t pid;
	int out;	/* its standard output */
	int status;
	int ended;	/* and was waited for */
};

int
s3_process_split(const char *s, struct buf *text, size_t *n)
{
	char quote = '\0';
	int inside = 0;

	*n = 0;
	for (; *s != '\0'; s++) {
		if (*s == '\\' && quote != '\'' && s[1] != '\0' &&
		    (quote == '\0' || s[1] == '"' || s[1] == '\\')) {
			buf_add_u8(text, (uint8_t)*++s);
			inside = 1;
		} else if (*s == quote) {
			quote = '\0';
		} else if (quote == '\0' && (*s == '"' || *s == '\'')) {
			quote = *s;
			inside = 1;
		} else if (quote == '\0' && (*s == ' ' || *s == '\t')) {
			if (inside)
				buf_add_u8(text, 0);
			*n += (size_t)inside;
			inside = 0;
		} else {
			buf_add_u8(text, (uint8_t)*s);
			inside = 1;
		}
	}
	if (inside)
		buf_add_u8(text, 0);
	*n += (size_t)inside;
	return quote != '\0' ? -EINVAL : buf_err(text);
}

/* NULL without memory. */
static char **
argv_make(struct buf *text, size_t n)
{
	char **argv = calloc(n + 1, sizeof(*argv)), *s = (char *)text->data;
	size_t i;

	for (i = 0; argv != NULL && i < n; i++) {
		argv[i] = s;
		s += strlen(s) + 1;
	}
	return argv;
}

/* Signals as a program expects them, whatever ours are. */
static int
attr_make(posix_spawnattr_t *attr)
{
	sigset_t set;
	int err = posix_spawnattr_init(attr);

	if (err != 0)
		return -err;
	sigemptyset(&set);
	posix_spawnattr_setsigmask(attr, &set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	posix_spawnattr_setsigdefault(attr, &set);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETSIGDEF);
	return 0;
}

static int
spawn(char **argv, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err = -posix_spawn_file_actions_init(&files);

	if (err != 0)
		return err;
	err = attr_make(&attr);
	if (err != 0) {
		posix_spawn_file_actions_destroy(&files);
		return err;
	}
	err = -posix_spawn_file_actions_addopen(&files, STDIN_FILENO,
	    "/dev/null", O_RDONLY, 0);
	if (err == 0)
		err = -posix_spawn_file_actions_adddup2(&files, out,
		    STDOUT_FILENO);
	if (err == 0)
		err = -posix_spawnp(pid, argv[0], &files, &attr, argv,
		    environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

static int
child_start(struct child *c, char **argv)
{
	int fd[2], err;

	if (pipe2(fd, O_CLOEXEC) != 0)
		return -errno;
	err = spawn(argv, fd[1], &c->pid);
	close(fd[1]);
	if (err != 0) {
		close(fd[0]);
		return err;
	}
	c->out = fd[0];
	return 0;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
child_look(struct child *c)
{
	if (!c->ended && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->ended = 1;
}

/* 1: there may be more; 0: the end; -errno. */
static int
child_read(struct child *c, struct buf *doc)
{
	char piece[4096];
	struct pollfd p = { .fd = c->out, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, SLICE) <= 0) {
		/* What it left running may hold the pipe open. */
		child_look(c);
		return !c->ended;
	}
	n = read(c->out, piece, sizeof(piece));
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (n > 0)
		buf_add(doc, piece, (size_t)n);
	explicit_bzero(piece, sizeof(piece));
	return buf_err(doc) != 0 ? buf_err(doc) : n > 0;
}

/* Its output is complete, or nobody wants it any more. */
static void
child_end(struct child *c, int kill_it)
{
	int64_t start = now_ms();
	const struct timespec slice = { 0, 10 * 1000000L };

	if (kill_it)
		kill(c->pid, SIGTERM);
	for (child_look(c); !c->ended; child_look(c)) {
		if (now_ms() - start > GRACE)
			kill(c->pid, SIGKILL);
		nanosleep(&slice, NULL);
	}
	close(c->out);
}

static int
run(const struct s3_fetch *f, char **argv, struct buf *doc, int *status)
{
	struct child c = { .pid = 0 };
	int64_t start = now_ms();
	int err = child_start(&c, argv), more = 1;

	if (err != 0)
		return err;
	while (more == 1) {
		more = child_read(&c, doc);
		if (s3_fetch_canceled(f))
			more = -ECANCELED;
		else if (more == 1 && now_ms() - start > SECONDS * 1000)
			more = -ETIMEDOUT;
	}
	child_end(&c, more < 0);
	*status = c.status;
	return more;
}

static int
use(const char *profile, int status, const struct buf *doc,
    struct s3_fetched *out)
{
	const char *why;

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return log_plain(-EACCES, "credential_process of profile '%s' "
		    "ended with %s %d; run it by hand to see why", profile,
		    WIFEXITED(status) ? "status" : "signal", WIFEXITED(status) ?
		    WEXITSTATUS(status) : WTERMSIG(status));
	if (s3_cred_json(doc->data, doc->len, S3_CRED_PROCESS, out, &why) != 0)
		return log_plain(-EACCES, "cannot use what credential_process "
		    "of profile '%s' prints: %s", profile, why);
	return 0;
}

int
s3_fetch_process(const struct s3_fetch *f, const char *profile,
    const char *command, struct s3_fetched *out)
{
	struct buf text = BUF_INIT(COMMAND_MAX), doc = BUF_INIT(S3_CRED_DOC_MAX);
	char **argv = NULL;
	size_t n = 0;
	int status = 0, err = s3_process_split(command, &text, &n);

	if (err == -EINVAL || (err == 0 && n == 0)) {
		err = log_plain(-EACCES, "credential_process of profile '%s' "
		    "has an open quote, or no command", profile);
	} else if (err == 0) {
		argv = argv_make(&text, n);
		err = argv == NULL ? -ENOMEM : buf_reserve(&doc, doc.max);
		if (err == 0)
			err = run(f, argv, &doc, &status);
		if (err == 0)
			err = use(profile, status, &doc, out);
		else if (err != -ECANCELED && err != -ENOMEM) {
			log_err(err, "cannot run '%s', credential_process of "
			    "profile '%s'", argv[0], profile);
			err = -EACCES;
		}
	}
	free(argv);
	buf_release(&text);
	buf_wipe(&doc);
	return err;
}
