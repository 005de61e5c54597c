/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells that are fetched before somebody asks for them.
 *
 * Small files lie in packs in the order in which a walk comes to them, so packs
 * that are read in order are followed (streams).  A large file says itself what
 * comes next, also in which other packs (runs).  All of it shares one budget:
 * so many cells may be in memory, or on their way, that nobody has used yet.
 * That bounds the memory that readers in parallel take, and what is fetched for
 * nothing when one turns away.
 */
#include <stdlib.h>
#include <string.h>

#include "repo/reader_internal.h"
#include "repo/reader_run.h"

struct job {
	struct cells *c;
	enum pack_kind kind;
	struct index_place at;
	uint32_t number;
	uint32_t count;
};

/* Of a pack that is read to its end: the next one will be, too. */
static int
is_near_end(const struct stream *s)
{
	return s->window > 1 && s->next + 2 >= s->cells;
}

/* The stream of a pack, or a new one in place of the oldest.  Under lock. */
static struct stream *
stream_find(struct cells *c, const struct index_place *at, uint32_t number)
{
	struct stream *s, *oldest = &c->stream[0], *latest = &c->stream[0];
	uint32_t i, window = 1;

	for (i = 0; i < STREAMS; i++) {
		s = &c->stream[i];
		if (s->window > 0 && memcmp(s->pack, at->pack,
		    OBJECT_ID_SIZE) == 0)
			return s;
		if (s->used < oldest->used)
			oldest = s;
		if (s->used > latest->used)
			latest = s;
	}
	if (number <= 1 && is_near_end(latest))
		window = latest->window;
	s = oldest;
	memcpy(s->pack, at->pack, OBJECT_ID_SIZE);
	s->cells = cell_count(at);
	s->window = window;
	s->next = number;
	s->ahead = number;
	s->used = 0;
	return s;
}

/* A step to `count` cells from `number`: does the window grow or shrink.  Under
 * lock. */
static void
stream_move(struct stream *s, uint32_t number, uint32_t count)
{
	int begins = s->used == 0;
	int stays = number + 1 == s->next;

	if (begins || number == s->next || (stays && count > 1) ||
	    (number > s->next && number < s->ahead)) {
		/* In order: one more proven step. */
		if (!begins)
			s->window = s->window * 2 > WINDOW_MAX ? WINDOW_MAX :
			    s->window * 2;
		s->next = number + count;
	} else if (!stays && !(number < s->next &&
	    number + WINDOW_MAX >= s->next)) {
		/* A jump. */
		s->window = s->window > 1 ? s->window / 2 : 1;
		s->next = number + count;
		s->ahead = number + count;
	}
	if (s->ahead < s->next)
		s->ahead = s->next;
}

static void ahead_run(void *ctx);

/* 1 when it will be fetched, 0 when the budget or the queue is full. */
static int
ahead_submit(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count)
{
	struct job *j = NULL;

	if (atomic_fetch_add(&c->ahead_jobs, 1) < c->ahead_max &&
	    budget_take(c, count, count) == count)
		j = malloc(sizeof(*j));
	else
		count = 0;
	if (j != NULL) {
		*j = (struct job){ c, kind, *at, number, count };
		if (pool_submit(c->ahead, ahead_run, j) == 0)
			return 1;
	}
	free(j);
	budget_give(c, count);
	atomic_fetch_sub(&c->ahead_jobs, 1);
	return 0;
}

static void
ahead_run(void *ctx)
{
	struct job *j = ctx;
	uint32_t i, n;

	atomic_fetch_sub(&j->c->ahead_jobs, 1);
	for (i = 0; i < j->count; i += n)
		n = cells_load(j->c, j->kind, &j->at, j->number + i,
		    j->count - i);
	free(j);
}

/* Cells to fetch ahead, in jobs of a request each so that several run; how
 * many were taken. */
static uint32_t
submit_window(struct cells *c, enum pack_kind kind,
    const struct index_place *at, uint32_t number, uint32_t count)
{
	uint32_t n, done;

	for (done = 0; done < count; done += n) {
		n = count - done < REQUEST_MAX ? count - done : REQUEST_MAX;
		if (!ahead_submit(c, kind, at, number + done, n))
			break;
	}
	return done;
}

uint32_t
ahead_step(struct cells *c, enum pack_kind kind, const struct index_place *at,
    uint32_t number, uint32_t wanted, int miss)
{
	struct stream *s;
	uint32_t first, count = 0, window, done;

	pthread_mutex_lock(&c->lock);
	s = stream_find(c, at, number);
	stream_move(s, number, wanted);
	s->used = ++c->clock;
	window = s->window;
	first = s->ahead;
	if (miss) {
		/* Beyond one request it is for the threads. */
		if (wanted < window)
			wanted = window;
		first = number + (wanted < REQUEST_MAX ? wanted : REQUEST_MAX);
		if (first < s->ahead)
			first = s->ahead;
	}
	/* Half of the window is left at most: ask for the next. */
	if (window > 1 && first < number + window / 2 + 1)
		count = number + 1 + window - first;
	else if (miss && first < number + window)
		count = number + window - first;
	if (first >= s->cells)
		count = 0;
	else if (count > s->cells - first)
		count = s->cells - first;
	s->ahead = first + count;
	pthread_mutex_unlock(&c->lock);
	if (count == 0)
		return window;
	done = submit_window(c, kind, at, first, count);
	if (done < count) {
		pthread_mutex_lock(&c->lock);
		s = stream_find(c, at, number);
		if (s->ahead == first + count)
			s->ahead = first + done;
		pthread_mutex_unlock(&c->lock);
	}
	return window;
}

int
reader_run_end(struct reader *rd, struct reader_run *run)
{
	struct cells *c = &rd->cells;
	uint32_t first = run->first, end = run->first + run->count;

	run->count = 0;
	while (first < end && cells_known(c, &run->at, first))
		first++;
	return first == end || submit_window(c, run->kind, &run->at, first,
	    end - first) == end - first;
}

enum run_answer
reader_run(struct reader *rd, struct reader_run *run, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE])
{
	enum pack_kind kind = block_pack_kind(type);
	struct index_place at;
	uint32_t first, end;

	if (index_find(repo_index(rd->repo), kind, id, &at) != 1)
		return RUN_TAKEN;
	first = at.frame_off / FORMAT_GRID;
	end = (uint32_t)(((uint64_t)at.frame_off + at.frame_len - 1) /
	    FORMAT_GRID) + 1;
	if (at.frame_len == 0 || end > cell_count(&at))
		return RUN_TAKEN;
	if (run->count > 0 && run->kind == kind && memcmp(run->at.pack,
	    at.pack, OBJECT_ID_SIZE) == 0 && first >= run->first &&
	    first <= run->first + run->count && end - run->first <=
	    REQUEST_MAX) {
		if (end > run->first + run->count)
			run->count = end - run->first;
		return RUN_TAKEN;
	}
	if (!reader_run_end(rd, run))
		return RUN_FULL;
	run->kind = kind;
	run->at = at;
	run->first = first;
	run->count = end - first;
	return RUN_BEGUN;
}
