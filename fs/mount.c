/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life of a mount.  Everything that may block on the store is begun before the
 * kernel knows of the mount, and cancelled before it is taken away.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/pool.h"
#include "fs/cold.h"
#include "fs/files.h"
#include "fs/firnfs.h"
#include "fs/loop.h"
#include "fs/lowlevel.h"
#include "fs/mount.h"
#include "fs/ops.h"
#include "fs/push.h"
#include "fs/refresh.h"
#include "fs/status.h"
#include "fs/stop.h"
#include "fs/trails.h"
#include "fs/watch.h"
#include "repo/password.h"
#include "store/price.h"

#define THREADS_MAX	256	/* so many requests can wait for the store */
#define READ_AHEAD_KB	2048	/* two requests at once of a reader in order */
#define AHEAD_PART	16	/* of the memory: what is opened ahead */
#define REFRESH_LOCAL	10
#define REFRESH_REMOTE	60

struct mount {
	struct firnfs fs;
	struct fuse_session *se;
	struct loop *loop;
	int mounted;
	int end_fd;		/* the loop's */
};

/* 1 when path is dir or below it. */
static int
is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return 1;
	return strncmp(path, dir, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0');
}

/* What the daemon itself needs must not end up under its own mount. */
static int
check_place(const struct options *o, struct repo *repo)
{
	const char *local = store_local_path(repo_store(repo));
	const char *state = repo_state_dir(repo);
	char *real = local != NULL ? realpath(local, NULL) : NULL;
	int err = 0;

	if (real != NULL && is_below(o->mountpoint, real))
		err = log_err(-EINVAL, "cannot mount on '%s' inside of the "
		    "repository '%s'; choose another directory",
		    o->mountpoint, real);
	else if (real != NULL && is_below(real, o->mountpoint))
		err = log_err(-EINVAL, "cannot mount on '%s', it holds the "
		    "repository '%s'; choose another directory",
		    o->mountpoint, real);
	free(real);
	real = state != NULL ? realpath(state, NULL) : NULL;
	if (err == 0 && real != NULL && is_below(real, o->mountpoint))
		err = log_err(-EINVAL, "cannot mount on '%s', it holds the "
		    "local state '%s'; choose another directory, or "
		    "-o cache-dir=", o->mountpoint, real);
	free(real);
	return err;
}

static int
open_repo(struct firnfs *fs)
{
	const struct options *o = fs->opt;
	struct password_source source = { .file = o->password_file,
	    .command = o->password_command, .stop = &stop_asked };
	struct repo_conf conf = { .url = o->repo, .store = STORE_CONF_DEFAULT,
	    .cache_dir = o->cache_dir, .cache_limit = o->cache_size,
	    .no_cache = o->no_cache, .password = password_get,
	    .password_ctx = &source };
	int err;

	conf.store.timeout = o->timeout;
	conf.store.region = o->region;
	conf.store.endpoint = o->endpoint;
	conf.store.path_style = o->path_style;
	conf.store.bucket_owner = o->bucket_owner;
	conf.store.requester_pays = o->requester_pays;
	conf.store.stop = &stop_store;
	err = repo_open(&conf, &fs->repo);
	if (err == 0)
		err = check_place(o, fs->repo);
	return err;
}

/* What the store asks for, if it does. */
static int
open_prices(struct firnfs *fs)
{
	struct price_table *t = malloc(sizeof(*t));
	int ret;

	if (t == NULL)
		return -ENOMEM;
	ret = price_for(repo_store(fs->repo), fs->opt->prices, t);
	if (ret == 1)
		fs->price = t;
	else
		free(t);
	return ret < 0 ? ret : 0;
}

static size_t
memory_wanted(const struct firnfs *fs)
{
	return fs->opt->memory > 0 ? (size_t)fs->opt->memory : OPTIONS_MEMORY;
}

static int
open_readers(struct firnfs *fs)
{
	size_t memory = memory_wanted(fs);
	struct reader_conf conf = { .memory = memory / 4 * 3,
	    .failed = status_block_failed, .failed_ctx = fs };
	int err;

	err = reader_new(fs->repo, &conf, &fs->reader);
	if (err == 0)
		err = tree_new(fs->reader, memory / 8, &fs->tree);
	if (err == 0)
		err = files_new(memory / 16, &fs->maps);
	return err;
}

static void
note_line(void *ctx, enum log_level level, const char *line)
{
	(void)level;
	errors_note(ctx, line);
}

static int
open_parts(struct firnfs *fs)
{
	uint32_t interval = fs->opt->refresh;
	int err;

	err = errors_new(&fs->errors);
	if (err != 0)
		return err;
	log_set_hook(note_line, fs->errors);
	fs->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fs->ready_fd < 0)
		return -errno;
	err = status_new(&fs->status);
	if (err == 0)
		err = dirs_new(&fs->dirs);
	if (err == 0)
		err = vtree_new(&fs->vtree);
	if (err == 0)
		err = open_repo(fs);
	if (err == 0)
		err = open_prices(fs);
	if (err == 0)
		err = open_readers(fs);
	if (err == 0)
		err = watch_new(&fs->watch);
	if (err == 0)
		err = push_new(&fs->push);
	if (err == 0)
		err = trails_new(fs, memory_wanted(fs) / AHEAD_PART, &fs->trails);
	if (err == 0)
		err = cold_new(fs, &fs->cold);
	if (err != 0)
		return err;
	if (interval == OPTIONS_REFRESH_AUTO)
		interval = store_local_path(repo_store(fs->repo)) != NULL ?
		    REFRESH_LOCAL : REFRESH_REMOTE;
	return refresh_new(fs, interval, &fs->refresh);
}

static void
close_parts(struct firnfs *fs)
{
	refresh_free(fs->refresh);
	watch_free(fs->watch);
	push_free(fs->push);
	trails_free(fs->trails);
	if (fs->maps != NULL)
		lru_free(fs->maps);
	tree_free(fs->tree);
	reader_free(fs->reader);
	repo_close(fs->repo);
	free(fs->price);
	dirs_free(fs->dirs);
	vtree_free(fs->vtree);
	status_free(fs->status);
	if (fs->ready_fd >= 0)
		close(fs->ready_fd);
	log_set_hook(NULL, NULL);
	errors_free(fs->errors);
}

/* Commas and backslashes in a value as libfuse wants them. */
static void
add_escaped(struct buf *b, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == ',' || *value == '\\')
			buf_add(b, "\\", 1);
		buf_add(b, value, 1);
	}
}

static int
session_options(const struct firnfs *fs, struct buf *b)
{
	struct store *store = repo_store(fs->repo);
	const char *local = store_local_path(store);

	buf_printf(b, "ro,default_permissions,subtype=firnfs,fsname=");
	add_escaped(b, local != NULL ? local : store_url(store));
	if (fs->opt->pass.len > 0) {
		buf_add(b, ",", 1);
		buf_add(b, fs->opt->pass.data, fs->opt->pass.len);
	}
	return buf_cstr(b) == NULL ? -ENOMEM : 0;
}

static int
session_begin(struct mount *m)
{
	struct loop_conf conf = { .max_threads = THREADS_MAX };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct buf b = BUF_INIT(1u << 17);
	int err;

	err = session_options(&m->fs, &b);
	if (err == 0 && (fuse_opt_add_arg(&args, "firnfs") != 0 ||
	    fuse_opt_add_arg(&args, "-o") != 0 ||
	    fuse_opt_add_arg(&args, (char *)b.data) != 0 ||
	    (m->fs.opt->debug && fuse_opt_add_arg(&args, "-d") != 0)))
		err = -ENOMEM;
	if (err == 0) {
		m->se = fuse_session_new(&args, ops_table(),
		    sizeof(struct fuse_lowlevel_ops), &m->fs);
		if (m->se == NULL)
			err = log_err(-EINVAL, "libfuse does not take these "
			    "options: %s", (char *)b.data);
		m->fs.session = m->se;
	}
	if (err == 0 && fuse_session_mount(m->se, m->fs.opt->mountpoint) != 0)
		err = log_err(-EIO, "cannot mount on '%s'; libfuse says why "
		    "above", m->fs.opt->mountpoint);
	fuse_opt_free_args(&args);
	buf_release(&b);
	if (err != 0)
		return err;
	m->mounted = 1;
	conf.idle_threads = pool_cpus() + 1;
	return loop_start(m->se, &conf, &m->loop, &m->end_fd);
}

/* Until the descriptor is readable (1), or the mount is to end (0); where both
 * are, what came first counts, which is the former. */
static int
wait_for(struct mount *m, int fd)
{
	struct pollfd p[] = {
		{ .fd = m->end_fd, .events = POLLIN },
		{ .fd = stop_fd(), .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	while (poll(p, 3, -1) < 0 && errno == EINTR)
		continue;
	return p[2].revents != 0 || (p[0].revents == 0 && p[1].revents == 0);
}

/* Only root may, and only for him does the directory exist: else no matter. */
static void
read_ahead_raise(dev_t dev)
{
	char path[64], text[16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
	    major(dev), minor(dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = write(fd, text, (size_t)snprintf(text, sizeof(text), "%d",
	    READ_AHEAD_KB));
	(void)n;
	close(fd);
}

/* 1 when it answers, 0 when it was ended meanwhile. */
static int
wait_ready(struct mount *m)
{
	struct stat st;

	if (!wait_for(m, m->fs.ready_fd))
		return 0;
	if (stat(m->fs.opt->mountpoint, &st) != 0)
		return log_err(-errno, "the mount on '%s' does not answer",
		    m->fs.opt->mountpoint);
	read_ahead_raise(st.st_dev);
	return 1;
}

static int
session_serve(struct mount *m, int (*ready)(void *ctx), void *ctx)
{
	int ret;

	ret = wait_ready(m);
	if (ret == 0)
		return stop_asked ? -ECANCELED : log_plain(-EINTR, "'%s' was "
		    "unmounted before it was ready", m->fs.opt->mountpoint);
	if (ret == 1)
		ret = ready(ctx);
	if (ret != 0)
		return ret;
	log_debug("mounted '%s' on '%s'", m->fs.opt->repo,
	    m->fs.opt->mountpoint);
	wait_for(m, -1);
	return 0;
}

/* Those who wait for the store are let go first. */
static int
session_end(struct mount *m)
{
	int err = 0;

	atomic_store(&m->fs.ending, 1);
	trails_stop(m->fs.trails);
	if (m->fs.repo != NULL)
		store_cancel(repo_store(m->fs.repo));
	/* Before the loop: a worker may wait in the kernel for a page that one
	 * of those who are parked is reading. */
	cold_stop(m->fs.cold);
	push_stop(m->fs.push);
	if (m->loop != NULL)
		err = loop_stop(m->loop);
	cold_free(m->fs.cold);
	m->fs.cold = NULL;
	if (m->mounted)
		fuse_session_unmount(m->se);
	if (m->se != NULL)
		fuse_session_destroy(m->se);
	if (err != 0)
		log_err(err, "lost the connection to the kernel");
	return err;
}

int
mount_run(const struct options *o, int (*ready)(void *ctx), void *ctx)
{
	struct mount m = { .end_fd = -1 };
	int err, ret;

	m.fs.opt = o;
	m.fs.uid = geteuid();
	m.fs.gid = getegid();
	m.fs.ready_fd = -1;
	clock_gettime(CLOCK_REALTIME, &m.fs.since);
	err = open_parts(&m.fs);
	if (err == 0 && chdir("/") != 0)
		err = log_err(-errno, "cannot change to '/'");
	if (err == 0)
		err = session_begin(&m);
	if (err == 0)
		err = session_serve(&m, ready, ctx);
	ret = session_end(&m);
	close_parts(&m.fs);
	return err != 0 ? err : ret;
}
