/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This host's own copy of the tree of the last generation of a series, for a
 * write-only key, which cannot read it back from the repository.
 *
 * A file "meta-<series tag>" in the state directory: a head with what the
 * record said, then every block of the tree, sealed under keys->local.  Written
 * anew beside the old one by each run, and renamed when its generation exists;
 * so it holds one generation.  What a killed run left beside it is removed by
 * the next one.  Losing it costs one full reading of the source.
 */
#ifndef FIRN_REPO_LOCALMETA_H
#define FIRN_REPO_LOCALMETA_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "crypto/keys.h"
#include "format/format.h"
#include "format/genrec.h"

struct localmeta;

/* What the head says. */
struct localmeta_head {
	uint8_t root[BLOCK_ID_SIZE];
	struct timespec start;
	uint8_t gen[GEN_ID_SIZE];
};

/* Reading.  -ENOENT when there is none or it cannot be used. */
int localmeta_open(const char *state_dir, const struct keys *keys,
    const char *tag, struct localmeta **out, struct localmeta_head *head);
/* Appends a block to out; -ENOENT.  Any thread. */
int localmeta_get(struct localmeta *m, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], struct buf *out);

/* Writing: blocks in any order, the same one more than once is fine; commit
 * makes it the one that localmeta_open() finds.  put from any thread. */
int localmeta_begin(const char *state_dir, const struct keys *keys,
    const char *tag, struct localmeta **out);
int localmeta_put(struct localmeta *m, enum block_type type,
    const uint8_t id[BLOCK_ID_SIZE], const void *data, size_t len);
int localmeta_commit(struct localmeta *m, const struct localmeta_head *head);

/* Closes; an uncommitted one is removed.  NULL is fine. */
void localmeta_close(struct localmeta *m);

#endif
