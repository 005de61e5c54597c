/* SPDX-License-Identifier: Apache-2.0 */
/* The budget of repetitions. */
#include "store/s3_budget.h"

#define PER_SECOND	5	/* tokens, which is millitokens a ms */
#define MOST		(S3_BUDGET_MOST * 1000)
#define LEAST		(-(int64_t)S3_BUDGET_WAIT_MAX * PER_SECOND)

void
s3_budget_init(struct s3_budget *b, int64_t now_ms)
{
	*b = (struct s3_budget){ .millitokens = MOST, .filled = now_ms };
	pthread_mutex_init(&b->lock, NULL);
}

void
s3_budget_release(struct s3_budget *b)
{
	pthread_mutex_destroy(&b->lock);
}

static void
add(struct s3_budget *b, int64_t millitokens)
{
	b->millitokens += millitokens;
	if (b->millitokens > MOST)
		b->millitokens = MOST;
	if (b->millitokens < LEAST)
		b->millitokens = LEAST;
}

int64_t
s3_budget_take(struct s3_budget *b, unsigned cost, int64_t now_ms)
{
	int64_t wait = 0;

	pthread_mutex_lock(&b->lock);
	if (now_ms > b->filled) {
		add(b, (now_ms - b->filled) * PER_SECOND);
		b->filled = now_ms;
	}
	add(b, -(int64_t)cost * 1000);
	if (b->millitokens < 0)
		wait = -b->millitokens / PER_SECOND;
	pthread_mutex_unlock(&b->lock);
	return wait;
}

void
s3_budget_success(struct s3_budget *b, unsigned cost)
{
	pthread_mutex_lock(&b->lock);
	add(b, (cost > 0 ? (int64_t)cost : 1) * 1000);
	pthread_mutex_unlock(&b->lock);
}
