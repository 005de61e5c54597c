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

#endif
