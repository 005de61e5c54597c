/* SPDX-License-Identifier: Apache-2.0 */
/* Lower-case hexadecimal. */
#ifndef FIRN_BASE_HEX_H
#define FIRN_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes 2 * len digits and a NUL. */
void hex_encode(const void *data, size_t len, char *out);
/* Exactly 2 * len digits, lower case, and nothing behind them; else -EINVAL. */
int hex_decode(const char *text, void *out, size_t len);

#endif
