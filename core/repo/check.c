/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a check: what names things before what is named, so that what
 * is put meanwhile is never missed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "repo/check_internal.h"
#include "repo/repo_internal.h"

void
check_problem(struct check *c, const char *object, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&c->lock);
	c->res->problems++;
	if (c->conf->problem != NULL)
		c->conf->problem(c->conf->ctx, object, text);
	pthread_mutex_unlock(&c->lock);
}

int
check_stopped(const struct check *c)
{
	return c->conf->stop != NULL && *c->conf->stop;
}

int
check_load(struct check *c, const char *name,
    const uint8_t id[OBJECT_ID_SIZE], struct buf *bytes, int *same)
{
	uint8_t have[OBJECT_ID_SIZE];
	int err = 0, tries;

	*same = 0;
	for (tries = 0; tries < READ_TRIES && err == 0 && !*same; tries++) {
		buf_reset(bytes);
		err = store_load(repo_store(c->repo), name, bytes);
		if (err == 0)
			err = hash_sha256(bytes->data, bytes->len, have);
		if (err == 0)
			*same = memcmp(have, id, OBJECT_ID_SIZE) == 0;
	}
	return err;
}

int
check_by_id(const void *a, const void *b)
{
	const struct check_pack *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(x->id, y->id, OBJECT_ID_SIZE);
}

struct check_pack *
check_find(struct check *c, enum pack_kind kind,
    const uint8_t id[OBJECT_ID_SIZE])
{
	struct check_pack key = { .kind = (uint8_t)kind };

	memcpy(key.id, id, OBJECT_ID_SIZE);
	return c->npacks == 0 ? NULL : bsearch(&key, c->pack, c->npacks,
	    sizeof(key), check_by_id);
}

int
check_is_lost(const struct check_pack *p)
{
	return p->want != 0 && (!p->present || p->size != p->want);
}

/*
 * Packs that no segment named and that are in the index by now: the walk had to
 * read them back, unless a backup that runs beside us has put their segment
 * meanwhile.  Looking at the segments again tells, since it drops what no
 * segment in the store lists.
 */
static int
unlisted_report(struct check *c)
{
	char name[STORE_NAME_MAX + 1];
	struct index *ix = repo_index(c->repo);
	struct check_pack *p;
	size_t i, n = 0;
	int ret = 0;

	for (i = 0; i < c->npacks && ret >= 0; i++) {
		p = &c->pack[i];
		if (p->want != 0)
			continue;
		ret = index_has_pack(ix, p->kind, p->id);
		p->taken_up = ret == 1;
		n += ret == 1;
	}
	if (ret < 0 || n == 0)
		return ret;
	ret = repo_sync_listed(c->repo, PACK_META);
	if (ret == 0)
		ret = repo_sync_listed(c->repo, PACK_DATA);
	for (i = 0; i < c->npacks && ret >= 0; i++) {
		p = &c->pack[i];
		if (!p->taken_up)
			continue;
		c->res->unused_packs--;
		ret = index_has_pack(ix, p->kind, p->id);
		if (ret != 0)
			continue;
		repo_pack_name(p->kind, p->id, name);
		check_problem(c, name, "is needed and no index segment lists "
		    "it; the next backup lists it again");
	}
	return ret < 0 ? ret : 0;
}

/* What could be judged only after generations were looked into. */
static int
packs_report(struct check *c)
{
	char name[STORE_NAME_MAX + 1];
	struct check_pack *p;
	size_t i;
	int hit;

	/* A key that cannot look into them fears the worst. */
	hit = c->res->files_hit > 0 || c->salvaged ||
	    !repo_keys(c->repo)->has_sk;
	for (i = 0; i < c->npacks && hit; i++) {
		p = &c->pack[i];
		repo_pack_name(p->kind, p->id, name);
		if (p->want != 0 && !p->present)
			check_problem(c, name, "is missing");
		else if (p->want != 0 && p->size != p->want)
			check_problem(c, name, "has %llu bytes, not %u",
			    (unsigned long long)p->size, p->want);
	}
	return unlisted_report(c);
}

int
check_run(struct repo *repo, const struct check_conf *conf,
    struct check_result *result)
{
	struct check c = { .repo = repo, .conf = conf, .res = result };
	int err;

	memset(result, 0, sizeof(*result));
	pthread_mutex_init(&c.lock, NULL);
	err = check_records(&c);
	if (err == 0)
		err = check_index(&c);
	if (err == 0)
		err = check_packs(&c);
	if (err == 0 && conf->read_data)
		err = check_read(&c);
	if (err == 0)
		err = check_generations(&c);
	if (err == 0)
		err = packs_report(&c);
	free(c.pack);
	free(c.record);
	pthread_mutex_destroy(&c.lock);
	return err;
}
