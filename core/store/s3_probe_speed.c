/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the store is: latency by what there is to ask for, throughput by an
 * object of our own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/s3_probe_internal.h"

static int
once_head(void *ctx)
{
	struct trial *t = ctx;

	return s3_head(t->s, t->name, &t->rp, &t->no);
}

static int
once_get(void *ctx)
{
	struct trial *t = ctx;
	uint8_t byte;

	return trial_get(t, t->name, &byte, 1);
}

static int
once_list(void *ctx)
{
	char name[STORE_NAME_MAX + 1];

	return trial_list(ctx, "keys/", name);
}

static int
once_put_big(void *ctx)
{
	struct trial *t = ctx;
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big", t->nonce);
	return trial_put(t, name, t->bytes, PROBE_BYTES, t->bytes, NULL);
}

static int
once_get_big(void *ctx)
{
	struct trial *t = ctx;
	char name[STORE_NAME_MAX + 1];

	snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big", t->nonce);
	return trial_get(t, name, t->bytes, PROBE_BYTES);
}

int
s3_probe_speed(struct trial *t)
{
	char name[STORE_NAME_MAX + 1];
	int err = 0, put;

	if (t->got) {
		err = probe_latency(t->p, "latency-head", "a look at an "
		    "object", once_head, t);
		if (err == 0)
			err = probe_latency(t->p, "latency-get", "reading a "
			    "byte", once_get, t);
	} else {
		err = probe_latency(t->p, "latency-list", "a listing",
		    once_list, t);
	}
	if (trial_is_fatal(err) || !t->put)
		return trial_is_fatal(err) ? err : 0;
	t->bytes = probe_bytes();
	if (t->bytes == NULL)
		return -ENOMEM;
	err = put = probe_throughput(t->p, "throughput-put", once_put_big, t);
	if (err == 0 && t->got)
		err = probe_throughput(t->p, "throughput-get", once_get_big,
		    t);
	if (put == 0 && !trial_is_fatal(err)) {
		snprintf(name, sizeof(name), STORE_PROBE_PREFIX "%s-big",
		    t->nonce);
		err = trial_clear(t, name);
	}
	return trial_is_fatal(err) ? err : 0;
}
