/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examining a directory: what file system it is on, whether there is room,
 * who else may write to it, and whether what a put needs works there (a new
 * file, fsync, a name given in one step, and only if it is free).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "store/store_local_internal.h"
#include "store/store_probe_internal.h"

#define ROOM_NONE	(64u << 20)	/* bytes: nothing fits */
#define ROOM_SMALL	(1ull << 30)
#define FILES_NONE	64
#define FILES_SMALL	10000

struct trial {
	struct store *s;
	struct probe *p;
	char name[STORE_NAME_MAX + 1];
	unsigned n;			/* objects put for the latency */
	uint8_t *bytes;
};

static const struct {
	unsigned long magic;
	const char *name;
	int network;
} types[] = {
	{ 0xef53, "ext4", 0 }, { 0x58465342, "xfs", 0 },
	{ 0x9123683e, "btrfs", 0 }, { 0x2fc12fc1, "zfs", 0 },
	{ 0xf2f52010, "f2fs", 0 }, { 0xca451a4e, "bcachefs", 0 },
	{ 0x794c7630, "overlay", 0 }, { 0x4d44, "vfat", 0 },
	{ 0x2011bab0, "exfat", 0 }, { 0x7366746e, "ntfs", 0 },
	{ 0x01021994, "tmpfs", 0 }, { 0x858458f6, "ramfs", 0 },
	{ 0x6969, "nfs", 1 }, { 0xff534d42, "cifs", 1 },
	{ 0xfe534d42, "smb", 1 }, { 0x517b, "smb", 1 },
	{ 0x00c36400, "ceph", 1 }, { 0x01021997, "9p", 1 },
	{ 0x65735546, "fuse", 1 },
};

static void
file_system(struct trial *t, const char *path)
{
	struct statfs st;
	const char *name = "of an unknown type";
	int network = 0;
	size_t i;

	if (statfs(path, &st) != 0)
		return;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].magic == ((unsigned long)st.f_type & 0xffffffff)) {
			name = types[i].name;
			network = types[i].network;
		}
	if (strcmp(name, "tmpfs") == 0 || strcmp(name, "ramfs") == 0)
		probe_found(t->p, "filesystem", STORE_WARNING, NULL,
		    "a restart loses the repository", "%s: it is in memory",
		    name);
	else if (network)
		probe_found(t->p, "filesystem", STORE_FACT, NULL, "what was "
		    "put is as durable as the server at the other end makes "
		    "it", "%s", name);
	else
		probe_found(t->p, "filesystem", STORE_OK, NULL, NULL, "%s",
		    name);
}

static void
room(struct trial *t, const char *path)
{
	struct statvfs st;
	uint64_t bytes;
	int none, small;

	if (statvfs(path, &st) != 0)
		return;
	bytes = (uint64_t)st.f_bavail * st.f_frsize;
	none = bytes < ROOM_NONE;
	small = bytes < ROOM_SMALL;
	probe_found(t->p, "room", none ? STORE_MISSING : small ?
	    STORE_WARNING : STORE_OK, NULL, none || small ? "backups end with "
	    "'no space left on device' once it is full" : NULL, "%.1f GiB of "
	    "%.1f are free", (double)bytes / (1u << 30), (double)st.f_blocks *
	    (double)st.f_frsize / (1u << 30));
	if (st.f_files == 0)
		return;		/* made as needed: btrfs, many networks' */
	none = st.f_favail < FILES_NONE;
	small = st.f_favail < FILES_SMALL;
	probe_found(t->p, "inodes", none ? STORE_MISSING : small ?
	    STORE_WARNING : STORE_OK, NULL, none || small ? "a pack of 32 MiB "
	    "takes one" : NULL, "%llu are free",
	    (unsigned long long)st.f_favail);
}

static void
owner(struct trial *t, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	if (st.st_mode & 022)
		probe_found(t->p, "owner", STORE_WARNING, "chmod go-w",
		    "they can delete backups", "mode %04o: others may write",
		    (unsigned)st.st_mode & 07777);
	else if (st.st_uid != geteuid() && geteuid() != 0)
		probe_found(t->p, "owner", STORE_WARNING, NULL,
		    "what works now depends on the mode alone", "it belongs "
		    "to user %u, and this is user %u", (unsigned)st.st_uid,
		    (unsigned)geteuid());
	else
		probe_found(t->p, "owner", STORE_OK, NULL, NULL,
		    "user %u, mode %04o", (unsigned)st.st_uid,
		    (unsigned)st.st_mode & 07777);
}

/* -EEXIST for a name that is taken is what the format rests on. */
static int
absent(struct trial *t)
{
	int err = store_put(t->s, t->name, "one", 3, NULL, STORE_IF_ABSENT);

	if (err == 0)
		err = store_put(t->s, t->name, "two", 3, NULL,
		    STORE_IF_ABSENT) == -EEXIST ? 0 : -EIO;
	return err;
}

static int
content(struct trial *t)
{
	char back[4];
	size_t got;
	int err = store_get(t->s, t->name, 1, back, 4, &got);

	return err != 0 ? err : got == 2 && memcmp(back, "ne", 2) == 0 ? 0 :
	    -EIO;
}

static int
see(void *ctx, const char *name, const struct store_stat *st)
{
	struct trial *t = ctx;

	(void)st;
	return strcmp(name, t->name) == 0;
}

static int
listed(struct trial *t)
{
	int ret = store_list(t->s, STORE_PROBE_PREFIX, see, t);

	return ret == 1 ? 0 : ret == 0 ? -EIO : ret;
}

static int
gone(struct trial *t)
{
	struct store_stat st;
	int err = store_del(t->s, t->name);

	if (err == 0)
		err = store_stat(t->s, t->name, &st) == -ENOENT ? 0 : -EIO;
	return err;
}

static const struct step {
	const char *check;
	int (*try)(struct trial *t);
	const char *good, *without;
	int reader;		/* needs it too */
} steps[] = {
	{ "put", absent, "a file is written, synced and given a name only if "
	    "it is free", "nothing can be stored", 0 },
	{ "get", content, "what was just put came back", "nothing can be read",
	    1 },
	{ "list", listed, "what was just put is listed",
	    "firn finds neither keys nor generations", 1 },
	{ "delete", gone, "what was just put can be deleted",
	    "no key can be removed, nor space given back", 0 },
};

static int
try_all(struct trial *t)
{
	enum store_role role = t->p->conf->role;
	size_t i;
	int err;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		err = steps[i].try(t);
		if (err == -ECANCELED || err == -ENOMEM)
			return err;
		if (err == 0) {
			probe_found(t->p, steps[i].check, STORE_OK, NULL, NULL,
			    "%s", steps[i].good);
			continue;
		}
		probe_found(t->p, steps[i].check, role == STORE_ROLE_READER &&
		    !steps[i].reader ? STORE_FACT : STORE_MISSING, NULL,
		    steps[i].without, "%s", err == -EIO ? "it did not do what "
		    "it should" : err_text(err));
		return 1;	/* the others rest on it */
	}
	return 0;
}

static int
once_put(void *ctx)
{
	struct trial *t = ctx;
	char name[STORE_NAME_MAX + 16];	/* and a number */

	snprintf(name, sizeof(name), "%s-%u", t->name, t->n++);
	return store_put(t->s, name, name, strlen(name), NULL, 0);
}

static int
once_put_big(void *ctx)
{
	struct trial *t = ctx;

	return store_put(t->s, t->name, t->bytes, PROBE_BYTES, NULL, 0);
}

static int
once_get_big(void *ctx)
{
	struct trial *t = ctx;
	size_t got;

	return store_get(t->s, t->name, 0, t->bytes, PROBE_BYTES, &got);
}

static int
speed(struct trial *t)
{
	char name[STORE_NAME_MAX + 16];	/* and a number */
	int err;

	err = probe_latency(t->p, "latency-put", "a small object, synced,",
	    once_put, t);
	t->bytes = probe_bytes();
	if (err == 0)
		err = t->bytes == NULL ? -ENOMEM : probe_throughput(t->p,
		    "throughput-put", once_put_big, t);
	if (err == 0)
		err = probe_throughput(t->p, "throughput-get", once_get_big,
		    t);
	free(t->bytes);
	while (t->n > 0) {
		snprintf(name, sizeof(name), "%s-%u", t->name, --t->n);
		(void)store_del(t->s, name);
	}
	(void)store_del(t->s, t->name);
	return err;
}

int
local_probe(struct store *s, struct probe *p)
{
	struct trial t = { .s = s, .p = p };
	const char *path = s->local_path;
	uint8_t nonce[16];
	char hex[2 * sizeof(nonce) + 1];
	int ret;

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return log_err(-EIO, "no random bytes");
	hex_encode(nonce, sizeof(nonce), hex);
	snprintf(t.name, sizeof(t.name), STORE_PROBE_PREFIX "%s", hex);
	probe_found(p, "reach", STORE_OK, NULL, NULL, "the directory '%s' is "
	    "there", path);
	file_system(&t, path);
	room(&t, path);
	owner(&t, path);
	p->readable = 1;
	ret = try_all(&t);
	if (ret == 0)
		ret = speed(&t);
	/* Empty by now, unless somebody else is at it too; who wants one of
	 * them makes it. */
	(void)unlinkat(local_of(s)->root, "probe", AT_REMOVEDIR);
	(void)unlinkat(local_of(s)->root, LOCAL_TMP, AT_REMOVEDIR);
	return ret == -ECANCELED || ret == -ENOMEM ? ret : 0;
}
