/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

#define PAGE	((size_t)4096)
#define LARGE	((size_t)2 << 20)

void *
pages_alloc(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, size >= LARGE ? LARGE : PAGE, size) != 0)
		return NULL;
	/* A kernel that has none goes on as before.  Only whole ones: memory is
	 * counted by the byte. */
	if (size >= LARGE)
		madvise(p, size / LARGE * LARGE, MADV_HUGEPAGE);
	return p;
}
