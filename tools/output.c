/* SPDX-License-Identifier: Apache-2.0 */
/* What commands print, and the progress line. */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/tool.h"

int tool_pipe_closed;

/* Log that writing to stdout failed, unless whoever read it has had enough. */
int
tool_print_failed(int err)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	if (err == -EPIPE || (poll(&p, 1, 0) == 1 && p.revents & POLLERR))
		tool_pipe_closed = 1;
	else
		log_err(err, "cannot write to standard output");
	return err;
}

int
tool_print_json(struct json *j)
{
	struct buf b = BUF_INIT(256u << 20);
	int err;

	err = json_dump(j, &b);
	if (err == 0)
		err = buf_add(&b, "\n", 1);
	if (err != 0)
		log_err(err, "cannot print JSON");
	else if (fwrite(b.data, 1, b.len, stdout) != b.len)
		err = tool_print_failed(-errno);
	buf_release(&b);
	json_free(j);
	return err;
}

int
tool_agree(struct tool *t, int yes, const char *what)
{
	char line[16];

	if (yes)
		return 0;
	if (t->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		log_err(0, "%s; give --yes where nobody can be asked, or "
		    "--dry-run for the quote alone", what);
		return EXIT_USAGE;
	}
	fputs("Go on? [y/N] ", stderr);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) != NULL &&
	    (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0))
		return 0;
	if (tool_stop)
		return EXIT_INTERRUPTED;
	log_info("nothing was changed");
	return EXIT_FAILED;
}

int
tool_flush(void)
{
	int err;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	err = errno != 0 ? -errno : -EIO;
	return tool_pipe_closed ? err : tool_print_failed(err);
}

void
tool_print_path(FILE *f, const char *path, size_t len)
{
	const uint8_t *p = (const uint8_t *)path;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = p[i] == '\\' ? 0 : bytes_printable(p + i, len - i);
		if (n > 0) {
			fwrite(p + i, 1, n, f);
			continue;
		}
		fprintf(f, "\\x%02x", p[i]);
		n = 1;
	}
}

void
tool_print_item(const struct tool *t, const char *what, const char *path,
    int dry_run)
{
	struct json *o;

	if (t->json) {
		o = json_object();
		json_set_str(o, "type", "item");
		json_set_str(o, "what", what);
		if (dry_run)
			json_set_bool(o, "dry_run", 1);
		json_set_bytes(o, "path", path, strlen(path));
		tool_print_json(o);
		return;
	}
	printf("%-9s ", what);
	tool_print_path(stdout, path, strlen(path));
	putchar('\n');
}

const char *
tool_size(uint64_t bytes, char out[16])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB",
	    "PiB", "EiB" };
	double v = (double)bytes;
	unsigned i = 0;

	while (v >= 1023.95 && i < 6) {
		v /= 1024;
		i++;
	}
	snprintf(out, 16, i == 0 ? "%.0f %s" : "%.1f %s", v, unit[i]);
	return out;
}

struct json *
tool_generation_json(const struct generation *g)
{
	struct json *j = json_object(), *a;
	char hex[2 * GEN_ID_SIZE + 1], text[TIMEFMT_SIZE];
	size_t i;

	hex_encode(g->id, GEN_ID_SIZE, hex);
	json_set_str(j, "id", hex);
	json_set_str(j, "host", g->rec.host);
	json_set_str(j, "series", g->rec.series);
	timefmt_name(&g->rec.end, text);
	json_set_str(j, "time", text);
	timefmt_iso(&g->rec.start, text);
	json_set_str(j, "start", text);
	timefmt_iso(&g->rec.end, text);
	json_set_str(j, "end", text);
	a = json_array();
	for (i = 0; i < g->rec.npaths; i++)
		json_set_bytes(a, NULL, g->rec.paths[i],
		    strlen(g->rec.paths[i]));
	json_set(j, "paths", a);
	a = json_array();
	for (i = 0; i < g->rec.ntags; i++)
		json_set_str(a, NULL, g->rec.tags[i]);
	json_set(j, "tags", a);
	if (g->rec.has_parent) {
		hex_encode(g->rec.parent, GEN_ID_SIZE, hex);
		json_set_str(j, "parent", hex);
	}
	json_set_uint(j, "files", g->rec.totals.files);
	json_set_uint(j, "dirs", g->rec.totals.dirs);
	json_set_uint(j, "bytes", g->rec.totals.bytes);
	json_set_uint(j, "data_added", g->rec.added.data_bytes);
	json_set_uint(j, "meta_added", g->rec.added.meta_bytes);
	json_set_uint(j, "stored", g->rec.added.stored_bytes);
	json_set_uint(j, "errors", g->rec.error_count);
	json_set_str(j, "program", g->rec.program);
	return j;
}

struct progress {
	struct tool *t;
	int tty;
	int drawn;
	struct timespec start, last;
};

static volatile sig_atomic_t usr1;

static void
on_usr1(int sig)
{
	(void)sig;
	usr1 = 1;
}

static double
since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) +
	    (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

int
progress_begin(struct tool *t, struct progress **out)
{
	struct sigaction sa = { .sa_handler = on_usr1,
	    .sa_flags = SA_RESTART };
	struct progress *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->t = t;
	p->tty = isatty(STDERR_FILENO) && !t->quiet && !t->json;
	clock_gettime(CLOCK_MONOTONIC, &p->start);
	p->last = p->start;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGUSR1, &sa, NULL);
	*out = p;
	return 0;
}

int
progress_due(struct progress *p)
{
	return usr1 || (p->tty && since(&p->last) >= 0.1);
}

void
progress_draw(struct progress *p, const char *fmt, ...)
{
	char line[160];
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (i = 0; line[i] != '\0'; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	if (p->tty) {
		fprintf(stderr, "\r\033[K%.79s", line);
		p->drawn = 1;
	} else {
		fprintf(stderr, "%s\n", line);
	}
	usr1 = 0;
	clock_gettime(CLOCK_MONOTONIC, &p->last);
}

double
progress_seconds(const struct progress *p)
{
	return since(&p->start);
}

void
progress_clear(struct progress *p)
{
	if (p->drawn)
		fprintf(stderr, "\r\033[K");
	p->drawn = 0;
}

void
progress_end(struct progress *p)
{
	if (p == NULL)
		return;
	progress_clear(p);
	free(p);
}
