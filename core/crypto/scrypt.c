/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrypt (RFC 7914), for what every command begins with.  OpenSSL computes it
 * as fast, but in memory that it allocates itself, and faulting 128 MiB in by
 * pages of 4 KiB takes longer than the computing, on virtual machines several
 * times as long.  Here the memory is asked for in huge pages.
 */
#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/kdf.h"
#include "crypto/scrypt.h"

struct block {
	uint32_t word[16];
};

static inline uint32_t
rotated(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* Salsa20's quarter round, of words a, b, c, d of x. */
static inline __attribute__((always_inline)) void
quarter(uint32_t *x, int a, int b, int c, int d)
{
	x[b] ^= rotated(x[a] + x[d], 7);
	x[c] ^= rotated(x[b] + x[a], 9);
	x[d] ^= rotated(x[c] + x[b], 13);
	x[a] ^= rotated(x[d] + x[c], 18);
}

/* x = Salsa20/8(x ^ with) */
static inline __attribute__((always_inline)) void
salsa(struct block *x, const struct block *with)
{
	uint32_t t[16];
	int i;

	for (i = 0; i < 16; i++)
		t[i] = x->word[i] ^= with->word[i];
	for (i = 0; i < 4; i++) {
		quarter(t, 0, 4, 8, 12);
		quarter(t, 5, 9, 13, 1);
		quarter(t, 10, 14, 2, 6);
		quarter(t, 15, 3, 7, 11);
		quarter(t, 0, 1, 2, 3);
		quarter(t, 5, 6, 7, 4);
		quarter(t, 10, 11, 8, 9);
		quarter(t, 15, 12, 13, 14);
	}
	for (i = 0; i < 16; i++)
		x->word[i] += t[i];
}

/* to = BlockMix(from ^ with), of 2 * r blocks; with may be NULL. */
static inline __attribute__((always_inline)) void
block_mix(struct block *restrict to, struct block *restrict from,
    const struct block *restrict with, size_t r)
{
	struct block x;

	if (with)
		for (size_t i = 0; i < 2 * r; i++)
			for (int k = 0; k < 16; k++)
				from[i].word[k] ^= with[i].word[k];
	x = from[2 * r - 1];
	for (size_t i = 0; i < 2 * r; i++) {
		salsa(&x, &from[i]);
		to[i / 2 + (i & 1) * r] = x;
	}
}

/* n is even.  v has room for n times 2 * r blocks, y for 2 * r. */
static void
romix(struct block *x, struct block *y, struct block *v, uint64_t n, size_t r)
{
	const size_t two_r = 2 * r;

	memcpy(v, x, two_r * sizeof(*x));
	for (uint64_t i = 1; i < n; i++)
		block_mix(&v[i * two_r], &v[(i - 1) * two_r], NULL, r);
	block_mix(x, &v[(n - 1) * two_r], NULL, r);
	for (uint64_t i = 0; i < n; i += 2) {
		block_mix(y, x, &v[(x[two_r - 1].word[0] & (n - 1)) * two_r],
		    r);
		block_mix(x, y, &v[(y[two_r - 1].word[0] & (n - 1)) * two_r],
		    r);
	}
}

/* Words are stored with their least byte first. */
static void
swap_words(struct block *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < 16; k++)
			x[i].word[k] = htole32(x[i].word[k]);
}

static int
stretch(const char *password, size_t passlen, const void *salt,
    size_t saltlen, uint8_t *out, size_t outlen)
{
	return PKCS5_PBKDF2_HMAC(password, (int)passlen, salt, (int)saltlen, 1,
	    EVP_sha256(), (int)outlen, out) == 1 ? 0 : -ENOMEM;
}

int
scrypt(const char *password, size_t passlen, const void *salt,
    size_t saltlen, uint64_t n, uint32_t r, uint32_t p, uint8_t *out,
    size_t outlen)
{
	size_t width = 128 * (size_t)r, size = width * n, len = width * p;
	size_t all = size + 2 * width;
	struct block *v, *x, *y;
	uint8_t *bytes = malloc(len);
	int err;

	v = mmap(NULL, all, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v == MAP_FAILED || bytes == NULL) {
		err = -ENOMEM;
		goto out;
	}
	/* Only a hint: where there are none it works with small ones. */
	(void)madvise(v, all, MADV_HUGEPAGE);
	x = v + n * 2 * r;
	y = x + 2 * r;
	err = stretch(password, passlen, salt, saltlen, bytes, len);
	for (uint32_t i = 0; err == 0 && i < p; i++) {
		memcpy(x, bytes + i * width, width);
		swap_words(x, 2 * r);
		romix(x, y, v, n, r);
		swap_words(x, 2 * r);
		memcpy(bytes + i * width, x, width);
	}
	if (err == 0)
		err = stretch(password, passlen, bytes, len, out, outlen);
out:
	if (bytes != NULL)
		kdf_wipe(bytes, len);
	free(bytes);
	if (v != MAP_FAILED)
		(void)munmap(v, all);
	return err;
}
