/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "repo/filemap.h"
#include "repo/tree_read.h"
#include "tools/tool.h"

enum { O_BLOCKS = 256 };

static const struct option options[] = {
	{ "long", no_argument, NULL, 'l' },
	{ "recursive", no_argument, NULL, 'R' },
	{ "blocks", no_argument, NULL, O_BLOCKS },
	{ NULL, 0, NULL, 0 }
};

struct listing {
	struct tool *t;
	struct tree *tree;
	int lng, recursive, blocks;
	struct buf path;
	unsigned failed;
};

static void
mode_text(uint32_t mode, char out[11])
{
	static const char bits[] = "rwxrwxrwx";
	int i;

	out[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISBLK(mode) ?
	    'b' : S_ISCHR(mode) ? 'c' : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ?
	    's' : '-';
	for (i = 0; i < 9; i++)
		out[i + 1] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & S_IXOTH ? 't' : 'T';
	out[10] = '\0';
}

static const char *
type_name(uint32_t mode)
{
	return S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" :
	    S_ISBLK(mode) ? "block device" : S_ISCHR(mode) ? "char device" :
	    S_ISFIFO(mode) ? "fifo" : S_ISSOCK(mode) ? "socket" : "file";
}

/* The blocks of a file, as JSON or indented lines. */
static int
blocks(struct listing *l, const struct entry *e, struct json *j)
{
	struct filemap *fm;
	struct extent x;
	uint64_t start, off = 0;
	struct json *a, *o;
	char hex[2 * BLOCK_ID_SIZE + 1];
	int err;

	err = filemap_new(tree_reader(l->tree), e, &fm);
	if (err != 0)
		return err;
	a = j != NULL ? json_array() : NULL;
	while ((err = e->flags & ENTRY_INLINE ? 0 : filemap_extent(fm, off, &x,
	    &start)) == 1) {
		off = start + x.len;
		hex_encode(x.id, BLOCK_ID_SIZE, hex);
		if (j == NULL) {
			printf("\t%s %llu\n", x.hole ? "hole" : hex,
			    (unsigned long long)x.len);
			continue;
		}
		o = json_object();
		if (!x.hole)
			json_set_str(o, "id", hex);
		json_set_uint(o, "length", x.len);
		json_set(a, NULL, o);
	}
	if (j != NULL)
		json_set(j, "blocks", a);
	filemap_free(fm);
	return err;
}

static int
print_json(struct listing *l, const struct entry *e)
{
	struct json *j = json_object();
	char text[TIMEFMT_SIZE];
	int err = 0;

	json_set_bytes(j, "path", l->path.data, l->path.len);
	json_set_str(j, "type", type_name(e->mode));
	json_set_uint(j, "mode", e->mode & 07777);
	json_set_uint(j, "uid", e->uid);
	json_set_uint(j, "gid", e->gid);
	if (e->flags & ENTRY_SIZE)
		json_set_uint(j, "size", e->size);
	timefmt_iso(&e->mtime, text);
	json_set_str(j, "mtime", text);
	json_set_uint(j, "inode", e->ino);
	if (e->flags & ENTRY_LINKS)
		json_set_uint(j, "links", e->nlink);
	if (e->flags & ENTRY_SYMLINK)
		json_set_bytes(j, "target", e->target, e->targetlen);
	if (e->flags & ENTRY_SUBTREE) {
		json_set_uint(j, "files", e->files);
		json_set_uint(j, "dirs", e->dirs);
		json_set_uint(j, "bytes", e->bytes);
	}
	if (e->flags & ENTRY_PARTIAL)
		json_set_bool(j, "partial", 1);
	if (l->blocks && S_ISREG(e->mode))
		err = blocks(l, e, j);
	if (err == 0)
		return tool_print_json(j);
	json_free(j);
	return err;
}

static int
print_one(struct listing *l, const struct entry *e)
{
	char mode[11], time[TIMEFMT_SIZE];

	if (l->t->json)
		return print_json(l, e);
	if (l->lng) {
		mode_text(e->mode, mode);
		timefmt_name(&e->mtime, time);
		printf("%s %3u %5u %5u ", mode, e->flags & ENTRY_LINKS ?
		    e->nlink : 1, e->uid, e->gid);
		if (e->flags & ENTRY_RDEV)
			printf("%7u,%5u", e->rdev_major, e->rdev_minor);
		else
			printf("%13llu", (unsigned long long)(e->flags &
			    ENTRY_SUBTREE ? e->bytes : e->size));
		printf(" %s ", time);
	}
	tool_print_path(stdout, (const char *)l->path.data, l->path.len);
	if (l->lng && e->flags & ENTRY_SYMLINK) {
		printf(" -> ");
		tool_print_path(stdout, e->target, e->targetlen);
	}
	putchar('\n');
	return l->blocks && S_ISREG(e->mode) ? blocks(l, e, NULL) : 0;
}

/* Directories entered and not left, so that depth costs no stack. */
struct frame {
	struct frame *up;
	uint8_t dir[BLOCK_ID_SIZE];
	struct tree_pos pos;
	size_t pathlen;
	int begun;
};

static int
frame_push(struct frame **top, const uint8_t *dir, size_t pathlen)
{
	struct frame *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	memcpy(f->dir, dir, BLOCK_ID_SIZE);
	f->pathlen = pathlen;
	f->up = *top;
	*top = f;
	return 0;
}

static void
frame_pop(struct listing *l, struct frame **top)
{
	struct frame *f = *top;

	tree_pos_release(l->tree, &f->pos);
	*top = f->up;
	free(f);
}

static int
list_dir(struct listing *l, const uint8_t *dir)
{
	struct frame *top = NULL;
	const struct entry *e;
	int ret;

	ret = frame_push(&top, dir, l->path.len);
	while (ret >= 0 && top != NULL && !tool_stop) {
		l->path.len = top->pathlen;
		ret = top->begun ? tree_next(l->tree, top->dir, &top->pos) :
		    tree_at(l->tree, top->dir, 0, &top->pos);
		top->begun = 1;
		if (ret < 0 && !tool_stop) {
			log_err(ret, "cannot list '/%s'", buf_cstr(&l->path));
			l->failed++;
			ret = 0;
		}
		if (ret == 0) {
			frame_pop(l, &top);
			continue;
		}
		e = tree_entry(&top->pos);
		if (l->path.len > 0)
			buf_add(&l->path, "/", 1);
		ret = buf_add(&l->path, e->name, e->namelen);
		if (ret == 0)
			ret = print_one(l, e);
		if (ret == 0 && ferror(stdout))
			ret = -EPIPE;	/* why, tool_flush() says */
		if (ret == 0 && l->recursive && S_ISDIR(e->mode))
			ret = frame_push(&top, e->tree_id, l->path.len);
	}
	while (top != NULL)
		frame_pop(l, &top);
	return tool_stop ? -ECANCELED : ret;
}

static int
list(struct listing *l, const uint8_t *root, const char *path)
{
	struct tree_pos pos = TREE_POS_INIT;
	const char *typed = path;
	const struct entry *e;
	int err;

	while (*path == '/')
		path++;
	buf_add(&l->path, path, strlen(path));
	while (l->path.len > 0 && l->path.data[l->path.len - 1] == '/')
		l->path.len--;
	err = tree_resolve(l->tree, root, path, &pos);
	if (err == -EISDIR)
		return list_dir(l, root);
	if (err != 0)
		return log_err(err, "cannot find '%s' in the generation",
		    typed);
	e = tree_entry(&pos);
	if (S_ISDIR(e->mode))
		err = list_dir(l, e->tree_id);
	else
		err = print_one(l, e);
	tree_pos_release(l->tree, &pos);
	return err;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct listing l = { .t = t };
	struct generation_list gens;
	const struct generation *g;
	struct reader *rd = NULL;
	const char *path;
	int c, status, err;

	while ((c = tool_option(t, argc, argv, "lR", options)) != -1) {
		if (c == 'l')
			l.lng = 1;
		else if (c == 'R')
			l.recursive = 1;
		else if (c == O_BLOCKS)
			l.blocks = 1;
		else
			return tool_usage_status(t);
	}
	if (optind + 1 != argc)
		return tool_usage(t, "want one GENERATION[:PATH]");
	status = tool_generation(t, argv[optind], &gens, &g, &path);
	if (status != 0)
		return status;
	buf_init(&l.path, 1u << 20);
	err = reader_new(t->repo, NULL, &rd);
	if (err == 0)
		err = tree_new(rd, 16u << 20, &l.tree);
	if (err == 0)
		err = list(&l, g->rec.root, path);
	if (err == 0)
		err = tool_json_tail(t);
	tree_free(l.tree);
	reader_free(rd);
	buf_release(&l.path);
	generation_list_release(&gens);
	return err == 0 && l.failed > 0 ? EXIT_FAILED : tool_exit(err);
}

const struct command command_ls = { "ls", run, "GENERATION[:PATH]",
	"list files of a generation",
	"List a directory of a generation, or a file.\n"
	"\n"
	"  -l, --long        modes, owners, sizes, times\n"
	"  -R, --recursive   and all that is below\n"
	"      --blocks      the blocks of each file\n"
	"\n"
	"GENERATION is an id or the beginning of one, latest, latest~N, a time "
	"such as\n2026-11-20T115739Z, or HOST/SERIES, HOST/SERIES/TIME, "
	"HOST/SERIES/latest~N.\n"
	"\n"
	"Example: firn ls -l latest:/etc" };
