/* SPDX-License-Identifier: Apache-2.0 */
/* The last errors: a ring of lines. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/timefmt.h"
#include "fs/errors.h"

#define RING_SIZE	128
#define LINE_MAX_LEN	1536
#define SEEN_SIZE	256	/* a power of two */

struct note {
	struct timespec first, last;
	uint64_t count;		/* 0: empty */
	char line[LINE_MAX_LEN];
};

struct errors {
	pthread_mutex_t lock;
	uint64_t next;			/* protected by lock, as all below */
	uint64_t seen[SEEN_SIZE];	/* hashes of texts */
	time_t seen_at[SEEN_SIZE];
	struct note ring[RING_SIZE];
};

int
errors_new(struct errors **out)
{
	struct errors *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	*out = e;
	return 0;
}

void
errors_free(struct errors *e)
{
	if (e == NULL)
		return;
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static struct note *
note_find(struct errors *e, const char *line)
{
	unsigned i;

	for (i = 0; i < RING_SIZE; i++)
		if (e->ring[i].count > 0 &&
		    strncmp(e->ring[i].line, line, LINE_MAX_LEN - 1) == 0)
			return &e->ring[i];
	return NULL;
}

void
errors_note(struct errors *e, const char *line)
{
	struct timespec now;
	struct note *n;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&e->lock);
	n = note_find(e, line);
	if (n == NULL) {
		n = &e->ring[e->next++ % RING_SIZE];
		strncpy(n->line, line, sizeof(n->line) - 1);
		n->first = now;
		n->count = 0;
	}
	n->count++;
	n->last = now;
	pthread_mutex_unlock(&e->lock);
}

int
errors_fresh(struct errors *e, const char *text, unsigned seconds)
{
	uint64_t h = 0xcbf29ce484222325u;
	struct timespec now;
	unsigned slot;
	int fresh;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	slot = (unsigned)(h ^ h >> 32) % SEEN_SIZE;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&e->lock);
	fresh = e->seen[slot] != h ||
	    now.tv_sec - e->seen_at[slot] >= (time_t)seconds;
	if (fresh) {
		e->seen[slot] = h;
		e->seen_at[slot] = now.tv_sec;
	}
	pthread_mutex_unlock(&e->lock);
	return fresh;
}

static void
note_text(const struct note *n, struct buf *out)
{
	char first[TIMEFMT_SIZE], last[TIMEFMT_SIZE];

	timefmt_name(&n->first, first);
	timefmt_name(&n->last, last);
	if (n->count == 1)
		buf_printf(out, "%s  %s\n", last, n->line);
	else
		buf_printf(out, "%s  %s (%llu times since %s)\n", last,
		    n->line, (unsigned long long)n->count, first);
}

int
errors_text(struct errors *e, struct buf *out)
{
	uint64_t i;

	pthread_mutex_lock(&e->lock);
	i = e->next > RING_SIZE ? e->next - RING_SIZE : 0;
	for (; i < e->next; i++)
		note_text(&e->ring[i % RING_SIZE], out);
	pthread_mutex_unlock(&e->lock);
	return buf_err(out);
}

/*
 * Programs know what to make of few errors from a file system.  What says that
 * the store failed is EIO, whatever it was: ECONNREFUSED from read(2) would
 * only puzzle, and ENODATA, ETIMEDOUT or ENOENT have meanings of their own
 * there.
 */
int
errors_errno(int err)
{
	switch (-err) {
	case 0:
		return 0;
	case FIRN_ECOLD:
		return EAGAIN;
	case ENOMEM:
	case EINTR:
	case ENXIO:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EINVAL:
	case ENAMETOOLONG:
	case ESTALE:
	case ERANGE:
	case ENOTSUP:
	case EROFS:
		return -err;
	default:
		return EIO;
	}
}
