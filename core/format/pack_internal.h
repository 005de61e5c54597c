/* SPDX-License-Identifier: Apache-2.0 */
/* What lies under the seals of a pack: for format/pack*.c and fuzz targets. */
#ifndef FIRN_FORMAT_PACK_INTERNAL_H
#define FIRN_FORMAT_PACK_INTERNAL_H

#include "format/pack.h"

#define PACK_HEADER_CLEAR	32	/* bytes of the header before the box */
#define PACK_FOOTER_OVERHEAD	(AEAD_NONCE_SIZE + AEAD_TAG_SIZE)
/* Two counts, one frame, one block. */
#define PACK_FOOTER_MIN		(PACK_FOOTER_OVERHEAD + 2 + 2 + 36)

/* 1 when the footer is one that a pack may have; *end is where its frames
 * end. */
int pack_footer_valid(const struct pack_footer *f, enum pack_kind kind,
    uint64_t *end);

/* Append the plain footer. */
void pack_footer_write(const struct pack_footer *f, struct buf *out);

/* The plain footer of a pack whose sealed footer lies at footer_off. */
int pack_footer_parse(const void *plain, size_t len, enum pack_kind kind,
    uint64_t footer_off, struct pack_footer *out);

/* Compression byte and payload: the plain frame appended to out. */
int pack_frame_expand(struct pack_codec *c, const void *data, size_t len,
    struct buf *out);

#endif
