/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that people type and that stand in stored forms. */
#ifndef FIRN_FORMAT_TEXT_H
#define FIRN_FORMAT_TEXT_H

/* 1 when `text` is UTF-8 without control characters (C0, DEL, C1). */
int text_plain(const char *text);

#endif
