/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of looking at files share: a directory on a disk, with patterns to
 * leave things out, and files in it.
 */
#ifndef FIRN_TESTS_SCRATCH_TEST_H
#define FIRN_TESTS_SCRATCH_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/exclude.h"
#include "remove_test.h"

struct scratch {
	char dir[256];
	int fd;
	uint64_t dev;		/* as the kernel says it */
	struct exclude *exclude;
};

/* In TMPDIR, or in /var/tmp, since /tmp may be in memory. */
static inline void
scratch_init(struct scratch *s, const char *name)
{
	const char *tmp = getenv("TMPDIR");
	struct stat st;

	snprintf(s->dir, sizeof(s->dir), "%s/firn-%s.XXXXXX",
	    tmp != NULL ? tmp : "/var/tmp", name);
	assert_non_null(mkdtemp(s->dir));
	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY);
	assert_true(s->fd >= 0 && fstat(s->fd, &st) == 0);
	s->dev = st.st_dev;
	assert_int_equal(exclude_new(&s->exclude), 0);
}

/* All that it is and holds. */
static inline void
scratch_release(struct scratch *s)
{
	exclude_free(s->exclude);
	close(s->fd);
	remove_all(s->dir);
}

/* A file below it with this in it. */
static inline void
scratch_file(const struct scratch *s, const char *name, const void *data,
    size_t len)
{
	int fd = openat(s->fd, name, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

#endif
