/* SPDX-License-Identifier: Apache-2.0 */
/* What a command asked of the store, and what that may have cost. */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "tools/tool.h"

static struct store *
store_of(const struct tool *t)
{
	return t->repo != NULL ? repo_store(t->repo) : t->store;
}

/* The file that was named is read also where it says nothing of the store. */
static int
prices_load(struct tool *t)
{
	int ret;

	if (t->prices == NULL || store_local_path(store_of(t)) == NULL)
		return price_for(store_of(t), t->prices, t->price);
	ret = price_load(t->prices, t->price);
	return ret < 0 ? ret : 0;
}

int
tool_prices(struct tool *t)
{
	int ret;

	if (t->price != NULL)
		return 0;
	t->price = malloc(sizeof(*t->price));
	if (t->price == NULL)
		return EXIT_FAILED;
	ret = prices_load(t);
	if (ret == 1)
		return 0;
	free(t->price);
	t->price = NULL;
	return ret < 0 ? EXIT_USAGE : 0;
}

/* Nearly all that is put is data, so the class of that counts for all; who puts
 * nothing has not asked for the setting that counts, so it is init's. */
static void
reckon(const struct tool *t, const struct store_counters *c,
    struct price_run *cost)
{
	const char *tier = store_tier(store_of(t));
	const struct price_class *class = NULL;

	if (tier == NULL && t->repo != NULL)
		tier = repo_config(t->repo)->data_class;
	if (tier != NULL && tier[0] != '\0')
		class = price_find(t->price, tier);
	price_run(t->price, class != NULL ? class : price_standard(t->price),
	    c, cost);
}

static struct json *
cost_json(const struct tool *t, const struct store_counters *c)
{
	struct json *j = json_object(), *table = json_object();
	char text[PRICE_TEXT];
	struct price_run cost;

	reckon(t, c, &cost);
	json_set_str(j, "currency", t->price->currency);
	json_set_str(j, "requests", price_text(cost.requests, text));
	json_set_str(j, "transfer", price_text(cost.transfer, text));
	json_set_str(j, "total", price_text(price_add(cost.requests,
	    cost.transfer), text));
	json_set_str(table, "name", t->price->name);
	json_set_str(table, "date", t->price->date);
	json_set(j, "prices", table);
	return j;
}

void
tool_json_store(struct tool *t, struct json *summary)
{
	struct json *j, *requests, *errors;
	struct store_counters c;
	int v;

	if (store_of(t) == NULL)
		return;
	store_count(store_of(t), &c);
	j = json_object();
	requests = json_object();
	errors = json_object();
	for (v = 0; v < STORE_VERBS; v++) {
		json_set_uint(requests, store_verb_name(v), c.requests[v]);
		json_set_uint(errors, store_verb_name(v), c.errors[v]);
	}
	json_set(j, "requests", requests);
	json_set(j, "errors", errors);
	json_set_uint(j, "retries", c.retries);
	json_set_uint(j, "bytes_in", c.bytes_in);
	json_set_uint(j, "bytes_out", c.bytes_out);
	if (t->price != NULL)
		json_set(j, "cost", cost_json(t, &c));
	json_set(summary, "store", j);
}

int
tool_json_tail(struct tool *t)
{
	struct json *j;

	if (!t->json)
		return 0;
	j = json_object();
	tool_json_store(t, j);
	return tool_print_json(j);
}

static void
print_cost(const struct tool *t, const struct store_counters *c)
{
	char total[PRICE_TEXT], requests[PRICE_TEXT], transfer[PRICE_TEXT];
	struct price_run cost;

	reckon(t, c, &cost);
	log_info("estimated cost: %s %s (requests %s, transfer over the "
	    "Internet %s), by the prices of %s, %s",
	    price_text(price_add(cost.requests, cost.transfer), total),
	    t->price->currency, price_text(cost.requests, requests),
	    price_text(cost.transfer, transfer), t->price->name,
	    t->price->date);
}

void
tool_print_store(struct tool *t)
{
	char in[16], out[16];
	struct buf b = BUF_INIT(1024);
	struct store_counters c;
	uint64_t errors = 0;
	int v;

	if (store_of(t) == NULL)
		return;
	store_count(store_of(t), &c);
	for (v = 0; v < STORE_VERBS; v++) {
		errors += c.errors[v];
		if (v > STORE_DEL && c.requests[v] == 0)
			continue;	/* rare ones */
		buf_printf(&b, "%s%llu %s", v > 0 ? ", " : "",
		    (unsigned long long)c.requests[v], store_verb_name(v));
	}
	if (buf_cstr(&b) != NULL)
		log_info("store: %s; %llu errors, %llu retries; %s in, %s out",
		    (char *)b.data, (unsigned long long)errors,
		    (unsigned long long)c.retries, tool_size(c.bytes_in, in),
		    tool_size(c.bytes_out, out));
	buf_release(&b);
	if (t->price != NULL)
		print_cost(t, &c);
}
