/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a check: what names things before what is named. */
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

static int
by_id(const void *a, const void *b)
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
	    sizeof(key), by_id);
}

/* Packs that no segment listed and that the walk had to read back. */
static int
unlisted_report(struct check *c)
{
	char name[STORE_NAME_MAX + 1];
	struct check_pack *p;
	size_t i;
	int ret = 0;

	for (i = 0; i < c->npacks && ret >= 0; i++) {
		p = &c->pack[i];
		if (!p->unlisted)
			continue;
		ret = index_has_pack(repo_index(c->repo), p->kind, p->id);
		if (ret != 1)
			continue;
		repo_pack_name(p->kind, p->id, name);
		check_problem(c, name, "is needed and no index segment lists "
		    "it; the next backup lists it again");
		c->res->unused_packs--;
	}
	return ret < 0 ? ret : 0;
}

int
check_run(struct repo *repo, const struct check_conf *conf,
    struct check_result *result)
{
	struct check c = { .repo = repo, .conf = conf, .res = result };
	int err;

	memset(result, 0, sizeof(*result));
	pthread_mutex_init(&c.lock, NULL);
	err = check_index(&c);
	if (err == 0)
		err = check_packs(&c);
	if (err == 0)
		err = check_generations(&c);
	if (err == 0)
		err = unlisted_report(&c);
	free(c.pack);
	pthread_mutex_destroy(&c.lock);
	return err;
}
