/* SPDX-License-Identifier: Apache-2.0 */
/* What a test has made, taken away again. */
#ifndef FIRN_TESTS_REMOVE_TEST_H
#define FIRN_TESTS_REMOVE_TEST_H

#include <ftw.h>
#include <stdio.h>

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* A directory and all below it. */
static inline void
remove_all(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
