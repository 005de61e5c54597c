/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a generation record, without its seals: for format/genrec*.c and
 * fuzz targets. */
#ifndef FIRN_FORMAT_GENREC_INTERNAL_H
#define FIRN_FORMAT_GENREC_INTERNAL_H

#include "format/genrec.h"

/* Appends; -EINVAL for a record that decoding would refuse. */
int genrec_write(const struct genrec *g, struct buf *out);
/* *out is initialised here, and to be released after a failure too. */
int genrec_parse(const void *text, size_t len, struct genrec *out);

/* Is the root_entry, which there is, one of this record? */
int genrec_root_entry_valid(const struct genrec *g);

/* Append a copy of `text` to an array of *n strings. */
int genrec_append(char ***v, size_t *n, const char *text);

#endif
