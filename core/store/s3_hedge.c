/* SPDX-License-Identifier: Apache-2.0 */
/* What is slow, learnt from the last reads of each size. */
#include <stdlib.h>
#include <string.h>

#include "store/s3_hedge.h"

#define SMALLEST	(64u << 10)	/* bytes of the first class */
#define ENOUGH		16		/* reads to learn from */
#define LEAST_MS	1000
#define UNKNOWN_MS	2000
#define UNKNOWN_MIB_MS	1000
#define EARN		5		/* hundredths, by each read */
#define CREDIT_MAX	400
#define CREDIT_FIRST	200

void
s3_hedge_init(struct s3_hedge *h)
{
	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->credit = CREDIT_FIRST;
}

void
s3_hedge_release(struct s3_hedge *h)
{
	pthread_mutex_destroy(&h->lock);
}

static struct s3_hedge_class *
class_of(struct s3_hedge *h, size_t len)
{
	unsigned i = 0;

	while (i < S3_HEDGE_CLASSES - 1 && len > (size_t)SMALLEST << i)
		i++;
	return &h->of[i];
}

static int
cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

unsigned
s3_hedge_delay(struct s3_hedge *h, size_t len)
{
	uint32_t ms[S3_HEDGE_KEEP];
	uint64_t seen, slow;

	pthread_mutex_lock(&h->lock);
	seen = class_of(h, len)->seen;
	memcpy(ms, class_of(h, len)->ms, sizeof(ms));
	pthread_mutex_unlock(&h->lock);
	if (seen < ENOUGH)
		return UNKNOWN_MS + (unsigned)((len >> 20) * UNKNOWN_MIB_MS);
	if (seen > S3_HEDGE_KEEP)
		seen = S3_HEDGE_KEEP;
	qsort(ms, seen, sizeof(ms[0]), cmp);
	slow = 2 * (uint64_t)ms[(seen * 19 - 1) / 20];
	if (slow < LEAST_MS)
		slow = LEAST_MS;
	return slow < UINT32_MAX ? (unsigned)slow : UINT32_MAX;
}

int
s3_hedge_take(struct s3_hedge *h)
{
	int ok;

	pthread_mutex_lock(&h->lock);
	ok = h->credit >= 100;
	if (ok)
		h->credit -= 100;
	pthread_mutex_unlock(&h->lock);
	return ok;
}

void
s3_hedge_learn(struct s3_hedge *h, size_t len, uint64_t ms)
{
	struct s3_hedge_class *c;

	pthread_mutex_lock(&h->lock);
	c = class_of(h, len);
	c->ms[c->seen++ % S3_HEDGE_KEEP] = ms < UINT32_MAX / 2 ?
	    (uint32_t)ms : UINT32_MAX / 2;
	h->credit += EARN;
	if (h->credit > CREDIT_MAX)
		h->credit = CREDIT_MAX;
	pthread_mutex_unlock(&h->lock);
}
