/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of what -o knows, and what happens to each. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/err.h"
#include "base/log.h"
#include "cache/cache.h"
#include "fs/options.h"
#include "repo/thaw_quote.h"
#include "store/price.h"

#define MEMORY_MIN	(8u << 20)
#define MEMORY_MAX	(1ull << 40)
#define THAW_DAYS	2
#define THAW_POLL	60

enum action { ACT_IGNORE, ACT_PASS, ACT_STR, ACT_SECONDS, ACT_SIZE, ACT_FLAG,
    ACT_COLD, ACT_TIER, ACT_DAYS, ACT_MONEY };

struct known {
	const char *name;	/* a "*" at its end stands for any rest */
	enum action action;
	int value;		/* takes "=VALUE": 1 must, 0 must not, -1 may */
	size_t field;
};

#define FIELD(f) offsetof(struct options, f)

/* mount(8) says rw, suid, dev, exec to every helper unless told otherwise, so
 * they say nothing about what the user wants: the mount is read-only, and
 * set-id bits and device nodes in backups are shown but not honoured. */
static const struct known known[] = {
	{ "password-file", ACT_STR, 1, FIELD(password_file) },
	{ "password-command", ACT_STR, 1, FIELD(password_command) },
	{ "cache-dir", ACT_STR, 1, FIELD(cache_dir) },
	{ "cache-size", ACT_SIZE, 1, FIELD(cache_size) },
	{ "no-cache", ACT_FLAG, 0, FIELD(no_cache) },
	{ "refresh", ACT_SECONDS, 1, FIELD(refresh) },
	{ "timeout", ACT_SECONDS, 1, FIELD(timeout) },
	{ "memory", ACT_SIZE, 1, FIELD(memory) },
	{ "prices", ACT_STR, 1, FIELD(prices) },
	{ "region", ACT_STR, 1, FIELD(region) },
	{ "endpoint", ACT_STR, 1, FIELD(endpoint) },
	{ "path-style", ACT_FLAG, 0, FIELD(path_style) },
	{ "bucket-owner", ACT_STR, 1, FIELD(bucket_owner) },
	{ "requester-pays", ACT_FLAG, 0, FIELD(requester_pays) },
	{ "cold", ACT_COLD, 1, FIELD(cold) },
	{ "thaw-tier", ACT_TIER, 1, FIELD(thaw_tier) },
	{ "thaw-days", ACT_DAYS, 1, FIELD(thaw_days) },
	{ "thaw-budget", ACT_MONEY, 1, FIELD(thaw_budget) },
	{ "thaw-poll", ACT_SECONDS, 1, FIELD(thaw_poll) },
	{ "nonempty", ACT_FLAG, 0, FIELD(nonempty) },
	{ "debug", ACT_FLAG, 0, FIELD(debug) },
	{ "allow_other", ACT_PASS, 0, 0 },
	{ "allow_root", ACT_PASS, 0, 0 },
	{ "auto_unmount", ACT_PASS, 0, 0 },
	{ "nosuid", ACT_PASS, 0, 0 },
	{ "nodev", ACT_PASS, 0, 0 },
	{ "noexec", ACT_PASS, 0, 0 },
	{ "noatime", ACT_PASS, 0, 0 },
	{ "nodiratime", ACT_PASS, 0, 0 },
	{ "sync", ACT_PASS, 0, 0 },
	{ "async", ACT_PASS, 0, 0 },
	{ "dirsync", ACT_PASS, 0, 0 },
	{ "context", ACT_PASS, 1, 0 },
	{ "fscontext", ACT_PASS, 1, 0 },
	{ "defcontext", ACT_PASS, 1, 0 },
	{ "rootcontext", ACT_PASS, 1, 0 },
	{ "default_permissions", ACT_IGNORE, 0, 0 },	/* always on */
	{ "ro", ACT_IGNORE, 0, 0 },
	{ "rw", ACT_IGNORE, 0, 0 },
	{ "suid", ACT_IGNORE, 0, 0 },
	{ "dev", ACT_IGNORE, 0, 0 },
	{ "exec", ACT_IGNORE, 0, 0 },
	{ "atime", ACT_IGNORE, 0, 0 },
	{ "diratime", ACT_IGNORE, 0, 0 },
	{ "relatime", ACT_IGNORE, 0, 0 },
	{ "norelatime", ACT_IGNORE, 0, 0 },
	{ "strictatime", ACT_IGNORE, 0, 0 },
	{ "nostrictatime", ACT_IGNORE, 0, 0 },
	{ "lazytime", ACT_IGNORE, 0, 0 },
	{ "nolazytime", ACT_IGNORE, 0, 0 },
	{ "mand", ACT_IGNORE, 0, 0 },
	{ "nomand", ACT_IGNORE, 0, 0 },
	{ "silent", ACT_IGNORE, 0, 0 },
	{ "loud", ACT_IGNORE, 0, 0 },
	{ "auto", ACT_IGNORE, 0, 0 },
	{ "noauto", ACT_IGNORE, 0, 0 },
	{ "defaults", ACT_IGNORE, 0, 0 },
	{ "user", ACT_IGNORE, -1, 0 },
	{ "users", ACT_IGNORE, 0, 0 },
	{ "nouser", ACT_IGNORE, 0, 0 },
	{ "owner", ACT_IGNORE, 0, 0 },
	{ "group", ACT_IGNORE, 0, 0 },
	{ "nofail", ACT_IGNORE, 0, 0 },
	{ "_netdev", ACT_IGNORE, 0, 0 },
	{ "comment", ACT_IGNORE, 1, 0 },
	{ "subtype", ACT_IGNORE, 1, 0 },
	{ "fsname", ACT_IGNORE, 1, 0 },
	{ "x-*", ACT_IGNORE, -1, 0 },
	{ "X-*", ACT_IGNORE, -1, 0 },
};

static const struct known *
known_find(const char *name)
{
	size_t i, len;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		len = strlen(known[i].name);
		if (known[i].name[len - 1] == '*' ?
		    strncmp(known[i].name, name, len - 1) == 0 :
		    strcmp(known[i].name, name) == 0)
			return &known[i];
	}
	return NULL;
}

static int
parse_number(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno != 0 || end[0] != '\0')
		return -EINVAL;
	return 0;
}

/* Bytes, or with a K, M, G or T behind the number 1024 of the one before. */
static int
parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char digits[24];
	const char *unit;
	size_t len = strlen(text);
	unsigned shift = 0;
	int err;

	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len + 1);
	unit = strchr(units, digits[len - 1] & ~0x20);
	if (unit != NULL) {
		digits[len - 1] = '\0';
		shift = 10 * (unsigned)(unit - units + 1);
	}
	err = parse_number(digits, out);
	if (err == 0 && *out > UINT64_MAX >> shift)
		err = -EINVAL;
	*out <<= shift;
	return err;
}

static int
apply_thaw(const struct known *k, void *field, const char *value)
{
	uint64_t n;

	switch (k->action) {
	case ACT_COLD:
		return cold_mode_parse(value, field) == 0 ? 0 :
		    log_plain(-EINVAL, "option 'cold=%s': want fail, thaw or "
		    "wait", value);
	case ACT_TIER:
		return store_thaw_tier_parse(value, field) == 0 ? 0 :
		    log_plain(-EINVAL, "option 'thaw-tier=%s': want "
		    "expedited, standard or bulk", value);
	case ACT_DAYS:
		if (parse_number(value, &n) != 0 || n == 0 ||
		    n > THAW_DAYS_MAX)
			return log_plain(-EINVAL, "option '%s=%s': want 1 to "
			    "%d", k->name, value, THAW_DAYS_MAX);
		*(uint32_t *)field = (uint32_t)n;
		return 0;
	default:
		return price_parse(value, field) == 0 ? 0 :
		    log_plain(-EINVAL, "option '%s=%s': want an amount, such "
		    "as 2.50", k->name, value);
	}
}

static int
apply(struct options *o, const struct known *k, const char *raw,
    const char *value)
{
	void *field = (char *)o + k->field;
	uint64_t n;

	switch (k->action) {
	case ACT_IGNORE:
		return 0;
	case ACT_PASS:
		return buf_printf(&o->pass, "%s%s", o->pass.len > 0 ? "," : "",
		    raw);
	case ACT_STR:
		free(*(char **)field);
		*(char **)field = strdup(value);
		return *(char **)field == NULL ? -ENOMEM : 0;
	case ACT_SECONDS:
		if (parse_number(value, &n) != 0 || n > 86400u * 365)
			return log_plain(-EINVAL, "option '%s=%s': not a number "
			    "of seconds", k->name, value);
		if (n == 0 && k->field != FIELD(refresh))
			return log_plain(-EINVAL, "option '%s=0': want "
			    "1 second or more", k->name);
		*(uint32_t *)field = (uint32_t)n;
		return 0;
	case ACT_SIZE:
		if (parse_size(value, &n) != 0 || n == 0)
			return log_plain(-EINVAL, "option '%s=%s': not a size; "
			    "write bytes, or a number with K, M, G or T",
			    k->name, value);
		*(uint64_t *)field = n;
		return 0;
	case ACT_FLAG:
		*(int *)field = 1;
		return 0;
	default:
		return apply_thaw(k, field, value);
	}
}

/* raw is as written, with its backslashes; text without. */
static int
one_option(struct options *o, const char *raw, char *text)
{
	char *value = strchr(text, '=');
	const struct known *k;

	if (value != NULL)
		*value++ = '\0';
	k = known_find(text);
	if (k == NULL)
		return log_plain(-EINVAL, value != NULL ? "unknown option "
		    "'%s=%s'; `firnfs -h` lists them" : "unknown option '%s'; "
		    "`firnfs -h` lists them", text, value);
	if (k->value == 1 && (value == NULL || *value == '\0'))
		return log_plain(-EINVAL, "option '%s' needs a value: %s=...",
		    text, text);
	if (k->value == 0 && value != NULL)
		return log_plain(-EINVAL, "option '%s=%s': '%s' takes no value",
		    text, value, text);
	return apply(o, k, raw, value);
}

/* A list with commas; a backslash takes the next character as it is. */
static int
option_list(struct options *o, const char *list)
{
	char *raw = malloc(strlen(list) + 1), *text = malloc(strlen(list) + 1);
	size_t r, t;
	int err = raw == NULL || text == NULL ? -ENOMEM : 0;

	while (*list != '\0' && err == 0) {
		for (r = t = 0; *list != '\0' && *list != ','; list++) {
			if (*list == '\\' && list[1] != '\0')
				raw[r++] = *list++;
			raw[r++] = *list;
			text[t++] = *list;
		}
		raw[r] = text[t] = '\0';
		if (t > 0)
			err = one_option(o, raw, text);
		if (*list == ',')
			list++;
	}
	free(raw);
	free(text);
	return err;
}

/* As mount.fuse.firnfs, -f means something else, and -s, -n, -v and -t come. */
static int
is_mount_helper(const char *argv0)
{
	const char *base = strrchr(argv0, '/');

	return strncmp(base != NULL ? base + 1 : argv0, "mount.", 6) == 0;
}

static int
one_flag(struct options *o, int c, int helper, const char *arg)
{
	switch (c) {
	case 'o':
		return option_list(o, arg);
	case 'f':
		if (helper)
			o->fake = 1;
		else
			o->foreground = 1;
		return 0;
	case 'd':
		o->debug = 1;
		return 0;
	case 'h':
		o->help = 1;
		return 0;
	case 'V':
		o->version = 1;
		return 0;
	case 'r':
	case 'w':
		return 0;
	case 's':
	case 'n':
	case 'v':
	case 't':
		if (helper)
			return 0;
		break;
	}
	return log_plain(-EINVAL, "unknown option '-%c'; `firnfs -h` lists them",
	    c);
}

static int
check(struct options *o)
{
	if (o->password_file != NULL && o->password_command != NULL)
		return log_plain(-EINVAL, "'password-file=%s' and "
		    "'password-command=%s' exclude each other",
		    o->password_file, o->password_command);
	if (o->memory != 0 && (o->memory < MEMORY_MIN ||
	    o->memory > MEMORY_MAX))
		return log_plain(-EINVAL, "option 'memory=%llu': give %uM to "
		    "%lluG", (unsigned long long)o->memory, MEMORY_MIN >> 20,
		    MEMORY_MAX >> 30);
	if (o->cache_size != 0 && o->cache_size < CACHE_LIMIT_MIN)
		return log_plain(-EINVAL, "option 'cache-size=%llu': give at "
		    "least %lluM, or no-cache",
		    (unsigned long long)o->cache_size, CACHE_LIMIT_MIN >> 20);
	if (o->repo == NULL || *o->repo == '\0')
		return log_plain(-EINVAL, "which repository? firnfs REPO DIR, or "
		    "set FIRN_REPOSITORY");
	if (o->dir == NULL || *o->dir == '\0')
		return log_plain(-EINVAL, "mount where? firnfs REPO DIR");
	return 0;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 }
	};
	int helper = is_mount_helper(argv[0]), c, err = 0, rest;

	memset(o, 0, sizeof(*o));
	buf_init(&o->pass, 1u << 16);
	o->refresh = OPTIONS_REFRESH_AUTO;
	o->path_style = -1;
	o->cold = COLD_FAIL;
	o->thaw_tier = STORE_THAW_STANDARD;
	o->thaw_days = THAW_DAYS;
	o->thaw_poll = THAW_POLL;
	o->thaw_budget = UINT64_MAX;
	opterr = 0;
	while (err == 0 && (c = getopt_long(argc, argv, ":o:fdhVrwsnvt:",
	    longs, NULL)) != -1) {
		if (c == ':')
			err = log_plain(-EINVAL, "option '-%c' needs a value",
			    optopt);
		else if (c == '?')
			err = log_plain(-EINVAL, "unknown option '%s'; `firnfs "
			    "-h` lists them", argv[optind - 1]);
		else
			err = one_flag(o, c, helper, optarg);
	}
	if (err != 0 || o->help || o->version)
		return err;
	rest = argc - optind;
	o->repo = rest >= 2 ? argv[optind] : getenv("FIRN_REPOSITORY");
	o->dir = rest >= 1 ? argv[optind + (rest >= 2)] : NULL;
	if (rest > 2)
		return log_plain(-EINVAL, "'%s' is one argument too many: "
		    "firnfs REPO DIR", argv[optind + 2]);
	if (rest == 1 && o->repo == NULL) {
		/* One word, and no variable: the directory is what lacks. */
		o->repo = o->dir;
		o->dir = NULL;
	}
	return check(o);
}

void
options_release(struct options *o)
{
	free(o->mountpoint);
	free(o->password_file);
	free(o->password_command);
	free(o->cache_dir);
	free(o->region);
	free(o->prices);
	free(o->endpoint);
	free(o->bucket_owner);
	buf_release(&o->pass);
	memset(o, 0, sizeof(*o));
}

void
options_usage(void)
{
	fputs("usage: firnfs [options] REPO DIR\n"
	    "\n"
	    "Mount a repository of firn (s3://bucket/prefix, or a directory)"
	    " on DIR, read-only.\n"
	    "REPO may also come from FIRN_REPOSITORY.  Unmount with "
	    "`fusermount3 -u DIR` or umount.\n"
	    "\n"
	    "  -f            stay in the foreground, log to stderr\n"
	    "  -d            the same, and show every request\n"
	    "  -h, -V        this help; the version\n"
	    "  -o OPTION,... one or more of:\n"
	    "\n"
	    "  password-file=FILE     the first line of FILE; else "
	    "FIRN_PASSWORD_FILE\n"
	    "  password-command=CMD   the first line that CMD prints; else "
	    "FIRN_PASSWORD_COMMAND; else a prompt\n"
	    "  cache-dir=DIR          local state; default FIRN_CACHE_DIR, "
	    "/var/cache/firn, ~/.cache/firn\n"
	    "  cache-size=SIZE        of the disk cache; default 10G or a tenth"
	    " of the free room\n"
	    "  no-cache               no disk cache\n"
	    "  memory=SIZE            for decoded data; default 64M\n"
	    "  refresh=SECONDS        look for new generations; default 10, on "
	    "S3 60; 0 never\n"
	    "  timeout=SECONDS        until a read that the store does not "
	    "answer fails; default 300\n"
	    "  cold=fail|thaw|wait    reading archived data: an error (default);"
	    " ask for\n"
	    "                         its thaw and an error; or wait for it\n"
	    "  thaw-tier=TIER         expedited, standard (default) or bulk\n"
	    "  thaw-days=N            that thawed copies last; default 2\n"
	    "  thaw-budget=AMOUNT     ask for nothing more than that costs\n"
	    "  thaw-poll=SECONDS      between the first looks at thaws; default "
	    "60\n"
	    "  prices=FILE            what S3 asks for, for .firn/stats; else "
	    "FIRN_PRICES\n"
	    "  region=NAME, endpoint=URL, path-style\n"
	    "                         where and how to find S3\n"
	    "  bucket-owner=ID        account that the bucket must be of\n"
	    "  requester-pays         pay for requests to another's bucket\n"
	    "  allow_other, allow_root, auto_unmount, nonempty, nosuid, nodev, "
	    "noexec, context=...\n"
	    "                         as other FUSE file systems\n"
	    "  ro, rw, suid, dev, exec, noauto, user, _netdev, nofail, x-*\n"
	    "                         taken from mount(8) and without effect\n",
	    stdout);
}

/* Is it the root of a mount of ours? */
static int
is_served(const char *path)
{
	struct buf b = BUF_INIT(4096);
	struct stat st;
	int yes;

	yes = buf_printf(&b, "%s/.firn/status", path) == 0 &&
	    buf_cstr(&b) != NULL && stat((char *)b.data, &st) == 0 &&
	    st.st_ino != 0 && S_ISREG(st.st_mode);
	buf_release(&b);
	return yes;
}

static int
is_empty(const char *path)
{
	struct dirent *d;
	DIR *dp = opendir(path);
	int n = 0;

	if (dp == NULL)
		return -errno;
	while (n == 0 && (d = readdir(dp)) != NULL)
		n = strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	closedir(dp);
	return n == 0;
}

int
options_mountpoint(struct options *o)
{
	struct statvfs vfs;
	struct stat st;
	int ret;

	/* statvfs: of a mount whose program died, stat may still answer from
	 * what the kernel remembers. */
	if (statvfs(o->dir, &vfs) != 0 || stat(o->dir, &st) != 0) {
		ret = -errno;
		if (ret == -ENOENT)
			return log_err(ret, "cannot mount on '%s'; make it "
			    "with mkdir", o->dir);
		if (ret == -ENOTCONN)
			return log_err(ret, "a mount on '%s' has lost its "
			    "program; run `fusermount3 -u %s` first", o->dir,
			    o->dir);
		return log_err(ret, "cannot mount on '%s'", o->dir);
	}
	if (!S_ISDIR(st.st_mode))
		return log_err(-ENOTDIR, "cannot mount on '%s'; give a "
		    "directory", o->dir);
	if (is_served(o->dir))
		return log_plain(-EBUSY, "something of firnfs is mounted on "
		    "'%s' already; unmount it first, or choose another "
		    "directory", o->dir);
	ret = o->nonempty ? 1 : is_empty(o->dir);
	if (ret < 0)
		return log_err(ret, "cannot look into '%s'", o->dir);
	if (ret == 0)
		return log_err(-ENOTEMPTY, "cannot mount on '%s'; choose an "
		    "empty directory, or hide what is in it with -o nonempty",
		    o->dir);
	o->mountpoint = realpath(o->dir, NULL);
	if (o->mountpoint == NULL)
		return log_err(-errno, "cannot mount on '%s'", o->dir);
	return 0;
}
