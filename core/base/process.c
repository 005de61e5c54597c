/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <sys/resource.h>

#include "base/process.h"

#define FILES_WANTED	65536
#define ARENAS		2
#define LARGE_BLOCK	(768 * 1024)	/* bytes; cells and frames are larger */

void
process_init(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max &&
	    rl.rlim_cur < FILES_WANTED) {
		rl.rlim_cur = rl.rlim_max < FILES_WANTED ? rl.rlim_max :
		    FILES_WANTED;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	rl.rlim_cur = rl.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &rl);
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, ARENAS);
	/* Set, the threshold does not creep up to what was last freed. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}
