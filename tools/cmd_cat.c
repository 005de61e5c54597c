/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "repo/filemap.h"
#include "repo/tree_read.h"
#include "tools/tool.h"

#define PIECE (1u << 20)

static int
copy_out(struct filemap *fm, const char *path)
{
	uint64_t off = 0, size = filemap_size(fm);
	uint8_t *piece = malloc(PIECE);
	size_t got;
	int err = piece == NULL ? -ENOMEM : 0;

	while (err == 0 && off < size) {
		err = tool_stop ? -ECANCELED : filemap_read(fm, off, piece,
		    PIECE, &got);
		if (err != 0) {
			log_err(err, "cannot read '%s' at byte %llu", path,
			    (unsigned long long)off);
			break;
		}
		off += got;
		err = file_write_full(STDOUT_FILENO, piece, got);
		if (err != 0)
			tool_print_failed(err);
	}
	free(piece);
	return err;
}

/* Say what it is instead. */
static int
no_file(const char *path, const struct entry *e)
{
	if (S_ISDIR(e->mode))
		return log_plain(-EISDIR, "'%s' is a directory; `firn restore` "
		    "copies it out", path);
	if (S_ISLNK(e->mode))
		return log_plain(-EINVAL, "'%s' is a symbolic link to '%.*s'; "
		    "name what it points to, or `firn restore` the link",
		    path, (int)e->targetlen, e->target);
	return log_plain(-EINVAL, "'%s' is not a regular file", path);
}

static int
cat(struct tree *tree, const uint8_t *root, const char *path)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct filemap *fm = NULL;
	const struct entry *e;
	int err;

	err = tree_resolve(tree, root, path, &pos);
	if (err == -EISDIR)
		return log_plain(err, "'%s' is a directory", path);
	if (err != 0)
		return log_err(err, "cannot find '%s' in the generation",
		    path);
	e = tree_entry(&pos);
	if (!S_ISREG(e->mode))
		err = no_file(path, e);
	if (err == 0)
		err = filemap_new(tree_reader(tree), e, &fm);
	tree_pos_release(tree, &pos);
	if (err == 0)
		err = copy_out(fm, path);
	filemap_free(fm);
	return err;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct generation_list gens;
	const struct generation *g;
	struct reader *rd = NULL;
	struct tree *tree = NULL;
	const char *path;
	int c, status, err;

	while ((c = tool_option(t, argc, argv, "", NULL)) != -1)
		return tool_usage_status(t);
	if (optind + 1 != argc)
		return tool_usage(t, "want one GENERATION:PATH");
	if (strchr(argv[optind], ':') == NULL)
		return tool_usage(t, "which file? want GENERATION:PATH");
	status = tool_generation(t, argv[optind], &gens, &g, &path);
	if (status != 0)
		return status;
	if (*path == '\0') {
		generation_list_release(&gens);
		return tool_usage(t, "which file? want GENERATION:PATH");
	}
	err = reader_new(t->repo, NULL, &rd);
	if (err == 0)
		err = tree_new(rd, 4u << 20, &tree);
	if (err == 0)
		err = cat(tree, g->rec.root, path);
	tree_free(tree);
	reader_free(rd);
	generation_list_release(&gens);
	return tool_exit(err);
}

const struct command command_cat = { "cat", run, "GENERATION:PATH",
	"print a file of a generation",
	"Print a file to standard output.\n"
	"\n"
	"Example: firn cat web1/etc/latest:/etc/fstab" };
