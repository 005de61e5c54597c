/* SPDX-License-Identifier: Apache-2.0 */
/* Lock files of jobs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static int
lock_wait(int fd)
{
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Locked, and still by that name: who looked whether an owner lives may have
 * removed it in between.  1 to try again. */
static int
take_once(const char *path, int *fd)
{
	struct stat st;
	int err;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return -errno;
	err = lock_wait(*fd);
	if (err == 0 && fstat(*fd, &st) != 0)
		err = -errno;
	if (err == 0 && st.st_nlink > 0)
		return 0;
	close(*fd);
	*fd = -1;
	return err == 0 ? 1 : err;
}

int
thaw_owner_take(struct repo *r, const struct thaw_job *j, int *fd)
{
	char *path, *dir;
	int ret;

	*fd = -1;
	if (j->name[0] == '\0' || repo_state_dir(r) == NULL)
		return 0;
	dir = path_of(r, "");
	path = path_of(r, j->name);
	ret = dir == NULL || path == NULL ? -ENOMEM : file_mkdirs(dir, 0700);
	if (ret == 0)
		do {
			ret = take_once(path, fd);
		} while (ret == 1);
	if (ret != 0)
		log_err(ret, "cannot lock '%s'", path != NULL ? path : "thaw");
	free(path);
	free(dir);
	return ret;
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
	int fd, lives = 0;

	fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		lives = flock(fd, LOCK_EX | LOCK_NB) != 0;
		if (!lives)
			unlink(path);
		close(fd);
	} else if (path != NULL && errno != ENOENT) {
		/* It cannot be told: do nothing to it. */
		lives = 1;
		log_warn(-errno, "cannot open '%s'", path);
	}
	free(path);
	return lives;
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
