/* SPDX-License-Identifier: Apache-2.0 */
/* Inode numbers: a keyed hash of one word and some bytes. */
#include <string.h>

#include "base/bytes.h"
#include "fs/ino.h"

#define INO_MIN	(1ull << 32)

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline void
sip_round(struct sip *s)
{
	s->a += s->b;
	s->b = rotl(s->b, 13) ^ s->a;
	s->a = rotl(s->a, 32);
	s->c += s->d;
	s->d = rotl(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotl(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotl(s->b, 17) ^ s->c;
	s->c = rotl(s->c, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	sip_round(s);
	s->a ^= word;
}

/* Of the 8 bytes of `first` and the `len` bytes behind them. */
static uint64_t
sip_hash(const struct ino_key *k, uint64_t first, const void *data, size_t len)
{
	struct sip s = { k->k0 ^ 0x736f6d6570736575u,
	    k->k1 ^ 0x646f72616e646f6du, k->k0 ^ 0x6c7967656e657261u,
	    k->k1 ^ 0x7465646279746573u };
	const uint8_t *p = data;
	size_t left = len;
	uint8_t last[8] = { 0 };
	unsigned i;

	sip_word(&s, first);
	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, le64_get(p));
	if (left > 0)
		memcpy(last, p, left);
	last[7] = (uint8_t)(len + 8);
	sip_word(&s, le64_get(last));
	s.c ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

static uint64_t
above_min(uint64_t ino)
{
	return ino < INO_MIN ? ino + INO_MIN : ino;
}

void
ino_key_init(struct ino_key *k, const uint8_t *id, const uint8_t *root)
{
	k->k0 = le64_get(id);
	k->k1 = le64_get(root);
}

uint64_t
ino_placed(const struct ino_key *k, uint64_t dir, uint64_t ordinal)
{
	/* Halved, so that the places of a directory never wrap around. */
	return above_min(sip_hash(k, dir, NULL, 0) >> 1) + ordinal;
}

/* A directory's number is never 0, so the two kinds cannot meet. */
uint64_t
ino_linked(const struct ino_key *k, uint32_t fsno, uint64_t ino)
{
	uint8_t file[12];

	le32_put(file, fsno);
	le64_put(file + 4, ino);
	return above_min(sip_hash(k, 0, file, sizeof(file)));
}
