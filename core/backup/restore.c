/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run of a restore, and its walk: in the order of the generation, which is
 * the order of its packs, so that what the jobs read comes in sequence.
 *
 * A position in the generation is not kept while the walker is further down,
 * since each would hold a page in memory, but found again by its ordinal.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/fsmeta.h"
#include "backup/restore_internal.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

#define THREADS_DEFAULT	4
#define BACKLOG		256
/* More entries than a page holds, with the shortest names. */
#define PAGE_ENTRIES	8192

static int
stop_asked(const struct restore_conf *conf)
{

	return conf->stop != NULL &&
	    __atomic_load_n(conf->stop, __ATOMIC_RELAXED) != 0;
}

int
restore_stopping(struct restore *r)
{
	int fatal;

	if (stop_asked(r->conf))
		return 1;
	pthread_mutex_lock(&r->lock);
	fatal = r->fatal;
	pthread_mutex_unlock(&r->lock);
	return fatal != 0;
}

void
restore_failed(struct restore *r)
{

	pthread_mutex_lock(&r->lock);
	r->result->failed++;
	pthread_mutex_unlock(&r->lock);
}

int
restore_local_err(struct restore *r, int err, const char *what,
    const char *path)
{
	const char *base = strrchr(path, '/');
	int first;

	base = base != NULL ? base + 1 : path;
	if (err == -ENAMETOOLONG)
		return log_plain(err, "cannot %s '%s': its file system takes "
		    "no name of %zu bytes; restore it into another one", what,
		    path, strlen(base));
	if (err != -ENOSPC && err != -EDQUOT && err != -EROFS)
		return log_err(err, "cannot %s '%s'", what, path);
	pthread_mutex_lock(&r->lock);
	first = r->fatal == 0;
	if (first)
		r->fatal = err;
	pthread_mutex_unlock(&r->lock);
	if (first && err == -EROFS)
		log_err(err, "cannot %s '%s'", what, path);
	else if (first)
		log_err(err, "cannot %s '%s'; make room and run the same "
		    "restore again, it goes on from here", what, path);
	return err;
}

void
restore_report(struct restore *r, const char *path, const struct entry *e,
    const char *what)
{

	if (r->conf->file != NULL)
		r->conf->file(r->conf->ctx, strlen(path) > r->top_len ?
		    path + r->top_len + 1 : "", e, what);
}

char *
restore_path(const struct rdir *d, const char *name)
{
	const struct rdir *p;
	size_t len = 0, n;
	char *path, *end;

	if (name != NULL)
		len += strlen(name) + 1;
	for (p = d; p->parent != NULL; p = p->parent)
		len += p->item->e.namelen + 1;
	len += strlen(p->top);
	path = malloc(len + 1);
	if (path == NULL)
		return NULL;
	end = path + len;
	*end = '\0';
	if (name != NULL) {
		n = strlen(name);
		end -= n;
		memcpy(end, name, n);
		*--end = '/';
	}
	for (p = d; p->parent != NULL; p = p->parent) {
		n = p->item->e.namelen;
		end -= n;
		memcpy(end, p->item->name, n);
		*--end = '/';
	}
	memcpy(path, p->top, strlen(p->top));
	if (len == 0) {		/* the root is "" in front of others */
		free(path);
		path = strdup("/");
	}
	return path;
}

void
restore_temp_name(struct restore *r, char out[TEMP_NAME_SIZE])
{

	snprintf(out, TEMP_NAME_SIZE, ".firn-%08x",
	    (unsigned)__atomic_fetch_add(&r->temp, 1, __ATOMIC_RELAXED));
}

int
restore_is_temp(const char *name)
{

	return strncmp(name, ".firn-", 6) == 0 &&
	    strspn(name + 6, "0123456789abcdef") == 8 && name[14] == '\0';
}

void
restore_meta(struct restore *r, int dirfd, const char *name, const char *path,
    const struct entry *e)
{
	struct buf xattr;
	unsigned skipped = 0;
	int err, ret;

	buf_init(&xattr, TREE_XATTR_MAX);
	err = tree_xattrs(r->tree, e, &xattr);
	if (err != 0)
		log_err(err, "cannot read the xattrs of '%s' from the "
		    "repository", path);
	ret = fsmeta_apply(dirfd, name, path, e, err == 0 ? &xattr : NULL,
	    &skipped);
	buf_release(&xattr);
	pthread_mutex_lock(&r->lock);
	r->result->skipped_owners += skipped;
	r->result->failed += err != 0 || ret != 0;
	pthread_mutex_unlock(&r->lock);
}

static const void *
place(struct item *it, size_t *used, const void *data, size_t len)
{
	char *p = it->bytes + *used;

	if (len > 0)
		memcpy(p, data, len);
	*used += len;
	return p;
}

int
restore_item_new(const struct entry *e, struct item **out)
{
	size_t inl = e->flags & ENTRY_INLINE ? (size_t)e->size : 0;
	size_t target = e->flags & ENTRY_SYMLINK ? e->targetlen : 0;
	size_t xattr = e->flags & ENTRY_XATTR ? e->xattrlen : 0;
	size_t extents = e->flags & ENTRY_EXTENTS ? e->extentslen : 0;
	size_t used = 0;
	struct item *it;

	it = malloc(sizeof(*it) + e->namelen + 1 + inl + target + xattr +
	    extents);
	if (it == NULL)
		return -ENOMEM;
	it->e = *e;
	it->name = it->bytes;
	it->e.name = place(it, &used, e->name, e->namelen);
	it->bytes[used++] = '\0';
	it->e.target = place(it, &used, e->target, target);
	it->e.xattr = place(it, &used, e->xattr, xattr);
	it->e.inl = place(it, &used, e->inl, inl);
	it->e.extents = place(it, &used, e->extents, extents);
	*out = it;
	return 0;
}

/* Names come from outside: entry_decode() has refused these, and so do we. */
static int
name_ok(const struct entry *e)
{

	if (e->namelen == 0 || e->namelen > TREE_NAME_MAX ||
	    memchr(e->name, '/', e->namelen) != NULL ||
	    memchr(e->name, '\0', e->namelen) != NULL)
		return 0;
	return !(e->name[0] == '.' && (e->namelen == 1 ||
	    (e->namelen == 2 && e->name[1] == '.')));
}

/* Is it to be restored in this run? */
static int
is_now(struct restore *r, const struct rdir *d, const struct entry *e)
{
	int ret;

	if (r->conf->ready == NULL || !S_ISREG(e->mode))
		return 1;
	ret = r->conf->ready(r->conf->ctx, e, restore_file_there(r, d, e));
	pthread_mutex_lock(&r->lock);
	if (ret == RESTORE_LATER)
		r->result->left++;
	if (ret < 0 && r->fatal == 0)
		r->fatal = ret;
	pthread_mutex_unlock(&r->lock);
	return ret == RESTORE_NOW;
}

static void
one_entry(struct restore *r, struct rdir *d, const struct entry *e)
{
	char *path;

	if (!name_ok(e)) {
		path = restore_path(d, NULL);
		log_err(-FIRN_ECORRUPT, "directory '%s' holds a name that no "
		    "file can have", path != NULL ? path : "?");
		free(path);
		restore_failed(r);
	} else if (S_ISDIR(e->mode)) {
		rdir_enter(r, e);
	} else if (is_now(r, d, e)) {
		restore_job_submit(r, d, e);
	}
}

/*
 * The page at d->next cannot be read: find the first entry behind it, by
 * steps and then by halves.  1 there, 0 when nothing behind it can be read.
 */
static int
skip_page(struct restore *r, struct rdir *d, struct tree_pos *pos)
{
	uint64_t bad = d->next, good = 0, mid, step;
	int ret = -1;

	for (step = 512; step <= PAGE_ENTRIES && ret < 0; step *= 2) {
		good = d->next + step;
		ret = tree_at(r->tree, d->id, good, pos);
		/* Past the end tells as much as an entry does. */
		if (ret < 0)
			bad = good;
	}
	if (ret < 0)
		return 0;
	while (good - bad > 1) {
		mid = bad + (good - bad) / 2;
		ret = tree_at(r->tree, d->id, mid, pos);
		if (ret < 0)
			bad = mid;
		else
			good = mid;
	}
	d->next = good;
	return tree_at(r->tree, d->id, good, pos) == 1;
}

/* The next entry of d: 1 and pos there, 0 at the end. */
static int
next_entry(struct restore *r, struct rdir *d, struct tree_pos *pos)
{
	char *path;
	int ret;

	if (!d->has_tree || d->lost)
		return 0;
	ret = pos->leaf == NULL ?
	    tree_at(r->tree, d->id, d->next, pos) :
	    tree_next(r->tree, d->id, pos);
	if (ret < 0 && !restore_stopping(r)) {
		path = restore_path(d, NULL);
		log_err(ret, "cannot read directory '%s', or a part of it, "
		    "from the repository", path != NULL ? path : "?");
		free(path);
		restore_failed(r);
		if (ret == -FIRN_ECORRUPT || ret == -FIRN_EMISSING)
			ret = skip_page(r, d, pos);
	}
	if (ret == 1)
		d->next++;
	return ret == 1;
}

static void
walk(struct restore *r)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct rdir *d;
	size_t depth;

	while (r->depth > 0) {
		d = r->stack[r->depth - 1];
		if (!restore_stopping(r) && next_entry(r, d, &pos)) {
			depth = r->depth;
			one_entry(r, d, tree_entry(&pos));
			if (r->depth != depth)
				tree_pos_release(r->tree, &pos);
			continue;
		}
		tree_pos_release(r->tree, &pos);
		rdir_leave(r);
	}
}

/* Open the target, made when missing: private when it will get a mode of its
 * own.  *fd is -1 in a dry run without it. */
static int
open_target(struct restore *r, const char *target, mode_t mode, int *fd,
    int *existed)
{
	int err;

	if (target[0] == '\0')
		target = "/";	/* trimmed */
	*fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*existed = *fd >= 0;
	if (*fd >= 0 || (errno == ENOENT && r->conf->dry_run))
		return 0;
	if (errno != ENOENT)
		return log_err(-errno, "cannot open '%s'", target);
	err = file_mkdirs(target, mode);
	if (err != 0)
		return log_err(err, "cannot make directory '%s'", target);
	*fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd >= 0 ? 0 : log_err(-errno, "cannot open '%s'", target);
}

static unsigned
open_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 ||
	    rl.rlim_cur / 3 > RESTORE_DIRS_OPEN)
		return RESTORE_DIRS_OPEN;
	return rl.rlim_cur / 3 < 8 ? 8 : (unsigned)(rl.rlim_cur / 3);
}

/* Was "/" itself asked for, in the backup? */
static int
is_source_root(const struct restore_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->nsources; i++)
		if (strcmp(conf->sources[i], "/") == 0)
			return 1;
	return 0;
}

/* Everything below top, or the one file e. */
static int
run(struct restore *r, const struct entry *e, const uint8_t *id,
    const char *target)
{
	int is_dir = e != NULL && S_ISDIR(e->mode);
	int fd, existed, bare, err;
	unsigned threads = r->conf->threads;

	err = open_target(r, target, is_dir ? 0700 : 0777, &fd, &existed);
	if (err != 0)
		return err;
	r->top_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && r->top_fd < 0) {
		err = log_err(-errno, "cannot open '%s'", target);
		close(fd);
		return err;
	}
	bare = r->path[0] == '\0' && existed && !is_source_root(r->conf);
	err = rdir_top(r, target, fd, existed, bare, is_dir ? e : NULL, id);
	if (err != 0)
		return log_err(err, "cannot restore into '%s'", target);
	restore_links_init(r);
	if (!r->conf->dry_run)
		err = pool_new("firn-restore",
		    threads == 0 ? THREADS_DEFAULT : threads, BACKLOG,
		    &r->pool);
	if (err != 0) {
		r->fatal = log_err(err, "cannot start threads");
	} else {
		if (existed)
			restore_clean(r, r->stack[0]);
		if (e != NULL && !is_dir)
			one_entry(r, r->stack[0], e);
	}
	walk(r);
	pool_free(r->pool);
	restore_links_release(r);
	return r->fatal;
}

/* The path without '/' at either end; malloc'd. */
static char *
trim(const char *path, int front)
{
	size_t len;

	while (front && *path == '/')
		path++;
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	return strndup(path, len);
}

/* Find what is wanted; for the whole, *e is the root's or stays NULL. */
static int
find(struct restore *r, const uint8_t *root, struct tree_pos *pos,
    const struct entry **e, const uint8_t **id)
{
	int err;

	*id = root;
	*e = r->conf->root;
	if (r->path[0] == '\0')
		return 0;
	err = tree_resolve(r->tree, root, r->path, pos);
	if (err != 0)
		return log_err(err, "cannot find '%s' in the generation",
		    r->path);
	*e = tree_entry(pos);
	*id = (*e)->flags & ENTRY_SUBTREE ? (*e)->tree_id : NULL;
	return 0;
}

int
restore_run(struct tree *t, const uint8_t root[BLOCK_ID_SIZE],
    const char *path, const char *target, const struct restore_conf *conf,
    struct restore_result *result)
{
	struct restore r = { .tree = t, .conf = conf, .result = result,
	    .top_fd = -1, .links.fd = -1 };
	struct tree_pos pos = TREE_POS_INIT;
	const struct entry *e = NULL;
	const uint8_t *id;
	char *gen_path = trim(path, 1), *top = trim(target, 0);
	int err = -ENOMEM;

	memset(result, 0, sizeof(*result));
	/* Not "/", which trim() would make of it. */
	if (*target == '\0') {
		err = log_plain(-EINVAL, "the directory to restore into has "
		    "an empty name");
		free(gen_path);
		free(top);
		return err;
	}
	pthread_mutex_init(&r.flags_lock, NULL);
	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.change, NULL);
	if (gen_path == NULL || top == NULL)
		goto out;
	r.path = gen_path;
	r.top_len = strlen(top);
	r.open_max = open_limit();
	if (getrandom(&r.temp, sizeof(r.temp), 0) < 0)
		r.temp = (uint32_t)getpid() << 12;
	err = find(&r, root, &pos, &e, &id);
	if (err == 0)
		err = run(&r, e, id, top);
	if (err == 0 && stop_asked(conf))
		err = -ECANCELED;
out:
	tree_pos_release(t, &pos);
	if (r.top_fd >= 0)
		close(r.top_fd);
	free(r.stack);
	free(gen_path);
	free(top);
	pthread_cond_destroy(&r.change);
	pthread_mutex_destroy(&r.lock);
	pthread_mutex_destroy(&r.flags_lock);
	return err;
}
