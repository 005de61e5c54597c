/* SPDX-License-Identifier: Apache-2.0 */
/* What a run can do before there is a repository. */
#include <stdlib.h>

#include "backup/scan.h"
#include "backup/walk.h"
#include "base/err.h"

/* Without a scanner the walker looks itself. */
static void
scan_begin(struct backup_start *s, const struct backup_conf *conf)
{
	const struct scan_conf sc = { .exclude = conf->exclude,
	    .exclude_caches = conf->exclude_caches, .stop = conf->stop };

	if (scan_new(&sc, &s->want, &s->scan) != 0)
		s->scan = NULL;
}

int
backup_begin(const struct backup_conf *conf, struct backup_start **out)
{
	struct backup_start *s = calloc(1, sizeof(*s));
	int err = 0;

	if (s == NULL)
		return -ENOMEM;
	clock_gettime(CLOCK_REALTIME, &s->time);
	if (conf->stdin_name == NULL) {
		s->npaths = conf->npaths;
		err = want_build(conf->paths, conf->npaths, &s->want,
		    &s->path);
		if (err == 0)
			scan_begin(s, conf);
	}
	if (err != 0) {
		backup_forget(s);
		return err;
	}
	*out = s;
	return 0;
}

void
backup_forget(struct backup_start *s)
{
	if (s == NULL)
		return;
	scan_free(s->scan);
	want_release(&s->want);
	want_paths_free(s->path, s->npaths);
	free(s);
}
