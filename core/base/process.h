/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program of ours asks of its process before it does anything.
 */
#ifndef FIRN_BASE_PROCESS_H
#define FIRN_BASE_PROCESS_H

/*
 * Raise the soft limit of open files (deep trees take one a level); no core
 * dumps, and no memory in those that are made all the same, since keys are in
 * it (what we start inherits both); and tell the allocator to keep one arena,
 * since what many threads free would otherwise stay resident in each one's, and
 * to keep in it what cells and frames need next.  Call first in main().
 */
void process_init(void);

#endif
