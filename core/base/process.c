/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/process.h"

#define FILES_WANTED	65536
#define ARENAS		1
#define LARGE_BLOCK	(16 << 20)	/* bytes; packs are larger */
#define TRIM		(32 << 20)	/* bytes */

/* A limit of 0 does not bind where dumps go to a program: "Piping core dumps to
 * a program" in core(5).  So none of our memory is in one either. */
static void
no_core_dumps(void)
{
	const struct rlimit rl = { 0, 0 };
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	setrlimit(RLIMIT_CORE, &rl);
	if (fd < 0)
		return;
	(void)!write(fd, "0", 1);
	close(fd);
}

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
	no_core_dumps();
#ifdef M_ARENA_MAX
	/* Frames and cells come and go all the time.  Memory that goes back to
	 * the kernel in between costs a fault a page: more than decrypting
	 * what comes into it, and on a virtual machine a multiple of that. */
	mallopt(M_ARENA_MAX, ARENAS);
	mallopt(M_TRIM_THRESHOLD, TRIM);
	/* Set, the threshold does not creep up to what was last freed. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}
