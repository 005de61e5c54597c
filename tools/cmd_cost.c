/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a repository costs: a month of what is there, least durations that still
 * run, what each generation added, and what restores would take.  All from one
 * listing, the records of generations, and the price table.
 */
#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "tools/census.h"
#include "tools/tool.h"

#define THAW_DAYS	2
#define GET_BYTES	(16u << 20)	/* of a read that goes on */
#define TYPICAL		100		/* one of so many packs */

static const struct option options[] = {
	{ NULL, 0, NULL, 0 }
};

struct cost {
	struct tool *t;
	const struct price_table *p;
	struct census data, meta;
	uint64_t data_month, meta_month;
	uint64_t early, young;
	struct generation_list gens;
};

/* Reading a share of the data, one of `part` packs. */
struct restore {
	uint64_t objects, bytes;
	uint64_t thaw[STORE_THAW_TIERS];
	int offered[STORE_THAW_TIERS];
	uint64_t reading;	/* requests and retrieval */
	uint64_t transfer;	/* over the Internet */
	uint64_t cold;		/* packs that have to be thawed */
};

static uint64_t
share(uint64_t v, uint64_t part)
{
	return v / part + (v % part != 0);
}

static void
thaw_add(const struct cost *c, const struct census_group *g, uint64_t part,
    struct restore *out)
{
	const struct price_class *of = census_class(c->p, g->class_name);
	uint64_t price;
	int i;

	if (g->state == STORE_HOT)
		return;
	out->cold += share(g->objects, part);
	for (i = 0; i < STORE_THAW_TIERS; i++) {
		if (price_thaw(c->p, of, (enum price_tier)i, share(g->objects,
		    part), share(g->bytes, part), THAW_DAYS, &price) != 0)
			out->offered[i] = 0;
		else
			out->thaw[i] = price_add(out->thaw[i], price);
	}
}

static void
restore_reckon(const struct cost *c, uint64_t part, struct restore *out)
{
	const struct census_group *g;
	const struct price_class *of;
	uint64_t bytes;
	size_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < STORE_THAW_TIERS; i++)
		out->offered[i] = 1;
	for (i = 0; i < c->data.n; i++) {
		g = &c->data.group[i];
		of = census_class(c->p, g->class_name);
		bytes = share(g->bytes, part);
		out->objects += share(g->objects, part);
		out->bytes += bytes;
		thaw_add(c, g, part, out);
		out->reading = price_add(out->reading, price_count(of->get,
		    share(g->objects, part) + bytes / GET_BYTES));
		out->reading = price_add(out->reading, price_bytes(
		    of->retrieval, bytes));
	}
	out->transfer = price_bytes(c->p->egress, out->bytes);
}

/* At what the packs that are there cost by the byte. */
static uint64_t
generation_month(const struct cost *c, const struct generation *g)
{
	if (c->data.bytes == 0)
		return 0;
	return (uint64_t)((double)c->data_month / (double)c->data.bytes *
	    (double)g->rec.added.stored_bytes);
}

static int
take(struct cost *c)
{
	static const char *const other[] = { "config", "keys/", "meta/",
	    "index/", "gen/", "tier/" };
	struct store *s = repo_store(c->t->repo);
	size_t i;
	int err;

	c->data.prices = c->meta.prices = c->p;
	err = census_take(&c->data, s, "data/");
	for (i = 0; i < sizeof(other) / sizeof(other[0]) && err == 0; i++)
		err = census_take(&c->meta, s, other[i]);
	if (err == 0)
		err = generation_list(c->t->repo, &c->gens);
	for (i = 0; i < c->data.n && err == 0; i++) {
		c->data_month = price_add(c->data_month,
		    census_month(&c->data, &c->data.group[i]));
		c->early = price_add(c->early, c->data.group[i].early);
		c->young += c->data.group[i].young;
	}
	for (i = 0; i < c->meta.n && err == 0; i++)
		c->meta_month = price_add(c->meta_month,
		    census_month(&c->meta, &c->meta.group[i]));
	return err;
}

static void
groups_print(const struct census *c, const char *what)
{
	char size[16], text[PRICE_TEXT];
	const struct census_group *g;
	size_t i;

	for (i = 0; i < c->n; i++) {
		g = &c->group[i];
		printf("%-8s %-20s %-16s %8" PRIu64 " %12s %14s\n", what,
		    g->class_name, census_state(g), g->objects,
		    tool_size(g->bytes, size), price_text(census_month(c, g),
		    text));
	}
}

static void
restore_print(const struct cost *c, const char *what,
    const struct restore *r)
{
	char size[16], reading[PRICE_TEXT], transfer[PRICE_TEXT],
	    text[PRICE_TEXT];
	int i;

	printf("%s (%" PRIu64 " packs, %s): reading %s, transfer over the "
	    "Internet %s\n", what, r->objects, tool_size(r->bytes, size),
	    price_text(r->reading, reading),
	    price_text(r->transfer, transfer));
	for (i = 0; i < STORE_THAW_TIERS && r->cold > 0; i++)
		printf("  thawing %" PRIu64 " packs for %d days, %s: %s\n",
		    r->cold, THAW_DAYS,
		    store_thaw_tier_name((enum store_thaw_tier)i),
		    r->offered[i] ? price_text(r->thaw[i], text) :
		    "not offered for all of them");
	(void)c;
}

static void
print_people(const struct cost *c, const struct restore *full,
    const struct restore *typical)
{
	char text[PRICE_TEXT], size[16], hex[2 * 8 + 1], time[TIMEFMT_SIZE];
	const struct generation *g;
	size_t i;

	printf("%-8s %-20s %-16s %8s %12s %14s\n", "WHAT", "CLASS", "STATE",
	    "OBJECTS", "BYTES", "A MONTH");
	groups_print(&c->data, "data");
	groups_print(&c->meta, "metadata");
	printf("a month of storage: %s %s\n", price_text(price_add(
	    c->data_month, c->meta_month), text), c->p->currency);
	printf("least durations: %" PRIu64 " packs are younger than what is "
	    "paid for at least; deleting or moving all now would cost %s\n",
	    c->young, price_text(c->early, text));
	restore_print(c, "restore of everything", full);
	restore_print(c, "restore of a hundredth", typical);
	for (i = 0; i < c->gens.n; i++) {
		g = &c->gens.v[i];
		hex_encode(g->id, 8, hex);
		timefmt_name(&g->rec.end, time);
		printf("%s  %s  %s/%s added %s, a month %s\n", hex, time,
		    g->rec.host, g->rec.series, tool_size(
		    g->rec.added.stored_bytes, size),
		    price_text(generation_month(c, g), text));
	}
	printf("by the prices of %s, %s (%s), in %s\n", c->p->name, c->p->date,
	    c->p->source, c->p->currency);
}

static void
groups_json(const struct census *c, const char *what, struct json *all)
{
	char text[PRICE_TEXT];
	struct json *o;
	size_t i;

	for (i = 0; i < c->n; i++) {
		o = json_object();
		json_set_str(o, "what", what);
		json_set_str(o, "class", c->group[i].class_name);
		json_set_str(o, "state", census_state(&c->group[i]));
		json_set_uint(o, "objects", c->group[i].objects);
		json_set_uint(o, "bytes", c->group[i].bytes);
		json_set_str(o, "month", price_text(census_month(c,
		    &c->group[i]), text));
		json_set(all, NULL, o);
	}
}

static struct json *
restore_json(const struct restore *r)
{
	struct json *j = json_object(), *thaw = json_object();
	char text[PRICE_TEXT];
	int i;

	json_set_uint(j, "packs", r->objects);
	json_set_uint(j, "bytes", r->bytes);
	json_set_uint(j, "cold_packs", r->cold);
	json_set_str(j, "reading", price_text(r->reading, text));
	json_set_str(j, "transfer", price_text(r->transfer, text));
	for (i = 0; i < STORE_THAW_TIERS && r->cold > 0; i++)
		if (r->offered[i])
			json_set_str(thaw, store_thaw_tier_name(
			    (enum store_thaw_tier)i), price_text(r->thaw[i],
			    text));
	json_set(j, "thaw", thaw);
	return j;
}

static struct json *
generations_json(const struct cost *c)
{
	struct json *all = json_array(), *o;
	char text[PRICE_TEXT], hex[2 * GEN_ID_SIZE + 1];
	size_t i;

	for (i = 0; i < c->gens.n; i++) {
		o = json_object();
		hex_encode(c->gens.v[i].id, sizeof(c->gens.v[i].id), hex);
		json_set_str(o, "id", hex);
		json_set_uint(o, "added",
		    c->gens.v[i].rec.added.stored_bytes);
		json_set_str(o, "month", price_text(generation_month(c,
		    &c->gens.v[i]), text));
		json_set(all, NULL, o);
	}
	return all;
}

static int
print_json(const struct cost *c, const struct restore *full,
    const struct restore *typical)
{
	struct json *j = json_object(), *all = json_array(),
	    *table = json_object();
	char text[PRICE_TEXT];

	groups_json(&c->data, "data", all);
	groups_json(&c->meta, "metadata", all);
	json_set(j, "classes", all);
	json_set_str(j, "month", price_text(price_add(c->data_month,
	    c->meta_month), text));
	json_set_uint(j, "young_packs", c->young);
	json_set_str(j, "early", price_text(c->early, text));
	json_set(j, "restore", restore_json(full));
	json_set(j, "restore_hundredth", restore_json(typical));
	json_set(j, "generations", generations_json(c));
	json_set_str(j, "currency", c->p->currency);
	json_set_str(table, "name", c->p->name);
	json_set_str(table, "date", c->p->date);
	json_set_str(table, "source", c->p->source);
	json_set(j, "prices", table);
	tool_json_store(c->t, j);
	return tool_exit(tool_print_json(j));
}

static int
show(struct cost *c)
{
	struct restore full, typical;
	int status = EXIT_DONE, err = take(c);

	if (err == 0) {
		restore_reckon(c, 1, &full);
		restore_reckon(c, TYPICAL, &typical);
		if (c->t->json)
			status = print_json(c, &full, &typical);
		else
			print_people(c, &full, &typical);
	}
	generation_list_release(&c->gens);
	return err != 0 ? tool_exit(err) : status;
}

static int
run(struct tool *t, int argc, char **argv)
{
	struct cost c = { .t = t };
	int status;

	while (tool_option(t, argc, argv, "", options) != -1)
		return tool_usage_status(t);
	if (optind < argc)
		return tool_usage(t, "unexpected '%s'", argv[optind]);
	status = tool_open(t);
	if (status != 0)
		return status;
	c.p = t->price;
	if (c.p == NULL) {
		log_err(0, "nobody knows what '%s' asks for; %s",
		    store_url(repo_store(t->repo)), store_local_path(
		    repo_store(t->repo)) != NULL ? "a directory has no prices"
		    : "name its prices with --prices FILE");
		return EXIT_FAILED;
	}
	return show(&c);
}

const struct command command_cost = { "cost", run, "",
	"what the repository costs, and what restores would",
	"Estimates from one listing and a price table: a month of storage by "
	"class, what\nis still to be paid for packs younger than their class "
	"allows, what restoring\neverything and a hundredth of it would take, with "
	"thaws of each speed, and what\neach generation added. A thaw is reckoned "
	"for 2 days. The table's name, date and\nsource stand below; --prices names "
	"another.\n" };
