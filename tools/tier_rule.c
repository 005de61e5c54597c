/* SPDX-License-Identifier: Apache-2.0 */
/* `firn tier rule`, and how lifecycle rules are shown. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "tools/cmd_tier.h"

/* In the words of a warning: what another's rule does here. */
static void
harm_print(const struct store_rule *r)
{
	if (r->expires)
		log_warn(0, "the bucket's lifecycle rule '%s' deletes objects "
		    "of this repository: backups will be lost; change that "
		    "rule", r->id);
	if (r->freezes[0] != '\0')
		log_warn(0, "the bucket's lifecycle rule '%s' moves metadata "
		    "of this repository to %s: nothing can be listed or "
		    "backed up then; restrict that rule to data/", r->id,
		    r->freezes);
}

void
tier_rule_print(const struct store_lifecycle *l)
{
	unsigned i;

	if (l->set)
		printf("Lifecycle rule: data packs go to %s after %u days.\n",
		    l->class_name, l->days);
	else
		printf("No lifecycle rule moves data packs.\n");
	fflush(stdout);
	for (i = 0; i < l->nharmful && i < STORE_RULES_HARMFUL; i++)
		harm_print(&l->harmful[i]);
}

void
tier_rule_json(const struct store_lifecycle *l, struct json *j)
{
	struct json *o, *all = json_array();
	unsigned i;

	if (l->set) {
		o = json_object();
		json_set_str(o, "class", l->class_name);
		json_set_uint(o, "days", l->days);
		json_set(j, "rule", o);
	}
	json_set_uint(j, "other_rules", l->others);
	for (i = 0; i < l->nharmful && i < STORE_RULES_HARMFUL; i++) {
		o = json_object();
		json_set_bytes(o, "id", l->harmful[i].id,
		    strlen(l->harmful[i].id));
		json_set_bool(o, "deletes", l->harmful[i].expires);
		if (l->harmful[i].freezes[0] != '\0')
			json_set_str(o, "archives", l->harmful[i].freezes);
		json_set(all, NULL, o);
	}
	json_set(j, "harmful_rules", all);
}

/* Rules only ever move downwards; a class that is none of S3's moves as far as
 * we know. */
static int
moves(const char *from, const char *to)
{
	static const char *const down[] = { "STANDARD", "STANDARD_IA",
	    "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER",
	    "DEEP_ARCHIVE" };
	size_t i, n = sizeof(down) / sizeof(down[0]), f = n, t = n;

	for (i = 0; i < n; i++) {
		if (strcmp(down[i], from) == 0)
			f = i;
		if (strcmp(down[i], to) == 0)
			t = i;
	}
	return f == n || t == n ? strcmp(from, to) != 0 : f < t;
}

static void
quote_cost(const struct price_table *p, const char *class_name, uint64_t n,
    uint64_t early)
{
	char sum[PRICE_TEXT], a[PRICE_TEXT], b[PRICE_TEXT];
	uint64_t moving = price_count(census_class(p, class_name)->transition,
	    n);

	log_info("estimated cost of moving those: %s %s (transitions %s, least "
	    "durations that will not have passed %s), by the prices of %s, %s",
	    price_text(price_add(moving, early), sum), p->currency,
	    price_text(moving, a), price_text(early, b), p->name, p->date);
}

/* What the rule will cost for the packs that are there, archived ones too:
 * each goes when it is so old, or at once. */
static int
quote(struct tier_run *r, const char *class_name, unsigned days)
{
	const struct price_table *p = r->t->price;
	struct census *c = &r->census;
	uint64_t n = 0, cold = 0, early = 0;
	size_t i;
	int err;

	c->prices = p;
	c->least_age = days;
	err = census_take(c, repo_store(r->t->repo), "data/");
	if (err != 0)
		return err;
	for (i = 0; i < c->n; i++)
		if (moves(c->group[i].class_name, class_name)) {
			n += c->group[i].objects;
			early = price_add(early, c->group[i].early);
			if (c->group[i].state != STORE_HOT)
				cold += c->group[i].objects;
		}
	if (r->t->quiet || r->t->json)
		return 0;
	log_info("S3 will move %llu packs that are there (%llu of them "
	    "archived) to %s, and new ones, when they are %u days old",
	    (unsigned long long)n, (unsigned long long)cold, class_name, days);
	if (p != NULL)
		quote_cost(p, class_name, n, early);
	return 0;
}

static int
print_result(struct tier_run *r, const struct store_lifecycle *l)
{
	struct json *j;

	if (!r->t->json) {
		if (!r->t->quiet)
			tier_rule_print(l);
		return EXIT_DONE;
	}
	j = json_object();
	tier_rule_json(l, j);
	tool_json_store(r->t, j);
	return tool_exit(tool_print_json(j));
}

int
tier_rule(struct tier_run *r, const char *class_name, const char *days)
{
	struct store *s = repo_store(r->t->repo);
	struct store_lifecycle l;
	uint64_t n = 0;
	int status, err;

	status = class_name != NULL ? tier_class(r, class_name) : 0;
	if (status == 0 && days != NULL && tool_parse_uint(days, 36500, &n) !=
	    0)
		status = tool_usage(r->t, "'%s': want days", days);
	if (status == 0 && class_name != NULL) {
		err = quote(r, class_name, (unsigned)n);
		status = tool_exit(err);
		if (status == 0 && !r->dry_run)
			status = tool_agree(r->t, r->yes, "moving packs is paid "
			    "for");
	}
	if (status != 0)
		return status;
	err = r->dry_run ? store_lifecycle_get(s, &l) :
	    store_lifecycle_set(s, class_name, (unsigned)n, &l);
	if (err == -EOPNOTSUPP && r->dry_run)
		log_err(err, "'%s' is no bucket", store_url(s));
	return err != 0 ? tool_exit(err) : print_result(r, &l);
}
