/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: pure encoders and decoders.
 *
 *	header	(PACK_HEADER_SIZE bytes)
 *		magic "firnpack"; u16 version; u8 kind; u8 flags (0);
 *		u32 header size; 16-byte salt;
 *		box (crypto/box.h, label "firn pack key", aad = the 32 bytes
 *		before it) of the 32-byte pack key: 80 bytes
 *	frames	AES-256-GCM(pack key, nonce = byte offset of the frame in the
 *		pack, aad = header) over u8 compression + payload.  The offset
 *		is the nonce, and not a frame number, so that an index entry
 *		alone says all that opening a frame takes; offsets in one pack
 *		differ, and each pack has a key of its own.
 *	padding	zero bytes, so that the whole pack is a multiple of 64 KiB
 *	footer	12-byte random nonce, AES-256-GCM(footer key, aad = header) over
 *		varint frame count, then a frame each: varint sealed length,
 *		varint plain length (without the compression byte); frames lie
 *		one behind the other from PACK_HEADER_SIZE;
 *		varint block count, then a block each: 32-byte id, u8 type,
 *		varint frame, varint offset in the plain frame, varint length
 *	trailer	u32 footer length (nonce and tag counted); u16 version;
 *		u16 zero; magic "firntail"
 *
 * A pack is named by the SHA-256 of its bytes.  Encoder and decoder hold every
 * footer to this: at least one frame; a frame has 1 to FORMAT_FRAME_MAX plain
 * bytes and is sealed in at most PACK_FRAME_OVERHEAD more; blocks fill the
 * frames one after another, in order and exactly; a block has a known type
 * that belongs into this kind of pack, and 1 to FORMAT_BLOCK_MAX bytes;
 * padding is less than FORMAT_PACK_ALIGN, the whole at most FORMAT_PACK_MAX.
 * A frame that is compressed is one zstd frame which says its plain length.
 *
 * Nothing here is logged: the caller knows the pack's name.
 */
#ifndef FIRN_FORMAT_PACK_H
#define FIRN_FORMAT_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/aead.h"
#include "crypto/keys.h"
#include "format/format.h"

#define PACK_HEADER_SIZE	112
#define PACK_TRAILER_SIZE	16
#define PACK_KEY_SIZE		32
/* What sealing adds to a frame's payload: the compression byte and the tag. */
#define PACK_FRAME_OVERHEAD	17

enum pack_compression { PACK_STORED = 0, PACK_ZSTD = 1 };

struct pack_frame {
	uint32_t off;		/* byte offset in the pack */
	uint32_t sealed;	/* bytes in the pack */
	uint32_t plain;		/* bytes of its blocks */
};

struct pack_block {
	uint8_t id[BLOCK_ID_SIZE];
	uint8_t type;		/* enum block_type */
	uint32_t frame;		/* index of its frame */
	uint32_t off;		/* in the plain frame */
	uint32_t len;
};

struct pack_footer {
	struct pack_frame *frames;
	size_t nframes;
	struct pack_block *blocks;
	size_t nblocks;
};

/* New random salt and pack key, sealed to keys->pk. */
int pack_header_encode(const struct keys *keys, enum pack_kind kind,
    uint8_t header[PACK_HEADER_SIZE], uint8_t key[PACK_KEY_SIZE]);
/* Checks magic, version (-FIRN_EVERSION), and kind (any when 0); that is all
 * when key is NULL, and keys may be NULL then.  Else opens the pack key, which
 * takes sk: -FIRN_ENOKEY without, -FIRN_ECORRUPT when it does not open. */
int pack_header_decode(const struct keys *keys,
    const uint8_t header[PACK_HEADER_SIZE], enum pack_kind kind,
    uint8_t key[PACK_KEY_SIZE]);

/*
 * Compress (zstd `level`; kept only when it saves at least 1/64, or with
 * level 0 not tried) and seal one frame that will lie at offset `off`.
 * Appends to out.  One thread at a time in one codec.  -EINVAL when len is 0
 * or above FORMAT_FRAME_MAX; out is as before after a failure.  header may
 * lie in out, whose first bytes it is.
 */
struct pack_codec;
int pack_codec_new(struct pack_codec **out);
void pack_codec_free(struct pack_codec *c);
int pack_frame_seal(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, int level,
    const void *plain, size_t len, struct buf *out);
/*
 * The two halves of pack_frame_seal, for a pipeline that compresses in any
 * order and learns the offset later: compress appends u8 compression +
 * payload; encrypt appends ciphertext + tag of that.
 */
int pack_frame_compress(struct pack_codec *c, int level, const void *plain,
    size_t len, struct buf *out);
int pack_frame_encrypt(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *payload,
    size_t len, struct buf *out);
/*
 * Open one frame.  Appends the plain bytes to out, whose ceiling bounds
 * decompression: what would pass it is -FIRN_ECORRUPT, so set it from the
 * length that is expected or FORMAT_FRAME_MAX.  -FIRN_ECORRUPT, -ENOMEM.
 */
int pack_frame_open(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *sealed,
    size_t len, struct buf *out);
/*
 * As pack_frame_open(), but replaces what is in out, and without copying a
 * frame that is stored as it is: its plain bytes are those of out behind the
 * first *skip.  The codec may keep the memory that out had, and take more from
 * the same slots: they outlive it.
 */
int pack_frame_take(struct pack_codec *c, const uint8_t key[PACK_KEY_SIZE],
    const uint8_t header[PACK_HEADER_SIZE], uint32_t off, const void *sealed,
    size_t len, struct buf *out, size_t *skip);

/* Append padding, footer and trailer to a pack that holds header and frames.
 * -EINVAL when the footer breaks a rule above or does not fit the pack,
 * -FIRN_ETOOBIG; the pack is as before then. */
int pack_finish(struct buf *pack, const struct keys *keys,
    const struct pack_footer *footer);

/*
 * Where the footer lies, from the last PACK_TRAILER_SIZE bytes of a pack of
 * `size` bytes: -FIRN_ECORRUPT when that cannot be, -FIRN_EVERSION.
 */
int pack_trailer_decode(const uint8_t trailer[PACK_TRAILER_SIZE],
    uint64_t size, uint64_t *footer_off, uint32_t *footer_len);
/* Decode and check against the pack's size and itself.  Total.  out is to be
 * released after success only. */
int pack_footer_decode(const struct keys *keys,
    const uint8_t header[PACK_HEADER_SIZE], const void *sealed, size_t len,
    uint64_t footer_off, struct pack_footer *out);
void pack_footer_release(struct pack_footer *f);

#endif
