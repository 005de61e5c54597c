/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getdents64(2) rather than readdir(3), which takes four more system calls and
 * two allocations a directory: many have only a few names.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "backup/dirnames.h"
#include "base/buf.h"
#include "base/err.h"

#define ROOM	(32u << 10)	/* bytes that are asked for at once */
#define SCRATCH_KEPT	((size_t)1 << 20)

/* What the directory tells of a name, in front of the name. */
struct told {
	uint64_t ino;
	unsigned char type;
};

static int
name_order(const void *a, const void *b)
{
	const struct ahead_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
name_add(struct buf *text, const struct dirent64 *e)
{
	struct told t = { .ino = e->d_ino, .type = e->d_type };
	size_t len = strlen(e->d_name) + 1;
	uint8_t *p = buf_extend(text, sizeof(t) + len);

	if (p == NULL)
		return buf_err(text);
	memcpy(p, &t, sizeof(t));
	memcpy(p + sizeof(t), e->d_name, len);
	return 0;
}

static int
is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' ||
	    (name[1] == '.' && name[2] == '\0'));
}

/* All of them as they come; how many. */
static int
text_read(int fd, size_t max, struct buf *text, size_t *n)
{
	_Alignas(struct dirent64) char room[ROOM];
	const struct dirent64 *e;
	ssize_t got, at;
	int err;

	while ((got = getdents64(fd, room, sizeof(room))) > 0) {
		for (at = 0; at < got; at += e->d_reclen) {
			e = (const struct dirent64 *)(void *)(room + at);
			if (is_dots(e->d_name))
				continue;
			err = *n < max ? name_add(text, e) : -E2BIG;
			if (err != 0)
				return err;
			++*n;
		}
	}
	return got < 0 ? -errno : 0;
}

/* Names in order, of n that stand in text. */
static int
names_order(struct dirnames *d, const struct buf *text, size_t n)
{
	const char *at = (const char *)text->data;
	size_t i, len, names = n * sizeof(*d->at);
	struct told t;
	char *to;

	d->bytes = names + text->len - n * sizeof(t);
	d->at = malloc(d->bytes + 1);
	if (d->at == NULL)
		return -ENOMEM;
	to = (char *)d->at + names;
	for (i = 0; i < n; i++) {
		memcpy(&t, at, sizeof(t));
		at += sizeof(t);
		len = strlen(at) + 1;
		memcpy(to, at, len);
		d->at[i] = (struct ahead_name){ to, t.ino, t.type };
		at += len;
		to += len;
	}
	if (n > 1)
		qsort(d->at, n, sizeof(*d->at), name_order);
	d->n = n;
	return 0;
}

int
dirnames_read(int fd, size_t max, struct buf *scratch, struct dirnames *out)
{
	size_t n = 0;
	int err, ret;

	memset(out, 0, sizeof(*out));
	buf_reset(scratch);
	ret = text_read(fd, max, scratch, &n);
	err = names_order(out, scratch, n);
	/* One large directory is not to cost its memory for good. */
	if (scratch->cap > SCRATCH_KEPT)
		buf_release(scratch);
	return err != 0 ? err : ret;
}

void
dirnames_release(struct dirnames *d)
{
	free(d->at);
	memset(d, 0, sizeof(*d));
}

void
dirnames_only(struct dirnames *d, const char *name)
{
	size_t i, kept = 0;

	for (i = 0; name != NULL && i < d->n; i++)
		if (strcmp(d->at[i].name, name) == 0)
			d->at[kept++] = d->at[i];
	d->n = kept;
}
