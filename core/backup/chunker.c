/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where chunks may end, and which implementation looks.  The implementations
 * scan whole batches of windows; what is left over is arranged here.
 */
#define _DEFAULT_SOURCE		/* explicit_bzero */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backup/chunker.h"
#include "backup/chunker_internal.h"

const struct chunker_engine *const chunker_engines[] = {
#if defined(__x86_64__)
	&chunker_vaes512,
	&chunker_vaes256,
	&chunker_aesni,
#endif
	&chunker_soft,
	NULL,
};

/* In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
static uint8_t
gf_mul(uint8_t a, uint8_t b)
{
	uint8_t sum = 0;

	for (int i = 0; i < 8; i++) {
		sum ^= a & (uint8_t)-(b >> i & 1);
		a = (uint8_t)(a << 1) ^ (0x1b & (uint8_t)-(a >> 7));
	}
	return sum;
}

/* FIPS 197, 5.1.1, by arithmetic: a table would be read at secret places. */
static uint8_t
sbox(uint8_t x)
{
	uint8_t inverse = 1, affine;

	/* x^254 by its bits: squares of x but for the first. */
	for (int i = 1; i < 8; i++) {
		x = gf_mul(x, x);
		inverse = gf_mul(inverse, x);
	}
	affine = inverse;
	for (int i = 1; i < 5; i++)
		affine ^= (uint8_t)(inverse << i | inverse >> (8 - i));
	return affine ^ 0x63;
}

/* FIPS 197, 5.2. */
static void
expand(const uint8_t key[CHUNKER_KEY_SIZE], struct chunker_key *out)
{
	uint8_t *w = out->round[0];
	uint8_t rcon = 1;

	memcpy(w, key, CHUNKER_KEY_SIZE);
	for (int r = 1; r <= CHUNKER_ROUNDS; r++, w += 16) {
		for (int i = 0; i < 4; i++)
			w[16 + i] = w[i] ^ sbox(w[12 + (i + 1) % 4]);
		w[16] ^= rcon;
		rcon = gf_mul(rcon, 2);
		for (int i = 4; i < 16; i++)
			w[16 + i] = w[i] ^ w[12 + i];
	}
}

static void
slice(struct chunker_key *key)
{
	for (int r = 0; r <= CHUNKER_ROUNDS; r++) {
		for (int i = 0; i < 128; i++) {
			uint8_t byte = key->round[r][i / 8] ^ (r ? 0x63 : 0);

			key->plane[r][i] = -(uint64_t)(byte >> i % 8 & 1);
		}
	}
}

int
chunker_new(
    const uint8_t key[CHUNKER_KEY_SIZE], size_t target, struct chunker **out)
{
	const struct chunker_engine *const *engine = chunker_engines;
	struct chunker *self;

	*out = NULL;
	if (target < CHUNKER_TARGET_MIN || target > CHUNKER_TARGET_MAX)
		return -EINVAL;
	self = malloc(sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->min = target * 2 / 5;
	self->max = target * 4;
	self->key.threshold =
	    (uint32_t)(((uint64_t)1 << 32) / (target - self->min));
	expand(key, &self->key);
	slice(&self->key);
	while (!(*engine)->usable())
		engine++;
	self->engine = *engine;
	*out = self;
	return 0;
}

void
chunker_free(struct chunker *self)
{
	if (!self)
		return;
	explicit_bzero(self, sizeof(*self));
	free(self);
}

size_t
chunker_min(const struct chunker *self)
{
	return self->min;
}

size_t
chunker_max(const struct chunker *self)
{
	return self->max;
}

/* A batch of which only the first n windows exist. */
static size_t
scan_part(const struct chunker *self, const uint8_t *p, size_t n)
{
	uint8_t buf[CHUNKER_BATCH_MAX + CHUNKER_WINDOW - 1];
	size_t at;

	memset(buf, 0, sizeof(buf));
	memcpy(buf, p, n + CHUNKER_WINDOW - 1);
	at = self->engine->scan(&self->key, buf, self->engine->batch);
	return at < n ? at : n;
}

/* As the engine's scan, for any n. */
static size_t
scan(const struct chunker *self, const uint8_t *p, size_t n)
{
	size_t batch = self->engine->batch;
	size_t whole = n - n % batch;
	size_t at;

	if (!n)
		return 0;
	if (!whole)
		return scan_part(self, p, n);
	at = self->engine->scan(&self->key, p, whole);
	if (at < whole || whole == n)
		return at;
	/* The last batch again overlaps windows that are known to be none. */
	return n - batch + self->engine->scan(&self->key, p + n - batch, batch);
}

size_t
chunker_cut_from(const struct chunker *self, const uint8_t *data, size_t len,
    size_t scanned, int eof)
{
	/* Lengths that are asked about: first .. last. */
	size_t first = scanned < self->min ? self->min : scanned + 1;
	size_t last = len < self->max ? len : self->max;
	size_t n, at;

	if (first <= last) {
		n = last - first + 1;
		at = scan(self, data + first - CHUNKER_WINDOW, n);
		if (at < n)
			return first + at;
	}
	return eof || len >= self->max ? last : 0;
}

size_t
chunker_cut(
    const struct chunker *self, const uint8_t *data, size_t len, int eof)
{
	return chunker_cut_from(self, data, len, 0, eof);
}

const char *
chunker_impl(const struct chunker *self)
{
	return self->engine->name;
}

int
chunker_select(struct chunker *self, const char *impl)
{
	for (int i = 0; chunker_engines[i]; i++) {
		if (strcmp(chunker_engines[i]->name, impl) != 0)
			continue;
		if (!chunker_engines[i]->usable())
			return -ENOTSUP;
		self->engine = chunker_engines[i];
		return 0;
	}
	return -EINVAL;
}
