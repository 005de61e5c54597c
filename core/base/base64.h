/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 of RFC 4648 section 4: with padding, without line breaks, and with
 * one spelling for each value.
 */
#ifndef FIRN_BASE_BASE64_H
#define FIRN_BASE_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* Both append to out; 0, out's own failure, or as said. */
int base64_encode(const void *data, size_t len, struct buf *out);
/* -EINVAL, and nothing appended, for a text that encode would not write. */
int base64_decode(const char *text, size_t len, struct buf *out);

#endif
