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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define COMMAND_MAX	(64u << 10)
#define SECONDS		120	/* somebody may have to touch a token */

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

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1: there may be more; 0: the end; -errno. */
static int
piece_read(struct child *c, struct buf *doc)
{
	char piece[4096];
	ssize_t n = read(c->out, piece, sizeof(piece));
	int err = n < 0 && errno != EINTR ? -errno : 0;

	child_look(c, 0);
	if (n > 0)
		err = buf_add(doc, piece, (size_t)n);
	explicit_bzero(piece, sizeof(piece));
	return err != 0 ? err : n != 0;
}

/* All that it prints: 0, or -errno. */
static int
output_read(struct child *c, const volatile int *stop, struct buf *doc)
{
	int64_t end = now_ms() + SECONDS * 1000;
	int ret, more = 1;

	while (more == 1) {
		ret = file_wait(c->out, stop);
		if (ret < 0)
			return ret;
		if (now_ms() > end)
			return -ETIMEDOUT;
		if (ret == 1) {
			more = piece_read(c, doc);
		} else {
			child_look(c, 1);
			/* What it left running may hold the pipe open. */
			more = !child_ended(c);
		}
	}
	return more;
}

/* -EACCES, logged; -ECANCELED, -ENOMEM. */
static int
failed(const struct s3_fetch *f, const char *role, int err, char *why)
{
	if (err == -ENOMEM || (err == -ECANCELED && s3_fetch_canceled(f)))
		return err;
	/* By the terminal's key, while it had that. */
	if (err == -ECANCELED)
		snprintf(why, CHILD_WHY, "was interrupted");
	if (err == -ECANCELED || err == -EIO)
		return log_plain(-EACCES, "%s %s; run it by hand to see why",
		    role, why);
	log_err(err, "cannot read what %s prints", role);
	return -EACCES;
}

static int
run(const struct s3_fetch *f, const char *role, char **argv, struct buf *doc)
{
	/* As a signal handler sets it. */
	const volatile int *stop = (const volatile int *)f->conf->canceled;
	struct child c = CHILD_INIT;
	char why[CHILD_WHY] = "failed";
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), err;

	if (null < 0) {
		log_err(-errno, "cannot open '/dev/null'");
		return -EACCES;
	}
	err = child_start(&c, argv, null, role);
	close(null);
	if (err != 0)
		return -EACCES;
	err = output_read(&c, stop, doc);
	if (err == 0)
		err = child_wait(&c, stop, SECONDS * 1000, why);
	child_end(&c);
	return err == 0 ? 0 : failed(f, role, err, why);
}

static int
use(const char *role, const struct buf *doc, struct s3_fetched *out)
{
	const char *why;

	if (s3_cred_json(doc->data, doc->len, S3_CRED_PROCESS, out, &why) != 0)
		return log_plain(-EACCES, "cannot use what %s prints: %s",
		    role, why);
	return 0;
}

int
s3_fetch_process(const struct s3_fetch *f, const char *profile,
    const char *command, struct s3_fetched *out)
{
	struct buf text = BUF_INIT(COMMAND_MAX), doc = BUF_INIT(S3_CRED_DOC_MAX);
	char role[512], **argv = NULL;
	size_t n = 0;
	int err = s3_process_split(command, &text, &n);

	snprintf(role, sizeof(role), "credential_process of profile '%s'",
	    profile);
	if (err == -EINVAL || (err == 0 && n == 0)) {
		err = log_plain(-EACCES, "%s has an open quote, or no command",
		    role);
	} else if (err == 0) {
		argv = argv_make(&text, n);
		err = argv == NULL ? -ENOMEM : buf_reserve(&doc, doc.max);
		if (err == 0)
			err = run(f, role, argv, &doc);
		if (err == 0)
			err = use(role, &doc, out);
	}
	free(argv);
	buf_release(&text);
	buf_wipe(&doc);
	return err;
}
