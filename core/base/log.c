/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for a person.
 *
 * A message holds names from file systems and stores, which may hold any
 * byte.  What could end a line or drive a terminal (control bytes, C1 controls,
 * bytes that are not UTF-8) is written as \n or \xNN, so that one message is
 * always one line.  Everything is on the stack: a lack of memory can be logged.
 * The lock is a leaf: nothing is called under it but write(2), syslog(3) and
 * the hook.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

#define TEXT_SIZE	8192	/* a path of PATH_MAX and words around it */
#define LINE_SIZE	16384	/* with prefix and escapes */
#define PREFIX_SIZE	80
#define REASON_SIZE	160	/* kept free for what err_text() says */

static struct {
	pthread_mutex_t lock;
	char program[64];		/* set before threads */
	enum log_level level;		/* set before threads */
	int to_syslog;			/* protected by lock */
	void (*hook)(void *, enum log_level, const char *); /* by lock */
	void *hook_ctx;			/* protected by lock */
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .program = "firnfs",
    .level = LOG_LEVEL_INFO };

static __thread struct log_kept *kept;	/* the innermost */

void
log_keep(struct log_kept *k)
{
	k->outer = kept;
	k->text[0] = '\0';
	kept = k;
}

void
log_keep_end(struct log_kept *k)
{
	kept = k->outer;
}

void
log_init(const char *program, enum log_level level)
{
	snprintf(logger.program, sizeof(logger.program), "%s", program);
	logger.level = level;
}

void
log_to_syslog(void)
{
	pthread_mutex_lock(&logger.lock);
	openlog(logger.program, LOG_PID, LOG_DAEMON);
	logger.to_syslog = 1;
	pthread_mutex_unlock(&logger.lock);
}

void
log_set_hook(void (*hook)(void *ctx, enum log_level, const char *line),
    void *ctx)
{
	pthread_mutex_lock(&logger.lock);
	logger.hook = hook;
	logger.hook_ctx = ctx;
	pthread_mutex_unlock(&logger.lock);
}

/* At most `size` bytes with the NUL; what does not fit is cut with "...". */
static size_t
escape(char *out, size_t size, const char *text)
{
	static const char mark[] = "...";
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), len = 0;

	while (left > 0) {
		size_t n = bytes_printable(p, left);
		char esc[8] = "\\n";

		if (n == 0 && *p != '\n')
			snprintf(esc, sizeof(esc), "\\x%02x", *p);
		if (len + (n ? n : strlen(esc)) + sizeof(mark) > size) {
			memcpy(out + len, mark, sizeof(mark));
			return len + sizeof(mark) - 1;
		}
		memcpy(out + len, n ? (const char *)p : esc,
		    n ? n : strlen(esc));
		len += n ? n : strlen(esc);
		left -= n ? n : 1;
		p += n ? n : 1;
	}
	out[len] = 0;
	return len;
}

/* `line` has room for a newline behind it, which goes out in the one write. */
static void
deliver(enum log_level level, const char *prefix, char *line, size_t len)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
	    LOG_DEBUG };
	size_t skip = strlen(prefix);

	pthread_mutex_lock(&logger.lock);
	if (level > logger.level) {
		/* Not shown; the hook may still want it. */
	} else if (logger.to_syslog) {
		syslog(priority[level], "%s", line + skip);
	} else {
		line[len] = '\n';
		/* There is nobody to tell when stderr does not work. */
		(void)file_write_full(STDERR_FILENO, line, len + 1);
		line[len] = 0;
	}
	if (logger.hook && level <= LOG_LEVEL_WARN)
		logger.hook(logger.hook_ctx, level, line + skip);
	pthread_mutex_unlock(&logger.lock);
}

__attribute__((format(printf, 3, 0)))
static void
message(enum log_level level, int err, const char *fmt, va_list ap)
{
	static const char *const kind[] = { "error: ", "warning: ", "",
	    "debug: " };
	char text[TEXT_SIZE], line[LINE_SIZE], prefix[PREFIX_SIZE];
	size_t len;
	int n;

	if (level > logger.level && level > LOG_LEVEL_WARN)
		return;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		snprintf(text, sizeof(text), "%s", fmt);
	else if ((size_t)n >= sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	snprintf(prefix, sizeof(prefix), "%s: %s", logger.program,
	    kind[level]);
	len = strlen(prefix);
	memcpy(line, prefix, len);
	len += escape(line + len, sizeof(line) - len - REASON_SIZE, text);
	if (err)
		len += (size_t)snprintf(line + len, sizeof(line) - len, ": %s",
		    err_text(err));
	if (level != LOG_LEVEL_ERR || kept == NULL)
		deliver(level, prefix, line, len);
	else if (kept->text[0] == '\0')
		snprintf(kept->text, sizeof(kept->text), "%s", line +
		    strlen(prefix));
}

int
log_err(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_LEVEL_ERR, err, fmt, ap);
	va_end(ap);
	return err;
}

int
log_plain(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_LEVEL_ERR, 0, fmt, ap);
	va_end(ap);
	return err;
}

int
log_warn(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_LEVEL_WARN, err, fmt, ap);
	va_end(ap);
	return err;
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_LEVEL_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(LOG_LEVEL_DEBUG, 0, fmt, ap);
	va_end(ap);
}
