/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error texts, and lines of the log.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

static void
test_err_text(void **state)
{
	(void)state;
	assert_string_equal(err_text(-FIRN_ECORRUPT), "damaged data");
	assert_string_equal(err_text(FIRN_ECOLD),
	    "archived, not readable now");
	assert_string_equal(err_text(-FIRN_ETOOBIG), "too large");
	assert_string_equal(err_text(-ENOENT), "no such file or directory");
	assert_string_equal(err_text(-EDOTDOT), "RFS specific error");
	assert_non_null(err_text(INT_MIN));
	assert_non_null(err_text(0));
}

/* One log call with stderr in a file; what it wrote. */
static struct {
	int saved;
	int fd;
	char text[32768];
} capture;

static void
capture_begin(void)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	capture.fd = dup(fileno(f));
	fclose(f);
	capture.saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(capture.fd, STDERR_FILENO), STDERR_FILENO);
}

static const char *
capture_end(void)
{
	size_t got;

	dup2(capture.saved, STDERR_FILENO);
	close(capture.saved);
	assert_int_equal(file_pread_full(capture.fd, capture.text,
	    sizeof(capture.text) - 1, 0, &got), 0);
	capture.text[got] = 0;
	close(capture.fd);
	return capture.text;
}

static void
test_log_lines(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	capture_begin();
	assert_int_equal(log_err(-ENOENT, "cannot open '%s'", "x"), -ENOENT);
	assert_int_equal(log_warn(0, "odd"), 0);
	log_info("%d files", 3);
	log_debug("not shown");
	assert_string_equal(capture_end(),
	    "prog: error: cannot open 'x': no such file or directory\n"
	    "prog: warning: odd\n"
	    "prog: 3 files\n");
}

static void
test_log_hostile(void **state)
{
	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	capture_begin();
	log_info("'%s'", "a\nprog: error: b\x1b[2J\x7f \xff\xc3( \xc2\x9b"
	    "\xed\xa0\x80 \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_string_equal(capture_end(),
	    "prog: 'a\\nprog: error: b\\x1b[2J\\x7f \\xff\\xc3( \\xc2\\x9b"
	    "\\xed\\xa0\\x80 \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'\n");
}

/* However long the text is, the line ends, and says why. */
static void
test_log_long(void **state)
{
	static char name[20000];
	static const char tail[] = "...: no such file or directory\n";
	const char *line;

	(void)state;
	for (int escaped = 0; escaped < 2; escaped++) {
		memset(name, escaped ? 1 : 'a', sizeof(name) - 1);
		capture_begin();
		log_err(-ENOENT, "%s", name);
		line = capture_end();
		assert_true(strlen(line) > 8000 && strlen(line) < 16384);
		assert_string_equal(line + strlen(line) - strlen(tail), tail);
	}
}

/* Errors that somebody else has to say. */
static void
test_log_keep(void **state)
{
	struct log_kept outer, inner;

	(void)state;
	log_init("prog", LOG_LEVEL_INFO);
	capture_begin();
	log_keep(&outer);
	assert_string_equal(outer.text, "");
	log_keep(&inner);
	log_err(-ENOENT, "one\n");
	log_err(0, "two");
	log_warn(0, "three");
	log_keep_end(&inner);
	log_plain(0, "four: %s", inner.text);
	log_keep_end(&outer);
	log_plain(0, "five");
	assert_string_equal(capture_end(),
	    "prog: warning: three\nprog: error: five\n");
	assert_string_equal(inner.text, "one\\n: no such file or directory");
	assert_string_equal(outer.text,
	    "four: one\\n: no such file or directory");
}

static void
keep_line(void *ctx, enum log_level level, const char *line)
{
	struct buf *b = ctx;

	buf_printf(b, "%d %s;", (int)level, line);
}

static void
test_log_hook(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	log_init("prog", LOG_LEVEL_ERR);
	capture_begin();
	log_set_hook(keep_line, &b);
	log_err(-EIO, "one");
	log_warn(0, "two\n");
	log_info("three");
	log_set_hook(NULL, NULL);
	log_err(0, "four");
	assert_string_equal(capture_end(),
	    "prog: error: one: input/output error\nprog: error: four\n");
	assert_string_equal(buf_cstr(&b), "0 one: input/output error;"
	    "1 two\\n;");
	buf_release(&b);
	log_init("prog", LOG_LEVEL_INFO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_text),
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_log_hostile),
		cmocka_unit_test(test_log_long),
		cmocka_unit_test(test_log_keep),
		cmocka_unit_test(test_log_hook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
