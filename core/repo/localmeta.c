/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout: magic "firnmeta", u32 layout version, then records: 32-byte id,
 * u8 type, u32 sealed length, 12-byte nonce, AES-256-GCM(keys->local, aad = id
 * and type).  The last record has type 0 and the head as its content.  An index
 * of 16 bytes a record is read into memory at open.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "repo/localmeta.h"
#include "repo/runfile.h"

#define MAGIC		"firnmeta\1\0\0\0"
#define MAGIC_SIZE	12
#define RECORD_SIZE	(BLOCK_ID_SIZE + 1 + 4 + AEAD_NONCE_SIZE)
#define HEAD_SIZE	(BLOCK_ID_SIZE + 8 + 4 + GEN_ID_SIZE)

struct place {
	uint64_t key;		/* first 8 bytes of the id */
	uint64_t off;		/* of the record */
};

struct localmeta {
	int fd;
	char *path;
	struct runfile temp;	/* not committed yet */
	uint8_t key[KEY_SIZE];
	pthread_mutex_t lock;
	struct aead *aead;	/* protected by lock */
	struct buf scratch;	/* protected by lock */
	struct place *place;	/* reading: sorted by key */
	size_t n, cap;
};

static int
localmeta_new(const char *state_dir, const struct keys *keys, const char *tag,
    struct localmeta **out)
{
	struct localmeta *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	if (m == NULL)
		return err;
	m->fd = -1;
	m->temp = (struct runfile)RUNFILE_NONE;
	pthread_mutex_init(&m->lock, NULL);
	buf_init(&m->scratch, FORMAT_BLOCK_MAX + RECORD_SIZE + 64);
	memcpy(m->key, keys->local, KEY_SIZE);
	if (asprintf(&m->path, "%s/meta-%s", state_dir, tag) < 0)
		m->path = NULL;
	else
		err = aead_new(&m->aead);
	if (err != 0) {
		localmeta_close(m);
		return err;
	}
	*out = m;
	return 0;
}

void
localmeta_close(struct localmeta *m)
{
	if (m == NULL)
		return;
	if (m->fd >= 0 && m->fd != m->temp.fd)
		close(m->fd);
	runfile_remove(&m->temp);
	pthread_mutex_destroy(&m->lock);
	aead_free(m->aead);
	kdf_wipe(m->key, sizeof(m->key));
	buf_release(&m->scratch);
	free(m->place);
	free(m->path);
	free(m);
}

static int
by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Read and open the record at off: 0 and its plain bytes in m->scratch. */
static int
record_read(struct localmeta *m, uint64_t off, uint8_t id[BLOCK_ID_SIZE],
    uint8_t *type, size_t *len)
{
	uint8_t head[RECORD_SIZE];
	size_t got;
	uint32_t sealed;
	int err;

	err = file_pread_full(m->fd, head, sizeof(head), (off_t)off, &got);
	if (err == 0 && got < sizeof(head))
		err = -FIRN_ECORRUPT;
	if (err != 0)
		return err;
	memcpy(id, head, BLOCK_ID_SIZE);
	*type = head[BLOCK_ID_SIZE];
	sealed = le32_get(head + BLOCK_ID_SIZE + 1);
	if (sealed < AEAD_TAG_SIZE ||
	    sealed > FORMAT_BLOCK_MAX + AEAD_TAG_SIZE)
		return -FIRN_ECORRUPT;
	buf_reset(&m->scratch);
	if (buf_extend(&m->scratch, sealed) == NULL)
		return -ENOMEM;
	err = file_pread_full(m->fd, m->scratch.data, sealed,
	    (off_t)(off + RECORD_SIZE), &got);
	if (err == 0 && got < sealed)
		err = -FIRN_ECORRUPT;
	if (err == 0)
		err = aead_open(m->aead, m->key, head + BLOCK_ID_SIZE + 5,
		    head, BLOCK_ID_SIZE + 1, m->scratch.data, sealed,
		    m->scratch.data);
	*len = sealed - AEAD_TAG_SIZE;
	return err;
}

/* Note where every record is; the last must be the head. */
static int
places_read(struct localmeta *m, uint64_t *head_off)
{
	uint8_t head[RECORD_SIZE];
	struct stat st;
	uint64_t off = MAGIC_SIZE;
	size_t got;
	void *p;
	int err;

	if (fstat(m->fd, &st) != 0)
		return -errno;
	err = file_pread_full(m->fd, head, MAGIC_SIZE, 0, &got);
	if (err != 0 || got < MAGIC_SIZE || memcmp(head, MAGIC, MAGIC_SIZE))
		return -FIRN_ECORRUPT;
	while (off < (uint64_t)st.st_size) {
		err = file_pread_full(m->fd, head, sizeof(head), (off_t)off,
		    &got);
		if (err != 0 || got < sizeof(head))
			return -FIRN_ECORRUPT;
		if (m->n == m->cap) {
			m->cap = m->cap > 0 ? 2 * m->cap : 256;
			p = realloc(m->place, m->cap * sizeof(*m->place));
			if (p == NULL)
				return -ENOMEM;
			m->place = p;
		}
		m->place[m->n].key = le64_get(head);
		m->place[m->n++].off = off;
		*head_off = off;
		off += RECORD_SIZE + le32_get(head + BLOCK_ID_SIZE + 1);
	}
	if (m->n == 0 || off != (uint64_t)st.st_size)
		return -FIRN_ECORRUPT;
	qsort(m->place, m->n, sizeof(*m->place), by_key);
	return 0;
}

int
localmeta_open(const char *state_dir, const struct keys *keys,
    const char *tag, struct localmeta **out, struct localmeta_head *head)
{
	struct localmeta *m;
	struct rd r;
	uint8_t id[BLOCK_ID_SIZE], type;
	uint64_t off = 0;
	size_t len = 0;
	int err;

	err = localmeta_new(state_dir, keys, tag, &m);
	if (err != 0)
		return -ENOENT;
	m->fd = open(m->path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0) {
		localmeta_close(m);
		return -ENOENT;
	}
	err = places_read(m, &off);
	if (err == 0)
		err = record_read(m, off, id, &type, &len);
	if (err == 0 && (type != 0 || len != HEAD_SIZE))
		err = -FIRN_ECORRUPT;
	if (err != 0) {
		log_warn(err, "cannot use '%s'; the source is read in full",
		    m->path);
		localmeta_close(m);
		return -ENOENT;
	}
	r = rd_init(m->scratch.data, len);
	rd_copy(&r, head->root, BLOCK_ID_SIZE);
	head->start.tv_sec = (time_t)rd_u64(&r);
	head->start.tv_nsec = rd_u32(&r);
	rd_copy(&r, head->gen, GEN_ID_SIZE);
	*out = m;
	return 0;
}

int
localmeta_get(struct localmeta *m, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct buf *out)
{
	uint8_t have[BLOCK_ID_SIZE], t;
	uint64_t key = le64_get(id);
	size_t lo = 0, hi = m->n, mid, len;
	int err;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (m->place[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < m->n && m->place[lo].key == key; lo++) {
		pthread_mutex_lock(&m->lock);
		err = record_read(m, m->place[lo].off, have, &t, &len);
		if (err == 0 && t == type &&
		    memcmp(have, id, BLOCK_ID_SIZE) == 0) {
			err = buf_add(out, m->scratch.data, len);
			pthread_mutex_unlock(&m->lock);
			return err;
		}
		pthread_mutex_unlock(&m->lock);
		if (err != 0)
			return err;
	}
	return -ENOENT;
}

int
localmeta_begin(const char *state_dir, const struct keys *keys,
    const char *tag, struct localmeta **out)
{
	struct localmeta *m;
	char prefix[8 + GEN_TAG_SIZE];
	unsigned n;
	int err;

	/* What killed runs left, of any series; that some may stay harms
	 * nothing. */
	runfile_sweep(state_dir, "meta-", &n);
	err = localmeta_new(state_dir, keys, tag, &m);
	if (err != 0)
		return err;
	snprintf(prefix, sizeof(prefix), "meta-%s", tag);
	err = runfile_new(state_dir, prefix, &m->temp);
	if (err == 0) {
		m->fd = m->temp.fd;
		err = file_write_full(m->fd, MAGIC, MAGIC_SIZE);
	}
	if (err != 0) {
		localmeta_close(m);
		return err;
	}
	*out = m;
	return 0;
}

static int
put_locked(struct localmeta *m, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len)
{
	uint8_t *p;
	int err;

	buf_reset(&m->scratch);
	p = buf_extend(&m->scratch, RECORD_SIZE + len + AEAD_TAG_SIZE);
	if (p == NULL)
		return buf_err(&m->scratch);
	memcpy(p, id, BLOCK_ID_SIZE);
	p[BLOCK_ID_SIZE] = (uint8_t)type;
	le32_put(p + BLOCK_ID_SIZE + 1, (uint32_t)(len + AEAD_TAG_SIZE));
	/* Random: a key of this host seals few records compared with what 96
	 * bits allow. */
	kdf_random(p + BLOCK_ID_SIZE + 5, AEAD_NONCE_SIZE);
	err = aead_seal(m->aead, m->key, p + BLOCK_ID_SIZE + 5, p,
	    BLOCK_ID_SIZE + 1, data, len, p + RECORD_SIZE);
	if (err == 0)
		err = file_write_full(m->fd, p, m->scratch.len);
	return err;
}

int
localmeta_put(struct localmeta *m, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len)
{
	int err;

	pthread_mutex_lock(&m->lock);
	err = put_locked(m, type, id, data, len);
	pthread_mutex_unlock(&m->lock);
	return err;
}

int
localmeta_commit(struct localmeta *m, const struct localmeta_head *head)
{
	static const uint8_t none[BLOCK_ID_SIZE];
	struct buf b = BUF_INIT(HEAD_SIZE);
	int err;

	buf_add(&b, head->root, BLOCK_ID_SIZE);
	buf_add_u64(&b, (uint64_t)head->start.tv_sec);
	buf_add_u32(&b, (uint32_t)head->start.tv_nsec);
	buf_add(&b, head->gen, GEN_ID_SIZE);
	err = buf_err(&b);
	if (err == 0)
		err = localmeta_put(m, 0, none, b.data, b.len);
	if (err == 0 && fdatasync(m->fd) != 0)
		err = -errno;
	if (err == 0)
		err = runfile_rename(&m->temp, m->path);
	buf_release(&b);
	return err;
}
