/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pages.h"

#define PAGE	((size_t)4096)

/* gcc says it by the one, clang by the other. */
#ifdef __SANITIZE_ADDRESS__
#define WATCHED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED
#endif
#endif

#ifdef WATCHED
#include <sanitizer/asan_interface.h>
#endif

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
	pages_show(p, size);	/* who gets the place has done nothing wrong */
	munmap(p, size);
}

void
pages_hide(void *p, size_t size)
{
#ifdef WATCHED
	__asan_poison_memory_region(p, size);
#else
	(void)p;
	(void)size;
#endif
}

void
pages_show(void *p, size_t size)
{
#ifdef WATCHED
	__asan_unpoison_memory_region(p, size);
#else
	(void)p;
	(void)size;
#endif
}

int
pages_hidden(void *p)
{
#ifdef WATCHED
	return __asan_address_is_poisoned(p);
#else
	(void)p;
	return -ENOTSUP;
#endif
}
