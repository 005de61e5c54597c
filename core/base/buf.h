/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing buffer with a ceiling.
 *
 * An append that fails (over the ceiling: -FIRN_ETOOBIG; no memory: -ENOMEM)
 * leaves the contents as they were and is remembered in `err`, so an encoder
 * may append straight through and check buf_err() once at its end: all later
 * appends fail too.  What is appended must not lie in the buffer itself.
 * Not thread-safe.
 */
#ifndef FIRN_BASE_BUF_H
#define FIRN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct slots;

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;	/* ceiling of len, bytes */
	int err;	/* first failure, 0 or -errno */
	int is_slot;	/* data is one of `slots` */
	struct slots *slots;	/* NULL: it has its memory from malloc(3) */
};

#define BUF_INIT(ceiling) { NULL, 0, 0, (ceiling), 0, 0, NULL }
/* One of more than half a slot and no more than one takes a slot (base/slots.h). */
#define BUF_INIT_SLOTS(ceiling, slots) { NULL, 0, 0, (ceiling), 0, 0, (slots) }

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
/* The same for secrets: overwritten first.  What growing left behind is not,
 * so reserve first. */
void buf_wipe(struct buf *b);
/* Empty it and forget the error; keeps the memory. */
void buf_reset(struct buf *b);
/* Room for `extra` more bytes behind len. */
int buf_reserve(struct buf *b, size_t extra);
/* Room for `size` bytes in all, in memory of base/pages.h, for a buffer of
 * megabytes: direct I/O takes it.  Growing beyond makes it ordinary memory. */
int buf_reserve_pages(struct buf *b, size_t size);
/* `len` more bytes, not initialised; NULL on failure. */
uint8_t *buf_extend(struct buf *b, size_t len);
int buf_add(struct buf *b, const void *data, size_t len);
int buf_add_u8(struct buf *b, uint8_t v);
int buf_add_u16(struct buf *b, uint16_t v);
int buf_add_u32(struct buf *b, uint32_t v);
int buf_add_u64(struct buf *b, uint64_t v);
int buf_add_varint(struct buf *b, uint64_t v);
/* Varint length and the bytes. */
int buf_add_str(struct buf *b, const void *data, size_t len);
int buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The contents with a NUL behind them (not counted); NULL on failure. */
char *buf_cstr(struct buf *b);
static inline int
buf_err(const struct buf *b)
{
	return b->err;
}

#endif
