/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/base without json: errors, log lines, bytes, buffers, files, times,
 * queues and pools.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/queue.h"
#include "base/timefmt.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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

static void
test_integers(void **state)
{
	static const int64_t v[] = { 0, -1, 1, -2, INT64_MAX, INT64_MIN };
	uint8_t b[8];

	(void)state;
	le64_put(b, 0x0123456789abcdefULL);
	assert_memory_equal(b, "\xef\xcd\xab\x89\x67\x45\x23\x01", 8);
	assert_int_equal(le16_get(b), 0xcdef);
	assert_int_equal(le32_get(b), 0x89abcdef);
	assert_true(le64_get(b) == 0x0123456789abcdefULL);
	for (size_t i = 0; i < COUNT(v); i++)
		assert_true(unzigzag(zigzag(v[i])) == v[i]);
	assert_int_equal(zigzag(-1), 1);
	assert_int_equal(zigzag(1), 2);
}

static void
test_rd(void **state)
{
	struct buf b = BUF_INIT(100);
	uint8_t two[2];
	size_t len;
	struct rd r;

	(void)state;
	buf_add_u8(&b, 7);
	buf_add_u16(&b, 0x1234);
	buf_add_u32(&b, 0x12345678);
	buf_add_u64(&b, UINT64_MAX);
	buf_add_str(&b, "name", 4);
	buf_add(&b, "xy", 2);
	r = rd_init(b.data, b.len);
	assert_int_equal(rd_u8(&r), 7);
	assert_int_equal(rd_u16(&r), 0x1234);
	assert_int_equal(rd_u32(&r), 0x12345678);
	assert_true(rd_u64(&r) == UINT64_MAX);
	assert_memory_equal(rd_str(&r, 4, &len), "name", 4);
	assert_int_equal(len, 4);
	rd_copy(&r, two, 2);
	assert_memory_equal(two, "xy", 2);
	assert_int_equal(rd_left(&r), 0);
	assert_false(rd_bad(&r));
	rd_copy(&r, two, 2);
	assert_memory_equal(two, "\0\0", 2);
	assert_true(rd_bad(&r));
	buf_release(&b);
}

/* After the first bad read there is nothing more. */
static void
test_rd_bad(void **state)
{
	static const uint8_t data[] = { 5, 'a', 'b', 'c' };
	struct rd r = rd_init(data, sizeof(data));
	size_t len = 99;

	(void)state;
	assert_null(rd_str(&r, 10, &len));
	assert_int_equal(len, 0);
	assert_true(rd_bad(&r));
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_u8(&r), 0);
	assert_null(rd_bytes(&r, 0));
	r = rd_init(data, sizeof(data));
	assert_null(rd_str(&r, 4, &len));
	assert_true(rd_bad(&r));
	r = rd_init(data, sizeof(data));
	assert_null(rd_bytes(&r, SIZE_MAX));
	r = rd_init(NULL, 0);
	rd_bytes(&r, 0);
	assert_false(rd_bad(&r));
	assert_int_equal(rd_varint(&r), 0);
	assert_true(rd_bad(&r));
}

static void
test_varint(void **state)
{
	struct buf b = BUF_INIT(16);

	(void)state;
	for (int bit = 0; bit < 64; bit++) {
		for (uint64_t d = 0; d < 3; d++) {
			uint64_t v = (1ULL << bit) - 1 + d;
			struct rd r;

			buf_reset(&b);
			assert_int_equal(buf_add_varint(&b, v), 0);
			for (size_t n = 0; n < b.len; n++) {
				r = rd_init(b.data, n);
				rd_varint(&r);
				assert_true(rd_bad(&r));
			}
			r = rd_init(b.data, b.len);
			assert_true(rd_varint(&r) == v);
			assert_false(rd_bad(&r));
			assert_int_equal(rd_left(&r), 0);
		}
	}
	buf_release(&b);
}

static void
test_varint_bad(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\x80\x00", 2 }, { "\xff\x80\x00", 3 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10 },
	};
	struct rd r;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		r = rd_init(bad[i].bytes, bad[i].len);
		assert_int_equal(rd_varint(&r), 0);
		assert_true(rd_bad(&r));
	}
	r = rd_init("\x05", 1);
	assert_int_equal(rd_varint_max(&r, 5), 5);
	r = rd_init("\x05", 1);
	assert_int_equal(rd_varint_max(&r, 4), 0);
	assert_true(rd_bad(&r));
}

/* Every code point, and what must not pass for one. */
static void
test_utf8(void **state)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80",
	    "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80",
	    "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
	    "\xf5\x80\x80\x80", "\xff", "\xf0\x9f\x98" };

	(void)state;
	assert_int_equal(bytes_utf8((const uint8_t *)"", 0), 0);
	assert_int_equal(bytes_utf8((const uint8_t *)"", 1), 1);
	for (uint32_t c = 0x80; c < 0x110000; c++) {
		size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		uint8_t p[4];

		for (size_t i = n; i-- > 1;)
			p[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 63));
		p[0] = (uint8_t)(0xf00 >> n | c >> 6 * (n - 1));
		assert_int_equal(bytes_utf8(p, 4), c >= 0xd800 &&
		    c < 0xe000 ? 0 : n);
		assert_int_equal(bytes_utf8(p, n - 1), 0);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(bytes_utf8((const uint8_t *)bad[i],
		    strlen(bad[i])), 0);
}

static void
test_buf(void **state)
{
	struct buf b = BUF_INIT(10);

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_add(&b, "12345678", 8), 0);
	assert_int_equal(buf_printf(&b, "%d", 90), 0);
	assert_int_equal(b.len, 10);
	assert_string_equal(buf_cstr(&b), "1234567890");
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	/* Too much: remembered, and the contents stay. */
	assert_int_equal(buf_add_u8(&b, 1), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 10);
	assert_int_equal(buf_err(&b), -FIRN_ETOOBIG);
	assert_int_equal(buf_add(&b, "", 0), -FIRN_ETOOBIG);
	assert_null(buf_cstr(&b));
	buf_reset(&b);
	assert_int_equal(buf_printf(&b, "%s", "12345678901"),
	    -FIRN_ETOOBIG);
	assert_int_equal(b.len, 0);
	buf_reset(&b);
	assert_int_equal(buf_add_str(&b, "1234567890", 10), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 0);
	buf_release(&b);
	buf_release(&b);
	buf_release(NULL);
}

static void
test_buf_limits(void **state)
{
	struct buf none = BUF_INIT(0), all = BUF_INIT(SIZE_MAX);

	(void)state;
	assert_int_equal(buf_add(&none, "", 0), 0);
	assert_non_null(buf_extend(&none, 0));
	assert_string_equal(buf_cstr(&none), "");
	assert_int_equal(buf_add_u8(&none, 0), -FIRN_ETOOBIG);
	assert_int_equal(buf_add_u8(&all, 0), 0);
	assert_int_equal(buf_reserve(&all, SIZE_MAX), -FIRN_ETOOBIG);
	buf_reset(&all);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(buf_add_u32(&all, i), 0);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(le32_get(all.data + 4 * i), i);
	buf_release(&none);
	buf_release(&all);
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "", "0", "01e", "01ef0", "01eF",
	    "0x01", "01 e", "01efff" };
	uint8_t v[2];
	char text[5];

	(void)state;
	hex_encode("\x01\xef", 2, text);
	assert_string_equal(text, "01ef");
	assert_int_equal(hex_decode(text, v, 2), 0);
	assert_memory_equal(v, "\x01\xef", 2);
	hex_encode("", 0, text);
	assert_string_equal(text, "");
	assert_int_equal(hex_decode("", v, 0), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(hex_decode(bad[i], v, 2), -EINVAL);
}

/* RFC 4648, section 10. */
static void
test_base64(void **state)
{
	static const char *const pair[][2] = { { "", "" }, { "f", "Zg==" },
	    { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	    { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	    { "\xfb\xff\xbf", "+/+/" } };
	struct buf b = BUF_INIT(100);

	(void)state;
	for (size_t i = 0; i < COUNT(pair); i++) {
		buf_reset(&b);
		assert_int_equal(base64_encode(pair[i][0],
		    strlen(pair[i][0]), &b), 0);
		assert_string_equal(buf_cstr(&b), pair[i][1]);
		buf_reset(&b);
		assert_int_equal(base64_decode(pair[i][1],
		    strlen(pair[i][1]), &b), 0);
		assert_string_equal(buf_cstr(&b), pair[i][0]);
	}
	buf_release(&b);
}

static void
test_base64_bad(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=",
	    "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "=Zg=",
	    "Zg=a", "Zm9vZg=" };
	struct buf b = BUF_INIT(100);

	(void)state;
	buf_add(&b, "kept", 4);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &b),
		    -EINVAL);
	assert_string_equal(buf_cstr(&b), "kept");
	assert_int_equal(base64_decode("Zg\0=", 4, &b), -EINVAL);
	buf_release(&b);
}

static void
test_time(void **state)
{
	static const struct {
		struct timespec t;
		const char *name, *iso;
	} v[] = {
		{ { 1795175859, 0 }, "2026-11-20T115739Z",
		    "2026-11-20T11:57:39.000000000Z" },
		{ { 0, 1 }, "1970-01-01T000000Z",
		    "1970-01-01T00:00:00.000000001Z" },
		{ { -1, 500000000 }, "1969-12-31T235959Z",
		    "1969-12-31T23:59:59.500000000Z" },
		{ { 4102444800, 0 }, "2100-01-01T000000Z",
		    "2100-01-01T00:00:00.000000000Z" },
		{ { -62167219200, 0 }, "0000-01-01T000000Z",
		    "0000-01-01T00:00:00.000000000Z" },
		{ { 253402300799, 0 }, "9999-12-31T235959Z",
		    "9999-12-31T23:59:59.000000000Z" },
		{ { 253402300800, 0 }, "@253402300800",
		    "@253402300800.000000000" },
		{ { INT64_MIN, 999999999 }, "@-9223372036854775808",
		    "@-9223372036854775808.999999999" },
		{ { INT64_MAX, 0 }, "@9223372036854775807",
		    "@9223372036854775807.000000000" },
	};
	char text[TIMEFMT_SIZE];
	struct timespec t;

	(void)state;
	for (size_t i = 0; i < COUNT(v); i++) {
		timefmt_name(&v[i].t, text);
		assert_string_equal(text, v[i].name);
		assert_int_equal(timefmt_parse(text, &t), 0);
		assert_true(t.tv_sec == v[i].t.tv_sec && t.tv_nsec == 0);
		timefmt_iso(&v[i].t, text);
		assert_string_equal(text, v[i].iso);
		assert_int_equal(timefmt_parse(text, &t), 0);
		assert_true(t.tv_sec == v[i].t.tv_sec);
		assert_int_equal(t.tv_nsec, v[i].t.tv_nsec);
	}
}

static void
test_time_parse(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-11-20",
	    "2026-11-20T115739", "2026-11-20T11:5739Z", "2026-11-20T1157:39Z",
	    "2026-13-20T115739Z", "2026-00-20T115739Z", "2026-11-31T115739Z",
	    "2026-11-00T115739Z", "2026-02-29T115739Z", "2026-11-20T245739Z",
	    "2026-11-20T116039Z", "2026-11-20T115760Z", "2026-11-20T115739Zx",
	    "2026-11-20T115739.Z", "2026-11-20T115739.1234567890Z",
	    " 2026-11-20T115739Z", "2026-11-20t115739z", "+026-11-20T115739Z",
	    "@", "@x", "@ 1", "@+1", "@1x", "@1.", "@9223372036854775808" };
	struct timespec t = { 5, 6 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(timefmt_parse(bad[i], &t), -EINVAL);
	assert_true(t.tv_sec == 5 && t.tv_nsec == 6);
	assert_int_equal(timefmt_parse("2024-02-29T00:00:00.25Z", &t), 0);
	assert_true(t.tv_sec == 1709164800 && t.tv_nsec == 250000000);
}

/* A new directory as *state, removed with what the tests leave in it. */
static int
setup_dir(void **state)
{
	char *dir = strdup("/tmp/test_base.XXXXXX");

	*state = dir;
	return dir && mkdtemp(dir) ? 0 : -1;
}

static int
teardown_dir(void **state)
{
	char cmd[64];
	int err;

	snprintf(cmd, sizeof(cmd), "rm -r %s", (char *)*state);
	err = system(cmd);
	free(*state);
	return err;
}

static const char *
in_dir(void **state, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", (char *)*state, name);
	return path;
}

static void
test_file_save(void **state)
{
	struct buf b = BUF_INIT(100);
	struct stat st;
	int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(file_load(fd, "f", &b), -ENOENT);
	assert_int_equal(file_save(fd, "f", "one", 3, 0600), 0);
	assert_int_equal(file_save(AT_FDCWD, in_dir(state, "f"), "two!", 4,
	    0600), 0);
	assert_int_equal(file_load(fd, "f", &b), 0);
	assert_string_equal(buf_cstr(&b), "two!");
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Failures leave nothing beside it: the teardown's rmdir shows. */
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(file_save(fd, "d", "x", 1, 0600), -EISDIR);
	assert_int_equal(file_save(fd, "no/f", "x", 1, 0600), -ENOENT);
	assert_int_equal(unlinkat(fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	assert_int_equal(rmdir(*state), 0);
	assert_int_equal(mkdir(*state, 0700), 0);
	buf_release(&b);
	close(fd);
}

static void
test_file_load(void **state)
{
	static char big[200000];
	struct buf b = BUF_INIT(sizeof(big));
	const char *path = in_dir(state, "big");

	memset(big, 'x', sizeof(big));
	assert_int_equal(file_save(AT_FDCWD, path, big, sizeof(big), 0644),
	    0);
	/* Fits exactly; then one byte too many. */
	assert_int_equal(file_load(AT_FDCWD, path, &b), 0);
	assert_int_equal(b.len, sizeof(big));
	assert_memory_equal(b.data, big, sizeof(big));
	buf_reset(&b);
	buf_add_u8(&b, 'k');
	assert_int_equal(file_load(AT_FDCWD, path, &b), -FIRN_ETOOBIG);
	assert_int_equal(b.len, 1);
	buf_reset(&b);
	assert_int_equal(file_load(AT_FDCWD, *state, &b), -EISDIR);
	assert_int_equal(file_load(AT_FDCWD, "/proc/self/status", &b), 0);
	assert_true(b.len > 0);
	buf_release(&b);
}

static void
test_file_io(void **state)
{
	int fd = open(in_dir(state, "io"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char got[10];
	size_t n;

	assert_true(fd >= 0);
	assert_int_equal(file_write_full(fd, "abcdef", 6), 0);
	assert_int_equal(file_pwrite_full(fd, "XY", 2, 2), 0);
	assert_int_equal(file_pread_full(fd, got, 10, 1, &n), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(got, "bXYef", 5);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read_full(fd, got, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got, "abX", 3);
	close(fd);
	assert_int_equal(file_read_full(-1, got, 3, &n), -EBADF);
	assert_int_equal(file_write_full(-1, got, 3), -EBADF);
}

static void
test_mkdirs(void **state)
{
	struct stat st;

	assert_int_equal(file_mkdirs(in_dir(state, "a//b/c/"), 0700), 0);
	assert_int_equal(file_mkdirs(in_dir(state, "a/b/c"), 0700), 0);
	assert_int_equal(stat(in_dir(state, "a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(file_save(AT_FDCWD, in_dir(state, "a/f"), "", 0,
	    0600), 0);
	assert_int_equal(file_mkdirs(in_dir(state, "a/f"), 0700), -ENOTDIR);
	assert_int_equal(file_mkdirs(in_dir(state, "a/f/g"), 0700),
	    -ENOTDIR);
	assert_int_equal(file_mkdirs("/", 0700), 0);
	assert_int_equal(file_mkdirs("", 0700), -ENOENT);
	assert_int_equal(file_fsync_dir(AT_FDCWD, in_dir(state, "a")), 0);
	assert_int_equal(file_fsync_dir(AT_FDCWD, in_dir(state, "no")),
	    -ENOENT);
}

static void
test_queue_order(void **state)
{
	struct queue *q;
	int v[8];
	void *item;

	(void)state;
	assert_int_equal(queue_new(0, &q), -EINVAL);
	assert_int_equal(queue_new(3, &q), 0);
	assert_int_equal(queue_try_take(q, &item), -EAGAIN);
	for (int i = 0; i < 7; i++) {	/* around the ring */
		queue_put(q, &v[i]);
		queue_put(q, &v[i + 1]);
		assert_int_equal(queue_take(q, &item), 0);
		assert_ptr_equal(item, &v[i]);
		assert_int_equal(queue_try_take(q, &item), 0);
		assert_ptr_equal(item, &v[i + 1]);
	}
	queue_put(q, &v[0]);
	queue_close(q);
	assert_int_equal(queue_put(q, &v[1]), -EPIPE);
	assert_int_equal(queue_take(q, &item), 0);
	assert_ptr_equal(item, &v[0]);
	assert_int_equal(queue_take(q, &item), -EPIPE);
	assert_int_equal(queue_try_take(q, &item), -EPIPE);
	queue_free(q);
	queue_free(NULL);
}

#define ITEMS 20000

static void *
putter(void *arg)
{
	static char item[ITEMS];

	for (size_t i = 0; i < ITEMS; i++)
		if (queue_put(arg, &item[i]))
			return arg;
	return NULL;
}

static void *
taker(void *arg)
{
	uintptr_t n = 0;
	void *item;

	while (queue_take(arg, &item) == 0)
		n++;
	return (void *)n;
}

static void
test_queue_threads(void **state)
{
	pthread_t put[3], take[3];
	uintptr_t sum = 0;
	struct queue *q;
	void *ret;

	(void)state;
	assert_int_equal(queue_new(2, &q), 0);
	for (int i = 0; i < 3; i++) {
		pthread_create(&put[i], NULL, putter, q);
		pthread_create(&take[i], NULL, taker, q);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(put[i], &ret);
		assert_null(ret);
	}
	queue_close(q);
	for (int i = 0; i < 3; i++) {
		pthread_join(take[i], &ret);
		sum += (uintptr_t)ret;
	}
	assert_int_equal(sum, 3 * ITEMS);
	queue_free(q);
}

/* Whoever waits in put or take comes back when the queue is closed. */
static void
test_queue_close(void **state)
{
	pthread_t put, take;
	struct queue *full, *empty;
	void *ret;

	(void)state;
	assert_int_equal(queue_new(1, &full), 0);
	assert_int_equal(queue_new(1, &empty), 0);
	pthread_create(&put, NULL, putter, full);
	pthread_create(&take, NULL, taker, empty);
	queue_close(full);
	queue_close(empty);
	pthread_join(put, &ret);
	assert_non_null(ret);
	pthread_join(take, &ret);
	assert_null(ret);
	queue_free(full);
	queue_free(empty);
}

static void
count_job(void *ctx)
{
	sigset_t blocked;
	char name[16];

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (sigismember(&blocked, SIGTERM) && !strcmp(name, "a-name-that-is-"))
		atomic_fetch_add((atomic_int *)ctx, 1);
}

static void
test_pool(void **state)
{
	atomic_int n = 0;
	struct pool *p;

	(void)state;
	assert_true(pool_cpus() >= 1);
	assert_int_equal(pool_new("p", 0, 1, &p), -EINVAL);
	assert_int_equal(pool_new("p", 1, 0, &p), -EINVAL);
	assert_int_equal(pool_new("a-name-that-is-long", 4, 3, &p), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(pool_submit(p, count_job, &n), 0);
	pool_free(p);	/* runs all that was submitted */
	assert_int_equal(n, 5000);
	pool_free(NULL);
}

struct in_order {
	unsigned next;
	int wrong;
};

static struct in_order order;
static unsigned numbers[1000];

static void
order_job(void *ctx)
{
	if (*(unsigned *)ctx != order.next++)
		order.wrong = 1;
}

static void
test_pool_order(void **state)
{
	struct pool *p;

	(void)state;
	assert_int_equal(pool_new("one", 1, 10, &p), 0);
	for (unsigned i = 0; i < COUNT(numbers); i++) {
		numbers[i] = i;
		assert_int_equal(pool_submit(p, order_job, &numbers[i]), 0);
	}
	pool_free(p);
	assert_int_equal(order.next, COUNT(numbers));
	assert_false(order.wrong);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_text),
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_log_hostile),
		cmocka_unit_test(test_log_long),
		cmocka_unit_test(test_log_hook),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_rd),
		cmocka_unit_test(test_rd_bad),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_varint_bad),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_limits),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_bad),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_parse),
		cmocka_unit_test_setup_teardown(test_file_save, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_file_load, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_file_io, setup_dir,
		    teardown_dir),
		cmocka_unit_test_setup_teardown(test_mkdirs, setup_dir,
		    teardown_dir),
		cmocka_unit_test(test_queue_order),
		cmocka_unit_test(test_queue_threads),
		cmocka_unit_test(test_queue_close),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
