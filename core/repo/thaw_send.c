/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads take one pack after the other and wait for their turn, which comes
 * every 1/rate of a second; the store's window keeps fewer in flight where the
 * server wants that.
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

struct send {
	struct repo *repo;
	struct packset *set;
	const struct thaw_send_conf *conf;
	struct thaw_sent *out;
	pthread_mutex_t lock;		/* of all below, the set, and *out */
	uint32_t *pack;			/* numbers of what is to be asked */
	size_t npacks, next, done;
	int note;			/* descriptor of the job's, or -1 */
	int reads;			/* the store reads its archive at once */
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

/* The next pack to be asked for: 1, or 0 at the end. */
static int
take(struct send *s, size_t *number, struct pack_info *p)
{
	int more;

	pthread_mutex_lock(&s->lock);
	if (s->err == 0 && is_stopped(s))
		s->err = -ECANCELED;
	if (s->err == 0 && s->conf->job != NULL && s->next % JOB_LOOK == 0 &&
	    !thaw_job_exists(s->repo, s->conf->job)) {
		s->out->cancelled = 1;
		s->err = -ECANCELED;
	}
	more = s->err == 0 && s->next < s->npacks;
	if (more) {
		*number = s->pack[s->next++];
		*p = s->set->v[*number];
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

/* Note in the job what is asked for, or with what outcome; not where prices do
 * not count. */
static int
account(struct send *s, const char *word, const struct pack_info *p,
    enum thaw_need need)
{
	struct thaw_job *j = s->conf->job;
	uint64_t nano = need == THAW_NEEDS ? 0 : cost(s, p, need);

	if (j == NULL || s->conf->price == NULL)
		return 0;
	pthread_mutex_lock(&s->lock);
	if (strcmp(word, THAW_JOB_ASKS) == 0)
		thaw_job_asks(j, p->id, nano);
	else
		thaw_job_paid(j, p->id, nano);
	pthread_mutex_unlock(&s->lock);
	return thaw_job_note(s->note, word, p->id, nano);
}

/* What an answer costs; without a clear one that stays in doubt. */
static int
account_answer(struct send *s, const struct pack_info *p, enum thaw_need need,
    int ret)
{
	switch (ret) {
	case 0:
		return account(s, THAW_JOB_PAID, p, need == THAW_RENEW ?
		    THAW_ASK : need);
	case 1:		/* the store knows better whether a copy is there */
		return account(s, THAW_JOB_PAID, p, THAW_RENEW);
	case -EALREADY:
	case -EINVAL:
	case -ENOENT:
	case -EAGAIN:
	case -EACCES:
	case -EOPNOTSUPP:
		return account(s, THAW_JOB_PAID, p, THAW_NEEDS);
	default:
		return 0;
	}
}

/* A store that thaws nothing may have nothing that has to be thawed. */
static int
thaw_or_read(struct send *s, const char *name, unsigned days)
{
	struct store *store = repo_store(s->repo);
	struct log_kept why;
	int ret;

	if (__atomic_load_n(&s->reads, __ATOMIC_RELAXED))
		return -EINVAL;
	log_keep(&why);
	ret = store_thaw(store, name, s->conf->wish.tier, days);
	log_keep_end(&why);
	if (ret == -EOPNOTSUPP && store_reads_cold(store, name) == 1) {
		__atomic_store_n(&s->reads, 1, __ATOMIC_RELAXED);
		return -EINVAL;
	}
	return why.text[0] != '\0' ? log_plain(ret, "%s", why.text) : ret;
}

static int
ask_one(struct send *s, size_t number, const struct pack_info *p)
{
	const struct thaw_wish *w = &s->conf->wish;
	enum thaw_need need = thaw_need(s->set, p, w, time(NULL));
	char name[STORE_NAME_MAX + 1];
	unsigned days;
	int ret, err;

	repo_pack_name(PACK_DATA, p->id, name);
	/* A running thaw is hastened for the days it has. */
	days = need == THAW_HASTEN && p->days != 0 ? p->days : w->days;
	if (thaw_is_for_good(s->set, p))
		days = 0;
	err = account(s, THAW_JOB_ASKS, p, need);
	if (err != 0)
		return err;
	ret = thaw_or_read(s, name, days);
	err = account_answer(s, p, need, ret);
	pthread_mutex_lock(&s->lock);
	ret = settle(s, &s->set->v[number], name, ret);
	pthread_mutex_unlock(&s->lock);
	return ret != 0 ? ret : err;
}

static void
send_run(void *ctx)
{
	struct send *s = ctx;
	struct pack_info p;
	size_t number;
	int err;

	while (take(s, &number, &p)) {
		turn_wait(s);
		err = ask_one(s, number, &p);
		pthread_mutex_lock(&s->lock);
		if (s->err == 0)
			s->err = err;
		s->done++;
		if (s->conf->progress != NULL)
			s->conf->progress(s->conf->ctx, s->done, s->npacks);
		pthread_mutex_unlock(&s->lock);
	}
}

/* Who is to be asked for, by what was just looked up. */
static int
choose(struct send *s)
{
	time_t now = time(NULL);
	size_t i;

	s->pack = malloc((s->set->n + 1) * sizeof(*s->pack));
	if (s->pack == NULL)
		return -ENOMEM;
	for (i = 0; i < s->set->n; i++) {
		if (!(s->set->v[i].flags & PACK_NEEDED))
			continue;
		switch (thaw_need(s->set, &s->set->v[i], &s->conf->wish,
		    now)) {
		case THAW_ASK:
		case THAW_RENEW:
		case THAW_HASTEN:
			s->pack[s->npacks++] = (uint32_t)i;
			break;
		default:
			break;
		}
	}
	return 0;
}

static int
send_all(struct send *s)
{
	unsigned threads = s->conf->threads > 0 ? s->conf->threads :
	    THREADS_DEFAULT, i;
	struct pool *pool = NULL;
	int err;

	if (threads > THAW_DOUBTS)
		threads = THAW_DOUBTS;
	if (s->npacks < threads)
		threads = (unsigned)s->npacks;
	if (threads == 0)
		return 0;
	err = pool_new("firn-thaw", threads, threads, &pool);
	for (i = 0; i < threads && err == 0; i++)
		err = pool_submit(pool, send_run, s);
	pool_free(pool);	/* waits for all */
	return err != 0 ? err : s->err == -EAGAIN ? 0 : s->err;
}

int
thaw_send(struct repo *r, struct packset *set,
    const struct thaw_send_conf *conf, struct thaw_sent *out)
{
	struct send s = { .repo = r, .set = set, .conf = conf, .out = out,
	    .note = -1 };
	int fd, err;

	memset(out, 0, sizeof(*out));
	err = thaw_lock(r, conf->stop, &fd);
	if (err != 0)
		return err;
	pthread_mutex_init(&s.lock, NULL);
	err = thaw_look(r, set, 1);
	if (err == 0 && conf->job != NULL && conf->price != NULL) {
		thaw_job_settle(conf->job, set);
		err = thaw_job_open(r, conf->job, &s.note);
	}
	if (err == 0)
		err = choose(&s);
	if (err == 0)
		err = send_all(&s);
	if (s.note >= 0)
		close(s.note);
	thaw_unlock(fd);
	pthread_mutex_destroy(&s.lock);
	free(s.pack);
	return err;
}
