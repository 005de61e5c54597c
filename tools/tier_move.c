/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `firn tier move`: copy data packs onto themselves in another class.
 *
 * Nothing is noted: what is in the class already is done, so a run that was
 * stopped is run again.  Packs are immutable and a copy replaces the whole, so
 * readers and backups go on meanwhile.  Several threads take packs in order of
 * the listing; the first failure of a kind that the next pack would meet as
 * well ends it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "tools/cmd_tier.h"

#define THREADS	8
#define DAY	86400

struct item {
	char name[96];		/* data/xx/ and 64 digits */
	int cold;		/* archived, by its class */
};

/* Packs, and what it costs to move them, nano. */
struct part {
	uint64_t packs, bytes, retrieval, early;
};

struct move {
	struct tier_run *r;
	const char *class_name;
	time_t now;
	struct item *item;
	size_t n, cap;
	struct part hot, cold;		/* the cold ones stay */
	uint64_t requests;		/* nano */
	atomic_size_t next;
	atomic_size_t moved;
	atomic_size_t passed;		/* gone, or archived, meanwhile */
	atomic_int err;
	atomic_int running;
};

static int
item_add(struct move *m, const char *name, int cold)
{
	struct item *grown;
	size_t cap;

	if (strlen(name) >= sizeof(grown->name))
		return 0;	/* none of ours */
	if (m->n == m->cap) {
		cap = m->cap > 0 ? 2 * m->cap : 1024;
		grown = realloc(m->item, cap * sizeof(*grown));
		if (grown == NULL)
			return log_err(-ENOMEM, "cannot list the packs");
		m->item = grown;
		m->cap = cap;
	}
	snprintf(m->item[m->n].name, sizeof(m->item->name), "%s", name);
	m->item[m->n++].cold = cold;
	return 0;
}

static void
reckon(const struct move *m, struct part *p, const struct store_stat *st,
    uint64_t age)
{
	const struct price_table *t = m->r->t->price;
	const struct price_class *from;

	p->packs++;
	p->bytes += st->size;
	if (t == NULL)
		return;
	from = census_class(t, st->class_name);
	p->retrieval = price_add(p->retrieval, price_bytes(from->retrieval,
	    st->size));
	p->early = price_add(p->early, price_early(t, from, 1,
	    price_billable(from, st->size), age));
}

static int
on_pack(void *ctx, const char *name, const struct store_stat *st)
{
	struct move *m = ctx;
	int cold;
	uint64_t age = m->now > st->mtime.tv_sec ?
	    (uint64_t)(m->now - st->mtime.tv_sec) / DAY : 0;

	if (strcmp(st->class_name, m->class_name) == 0 ||
	    age < m->r->older)
		return 0;
	cold = st->state == STORE_COLD || st->state == STORE_THAWING;
	reckon(m, cold ? &m->cold : &m->hot, st, age);
	return item_add(m, name, cold);
}

static void
part_add(struct part *to, const struct part *p)
{
	to->packs += p->packs;
	to->bytes += p->bytes;
	to->retrieval = price_add(to->retrieval, p->retrieval);
	to->early = price_add(to->early, p->early);
}

/* One that is archived tells of all whether the store reads them at once; else
 * they stay. */
static int
cold_try(struct move *m)
{
	size_t i, n = 0;
	int ret;

	for (i = 0; i < m->n && !m->item[i].cold; i++)
		continue;
	if (i == m->n)
		return 0;
	ret = store_reads_cold(repo_store(m->r->t->repo), m->item[i].name);
	if (ret < 0 && ret != -ENOENT)
		return ret;
	if (ret == 1) {
		part_add(&m->hot, &m->cold);
		memset(&m->cold, 0, sizeof(m->cold));
		return 0;
	}
	for (i = 0; i < m->n; i++)
		if (!m->item[i].cold)
			m->item[n++] = m->item[i];
	m->n = n;
	return 0;
}

static uint64_t
sum_of(const struct move *m)
{
	return price_add(price_add(m->requests, m->hot.retrieval),
	    m->hot.early);
}

static void
quote_print(const struct move *m)
{
	const struct price_table *t = m->r->t->price;
	char size[16], sum[PRICE_TEXT], a[PRICE_TEXT], b[PRICE_TEXT],
	    c[PRICE_TEXT];

	log_info("%llu packs (%s) %s to %s", (unsigned long long)m->n,
	    tool_size(m->hot.bytes, size), m->r->dry_run ? "would move" : "move",
	    m->class_name);
	if (m->cold.packs > 0)
		log_info("%llu packs are archived and stay; `firn thaw` makes "
		    "them readable for a time",
		    (unsigned long long)m->cold.packs);
	if (t == NULL)
		return;
	log_info("estimated cost: %s %s (copies %s, reading %s, least "
	    "durations that have not passed %s), by the prices of %s, %s",
	    price_text(sum_of(m), sum), t->currency, price_text(m->requests,
	    a), price_text(m->hot.retrieval, b), price_text(m->hot.early, c),
	    t->name, t->date);
}

static void *
work(void *arg)
{
	struct move *m = arg;
	size_t i;
	int err;

	while (atomic_load(&m->err) == 0 && !tool_stop) {
		i = atomic_fetch_add(&m->next, 1);
		if (i >= m->n)
			break;
		err = store_set_class(repo_store(m->r->t->repo),
		    m->item[i].name, m->class_name);
		if (err == 0)
			atomic_fetch_add(&m->moved, 1);
		else if (err == -ENOENT || err == -FIRN_ECOLD)
			atomic_fetch_add(&m->passed, 1);
		else
			atomic_store(&m->err, err);
	}
	atomic_fetch_sub(&m->running, 1);
	return NULL;
}

/* Until all threads have ended. */
static void
watch(struct move *m, struct progress *p)
{
	const struct timespec tick = { 0, 50 * 1000 * 1000 };

	while (atomic_load(&m->running) > 0) {
		if (progress_due(p))
			progress_draw(p, "moved %zu of %zu packs",
			    atomic_load(&m->moved), m->n);
		nanosleep(&tick, NULL);
	}
	progress_clear(p);
}

static int
copy_all(struct move *m)
{
	struct progress *p;
	pthread_t thread[THREADS];
	size_t i, n = m->n < THREADS ? m->n : THREADS, started = 0;
	/* The estimate in the end is by the class that the copies are of. */
	int err = store_set_tier(repo_store(m->r->t->repo), m->class_name);

	if (err == 0)
		err = progress_begin(m->r->t, &p);
	if (err != 0)
		return err;
	for (i = 0; i < n && err == 0; i++) {
		atomic_fetch_add(&m->running, 1);
		err = -pthread_create(&thread[i], NULL, work, m);
		if (err == 0)
			started++;
		else
			atomic_fetch_sub(&m->running, 1);
	}
	if (err != 0 && started == 0)
		log_err(err, "cannot start a thread");
	watch(m, p);
	for (i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	progress_end(p);
	if (started > 0)
		err = atomic_load(&m->err);
	return err == 0 && tool_stop ? -ECANCELED : err;
}

static int
result(struct move *m)
{
	struct tool *t = m->r->t;
	char text[PRICE_TEXT];
	struct json *j;

	if (!t->json) {
		if (!t->quiet && !m->r->dry_run)
			printf("moved %zu of %zu packs to %s\n",
			    atomic_load(&m->moved), m->n, m->class_name);
		return EXIT_DONE;
	}
	j = json_object();
	if (m->r->dry_run)
		json_set_bool(j, "dry_run", 1);
	json_set_str(j, "class", m->class_name);
	json_set_uint(j, "packs", m->n);
	json_set_uint(j, "bytes", m->hot.bytes);
	json_set_uint(j, "moved", atomic_load(&m->moved));
	json_set_uint(j, "archived", m->cold.packs +
	    atomic_load(&m->passed));
	if (t->price != NULL)
		json_set_str(j, "quote", price_text(sum_of(m), text));
	tool_json_store(t, j);
	return tool_exit(tool_print_json(j));
}

/* List, quote, ask, copy: status. */
static int
move_run(struct move *m)
{
	struct tool *t = m->r->t;
	int status, err;

	err = store_list_state(repo_store(t->repo), "data/", on_pack, m);
	if (err == 0)
		err = cold_try(m);
	if (err != 0)
		return tool_exit(err);
	if (t->price != NULL)
		m->requests = price_count(census_class(t->price,
		    m->class_name)->put, m->n);
	if (!t->quiet && !t->json)
		quote_print(m);
	if (m->n > 0 && !m->r->dry_run) {
		status = tool_agree(t, m->r->yes, "moving packs is paid for");
		if (status != 0)
			return status;
		err = copy_all(m);
	}
	status = result(m);
	return err != 0 ? tool_exit(err) : status;
}

int
tier_move(struct tier_run *r, const char *class_name)
{
	struct move m = { .r = r, .class_name = class_name,
	    .now = time(NULL) };
	int status = tier_class(r, class_name);

	if (status == 0)
		status = move_run(&m);
	free(m.item);
	return status;
}
