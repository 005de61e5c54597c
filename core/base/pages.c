/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
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

void *
pages_map(size_t size)
{
	size_t spare = size >= PAGES_LARGE ? PAGES_LARGE : 0, skip;
	uint8_t *p;

	p = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (spare == 0)
		return p;
	skip = -(uintptr_t)p % PAGES_LARGE;
	if (skip > 0)
		munmap(p, skip);
	if (skip < spare)
		munmap(p + skip + size, spare - skip);
	madvise(p + skip, size / PAGES_LARGE * PAGES_LARGE, MADV_HUGEPAGE);
	return p + skip;
}

void
pages_unmap(void *p, size_t size)
{
	munmap(p, size);
}
