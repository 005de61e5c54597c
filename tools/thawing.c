/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a thaw; how it is shown is in thawing_show.c. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/reader.h"
#include "repo/thaw_look.h"
#include "repo/thaw_owner.h"
#include "repo/thaw_send.h"
#include "tools/thawing.h"

#define TREE_MEMORY	(16u << 20)
#define KEEP_SECONDS	3600	/* a copy that others wait for lasts at least */

static time_t
monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int
thawing_option(struct thawing *w, int c, const char *arg)
{
	uint64_t n;

	switch (c) {
	case THAWING_TIER:
		if (store_thaw_tier_parse(arg, &w->wish.tier) == 0)
			return 1;
		tool_usage(w->t, "--tier '%s': want expedited, standard or "
		    "bulk", arg);
		return -1;
	case THAWING_DAYS_OPT:
		if (tool_parse_uint(arg, THAW_DAYS_MAX, &n) == 0 && n > 0) {
			w->wish.days = (unsigned)n;
			return 1;
		}
		tool_usage(w->t, "--days '%s': want a number from 1 to %d",
		    arg, THAW_DAYS_MAX);
		return -1;
	case THAWING_BUDGET:
		if (price_parse(arg, &w->budget) == 0)
			return 1;
		tool_usage(w->t, "--budget '%s': want an amount, such as 2.50",
		    arg);
		return -1;
	case THAWING_POLL_OPT:
		if (tool_parse_uint(arg, 86400, &n) == 0 && n > 0) {
			w->poll = (unsigned)n;
			return 1;
		}
		tool_usage(w->t, "--poll '%s': want seconds, 1 to 86400", arg);
		return -1;
	case THAWING_YES:
		w->yes = 1;
		return 1;
	case THAWING_HASTEN:
		w->wish.hasten = 1;
		return 1;
	}
	return 0;
}

int
thawing_begin(struct thawing *w)
{
	int err;

	err = progress_begin(w->t, &w->progress);
	if (err == 0)
		err = reader_new(w->t->repo, NULL, &w->rd);
	if (err == 0)
		err = tree_new(w->rd, TREE_MEMORY, &w->tree);
	if (err == 0)
		err = thaw_plan_new(w->t->repo, &tool_stop, &w->plan);
	if (err == 0)
		w->set = thaw_plan_packs(w->plan);
	return tool_exit(err);
}

int
thawing_take_job(struct thawing *w, struct thaw_job *j, int owner)
{
	w->job = *j;
	packset_init(&j->packs);
	w->wish = w->job.wish;
	w->set = &w->job.packs;
	/* That of a mount is for the next mount to change. */
	if (w->budget != UINT64_MAX && !thaw_owner_counts(&w->job))
		w->job.budget = w->budget;
	w->owner = owner;
	return tool_exit(progress_begin(w->t, &w->progress));
}

void
thawing_end(struct thawing *w)
{
	progress_end(w->progress);
	thaw_owner_drop(w->t->repo, w->job.name, w->owner);
	thaw_job_release(&w->job);
	thaw_plan_free(w->plan);
	tree_free(w->tree);
	reader_free(w->rd);
}

int
thawing_want(struct thawing *w, const struct generation *g, const char *path)
{
	int err;

	err = thaw_plan_path(w->plan, w->tree, g->rec.root, path);
	if (err == -ENOENT || err == -ENOTDIR)
		log_err(err, "cannot find '%s' in the generation", path);
	return tool_exit(err);
}

static int
look(struct thawing *w, int pending)
{
	int err;

	err = thaw_look(w->t->repo, w->set, pending);
	if (err == 0 && w->plan != NULL && !pending)
		err = thaw_plan_choose(w->plan);
	return err;
}

static void
reckon(struct thawing *w)
{
	thaw_quote(w->set, w->t->price, &w->wish, time(NULL), &w->quote);
}

int
thawing_quote(struct thawing *w)
{
	int err;

	err = look(w, 0);
	if (err == 0)
		err = thaw_job_recall(w->t->repo, w->set);
	if (err == 0) {
		thaw_job_settle(&w->job, w->set);
		w->had = thaw_job_spent(&w->job);
		reckon(w);
	}
	w->looked = err == 0;
	return tool_exit(err);
}

int
thawing_asks(const struct thawing *w)
{
	struct thaw_quote q;

	thaw_quote(w->set, NULL, &w->wish, time(NULL), &q);
	return q.need[THAW_ASK].packs + q.need[THAW_RENEW].packs +
	    q.need[THAW_HASTEN].packs > 0;
}

uint64_t
thawing_spent(const struct thawing *w)
{
	uint64_t job = thaw_job_spent(&w->job);

	return price_add(w->before, job > w->had ? job - w->had : 0);
}

/* The command's budget is for all it does, that of a job for the job. */
static int
is_over(const struct thawing *w, uint64_t sum)
{
	if (w->budget == UINT64_MAX && w->job.budget == UINT64_MAX)
		return 0;
	return !w->quote.priced || price_add(thawing_spent(w), sum) > w->budget ||
	    price_add(thaw_job_spent(&w->job), sum) > w->job.budget;
}

/* Would this, with what was spent, go over the budget: status. */
static int
budget_check(const struct thawing *w, uint64_t sum)
{
	char have[PRICE_TEXT], want[PRICE_TEXT];
	const char *currency;
	uint64_t budget;

	if (!is_over(w, sum))
		return 0;
	if (!w->quote.priced) {
		log_err(0, "cannot keep to --budget: nobody knows what this "
		    "store asks for a thaw; name its prices with --prices "
		    "FILE");
		return EXIT_FAILED;
	}
	currency = w->t->price->currency;
	if (price_add(thawing_spent(w), sum) > w->budget) {
		sum = price_add(thawing_spent(w), sum);
		budget = w->budget;
	} else {
		sum = price_add(thaw_job_spent(&w->job), sum);
		budget = w->job.budget;
	}
	log_err(0, "the thaw would cost %s %s and the budget is %s; nothing "
	    "more was asked for: try --tier bulk, fewer --days or fewer PATHs",
	    price_text(sum, want), currency, price_text(budget, have));
	return EXIT_FAILED;
}

/* Did who made the job agree to this?  Not to asking again for copies that may
 * have ended since. */
static int
was_agreed(const struct thawing *w, uint64_t sum)
{
	const struct thaw_job *j = &w->job;

	return w->plan == NULL && w->quote.priced && j->agreed > 0 &&
	    price_add(thaw_job_spent(j), sum) <= j->agreed &&
	    time(NULL) - j->made < (time_t)j->wish.days * 86400;
}

/* Where nobody is asked any more: may so much be spent? */
static int
may_spend(const struct thawing *w, uint64_t sum)
{
	if (is_over(w, sum))
		return 0;
	return w->yes || (w->agreed && w->quote.priced &&
	    price_add(thaw_job_spent(&w->job), sum) <= w->limit);
}

int
thawing_agree(struct thawing *w)
{
	const struct thaw_quote_tier *q = &w->quote.tier[w->wish.tier];
	int status;

	if (!q->offered) {
		log_err(0, "not all of these packs can be thawed at the tier "
		    "%s, which their storage class does not have; give "
		    "another --tier", store_thaw_tier_name(w->wish.tier));
		return EXIT_FAILED;
	}
	status = budget_check(w, q->sum);
	if (status != 0)
		return status;
	if (was_agreed(w, q->sum)) {
		w->limit = w->job.agreed;
	} else {
		status = tool_agree(w->t, w->yes, "a thaw is paid for");
		if (status != 0)
			return status;
		w->limit = price_add(thaw_job_spent(&w->job), q->sum);
		w->job.made = time(NULL);
	}
	w->agreed = 1;
	return 0;
}

/* --- asking ------------------------------------------------------------- */

static void
on_sent(void *ctx, uint64_t done, uint64_t of)
{
	struct thawing *w = ctx;

	if (!w->aside && progress_due(w->progress))
		progress_draw(w->progress, "asked for %llu of %llu packs",
		    (unsigned long long)done, (unsigned long long)of);
}

/* The job as a file: what is needed, of the plan. */
static int
job_note(struct thawing *w, const char *what)
{
	const struct pack_info *p;
	uint64_t spent = w->job.spent;
	size_t i, n;
	int ret = 0;

	if (w->plan != NULL && w->job.name[0] == '\0') {
		thaw_job_release(&w->job);
		thaw_job_init(&w->job, &w->wish, what);
		w->job.spent = spent;
		w->job.budget = w->budget;
		ret = thaw_owner_take(w->t->repo, &w->job, &w->owner);
		if (ret != 0)
			return ret;
	}
	w->job.agreed = w->limit;
	if (w->plan == NULL)
		return thaw_job_save(w->t->repo, &w->job);
	for (i = 0; i < w->set->n && ret >= 0; i++) {
		p = &w->set->v[i];
		if (!(p->flags & PACK_NEEDED))
			continue;
		ret = packset_add(&w->job.packs, p->id, p->size, &n);
		if (ret == 1)
			w->job.packs.v[n].flags = PACK_NEEDED;
	}
	return ret < 0 ? ret : thaw_job_save(w->t->repo, &w->job);
}

/* That the job's spent may come to: what was agreed to, and the budgets. */
static uint64_t
send_limit(const struct thawing *w)
{
	uint64_t limit = w->yes ? UINT64_MAX : w->limit, left;

	if (w->job.budget < limit)
		limit = w->job.budget;
	if (w->budget == UINT64_MAX)
		return limit;
	left = w->budget > w->before ? w->budget - w->before : 0;
	left = price_add(w->had, left);
	return left < limit ? left : limit;
}

static int
send_once(struct thawing *w, struct thaw_sent *sent)
{
	struct thaw_send_conf conf = { .wish = w->wish, .job = &w->job,
	    .price = w->t->price, .limit = send_limit(w), .stop = &tool_stop,
	    .progress = on_sent, .ctx = w };
	int err, ret = 0;

	err = thaw_send(w->t->repo, w->set, &conf, sent);
	if (!w->aside)
		progress_clear(w->progress);
	reckon(w);
	if (!sent->cancelled && thaw_job_exists(w->t->repo, &w->job))
		ret = thaw_job_save(w->t->repo, &w->job);
	if (sent->cancelled) {
		log_warn(0, "the thaw was cancelled by another command; what "
		    "was asked for until then goes on");
		return -ECANCELED;
	}
	if (err == 0 && sent->failed > 0)
		err = log_err(-EIO, "%llu packs could not be asked for; run "
		    "the same command again for those",
		    (unsigned long long)sent->failed);
	return err != 0 ? err : ret;
}

/* Expedited retrievals are refused for now: the rest at the next tier. */
static void
slower(struct thawing *w)
{
	char sum[PRICE_TEXT];

	w->wish.tier = w->job.wish.tier = STORE_THAW_STANDARD;
	reckon(w);
	price_text(w->quote.tier[w->wish.tier].sum, sum);
	log_warn(0, "S3 has no capacity for expedited retrievals now; asking "
	    "for the rest at the tier standard (%s%s%s)",
	    w->quote.priced ? sum : "price unknown",
	    w->quote.priced ? " " : "",
	    w->quote.priced ? w->t->price->currency : "");
}

/* If the budget allows it. */
static int
fall_back(struct thawing *w, struct thaw_sent *sent)
{
	int status;

	slower(w);
	status = budget_check(w, w->quote.tier[w->wish.tier].sum);
	if (status != 0)
		return status;
	thaw_job_save(w->t->repo, &w->job);
	return tool_exit(send_once(w, sent));
}

/* More is to be asked for than was seen when somebody agreed, as copies ended
 * since: status, and that is shown and agreed to. */
static int
agree_again(struct thawing *w, const char *what)
{
	int err, status;

	err = thaw_look(w->t->repo, w->set, 1);
	if (err != 0)
		return tool_exit(err);
	reckon(w);
	if (!thawing_asks(w))
		return 0;
	log_warn(0, "copies have ended meanwhile, so more is to be asked for "
	    "than was shown; it was not asked for yet");
	thawing_show(w, what);
	status = thawing_agree(w);
	if (status != 0)
		return status;
	w->job.agreed = w->limit;
	return tool_exit(thaw_job_save(w->t->repo, &w->job));
}

int
thawing_ask(struct thawing *w, const char *what)
{
	struct thaw_sent sent;
	int err, status;

	if (w->begun == 0)
		w->begun = monotonic();
	err = job_note(w, what);
	if (err != 0)
		return tool_exit(err);
	do {
		err = send_once(w, &sent);
		status = tool_exit(err);
		if (err == 0 && sent.no_capacity)
			status = fall_back(w, &sent);
		if (status == 0 && sent.over)
			status = agree_again(w, what);
	} while (status == 0 && sent.over);
	if (err == -EACCES)
		log_err(0, "thaws need the permission s3:RestoreObject; see "
		    "firn-policy(7)");
	return status;
}

int
thawing_more(struct thawing *w, const char *what)
{
	char sum[PRICE_TEXT];
	int err, status;

	err = thaw_look(w->t->repo, w->set, 0);
	if (err == 0)
		err = thaw_job_recall(w->t->repo, w->set);
	if (err != 0)
		return tool_exit(err);
	reckon(w);
	if (!thawing_asks(w))
		return 0;
	price_text(w->quote.tier[w->wish.tier].sum, sum);
	log_warn(0, "copies have ended, or the disk cache no longer has all "
	    "that was to be read from it; asking for what is archived of that "
	    "(%s%s%s)",
	    w->quote.priced ? sum : "price unknown",
	    w->quote.priced ? " " : "",
	    w->quote.priced ? w->t->price->currency : "");
	status = thawing_agree(w);
	return status != 0 ? status : thawing_ask(w, what);
}

/* --- following ---------------------------------------------------------- */

void
thawing_left(const struct thawing *w, struct thaw_count *left,
    struct thaw_count *gone)
{
	const struct pack_info *p;
	struct thaw_count *c;
	size_t i;

	memset(left, 0, sizeof(*left));
	memset(gone, 0, sizeof(*gone));
	for (i = 0; i < w->set->n; i++) {
		p = &w->set->v[i];
		if (!(p->flags & PACK_NEEDED) || pack_is_readable(p))
			continue;
		c = p->flags & (PACK_SEEN | PACK_UNSURE) ? left : gone;
		c->packs++;
		c->bytes += p->size;
	}
}

int
thawing_sleep(const struct thawing *w, unsigned seconds)
{
	const struct timespec second = { 1, 0 };
	struct thaw_count left, gone;
	char size[16];

	for (; seconds > 0 && !tool_stop; seconds--) {
		if (progress_due(w->progress)) {
			thawing_left(w, &left, &gone);
			progress_draw(w->progress, "waiting for %llu packs, "
			    "%s; next look in %u s",
			    (unsigned long long)left.packs,
			    tool_size(left.bytes, size), seconds);
		}
		nanosleep(&second, NULL);	/* a signal ends it */
	}
	return tool_stop ? EXIT_INTERRUPTED : 0;
}

/* It may not be asked for again: for nothing else is there to wait when all
 * that is left is archived. */
static int
refuse(struct thawing *w)
{
	const struct pack_info *p;
	uint64_t cold = 0, thawing = 0;
	size_t i;

	if (w->warned++ == 0)
		log_warn(0, "copies end before the last pack is there, and to "
		    "keep or ask for them again is more than was agreed to "
		    "or than the budget; they are not asked for");
	for (i = 0; i < w->set->n; i++) {
		p = &w->set->v[i];
		if (!(p->flags & PACK_NEEDED) || !(p->flags & PACK_SEEN))
			continue;
		cold += p->state == STORE_COLD;
		thawing += p->state == STORE_THAWING;
	}
	if (cold == 0 || thawing > 0 || w->aside)
		return 0;
	log_err(0, "%llu packs are archived again; run the same command again "
	    "for those", (unsigned long long)cold);
	return EXIT_FAILED;
}

unsigned
thawing_interval(struct thawing *w)
{
	if (w->begun == 0)
		w->begun = monotonic();
	return thaw_interval(w->poll, monotonic() - w->begun);
}

/* An error that the next try may not meet; it was logged. */
static int
passes(int err)
{
	return err != -EACCES && err != -ECANCELED && err != -ENOMEM &&
	    err != -EOPNOTSUPP;
}

/* Prolong copies that end before the last pack is there, and ask again for what
 * ended: as little as keeps it all readable. */
static int
keep(struct thawing *w)
{
	const struct thaw_quote_tier *q;
	struct thaw_wish wish = w->wish;
	unsigned twice = 2 * thawing_interval(w);
	struct thaw_sent sent;
	int err, status = 0;

	w->wish.keep = twice > KEEP_SECONDS ? twice : KEEP_SECONDS;
	w->wish.hasten = 0;
	if (thawing_asks(w)) {
		reckon(w);
		q = &w->quote.tier[wish.tier];
		if (may_spend(w, q->sum - q->gets)) {
			err = send_once(w, &sent);
			if (err == 0 && sent.no_capacity)
				slower(w);	/* in the next round */
			else if (!passes(err))
				status = tool_exit(err);
			wish.tier = w->wish.tier;
		} else {
			status = refuse(w);
		}
	}
	w->wish = wish;
	return status;
}

int
thawing_look(struct thawing *w)
{
	int err = thaw_look(w->t->repo, w->set, 0);

	if (err == 0)
		return keep(w);
	if (!passes(err))
		return tool_exit(err);
	log_warn(err, "cannot look how far the thaws are; trying again");
	return 0;
}

int
thawing_round(struct thawing *w)
{
	int status = thawing_sleep(w, thawing_interval(w));

	return status != 0 ? status : thawing_look(w);
}

void
thawing_done(struct thawing *w)
{
	if (!thaw_owner_counts(&w->job)) {
		thaw_job_remove(w->t->repo, w->job.name);
	} else if (thaw_job_exists(w->t->repo, &w->job)) {
		packset_release(&w->job.packs);
		thaw_job_save(w->t->repo, &w->job);
	}
}
