/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads take one pack after the other and wait for their turn, which comes
 * every 1/rate of a second; the store's window keeps fewer in flight where the
 * server wants that.
 *
 * Batches are taken in the order of the packs' ids, so that few listings show
 * one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/pool.h"
#include "repo/repo.h"
#include "repo/thaw_job.h"
#include "repo/thaw_look.h"
#include "repo/thaw_send.h"

#define THREADS_DEFAULT	16
#define NANO		1000000000l
#define JOB_LOOK	64	/* requests between looks at the job's file */
#define FAULTS_MAX	3	/* in a row, and it is the store's fault */
#define INTERVAL_MAX	900
#define GROWTH		8
#define BATCH_SECONDS	10	/* until others have a turn */
#define BATCH_PAUSE	250	/* ms, in which they take it */

/* A request of a batch. */
struct ask {
	uint32_t number;	/* of the pack */
	enum thaw_need need;
	size_t at;		/* in the order */
};

struct send {
	struct repo *repo;
	struct packset *set;
	const struct thaw_send_conf *conf;
	struct thaw_sent *out;
	uint32_t *order;		/* numbers of what may be asked for */
	size_t norder, of;
	struct ask ask[THAW_BATCH];
	time_t end;			/* monotonic: of the batch */
	pthread_mutex_t lock;		/* of all below, the set, the job and
					   *out */
	size_t nasks, next, done;
	int note;			/* descriptor of the job's, or -1 */
	uint32_t reads;			/* classes, as bits, of whose archive
					   the store reads at once */
	struct timespec turn;		/* monotonic: the next request's */
	unsigned faults;		/* in a row */
	int err;
};

unsigned
thaw_interval(unsigned first, time_t followed)
{
	uint64_t n = followed > 0 ? (uint64_t)followed / GROWTH : 0;

	if (n > INTERVAL_MAX)
		n = INTERVAL_MAX;
	return n > first ? (unsigned)n : first;
}

static int
is_stopped(const struct send *s)
{
	return s->conf->stop != NULL && *s->conf->stop != 0;
}

/* Until this request's turn. */
static void
turn_wait(struct send *s)
{
	unsigned rate = s->conf->rate > 0 ? s->conf->rate : THAW_RATE;
	struct timespec now, mine;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&s->lock);
	if (s->turn.tv_sec < now.tv_sec || (s->turn.tv_sec == now.tv_sec &&
	    s->turn.tv_nsec < now.tv_nsec))
		s->turn = now;
	mine = s->turn;
	s->turn.tv_nsec += NANO / (long)rate;
	s->turn.tv_sec += s->turn.tv_nsec / NANO;
	s->turn.tv_nsec %= NANO;
	pthread_mutex_unlock(&s->lock);
	while (!is_stopped(s) && clock_nanosleep(CLOCK_MONOTONIC,
	    TIMER_ABSTIME, &mine, NULL) == EINTR)
		continue;
}

static void
count(struct thaw_count *c, const struct pack_info *p)
{
	c->packs++;
	c->bytes += p->size;
}

/* What an answer makes of a pack; under the lock.  -errno ends all. */
static int
settle(struct send *s, struct pack_info *p, const char *name, int ret)
{
	switch (ret) {
	case 0:
		count(&s->out->asked, p);
		p->flags |= PACK_ASKED;
		p->state = STORE_THAWING;
		p->tier = (uint8_t)s->conf->wish.tier;
		p->days = (uint16_t)s->conf->wish.days;
		break;
	case 1:
		count(&s->out->renewed, p);
		p->state = STORE_THAWED;
		p->expires = 0;		/* the next look tells */
		break;
	case -EALREADY:
		s->out->running++;
		p->state = STORE_THAWING;
		break;
	case -EINVAL:		/* it is not archived, as the store sees it */
		p->state = STORE_HOT;
		break;
	case -ENOENT:
		p->flags &= ~(unsigned)PACK_SEEN;
		log_err(-FIRN_EMISSING, "cannot thaw '%s'", name);
		break;
	case -EAGAIN:
		s->out->no_capacity = 1;
		return -EAGAIN;
	case -EACCES:
	case -EOPNOTSUPP:
	case -ECANCELED:
	case -ENOMEM:
		return ret;
	default:
		s->out->failed++;
		return ++s->faults >= FAULTS_MAX ? ret : 0;
	}
	s->faults = 0;
	return 0;
}

static int
is_accounted(const struct send *s)
{
	return s->conf->job != NULL && s->conf->price != NULL;
}

/* The next pack to be asked for: 1, or 0 at the end. */
static int
take(struct send *s, struct ask *ask, struct pack_info *p)
{
	struct timespec now;
	int more;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&s->lock);
	if (s->err == 0 && is_stopped(s))
		s->err = -ECANCELED;
	if (s->err == 0 && s->conf->job != NULL && s->next % JOB_LOOK == 0 &&
	    !thaw_job_exists(s->repo, s->conf->job)) {
		s->out->cancelled = 1;
		s->err = -ECANCELED;
	}
	more = s->err == 0 && s->next < s->nasks && now.tv_sec < s->end;
	if (more) {
		*ask = s->ask[s->next++];
		*p = s->set->v[ask->number];
	}
	pthread_mutex_unlock(&s->lock);
	return more;
}

/* What a request costs when it is accepted like this. */
static uint64_t
cost(const struct send *s, const struct pack_info *p, enum thaw_need need)
{
	struct thaw_price price;

	thaw_price(s->set, p, need, s->conf->price, &s->conf->wish, time(NULL),
	    &price);
	return price_add(price_add(price.request, price.retrieval), price.copy);
}

/* Note in the job with what outcome it was asked for; not where prices do not
 * count. */
static int
account(struct send *s, const struct pack_info *p, enum thaw_need need)
{
	uint64_t nano = need == THAW_NEEDS ? 0 : cost(s, p, need);
	int err;

	if (!is_accounted(s))
		return 0;
	pthread_mutex_lock(&s->lock);
	thaw_job_paid(s->conf->job, p->id, nano);
	err = thaw_job_note(s->note, THAW_JOB_PAID, p->id, nano);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* What an answer costs; without a clear one that stays in doubt. */
static int
account_answer(struct send *s, const struct pack_info *p, enum thaw_need need,
    int ret)
{
	switch (ret) {
	case 0:
		return account(s, p, need == THAW_RENEW ? THAW_ASK : need);
	case 1:		/* the store knows better whether a copy is there */
		return account(s, p, THAW_RENEW);
	case -EALREADY:
	case -EINVAL:
	case -ENOENT:
	case -EAGAIN:
	case -EACCES:
	case -EOPNOTSUPP:
		return account(s, p, THAW_NEEDS);
	default:
		return 0;
	}
}

/* A store that thaws nothing may have nothing that has to be thawed. */
static int
thaw_or_read(struct send *s, const char *name, unsigned class, unsigned days)
{
	const uint32_t bit = 1u << class % PACKSET_CLASSES;
	struct store *store = repo_store(s->repo);
	struct log_kept why;
	int ret;

	if (__atomic_load_n(&s->reads, __ATOMIC_RELAXED) & bit)
		return -EINVAL;
	log_keep(&why);
	ret = store_thaw(store, name, s->conf->wish.tier, days);
	log_keep_end(&why);
	if (ret == -EOPNOTSUPP && store_reads_cold(store, name) == 1) {
		__atomic_fetch_or(&s->reads, bit, __ATOMIC_RELAXED);
		return -EINVAL;
	}
	return why.text[0] != '\0' ? log_plain(ret, "%s", why.text) : ret;
}

static int
ask_one(struct send *s, const struct ask *ask, const struct pack_info *p)
{
	const struct thaw_wish *w = &s->conf->wish;
	char name[STORE_NAME_MAX + 1];
	unsigned days;
	int ret, err;

	/* A copy that has ended since is dearer than what was noted: another
	 * send sees to that. */
	if (ask->need == THAW_RENEW &&
	    thaw_need(s->set, p, w, time(NULL)) == THAW_ASK) {
		__atomic_store_n(&s->out->over, 1, __ATOMIC_RELAXED);
		return account(s, p, THAW_NEEDS);
	}
	repo_pack_name(PACK_DATA, p->id, name);
	/* A running thaw is hastened for the days it has. */
	days = ask->need == THAW_HASTEN && p->days != 0 ? p->days : w->days;
	if (thaw_is_for_good(s->set, p))
		days = 0;
	ret = thaw_or_read(s, name, p->class, days);
	err = account_answer(s, p, ask->need, ret);
	pthread_mutex_lock(&s->lock);
	ret = settle(s, &s->set->v[ask->number], name, ret);
	pthread_mutex_unlock(&s->lock);
	return ret != 0 ? ret : err;
}

static void
send_run(void *ctx)
{
	struct send *s = ctx;
	struct pack_info p;
	struct ask ask;
	int err;

	while (take(s, &ask, &p)) {
		turn_wait(s);
		err = ask_one(s, &ask, &p);
		pthread_mutex_lock(&s->lock);
		/* No capacity is the least of it. */
		if (s->err == 0 || (s->err == -EAGAIN && err != 0))
			s->err = err;
		if (++s->done > s->of)
			s->of = s->done;
		if (s->conf->progress != NULL)
			s->conf->progress(s->conf->ctx, s->done, s->of);
		pthread_mutex_unlock(&s->lock);
	}
}

static int
send_asks(struct send *s)
{
	unsigned threads = s->conf->threads > 0 ? s->conf->threads :
	    THREADS_DEFAULT, i;
	struct pool *pool = NULL;
	int err;

	if (s->nasks < threads)
		threads = (unsigned)s->nasks;
	if (threads == 0)
		return 0;
	err = pool_new("firn-thaw", threads, threads, &pool);
	for (i = 0; i < threads && err == 0; i++)
		err = pool_submit(pool, send_run, s);
	pool_free(pool);	/* waits for all */
	return err;
}

/* --- batches ------------------------------------------------------------ */

static int
is_asked(enum thaw_need need)
{
	return need == THAW_ASK || need == THAW_RENEW || need == THAW_HASTEN;
}

static int
by_id(const void *a, const void *b, void *ctx)
{
	const struct packset *set = ctx;

	return memcmp(set->v[*(const uint32_t *)a].id,
	    set->v[*(const uint32_t *)b].id, OBJECT_ID_SIZE);
}

/* What may have to be asked for, by what is known until now. */
static int
order(struct send *s)
{
	const struct packset *set = s->set;
	time_t now = time(NULL);
	enum thaw_need need;
	size_t i;

	s->order = malloc((set->n + 1) * sizeof(*s->order));
	if (s->order == NULL)
		return -ENOMEM;
	for (i = 0; i < set->n; i++) {
		need = thaw_need(set, &set->v[i], &s->conf->wish, now);
		if (!(set->v[i].flags & PACK_NEEDED) || need == THAW_READY)
			continue;
		s->order[s->norder++] = (uint32_t)i;
		s->of += is_asked(need);
	}
	if (s->norder > THAW_BATCH)
		qsort_r(s->order, s->norder, sizeof(*s->order), by_id, s->set);
	return 0;
}

/* Only these of the order are PACK_NEEDED, so that no others are looked at. */
static void
hold(struct send *s, size_t from, size_t to)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < s->norder; i++) {
		p = &s->set->v[s->order[i]];
		if (i >= from && i < to)
			continue;
		p->flags &= ~(unsigned)PACK_NEEDED;
		p->flags |= PACK_LATER;
	}
}

static void
unhold(struct send *s)
{
	struct pack_info *p;
	size_t i;

	for (i = 0; i < s->norder; i++) {
		p = &s->set->v[s->order[i]];
		if (!(p->flags & PACK_LATER))
			continue;
		p->flags &= ~(unsigned)PACK_LATER;
		p->flags |= PACK_NEEDED;
	}
}

/* Who is to be asked for, by what was just looked up, as far as the limit goes;
 * the job has all of it in doubt. */
static void
choose(struct send *s, size_t from, size_t to)
{
	struct thaw_job *j = s->conf->job;
	time_t now = time(NULL);
	const struct pack_info *p;
	enum thaw_need need;
	uint64_t nano;

	s->nasks = s->next = 0;
	for (; from < to; from++) {
		p = &s->set->v[s->order[from]];
		need = thaw_need(s->set, p, &s->conf->wish, now);
		if (!is_asked(need))
			continue;
		nano = cost(s, p, need);
		if (is_accounted(s) && price_add(thaw_job_spent(j), nano) >
		    s->conf->limit) {
			s->out->over = 1;
			break;
		}
		if (is_accounted(s))
			thaw_job_asks(j, p->id, nano);
		s->ask[s->nasks++] = (struct ask){ s->order[from], need, from };
	}
}

/* What was not sent is no longer in doubt.  Where that cannot be noted, it is
 * until the next look. */
static void
take_back(struct send *s)
{
	const struct pack_info *p;
	size_t i;
	int err = 0;

	for (i = s->next; i < s->nasks && is_accounted(s); i++) {
		p = &s->set->v[s->ask[i].number];
		thaw_job_paid(s->conf->job, p->id, 0);
		if (err == 0)
			err = thaw_job_note(s->note, THAW_JOB_PAID, p->id, 0);
	}
}

/* Under the lock of this host. */
static int
send_batch(struct send *s, size_t from, size_t to)
{
	struct timespec now;
	int err;

	err = thaw_look(s->repo, s->set, 1);
	if (err == 0 && is_accounted(s)) {
		thaw_job_settle(s->conf->job, s->set);
		err = thaw_job_open(s->repo, s->conf->job, &s->note);
	}
	if (err != 0)
		return err;
	choose(s, from, to);
	if (is_accounted(s))
		err = thaw_job_note_asks(s->note, s->conf->job,
		    (unsigned)s->nasks);
	clock_gettime(CLOCK_MONOTONIC, &now);
	s->end = now.tv_sec + BATCH_SECONDS;
	if (err == 0)
		err = send_asks(s);
	take_back(s);
	if (s->note >= 0)
		close(s->note);
	s->note = -1;
	return err != 0 ? err : s->err;
}

/* One batch, from *at on, which goes past what was seen to. */
static int
batch(struct send *s, size_t *at)
{
	size_t from = *at, to = s->norder - from > THAW_BATCH ?
	    from + THAW_BATCH : s->norder;
	int fd, err;

	err = thaw_lock_within(s->repo, s->conf->patience, s->conf->stop,
	    &fd);
	if (err != 0)
		return err;
	hold(s, from, to);
	s->nasks = s->next = 0;
	err = send_batch(s, from, to);
	unhold(s);
	thaw_unlock(fd);
	*at = s->next < s->nasks ? s->ask[s->next].at : to;
	return err;
}

int
thaw_send(struct repo *r, struct packset *set,
    const struct thaw_send_conf *conf, struct thaw_sent *out)
{
	const struct timespec pause = { 0, BATCH_PAUSE * 1000000L };
	struct send *s = calloc(1, sizeof(*s));
	size_t at = 0;
	int err;

	memset(out, 0, sizeof(*out));
	if (s == NULL)
		return -ENOMEM;
	s->repo = r;
	s->set = set;
	s->conf = conf;
	s->out = out;
	s->note = -1;
	pthread_mutex_init(&s->lock, NULL);
	err = order(s);
	while (err == 0 && at < s->norder && !out->over) {
		if (at > 0)
			nanosleep(&pause, NULL);
		err = batch(s, &at);
	}
	pthread_mutex_destroy(&s->lock);
	free(s->order);
	free(s);
	return err == -EAGAIN ? 0 : err;
}
