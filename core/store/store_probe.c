/* SPDX-License-Identifier: Apache-2.0 */
/* Examining a store: dispatch, findings, and the measuring of time. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "store/store_probe_internal.h"

#define RUNS	9

/* Wrappers have no say in it. */
static struct store *
innermost(struct store *s)
{
	for (; s->below != NULL; s = s->below)
		continue;
	return s;
}

int
store_conditional(struct store *s, enum store_conditional *out)
{
	struct store *in = innermost(s);

	*out = STORE_COND_YES;
	if (store_is_canceled(s))
		return -ECANCELED;
	return in->ops->conditional != NULL ? in->ops->conditional(in, out) : 0;
}

enum store_conditional
store_conditional_known(struct store *s)
{
	struct store *in = innermost(s);

	return in->ops->conditional_known != NULL ?
	    in->ops->conditional_known(in) : STORE_COND_YES;
}

int
store_probe(struct store *s, const struct store_probe_conf *conf,
    int *readable)
{
	struct store *in = innermost(s);
	struct probe p = { .conf = conf };
	int err = in->ops->probe(in, &p);

	*readable = p.readable;
	return err;
}

static void
tell(struct probe *p, const struct store_finding *f)
{
	p->conf->found(p->conf->ctx, f);
}

void
probe_found(struct probe *p, const char *check, enum store_grade grade,
    const char *grant, const char *without, const char *fmt, ...)
{
	char text[2048];
	struct store_finding f = { .check = check, .grade = grade,
	    .text = text, .grant = grant, .without = without };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(p, &f);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int
probe_latency(struct probe *p, const char *check, const char *what,
    int (*once)(void *ctx), void *ctx)
{
	double took[RUNS], start;
	char text[256];
	struct store_finding f = { .check = check, .grade = STORE_FACT,
	    .text = text, .unit = "ms" };
	int i, err;

	for (i = 0; i < RUNS; i++) {
		start = seconds();
		err = once(ctx);
		took[i] = (seconds() - start) * 1000;
		if (err != 0)
			return err;
	}
	qsort(took, RUNS, sizeof(took[0]), by_value);
	f.value = took[RUNS / 2];
	snprintf(text, sizeof(text), "%s takes %.1f ms; the median of %d, "
	    "which took %.1f to %.1f", what, f.value, RUNS, took[0],
	    took[RUNS - 1]);
	tell(p, &f);
	return 0;
}

int
probe_throughput(struct probe *p, const char *check, int (*once)(void *ctx),
    void *ctx)
{
	double start = seconds(), took;
	char text[256];
	struct store_finding f = { .check = check, .grade = STORE_FACT,
	    .text = text, .unit = "MiB/s" };
	int err = once(ctx);

	if (err != 0)
		return err;
	took = seconds() - start;
	f.value = (double)(PROBE_BYTES >> 20) / (took > 1e-6 ? took : 1e-6);
	snprintf(text, sizeof(text), "%.1f MiB/s, one object of %u "
	    "MiB", f.value, PROBE_BYTES >> 20);
	tell(p, &f);
	return 0;
}

uint8_t *
probe_bytes(void)
{
	uint8_t *bytes = malloc(PROBE_BYTES);
	uint64_t x = 0;
	size_t i;

	if (bytes == NULL)
		return NULL;
	if (getrandom(&x, sizeof(x), 0) != sizeof(x))
		x = (uint64_t)(uintptr_t)bytes;
	x |= 1;
	for (i = 0; i < PROBE_BYTES; i++) {	/* xorshift */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)(x >> 32);
	}
	return bytes;
}
