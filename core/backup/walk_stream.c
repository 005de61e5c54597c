/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file from a stream, instead of a walk.
 *
 * The other end may say nothing for as long as it likes, so no read is begun
 * that could wait: a stop is seen within FILE_WAIT_MS.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/chunker.h"
#include "backup/walk_internal.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pages.h"

/* Up to `len` bytes; fewer only where the stream ends. */
static int
stream_read(struct walker *w, uint8_t *buf, size_t len, size_t *got)
{
	const struct backup_conf *conf = w->conf;
	ssize_t n;
	int ret;

	*got = 0;
	while (*got < len) {
		ret = file_wait(conf->stdin_fd, conf->stop);
		if (ret == -ECANCELED)
			return ret;
		if (ret == 0 && conf->stdin_look != NULL)
			conf->stdin_look(conf->ctx, 1);
		if (ret == 0)
			continue;
		n = ret < 0 ? -1 : read(conf->stdin_fd, buf + *got,
		    len - *got);
		if (n < 0 && ret == 1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return log_err(ret < 0 ? ret : -errno,
			    "cannot read standard input");
		if (n == 0)
			return 0;
		/* Its end is no output: who had the terminal then is asked how
		 * it ended. */
		if (conf->stdin_look != NULL)
			conf->stdin_look(conf->ctx, 0);
		*got += (size_t)n;
	}
	return 0;
}

/* Cut all that comes. */
static int
stream_store(struct walker *w, uint64_t *size)
{
	const struct chunker *ch = w->wc->chunker;
	size_t fill = 0, start, cut, scanned = 0, got;
	int err = 0, eof = 0;

	while (err == 0 && !eof) {
		err = stream_read(w, w->piece + fill, READ_SIZE, &got);
		if (err != 0)
			break;
		eof = got < READ_SIZE;
		fill += got;
		*size += got;
		w->wc->p->bytes_read += got;
		w->wc->p->bytes += got;
		for (start = 0; err == 0 && (cut = chunker_cut_from(ch,
		    w->piece + start, fill - start, scanned, eof)) > 0;
		    start += cut) {
			scanned = 0;
			err = pipe_data(w->pipe, w->piece + start, cut);
		}
		scanned = fill - start;
		memmove(w->piece, w->piece + start, fill - start);
		fill -= start;
		walk_progress(w, 0);
	}
	return err;
}

/* What there is to say of a file that never was one. */
static void
stream_entry(const struct backup_conf *conf, struct entry *e)
{
	e->name = conf->stdin_name;
	e->namelen = strlen(e->name);
	e->mode = S_IFREG | 0600;
	e->uid = geteuid();
	e->gid = getegid();
	e->flags = ENTRY_SIZE;
	e->ino = 1;
	clock_gettime(CLOCK_REALTIME, &e->mtime);
	e->ctime = e->mtime;
}

int
walk_stream(const struct walk_conf *wc)
{
	struct walker w = { .wc = wc, .conf = wc->conf, .pipe = wc->pipe };
	struct entry root = { .name = "root", .namelen = 4,
	    .mode = S_IFDIR | 0755, .flags = ENTRY_SUBTREE }, e = { 0 };
	int err;

	w.piece_cap = chunker_max(wc->chunker) + READ_SIZE;
	w.piece = pages_alloc(w.piece_cap);
	err = w.piece == NULL ? -ENOMEM : pipe_dir_begin(wc->pipe);
	if (err == 0)
		err = stream_store(&w, &e.size);
	free(w.piece);
	if (err == 0 && wc->conf->stdin_done != NULL)
		err = wc->conf->stdin_done(wc->conf->ctx);
	if (err != 0)
		return err;
	wc->p->files = 1;
	stream_entry(wc->conf, &e);
	err = pipe_file_end(wc->pipe, &e, NULL, 0);
	return err == 0 ? pipe_dir_end(wc->pipe, &root, NULL) : err;
}
