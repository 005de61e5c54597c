/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords from files, commands and terminals. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/child.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "repo/password.h"

/* Keep the first line of what was read. */
static int
first_line(struct buf *b, const char *from)
{
	const uint8_t *nl = b->len > 0 ? memchr(b->data, '\n', b->len) : NULL;

	if (nl != NULL)
		b->len = (size_t)(nl - b->data);
	if (b->len > 0 && b->data[b->len - 1] == '\r')
		b->len--;
	if (b->len == 0)
		return log_plain(-EINVAL, "the password from %s is empty", from);
	return 0;
}

static int
from_file(const char *path, struct buf *out)
{
	char from[256];
	int err;

	err = file_load(AT_FDCWD, path, out);
	if (err != 0)
		return log_err(err, "cannot read the password file '%s'",
		    path);
	snprintf(from, sizeof(from), "'%s'", path);
	return first_line(out, from);
}

/* All that the command writes. */
static int
command_read(struct child *c, const volatile int *stop, struct buf *out)
{
	char piece[512];
	ssize_t n = 1;
	int ret = 0;

	while (n > 0 && (ret = file_wait(c->out, stop)) >= 0) {
		if (ret == 0) {
			child_look(c, 1);
			continue;
		}
		n = read(c->out, piece, sizeof(piece));
		if (n > 0) {
			child_look(c, 0);
			buf_add(out, piece, (size_t)n);
		} else if (n < 0 && errno != EINTR) {
			ret = log_err(-errno, "cannot read from the password "
			    "command");
		} else if (n < 0) {
			n = 1;
		}
	}
	explicit_bzero(piece, sizeof(piece));
	return ret < 0 ? ret : 0;
}

static int
from_command(const char *command, const volatile int *stop, struct buf *out)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)command,
	    NULL };
	struct child c = CHILD_INIT;
	char why[CHILD_WHY];
	int err;

	err = child_start(&c, argv, -1, "the password command");
	if (err == 0)
		err = command_read(&c, stop, out);
	if (err == 0) {
		err = child_wait(&c, stop, 0, why);
		if (err == -EIO)
			log_plain(err, "the password command %s; run it by "
			    "hand to see why: %s", why, command);
	}
	child_end(&c);
	if (err != 0)
		return err;
	if (buf_err(out) != 0)
		return log_plain(-EINVAL, "the password is longer than %d bytes",
		    PASSWORD_MAX);
	return first_line(out, "the password command");
}

/* One line from a terminal without echo. */
static int
ask(int tty, const char *prompt, const volatile int *stop, struct buf *out)
{
	struct termios old, quiet;
	ssize_t n = 1;
	char c = '\0';
	int echo, ret = 0;

	/* First, since it drops what was typed before anybody asked. */
	echo = tcgetattr(tty, &old) == 0;
	if (echo) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		tcsetattr(tty, TCSAFLUSH, &quiet);
	}
	dprintf(tty, "%s: ", prompt);
	while (n > 0 && c != '\n' && (ret = file_wait(tty, stop)) >= 0) {
		if (ret == 0)
			continue;
		n = read(tty, &c, 1);
		if (n == 1 && c != '\n')
			buf_add(out, &c, 1);
		else if (n < 0)
			ret = -errno;
	}
	if (echo)
		tcsetattr(tty, TCSAFLUSH, &old);
	dprintf(tty, "\n");
	return ret < 0 ? ret : buf_err(out);
}

static int
from_terminal(const struct password_source *s, int again, struct buf *out)
{
	const char *prompt = s->fresh ? "new password" : "password";
	const volatile int *stop = s->stop;
	struct buf second = BUF_INIT(PASSWORD_MAX);
	char repeat[128];
	int tty, err;

	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return log_plain(-ENOTTY, "no %s: there is no terminal to ask "
		    "on; %s", prompt, s->fresh ? "give --new-password-file or "
		    "--new-password-command" : "set FIRN_PASSWORD_FILE or "
		    "FIRN_PASSWORD_COMMAND");
	err = ask(tty, prompt, stop, out);
	if (err == 0 && again) {
		snprintf(repeat, sizeof(repeat), "%s again", prompt);
		err = ask(tty, repeat, stop, &second);
		if (err == 0 && (second.len != out->len ||
		    memcmp(second.data, out->data, out->len) != 0))
			err = log_plain(-EINVAL, "the two passwords differ");
	}
	close(tty);
	if (second.data != NULL)
		explicit_bzero(second.data, second.cap);
	buf_release(&second);
	return err == 0 ? first_line(out, "the terminal") : err;
}

int
password_get(void *source, int again, struct buf *out)
{
	static const struct password_source none;
	const struct password_source *s = source != NULL ? source : &none;
	const char *v;

	if (s->file != NULL)
		return from_file(s->file, out);
	if (s->command != NULL)
		return from_command(s->command, s->stop, out);
	/* The environment has the one in use. */
	if (s->fresh)
		return from_terminal(s, again, out);
	if ((v = getenv("FIRN_PASSWORD_FILE")) != NULL && *v != '\0')
		return from_file(v, out);
	if ((v = getenv("FIRN_PASSWORD_COMMAND")) != NULL && *v != '\0')
		return from_command(v, s->stop, out);
	return from_terminal(s, again, out);
}
