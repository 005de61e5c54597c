/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of firnfs, as people and mount(8) write it.
 */
#ifndef FIRN_FS_OPTIONS_H
#define FIRN_FS_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "repo/coldmode.h"
#include "store/store.h"

#define OPTIONS_REFRESH_AUTO	UINT32_MAX

#define OPTIONS_MEMORY	(64u << 20)

struct options {
	const char *repo;	/* in argv or the environment */
	const char *dir;	/* in argv */
	char *mountpoint;	/* absolute, without symlinks */
	int foreground;
	int debug;
	int help;
	int version;
	int fake;		/* mount -f: check the command line only */
	int nonempty;
	char *password_file;
	char *password_command;
	char *cache_dir;
	uint64_t cache_size;	/* bytes; 0: the default */
	int no_cache;
	uint32_t refresh;	/* seconds; 0 never */
	uint32_t timeout;	/* seconds; 0: the default */
	uint64_t memory;	/* bytes; 0: OPTIONS_MEMORY */
	char *region;
	char *prices;
	char *endpoint;
	int path_style;		/* as store_conf, and the next two */
	char *bucket_owner;
	int requester_pays;
	enum cold_mode cold;
	enum store_thaw_tier thaw_tier;
	uint32_t thaw_days;
	uint32_t thaw_poll;	/* seconds; the first interval of looks */
	uint64_t thaw_budget;	/* nano of the prices; UINT64_MAX: none */
	struct buf pass;	/* options for libfuse, "a,b=c", escaped */
};

/*
 * Read argv.  -EINVAL for what is wrong there, logged with the option and its
 * value.  Release in any case.  When help or version is set, nothing else was
 * checked.
 */
int options_parse(struct options *o, int argc, char **argv);
void options_release(struct options *o);
void options_usage(void);

/* May this be mounted on: fills in mountpoint; else -errno, logged with the
 * next step. */
int options_mountpoint(struct options *o);

#endif
