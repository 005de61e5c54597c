/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount does where archived data is read, and how `firn mount --cold`
 * tells a mount that is there.
 *
 * By an ioctl on its file .firn/cold: the mount is read-only, so the kernel
 * refuses to write to a file of it, or to set an extended attribute, before
 * the mount hears of it.
 */
#ifndef FIRN_REPO_COLDMODE_H
#define FIRN_REPO_COLDMODE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

enum cold_mode {
	COLD_FAIL,	/* EAGAIN at once */
	COLD_THAW,	/* ask for a thaw, then EAGAIN */
	COLD_WAIT,	/* ask for a thaw, and wait for it */
	COLD_MODES
};

#define COLD_FILE	".firn/cold"
/* Its argument points to an enum cold_mode. */
#define COLD_IOCTL	_IOW('F', 1, uint32_t)

static inline const char *
cold_mode_name(enum cold_mode mode)
{
	static const char *const names[] = { "fail", "thaw", "wait" };

	return names[mode];
}

/* 0, or -EINVAL. */
static inline int
cold_mode_parse(const char *text, enum cold_mode *out)
{
	int i;

	for (i = 0; i < COLD_MODES; i++)
		if (strcmp(text, cold_mode_name((enum cold_mode)i)) == 0) {
			*out = (enum cold_mode)i;
			return 0;
		}
	return -EINVAL;
}

#endif
