/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing buffer with a ceiling.  Invariants: len <= max, len <= cap, and
 * data is NULL exactly when cap is 0.  cap may pass max by one, the room for
 * a NUL that is not counted.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/pages.h"
#include "base/slots.h"

#define BUF_FIRST	64	/* least allocation, bytes */

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

static void
memory_free(struct buf *b)
{
	if (b->is_slot)
		slots_give(b->slots, b->data);
	else
		free(b->data);
}

void
buf_release(struct buf *b)
{
	if (!b)
		return;
	memory_free(b);
	*b = (struct buf)BUF_INIT_SLOTS(b->max, b->slots);
}

void
buf_wipe(struct buf *b)
{
	if (b && b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

static int
fail(struct buf *b, int err)
{
	if (!b->err)
		b->err = err;
	return b->err;
}

/* Into other memory, which is taken over. */
static int
move_to(struct buf *b, uint8_t *data, size_t cap, int is_slot)
{
	if (!data)
		return fail(b, -ENOMEM);
	if (b->len > 0)
		memcpy(data, b->data, b->len);
	memory_free(b);
	b->data = data;
	b->cap = cap;
	b->is_slot = is_slot;
	return 0;
}

/* cap >= need afterwards; doubles, so that appends cost constant time each. */
static int
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_FIRST / 2 ? BUF_FIRST : b->cap * 2;
	uint8_t *data;

	if (need <= b->cap)
		return 0;
	if (b->slots && need > SLOT_SIZE / 2 && need <= SLOT_SIZE)
		return move_to(b, slots_take(b->slots), SLOT_SIZE, 1);
	if (cap > b->max || cap < b->cap)
		cap = b->max;
	if (cap < need)
		cap = need;
	if (b->is_slot)
		return move_to(b, malloc(cap), cap, 0);
	data = realloc(b->data, cap);
	if (!data)
		return fail(b, -ENOMEM);
	b->data = data;
	b->cap = cap;
	return 0;
}

/* Room for `extra` bytes that count and `tail` (0 or 1) that do not. */
static int
reserve(struct buf *b, size_t extra, size_t tail)
{
	size_t need;

	if (b->err)
		return b->err;
	if (extra > b->max - b->len)
		return fail(b, -FIRN_ETOOBIG);
	need = b->len + extra;
	if (need > SIZE_MAX - tail)
		return fail(b, -FIRN_ETOOBIG);
	need += tail;
	/* Also nothing needs some memory: success has a pointer to show. */
	return grow(b, need ? need : 1);
}

int
buf_reserve(struct buf *b, size_t extra)
{
	return reserve(b, extra, 0);
}

int
buf_reserve_pages(struct buf *b, size_t size)
{
	if (b->err)
		return b->err;
	if (size > b->max)
		return fail(b, -FIRN_ETOOBIG);
	if (size <= b->cap)
		return 0;
	return move_to(b, pages_alloc(size), size, 0);
}

uint8_t *
buf_extend(struct buf *b, size_t len)
{
	uint8_t *p;

	if (reserve(b, len, 0))
		return NULL;
	p = b->data + b->len;
	b->len += len;
	return p;
}

int
buf_add(struct buf *b, const void *data, size_t len)
{
	uint8_t *p = buf_extend(b, len);

	if (!p)
		return b->err;
	if (len > 0)
		memcpy(p, data, len);
	return 0;
}

int
buf_add_u8(struct buf *b, uint8_t v)
{
	return buf_add(b, &v, 1);
}

int
buf_add_u16(struct buf *b, uint16_t v)
{
	uint8_t le[2];

	le16_put(le, v);
	return buf_add(b, le, sizeof(le));
}

int
buf_add_u32(struct buf *b, uint32_t v)
{
	uint8_t le[4];

	le32_put(le, v);
	return buf_add(b, le, sizeof(le));
}

int
buf_add_u64(struct buf *b, uint64_t v)
{
	uint8_t le[8];

	le64_put(le, v);
	return buf_add(b, le, sizeof(le));
}

int
buf_add_varint(struct buf *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return buf_add(b, out, n);
}

int
buf_add_str(struct buf *b, const void *data, size_t len)
{
	size_t start = b->len;

	buf_add_varint(b, len);
	/* Both or neither: a length without its bytes would be a lie. */
	if (buf_add(b, data, len))
		b->len = start;
	return b->err;
}

__attribute__((format(printf, 2, 0)))
static int
add_format(struct buf *b, const char *fmt, va_list ap, va_list again)
{
	int n = vsnprintf(NULL, 0, fmt, ap);

	if (n < 0)
		return fail(b, -EINVAL);
	if (reserve(b, (size_t)n, 1))
		return b->err;
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
	b->len += (size_t)n;
	return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int err;

	va_start(ap, fmt);
	va_copy(again, ap);
	err = add_format(b, fmt, ap, again);
	va_end(again);
	va_end(ap);
	return err;
}

char *
buf_cstr(struct buf *b)
{
	if (reserve(b, 0, 1))
		return NULL;
	b->data[b->len] = 0;
	return (char *)b->data;
}
