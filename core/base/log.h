/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for a person: one line each, to stderr or to syslog.
 *
 * An error is logged once, where its cause is known, with the thing, the cause
 * and where useful the next step; callers pass the number up.  Lower case, the
 * subject quoted, no full stop.  Thread-safe; a line is written whole.
 *
 * Names from outside may be logged as they are: control bytes and bytes that
 * are not UTF-8 are shown as \n or \xNN, and a very long text is cut.
 */
#ifndef FIRN_BASE_LOG_H
#define FIRN_BASE_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG };

/* Prefix of every line and the highest level shown.  Call before threads. */
void log_init(const char *program, enum log_level level);

/* From here on to syslog(3), facility daemon, instead of stderr. */
void log_to_syslog(void);

/*
 * Called with each error and warning (shown or not), without prefix and
 * newline, after it was written; under the log's lock, so it must not log.
 * For .firn/errors and for clearing a progress line.  NULL takes it away.
 */
void log_set_hook(void (*hook)(void *ctx, enum log_level, const char *line),
    void *ctx);

/*
 * Errors of this thread are not written from log_keep() to log_keep_end(), and
 * the first of them is kept: for who goes on without what failed, and says so,
 * and why, in one line.  May be nested.
 */
#define LOG_KEPT	2048
struct log_kept {
	struct log_kept *outer;
	char text[LOG_KEPT];	/* without prefix and newline; "": none */
};
void log_keep(struct log_kept *k);
void log_keep_end(struct log_kept *k);

/*
 * Log "TEXT: reason" at error level and return err, which is 0 or -errno
 * (0 leaves out the reason).  `return log_err(err, "cannot open '%s'", path);`
 */
int log_err(int err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same without ": reason", where the text says all there is to say. */
int log_plain(int err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same at warning level. */
int log_warn(int err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
