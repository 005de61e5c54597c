/* SPDX-License-Identifier: Apache-2.0 */
/* What is under way: of this host by its jobs, and of all by the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "repo/repo.h"
#include "repo/thaw_look.h"
#include "repo/thaw_owner.h"
#include "tools/cmd_thaw.h"

struct state_count {
	struct thaw_count hot, cold, thawing, thawed, gone;
	time_t ends;		/* the first of the thawed; 0 unknown */
};

static void
add(struct thaw_count *c, const struct pack_info *p)
{
	c->packs++;
	c->bytes += p->size;
}

static void
count_pack(struct state_count *n, const struct pack_info *p)
{
	if (!(p->flags & PACK_SEEN)) {
		add(&n->gone, p);
		return;
	}
	switch (p->state) {
	case STORE_HOT:
		add(&n->hot, p);
		break;
	case STORE_COLD:
		add(&n->cold, p);
		break;
	case STORE_THAWING:
		add(&n->thawing, p);
		break;
	case STORE_THAWED:
		add(&n->thawed, p);
		if (p->expires != 0 && (n->ends == 0 || p->expires < n->ends))
			n->ends = p->expires;
		break;
	}
}

static void
state_json(struct json *j, const struct state_count *n)
{
	const struct timespec ends = { n->ends, 0 };
	char text[TIMEFMT_SIZE];

	thawing_json_packs(j, "readable", &n->hot);
	thawing_json_packs(j, "thawed", &n->thawed);
	thawing_json_packs(j, "thawing", &n->thawing);
	thawing_json_packs(j, "cold", &n->cold);
	thawing_json_packs(j, "missing", &n->gone);
	if (n->ends != 0) {
		timefmt_iso(&ends, text);
		json_set_str(j, "thawed_until", text);
	}
}

static void
print_count(const char *name, const struct thaw_count *c)
{
	char size[16];

	if (c->packs > 0)
		printf("  %-10s %8llu packs  %10s\n", name,
		    (unsigned long long)c->packs, tool_size(c->bytes, size));
}

static void
state_print(const struct state_count *n)
{
	const struct timespec ends = { n->ends, 0 };
	char text[TIMEFMT_SIZE];

	print_count("readable", &n->hot);
	print_count("thawed", &n->thawed);
	print_count("thawing", &n->thawing);
	print_count("archived", &n->cold);
	print_count("missing", &n->gone);
	if (n->ends != 0) {
		timefmt_name(&ends, text);
		printf("  the first copy ends at %s\n", text);
	}
}

static void
job_head(const struct thaw_job *j)
{
	const struct timespec made = { j->made, 0 };
	char text[TIMEFMT_SIZE];

	timefmt_name(&made, text);
	printf("%s  %s  %s, %u days, %zu packs: ", j->name, text,
	    store_thaw_tier_name(j->wish.tier), j->wish.days, j->packs.n);
	tool_print_path(stdout, j->what, strlen(j->what));
	putchar('\n');
}

/* Of what it may: a budget goes before what somebody agreed to. */
static void
job_money(const struct tool *t, const struct thaw_job *j)
{
	uint64_t of = j->budget != UINT64_MAX ? j->budget : j->agreed;
	char spent[PRICE_TEXT], may[PRICE_TEXT];

	if (of > 0 && (t->price != NULL || thaw_owner_counts(j)))
		printf("  spent %s of %s %s\n", price_text(thaw_job_spent(j),
		    spent), price_text(of, may), t->price != NULL ?
		    t->price->currency : "");
}

static struct json *
job_json(const struct thaw_job *j)
{
	const struct timespec made = { j->made, 0 };
	struct json *o = json_object();
	char text[TIMEFMT_SIZE], money[PRICE_TEXT];

	json_set_str(o, "type", "job");
	json_set_str(o, "job", j->name);
	timefmt_iso(&made, text);
	json_set_str(o, "made", text);
	json_set_bytes(o, "what", j->what, strlen(j->what));
	json_set_str(o, "tier", store_thaw_tier_name(j->wish.tier));
	json_set_uint(o, "days", j->wish.days);
	json_set_uint(o, "packs", j->packs.n);
	json_set_str(o, "spent", price_text(thaw_job_spent(j), money));
	if (j->agreed > 0)
		json_set_str(o, "agreed", price_text(j->agreed, money));
	if (j->budget != UINT64_MAX)
		json_set_str(o, "budget", price_text(j->budget, money));
	return o;
}

struct listing {
	struct tool *t;
	struct packset *all;	/* with states; NULL: the store is not asked */
};

/* Of a job; one that is done is forgotten. */
static void
job_states(const struct listing *l, const struct thaw_job *j,
    struct state_count *n)
{
	const struct pack_info *p;
	int owner;
	size_t i;

	memset(n, 0, sizeof(*n));
	for (i = 0; i < j->packs.n; i++) {
		p = packset_find(l->all, j->packs.v[i].id);
		if (p != NULL)
			count_pack(n, p);
		else
			add(&n->gone, &j->packs.v[i]);
	}
	if (n->cold.packs + n->thawing.packs == 0 && !thaw_owner_counts(j) &&
	    thaw_owner_claim(l->t->repo, j->name, &owner) == 1) {
		thaw_job_remove(l->t->repo, j->name);
		thaw_owner_drop(l->t->repo, j->name, owner);
	}
}

static int
on_job(void *ctx, struct thaw_job *j)
{
	const struct listing *l = ctx;
	struct state_count n;
	struct json *o;

	if (l->all != NULL)
		job_states(l, j, &n);
	if (l->t->json) {
		o = job_json(j);
		if (l->all != NULL)
			state_json(o, &n);
		return tool_print_json(o);
	}
	job_head(j);
	job_money(l->t, j);
	if (l->all != NULL)
		state_print(&n);
	return 0;
}

int
thaw_list(struct tool *t)
{
	struct listing l = { .t = t };
	int status = tool_open(t);

	if (status == 0)
		thaw_owner_sweep(t->repo);
	return status != 0 ? status :
	    tool_exit(thaw_job_each(t->repo, on_job, &l));
}

static int
on_pack(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size)
{
	struct packset *s = ctx;
	size_t n;
	int ret;

	ret = packset_add(s, pack, size, &n);
	if (ret == 1)
		s->v[n].flags |= PACK_NEEDED;
	return ret < 0 ? ret : 0;
}

static void
show_all(struct tool *t, const struct packset *s)
{
	struct state_count n = { 0 };
	struct json *j;
	size_t i;

	for (i = 0; i < s->n; i++)
		count_pack(&n, &s->v[i]);
	if (t->json) {
		j = json_object();
		json_set_str(j, "type", "repository");
		state_json(j, &n);
		tool_print_json(j);
		return;
	}
	printf("the repository\n");
	state_print(&n);
}

int
thaw_status(struct tool *t)
{
	struct packset all;
	struct listing l = { .t = t, .all = &all };
	int err, status = tool_open(t);

	if (status != 0)
		return status;
	packset_init(&all);
	err = repo_sync_current(t->repo, PACK_DATA);
	if (err == 0)
		err = index_each_pack(repo_index(t->repo), PACK_DATA, on_pack,
		    &all);
	if (err == 0)
		err = thaw_look(t->repo, &all, 0);
	if (err == 0) {
		show_all(t, &all);
		err = thaw_job_each(t->repo, on_job, &l);
	}
	packset_release(&all);
	return tool_exit(err);
}

struct cancel {
	struct tool *t;
	int argc;
	char **argv;
	unsigned n;
};

static int
is_named(const struct cancel *c, const char *name)
{
	int i;

	for (i = 0; i < c->argc; i++)
		if (*c->argv[i] != '\0' &&
		    strncmp(name, c->argv[i], strlen(c->argv[i])) == 0)
			return 1;
	return c->argc == 0;
}

/* Of a dead mount's the count is left.  A live one counts for itself. */
static int
end_job(struct repo *r, struct thaw_job *j)
{
	int owner, err, dead = thaw_owner_claim(r, j->name, &owner);

	if (dead < 0)
		return dead;
	if (dead && j->packs.n > 0 && thaw_owner_counts(j)) {
		packset_release(&j->packs);
		err = thaw_job_save(r, j);
	} else {
		err = thaw_job_remove(r, j->name);
	}
	if (dead)
		thaw_owner_drop(r, j->name, owner);
	return err;
}

static int
cancel_one(void *ctx, struct thaw_job *j)
{
	struct cancel *c = ctx;
	struct json *o;

	/* A count that is left of a killed mount is no thaw: it goes when it is
	 * named. */
	if (!is_named(c, j->name) || (c->argc == 0 && j->packs.n == 0 &&
	    thaw_owner_counts(j)))
		return 0;
	c->n++;
	if (c->t->json) {
		o = job_json(j);
		json_set_bool(o, "cancelled", 1);
		tool_print_json(o);
	} else if (!c->t->quiet) {
		printf("cancelled ");
		job_head(j);
	}
	return end_job(c->t->repo, j);
}

int
thaw_cancel(struct tool *t, int argc, char **argv)
{
	struct cancel c = { .t = t, .argc = argc, .argv = argv };
	int err, status = tool_open(t);

	if (status != 0)
		return status;
	err = thaw_job_each(t->repo, cancel_one, &c);
	if (err == 0 && c.n == 0 && argc > 0) {
		log_err(0, "no job of this host is named so; `firn thaw "
		    "--list` shows them");
		return EXIT_FAILED;
	}
	if (err == 0 && c.n > 0 && !t->json && !t->quiet)
		printf("what S3 has begun goes on: it cannot be called "
		    "back\n");
	return tool_exit(err);
}
