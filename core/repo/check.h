/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying a repository: every generation can be walked, which reads and
 * decrypts all meta blocks, every block that a file needs is known, and the
 * pack that it lies in is there with the right size.  Key slots, index segments
 * and records are read whole.  Data packs are compared by size, and where the
 * store vouches for a SHA-256 (S3 does for what firn put), by that too.  With
 * read_data every byte of every pack is read, compared with its name,
 * decrypted, and every block compared with its id.
 *
 * Records are listed first, then segments, then packs: each names only what was
 * put before it, so a backup that runs meanwhile is never taken for damage.
 *
 * A pack that is missing, or has another size, is a problem when some
 * generation is not whole, or is so only by what is left of such packs;
 * otherwise all that it held is stored elsewhere or needed by nobody, and it is
 * counted.
 *
 * Nothing is believed that only this host says: records and segments are read
 * from the store.  Open the repository without a disk cache.
 */
#ifndef FIRN_REPO_CHECK_H
#define FIRN_REPO_CHECK_H

#include <stdint.h>

struct repo;

struct check_conf {
	int read_data;
	unsigned threads;	/* packs read at once; 0: 2 */
	/* One call a problem.  object names what is damaged or missing; for a
	 * file that is hit it is "GENERATION:PATH".  From any thread, one at
	 * a time. */
	void (*problem)(void *ctx, const char *object, const char *text);
	/* what: "packs", "generations"; at most a few a second matter. */
	void (*progress)(void *ctx, const char *what, uint64_t done,
	    uint64_t of, uint64_t bytes);
	void *ctx;
	const volatile int *stop;
};

struct check_result {
	uint64_t packs, segments, generations;
	uint64_t packs_sha256;	/* of them: the store's SHA-256 is right */
	uint64_t packs_read;	/* of them: all bytes are right */
	uint64_t packs_lost;	/* missing, or of another size */
	uint64_t unused_packs;	/* that no segment lists: of killed runs, or of
				   some under way */
	uint64_t blocks;	/* compared with their ids */
	uint64_t twice;		/* bytes of those that another pack has too */
	uint64_t files;		/* looked at in generations */
	uint64_t bytes;		/* read of packs */
	uint64_t problems;
	uint64_t files_hit;	/* that cannot be read whole */
};

/* 0 when the check could be done, whatever it found. */
int check_run(struct repo *repo, const struct check_conf *conf,
    struct check_result *result);

#endif
