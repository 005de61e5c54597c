/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors.  Functions return 0 or -errno.  The domain's own errors are aliases
 * of errno values that nothing below us returns in their place, so that they
 * travel through the same int.  Only fs/ maps them to what the kernel sees,
 * and only tools/ to exit codes.
 */
#ifndef FIRN_BASE_ERR_H
#define FIRN_BASE_ERR_H

#include <errno.h>

/* Bytes that fail authentication, a checksum, or decoding. */
#define FIRN_ECORRUPT	EBADMSG
/* The repository's format, or a feature of it, is not known to this program. */
#define FIRN_EVERSION	EPROTONOSUPPORT
/* No repository at this place. */
#define FIRN_ENOREPO	ENOMEDIUM
/* The password, or the key that it opens, is wrong. */
#define FIRN_EWRONGKEY	EKEYREJECTED
/* The key in hand may not do this (a write-only key asked to read). */
#define FIRN_ENOKEY	ENOKEY
/* The object is archived and cannot be read now. */
#define FIRN_ECOLD	EREMOTEIO
/* An object that the repository refers to is not in the store. */
#define FIRN_EMISSING	ENODATA
/* A ceiling of the program or the format was reached. */
#define FIRN_ETOOBIG	EFBIG

/* A short text for a (negative or positive) error, ours or the system's.
 * Static storage or thread-local; valid until the thread's next call. */
const char *err_text(int err);

#endif
