/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory by the megabyte, for what is filled again and again.
 *
 * A page that is touched for the first time costs the kernel some time, and on a
 * virtual machine without nested page tables 30 us, which is more than sealing or
 * hashing what goes into it.  So large buffers ask for large pages, and are used
 * again rather than freed.
 */
#ifndef FIRN_BASE_PAGES_H
#define FIRN_BASE_PAGES_H

#include <stddef.h>

#define PAGES_LARGE	((size_t)2 << 20)

/* At a page's boundary, from PAGES_LARGE on at one of those; not initialised.  NULL
 * without memory.  Goes with free(3). */
void *pages_alloc(size_t size);

/* The same straight from the kernel, and back to it at once: for what malloc(3)
 * would keep among small things.  A multiple of 4 KiB. */
void *pages_map(size_t size);
void pages_unmap(void *p, size_t size);

/* For memory that is kept while nobody has it: an address sanitizer finds who
 * reads or writes it until it is shown again.  Without one these do nothing. */
void pages_hide(void *p, size_t size);
void pages_show(void *p, size_t size);
/* Is its first byte hidden, for tests: 1, 0, or -ENOTSUP without a sanitizer. */
int pages_hidden(void *p);

#endif
