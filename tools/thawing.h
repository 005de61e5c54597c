/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thaw as a person sees it, for `firn thaw` and `firn restore --thaw`: what
 * it takes and costs, may it, ask the store, follow.
 *
 * begin, want (several times), quote, agree, ask, then round after round; end
 * in any case.  Those that return a status return 0 or an exit status; what
 * went wrong was said.
 */
#ifndef FIRN_TOOLS_THAWING_H
#define FIRN_TOOLS_THAWING_H

#include "repo/thaw_job.h"
#include "repo/thaw_plan.h"
#include "repo/thaw_quote.h"
#include "repo/tree_read.h"
#include "tools/tool.h"

#define THAWING_DAYS	2
#define THAWING_POLL	30	/* seconds */

struct thawing {
	struct tool *t;
	struct thaw_wish wish;
	uint64_t budget;		/* nano; UINT64_MAX: none was given */
	int yes;
	unsigned poll;			/* seconds; first interval of looks */
	/* The parts, and what was found: */
	struct reader *rd;
	struct tree *tree;
	struct thaw_plan *plan;		/* NULL: of a job, without a plan */
	struct packset *set;
	struct thaw_job job;
	int owner;			/* its lock, repo/thaw_owner.h */
	struct thaw_quote quote;
	uint64_t before, had;		/* nano; what this command spent for
					   other jobs, others for this one */
	int agreed;			/* somebody said yes ... */
	uint64_t limit;			/* ... to job.spent up to this */
	int looked;			/* the states are known */
	time_t begun;			/* monotonic: following */
	int warned;
	int aside;			/* beside other work: nothing is drawn,
					   and nothing waited for */
	struct progress *progress;
};
#define THAWING_INIT(tool) { .t = (tool), .budget = UINT64_MAX, \
	.poll = THAWING_POLL, .wish = { .tier = STORE_THAW_STANDARD, \
	.days = THAWING_DAYS }, .owner = -1, .job = { .budget = UINT64_MAX } }

/* Codes of options; a command has them in its table. */
enum { THAWING_TIER = 512, THAWING_DAYS_OPT, THAWING_BUDGET, THAWING_YES,
    THAWING_POLL_OPT, THAWING_HASTEN };
/* 1 it was one of these, 0 not; or -1 with a message. */
int thawing_option(struct thawing *w, int c, const char *arg);

int thawing_begin(struct thawing *w);
/* What lies at a path of a generation, "" all of it: status. */
int thawing_want(struct thawing *w, const struct generation *g,
    const char *path);
/* Instead of begin and want: what a job wants, whose owner's lock we hold. */
int thawing_take_job(struct thawing *w, struct thaw_job *j, int owner);
void thawing_end(struct thawing *w);

/* Look up states, choose, reckon: status. */
int thawing_quote(struct thawing *w);
/* Show it, as a table or as a JSON line. */
void thawing_show(const struct thawing *w, const char *what);
/* A member of how many packs and bytes. */
struct json;
void thawing_json_packs(struct json *j, const char *name,
    const struct thaw_count *c);
/* Anything to be asked for? */
int thawing_asks(const struct thawing *w);
/* Is it within the budget, offered, and agreed to, now or when the job was
 * noted: status. */
int thawing_agree(struct thawing *w);
/* Nano that this command has spent: of all that the store accepted. */
uint64_t thawing_spent(const struct thawing *w);
/* Note the job and ask the store, for no more than was agreed to: what comes
 * on top by then is shown and asked about first; status.  Nothing may be left
 * to ask for. */
int thawing_ask(struct thawing *w, const char *what);
/* The same, and the questions before it, for packs that came into the plan
 * after thawing_ask(): status. */
int thawing_more(struct thawing *w, const char *what);
/* Packs that are needed and cannot be read yet; those that are gone apart. */
void thawing_left(const struct thawing *w, struct thaw_count *left,
    struct thaw_count *gone);
/* Wait for some time, look again; within what was agreed to, keep what others
 * wait for from ending, and ask again for what ended; status.  A look that
 * fails for other reasons than a missing permission is no end. */
int thawing_round(struct thawing *w);
/* The same without waiting: status. */
int thawing_look(struct thawing *w);
/* Seconds until the next. */
unsigned thawing_interval(struct thawing *w);
/* The job is done: forget it, but for a count of what a mount has spent. */
void thawing_done(struct thawing *w);

/* Waits so many seconds, or until a signal: 0, or EXIT_INTERRUPTED. */
int thawing_sleep(const struct thawing *w, unsigned seconds);

#endif
