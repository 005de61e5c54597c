/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a job's file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/hex.h"
#include "repo/thaw_job.h"

#define MAGIC		"firn-thaw 1\n"
#define AMOUNT_MAX	999999999999999999u	/* 18 digits */

void
thaw_job_init(struct thaw_job *j, const struct thaw_wish *wish,
    const char *what)
{
	uint8_t id[8];
	char *p;

	memset(j, 0, sizeof(*j));
	packset_init(&j->packs);
	j->wish = *wish;
	j->made = time(NULL);
	j->budget = UINT64_MAX;
	snprintf(j->what, sizeof(j->what), "%s", what);
	for (p = j->what; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (getrandom(id, sizeof(id), 0) == sizeof(id))
		hex_encode(id, sizeof(id), j->name);
}

void
thaw_job_release(struct thaw_job *j)
{
	packset_release(&j->packs);
}

static void
amount(struct buf *out, const char *name, uint64_t nano)
{
	buf_printf(out, "%s %llu\n", name,
	    (unsigned long long)(nano < AMOUNT_MAX ? nano : AMOUNT_MAX));
}

int
thaw_job_encode(const struct thaw_job *j, struct buf *out)
{
	char hex[2 * OBJECT_ID_SIZE + 1];
	size_t i, n = 0;

	for (i = 0; i < j->packs.n; i++)
		n += (j->packs.v[i].flags & PACK_NEEDED) != 0;
	buf_printf(out, MAGIC "tier %s\ndays %u\nmade %lld\n",
	    store_thaw_tier_name(j->wish.tier), j->wish.days,
	    (long long)j->made);
	amount(out, "agreed", j->agreed);
	amount(out, "spent", j->spent);
	if (j->budget == UINT64_MAX)
		buf_printf(out, "budget none\n");
	else
		amount(out, "budget", j->budget);
	buf_printf(out, "what %s\npacks %zu\n", j->what, n);
	for (i = 0; i < j->packs.n; i++) {
		/* Others were given up. */
		if (!(j->packs.v[i].flags & PACK_NEEDED))
			continue;
		hex_encode(j->packs.v[i].id, OBJECT_ID_SIZE, hex);
		buf_printf(out, "%s %u\n", hex, j->packs.v[i].size);
	}
	for (i = 0; i < j->ndoubts; i++) {
		hex_encode(j->doubt[i].id, OBJECT_ID_SIZE, hex);
		buf_printf(out, THAW_JOB_ASKS " %s %llu\n", hex, (unsigned long long)
		    j->doubt[i].nano);
	}
	return buf_err(out);
}

struct text {
	const char *p, *end;
};

/* The value of the next line, which begins with `name` and a space: into out,
 * or -FIRN_ECORRUPT. */
static int
line(struct text *t, const char *name, char *out, size_t room)
{
	size_t len = strlen(name), left = (size_t)(t->end - t->p);
	const char *nl = memchr(t->p, '\n', left);

	if (nl == NULL || (size_t)(nl - t->p) < len + 1 ||
	    memcmp(t->p, name, len) != 0 || t->p[len] != ' ')
		return -FIRN_ECORRUPT;
	t->p += len + 1;
	len = (size_t)(nl - t->p);
	if (len >= room || memchr(t->p, '\0', len) != NULL)
		return -FIRN_ECORRUPT;
	memcpy(out, t->p, len);
	out[len] = '\0';
	t->p = nl + 1;
	return 0;
}

/* Digits alone, at most max. */
static int
digits(const char *text, uint64_t max, uint64_t *out)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 18 || text[n] != '\0')
		return -FIRN_ECORRUPT;
	*out = strtoull(text, NULL, 10);
	return *out <= max ? 0 : -FIRN_ECORRUPT;
}

static int
number(struct text *t, const char *name, uint64_t max, uint64_t *out)
{
	char value[24];
	int err = line(t, name, value, sizeof(value));

	return err == 0 ? digits(value, max, out) : err;
}

static int
money_decode(struct text *t, struct thaw_job *j)
{
	char value[24];
	int err;

	err = number(t, "agreed", AMOUNT_MAX, &j->agreed);
	if (err == 0)
		err = number(t, "spent", AMOUNT_MAX, &j->spent);
	if (err == 0)
		err = line(t, "budget", value, sizeof(value));
	j->budget = UINT64_MAX;
	return err != 0 || strcmp(value, "none") == 0 ? err :
	    digits(value, AMOUNT_MAX, &j->budget);
}

static int
head_decode(struct text *t, struct thaw_job *j, uint64_t *packs)
{
	size_t len = strlen(MAGIC);
	uint64_t days = 0, made = 0;
	char tier[16];
	int err = 0;

	if ((size_t)(t->end - t->p) < len || memcmp(t->p, MAGIC, len) != 0)
		return -FIRN_ECORRUPT;
	t->p += len;
	err = line(t, "tier", tier, sizeof(tier));
	if (err == 0 && store_thaw_tier_parse(tier, &j->wish.tier) != 0)
		err = -FIRN_ECORRUPT;
	if (err == 0)
		err = number(t, "days", THAW_DAYS_MAX, &days);
	if (err == 0)
		err = number(t, "made", INT64_MAX, &made);
	if (err == 0)
		err = money_decode(t, j);
	if (err == 0)
		err = line(t, "what", j->what, sizeof(j->what));
	if (err == 0)
		err = number(t, "packs", UINT32_MAX / 4, packs);
	j->wish.days = (unsigned)days;
	j->made = (time_t)made;
	return err == 0 && days == 0 ? -FIRN_ECORRUPT : err;
}

/* 64 hex digits, a blank, a number, the end of the line. */
static int
id_decode(struct text *t, uint64_t max, uint8_t id[OBJECT_ID_SIZE],
    uint64_t *out)
{
	char hex[2 * OBJECT_ID_SIZE + 1];

	if ((size_t)(t->end - t->p) < sizeof(hex))
		return -FIRN_ECORRUPT;
	memcpy(hex, t->p, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	if (hex_decode(hex, id, OBJECT_ID_SIZE) != 0)
		return -FIRN_ECORRUPT;
	return number(t, hex, max, out);
}

static int
pack_decode(struct text *t, struct packset *s)
{
	uint8_t id[OBJECT_ID_SIZE];
	uint64_t size;
	size_t n;
	int ret;

	ret = id_decode(t, FORMAT_PACK_MAX, id, &size);
	if (ret == 0)
		ret = packset_add(s, id, (uint32_t)size, &n);
	if (ret != 1)
		return ret < 0 ? ret : -FIRN_ECORRUPT;
	s->v[n].flags |= PACK_NEEDED;
	return 0;
}

static void
doubt_end(struct thaw_job *j, unsigned i)
{
	j->ndoubts--;
	memmove(&j->doubt[i], &j->doubt[i + 1], (j->ndoubts - i) *
	    sizeof(j->doubt[0]));
}

static void
spend(struct thaw_job *j, uint64_t nano)
{
	j->spent = price_add(j->spent, nano);
	if (j->spent > AMOUNT_MAX)
		j->spent = AMOUNT_MAX;
}

/* The oldest ends, as spent, where there is no room. */
void
thaw_job_asks(struct thaw_job *j, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano)
{
	struct thaw_doubt *d;

	if (j->ndoubts == THAW_DOUBTS) {
		spend(j, j->doubt[0].nano);
		doubt_end(j, 0);
	}
	d = &j->doubt[j->ndoubts++];
	memcpy(d->id, pack, sizeof(d->id));
	d->nano = nano;
}

void
thaw_job_paid(struct thaw_job *j, const uint8_t pack[OBJECT_ID_SIZE],
    uint64_t nano)
{
	unsigned i;

	for (i = 0; i < j->ndoubts; i++)
		if (memcmp(j->doubt[i].id, pack, OBJECT_ID_SIZE) == 0) {
			doubt_end(j, i);
			break;
		}
	spend(j, nano);
}

/* The state of a thaw that was asked for twice does not tell of the second
 * time. */
void
thaw_job_settle(struct thaw_job *j, const struct packset *seen)
{
	const struct pack_info *p;
	unsigned i = 0;

	while (i < j->ndoubts) {
		p = packset_find(seen, j->doubt[i].id);
		if (p == NULL || !(p->flags & PACK_NEEDED)) {
			i++;
			continue;
		}
		if (p->state != STORE_COLD)
			spend(j, j->doubt[i].nano);
		doubt_end(j, i);
	}
}

/* A line may begin with the torn rest of another, after which this
 * one was written: what counts begins with its last word. */
static const char *
last_word(const char *p, const char *nl)
{
	const size_t len = strlen(THAW_JOB_ASKS " ");
	const char *at;

	for (at = nl; at >= p; at--)
		if ((size_t)(nl - at) >= len &&
		    (memcmp(at, THAW_JOB_ASKS " ", len) == 0 ||
		    memcmp(at, THAW_JOB_PAID " ", len) == 0))
			return at;
	return NULL;
}

/* A line of what was paid for; one that is not whole is passed over. */
static void
note_decode(struct text *t, struct thaw_job *j)
{
	const char *nl = memchr(t->p, '\n', (size_t)(t->end - t->p));
	const char *word = last_word(t->p, nl);
	uint8_t id[OBJECT_ID_SIZE];
	struct text rest;
	uint64_t nano;

	t->p = nl + 1;
	if (word == NULL)
		return;
	rest.p = word + strlen(THAW_JOB_ASKS " ");
	rest.end = nl + 1;
	if (id_decode(&rest, AMOUNT_MAX, id, &nano) != 0)
		return;
	if (*word == *THAW_JOB_ASKS)
		thaw_job_asks(j, id, nano);
	else
		thaw_job_paid(j, id, nano);
}

uint64_t
thaw_job_spent(const struct thaw_job *j)
{
	uint64_t sum = j->spent;
	unsigned i;

	for (i = 0; i < j->ndoubts; i++)
		sum = price_add(sum, j->doubt[i].nano);
	return sum;
}

int
thaw_job_decode(const void *data, size_t len, struct thaw_job *out)
{
	struct text t = { data, (const char *)data + len };
	uint64_t packs, i;
	int err;

	/* What does not end was being written. */
	while (t.end > t.p && t.end[-1] != '\n')
		t.end--;
	memset(out, 0, sizeof(*out));
	packset_init(&out->packs);
	err = head_decode(&t, out, &packs);
	for (i = 0; err == 0 && i < packs; i++)
		err = pack_decode(&t, &out->packs);
	while (err == 0 && t.p != t.end)
		note_decode(&t, out);
	if (err != 0)
		thaw_job_release(out);
	return err;
}
