/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

#define PAGE	((size_t)4096)

void *
pages_alloc(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, size >= PAGES_LARGE ? PAGES_LARGE : PAGE,
	    size) != 0)
		return NULL;
	/* A kernel that has none goes on as before.  Only whole ones: memory is
	 * counted by the byte. */
	if (size >= PAGES_LARGE)
		madvise(p, size / PAGES_LARGE * PAGES_LARGE, MADV_HUGEPAGE);
	return p;
}
