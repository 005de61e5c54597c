/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a check: what names things before what is named. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "repo/check_internal.h"

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
	free(c.pack);
	pthread_mutex_destroy(&c.lock);
	return err;
}
