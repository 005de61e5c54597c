/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles: options of every command by their long names, one a line,
 * `name = value`, in NAME.conf.  The user's own goes before the system's.
 * The command line wins over a profile.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "tools/tool.h"

#define PROFILE_MAX	(64u << 10)

struct loading {
	struct tool *t;
	struct tool before;	/* what the command line had set */
	const char *path;
	int bad;
};

static int
on_value(void *ctx, const char *section, const char *name, const char *value)
{
	struct loading *l = ctx;
	char *copy;
	int ret;

	(void)section;
	if (l->t->nowned == sizeof(l->t->owned) / sizeof(l->t->owned[0])) {
		log_err(0, "'%s' has too many lines", l->path);
		l->bad = 1;
		return 0;
	}
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	l->t->owned[l->t->nowned++] = copy;
	ret = tool_set(l->t, name, copy);
	if (ret == 0)
		log_err(0, "'%s': no option '%s'", l->path, name);
	if (ret != 1)
		l->bad = 1;
	return 0;
}

static char *
profile_path(const char *name)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *path = NULL;
	int n = -1;

	if (config != NULL && *config == '/')
		n = asprintf(&path, "%s/firn/%s.conf", config, name);
	else if (home != NULL)
		n = asprintf(&path, "%s/.config/firn/%s.conf", home, name);
	if (n >= 0 && access(path, F_OK) == 0)
		return path;
	if (n >= 0)
		free(path);
	return asprintf(&path, "/etc/firn/%s.conf", name) < 0 ? NULL : path;
}

/* What the command line had set stays. */
static void
keep(struct tool *t, const struct tool *before)
{
	if (before->conf.url != NULL)
		t->conf.url = before->conf.url;
	if (before->password.file != NULL || before->password.command != NULL)
		t->password = before->password;
	if (before->conf.cache_dir != NULL)
		t->conf.cache_dir = before->conf.cache_dir;
	if (before->conf.cache_limit != 0)
		t->conf.cache_limit = before->conf.cache_limit;
	if (before->conf.store.region != NULL)
		t->conf.store.region = before->conf.store.region;
	if (before->conf.store.endpoint != NULL)
		t->conf.store.endpoint = before->conf.store.endpoint;
	if (before->conf.store.sse != NULL)
		t->conf.store.sse = before->conf.store.sse;
	if (before->conf.store.tier != NULL)
		t->conf.store.tier = before->conf.store.tier;
	if (before->conf.store.meta_class != NULL)
		t->conf.store.meta_class = before->conf.store.meta_class;
	if (before->conf.store.bucket_owner != NULL)
		t->conf.store.bucket_owner = before->conf.store.bucket_owner;
	if (before->conf.store.requester_pays)
		t->conf.store.requester_pays = 1;
	if (before->prices != NULL)
		t->prices = before->prices;
	if (before->conf.no_cache)
		t->conf.no_cache = 1;
	if (before->conf.store.path_style == 1)
		t->conf.store.path_style = 1;
	if (before->conf.store.timeout != 0)
		t->conf.store.timeout = before->conf.store.timeout;
}

int
profile_load(struct tool *t, const char *name)
{
	struct loading l = { .t = t, .before = *t };
	struct buf text = BUF_INIT(PROFILE_MAX);
	char *path;
	unsigned line = 0;
	int err;

	if (*name == '\0' || strchr(name, '/') != NULL)
		return tool_usage(t, "'%s' is not the name of a profile", name);
	path = profile_path(name);
	if (path == NULL)
		return EXIT_FAILED;
	l.path = path;
	err = file_load(AT_FDCWD, path, &text);
	if (err != 0)
		log_err(err, "cannot read profile '%s'; it is looked for in "
		    "~/.config/firn and /etc/firn", path);
	else
		err = ini_read(text.data, text.len, on_value, &l, &line);
	if (line > 0)
		log_err(0, "'%s': line %u is not `name = value` of at most %d "
		    "bytes", path, line, INI_LINE_MAX);
	keep(t, &l.before);
	buf_release(&text);
	free(path);
	return err != 0 || l.bad ? EXIT_USAGE : 0;
}
