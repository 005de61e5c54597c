/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of files as extended attributes.  They are not listed: programs
 * that copy attributes would ask the store for each file, and store them on
 * the copy, where they mean nothing.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/timefmt.h"
#include "fs/cold_internal.h"
#include "fs/cold_known.h"
#include "fs/resolve.h"
#include "repo/thaw_plan.h"

enum attr { ATTR_TIER, ATTR_BYTES, ATTR_QUOTE, ATTRS };

static const char *const names[] = { "user.firn.tier", "user.firn.cold-bytes",
    "user.firn.thaw-quote" };

/* The packs of a node and what is known of them. */
static int
plan_node(struct firnfs *fs, uint64_t node, struct thaw_plan *plan)
{
	struct tree_pos pos = TREE_POS_INIT;
	struct vnode_info info;
	struct dir_rec dir;
	int err;

	if (node_dir(node) == 0) {
		if (!vtree_info(fs->vtree, (uint32_t)node, &info) ||
		    info.kind != VNODE_GEN)
			return -FIRN_EMISSING;		/* ENODATA */
		err = thaw_plan_path(plan, fs->tree, info.gen->root, "");
	} else {
		err = resolve_entry(fs, node, &pos, &dir);
		if (err != 0)
			return err;
		err = thaw_plan_entry(plan, fs->tree, tree_entry(&pos));
		tree_pos_release(fs->tree, &pos);
	}
	if (err == 0)
		err = cold_known_look(fs->cold->known, fs->repo,
		    thaw_plan_packs(plan));
	return err == 0 ? thaw_plan_choose(plan) : err;
}

/* hot, cold, thawing, or "thawed until TIME"; of several packs the worst, and
 * of those that are thawed the first to end. */
static void
tier_text(const struct packset *s, const struct thaw_quote *q, struct buf *out)
{
	struct timespec ends = { 0, 0 };
	char text[TIMEFMT_SIZE];
	size_t i;

	for (i = 0; i < s->n; i++)
		if ((s->v[i].flags & PACK_NEEDED) &&
		    s->v[i].state == STORE_THAWED && s->v[i].expires != 0 &&
		    (ends.tv_sec == 0 || s->v[i].expires < ends.tv_sec))
			ends.tv_sec = s->v[i].expires;
	timefmt_iso(&ends, text);
	if (q->need[THAW_GONE].packs > 0)
		buf_printf(out, "missing");
	else if (q->need[THAW_ASK].packs > 0)
		buf_printf(out, "cold");
	else if (q->need[THAW_RUNNING].packs + q->need[THAW_HASTEN].packs > 0)
		buf_printf(out, "thawing");
	else if (ends.tv_sec != 0)
		buf_printf(out, "thawed until %s", text);
	else
		buf_printf(out, "hot");
}

/* "standard 0.0014 USD 12 h, bulk 0.0002 USD 48 h" */
static void
quote_text(struct firnfs *fs, const struct thaw_quote *q, struct buf *out)
{
	const struct thaw_quote_tier *t;
	char sum[PRICE_TEXT];
	int i;

	if (q->need[THAW_ASK].packs + q->need[THAW_HASTEN].packs == 0) {
		buf_printf(out, "nothing to be thawed");
		return;
	}
	for (i = 0; i < STORE_THAW_TIERS; i++) {
		t = &q->tier[i];
		if (!t->offered)
			continue;
		buf_printf(out, "%s%s ", out->len > 0 ? ", " : "",
		    store_thaw_tier_name((enum store_thaw_tier)i));
		if (q->priced)
			buf_printf(out, "%s %s ", price_text(t->sum, sum),
			    fs->price->currency);
		if (t->seconds >= 3600)
			buf_printf(out, "%u h", t->seconds / 3600);
		else
			buf_printf(out, "%u min", t->seconds / 60);
	}
}

static void
value(struct firnfs *fs, struct packset *s, enum attr a, struct buf *out)
{
	/* What is thawed needs nothing now. */
	struct thaw_wish wish = { .tier = fs->opt->thaw_tier,
	    .days = fs->opt->thaw_days, .once = 1 };
	struct thaw_quote q;

	thaw_quote(s, fs->price, &wish, time(NULL), &q);
	if (a == ATTR_TIER)
		tier_text(s, &q, out);
	else if (a == ATTR_QUOTE)
		quote_text(fs, &q, out);
	else
		buf_printf(out, "%llu", (unsigned long long)
		    (q.need[THAW_ASK].bytes + q.need[THAW_RUNNING].bytes +
		    q.need[THAW_HASTEN].bytes));
}

int
cold_xattr(struct firnfs *fs, uint64_t node, const char *name,
    struct buf *out)
{
	struct thaw_plan *plan = NULL;
	int a, err;

	for (a = 0; a < ATTRS && strcmp(name, names[a]) != 0; a++)
		continue;
	if (a == ATTRS)
		return 0;
	err = thaw_plan_new(fs->repo, &fs->cold->ending, &plan);
	if (err == 0)
		err = plan_node(fs, node, plan);
	if (err == 0)
		value(fs, thaw_plan_packs(plan), (enum attr)a, out);
	thaw_plan_free(plan);
	if (err == -FIRN_EMISSING && node_dir(node) == 0)
		return 0;		/* not of a generation: ENODATA */
	return err == 0 ? 1 : err;
}
