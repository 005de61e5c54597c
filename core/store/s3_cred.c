/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping keys, and getting others in time.
 *
 * One thread at a time asks the source, without the lock.  What the others do
 * meanwhile depends on how old the keys are: go on with them, or wait.
 *
 *	        granted        advisory      mandatory     expires
 *	           |  go on       | one renews,  | one renews,|  one renews,
 *	           |              | others go on | others wait|  none goes on
 *
 * A source that failed is left alone for some seconds, in which its failure,
 * or the keys that are still good, is everybody's answer.
 */
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/log.h"
#include "store/s3_cred_internal.h"

#define ADVISORY	(15 * 60)	/* seconds before the end */
#define MANDATORY	(10 * 60)
#define STALE_LIFE	(15 * 60)	/* of keys that came expired */
#define AGAIN_ADVISORY	60		/* seconds until another attempt */
#define AGAIN		5
#define WAIT_SLICE	50		/* ms between looks at cancel */

struct s3_cred {
	struct s3_cred_conf conf;
	char *profile, *region, *ca_file;	/* conf's, ours */
	struct s3_http *direct, *proxied;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* All below is protected by lock. */
	struct s3_fetched cur;
	int have;		/* cur is filled */
	int asking;		/* a thread is at the source */
	time_t advisory, mandatory, expires;	/* 0: never */
	time_t again;		/* leave the source alone until then */
	int failed;		/* the last attempt's answer, for that time */
	int futile;		/* cur is dead, and the source has no other:
				 * what it last said; or 0 */
};

/* A clock that was set back would put it off for as long. */
static int
may_ask(const struct s3_cred *c, time_t now)
{
	return now >= c->again || c->again > now + AGAIN_ADVISORY;
}

enum age { GOOD, ADVISED, DUE, DEAD };

static time_t
now_of(const struct s3_cred *c)
{
	return c->conf.now != NULL ? c->conf.now() : time(NULL);
}

static enum age
age_of(const struct s3_cred *c, time_t now)
{
	if (!c->have)
		return DEAD;
	if (c->expires == 0 || now < c->advisory)
		return GOOD;
	if (now < c->mandatory)
		return ADVISED;
	return now < c->expires ? DUE : DEAD;
}

/* Pages that no core dump has; wiped and given back by s3_cred_free(). */
static struct s3_cred *
cred_alloc(void)
{
	void *p = mmap(NULL, sizeof(struct s3_cred), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, sizeof(struct s3_cred), MADV_DONTDUMP);
	return p;
}

static int
conf_copy(struct s3_cred *c, const struct s3_cred_conf *conf)
{
	c->conf = *conf;
	c->profile = strdup(conf->profile != NULL ? conf->profile : "");
	c->region = strdup(conf->region);
	c->ca_file = conf->ca_file != NULL ? strdup(conf->ca_file) : NULL;
	c->conf.profile = c->profile;
	c->conf.region = c->region;
	c->conf.ca_file = c->ca_file;
	return c->profile == NULL || c->region == NULL ||
	    (conf->ca_file != NULL && c->ca_file == NULL) ? -ENOMEM : 0;
}

static int
http_make(struct s3_cred *c)
{
	struct s3_http_conf http = {
		.connections = 1, .connect_secs = 5, .stall_secs = 15,
		.ca_file = c->ca_file, .canceled = c->conf.canceled,
	};
	int err = s3_http_new(&http, &c->proxied);

	http.no_proxy = 1;
	return err == 0 ? s3_http_new(&http, &c->direct) : err;
}

/* Nothing is asked; *out is filled where that needs no asking. */
static int
look(struct s3_cred *c, struct s3_fetched *out, int ask)
{
	struct s3_fetch f = { .conf = &c->conf, .direct = c->direct,
	    .proxied = c->proxied };
	enum s3_source source;
	int err = aws_config_load(c->profile, &f.aws);

	if (err == 0)
		err = s3_source_find(&f, &source);
	if (err == 0 && (ask || source == S3_SOURCE_ENV))
		err = s3_source_fetch(&f, source, out);
	aws_config_free(f.aws);
	if (err == -ENOMEM)
		log_err(err, "cannot get the keys for S3");
	return err;
}

int
s3_cred_new(const struct s3_cred_conf *conf, struct s3_cred **out)
{
	struct s3_cred *c = cred_alloc();
	int err;

	*out = NULL;
	if (c == NULL)
		return log_err(-ENOMEM, "cannot read the keys for S3");
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	err = conf_copy(c, conf);
	if (err != 0)
		log_err(err, "cannot read the keys for S3");
	else
		err = http_make(c);
	if (err == 0)
		err = look(c, &c->cur, 0);
	if (err != 0) {
		s3_cred_free(c);
		return err;
	}
	c->have = c->cur.keys.access[0] != '\0';
	*out = c;
	return 0;
}

void
s3_keys_wipe(struct s3_keys *k)
{
	explicit_bzero(k, sizeof(*k));
}

void
s3_cred_free(struct s3_cred *c)
{
	if (c == NULL)
		return;
	s3_http_free(c->direct);
	s3_http_free(c->proxied);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c->profile);
	free(c->region);
	free(c->ca_file);
	explicit_bzero(c, sizeof(*c));
	munmap(c, sizeof(*c));
}

static time_t
least(time_t a, time_t b)
{
	return a < b ? a : b;
}

/* Keys that came are taken into use.  Locked. */
static void
install(struct s3_cred *c, const struct s3_fetched *new, time_t now)
{
	time_t life = new->expires - now;

	c->cur = *new;
	c->have = 1;
	c->futile = 0;
	c->again = 0;
	c->expires = new->expires;
	if (new->expires == 0)
		return;
	if (life <= 0) {
		/* The source goes on giving these out, or our clock is wrong;
		 * either way the server knows better than we. */
		log_warn(0, "the keys for S3 have expired, by this machine's "
		    "clock, but their source gives no others; using them");
		c->advisory = now + AGAIN_ADVISORY;
		c->mandatory = c->expires = now + STALE_LIFE;
		return;
	}
	c->advisory = c->expires - least(ADVISORY, life / 2);
	c->mandatory = c->expires - least(MANDATORY, life / 4);
}

static int
same_keys(const struct s3_keys *a, const struct s3_keys *b)
{
	return strcmp(a->access, b->access) == 0 &&
	    strcmp(a->session, b->session) == 0 &&
	    strcmp(a->secret, b->secret) == 0;
}

/* Asks the source; locked before and after, not meanwhile. */
static int
ask(struct s3_cred *c, enum age age)
{
	struct s3_fetched new = { .expires = 0 };
	time_t now;
	int err;

	c->asking = 1;
	pthread_mutex_unlock(&c->lock);
	err = look(c, &new, 1);
	pthread_mutex_lock(&c->lock);
	now = now_of(c);
	if (err == 0) {
		install(c, &new, now);
	} else if (err != -ECANCELED) {
		/* Of a source that never gave any, nobody knows. */
		if (err == -EAGAIN && !c->have)
			err = -EACCES;
		c->failed = err;
		c->again = now + (age == ADVISED ? AGAIN_ADVISORY : AGAIN);
	}
	c->asking = 0;
	pthread_cond_broadcast(&c->changed);
	explicit_bzero(&new, sizeof(new));
	return err;
}

/* Waits for the thread that asks.  A signal handler may cancel, so nobody can
 * wake us for it: we look from time to time.  Locked. */
static int
wait_asked(struct s3_cred *c)
{
	struct timespec until;

	while (c->asking) {
		if (atomic_load(c->conf.canceled))
			return -ECANCELED;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_SLICE * 1000000L;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&c->changed, &c->lock, &until);
	}
	return 0;
}

int
s3_cred_get(struct s3_cred *c, struct s3_keys *out)
{
	enum age age;
	time_t now;
	int err = 0;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		now = now_of(c);
		age = age_of(c, now);
		if (age == GOOD || (age == ADVISED && c->asking))
			break;
		if (c->asking) {
			err = wait_asked(c);
			if (err != 0)
				break;
			continue;
		}
		if (may_ask(c, now))
			(void)ask(c, age);
		else if (age == DEAD)
			err = c->failed;
		age = age_of(c, now_of(c));
		if (age != DEAD)
			err = 0;
		else if (err == 0)
			err = atomic_load(c->conf.canceled) ? -ECANCELED :
			    c->failed;
		break;
	}
	if (err == 0)
		*out = c->cur.keys;
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* Others than these; only who asks puts the next attempt off.  Locked. */
static int
ask_others(struct s3_cred *c, const struct s3_keys *expired)
{
	int err;

	if (c->futile && !may_ask(c, now_of(c)))
		return c->futile;
	err = ask(c, DEAD);
	if (err == 0 && same_keys(&c->cur.keys, expired))
		err = -EACCES;
	if (err == -EACCES || err == -EAGAIN) {
		c->futile = err;
		c->again = now_of(c) + AGAIN;
	}
	return err;
}

int
s3_cred_renew(struct s3_cred *c, const struct s3_keys *expired)
{
	int err;

	pthread_mutex_lock(&c->lock);
	err = wait_asked(c);
	if (err == 0 && c->have && same_keys(&c->cur.keys, expired))
		err = ask_others(c, expired);
	pthread_mutex_unlock(&c->lock);
	return err == 0 || err == -ECANCELED || err == -EAGAIN ? err :
	    -EACCES;
}
