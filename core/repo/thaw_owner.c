/* SPDX-License-Identifier: Apache-2.0 */
/* Lock files of jobs. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "repo/repo.h"
#include "repo/thaw_owner.h"

#define OF_MOUNT	"read through the mount at "

/* DIR/thaw/NAME.owner, which thaw_job_each() passes over; with "" the
 * directory.  NULL without local state or memory. */
static char *
path_of(struct repo *r, const char *name)
{
	const char *dir = repo_state_dir(r);
	char *path;

	if (dir == NULL || asprintf(&path, "%s/thaw%s%s%s", dir,
	    *name != '\0' ? "/" : "", name, *name != '\0' ? ".owner" : "") < 0)
		return NULL;
	return path;
}

/* An open file description's lock, as flock(2) has it, but one can ask for it
 * without taking it: two who ask are no owners to each other. */
static const struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

/* Locked, and still by that name, which who held it until now may have removed:
 * 0; 1 to try again; -EBUSY when somebody holds it. */
static int
take_once(const char *path, int *fd)
{
	struct flock lock = whole;
	struct stat st, named;
	int err = 0;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return -errno;
	if (fcntl(*fd, F_OFD_SETLK, &lock) != 0)
		err = errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	else if (fstat(*fd, &st) != 0)
		err = -errno;
	if (err == 0 && stat(path, &named) == 0 && st.st_ino == named.st_ino &&
	    st.st_dev == named.st_dev)
		return 0;
	close(*fd);
	*fd = -1;
	return err == 0 ? 1 : err;
}

static int
take(struct repo *r, const char *name, int *fd)
{
	char *dir = path_of(r, ""), *path = path_of(r, name);
	int ret;

	*fd = -1;
	ret = dir == NULL || path == NULL ? -ENOMEM : file_mkdirs(dir, 0700);
	if (ret == 0)
		do {
			ret = take_once(path, fd);
		} while (ret == 1);
	if (ret != 0 && ret != -EBUSY)
		log_err(ret, "cannot lock '%s'", path != NULL ? path : "thaw");
	free(path);
	free(dir);
	return ret;
}

int
thaw_owner_take(struct repo *r, const struct thaw_job *j, int *fd)
{
	const struct timespec pause = { 0, 10 * 1000000L };
	int ret;

	*fd = -1;
	if (j->name[0] == '\0' || repo_state_dir(r) == NULL)
		return 0;
	/* It is new: who holds it only looks whether its owner is dead. */
	while ((ret = take(r, j->name, fd)) == -EBUSY)
		nanosleep(&pause, NULL);
	return ret;
}

int
thaw_owner_claim(struct repo *r, const char *name, int *fd)
{
	int ret;

	*fd = -1;
	if (*name == '\0' || repo_state_dir(r) == NULL)
		return 1;
	ret = take(r, name, fd);
	return ret == 0 ? 1 : ret == -EBUSY ? 0 : ret;
}

void
thaw_owner_drop(struct repo *r, const char *name, int fd)
{
	char *path;

	if (fd < 0)
		return;
	path = path_of(r, name);
	if (path != NULL)
		unlink(path);
	close(fd);
	free(path);
}

int
thaw_owner_lives(struct repo *r, const char *name)
{
	char *path = *name != '\0' ? path_of(r, name) : NULL;
	struct flock lock = whole;
	int fd, lives = 0;

	fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		lives = fcntl(fd, F_OFD_GETLK, &lock) != 0 ||
		    lock.l_type != F_UNLCK;
		close(fd);
	} else if (path != NULL && errno != ENOENT) {
		/* It cannot be told: do nothing to it. */
		lives = 1;
		log_warn(-errno, "cannot open '%s'", path);
	}
	free(path);
	return lives;
}

/* NAME.owner, for a job's NAME. */
static int
is_owner_name(const struct dirent *e)
{
	const size_t len = THAW_JOB_NAME - 1;

	return strspn(e->d_name, "0123456789abcdef") == len &&
	    strcmp(e->d_name + len, ".owner") == 0;
}

void
thaw_owner_sweep(struct repo *r)
{
	char *dir = path_of(r, "");
	struct thaw_job j = { .name = "" };
	struct dirent **v = NULL;
	int n, i, fd;

	n = dir != NULL ? scandir(dir, &v, is_owner_name, NULL) : 0;
	for (i = 0; i < n; i++) {
		memcpy(j.name, v[i]->d_name, THAW_JOB_NAME - 1);
		if (!thaw_job_exists(r, &j) &&
		    thaw_owner_claim(r, j.name, &fd) == 1)
			thaw_owner_drop(r, j.name, fd);
		free(v[i]);
	}
	free(v);
	free(dir);
}

void
thaw_owner_what(const char *mountpoint, char what[THAW_JOB_WHAT])
{
	snprintf(what, THAW_JOB_WHAT, OF_MOUNT "%s", mountpoint);
}

int
thaw_owner_counts(const struct thaw_job *j)
{
	return strncmp(j->what, OF_MOUNT, strlen(OF_MOUNT)) == 0 &&
	    j->budget != UINT64_MAX && thaw_job_spent(j) > 0;
}
