/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local state of a repository on this host: block index and cache.  None of it
 * is needed, so what cannot be had is a warning: without a directory that can
 * be written, the index lives in a private one while the repository is open,
 * and there is no disk cache.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "repo/repo_internal.h"

#define CACHE_LIMIT_DEFAULT	(10ull << 30)

/* The directory for all repositories; NULL without memory or a home. */
static char *
base_dir(const struct repo_conf *conf)
{
	const char *dir = conf->cache_dir, *home;
	char *out;

	if (dir == NULL)
		dir = getenv("FIRN_CACHE_DIR");
	if (dir == NULL && geteuid() == 0)
		dir = "/var/cache/firn";
	if (dir != NULL)
		return strdup(dir);
	dir = getenv("XDG_CACHE_HOME");
	if (dir != NULL && *dir == '/')
		return asprintf(&out, "%s/firn", dir) < 0 ? NULL : out;
	home = getenv("HOME");
	if (home == NULL || *home == '\0')
		return NULL;
	return asprintf(&out, "%s/.cache/firn", home) < 0 ? NULL : out;
}

static char *
state_dir_make(const struct repo_conf *conf, const uint8_t *repo_id)
{
	char hex[2 * REPO_ID_SIZE + 1], *base, *dir = NULL;
	int err;

	base = base_dir(conf);
	if (base == NULL) {
		log_warn(0, "no directory for local state; set FIRN_CACHE_DIR");
		return NULL;
	}
	hex_encode(repo_id, REPO_ID_SIZE, hex);
	if (asprintf(&dir, "%s/%s", base, hex) < 0)
		dir = NULL;
	err = dir == NULL ? -ENOMEM : file_mkdirs(dir, 0700);
	if (err != 0) {
		log_warn(err, "cannot make '%s'; working without local state",
		    dir != NULL ? dir : base);
		free(dir);
		dir = NULL;
	}
	free(base);
	return dir;
}

static char *
join(const char *dir, const char *name)
{
	char *out;

	return asprintf(&out, "%s/%s", dir, name) < 0 ? NULL : out;
}

/* Remove a private directory and the flat directory of the index in it. */
static void
private_remove(const char *dir)
{
	char *sub = join(dir, "index");
	struct dirent *d;
	DIR *dp = sub != NULL ? opendir(sub) : NULL;

	while (dp != NULL && (d = readdir(dp)) != NULL)
		unlinkat(dirfd(dp), d->d_name, 0);
	if (dp != NULL)
		closedir(dp);
	if (sub != NULL)
		rmdir(sub);
	rmdir(dir);
	free(sub);
}

static int
private_index(struct repo *r)
{
	const char *tmp = getenv("TMPDIR");
	char *dir, *sub = NULL;
	int err = -ENOMEM;

	dir = join(tmp != NULL ? tmp : "/tmp", "firn-XXXXXX");
	if (dir == NULL)
		return err;
	if (mkdtemp(dir) == NULL) {
		err = -errno;
		log_err(err, "cannot make a directory for the index under "
		    "'%s'; set TMPDIR", tmp != NULL ? tmp : "/tmp");
		free(dir);
		return err;
	}
	r->private_dir = dir;
	sub = join(dir, "index");
	if (sub != NULL)
		err = index_open(sub, r->config.repo_id, &r->index);
	free(sub);
	return err;
}

static uint64_t
cache_limit(const struct repo_conf *conf, const char *dir)
{
	struct statvfs vfs;
	uint64_t room;

	if (conf->cache_limit > 0)
		return conf->cache_limit;
	if (statvfs(dir, &vfs) != 0)
		return CACHE_LIMIT_MIN;
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize / 10;
	if (room > CACHE_LIMIT_DEFAULT)
		room = CACHE_LIMIT_DEFAULT;
	return room > CACHE_LIMIT_MIN ? room : CACHE_LIMIT_MIN;
}

static void
cache_try(struct repo *r, const struct repo_conf *conf)
{
	char *sub;

	/* A cache beside a local repository would only hold it twice. */
	if (conf->no_cache || r->state_dir == NULL ||
	    (store_local_path(r->store) != NULL && conf->cache_limit == 0))
		return;
	sub = join(r->state_dir, "cache");
	if (sub == NULL ||
	    cache_open(sub, cache_limit(conf, r->state_dir), &r->cache) != 0) {
		log_warn(0, "working without a disk cache");
		r->cache = NULL;
	}
	free(sub);
}

int
repo_state_open(struct repo *r, const struct repo_conf *conf)
{
	char *sub;
	int err = -ENOENT;

	r->state_dir = state_dir_make(conf, r->config.repo_id);
	if (r->state_dir != NULL) {
		sub = join(r->state_dir, "index");
		err = sub == NULL ? -ENOMEM : index_open(sub,
		    r->config.repo_id, &r->index);
		free(sub);
		if (err != 0) {
			log_warn(0, "working without local state");
			free(r->state_dir);
			r->state_dir = NULL;
		}
	}
	if (err != 0)
		err = private_index(r);
	if (err == 0)
		cache_try(r, conf);
	return err;
}

void
repo_state_close(struct repo *r)
{
	cache_close(r->cache);
	index_close(r->index);
	if (r->private_dir != NULL)
		private_remove(r->private_dir);
	free(r->private_dir);
	free(r->state_dir);
}
