/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage class of new data packs, as the repository keeps it.
 *
 * Settings are objects of their own, since no object is ever changed, and few.
 * The newest that can be believed counts; their names begin with their time,
 * and a new one's is later than all that are there, whatever the clock says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "crypto/kdf.h"
#include "format/tier.h"
#include "repo/repo_internal.h"
#include "store/store_probe.h"

#define LATEST	8	/* settings that are tried, newest first */

/* The names of the newest settings, in a ring, and the time of the newest. */
struct latest {
	char name[LATEST][STORE_NAME_MAX + 1];
	size_t n;
	struct timespec time;
};

/* "tier/TIME-RANDOM"; one that is named otherwise has no time. */
static void
time_note(struct latest *l, const char *name)
{
	const char *start = name + strlen(TIER_PREFIX);
	const char *end = strrchr(start, '-');
	char text[TIMEFMT_SIZE];
	struct timespec t;

	if (end == NULL || (size_t)(end - start) >= sizeof(text))
		return;
	snprintf(text, sizeof(text), "%.*s", (int)(end - start), start);
	if (timefmt_parse(text, &t) == 0 && t.tv_sec > l->time.tv_sec)
		l->time = t;
}

static int
on_setting(void *ctx, const char *name, const struct store_stat *st)
{
	struct latest *l = ctx;

	(void)st;
	snprintf(l->name[l->n++ % LATEST], sizeof(l->name[0]), "%s", name);
	time_note(l, name);
	return 0;
}

static int
setting_load(struct repo *r, const char *name, struct tier *out)
{
	struct buf bytes = BUF_INIT(TIER_MAX);
	int err;

	err = store_load(r->store, name, &bytes);
	if (err == 0)
		err = tier_decode(bytes.data, bytes.len, out);
	if (err == 0)
		err = config_verify(bytes.data, bytes.len, &r->keys);
	if (err == 0 && memcmp(out->repo_id, r->config.repo_id,
	    REPO_ID_SIZE) != 0)
		err = -FIRN_ECORRUPT;
	buf_release(&bytes);
	return err;
}

/* Whoever may put there could end all backups with one such object. */
static int
is_passed_over(int err, const char *name)
{
	static const struct {
		int err;
		const char *what;
	} rows[] = {
		{ -FIRN_ECORRUPT, "is damaged" },
		{ -FIRN_ETOOBIG, "is too big for a setting" },
		{ -FIRN_EVERSION, "is of a newer version of firn" },
		{ -FIRN_ECOLD, "is archived" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (err == rows[i].err) {
			log_warn(0, "'%s' %s; going by the setting before it",
			    name, rows[i].what);
			return 1;
		}
	return err == -ENOENT;
}

/* 1 and the setting that counts, 0 when there is none.  *last: the time in the
 * newest name. */
static int
setting_find(struct repo *r, struct tier *out, struct timespec *last)
{
	struct latest *l = calloc(1, sizeof(*l));
	struct log_kept why;
	size_t i, tries;
	int err;

	if (l == NULL)
		return log_err(-ENOMEM, "cannot look for '%s'", TIER_PREFIX);
	err = store_list(r->store, TIER_PREFIX, on_setting, l);
	tries = l->n < LATEST ? l->n : LATEST;
	for (i = 1; err == 0 && i <= tries; i++) {
		const char *name = l->name[(l->n - i) % LATEST];

		log_keep(&why);
		err = setting_load(r, name, out);
		log_keep_end(&why);
		if (err == 0) {
			err = 1;
			break;
		}
		if (is_passed_over(err, name))
			err = 0;
		else if (why.text[0] != '\0')
			log_plain(err, "%s", why.text);
	}
	*last = l->time;
	free(l);
	return err;
}

int
repo_tier_get(struct repo *r, struct repo_tier *out)
{
	struct timespec last;
	struct tier t;
	int ret = setting_find(r, &t, &last);

	memset(out, 0, sizeof(*out));
	if (ret < 0)
		return ret;
	if (ret == 1) {
		memcpy(out->class_name, t.class_name, sizeof(t.class_name));
		out->set = t.set;
	} else if (r->config.data_class[0] != '\0') {
		memcpy(out->class_name, r->config.data_class,
		    sizeof(out->class_name));
		out->set = r->config.created;
	}
	return 0;
}

/*
 * Every backup of every host would fail for a class that the store has not, so
 * one byte goes there first.
 */
static int
class_try(struct repo *r, const char *class_name)
{
	char name[STORE_NAME_MAX + 1];
	uint64_t random;
	int err;

	kdf_random(&random, sizeof(random));
	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%016" PRIx64
	    "/class", random);
	err = store_put(r->store, name, "x", 1, NULL, 0);
	if (err != 0)
		return err;
	err = store_set_class(r->store, name, class_name);
	if (err != 0)
		log_err(0, "'%s' did not take an object in class %s; the tier "
		    "of the repository stays as it is", store_url(r->store),
		    class_name);
	/* What is left below probe/ is passed over by all. */
	(void)store_del(r->store, name);
	return err;
}

int
repo_tier_set(struct repo *r, const char *class_name)
{
	struct buf bytes = BUF_INIT(TIER_MAX);
	char name[STORE_NAME_MAX + 1], time[TIMEFMT_SIZE];
	struct tier t, before;
	struct timespec last;
	uint64_t random;
	int ret;

	if (r->slot.role != KEY_OWNER)
		return log_plain(-FIRN_ENOKEY, "only an owner's key may set "
		    "the tier of the repository");
	ret = setting_find(r, &before, &last);
	if (ret >= 0 && config_class_valid(class_name))
		ret = class_try(r, class_name);
	if (ret < 0)
		return ret;
	memset(&t, 0, sizeof(t));
	memcpy(t.repo_id, r->config.repo_id, REPO_ID_SIZE);
	snprintf(t.class_name, sizeof(t.class_name), "%s", class_name);
	clock_gettime(CLOCK_REALTIME, &t.set);
	if (t.set.tv_sec <= last.tv_sec)
		t.set.tv_sec = last.tv_sec + 1;
	kdf_random(&random, sizeof(random));
	timefmt_name(&t.set, time);
	snprintf(name, sizeof(name), TIER_PREFIX "%s-%016" PRIx64, time,
	    random);
	ret = tier_encode(&t, &r->keys, &bytes);
	if (ret == 0)
		ret = store_put(r->store, name, bytes.data, bytes.len, NULL,
		    STORE_UNIQUE);
	if (ret == 0 && !r->tier_given)
		ret = store_set_tier(r->store, class_name);
	buf_release(&bytes);
	return ret;
}

int
repo_tier_use(struct repo *r)
{
	struct repo_tier t;
	struct log_kept why;
	int err;

	if (r->tier_given || store_local_path(r->store) != NULL)
		return 0;
	log_keep(&why);
	err = repo_tier_get(r, &t);
	log_keep_end(&why);
	if (err == -ECANCELED || err == -ENOMEM)
		return why.text[0] != '\0' ? log_plain(err, "%s", why.text) :
		    err;
	if (err != 0) {
		memcpy(t.class_name, r->config.data_class,
		    sizeof(t.class_name));
		log_warn(0, "cannot find out the repository's tier, so new "
		    "contents go to %s; let the key list and get '%s', or give "
		    "--tier: %s", t.class_name[0] != '\0' ? t.class_name :
		    "STANDARD", TIER_PREFIX, why.text[0] != '\0' ? why.text :
		    err_text(err));
	}
	return t.class_name[0] != '\0' ?
	    store_set_tier(r->store, t.class_name) : 0;
}
