/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inode numbers that people see (st_ino).
 *
 * What programs conclude from them: cp, tar, rsync and du take two names of
 * one number for hard links; diff and cp take two paths of one number for the
 * same file and skip the comparison; find and fts take a directory with the
 * number of one above it for a loop.  So within a mount no two files may share
 * a number, be it in one generation or in two, while the names of one hard
 * linked file in one generation must; and a number must last as long as
 * somebody may remember it, which is longer than the kernel remembers a node.
 *
 * The number of the source alone does not do: a generation may span file
 * systems, and entries say theirs only where there are hard links.  (/ and
 * /home of one generation are both number 2 on ext4, or 256 on btrfs.)  So:
 *
 *	more than one link	SipHash-2-4(key, file system, source inode)
 *	all else		SipHash-2-4(key, number of directory) / 2
 *				+ place in the directory
 *
 * with a key of the generation's id and root, so that it is the same after a
 * remount and another in each generation.  Programs that sort a directory by
 * number before they read its files (cp, and all that use fts on many files)
 * thus read them in the order in which they lie in the repository.
 *
 * Two directories of d, with n files in all, overlap with a probability of
 * about d * n / 2^63: 1e-6 for a million and ten million.  Numbers below 2^32
 * are left to the virtual part of the mount.
 *
 * SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 */
#ifndef FIRN_FS_INO_H
#define FIRN_FS_INO_H

#include <stddef.h>
#include <stdint.h>

struct ino_key {
	uint64_t k0, k1;
};

/* id and root are those of a generation: 8 bytes, and the first 8 of 32. */
void ino_key_init(struct ino_key *k, const uint8_t *id, const uint8_t *root);
/* A file with one name, or a directory: the number of the directory that it is
 * in, and its place there, below 2^32. */
uint64_t ino_placed(const struct ino_key *k, uint64_t dir, uint64_t ordinal);
/* A file with several names. */
uint64_t ino_linked(const struct ino_key *k, uint32_t fsno, uint64_t ino);

#endif
