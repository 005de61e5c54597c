/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of firnfs, which hold generations: backed up into them, each would hold
 * all those before it, and the repository would double each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "backup/walk_internal.h"

#define TYPE " - fuse.firnfs "

/* A line of mountinfo: "ID PARENT MAJOR:MINOR ROOT DIR OPTIONS... - TYPE
 * SOURCE OPTIONS"; spaces in names are escaped. */
static int
line_is(const char *line, uint64_t dev)
{
	unsigned id, parent, maj, min;

	return sscanf(line, "%u %u %u:%u ", &id, &parent, &maj, &min) == 4 &&
	    makedev(maj, min) == dev && strstr(line, TYPE) != NULL;
}

static int
look(uint64_t dev)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	int found = 0;

	while (f != NULL && !found && getline(&line, &cap, f) > 0)
		found = line_is(line, dev);
	free(line);
	if (f != NULL)
		fclose(f);
	return found;
}

int
walk_is_firnfs(struct walker *w, uint64_t dev)
{
	if (!w->looked || w->looked_dev != dev) {
		w->looked = 1;
		w->looked_dev = dev;
		w->looked_firnfs = look(dev);
	}
	return w->looked_firnfs;
}
