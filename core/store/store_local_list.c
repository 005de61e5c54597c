/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing the directory store in byte order of whole names.
 *
 * A directory stands in the order as its name with the '/' that what is in it
 * begins with: "a-b" < "a/x" < "a0".  In memory are the names of one directory
 * and of those it lies in.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "store/store_local_internal.h"

struct walk {
	struct local *l;
	const char *prefix;
	int (*fn)(void *ctx, const char *name, const struct store_stat *st);
	void *ctx;
};

/* Sorted; a directory's has a '/' at its end. */
struct names {
	char **name;
	size_t n, cap;
};

static void
names_release(struct names *v)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		free(v->name[i]);
	free(v->name);
}

static int
names_add(struct names *v, const char *name, int is_dir)
{
	char **grown;

	if (v->n == v->cap) {
		v->cap = v->cap == 0 ? 64 : v->cap * 2;
		grown = reallocarray(v->name, v->cap, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		v->name = grown;
	}
	if (asprintf(&v->name[v->n], "%s%s", name, is_dir ? "/" : "") < 0)
		return -ENOMEM;
	v->n++;
	return 0;
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether something of this name, or in this directory, may be asked for. */
static int
wanted(const char *prefix, const char *name)
{
	size_t a = strlen(prefix), b = strlen(name);

	if (b >= a)
		return strncmp(name, prefix, a) == 0;
	return name[b - 1] == '/' && strncmp(name, prefix, b) == 0;
}

/* Adds an entry if it is one of ours.  `dir` is "" or ends with a '/'. */
static int
entry_note(struct walk *w, int fd, const char *dir, const struct dirent *e,
    struct names *out)
{
	char path[STORE_NAME_MAX + 2];
	int type = e->d_type, n;
	struct stat st;

	n = snprintf(path, sizeof(path), "%s%s", dir, e->d_name);
	if (n > STORE_NAME_MAX || !store_name_ok(path, (size_t)n))
		return 0;
	if (type == DT_UNKNOWN || type == DT_LNK) {
		if (fstatat(fd, e->d_name, &st, 0) != 0)
			return 0;	/* gone, or dangling */
		type = IFTODT(st.st_mode);
	}
	if (type != DT_REG && type != DT_DIR)
		return 0;
	if (type == DT_DIR)
		strcat(path, "/");
	if (!wanted(w->prefix, path))
		return 0;
	return names_add(out, e->d_name, type == DT_DIR);
}

/* -ENOENT when the directory is not there (any more). */
static int
names_read(struct walk *w, const char *dir, struct names *out)
{
	int fd = openat(w->l->root, *dir == '\0' ? "." : dir,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;
	int err = 0;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (d == NULL) {
		err = -errno;
		close(fd);
		return err;
	}
	while (err == 0 && (errno = 0, e = readdir(d)) != NULL)
		err = entry_note(w, fd, dir, e, out);
	if (err == 0 && errno != 0)
		err = -errno;
	closedir(d);
	if (out->n > 0)
		qsort(out->name, out->n, sizeof(*out->name), name_cmp);
	return err;
}

static int
report(struct walk *w, const char *path)
{
	struct store_stat out = { .state_known = 1 };
	struct stat st;

	if (fstatat(w->l->root, path, &st, 0) != 0)
		return errno == ENOENT ? 0 :
		    local_err(w->l, -errno, "look at", path);
	out.size = (uint64_t)st.st_size;
	out.mtime = st.st_mtim;
	return w->fn(w->ctx, path, &out);
}

/* Depth is bounded by the length of a name. */
static int
walk_dir(struct walk *w, const char *dir)
{
	char path[STORE_NAME_MAX + 2];
	struct names v = { NULL, 0, 0 };
	size_t i;
	int ret = names_read(w, dir, &v);

	store_note(&w->l->base, STORE_LIST, ret, 0, 0);
	if (ret == -ENOENT)
		ret = 0;
	else if (ret != 0)
		local_err(w->l, ret, "list", dir);
	for (i = 0; i < v.n && ret == 0; i++) {
		if (store_is_canceled(&w->l->base)) {
			ret = -ECANCELED;
			break;
		}
		snprintf(path, sizeof(path), "%s%s", dir, v.name[i]);
		ret = path[strlen(path) - 1] == '/' ? walk_dir(w, path) :
		    report(w, path);
	}
	names_release(&v);
	return ret;
}

int
local_list(struct store *s, const char *prefix, int state,
    int (*fn)(void *ctx, const char *name, const struct store_stat *st),
    void *ctx)
{
	struct walk w = { local_of(s), prefix, fn, ctx };

	(void)state;	/* all is hot */
	return walk_dir(&w, "");
}
