/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block index of one repository on this host: block id -> pack, frame,
 * place.  Built from index segments, kept in LMDB, rebuilt whenever it is
 * missing or damaged; never the only copy of anything.
 *
 * Entries lie in sorted runs, each written once as LMDB values of many packed
 * entries with keys in order (MDB_APPEND), so an entry takes little more than
 * its own bytes and pages are full.  A look-up asks each run's filter, then
 * at most one page a run.  Runs are merged in levels (size ratio 4) so their
 * number stays logarithmic; memory use does not grow with the repository but
 * for what LMDB maps, and a directory of 4 bytes for a thousand entries.
 *
 * Two halves, data and meta, so that a mount can begin with meta alone.
 * Many processes and threads may use one index directory at once, but a
 * process opens it once at a time (LMDB's locks are the process's), and not
 * before it forks.  Look-ups never block behind a writer.  Files that are
 * deleted meanwhile stay good for who has them open.
 */
#ifndef FIRN_INDEX_INDEX_H
#define FIRN_INDEX_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"
#include "format/segment.h"

struct index;

/* Where a block is. */
struct index_place {
	uint8_t pack[OBJECT_ID_SIZE];
	uint32_t pack_size;
	uint32_t frame_off;
	uint32_t frame_len;	/* sealed */
	uint32_t off;		/* in the plain frame */
	uint32_t len;
};

/*
 * Open the index in directory `dir` (made when missing) for repository
 * `repo_id`.  An index of another repository, of another layout version, or a
 * damaged one is removed and begun anew, with a warning.
 * Errors are logged: -ENOSPC, -EACCES, -EROFS ...
 */
int index_open(const char *dir, const uint8_t repo_id[16], struct index **out);
void index_close(struct index *ix);

/* Find a block.  1 found, 0 not, or -errno.  Any thread. */
int index_find(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out);
/*
 * The same for each place that is known of, index_find()'s first: how many of
 * at most `max` there are.  A block lies in several packs when hosts stored it
 * at the same time; merging runs forgets all but one of its places.
 */
int index_find_all(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE], struct index_place *out, unsigned max);
/* Is it there; the same without reading the place. */
int index_has(struct index *ix, enum pack_kind kind,
    const uint8_t id[BLOCK_ID_SIZE]);

/* 1 when this segment (or one that replaced it) is loaded.  Loading one that
 * is does nothing and succeeds. */
int index_has_segment(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE]);

/*
 * Add a segment's entries, already sorted by id with each id once, and mark
 * the segment loaded, in one transaction: a crash leaves it in or out.
 * `entries` name packs by position in `packs`.  Merges runs when due.
 * -ENOSPC when LMDB's map or the disk is full, logged; the index is as it was.
 * -EINVAL for entries out of order, or that name no pack.
 */
int index_add_segment(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE], const struct segment_entry *entries,
    size_t nentries, const struct segment_pack *packs, size_t npacks);
/*
 * The same for segments too large for memory: begin, add pages in order,
 * commit or abort; both free it.  One writer at a time in the whole machine;
 * begin blocks, so a thread must not begin or add another meanwhile.
 */
struct index_load;
int index_load_begin(struct index *ix, enum pack_kind kind,
    const uint8_t segment[OBJECT_ID_SIZE], const struct segment_pack *packs,
    size_t npacks, struct index_load **out);
int index_load_add(struct index_load *ld, const struct segment_entry *entries,
    size_t nentries);
/* Names that this segment says it replaces.  It must list all that they did:
 * their entries stay. */
int index_load_replaces(struct index_load *ld,
    const uint8_t (*segments)[OBJECT_ID_SIZE], size_t n);
/* No store has this segment: it is this host's alone. */
void index_load_local(struct index_load *ld);
int index_load_commit(struct index_load *ld);
void index_load_abort(struct index_load *ld);

/*
 * Segments that are gone from the store (merged, pruned): take the mark, list
 * all names that are there, then retain.  When a segment that was loaded before
 * the mark is missing from the list and no other segment's `replaced` explains
 * it, the half is emptied (0 segments loaded) so that the caller loads afresh;
 * returns 1 then.  What other processes load after the mark need not be listed,
 * nor, with keep_local, what is this host's alone.
 */
int index_mark(struct index *ix, enum pack_kind kind, uint64_t *mark);
int index_retain_since(struct index *ix, enum pack_kind kind, uint64_t mark,
    int keep_local, const uint8_t (*segments)[OBJECT_ID_SIZE], size_t n);
/* Is anything loaded that is this host's alone: 1, 0, -errno. */
int index_has_local(struct index *ix, enum pack_kind kind);

struct index_stats {
	uint64_t entries;
	uint64_t packs;
	uint64_t segments;
	uint64_t runs;
	uint64_t bytes;		/* on disk, both halves and all else */
};
int index_stats(struct index *ix, enum pack_kind kind,
    struct index_stats *out);

/* Each pack that the loaded segments list, in no order.  fn may take its time;
 * what it returns but 0 ends the walk and is returned. */
int index_each_pack(struct index *ix, enum pack_kind kind,
    int (*fn)(void *ctx, const uint8_t pack[OBJECT_ID_SIZE], uint32_t size),
    void *ctx);
/* The header of a pack that a loaded segment lists: 1, 0, -errno. */
int index_pack_header(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE], uint8_t header[PACK_HEADER_SIZE]);
/* Does a loaded segment list this pack: 1, 0, -errno. */
int index_has_pack(struct index *ix, enum pack_kind kind,
    const uint8_t pack[OBJECT_ID_SIZE]);

/*
 * Packs that the loaded segments list and the store does not have.  Compare
 * with a listing that begins after roll_begin(): packs that segments bring
 * later are not looked for.
 *
 * seen: a pack that is there, with its size; 1 when a segment lists it so, 2
 * when one lists it with another size, 0, or -errno.  Any thread.
 * absent: those that were not seen with the size that the index knows, sorted;
 * *ids is the caller's to free.  -EAGAIN when the half was emptied meanwhile:
 * begin again.
 */
struct index_roll;
int index_roll_begin(struct index *ix, enum pack_kind kind,
    struct index_roll **out);
int index_roll_seen(struct index_roll *roll,
    const uint8_t pack[OBJECT_ID_SIZE], uint64_t size);
int index_roll_absent(struct index_roll *roll,
    uint8_t (**ids)[OBJECT_ID_SIZE], size_t *n);
/* index_epoch() when it began. */
uint64_t index_roll_epoch(const struct index_roll *roll);
void index_roll_free(struct index_roll *roll);

/*
 * Say which packs are absent, sorted, by a roll that was taken at `epoch`;
 * -EAGAIN when the half was emptied since: begin again.  Loading passes their
 * entries by from now on, so a block that lies in such a pack alone is not
 * known, and one that lies in another one too is found there; the packs
 * themselves stay listed.
 * Where that is not what was said before, the half is emptied, so that the
 * caller loads afresh: 1 then, else 0 or -errno.
 */
int index_absent_set(struct index *ix, enum pack_kind kind, uint64_t epoch,
    const uint8_t (*ids)[OBJECT_ID_SIZE], size_t n);
int index_absent_count(struct index *ix, enum pack_kind kind, size_t *n);
/* Changes whenever a half is emptied. */
int index_epoch(struct index *ix, enum pack_kind kind, uint64_t *epoch);

/* Small named values that may be lost at any time ("state"): at most 511
 * bytes of name.  put replaces; get appends to out, -ENOENT. */
struct buf;
int index_state_get(struct index *ix, const char *name, struct buf *out);
int index_state_put(struct index *ix, const char *name, const void *data,
    size_t len);
int index_state_del(struct index *ix, const char *name);

#endif
