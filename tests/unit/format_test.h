/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of crypto and format share: hexadecimal literals, a random
 * sequence with a printed seed (FIRN_TEST_SEED repeats one), fixed keys for
 * golden vectors.
 */
#ifndef FIRN_TESTS_FORMAT_TEST_H
#define FIRN_TESTS_FORMAT_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/box.h"
#include "crypto/kdf.h"
#include "crypto/keys.h"

/* Bytes of a hexadecimal literal; returns how many. */
static inline size_t
unhex(const char *text, uint8_t *out)
{
	char digits[3] = "";
	size_t n;

	for (n = 0; text[2 * n] != '\0'; n++) {
		digits[0] = text[2 * n];
		digits[1] = text[2 * n + 1];
		out[n] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

static inline void
assert_hex(const uint8_t *got, const char *want)
{
	uint8_t bytes[1024];
	size_t n = unhex(want, bytes);

	assert_memory_equal(got, bytes, n);
}

/* splitmix64 (public domain, S. Vigna): enough for tests. */
static uint64_t rnd_state;

static inline void
rnd_seed(void)
{
	const char *s = getenv("FIRN_TEST_SEED");

	if (s != NULL)
		rnd_state = strtoull(s, NULL, 0);
	else
		kdf_random(&rnd_state, sizeof(rnd_state));
	print_message("FIRN_TEST_SEED=0x%llx\n",
	    (unsigned long long)rnd_state);
}

static inline uint64_t
rnd(void)
{
	uint64_t z = (rnd_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline uint64_t
rnd_below(uint64_t n)
{
	return rnd() % n;
}

static inline void
rnd_fill(void *out, size_t len)
{
	uint8_t *p = out;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)rnd();
}

/* The same owner's keys in every run. */
static inline void
fixed_keys(struct keys *k)
{
	memset(k, 0, sizeof(*k));
	memset(k->repo_id, 0x11, sizeof(k->repo_id));
	memset(k->id, 0x22, sizeof(k->id));
	memset(k->index, 0x33, sizeof(k->index));
	memset(k->sk, 0x44, sizeof(k->sk));
	k->has_sk = 1;
	assert_int_equal(box_public(k->sk, k->pk), 0);
	assert_int_equal(keys_derive(k), 0);
}

/* Messages of the code under test go nowhere while `on`; a test that fails
 * meanwhile still shows in its exit code. */
static inline void
quiet(int on)
{
	static int saved = -1;
	int null;

	fflush(stderr);
	if (on) {
		saved = dup(STDERR_FILENO);
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		assert_true(saved >= 0 && null >= 0);
		dup2(null, STDERR_FILENO);
		close(null);
	} else {
		dup2(saved, STDERR_FILENO);
		close(saved);
	}
}

/*
 * Call `fn` with each truncation of `data` and with each single bit of each
 * byte changed, in memory of exactly that size so that a sanitizer sees an
 * access past it.  fn says by itself whether the outcome is right.
 */
static inline void
each_damage(const void *data, size_t len,
    void (*fn)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
	uint8_t *copy;
	size_t i, n;

	for (n = 0; n < len; n++) {
		copy = malloc(n + (n == 0));
		assert_non_null(copy);
		memcpy(copy, data, n);
		fn(ctx, copy, n);
		free(copy);
	}
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, data, len);
	for (i = 0; i < len; i++) {
		copy[i] ^= (uint8_t)(1u << (i & 7));
		fn(ctx, copy, len);
		copy[i] ^= (uint8_t)(1u << (i & 7));
		copy[i] ^= 0xff;
		fn(ctx, copy, len);
		copy[i] ^= 0xff;
	}
	free(copy);
}

#endif
