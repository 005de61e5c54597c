/* SPDX-License-Identifier: Apache-2.0 */
/* firn mount: hands over to firnfs, which does the work. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "repo/coldmode.h"
#include "tools/tool.h"

enum { O_COLD = 256 };

static const struct option options[] = {
	{ "cold", required_argument, NULL, O_COLD },
	{ "foreground", no_argument, NULL, 'f' },
	{ "options", required_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 }
};

/* Append NAME=VALUE to a list of mount options, its commas escaped. */
static void
add_option(struct buf *o, const char *name, const char *value)
{
	const char *p;

	buf_printf(o, "%s%s", o->len > 0 ? "," : "", name);
	if (value == NULL)
		return;
	buf_add(o, "=", 1);
	for (p = value; *p != '\0'; p++) {
		if (*p == ',' || *p == '\\')
			buf_add(o, "\\", 1);
		buf_add(o, p, 1);
	}
}

static void
add_common(struct tool *t, struct buf *o)
{
	char number[32];

	if (t->password.file != NULL)
		add_option(o, "password-file", t->password.file);
	if (t->password.command != NULL)
		add_option(o, "password-command", t->password.command);
	if (t->conf.cache_dir != NULL)
		add_option(o, "cache-dir", t->conf.cache_dir);
	if (t->prices != NULL)
		add_option(o, "prices", t->prices);
	if (t->conf.cache_limit > 0) {
		snprintf(number, sizeof(number), "%llu",
		    (unsigned long long)t->conf.cache_limit);
		add_option(o, "cache-size", number);
	}
	if (t->conf.no_cache)
		add_option(o, "no-cache", NULL);
	if (t->conf.store.region != NULL)
		add_option(o, "region", t->conf.store.region);
	if (t->conf.store.endpoint != NULL)
		add_option(o, "endpoint", t->conf.store.endpoint);
	if (t->conf.store.path_style == 1)
		add_option(o, "path-style", NULL);
	if (t->conf.store.bucket_owner != NULL)
		add_option(o, "bucket-owner", t->conf.store.bucket_owner);
	if (t->conf.store.requester_pays)
		add_option(o, "requester-pays", NULL);
	if (t->conf.store.timeout > 0) {
		snprintf(number, sizeof(number), "%u", t->conf.store.timeout);
		add_option(o, "timeout", number);
	}
}

/* firnfs lies beside firn, in sbin beside its bin, or in PATH. */
static int
firnfs_exec(char **argv)
{
	static const char *const where[] = { "firnfs", "../sbin/firnfs" };
	char self[4096], path[4200], *slash;
	ssize_t n;
	size_t i;

	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		for (i = 0; slash != NULL && i < 2; i++) {
			snprintf(path, sizeof(path), "%.*s/%s",
			    (int)(slash - self), self, where[i]);
			if (access(path, X_OK) == 0)
				execv(path, argv);
		}
	}
	execvp("firnfs", argv);
	log_err(-errno, "cannot run 'firnfs'; is it installed beside firn");
	return EXIT_FAILED;
}

/* Tell a mount that is there what to do where archived data is read. */
static int
set_cold(const char *dir, enum cold_mode mode)
{
	char path[4096];
	uint32_t value = (uint32_t)mode;
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/" COLD_FILE, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		log_err(-errno, "cannot open '%s'; is a repository mounted "
		    "there", path);
		return EXIT_FAILED;
	}
	if (ioctl(fd, COLD_IOCTL, &value) != 0)
		err = log_err(-errno, errno == EPERM ? "cannot change the "
		    "mount on '%s'; only root and who mounted it may" :
		    "cannot change the mount on '%s'", dir);
	close(fd);
	return tool_exit(err);
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct buf o = BUF_INIT(1u << 16);
	char *args[8];
	int c, status, foreground = 0, n = 0, cold = 0;
	enum cold_mode mode = COLD_FAIL;

	while ((c = tool_option(t, argc, argv, "fo:", options)) != -1) {
		if (c == 'f')
			foreground = 1;
		else if (c == 'o')
			buf_printf(&o, "%s%s", o.len > 0 ? "," : "", optarg);
		else if (c == O_COLD && cold_mode_parse(optarg, &mode) == 0)
			cold = 1;
		else if (c == O_COLD)
			return tool_usage(t, "--cold '%s': want fail, thaw or "
			    "wait", optarg);
		else
			return tool_usage_status(t);
	}
	if (optind + 1 != argc)
		return tool_usage(t, "want one DIR to mount at");
	if (*argv[optind] == '\0')
		return tool_usage(t, "DIR is empty");
	if (cold)
		return set_cold(argv[optind], mode);
	status = tool_need_repo(t);
	if (status != 0)
		return status;
	add_common(t, &o);
	args[n++] = (char *)"firnfs";
	args[n++] = (char *)t->conf.url;
	args[n++] = argv[optind];
	if (foreground)
		args[n++] = (char *)"-f";
	if (o.len > 0) {
		args[n++] = (char *)"-o";
		args[n++] = buf_cstr(&o);
	}
	args[n] = NULL;
	if (buf_err(&o) != 0)
		return EXIT_FAILED;
	status = firnfs_exec(args);
	buf_release(&o);
	return status;
}

const struct command command_mount = { "mount", run, "DIR",
	"mount the repository",
	"Mount the repository, read-only, with every generation as a directory:"
	"\n\n"
	"  DIR/latest, DIR/hosts/HOST/SERIES/TIME, DIR/ids/ID, DIR/tags/TAG\n"
	"\n"
	"It returns when the mount answers. Unmount with `umount DIR`, or "
	"`fusermount3 -u\nDIR` where you are not root.\n"
	"\n"
	"  -f, --foreground    stay in the foreground and log to stderr\n"
	"  -o, --options LIST  mount options, as for mount(8): allow_other,\n"
	"                      refresh=SECONDS, timeout=SECONDS and more; see "
	"firnfs(8)\n"
	"      --cold fail|thaw|wait\n"
	"                      change a mount that is there: what reading "
	"archived data\n"
	"                      does\n"
	"\n"
	"In /etc/fstab:\n"
	"  /srv/backup  /mnt  fuse.firnfs  noauto,password-file=/etc/firn/password "
	" 0 0" };
