/* SPDX-License-Identifier: Apache-2.0 */
/* What the user asked for, as a tree of path components. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/walk.h"
#include "base/err.h"
#include "base/log.h"

void
want_release(struct want *w)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		want_release(&w->child[i]);
		free(w->child[i].name);
	}
	free(w->child);
	w->child = NULL;
	w->n = 0;
}

/* The child of this name, made when missing, kept in order. */
static struct want *
want_child(struct want *w, const char *name, size_t len)
{
	struct want *c;
	size_t i;
	int cmp;

	for (i = 0; i < w->n; i++) {
		cmp = tree_name_cmp(w->child[i].name,
		    strlen(w->child[i].name), name, len);
		if (cmp == 0)
			return &w->child[i];
		if (cmp > 0)
			break;
	}
	c = realloc(w->child, (w->n + 1) * sizeof(*c));
	if (c == NULL)
		return NULL;
	w->child = c;
	memmove(c + i + 1, c + i, (w->n - i) * sizeof(*c));
	memset(&c[i], 0, sizeof(*c));
	c[i].name = strndup(name, len);
	if (c[i].name == NULL) {
		memmove(c + i, c + i + 1, (w->n - i) * sizeof(*c));
		return NULL;
	}
	w->n++;
	return &c[i];
}

static int
want_add(struct want *root, const char *path)
{
	struct want *w = root;
	const char *end;

	for (;;) {
		while (*path == '/')
			path++;
		if (*path == '\0')
			break;
		end = strchrnul(path, '/');
		w = want_child(w, path, (size_t)(end - path));
		if (w == NULL)
			return -ENOMEM;
		path = end;
	}
	w->whole = 1;
	return 0;
}

/*
 * Absolute, with the directory part resolved and the last component as it is,
 * so that a symlink that was named is backed up as one.
 */
static int
path_resolve(const char *path, char **out)
{
	struct stat st;
	char *copy, *slash, *dir, *base, *real;
	size_t len;
	int err = 0;

	*out = NULL;
	if (lstat(path, &st) != 0)
		return -errno;
	copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	for (len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	slash = strrchr(copy, '/');
	base = slash != NULL ? slash + 1 : copy;
	if (!S_ISLNK(st.st_mode) || strlen(path) != len || *base == '\0') {
		*out = realpath(path, NULL);
		err = *out == NULL ? -errno : 0;
		free(copy);
		return err;
	}
	if (slash != NULL)
		*slash = '\0';
	dir = slash == NULL ? "." : slash == copy ? "/" : copy;
	real = realpath(dir, NULL);
	if (real == NULL)
		err = -errno;
	else if (asprintf(out, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
	    base) < 0)
		err = -ENOMEM;
	free(real);
	free(copy);
	return err;
}

int
want_build(const char *const *paths, size_t n, struct want *root,
    struct want_path **out)
{
	struct want_path *at = calloc(n + 1, sizeof(*at));
	size_t i;
	int err = 0;

	*out = at;
	if (at == NULL)
		return -ENOMEM;
	for (i = 0; i < n && err == 0; i++) {
		at[i].err = path_resolve(paths[i], &at[i].abs);
		if (at[i].err == 0)
			err = want_add(root, at[i].abs);
	}
	return err;
}

int
want_note(const char *const *paths, size_t n, const struct want_path *at,
    struct genrec *rec, uint64_t *missing)
{
	size_t i, found = 0;
	int err = 0;

	*missing = 0;
	for (i = 0; i < n && err == 0; i++) {
		if (at[i].err == 0) {
			found++;
			err = genrec_add_path(rec, at[i].abs);
		} else {
			log_err(at[i].err, "cannot back up '%s'", paths[i]);
			genrec_add_error(rec, paths[i]);
			++*missing;
		}
	}
	if (err != 0)
		return err;
	return found > 0 ? 0 : log_plain(-ENOENT,
	    "none of the paths can be read; nothing to back up");
}

void
want_paths_free(struct want_path *at, size_t n)
{
	size_t i;

	for (i = 0; at != NULL && i < n; i++)
		free(at[i].abs);
	free(at);
}
