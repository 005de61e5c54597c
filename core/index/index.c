/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing, errors, writers, state and counts.
 *
 * Locks in the file "lock" (open file description locks, so they end with
 * their process): byte 0 while opening, which may remove a damaged index;
 * byte 1 by the writer.  LMDB keeps its own in "lock.mdb".
 *
 * The map is as large as we could ever want (1 TiB of addresses, some 30
 * billion entries) from the start: addresses cost nothing until the file has
 * bytes there, the file is not made sparse, and a map that never moves is what
 * views rely on.  Only where addresses are limited (RLIMIT_AS) it is less; the
 * index then ends at that with -ENOSPC.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "index/index_internal.h"

#define MAP_MAX		((size_t)1 << 40)
#define MAP_MIN		((size_t)1 << 28)
#define ABOUT_SIZE	20
#define LOCK_MDB_SIZE	(128 << 10)	/* bytes; room for 2000 readers */
#define TAIL_PAGES	64
#define COMMIT_ROOM	(16 << 20)

enum { LOCK_OPEN, LOCK_WRITER };

/* --- errors ------------------------------------------------------------- */

int
index_damaged(const struct index *ix, const char *what)
{
	return log_err(-EIO, "the index in '%s' is damaged: %s; delete it; it "
	    "is rebuilt", ix->dir, what);
}

int
index_err(const struct index *ix, int rc, const char *what)
{
	switch (rc) {
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case MDB_MAP_RESIZED:
		return log_err(-ENOSPC, "cannot %s the index in '%s': its map "
		    "is full", what, ix->dir);
	case MDB_READERS_FULL:
		return log_err(-EAGAIN, "cannot %s the index in '%s': too many "
		    "processes use it", what, ix->dir);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_CURSOR_FULL:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_PANIC:
	case MDB_INCOMPATIBLE:
		return index_damaged(ix, mdb_strerror(rc));
	default:
		/* LMDB's other codes are our own mistakes. */
		return log_err(rc > 0 ? -rc : -EINVAL, "cannot %s the index in "
		    "'%s'%s%s", what, ix->dir, rc > 0 ? "" : ": ",
		    rc > 0 ? "" : mdb_strerror(rc));
	}
}

/* Does this code mean that the files should be begun anew? */
static int
is_hopeless(int rc)
{
	return rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
	    rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH ||
	    rc == MDB_PANIC || rc == MDB_INCOMPATIBLE || rc == MDB_NOTFOUND;
}

/* --- writers ------------------------------------------------------------ */

static int
lock_byte(int fd, int byte, int type, int wait)
{
	struct flock fl = {
		.l_type = (short)type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1
	};

	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl) != 0) {
		if (errno != EINTR)
			return errno == EACCES ? -EAGAIN : -errno;
	}
	return 0;
}

void
writer_end(struct index *ix)
{
	(void)lock_byte(ix->lock_fd, LOCK_WRITER, F_UNLCK, 0);
	pthread_mutex_lock(&ix->lock);
	ix->writing = 0;
	pthread_cond_signal(&ix->idle);
	pthread_mutex_unlock(&ix->lock);
}

int
writer_begin(struct index *ix, int try)
{
	unsigned h;
	int err;

	pthread_mutex_lock(&ix->lock);
	while (ix->writing && !try)
		pthread_cond_wait(&ix->idle, &ix->lock);
	err = ix->writing ? -EAGAIN : 0;
	if (err == 0)
		ix->writing = 1;
	pthread_mutex_unlock(&ix->lock);
	if (err != 0)
		return err;
	err = lock_byte(ix->lock_fd, LOCK_WRITER, F_WRLCK, !try);
	if (err != 0 && err != -EAGAIN)
		log_err(err, "cannot lock the index in '%s'", ix->dir);
	for (h = 0; h < INDEX_HALVES && err == 0; h++)
		err = half_sweep(ix, h);
	if (err != 0)
		writer_end(ix);
	return err;
}

int
write_begin(struct index *ix, MDB_txn **txn)
{
	int rc;

	rc = mdb_txn_begin(ix->env, NULL, 0, txn);
	return rc == 0 ? 0 : index_err(ix, rc, "write to");
}

/* LMDB calls a write that was cut short EIO; ask what the matter is. */
static int
commit_cause(const struct index *ix, int rc)
{
	int fd;

	if (rc == EIO && mdb_env_get_fd(ix->env, &fd) == 0 &&
	    fallocate(fd, FALLOC_FL_KEEP_SIZE, lseek(fd, 0, SEEK_END),
	    COMMIT_ROOM) != 0 && (errno == ENOSPC || errno == EDQUOT))
		rc = errno;
	return rc;
}

int
write_commit(struct index *ix, MDB_txn *txn)
{
	int rc;

	rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : index_err(ix, commit_cause(ix, rc), "write to");
}

/* --- opening ------------------------------------------------------------ */

/* LMDB's codes, or errno values; not logged, as opening may be tried again. */
static int
env_open(struct index *ix)
{
	size_t map;
	int rc = ENOMEM, dead;

	for (map = MAP_MAX; map >= MAP_MIN && rc == ENOMEM; map /= 2) {
		rc = mdb_env_create(&ix->env);
		if (rc != 0)
			return rc;
		rc = mdb_env_set_maxdbs(ix->env, 2 + 4 * INDEX_HALVES);
		if (rc == 0)
			rc = mdb_env_set_mapsize(ix->env, map);
		if (rc == 0)
			rc = mdb_env_open(ix->env, ix->dir,
			    MDB_NOTLS | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600);
		if (rc != 0) {
			mdb_env_close(ix->env);
			ix->env = NULL;
		}
	}
	if (rc == 0)
		rc = mdb_reader_check(ix->env, &dead);
	return rc;
}

/*
 * A file that ends before its last page would be SIGBUS.  A few pages at the
 * end may never have been written, being free; those are given to it.
 */
static int
env_check_size(struct index *ix)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	uint64_t want;
	int fd, rc;

	rc = mdb_env_info(ix->env, &info);
	if (rc == 0)
		rc = mdb_env_stat(ix->env, &stat);
	if (rc == 0)
		rc = mdb_env_get_fd(ix->env, &fd);
	if (rc == 0 && fstat(fd, &st) != 0)
		rc = errno;
	if (rc != 0)
		return rc;
	ix->psize = stat.ms_psize;
	want = ((uint64_t)info.me_last_pgno + 1) * ix->psize;
	if ((uint64_t)st.st_size >= want)
		return 0;
	if (want - (uint64_t)st.st_size > (uint64_t)TAIL_PAGES * ix->psize)
		return MDB_CORRUPTED;
	/* Extends, and never cuts off what another process appends. */
	return posix_fallocate(fd, (off_t)(want - ix->psize),
	    (off_t)ix->psize);
}

static int
dbs_open(struct index *ix, MDB_txn *txn, unsigned flags)
{
	static const char *const stem[] = { "slab", "pack", "name", "seg" };
	MDB_dbi *dbi;
	char name[8];
	unsigned h, i;
	int rc;

	rc = mdb_dbi_open(txn, "info", flags, &ix->info);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "state", flags, &ix->state);
	for (h = 0; h < INDEX_HALVES; h++) {
		for (i = 0; i < 4 && rc == 0; i++) {
			dbi = i == 0 ? &ix->half[h].slab :
			    i == 1 ? &ix->half[h].pack :
			    i == 2 ? &ix->half[h].name : &ix->half[h].seg;
			snprintf(name, sizeof(name), "%s%u", stem[i], h);
			rc = mdb_dbi_open(txn, name, flags |
			    (i == 1 ? MDB_INTEGERKEY : 0), dbi);
		}
	}
	return rc;
}

/* Lay out an empty environment. */
static int
env_fill(struct index *ix, const uint8_t repo_id[16])
{
	struct half_rec rec = { .gen = 1, .next_run = 1 };
	uint8_t about[ABOUT_SIZE];
	MDB_val k = { 5, (void *)(uintptr_t)"about" };
	MDB_val v = { sizeof(about), about };
	MDB_txn *txn;
	unsigned h;
	int rc, err = 0;

	rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	le32_put(about, INDEX_LAYOUT);
	memcpy(about + 4, repo_id, 16);
	rc = dbs_open(ix, txn, MDB_CREATE);
	if (rc == 0)
		rc = mdb_put(txn, ix->info, &k, &v, 0);
	for (h = 0; h < INDEX_HALVES && rc == 0 && err == 0; h++)
		err = half_put(ix, txn, h, &rec);
	if (rc != 0 || err != 0) {
		mdb_txn_abort(txn);
		return rc != 0 ? rc : -err;
	}
	return mdb_txn_commit(txn);
}

/* Open the databases; *why is set when they are not ours to use. */
static int
env_take(struct index *ix, const uint8_t repo_id[16], const char **why)
{
	MDB_val k = { 5, (void *)(uintptr_t)"about" }, v;
	struct half_rec rec;
	MDB_stat stat;
	MDB_txn *txn;
	unsigned h;
	int rc;

	rc = mdb_env_stat(ix->env, &stat);
	if (rc != 0)
		return rc;
	if (stat.ms_entries == 0)
		return env_fill(ix, repo_id);
	rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
	if (rc != 0)
		return rc;
	rc = dbs_open(ix, txn, 0);
	if (rc == 0)
		rc = mdb_get(txn, ix->info, &k, &v);
	if (rc == 0) {
		if (v.mv_size != ABOUT_SIZE ||
		    le32_get(v.mv_data) != INDEX_LAYOUT)
			*why = "it has another layout";
		else if (memcmp((uint8_t *)v.mv_data + 4, repo_id, 16) != 0)
			*why = "it is another repository's";
	}
	for (h = 0; h < INDEX_HALVES && rc == 0 && *why == NULL; h++) {
		if (half_get(ix, txn, h, &rec) != 0 ||
		    half_check(ix, txn, h, &rec) != 0)
			*why = "it is damaged";
	}
	/* Committed, so that the handles are kept. */
	if (rc == 0 && *why == NULL)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static void
env_close(struct index *ix)
{
	if (ix->env != NULL)
		mdb_env_close(ix->env);
	ix->env = NULL;
}

/* Once; 0, -errno logged, or 1 with *why it should be begun anew. */
static int
try_open(struct index *ix, const uint8_t repo_id[16], const char **why)
{
	int rc;

	*why = NULL;
	rc = env_open(ix);
	if (rc == 0)
		rc = env_check_size(ix);
	if (rc == 0)
		rc = env_take(ix, repo_id, why);
	if (*why == NULL && is_hopeless(rc))
		*why = "it is damaged";
	if (*why == NULL && rc == 0)
		return 0;
	env_close(ix);
	return *why != NULL ? 1 : index_err(ix, rc, "open");
}

/*
 * LMDB maps its lock file, and with a full disk the first use of a page of it
 * would be SIGBUS; so it gets its bytes now.  No environment is open in this
 * process, so closing the file ends no lock of LMDB's.
 */
static int
lock_mdb_reserve(struct index *ix)
{
	int dirfd, fd, err = 0;

	dirfd = open(ix->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return log_err(-errno, "cannot open '%s'", ix->dir);
	fd = openat(dirfd, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		err = -errno;
	else
		err = -posix_fallocate(fd, 0, LOCK_MDB_SIZE);
	if (fd >= 0)
		close(fd);
	close(dirfd);
	return err == 0 ? 0 : log_err(err, "cannot write '%s/lock.mdb'",
	    ix->dir);
}

static int
files_remove(struct index *ix)
{
	static const char *const name[] = { "data.mdb", "lock.mdb" };
	unsigned i;
	int dirfd, err = 0;

	dirfd = open(ix->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return log_err(-errno, "cannot open '%s'", ix->dir);
	for (i = 0; i < 2 && err == 0; i++) {
		if (unlinkat(dirfd, name[i], 0) != 0 && errno != ENOENT)
			err = log_err(-errno, "cannot remove '%s/%s'",
			    ix->dir, name[i]);
	}
	close(dirfd);
	return err;
}

static int
open_locked(struct index *ix, const uint8_t repo_id[16])
{
	const char *why;
	int ret, again;

	for (again = 0;; again = 1) {
		ret = lock_mdb_reserve(ix);
		if (ret == 0)
			ret = try_open(ix, repo_id, &why);
		if (ret != 1)
			return ret;
		if (again)
			return log_err(-EIO, "cannot make an index in '%s': "
			    "%s", ix->dir, why);
		log_warn(0, "the index in '%s' is begun anew: %s", ix->dir,
		    why);
		ret = files_remove(ix);
		if (ret != 0)
			return ret;
	}
}

static int
lock_file_open(struct index *ix)
{
	struct buf path = BUF_INIT(1 << 16);
	int err;

	err = file_mkdirs(ix->dir, 0700);
	if (err != 0)
		return log_err(err, "cannot make '%s'", ix->dir);
	err = buf_printf(&path, "%s/lock", ix->dir);
	if (err != 0 || buf_cstr(&path) == NULL) {
		buf_release(&path);
		return -ENOMEM;
	}
	ix->lock_fd = open(buf_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC,
	    0600);
	if (ix->lock_fd < 0)
		err = log_err(-errno, "cannot open '%s/lock'", ix->dir);
	buf_release(&path);
	return err;
}

int
index_open(const char *dir, const uint8_t repo_id[16], struct index **out)
{
	struct index *ix;
	int err;

	ix = aligned_alloc(_Alignof(struct index), sizeof(*ix));
	if (ix == NULL)
		return -ENOMEM;
	memset(ix, 0, sizeof(*ix));
	ix->lock_fd = -1;
	pthread_mutex_init(&ix->lock, NULL);
	pthread_cond_init(&ix->idle, NULL);
	pthread_mutex_init(&ix->view_lock, NULL);
	ix->dir = strdup(dir);
	err = ix->dir == NULL ? -ENOMEM : lock_file_open(ix);
	if (err == 0) {
		err = lock_byte(ix->lock_fd, LOCK_OPEN, F_WRLCK, 1);
		if (err != 0)
			log_err(err, "cannot lock '%s/lock'", ix->dir);
	}
	if (err == 0) {
		err = open_locked(ix, repo_id);
		(void)lock_byte(ix->lock_fd, LOCK_OPEN, F_UNLCK, 0);
	}
	if (err != 0) {
		index_close(ix);
		return err;
	}
	/* Sweep now if nobody writes; what fails here fails a writer too. */
	if (writer_begin(ix, 1) == 0)
		writer_end(ix);
	*out = ix;
	return 0;
}

void
index_close(struct index *ix)
{
	unsigned i;

	if (ix == NULL)
		return;
	for (i = 0; i < INDEX_SLOTS; i++)
		slot_close(&ix->slot[i]);
	for (i = 0; i < INDEX_HALVES; i++)
		view_unref(ix->view[i]);
	env_close(ix);
	if (ix->lock_fd >= 0)
		close(ix->lock_fd);
	pthread_mutex_destroy(&ix->view_lock);
	pthread_cond_destroy(&ix->idle);
	pthread_mutex_destroy(&ix->lock);
	free(ix->dir);
	free(ix);
}
