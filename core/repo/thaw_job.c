/* SPDX-License-Identifier: Apache-2.0 */
/* Job files and their directory. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "repo/repo.h"
#include "repo/thaw_job.h"

#define DIR_NAME	"thaw"
#define LOCK_NAME	"lock"
#define LOCK_MS		100

/* DIR/thaw/NAME; NULL without local state or memory. */
static char *
path_of(struct repo *r, const char *name)
{
	const char *dir = repo_state_dir(r);
	char *path;

	if (dir == NULL || asprintf(&path, "%s/" DIR_NAME "%s%s", dir,
	    *name != '\0' ? "/" : "", name) < 0)
		return NULL;
	return path;
}

static int
dir_make(struct repo *r)
{
	char *dir = path_of(r, "");
	int err;

	if (dir == NULL)
		return -ENOENT;
	err = file_mkdirs(dir, 0700);
	if (err != 0)
		log_err(err, "cannot make directory '%s'", dir);
	free(dir);
	return err;
}

int
thaw_job_save(struct repo *r, struct thaw_job *j)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX);
	char *path;
	int err;

	if (j->name[0] == '\0' || repo_state_dir(r) == NULL) {
		j->name[0] = '\0';
		return 0;
	}
	err = dir_make(r);
	if (err != 0)
		return err;
	path = path_of(r, j->name);
	err = path == NULL ? -ENOMEM : thaw_job_encode(j, &text);
	if (err == 0)
		err = file_save(AT_FDCWD, path, text.data, text.len, 0600);
	if (err != 0)
		log_err(err, "cannot note the thaw in '%s'",
		    path != NULL ? path : DIR_NAME);
	buf_release(&text);
	free(path);
	return err;
}

/* All of it, or nothing. */
static int
append(int fd, const void *data, size_t len)
{
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = end < 0 ? -1 : write(fd, data, len);
	int err = n < 0 ? -errno : -ENOSPC;

	if (n == (ssize_t)len)
		return 0;
	if (n > 0 && ftruncate(fd, end) != 0)
		log_warn(-errno, "cannot take back half a note of a thaw");
	return log_err(err, "cannot note what a thaw costs, so it is not asked "
	    "for; make room for the local state");
}

/* Who was killed in the middle of a note, or could not take back half of one,
 * must not garble the next. */
static int
line_end(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';

	if (end > 0 && pread(fd, &last, 1, end - 1) != 1)
		return log_err(-errno, "cannot read what a thaw has cost");
	return last == '\n' ? 0 : append(fd, "\n", 1);
}

int
thaw_job_open(struct repo *r, const struct thaw_job *j, int *fd)
{
	char *path;
	int err = 0;

	*fd = -1;
	if (j->name[0] == '\0')
		return 0;
	path = path_of(r, j->name);
	if (path == NULL)
		return -ENOMEM;
	*fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	if (*fd < 0 && errno != ENOENT)		/* was it cancelled? */
		err = log_err(-errno, "cannot open '%s'", path);
	if (*fd >= 0)
		err = line_end(*fd);
	if (err != 0 && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	free(path);
	return err;
}

int
thaw_job_note(int fd, const char *word, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano)
{
	char hex[2 * OBJECT_ID_SIZE + 1], text[2 * OBJECT_ID_SIZE + 32];
	int len;

	if (fd < 0)
		return 0;
	hex_encode(pack, OBJECT_ID_SIZE, hex);
	len = snprintf(text, sizeof(text), "%s %s %llu\n", word, hex,
	    (unsigned long long)nano);
	return append(fd, text, (size_t)len);
}

int
thaw_job_note_asks(int fd, const struct thaw_job *j, unsigned n)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX);
	char hex[2 * OBJECT_ID_SIZE + 1];
	unsigned i;
	int err;

	if (fd < 0 || n == 0)
		return 0;
	for (i = j->ndoubts - n; i < j->ndoubts; i++) {
		hex_encode(j->doubt[i].id, OBJECT_ID_SIZE, hex);
		buf_printf(&text, THAW_JOB_ASKS " %s %llu\n", hex,
		    (unsigned long long)j->doubt[i].nano);
	}
	err = buf_err(&text);
	if (err == 0)
		err = append(fd, text.data, text.len);
	if (err == 0 && fdatasync(fd) != 0)
		err = log_err(-errno, "cannot note what a thaw costs, so it is "
		    "not asked for");
	buf_release(&text);
	return err;
}

int
thaw_job_remove(struct repo *r, const char *name)
{
	char *path = path_of(r, name);
	int err = 0;

	if (path != NULL && *name != '\0' && unlink(path) != 0 &&
	    errno != ENOENT)
		err = log_err(-errno, "cannot remove '%s'", path);
	free(path);
	return err;
}

int
thaw_job_exists(struct repo *r, const struct thaw_job *j)
{
	char *path;
	int yes;

	if (j->name[0] == '\0')
		return 1;
	path = path_of(r, j->name);
	yes = path == NULL || access(path, F_OK) == 0;
	free(path);
	return yes;
}

static int
is_job_name(const char *name)
{
	return strlen(name) == THAW_JOB_NAME - 1 &&
	    strspn(name, "0123456789abcdef") == THAW_JOB_NAME - 1;
}

/* It may count what was spent, so it is not thrown away. */
static void
put_aside(const char *path, int err)
{
	char *bad;

	if (asprintf(&bad, "%s.bad", path) < 0)
		return;
	log_warn(err, "cannot read '%s', which noted a thaw and what was spent "
	    "on it; it is kept as '%s' and counts no more", path, bad);
	if (rename(path, bad) != 0)
		log_warn(-errno, "cannot rename '%s'", path);
	free(bad);
}

int
thaw_job_load(struct repo *r, const char *name, struct thaw_job *j)
{
	struct buf text = BUF_INIT(THAW_JOB_MAX);
	char *path = path_of(r, name);
	int err;

	err = path == NULL ? -ENOMEM : file_load(AT_FDCWD, path, &text);
	if (err == 0)
		err = thaw_job_decode(text.data, text.len, j);
	if (err == 0)
		memcpy(j->name, name, THAW_JOB_NAME);
	buf_release(&text);
	if (err == -FIRN_ECORRUPT || err == -FIRN_ETOOBIG) {
		put_aside(path, err);
	} else if (err != 0 && err != -ENOENT && err != -ENOMEM) {
		log_warn(err, "cannot read '%s'", path);
	}
	free(path);
	return err == 0 || err == -ENOMEM ? err : 1;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int
thaw_job_each(struct repo *r, int (*fn)(void *ctx, struct thaw_job *j),
    void *ctx)
{
	struct dirent **v = NULL;
	struct thaw_job j;
	char *dir = path_of(r, "");
	int n, i, ret = 0;

	if (dir == NULL)
		return 0;
	n = scandir(dir, &v, NULL, by_name);
	if (n < 0 && errno != ENOENT)
		ret = log_err(-errno, "cannot look into '%s'", dir);
	free(dir);
	for (i = 0; i < n; i++) {
		if (ret == 0 && is_job_name(v[i]->d_name)) {
			ret = thaw_job_load(r, v[i]->d_name, &j);
			if (ret == 0) {
				ret = fn(ctx, &j);
				thaw_job_release(&j);
			} else if (ret == 1) {
				ret = 0;
			}
		}
		free(v[i]);
	}
	free(v);
	return ret;
}

static int
recall_one(void *ctx, struct thaw_job *j)
{
	struct packset *s = ctx;
	struct pack_info *p;
	size_t i;

	for (i = 0; i < j->packs.n; i++) {
		p = packset_find(s, j->packs.v[i].id);
		if (p == NULL || p->tier <= j->wish.tier)
			continue;
		p->tier = (uint8_t)j->wish.tier;
		p->days = (uint16_t)j->wish.days;
	}
	return 0;
}

int
thaw_job_recall(struct repo *r, struct packset *s)
{
	return thaw_job_each(r, recall_one, s);
}

int
thaw_lock(struct repo *r, const volatile int *stop, int *fd)
{
	return thaw_lock_within(r, 0, stop, fd);
}

int
thaw_lock_within(struct repo *r, unsigned ms, const volatile int *stop,
    int *fd)
{
	const struct timespec pause = { 0, LOCK_MS * 1000000L };
	unsigned waited = 0;
	char *path;
	int err = 0;

	*fd = -1;
	if (repo_state_dir(r) == NULL)
		return 0;
	err = dir_make(r);
	if (err != 0)
		return err;
	path = path_of(r, LOCK_NAME);
	if (path == NULL)
		return -ENOMEM;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		err = log_err(-errno, "cannot open '%s'", path);
	while (err == 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			err = log_err(-errno, "cannot lock '%s'", path);
		else if (stop != NULL && *stop != 0)
			err = -ECANCELED;
		else if (ms != 0 && waited >= ms)
			err = -EBUSY;
		else if (nanosleep(&pause, NULL) == 0)
			waited += LOCK_MS;
	}
	if (err != 0) {
		thaw_unlock(*fd);
		*fd = -1;
	}
	free(path);
	return err;
}

void
thaw_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
