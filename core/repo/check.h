/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying a repository: every object that it should have is there and is
 * what it says, every generation can be walked, and every block that a file
 * needs is known.  With read_data every byte of every pack is read, compared
 * with its name, decrypted, and every block compared with its id.
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
	uint64_t unused_packs;	/* that no segment lists: of killed runs */
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
